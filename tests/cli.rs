//! The program from the outside: what it writes, that equal runs give equal bits however often
//! they are killed, and that whatever a user gets wrong costs a message and nothing else.
//!
//! All runs are tiny (8×8 images, a quarter of resnet8's channels): nothing here is about
//! accuracy.

mod common;

use common::program::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The tiny options with all that has state of its own, for runs that are interrupted.
const STATEFUL: &[&str] = &[
    "--set",
    "search.lookahead-every=4",
    "--set",
    "finish.average-epochs=0.5",
    "--set",
    "augment.cutout=2",
];

/// A checkpoint after (nearly) every step: the folder is written to all the time.
const OFTEN: &[&str] = &["--set", "checkpoint-minutes=0.00001"];

/// A finished run, made once. Nobody may write to it.
fn finished() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| shared("cli-finished", &["--budget", "10%"]))
}

/// A finished run with all that has state, made once. Nobody may write to it.
fn stateful() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| shared("cli-stateful", STATEFUL))
}

// What a run writes.

#[test]
fn a_search_writes_all_that_it_promises() {
    let out = finished();
    let summary = json(out.join("summary.json"));
    for (key, value) in [
        ("method", "autorep"),
        ("model", "resnet8"),
        ("dataset", "builtin"),
    ] {
        assert_eq!(summary[key], value);
    }
    for (key, value) in [
        ("seed", 0),
        ("relu_total", TOTAL),
        ("relu_budget", 89),
        ("relu_count", 89),
    ] {
        assert_eq!(summary[key], value, "{key}");
    }
    for key in ["adapter", "preset"] {
        assert!(!summary[key].as_str().unwrap().is_empty(), "{key}");
    }
    for network in ["teacher", "result"] {
        for key in ["val_top1", "test_top1"] {
            let share = summary[network][key].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&share), "{network}.{key}");
        }
    }
    for phase in ["teacher", "search", "finish"] {
        let speed = summary["images_per_second"][phase].as_f64().unwrap();
        assert!(speed > 0.0, "{phase}");
    }
    assert!(summary["wall_seconds"].as_f64().unwrap() > 0.0);
    let sites = summary["sites"].as_array().unwrap();
    assert_eq!(sites.len(), 6);
    assert!(sites.iter().all(|site| site["name"].is_string()));
    let sum = |key: &str| sites.iter().map(|site| site[key].as_u64().unwrap()).sum();
    let (total, kept): (u64, u64) = (sum("total"), sum("kept"));
    assert_eq!((total, kept), (TOTAL, 89));

    for file in ["config.toml", "metrics.jsonl"] {
        assert!(out.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    let names: Vec<String> = contents(out)
        .keys()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let events = |name: &String| name.starts_with("events.out.tfevents.");
    assert!(names.iter().any(events), "{names:?}");
    assert!(!names.iter().any(|name| name.ends_with(".partial")));
    // The last two of those that follow each other, and the named ones.
    let rolling = |name: &&String| {
        let digits = |c: char| c.is_ascii_digit() || c == '-';
        name.ends_with(".safetensors") && name.contains(digits) && !name.contains("best")
    };
    assert_eq!(names.iter().filter(rolling).count(), 2, "{names:?}");
}

#[test]
fn the_budget_is_met_exactly_whatever_it_is() {
    let root = TempDir::new().unwrap();
    // From a given teacher, and with as little training as there can be.
    let teacher = finished().to_str().unwrap();
    for (budget, count) in [
        ("0", 0),
        ("1", 1),
        ("17", 17),
        ("0.5k", 500),
        ("100%", TOTAL),
    ] {
        let out = root.path().join(budget);
        let more = [
            "--teacher",
            teacher,
            "--search-epochs",
            "1",
            "--finish-epochs",
            "0",
        ];
        let output = succeed(search(&out, &more).args(["--budget", budget]));
        let summary = json(out.join("summary.json"));
        assert_eq!(summary["relu_budget"], count, "{budget}");
        assert_eq!(summary["relu_count"], count, "{budget}");
        let sites = summary["sites"].as_array().unwrap();
        let kept: u64 = sites
            .iter()
            .map(|site| site["kept"].as_u64().unwrap())
            .sum();
        assert_eq!(kept, count, "{budget}");
        let table = text(&output.stdout);
        let row = table.lines().find(|line| line.starts_with("AutoReP"));
        let cell = row.unwrap().split_whitespace().nth(1).unwrap();
        assert_eq!(cell, count.to_string(), "{table}");
        assert!(table.contains("teacher, all ReLU"), "{table}");
        assert!(table.contains(out.to_str().unwrap()), "{table}");
    }
}

#[test]
fn json_is_all_there_is_on_standard_output() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("run");
    let teacher = finished().to_str().unwrap();
    let more = [
        "--teacher",
        teacher,
        "--search-epochs",
        "1",
        "--finish-epochs",
        "1",
    ];
    let output = succeed(search(&out, &more).args(["--json", "--control"]));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut summary = json(out.join("summary.json"));
    let total = summary["relu_total"].clone();
    let count = summary["relu_count"].clone();
    for (name, method, kept) in [
        ("control", "autorep", &serde_json::json!(0)),
        ("control-random", "random", &count),
        ("control-relu", "none", &total),
    ] {
        let control = json(out.join(name).join("summary.json"));
        assert_eq!(control["method"], method, "{name}");
        assert_eq!(&control["relu_count"], kept, "{name}");
        assert_eq!(control["teacher"], summary["teacher"], "the same teacher");
        summary["controls"][name] = control;
    }
    assert_eq!(printed, summary);

    // The table has a row for it, and a run that is over is told again, not done again.
    let before = contents(&out);
    let output = succeed(search(&out, &more).args(["--control", "--resume"]));
    let table = text(&output.stdout);
    for row in ["all polynomial", "drawn at random", "all ReLU, as long"] {
        assert!(table.contains(&format!("control, {row}")), "{table}");
    }
    assert_eq!(contents(&out), before);
}

#[test]
fn a_trained_teacher_can_be_searched_evaluated_and_exported() {
    let root = TempDir::new().unwrap();
    let (teacher, out) = (root.path().join("teacher"), root.path().join("search"));
    succeed(&mut train(&teacher, &[]));
    let summary = json(teacher.join("summary.json"));
    assert_eq!(summary["method"], "teacher");
    assert_eq!(summary["relu_count"], TOTAL);
    let told = succeed(&mut train(&teacher, &["--resume"]));
    assert!(text(&told.stdout).contains("test"));
    // The two kinds of run are not confused.
    let mut confused = program();
    confused.args(["search", "--resume", "--out"]).arg(&teacher);
    refused(&mut confused, &["`teacher`", "--teacher"]);
    let mut confused = program();
    confused
        .args(["train", "--resume", "--out"])
        .arg(finished());
    refused(&mut confused, &["`autorep`", "another --out"]);

    let given = [
        "--teacher",
        teacher.to_str().unwrap(),
        "--search-epochs",
        "1",
    ];
    succeed(&mut search(&out, &given));
    let searched = json(out.join("summary.json"));
    assert_eq!(searched["teacher"], summary["result"]);
    let phases = searched["images_per_second"].as_object().unwrap();
    assert!(!phases.contains_key("teacher"), "no teacher was trained");
    // The run stands on its own, whatever becomes of the teacher.
    fs::remove_dir_all(&teacher).unwrap();
    succeed(&mut on("eval", &out, &[]));
}

/// `autorep import FILE --model resnet8 --out OUT` for the tiny images.
fn import(file: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.arg("import").arg(file).arg("--out").arg(out);
    for option in [["--model", "resnet8"], ["--width", "0.25"]] {
        if !more.contains(&option[0]) {
            command.args(option);
        }
    }
    command.args(more);
    command
}

#[test]
fn imported_weights_are_a_teacher_like_any_other() {
    let root = TempDir::new().unwrap();
    let path = |name: &str| root.path().join(name);
    let weights = path("weights.safetensors");
    let options = ["--format", "safetensors", "-o", weights.to_str().unwrap()];
    succeed(&mut on(
        "export",
        &checkpoint(finished(), "teacher"),
        &options,
    ));

    let data = TINY[0].1.unwrap();
    let imported = path("imported");
    let told = succeed(&mut import(&weights, &imported, &["--data", data]));
    // Six sites' masks and polynomials are no weights.
    assert!(text(&told.stderr).contains("0 missing, 12 unused"));
    let record = json(imported.join("import.json"));
    assert_eq!(record["unused"].as_array().unwrap().len(), 12);
    let summary = json(finished().join("summary.json"));
    let evaluated = succeed(&mut on("eval", &imported, &["--json"]));
    let evaluated: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!(evaluated["top1"], summary["teacher"]["test_top1"]);
    assert_eq!(evaluated["relu_count"], TOTAL);

    let again = path("again.safetensors");
    let options = ["--format", "safetensors", "-o", again.to_str().unwrap()];
    succeed(&mut on("export", &imported, &options));
    assert!(fs::read(&again).unwrap() == fs::read(&weights).unwrap());

    let out = path("search");
    let given = [
        "--teacher",
        imported.to_str().unwrap(),
        "--search-epochs",
        "1",
    ];
    succeed(&mut search(&out, &given));
    assert_eq!(
        json(out.join("summary.json"))["teacher"],
        summary["teacher"]
    );
}

#[test]
fn logits_are_those_that_were_evaluated() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("logits.safetensors");
    // Batches that do not divide the 64 images.
    let options = ["--batch", "7", "--json", "--logits", file.to_str().unwrap()];
    let output = succeed(&mut on("eval", finished(), &options));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let bytes = fs::read(&file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let logits: Vec<f32> = bytemuck::pod_collect_to_vec(tensors.tensor("logits").unwrap().data());
    let labels: Vec<u32> = bytemuck::pod_collect_to_vec(tensors.tensor("labels").unwrap().data());
    assert_eq!((logits.len(), labels.len()), (640, 64));
    let first = |row: &[f32]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let rows = logits.chunks(10).zip(&labels);
    let hits = rows.filter(|(row, label)| first(row) == **label as usize);
    assert_eq!(result["top1"], hits.count() as f64 / 64.0);
}

#[test]
fn weights_that_do_not_fit_are_refused_and_leave_no_folder() {
    let root = TempDir::new().unwrap();
    let weights = root.path().join("weights.safetensors");
    let options = ["--format", "safetensors", "-o", weights.to_str().unwrap()];
    succeed(&mut on(
        "export",
        &checkpoint(finished(), "teacher"),
        &options,
    ));
    let broken = root.path().join("broken.safetensors");
    fs::write(&broken, "no tensors here").unwrap();
    let missing = root.path().join("missing");
    let out = root.path().join("out");
    for (file, options, words) in [
        (&missing, &[][..], &["no", "missing"][..]),
        (&broken, &[], &["broken"]),
        (
            &weights,
            &["--model", "resnet21"],
            &["resnet21", "resnet20"],
        ),
        (
            &weights,
            &["--model", "resnet18"],
            &["shape", "conv1.weight"],
        ),
        (&weights, &["--model", "resnet20"], &["lacks", "--partial"]),
        (
            &weights,
            &["--model", "efficientnet_b0"],
            &["classifier.1.weight"],
        ),
        (&weights, &["--width", "0.5"], &["shape", "another width"]),
        (&weights, &["--width", "0"], &["width"]),
        (&weights, &["--mean", "1,2"], &["--mean", "three numbers"]),
        (&weights, &["--std", "1,0,1"], &["--std", "above zero"]),
        (&weights, &["--image-size", "0"], &["--image-size 0"]),
        (&weights, &["--data", "/nowhere"], &["/nowhere"]),
    ] {
        refused(&mut import(file, &out, options), words);
        assert!(!out.exists(), "{options:?}");
    }
    let told = succeed(&mut import(
        &weights,
        &out,
        &["--model", "resnet20", "--partial"],
    ));
    assert!(text(&told.stderr).contains("layer1.2.conv1.weight"));
    refused(&mut import(&weights, &out, &[]), &["not empty", "--out"]);
}

#[test]
fn evaluation_agrees_with_the_summary() {
    let out = finished();
    let before = contents(out);
    let summary = json(out.join("summary.json"));
    for (split, network, key, images) in [
        ("test", "result", "test_top1", 64),
        ("val", "result", "val_top1", 30),
        ("test", "teacher", "test_top1", 64),
        ("val", "teacher", "val_top1", 30),
    ] {
        let file = match network {
            "result" => out.to_owned(),
            _ => checkpoint(out, "teacher"),
        };
        let output = succeed(&mut on("eval", &file, &["--split", split, "--json"]));
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(result["top1"], summary[network][key], "{split} {network}");
        assert_eq!(result["images"], images);
    }
    // The batch size is no matter; another data set of the same shape is none either.
    let output = succeed(&mut on("eval", out, &["--batch", "7", "--json"]));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["top1"], summary["result"]["test_top1"]);
    assert_eq!(result["relu_count"], 89);
    let other = ["--data", "builtin:train=20,test=40,size=8,seed=5", "--json"];
    let output = succeed(&mut on("eval", out, &other));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["images"], 40);
    assert_eq!(contents(out), before, "evaluation only reads");
}

#[test]
fn fixed_point_is_close_to_real_numbers_and_says_where_it_is_not() {
    let out = finished();
    let evaluated = |more: &[&str]| -> Value {
        let options = [&["--json", "--split", "test"], more].concat();
        serde_json::from_slice(&succeed(&mut on("eval", out, &options)).stdout).unwrap()
    };
    let summary = json(out.join("summary.json"));
    let fixed = evaluated(&["--fixed-point", "18", "--count", "64"]);
    assert_eq!(fixed["images"], 64);
    assert_eq!(fixed["truncation"], "carry");
    assert_eq!(fixed["top1_real"], summary["result"]["test_top1"]);
    let number = |value: &Value| value.as_f64().unwrap();
    let error = number(&fixed["largest_error"]);
    assert!(error > 0.0 && error < 0.1, "{error}");
    assert!(number(&fixed["agreement"]) > 0.95);
    // The summary says how large inputs grow, on images of the same set.
    for (site, range) in
        { summary["sites"].as_array().unwrap().iter() }.zip(fixed["sites"].as_array().unwrap())
    {
        assert_eq!(site["name"], range["name"]);
        let (few, many) = (number(&site["largest_input"]), number(&range["input"]));
        assert!(0.2 * many < few && few <= many, "{few} {many}");
    }
    // Two bits fewer cost about four times as much.
    let coarse = evaluated(&["--fixed-point", "16", "--engine", "spu", "--count", "64"]);
    let ratio = number(&coarse["largest_error"]) / error;
    assert!((2.0..8.0).contains(&ratio), "{ratio}");
    // In CrypTen a truncation may fail, in a small ring it will.
    let crypten = evaluated(&["--fixed-point", "16", "--count", "5"]);
    assert_eq!(crypten["truncation"], "shares");
    assert_eq!(crypten["images"], 5);
    assert!(number(&crypten["failures"]) > 0.0);
    let small = ["--fixed-point", "16", "--ring", "32", "--count", "5"];
    let small = succeed(&mut on("eval", out, &small));
    assert!(text(&small.stdout).contains("Numbers leave the ring"));
    let both = ["--fixed-point", "16", "--logits", "never"];
    refused(&mut on("eval", out, &both), &["--fixed-point", "--logits"]);
    refused(&mut on("eval", out, &["--ring", "32"]), &["--fixed-point"]);
    refused(&mut on("eval", out, &["--fixed-point", "3"]), &["4..=30"]);
}

#[test]
fn a_manifest_says_how_large_numbers_grow_where_the_summary_does() {
    let root = TempDir::new().unwrap();
    let manifest = |of: &Path, name: &str| {
        let file = root.path().join(format!("{name}.onnx"));
        let file = file.to_str().unwrap();
        let options = ["--format", "onnx", "--for", "pi", "-o", file];
        succeed(&mut on("export", of, &options));
        json(Path::new(file).with_extension("json"))
    };
    let summary = json(finished().join("summary.json"));
    let of_run = manifest(finished(), "run");
    for (site, summed) in
        { of_run["sites"].as_array().unwrap().iter() }.zip(summary["sites"].as_array().unwrap())
    {
        assert_eq!(site["name"], summed["name"]);
        assert!(site["largest_input"].as_f64().unwrap() > 0.0);
        assert!(site["farthest"].as_f64().unwrap() > 0.0);
        for key in ["largest_input", "largest_product", "farthest", "beyond"] {
            assert_eq!(site[key], summed[key], "{key}");
        }
    }
    // A checkpoint by itself has no summary.
    let of_file = manifest(&checkpoint(finished(), "result"), "file");
    assert!(of_file["sites"][0]["largest_input"].is_null());
    assert_eq!(of_file["expected"], of_run["expected"]);
    // What homomorphic encryption takes stands there as in the bill.
    let bill = succeed(&mut on(
        "cost",
        finished(),
        &["--protocol", "ckks", "--json"],
    ));
    let bill: Value = serde_json::from_slice(&bill.stdout).unwrap();
    assert!(bill["ckks"]["levels"].as_u64().unwrap() > 0);
    assert_eq!(of_run["ckks"], bill["ckks"]);
}

#[cfg(unix)]
#[test]
fn a_link_is_written_through_and_a_device_is_not_replaced() {
    use std::os::unix::fs::symlink;
    let root = TempDir::new().unwrap();
    let path = |name: &str| root.path().join(name);
    fs::write(path("shared"), "old").unwrap();
    symlink("shared", path("link")).unwrap();
    symlink("not-yet", path("ahead")).unwrap();
    symlink("/dev/null", path("null")).unwrap();
    for (name, force) in [("link", true), ("ahead", false), ("null", true)] {
        let file = path(name);
        let options = ["--format", "onnx", "-o", file.to_str().unwrap()];
        let mut command = on("export", finished(), &options);
        succeed(command.args(force.then_some("--force")));
        assert!(file.is_symlink(), "{name} was replaced");
    }
    for name in ["shared", "not-yet"] {
        assert!(path(name).metadata().unwrap().len() > 1000, "{name}");
    }
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn words_say_what_to_do_and_say_it_once() {
    let root = TempDir::new().unwrap();
    let path = |name: &str| root.path().join(name);
    // Nothing was begun here, whatever Ctrl-C has left.
    let begun = path("begun");
    fs::create_dir_all(begun.join("checkpoints")).unwrap();
    fs::write(begun.join(".lock"), "").unwrap();
    let mut resume = program();
    resume.args(["train", "--resume", "--out"]).arg(&begun);
    refused(&mut resume, &["no run that could be resumed", "--data"]);
    succeed(&mut train(&begun, &["--teacher-epochs", "1"]));
    // A run that does not say what it was trained on.
    fs::remove_file(begun.join("config.toml")).unwrap();
    refused(
        &mut on("eval", &begun, &[]),
        &["config.toml is missing", "--data"],
    );
    let data = ["--data", "builtin:train=256,test=64,size=8"];
    succeed(&mut on("eval", &begun, &data));
    // Other images do not make settings right that cannot be read.
    fs::write(begun.join("config.toml"), "batch = \"many\"").unwrap();
    refused(&mut on("eval", &begun, &data), &["config.toml", "batch"]);
    // A cause is said once.
    let mut cost = program();
    cost.args(["cost", "resnet8", "--protocol", "nosuch.toml"]);
    let error = refused(&mut cost, &["nosuch.toml"]);
    assert_eq!(error.matches("os error 2").count(), 1, "{error}");
    // Relative data were looked for somewhere.
    let nowhere = ["--data", "no/such/folder"];
    refused(
        &mut train(&path("x"), &nowhere),
        &["no/such/folder", "below"],
    );
    let much = ["--train-images", "18446744073709551615"];
    refused(
        &mut train(&path("x"), &much),
        &["18446744073709551615", "too large"],
    );
    // What hides adapters is named.
    let mut devices = program();
    devices.arg("devices").env("WGPU_BACKEND", "gl");
    refused(&mut devices, &["WGPU_BACKEND=gl", "unset"]);
    // A list of budgets is not 1,000, and none may be larger than the network.
    for (budgets, words) in [
        ("1,000", ["000", "budget"]),
        ("10%,99999999", ["99999999", "network"]),
    ] {
        let mut sweep = program();
        let out = path("sweep");
        sweep.args([
            "sweep",
            "--data",
            "builtin:train=64,test=32,size=8",
            "--model",
            "resnet8",
        ]);
        sweep.args(["--width", "0.25", "--batch", "16", "--teacher-epochs", "1"]);
        sweep
            .args(["--methods", "snl", "--budgets", budgets, "--out"])
            .arg(&out);
        refused(&mut sweep, &words);
        assert!(
            !out.join("teacher").exists(),
            "{budgets}: a teacher was trained"
        );
    }
}

#[test]
fn exports_are_written_and_never_overwritten_unasked() {
    let root = TempDir::new().unwrap();
    for format in ["onnx", "safetensors"] {
        let file = root.path().join(format);
        let name = file.to_str().unwrap();
        let options = ["--format", format, "-o", name];
        succeed(&mut on("export", finished(), &options));
        assert!(file.metadata().unwrap().len() > 1000);
        fs::write(&file, "mine").unwrap();
        refused(&mut on("export", finished(), &options), &["--force"]);
        assert_eq!(fs::read(&file).unwrap(), b"mine");
        succeed(on("export", finished(), &options).arg("--force"));
        assert!(file.metadata().unwrap().len() > 1000);
    }
    let below = root.path().join("onnx/below.onnx");
    for unwritable in [below.to_str().unwrap(), "/proc/autorep.onnx", "/"] {
        let options = ["--format", "onnx", "--force", "-o", unwritable];
        refused(&mut on("export", finished(), &options), &["cannot write"]);
    }
    let options = ["--format", "pdf", "-o", "x"];
    refused(&mut on("export", finished(), &options), &["pdf", "onnx"]);
}

// The same bits.

#[test]
fn equal_commands_give_equal_bits_and_other_seeds_others() {
    let root = TempDir::new().unwrap();
    let again = root.path().join("again");
    succeed(&mut search(&again, &["--budget", "10%"]));
    assert_same(finished(), &again);
    let other = root.path().join("other");
    succeed(&mut search(&other, &["--budget", "10%", "--seed", "1"]));
    for name in ["teacher", "result"] {
        let [a, b] = [finished(), &other].map(|run| fs::read(checkpoint(run, name)).unwrap());
        assert!(a != b, "{name}");
    }
    assert_ne!(metrics(finished()), metrics(&other));
}

/// Where to strike.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So many records of this phase are in the log.
    Records(&'static str, usize),
    /// This checkpoint exists.
    Exists(&'static str),
    /// So much time has passed.
    After(Duration),
}

impl Moment {
    fn has_come(self, out: &Path, begun: Instant) -> bool {
        match self {
            Self::After(time) => begun.elapsed() >= time,
            Self::Exists(name) => checkpoint(out, name).exists(),
            Self::Records(phase, wanted) => {
                let log = fs::read_to_string(out.join("metrics.jsonl")).unwrap_or_default();
                let start = format!("{{\"phase\":\"{phase}\"");
                log.lines().filter(|line| line.starts_with(&start)).count() >= wanted
            }
        }
    }

    /// Waits for the moment; `false` if the process came to its end before.
    fn wait(self, child: &mut Child, out: &Path) -> bool {
        let begun = Instant::now();
        while !self.has_come(out, begun) {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{self:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.try_wait().unwrap().is_none()
    }
}

/// Starts the run in `out`, or goes on with it.
fn start(out: &Path) -> Child {
    let mut command = search(out, STATEFUL);
    command.args(OFTEN).arg("--resume");
    command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Resumes the run until it ends by itself.
#[track_caller]
fn let_finish(out: &Path) {
    let output = start(out).wait_with_output().unwrap();
    let error = text(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(!error.contains("WARN"), "nothing is amiss: {error}");
    assert_same(stateful(), out);
}

#[test]
fn a_run_killed_once_ends_with_the_same_bits() {
    let root = TempDir::new().unwrap();
    for (index, moment) in [
        Moment::Records("teacher", 5),
        // Between two phases.
        Moment::Exists("teacher"),
        Moment::Records("search", 4),
        Moment::Records("finish", 1),
        // After the first of two epochs.
        Moment::Exists("finish-best"),
        // All is trained; the test images are being read.
        Moment::Exists("result"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = root.path().join(index.to_string());
        let mut child = start(&out);
        assert!(moment.wait(&mut child, &out), "{moment:?} never came");
        child.kill().unwrap();
        child.wait().unwrap();
        let summary = out.join("summary.json").exists();
        assert!(!summary, "{moment:?} came too late");
        let_finish(&out);
    }
}

#[test]
fn a_run_killed_again_and_again_ends_with_the_same_bits() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("run");
    let mut kills = 0;
    // The time from the start differs in every try, and grows: the run must get on.
    for millis in (0..).map(|i| 200 + 137 * i) {
        let moment = Moment::After(Duration::from_millis(millis));
        let mut child = start(&out);
        if !moment.wait(&mut child, &out) {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 0);
    let_finish(&out);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_so_and_ends_with_the_same_bits() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("run");
    for moment in [
        Moment::Records("teacher", 2),
        Moment::Records("search", 2),
        Moment::Records("search", 9),
        Moment::Records("finish", 1),
    ] {
        let mut child = start(&out);
        assert!(moment.wait(&mut child, &out), "{moment:?} never came");
        // Twice at once, as a terminal or `timeout` sends it to a process and to its group.
        let signal = format!("kill -INT {0}; kill -INT {0} || true", child.id());
        let interrupt = Command::new("sh").args(["-c", &signal]).status();
        assert!(interrupt.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{moment:?} {error}");
        assert!(error.contains("continue with --resume"), "{error}");
        // The last record in the log is that of the checkpoint: no step is lost.
        let last = metrics(&out).pop().unwrap();
        let (phase, step) = (last["phase"].as_str().unwrap(), &last["step"]);
        let name = format!("{phase}-{:08}", step.as_u64().unwrap());
        assert!(checkpoint(&out, &name).exists(), "{name}");
    }
    let_finish(&out);
}

#[cfg(unix)]
#[test]
fn a_run_goes_on_under_other_settings_only_when_told_to() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("run");
    let mut child = start(&out);
    let moment = Moment::Records("search", 2);
    assert!(moment.wait(&mut child, &out), "{moment:?} never came");
    let signal = format!("kill -INT {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &signal])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    let config = out.join("config.toml");
    let written = fs::read_to_string(&config).unwrap();
    let edited = written.replace("range-penalty = 1.0", "range-penalty = 2.0");
    assert_ne!(edited, written);
    fs::write(&config, &edited).unwrap();
    let again = |more: &[&str]| {
        let mut command = program();
        command
            .args(["search", "--resume", "--out"])
            .arg(&out)
            .args(more);
        command
    };
    let change = "search.range-penalty: 1.0 → 2.0";
    refused(&mut again(&[]), &[change, "--accept-changes"]);
    let told = succeed(&mut again(&["--accept-changes"]));
    assert!(text(&told.stderr).contains(change), "{told:?}");
    assert!(out.join("summary.json").exists());
}

// Folders that are there, or not.

#[test]
fn a_run_folder_is_refused_untouched_unless_it_is_resumed_as_it_was() {
    let before = contents(finished());
    refused(&mut search(finished(), &[]), &["--resume", "untouched"]);
    refused(&mut train(finished(), &[]), &["--resume", "untouched"]);
    let other = ["--resume", "--seed", "3"];
    refused(&mut search(finished(), &other), &["other settings"]);
    let other = ["--resume", "--set", "search.lambda=3"];
    refused(&mut search(finished(), &other), &["other settings"]);
    assert_eq!(contents(finished()), before);

    // It need not be told again what it was.
    let mut resume = program();
    resume.args(["search", "--resume", "--out"]).arg(finished());
    succeed(&mut resume);
    assert_eq!(contents(finished()), before);

    let root = TempDir::new().unwrap();
    fs::write(root.path().join("thesis.tex"), "mine").unwrap();
    let before = contents(root.path());
    refused(&mut search(root.path(), &[]), &["untouched"]);
    refused(&mut search(root.path(), &["--resume"]), &["no run"]);
    assert_eq!(contents(root.path()), before);
}

#[test]
fn resume_begins_a_run_where_there_is_none() {
    let root = TempDir::new().unwrap();
    let least = ["--resume", "--teacher", finished().to_str().unwrap()];
    let least = [
        &least[..],
        &["--search-epochs", "0", "--finish-epochs", "0"],
    ]
    .concat();
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    // What a process leaves that is killed before it has written anything.
    let locked = root.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::write(locked.join(".lock"), "").unwrap();
    for out in [root.path().join("absent/below"), empty, locked] {
        succeed(&mut search(&out, &least));
        assert!(out.join("summary.json").exists());
    }
}

#[test]
fn only_one_process_writes_to_a_run() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("run");
    let mut child = start(&out);
    assert!(Moment::Records("teacher", 1).wait(&mut child, &out));
    refused(
        search(&out, STATEFUL).args(OFTEN).arg("--resume"),
        &["another process"],
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

// What a user may get wrong.

#[test]
fn a_wrong_option_costs_a_message_and_no_folder() {
    let root = TempDir::new().unwrap();
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let file = |name: &str, bytes: &[u8]| {
        fs::write(path(name), bytes).unwrap();
        path(name)
    };
    let absent = path("absent");
    let syntax = file("syntax.toml", b"model = \n");
    let misspelt = file("misspelt.toml", b"[search]\nlamda = 3\n");
    let typed = file("typed.toml", b"batch = \"many\"\n");
    let binary = file("binary.toml", b"\xff\xfe\x00");
    let folder = root.path().to_str().unwrap().to_owned();
    let garbage = file("garbage.safetensors", &[7; 999]);
    let nothing = file("nothing.safetensors", b"");
    // The options, and what the message must speak of.
    let cases: &[(&[&str], &[&str])] = &[
        (&["--model", "resnet19"], &["resnet19", "resnet8"]),
        (&["--memory-gib", "-1"], &["memory-gib", "-1"]),
        (&["--budget", "897"], &["897", "896"]),
        (&["--budget", "12.9m"], &["12900000", "896"]),
        (&["--budget", "many"], &["`many`", "10%"]),
        (&["--budget", "-5"], &["`-5`", "10%"]),
        (&["--budget", "101%"], &["101%"]),
        (&["--budget", "nan"], &["`nan`"]),
        (&["--budget", "1.5"], &["`1.5`"]),
        (&["--budget", ""], &["10%"]),
        (
            &["--set", "search.lamda=3"],
            &["search.lamda", "search.lambda"],
        ),
        (&["--set", "lambda=3"], &["search.lambda"]),
        (&["--set", "lambda"], &["key=value"]),
        (&["--set", "=3"], &["there is no setting"]),
        (&["--set", "search=3"], &["there is no setting"]),
        (&["--set", "search.lambda=-1"], &["search.lambda"]),
        (&["--set", "search.lambda=nan"], &["search.lambda"]),
        (&["--set", "search.lambda=1e99"], &["search.lambda"]),
        (&["--set", "search.rate=0"], &["search.rate", "positive"]),
        (
            &["--set", "teacher.rate=-inf"],
            &["teacher.rate", "positive"],
        ),
        (&["--set", "teacher.momentum=1"], &["momentum"]),
        (&["--set", "finish.decay=nan"], &["finish", "decay"]),
        (&["--set", "clip=-1"], &["clip"]),
        (&["--set", "validation=0"], &["validation"]),
        (&["--set", "validation=1"], &["validation"]),
        (&["--set", "validation=nan"], &["validation"]),
        (&["--set", "checkpoint-minutes=0"], &["checkpoint-minutes"]),
        (
            &["--set", "checkpoint-minutes=inf"],
            &["checkpoint-minutes"],
        ),
        (&["--set", "augment.pad=-2"], &["augment.pad"]),
        (&["--set", "search.refit-every=0"], &["refit-every"]),
        (&["--set", "search.temperature=0"], &["temperature"]),
        (&["--set", "search.scale-x2=1e99"], &["scale-x2"]),
        (
            &["--set", "teacher.optimizer=lion"],
            &["teacher.optimizer", "adam"],
        ),
        (&["--degree", "3"], &["search.degree", "1 or 2"]),
        (&["--polynomial", "cubic"], &["cubic", "exact"]),
        (&["--batch", "0"], &["batch"]),
        (&["--batch", "99999999"], &["batch", "65535"]),
        (&["--batch", "-1"], &["--batch"]),
        (&["--width", "0"], &["width", "0.125"]),
        (&["--width", "-1"], &["width", "0.125"]),
        (&["--width", "1e9"], &["width", "16"]),
        (&["--width", "nan"], &["width"]),
        (&["--train-images", "1"], &["too few", "--train-images"]),
        (&["--seed", "-1"], &["--seed"]),
        (&["--image-size", "1000000"], &["--image-size", "1024"]),
        (&["--image-size", "1"], &["--image-size", "8"]),
        (
            &["--teacher-epochs", "0"],
            &["teacher.epochs", "at least 1"],
        ),
        (&["--search-epochs", "99999999"], &["search.epochs"]),
        (&["--kernels", "nonsense"], &["nonsense", "portable"]),
        (&["--adapter", "nonsense"], &["nonsense", "there are"]),
        (&["--adapter", "99"], &["99", "there are"]),
        (&["--backend", "nonsense"], &["nonsense", "vulkan"]),
        (&["--backend", "vulkan,nonsense"], &["nonsense", "metal"]),
        (&["--data", &absent], &[&absent, "builtin"]),
        (&["--data", &garbage], &["is a file"]),
        (&["--data", "builtin:size=4"], &["size=4"]),
        (&["--data", "builtin:sise=8"], &["sise", "size=16"]),
        (&["--data", "builtin:train=9999999999999"], &["train"]),
        (&["--config", &absent], &[&absent, "cannot be read"]),
        (&["--config", &folder], &[&folder, "cannot be read"]),
        (&["--config", &binary], &["UTF-8"]),
        (&["--config", &syntax], &["syntax.toml", "line 1"]),
        (&["--config", &misspelt], &["search.lamda", "search.lambda"]),
        (&["--config", &typed], &["typed.toml", "batch", "many"]),
        (&["--teacher", &absent], &[&absent]),
        (
            &["--teacher", &garbage],
            &["garbage.safetensors", "damaged"],
        ),
        (
            &["--teacher", &nothing],
            &["nothing.safetensors", "cut short"],
        ),
        (&["--teacher", &folder], &["no checkpoint"]),
    ];
    let out = root.path().join("run");
    for (options, words) in cases {
        refused(&mut search(&out, options), words);
        assert!(!out.exists(), "{options:?} left a folder behind");
    }
    // A folder that was there stays, as empty as it was.
    fs::create_dir(&out).unwrap();
    refused(&mut search(&out, &["--data", &absent]), &[&absent]);
    assert!(contents(&out).is_empty());
}

/// The number behind `option` in a text.
fn named(text: &str, option: &str) -> Option<usize> {
    let behind = text.split(option).nth(1)?.trim_start();
    let digits = behind.find(|c: char| !c.is_ascii_digit());
    behind[..digits.unwrap_or(behind.len())].parse().ok()
}

#[test]
fn a_run_that_does_not_fit_names_what_would_and_leaves_no_folder() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("run");
    // Between what one image takes and what 32 take.
    let limit = ["--memory-gib", "0.0008"];
    let words = [
        "device memory",
        "batch of 32",
        "the largest batch that fits",
    ];
    let said = refused(&mut search(&out, &limit), &words);
    assert!(!out.exists());
    let batch = named(&said, "--batch ").unwrap();
    assert!((1..32).contains(&batch), "{said}");
    let more = (batch + 1).to_string();
    refused(
        &mut search(&out, &[&limit[..], &["--batch", &more]].concat()),
        &[],
    );
    assert!(!out.exists());
    let most = batch.to_string();
    succeed(&mut train(
        &out,
        &[&limit[..], &["--batch", &most]].concat(),
    ));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_said_so() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "mine").unwrap();
    refused(&mut search(&file, &[]), &["is a file", "--out"]);
    refused(
        &mut search(&file.join("run"), &[]),
        &["cannot create", "--out"],
    );
    if cfg!(target_os = "linux") {
        refused(
            &mut search(Path::new("/proc/run"), &[]),
            &["cannot create", "--out"],
        );
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_teacher_must_fit() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("run");
    let teacher = finished().to_str().unwrap().to_owned();
    // Two classes instead of ten.
    let tree = root.path().join("tree");
    image_tree(&tree, 12);
    let tree = tree.to_str().unwrap();
    for (option, value, words) in [
        ("--width", "0.5", ["width 0.25", "width 0.5"]),
        ("--model", "resnet20", ["resnet8", "resnet20"]),
        (
            "--data",
            "builtin:train=256,test=64,size=12",
            ["8×8", "12×12"],
        ),
        ("--data", tree, ["number of classes", "10"]),
    ] {
        let options = ["--teacher", &teacher, option, value];
        let words = [&words[..], &["another model"]].concat();
        refused(&mut search(&out, &options), &words);
        assert!(!out.exists());
    }
    // A flipped bit is found, wherever it is.
    let bytes = fs::read(checkpoint(finished(), "teacher")).unwrap();
    let damaged = root.path().join("damaged.safetensors");
    let options = ["--teacher", damaged.to_str().unwrap()];
    for position in [3, 100, bytes.len() / 2, bytes.len() - 1] {
        let mut bytes = bytes.clone();
        bytes[position] ^= 0x10;
        fs::write(&damaged, bytes).unwrap();
        refused(&mut search(&out, &options), &["damaged.safetensors"]);
    }
    fs::write(&damaged, &bytes[..bytes.len() - 5]).unwrap();
    refused(&mut search(&out, &options), &["cut short"]);
    assert!(!out.exists());
}

#[test]
fn evaluation_refuses_what_does_not_fit() {
    let root = TempDir::new().unwrap();
    let absent = root.path().join("absent");
    for command in ["eval", "export"] {
        let options: &[&str] = match command {
            "export" => &["--format", "onnx", "-o", "/proc/never"],
            _ => &[],
        };
        refused(&mut on(command, &absent, options), &["no run folder"]);
        refused(&mut on(command, root.path(), options), &["no run"]);
        // A run under way has a teacher, but no result.
        let unfinished = root.path().join("unfinished");
        copy(finished(), &unfinished);
        fs::remove_file(checkpoint(&unfinished, "result")).unwrap();
        fs::remove_file(unfinished.join("summary.json")).unwrap();
        let words = ["no result yet", "--resume", "teacher.safetensors"];
        refused(&mut on(command, &unfinished, options), &words);
        fs::remove_file(checkpoint(&unfinished, "teacher")).unwrap();
        let words = ["no result yet", "--resume"];
        refused(&mut on(command, &unfinished, options), &words);
        fs::write(checkpoint(&unfinished, "result"), [0; 99]).unwrap();
        refused(&mut on(command, &unfinished, options), &["damaged"]);
        fs::remove_dir_all(&unfinished).unwrap();
    }
    let tree = root.path().join("tree");
    image_tree(&tree, 12);
    let tree = tree.to_str().unwrap();
    let nowhere = root.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for (options, words) in [
        (["--data", "builtin:size=12"], ["8×8", "12×12"]),
        (["--data", tree], ["10 classes", "has 2"]),
        (["--data", nowhere], ["nowhere", "builtin"]),
        (["--split", "all"], ["all", "val"]),
        (["--batch", "0"], ["--batch", "65535"]),
        (["--batch", "99999999"], ["--batch", "65535"]),
        (["--kernels", "nonsense"], ["nonsense", "portable"]),
        (["--adapter", "nonsense"], ["nonsense", "there are"]),
    ] {
        refused(&mut on("eval", finished(), &options), &words);
    }
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_nothing_is_lost_when_all_are() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("run");
    let mut child = start(&out);
    assert!(Moment::Records("search", 6).wait(&mut child, &out));
    child.kill().unwrap();
    child.wait().unwrap();
    let rolling = || -> Vec<PathBuf> {
        let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut paths: Vec<PathBuf> = contents(&out.join("checkpoints")).into_keys().collect();
        // In the order in which they were written; what else there is has no number.
        paths.retain(|path| name(path).ends_with(|c: char| c.is_ascii_digit()));
        paths.retain(|path| path.extension().is_some_and(|it| it == "safetensors"));
        paths
    };
    let paths = rolling();
    assert!(paths.len() >= 2);
    let newest = paths.last().unwrap();
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };

    // All of them: the run is not begun anew over what may be mended.
    let broken = root.path().join("broken");
    copy(&out, &broken);
    for path in &paths {
        let path = checkpoint(&broken, path.file_stem().unwrap().to_str().unwrap());
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 8]).unwrap();
    }
    let before = contents(&broken);
    let mut resume = program();
    resume.args(["search", "--resume", "--out"]).arg(&broken);
    refused(&mut resume, &["cut short"]);
    let after = contents(&broken);
    // A file that the killed process had not finished was never there.
    let finished = |path: &Path| !path.to_string_lossy().ends_with(".partial");
    for (path, file) in before.iter().filter(|(path, _)| finished(path)) {
        assert!(after.get(path) == Some(file), "{} changed", path.display());
    }

    // The newest: the one before will do.
    flip(newest);
    let output = start(&out).wait_with_output().unwrap();
    let error = text(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(error.contains("the checksum of"), "{error}");
    assert_same(stateful(), &out);
}

/// Two classes of 8×8 images, `each` in a class, and a few to test on.
fn image_tree(root: &Path, each: u8) {
    for (class, channel) in [("blue", 2), ("red", 0)] {
        for (split, count) in [("train", each), ("test", 6)] {
            let folder = root.join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for index in 0..count {
                let image = image::RgbImage::from_fn(8, 8, |x, y| {
                    let mut pixel = [(17 * x + 29 * y) as u8, index, index];
                    pixel[channel] = 255 - index;
                    image::Rgb(pixel)
                });
                image.save(folder.join(format!("{index}.png"))).unwrap();
            }
        }
    }
}

#[test]
fn own_images_are_read_and_what_is_wrong_with_them_is_said() {
    let root = TempDir::new().unwrap();
    let tree = root.path().join("images");
    image_tree(&tree, 60);
    fs::write(tree.join("train/red/notes.png"), "no image").unwrap();
    let data = ["--data", tree.to_str().unwrap(), "--teacher-epochs", "1"];
    let out = root.path().join("run");
    let output = succeed(&mut train(&out, &data));
    let error = text(&output.stderr);
    assert!(
        error.contains("WARN") && error.contains("1 file"),
        "{error}"
    );
    assert!(error.contains("notes.png"), "{error}");
    assert_eq!(json(out.join("summary.json"))["dataset"], "images");

    // Too many of them, and a class without any.
    let bad = root.path().join("bad");
    for index in 0..9 {
        fs::write(tree.join(format!("train/red/{index}x.png")), "no image").unwrap();
    }
    refused(
        &mut train(&bad, &data),
        &["10 of", "0x.png", "remove or replace"],
    );
    for index in 0..9 {
        fs::remove_file(tree.join(format!("train/red/{index}x.png"))).unwrap();
    }
    fs::create_dir(tree.join("train/green")).unwrap();
    refused(&mut train(&bad, &data), &["green", "fill it or remove it"]);
    fs::remove_dir_all(tree.join("test")).unwrap();
    refused(&mut train(&bad, &data), &["no test split"]);

    // CIFAR-10, cut short.
    let cifar = root.path().join("cifar");
    fs::create_dir(&cifar).unwrap();
    for batch in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
    ] {
        fs::write(cifar.join(format!("{batch}.bin")), vec![1; 3073 * 3]).unwrap();
    }
    fs::write(cifar.join("test_batch.bin"), vec![1; 3073 * 3]).unwrap();
    let names: String = (0..10).map(|index| format!("class {index}\n")).collect();
    fs::write(cifar.join("batches.meta.txt"), names).unwrap();
    let data = ["--data", cifar.to_str().unwrap()];
    refused(&mut train(&bad, &data), &["data_batch_5.bin", "missing"]);
    fs::write(cifar.join("data_batch_5.bin"), vec![1; 3073 * 3 - 1]).unwrap();
    refused(&mut train(&bad, &data), &["data_batch_5.bin", "cut short"]);
    fs::write(cifar.join("data_batch_5.bin"), vec![77; 3073 * 3]).unwrap();
    refused(&mut train(&bad, &data), &["data_batch_5.bin", "label 77"]);
    assert!(!bad.exists());
}

#[test]
fn streamed_images_train_like_resident_ones_and_survive_a_kill() {
    let root = TempDir::new().unwrap();
    let tree = root.path().join("images");
    image_tree(&tree, 60);
    let command = |name: &str, placement: &str| {
        let data = ["--data", tree.to_str().unwrap(), "--batch", "16", placement];
        let alternate = ["--set", "augment.alternate=true", "--resume"];
        let mut command = train(
            &root.path().join(name),
            &[&data[..], &alternate[..]].concat(),
        );
        command.args(OFTEN);
        command
    };
    succeed(&mut command("resident", "--resident"));
    succeed(&mut command("streamed", "--stream"));
    let out = root.path().join("killed");
    let mut child = command("killed", "--stream")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // In the middle of the second of two epochs of six steps.
    let moment = Moment::Records("teacher", 9);
    assert!(moment.wait(&mut child, &out), "{moment:?} never came");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !out.join("summary.json").exists(),
        "{moment:?} came too late"
    );
    succeed(&mut command("killed", "--stream"));
    let [resident, streamed, killed] =
        ["resident", "streamed", "killed"].map(|name| root.path().join(name));
    for other in [&streamed, &killed] {
        let teachers = [&resident, other].map(|run| fs::read(checkpoint(run, "teacher")).unwrap());
        assert!(teachers[0] == teachers[1], "{}", other.display());
        assert_eq!(metrics(&resident), metrics(other));
        let results = [&resident, other].map(|run| json(run.join("summary.json"))["result"].take());
        assert_eq!(results[0], results[1]);
    }
}

#[test]
fn a_run_that_goes_astray_says_where() {
    let root = TempDir::new().unwrap();
    // Rates at which the first steps overflow.
    for (phase, last) in [
        ("teacher", "no checkpoint"),
        ("search", "teacher.safetensors"),
    ] {
        let out = root.path().join(phase);
        let rate = format!("{phase}.rate=1e30");
        let options = ["--set", &rate, "--set", "clip=0"];
        let words = [
            "layer `",
            "step 1 of",
            phase,
            last,
            "not finite",
            &rate[..12],
        ];
        refused(&mut search(&out, &options), &words);
        assert!(!out.join("summary.json").exists());
    }
    assert!(checkpoint(&root.path().join("search"), "teacher").exists());
}

#[test]
fn devices_and_data_can_be_looked_at() {
    let output = succeed(program().args(["devices", "--json"]));
    let devices: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!devices.as_array().unwrap().is_empty());
    let output = succeed(program().args(["devices"]));
    assert!(text(&output.stdout).contains("largest binding"));
    refused(
        program().args(["devices", "--backend", "opengl"]),
        &["vulkan"],
    );

    let spec = "builtin:train=20,test=10,size=8";
    let output = succeed(program().args(["data", "info", spec, "--json"]));
    assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok());
    let root = TempDir::new().unwrap();
    let sheet = root.path().join("sheet.png");
    succeed(program().args(["data", "sheet", spec, "-o"]).arg(&sheet));
    assert!(image::open(&sheet).is_ok());
    let unwritable = root.path().join("absent/sheet.png");
    let mut command = program();
    command.args(["data", "sheet", spec, "-o"]).arg(unwritable);
    refused(&mut command, &["cannot be written"]);
    refused(
        program()
            .args(["data", "info"])
            .arg(root.path().join("nowhere")),
        &["nowhere"],
    );
}

// What the program says of itself.

/// Every command by its words, and what its --help says.
fn commands() -> Vec<(Vec<String>, String)> {
    let mut found = vec![(Vec::new(), String::new())];
    let mut next = 0;
    while next < found.len() {
        let words = found[next].0.clone();
        let help = text(&succeed(program().args(&words).arg("--help")).stdout);
        let section = help.split("\nCommands:\n").nth(1).unwrap_or_default();
        let names = section.lines().map_while(|line| {
            // Names are indented by two, the rest of a description by more.
            line.strip_prefix("  ")
                .map(|rest| rest.split(' ').next().unwrap_or_default())
        });
        for name in names.filter(|name| !name.is_empty() && *name != "help") {
            let below = words.iter().cloned().chain([name.to_owned()]);
            found.push((below.collect(), String::new()));
        }
        found[next].1 = help;
        next += 1;
    }
    found
}

/// The long options that a text names.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let heads = text.lines().map(str::trim_start);
    heads
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| {
            let start = line.find("--")?;
            let name = |c: char| c == '-' || c.is_ascii_lowercase();
            let end = line[start..].find(|c| !name(c));
            Some(&line[start..end.map_or(line.len(), |end| start + end)])
        })
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("share/man1");
    succeed(program().args(["man", "--out"]).arg(&folder));
    let mut pages: Vec<PathBuf> = contents(&folder).into_keys().collect();
    let commands = commands();
    assert!(
        commands
            .iter()
            .any(|(words, _)| words == &["data", "fetch"])
    );
    for (words, help) in &commands {
        let words = [&["autorep".to_owned()], words.as_slice()].concat();
        let path = folder.join(format!("{}.1", words.join("-")));
        let page = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{words:?} has no page"));
        let page = page.replace("\\-", "-");
        assert!(page.contains("\n.SH NAME\n"), "{words:?}");
        assert!(options(help).count() > 0, "{words:?}");
        for option in options(help) {
            assert!(page.contains(option), "{words:?} {option}");
        }
        pages.retain(|page| *page != path);
    }
    assert!(pages.is_empty(), "of no command: {pages:?}");
    let page = fs::read_to_string(folder.join("autorep.1")).unwrap();
    assert!(page.contains("WGPU_BACKEND") && page.contains("130"));

    let file = folder.join("autorep.1");
    refused(program().args(["man", "--out"]).arg(file), &["autorep.1"]);
}

#[test]
fn shells_complete_every_command() {
    let commands = commands();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = text(&succeed(program().args(["completions", shell])).stdout);
        for (words, _) in &commands {
            for word in words {
                assert!(script.contains(word.as_str()), "{shell} {word}");
            }
        }
    }
    refused(program().args(["completions", "sh"]), &["zsh"]);
}

#[cfg(unix)]
#[test]
fn bash_takes_its_completions() {
    let root = TempDir::new().unwrap();
    let script = root.path().join("autorep.bash");
    let output = succeed(program().args(["completions", "bash"]));
    fs::write(&script, output.stdout).unwrap();
    let bash = |arguments: &[&str]| {
        let mut command = Command::new("bash");
        command.args(arguments).arg(&script);
        text(&succeed(&mut command).stdout)
    };
    bash(&["-n"]);
    // As if Tab were pressed behind `autorep data fe`.
    let tab = "source $0; COMP_WORDS=(autorep data fe); COMP_CWORD=2; \
               _autorep autorep fe data; echo ${COMPREPLY[@]}";
    assert_eq!(bash(&["-c", tab]), "fetch\n");
}
