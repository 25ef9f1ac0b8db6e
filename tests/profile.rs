//! `autorep profile` from the outside: that its JSON accounts for every dispatch, its trace is
//! one, a comparison says what changed, and a slip of the pen costs a message.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The program, with a cache folder of its own, deaf to the environment of the tests.
fn program(cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autorep"));
    command
        .env_remove("RUST_LOG")
        .env("AUTOREP_CACHE_DIR", cache)
        .stdin(Stdio::null());
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    command
}

fn profile(cache: &Path, arguments: &[&str]) -> Output {
    let mut command = program(cache);
    command.arg("profile").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn succeed(output: Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

const TINY: &[&str] = &[
    "--model",
    "resnet8",
    "--width",
    "0.25",
    "--batch",
    "16",
    "--data",
    "builtin:train=64,test=32,size=8",
    "--rounds",
    "3",
];

fn tiny<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [TINY, more].concat()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key]
        .as_f64()
        .unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}

fn sum(entries: &Value, key: &str) -> f64 {
    let entries = entries.as_array().expect("a list");
    entries.iter().map(|entry| number(entry, key)).sum()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

#[test]
fn a_search_step_is_accounted_for_to_the_last_dispatch() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (json, trace) = (path("profile.json"), path("trace.json"));
    let more = ["--phase", "search", "--json", &json, "--trace", &trace];
    let shown = succeed(profile(folder.path(), &tiny(&more)));
    // A pipe gets neither colours nor bars.
    assert!(!shown.contains('\x1b') && !shown.contains('█'), "{shown}");
    for word in ["images/s", "conv2d", "layer1.0.", "scores and masks"] {
        assert!(shown.contains(word), "no `{word}` in\n{shown}");
    }

    let profile: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let step = number(&profile["step"], "median");
    assert!(close(number(&profile, "images_per_second"), 16.0 / step));
    assert_eq!(profile["model"], "resnet8");
    assert_eq!(profile["phase"], "search");
    assert!(number(&profile, "host_seconds") > 0.0);
    for roof in ["flops_per_second", "bytes_per_second"] {
        assert!(number(&profile["roofline"], roof) > 1e6);
    }
    let dispatches = profile["dispatches"].as_array().unwrap();
    let floor = sum(&profile["dispatches"], "floor_seconds");
    assert!(close(number(&profile, "floor_seconds"), floor));
    for list in ["passes", "kernels", "layers"] {
        let list = &profile[list];
        assert_eq!(sum(list, "calls") as usize, dispatches.len());
        assert!((sum(list, "share") - 1.0).abs() < 1e-9);
        for key in ["flops", "bytes", "floor_seconds"] {
            let (parts, whole) = (sum(list, key), sum(&profile["dispatches"], key));
            assert!(close(parts, whole), "{key}: {parts} of {whole}");
        }
        let (parts, whole) = (sum(list, "seconds"), number(&profile, "kernel_seconds"));
        assert!(close(parts, whole));
    }
    // Every dispatch does something, has a kernel, and works for somebody.
    for dispatch in dispatches {
        assert!(number(dispatch, "bytes") > 0.0, "{dispatch}");
        for key in ["kernel", "entry", "layer"] {
            assert!(!dispatch[key].as_str().unwrap().is_empty(), "{dispatch}");
        }
    }
    let passes: Vec<&str> = profile["passes"]
        .as_array()
        .unwrap()
        .iter()
        .map(name)
        .collect();
    let all = ["images", "teacher", "forward", "loss", "backward", "update"];
    assert_eq!(passes, all);
    // Conv1 runs in the teacher, forward and in the weight gradient, with equal flops each.
    let conv1 = dispatches.iter().filter(|d| d["layer"] == "conv1");
    let flops: f64 = conv1
        .clone()
        .filter(|d| d["pass"] == "teacher")
        .map(|d| number(d, "flops"))
        .sum();
    // 16 images of 8×8 pixels, 3 to 4 channels, 3×3 taps, two flops each.
    assert_eq!(flops, 2.0 * 16.0 * 64.0 * 12.0 * 9.0);
    for category in [
        "parameters",
        "gradients",
        "optimizer",
        "scores",
        "activations",
        "textures",
        "dataset",
        "staging",
    ] {
        let need = &profile["memory"][category];
        assert!(
            number(need, "planned") >= number(need, "least"),
            "{category}: {need}"
        );
        // Copies are never needed; a CPU has some.
        let copies = category == "textures";
        assert_eq!(number(need, "least") > 0.0, !copies, "{category}");
        let cpu = profile["preset"].as_str().unwrap().starts_with("cpu");
        assert_eq!(number(need, "planned") > 0.0, !copies || cpu, "{category}");
    }

    let trace: Value = serde_json::from_slice(&fs::read(&trace).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let slices: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
    assert_eq!(slices.len(), dispatches.len());
    let tracks: Vec<(&Value, &str)> = events
        .iter()
        .filter(|event| event["name"] == "thread_name")
        .map(|event| (&event["tid"], event["args"]["name"].as_str().unwrap()))
        .collect();
    let mut now = 0.0;
    for (slice, dispatch) in slices.iter().zip(dispatches) {
        assert_eq!(slice["name"], dispatch["layer"]);
        let track = tracks
            .iter()
            .find(|(id, _)| **id == slice["tid"])
            .unwrap()
            .1;
        assert_eq!(dispatch["pass"], track);
        assert!(number(slice, "ts") >= now && number(slice, "dur") >= 0.0);
        now = number(slice, "ts");
    }

    // Compared with itself nothing changed; with every time halved, everything did.
    let same = succeed(self::profile(folder.path(), &["--compare", &json, &json]));
    assert!(same.contains("1.00") && !same.contains("slower"), "{same}");
    let mut faster = profile.clone();
    faster["step"]["median"] = (step / 2.0).into();
    for kernel in faster["kernels"].as_array_mut().unwrap() {
        kernel["seconds"] = (number(kernel, "seconds") / 2.0).into();
    }
    let half = path("half.json");
    fs::write(&half, faster.to_string()).unwrap();
    let shown = succeed(self::profile(folder.path(), &["--compare", &json, &half]));
    let step = shown
        .lines()
        .find(|line| line.trim_start().starts_with("step"))
        .unwrap();
    assert!(step.contains("0.50") && step.contains("faster"), "{shown}");
    let kernels = profile["kernels"].as_array().unwrap().len();
    assert_eq!(shown.matches("faster").count(), 1 + kernels, "{shown}");
}

fn name(entry: &Value) -> &str {
    entry["name"].as_str().unwrap()
}

#[test]
fn phases_have_the_parts_they_should_and_the_roofline_is_measured_once() {
    let folder = TempDir::new().unwrap();
    let run = |more: &[&str]| {
        let output = profile(folder.path(), &tiny(more));
        let said = text(&output.stderr);
        let profile: Value = serde_json::from_str(&succeed(output)).unwrap();
        let passes = profile["passes"].as_array().unwrap();
        (
            passes
                .iter()
                .map(|p| name(p).to_owned())
                .collect::<Vec<_>>(),
            profile,
            said,
        )
    };
    let (parts, first, said) = run(&["--json", "-", "--phase", "eval"]);
    assert_eq!(parts, ["images", "forward", "loss", "update"]);
    assert!(said.contains("measured now"), "{said}");
    assert_eq!(number(&first["memory"]["gradients"], "planned"), 0.0);

    let (parts, second, said) = run(&["--json", "-", "--micro-batches", "2"]);
    assert_eq!(parts, ["images", "forward", "loss", "backward", "update"]);
    assert!(said.contains("measured earlier"), "{said}");
    assert_eq!(first["roofline"], second["roofline"]);

    // A damaged cache is no reason to fail.
    fs::write(folder.path().join("roofline.json"), "{").unwrap();
    let (_, _, said) = run(&["--json", "-", "--phase", "eval"]);
    assert!(said.contains("measured now"), "{said}");
}

#[test]
fn a_single_kernel_is_shown_under_every_preset() {
    let folder = TempDir::new().unwrap();
    let arguments = [
        "--kernel",
        "conv2d",
        "--shape",
        "n=2,c=4,k=8,h=8",
        "--rounds",
        "3",
    ];
    let shown = succeed(profile(folder.path(), &arguments));
    for word in [
        "4→8 8² 3×3/1",
        "portable",
        "large",
        "forward",
        "data",
        "weight",
    ] {
        assert!(shown.contains(word), "no `{word}` in\n{shown}");
    }
}

#[track_caller]
fn refused(arguments: &[&str], words: &[&str]) {
    let folder = TempDir::new().unwrap();
    let output = profile(folder.path(), arguments);
    let error = text(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(1 | 2)),
        "{arguments:?}\n{error}"
    );
    assert!(
        error.contains("error: ") && !error.contains("panicked"),
        "{error}"
    );
    for word in words {
        assert!(error.contains(word), "no `{word}`: {arguments:?}\n{error}");
    }
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn what_cannot_be_profiled_is_refused() {
    refused(&[], &["--model", "--kernel"]);
    refused(&["--model", "resnet19"], &["resnet19", "resnet18"]);
    refused(
        &["--model", "resnet8", "--phase", "finish"],
        &["teacher, search, eval"],
    );
    refused(&["--model", "resnet8", "--batch", "0"], &["--batch 0"]);
    refused(
        &tiny(&["--micro-batches", "3"]),
        &["--micro-batches 3", "16"],
    );
    let few = [
        "--model",
        "resnet8",
        "--batch",
        "65",
        "--data",
        "builtin:train=64,test=32,size=8",
    ];
    refused(&few, &["--batch 65", "64 images"]);
    refused(&["--compare", "a.json"], &["--compare"]);
    refused(
        &["--compare", "a.json", "b.json"],
        &["a.json", "cannot be read"],
    );
    refused(
        &["--compare", "Cargo.toml", "Cargo.toml"],
        &["Cargo.toml", "no profile"],
    );
    refused(&["--kernel", "pool"], &["pool", "conv2d, gate, batch_norm"]);
    refused(&["--kernel", "conv2d"], &["c=…"]);
    for (shape, word) in [
        ("c=64", "h=…"),
        ("c=64,q=3", "`q`"),
        ("c64", "`c64`"),
        ("c=0,h=3", "c=0"),
        ("c=4,h=8,stride=3", "stride=3"),
        ("c=4,h=2,r=7,padding=1", "7×7"),
    ] {
        refused(&["--kernel", "conv2d", "--shape", shape], &[word]);
    }
}

/// A reader that leaves early, as `head` does, ends every command quietly.
#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = TempDir::new().unwrap();
    let commands: [&[&str]; 4] = [
        &["devices"],
        &["shaders", "--tiling", "large"],
        &["data", "info", "builtin:train=64,test=32,size=8"],
        &["devices", "--json"],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program(folder.path())
            .args(arguments)
            .stdout(writer)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    }
}

/// MiB planned in all, as `--plan` shows them.
fn planned(arguments: &[&str]) -> f64 {
    let folder = TempDir::new().unwrap();
    let model = ["--plan", "--model", "resnet18", "--width", "0.25"];
    let data = [
        "--data",
        "builtin:train=512,test=10,size=32",
        "--batch",
        "512",
    ];
    let shown = succeed(profile(
        folder.path(),
        &[&model[..], &data[..], arguments].concat(),
    ));
    let total = shown
        .lines()
        .find_map(|line| line.trim().strip_prefix("together"));
    let mebibytes = total.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    mebibytes.unwrap_or_else(|| panic!("no total in\n{shown}"))
}

#[test]
fn memory_is_planned_without_an_adapter() {
    let whole = planned(&[]);
    // The largest of some forty activations alone has 512·16·32² values: 32 MiB.
    assert!(whole > 500.0, "{whole}");
    assert!(planned(&["--recompute"]) < 0.9 * whole);
    assert!(planned(&["--micro-batches", "4"]) < 0.4 * whole);
    assert!(planned(&["--phase", "search"]) > whole);
}
