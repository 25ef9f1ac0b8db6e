//! Every expansion of the project's shaders compiles; what was once found in one stays mended.

use autorep::emulator::{Buffer, Fault, Program, Resource, Run};
use std::path::Path;

#[test]
fn every_expansion_compiles() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/expanded");
    let mut unknown = Vec::new();
    let mut compiled = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        let module = naga::front::wgsl::parse_str(&source).unwrap();
        let capabilities = naga::valid::Capabilities::all();
        let info = naga::valid::Validator::new(Default::default(), capabilities)
            .validate(&module)
            .unwrap();
        for point in &module.entry_points {
            match Program::new(&module, &info, &point.name, Some(&source)) {
                Ok(program) => {
                    assert!(!program.is_empty());
                    compiled += 1;
                }
                Err(error) => unknown.push(format!("{}: {error}", path.display())),
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert!(compiled > 50, "{compiled}");
}

/// A storage race of one workgroup of squares.apply, on a network of one group of squares.
fn races_of_squares(source: &str) -> bool {
    let program = super::entry(source, "apply");
    let zeros = |resource: &Resource| {
        let bytes = resource.least_bytes.max(4096) as usize;
        Buffer::new(0, vec![0; bytes]).at(resource.slot)
    };
    let buffers: Vec<Buffer> = program.resources().iter().map(zeros).collect();
    let outcome = program.run(&Run::new([1, 1, 1]), &buffers).unwrap();
    let mut faults = outcome.findings.iter().map(|finding| finding.fault);
    faults.any(|fault| fault == Fault::StorageRace)
}

#[test]
fn the_state_of_a_group_is_read_by_all_before_it_is_written() {
    let source = include_str!("../../shaders/expanded/squares.apply.wgsl");
    let without = source.replace("storageBarrier();", "");
    assert_ne!(without, source);
    assert!(races_of_squares(&without));
    assert!(!races_of_squares(source));
}
