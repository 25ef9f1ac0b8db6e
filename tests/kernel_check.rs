//! `autorep kernel check` from the outside: what it prints, how it ends, and that no text makes it panic.

mod common;

use common::program::{program, text};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

const REVERSE: &str = "
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
var<workgroup> tile: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
    tile[lane] = x[id.x];
    workgroupBarrier();
    y[id.x] = tile[63u - lane];
}
";

const BUFFERS: &str = "
workgroups = [2, 1, 1]
[[buffers]]
binding = 0
length = 128
fill = 'unwritten'
[[buffers]]
binding = 1
length = 128
fill = 'random'
";

fn check(folder: &Path, more: &[&str]) -> Output {
    let mut command = program();
    command
        .current_dir(folder)
        .args(["kernel", "check"])
        .args(more);
    command.output().unwrap()
}

/// A folder with a shader and its description.
fn folder(shader: &str, buffers: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.wgsl"), shader).unwrap();
    fs::write(folder.path().join("a.toml"), buffers).unwrap();
    folder
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn what_is_right_is_clean() {
    let folder = folder(REVERSE, BUFFERS);
    let output = check(
        folder.path(),
        &["a.wgsl", "--svg", "map.svg", "--subgroup", "8"],
    );
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}");
    assert!(out.ends_with("clean\n"), "{out}");
    assert!(
        out.contains("workgroup memory       128 loads, 128 stores, 0 bank conflicts"),
        "{out}"
    );
    assert!(
        fs::read_to_string(folder.path().join("map.svg"))
            .unwrap()
            .contains("</svg>")
    );
    let output = check(folder.path(), &["a.wgsl", "--json", "--seeds", "2"]);
    let value = json(&output);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((&value["clean"], &value["runs"]), (&true.into(), &2.into()));
    assert_eq!(value["findings"].as_array().unwrap().len(), 0);
}

#[test]
fn findings_end_with_1_and_have_lines() {
    let folder = folder(&REVERSE.replace("workgroupBarrier();", ""), BUFFERS);
    let output = check(folder.path(), &["a.wgsl"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(
        out.contains("error: race in workgroup memory: `tile`") && out.contains("--> a.wgsl:"),
        "{out}"
    );
    assert!(out.trim_end().ends_with("findings"), "{out}");
    let output = check(folder.path(), &["a.wgsl", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let value = json(&output);
    for finding in value["findings"].as_array().unwrap() {
        assert!(
            finding["kind"].is_string() && finding["message"].is_string(),
            "{finding:#}"
        );
        assert!(
            finding["file"] == "a.wgsl" && finding["line"].as_u64() > Some(0),
            "{finding:#}"
        );
    }
}

#[test]
fn the_programs_own_kernels_are_clean() {
    for (name, shape) in [
        ("gate.forward", ""),
        ("add.wgsl", "add"),
        ("conv2d/tiled", ""),
    ] {
        let output = check(Path::new("."), &[name, "--shape", shape, "--seeds", "2"]);
        let out = text(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{name}: {out}{}",
            text(&output.stderr)
        );
        assert!(out.contains("tiling portable"), "{out}");
    }
    let output = check(Path::new("."), &["add", "--tiling", "cpu4", "--json"]);
    assert_eq!(json(&output)["findings"], Value::Array(Vec::new()));
}

/// Whatever is wrong, it is said in a message, and the exit status is 2.
#[test]
fn what_cannot_run_ends_with_2_and_says_why() {
    let nested = format!(
        "fn f() -> i32 {{ return {}1{}; }}",
        "(".repeat(100_000),
        ")".repeat(100_000)
    );
    let huge = BUFFERS.replace("length = 128", "length = 9000000000000000000");
    let grid = BUFFERS.replace("[2, 1, 1]", "[65535, 65535, 65535]");
    let workgroup = "var<workgroup> a: array<u32, 1000000000>;
        @compute @workgroup_size(1) fn main() { a[0] = 1u; }";
    let private =
        "@compute @workgroup_size(256) fn main() { var a: array<u32, 60000000>; a[0] = 1u; }";
    let zero = "const a = array<u32, 1000000000>(); @compute @workgroup_size(1) fn main() { var b = a[0]; }";
    let calls: String = (0..60)
        .map(|i| format!("fn f{i}() {{ f{}(); f{}(); }}\n", i + 1, i + 1))
        .collect();
    let calls = format!("{calls}fn f60() {{ }}\n@compute @workgroup_size(1) fn main() {{ f0(); }}");
    for (shader, buffers, words) in [
        ("", BUFFERS, "entry"),
        ("fn", BUFFERS, "a.wgsl:1"),
        ("\u{0}\u{7f}ä", BUFFERS, "a.wgsl"),
        (&nested, BUFFERS, ""),
        (workgroup, "workgroups = [1, 1, 1]", ""),
        (private, "workgroups = [1, 1, 1]", ""),
        (zero, "workgroups = [1, 1, 1]", ""),
        (&calls, "workgroups = [1, 1, 1]", ""),
        ("enable f16;", BUFFERS, ""),
        (REVERSE, "workgroups", "a.toml"),
        (REVERSE, "", "workgroups"),
        (REVERSE, "workgroups = [1, 1, 1]", "`y`"),
        (REVERSE, &huge, "bytes"),
        (REVERSE, &grid, "workgroups"),
    ] {
        let folder = folder(shader, buffers);
        let start: String = shader.chars().take(60).collect();
        for more in [&["a.wgsl"][..], &["a.wgsl", "--json"]] {
            let output = check(folder.path(), more);
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{start}: {output:?}");
            assert!(
                error.starts_with("error: ") && error.contains(words),
                "{start}: {error}"
            );
            assert!(
                !error.contains("panic") && !error.contains("defect"),
                "{start}: {error}"
            );
            match more.len() {
                1 => assert!(output.stdout.is_empty()),
                _ => assert!(json(&output)["error"]["message"].is_string()),
            }
        }
    }
    let folder = folder(REVERSE, BUFFERS);
    fs::remove_file(folder.path().join("a.toml")).unwrap();
    fs::write(folder.path().join("b.toml"), "").unwrap();
    fs::write(folder.path().join("c.wgsl"), [0xff, 0xfe]).unwrap();
    for (more, words) in [
        (&["a.wgsl"][..], "[[buffers]] # y"),
        (&["b.wgsl"], "neither a file nor a kernel"),
        (&["c.wgsl"], "cannot read"),
        (&["nothing"], "autorep shaders"),
        (&["add", "--tiling", "tiny"], "unknown tiling"),
        (
            &["add", "--shape", "nothing like it"],
            "autorep shaders --all",
        ),
        (&["add", "--subgroup", "3"], "power of two"),
        (&["add", "--seeds", "0"], "--seeds"),
    ] {
        let output = check(folder.path(), more);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_loop_without_end_ends() {
    let shader = "@compute @workgroup_size(64) fn main() { loop { } }";
    let folder = folder(shader, "workgroups = [4, 1, 1]");
    let output = check(folder.path(), &["a.wgsl", "--budget", "10000"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("loop without end"));
}
