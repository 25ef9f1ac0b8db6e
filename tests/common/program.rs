//! The program from the outside, on tiny runs: 8×8 images, a quarter of resnet8's channels.
//! Nothing here is about accuracy.

#![allow(
    dead_code,
    reason = "every test program compiles this for itself and uses a part"
)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

/// ReLUs of the network that these tests train.
pub const TOTAL: u64 = 896;

/// Options of a tiny run; `None` is a flag without a value.
pub const TINY: &[(&str, Option<&str>)] = &[
    ("--data", Some("builtin:train=256,test=64,size=8")),
    ("--model", Some("resnet8")),
    ("--width", Some("0.25")),
    ("--batch", Some("32")),
    ("--teacher-epochs", Some("2")),
    ("--search-epochs", Some("2")),
    ("--finish-epochs", Some("2")),
];

/// The program, deaf to the environment that the tests run in.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autorep"));
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // Vulkan drivers complain where there is none.
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    command
}

/// `autorep search --out OUT` with the tiny options, and `more`, whose options take the place
/// of tiny ones of the same name.
pub fn search(out: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.arg("search").arg("--out").arg(out);
    for (name, value) in TINY.iter().filter(|(name, _)| !more.contains(name)) {
        command.arg(name).args(value);
    }
    command.args(more);
    command
}

/// The same for `autorep train`.
pub fn train(out: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.arg("train").arg("--out").arg(out);
    let foreign = ["--search-epochs", "--finish-epochs"];
    for (name, value) in TINY {
        if !more.contains(name) && !foreign.contains(name) {
            command.arg(name).args(value);
        }
    }
    command.args(more);
    command
}

pub fn on(subcommand: &str, run: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.arg(subcommand).arg(run).args(more);
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs to the end, which must be a good one.
#[track_caller]
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let error = text(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{error}");
    output
}

/// Runs into an error: exit code 1 or 2, and one message, which holds all of `words`.
#[track_caller]
pub fn refused(command: &mut Command, words: &[&str]) -> String {
    let output = command.output().unwrap();
    let error = text(&output.stderr);
    let code = output.status.code();
    assert!(matches!(code, Some(1 | 2)), "{code:?} {command:?}\n{error}");
    assert!(!error.contains("panicked"), "{command:?}\n{error}");
    let messages = error.lines().filter(|line| line.starts_with("error: "));
    assert_eq!(messages.count(), 1, "{command:?}\n{error}");
    for word in words {
        let (error, word) = (error.to_lowercase(), word.to_lowercase());
        assert!(error.contains(&word), "no `{word}`: {command:?}\n{error}");
    }
    assert!(output.stdout.is_empty(), "{command:?}");
    error
}

pub fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

pub fn checkpoint(run: &Path, name: &str) -> PathBuf {
    run.join("checkpoints").join(format!("{name}.safetensors"))
}

/// The log without the one field in which equal runs differ.
pub fn metrics(run: &Path) -> Vec<Value> {
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let record = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record.as_object_mut().unwrap().remove("wall_seconds");
        record
    };
    log.lines().map(record).collect()
}

/// Two runs that must not be told apart.
#[track_caller]
pub fn assert_same(a: &Path, b: &Path) {
    for name in ["teacher", "result"] {
        let [left, right] = [a, b].map(|run| fs::read(checkpoint(run, name)).unwrap());
        assert!(left == right, "{name}.safetensors differs");
    }
    let (left, right) = (metrics(a), metrics(b));
    for (left, right) in left.iter().zip(&right) {
        assert_eq!(left, right);
    }
    assert_eq!(left.len(), right.len());
    let [left, right] = [a, b].map(|run| {
        let mut summary = json(run.join("summary.json"));
        let object = summary.as_object_mut().unwrap();
        object.remove("wall_seconds");
        let speeds = object.remove("images_per_second").unwrap();
        let phases: Vec<String> = speeds.as_object().unwrap().keys().cloned().collect();
        assert_eq!(phases, ["finish", "search", "teacher"]);
        summary
    });
    assert_eq!(left, right);
}

/// Every file below a folder, with its bytes and the time it was last written to.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let modified = path.metadata().unwrap().modified().unwrap();
            found.insert(path.clone(), (fs::read(&path).unwrap(), modified));
        }
    }
    found
}

pub fn shared(name: &str, more: &[&str]) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if out.exists() {
        fs::remove_dir_all(&out).unwrap();
    }
    succeed(&mut search(&out, more));
    out
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
