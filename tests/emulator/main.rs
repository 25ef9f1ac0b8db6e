//! The emulator: what it computes, what it finds, what it counts.

mod check;
mod counts;
mod device;
mod differential;
mod faults;
mod lessons;
mod numbers;
mod shaders;
mod subgroups;

use autorep::emulator::{Buffer, Finding, Outcome, Program, Run};

/// Compiles an entry point of what naga finds no fault with.
fn entry(source: &str, name: &str) -> Program {
    compile(source, name, naga::valid::ValidationFlags::all())
}

/// Compiles the entry point `main`.
fn program(source: &str) -> Program {
    entry(source, "main")
}

/// The same without naga's own look at uniformity.
fn unchecked(source: &str) -> Program {
    let all = naga::valid::ValidationFlags::all();
    compile(
        source,
        "main",
        all - naga::valid::ValidationFlags::CONTROL_FLOW_UNIFORMITY,
    )
}

fn compile(source: &str, name: &str, flags: naga::valid::ValidationFlags) -> Program {
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let info = naga::valid::Validator::new(flags, naga::valid::Capabilities::all())
        .validate(&module)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    Program::new(&module, &info, name, Some(source)).unwrap()
}

fn run(source: &str, run: &Run, buffers: &[Buffer]) -> Outcome {
    program(source).run(run, buffers).unwrap()
}

/// The words of binding 0 after one clean workgroup.
fn clean(source: &str, buffers: &[Buffer]) -> Vec<u32> {
    let outcome = run(source, &Run::new([1, 1, 1]), buffers);
    assert_eq!(outcome.findings, [], "{source}");
    outcome.buffer(0).unwrap().words()
}

/// Number of the line with this mark.
fn line(source: &str, mark: &str) -> u32 {
    let at = source.lines().position(|line| line.contains(mark));
    at.unwrap_or_else(|| panic!("no {mark}")) as u32 + 1
}

fn shown(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| format!("{finding}\n"))
        .collect()
}
