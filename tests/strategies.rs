//! Methods, granularities and costs, from the outside: every budget is kept whatever it
//! is made of, and what a killed search was in the middle of is taken up to the bit.

mod common;

use autorep::cost::Protocol;
use autorep::run::checkpoint::Checkpoint;
use autorep::run::model_file;
use autorep::search::methods;
use common::program::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A teacher for all searches, made once.
fn teacher() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("strategies-teacher");
        if out.exists() {
            fs::remove_dir_all(&out).unwrap();
        }
        succeed(&mut train(&out, &[]));
        out
    })
}

/// A search from that teacher, of an epoch and as little training after it.
fn short(out: &Path, more: &[&str]) -> Command {
    let teacher = teacher().to_str().unwrap();
    let mut command = search(out, &["--search-epochs", "1", "--finish-epochs", "1"]);
    command.args(["--teacher", teacher]).args(more);
    command
}

/// ReLUs and squares of each site, from the masks and polynomials of a run's result, and whether
/// each channel is all or nothing.
fn counted(run: &Path) -> (Vec<(u64, u64)>, bool) {
    let checkpoint = Checkpoint::load(&checkpoint(run, "result")).unwrap();
    let model = model_file::unpack(checkpoint).unwrap().model;
    let (layout, tensors) = (&model.layout, &model.tensors);
    let mut whole = true;
    let sites = layout.sites.iter().map(|site| {
        let coefficients = tensors.param(&layout.params.slots[site.coefficients]);
        let plane = site.shape.height * site.shape.width;
        let (mut relus, mut squares) = (0, 0);
        let channels = tensors.mask[site.range()].chunks_exact(plane);
        for (mask, c) in channels.zip(coefficients.chunks_exact(4)) {
            let kept = mask.iter().filter(|m| **m == 1.0).count();
            whole &= kept == 0 || kept == plane;
            relus += kept as u64;
            if c[2] != 0.0 {
                squares += (plane - kept) as u64;
            }
            assert_eq!(c[3], 0.0, "{}: a mark was left behind", site.name);
        }
        (relus, squares)
    });
    let sites: Vec<(u64, u64)> = sites.collect();
    (sites, whole)
}

/// The same from the summary.
fn summarised(summary: &Value) -> Vec<(u64, u64)> {
    let sites = summary["sites"].as_array().unwrap().iter();
    let number = |value: &Value| value.as_u64().unwrap();
    sites
        .map(|site| (number(&site["kept"]), number(&site["squares"])))
        .collect()
}

#[test]
fn every_method_and_granularity_keeps_its_budget() {
    let root = TempDir::new().unwrap();
    // Method, granularity, budget, ReLUs at least and at most. A channel of this network has 64,
    // 16 or 4 positions.
    let cases = [
        ("autorep", "element", "100", 100, 100),
        ("autorep", "channel", "100", 97, 100),
        ("autorep", "site", "300", 64, 300),
        ("fisher", "element", "100", 100, 100),
        ("fisher", "channel", "100", 97, 100),
        ("snl", "element", "100", 100, 100),
        ("snl", "channel", "100", 97, 100),
        ("autopoly", "element", "100", 100, 100),
        ("random", "element", "100", 100, 100),
        ("random", "channel", "100", 97, 100),
        ("none", "element", "0", 0, 0),
        ("none", "element", "100%", TOTAL, TOTAL),
    ];
    for method in methods::METHODS {
        let has_case = cases.iter().any(|case| case.0 == method.name);
        assert!(has_case, "method {} has no case here", method.name);
    }
    for (method, granularity, budget, least, most) in cases {
        let out = root.path().join(format!("{method}-{granularity}-{budget}"));
        let more = [
            "--method",
            method,
            "--granularity",
            granularity,
            "--budget",
            budget,
        ];
        succeed(&mut short(&out, &more));
        let summary = json(out.join("summary.json"));
        let what = format!("{method} by {granularity}");
        assert_eq!(summary["method"], method);
        assert_eq!(summary["granularity"], granularity);
        let count = summary["relu_count"].as_u64().unwrap();
        assert!(
            (least..=most).contains(&count),
            "{what}: {count} of {budget}"
        );
        assert_eq!(summary["spent"]["cost"].as_f64().unwrap(), count as f64);
        let (sites, whole_channels) = counted(&out);
        assert_eq!(sites, summarised(&summary), "{what}");
        assert_eq!(
            sites.iter().map(|(relus, _)| relus).sum::<u64>(),
            count,
            "{what}"
        );
        if granularity != "element" {
            assert!(whole_channels, "{what}: a channel was torn");
        }
        if granularity == "site" {
            let totals = summary["sites"].as_array().unwrap().iter();
            let totals = totals.map(|site| site["total"].as_u64().unwrap());
            for (&(relus, _), total) in sites.iter().zip(totals) {
                assert!(relus == 0 || relus == total, "{what}: a site was torn");
            }
        }
        if method == "snl" {
            assert!(
                sites.iter().all(|(_, squares)| *squares == 0),
                "SNL has no squares"
            );
        }
    }
}

#[test]
fn budgets_of_bytes_rounds_and_time_are_kept_at_the_prices_of_the_protocol() {
    let root = TempDir::new().unwrap();
    // CrypTen: a ReLU takes 232 bytes and 9 rounds, a square 8 bytes and one round, one after the
    // other where a site has both. All squares would cost 7168 bytes and 6 rounds; the budgets lie
    // below, so some must go.
    let compute = Protocol::find("crypten").unwrap().compute.unwrap();
    let price = |sites: &[(u64, u64)]| {
        let bytes = sites.iter().map(|(r, s)| 232 * r + 8 * s).sum::<u64>() as f64;
        let rounds = |&(relus, squares): &(u64, u64)| match (relus, squares) {
            (0, 0) => 0,
            (0, _) => 1,
            (_, 0) => 9,
            _ => 10,
        };
        let rounds = f64::from(sites.iter().map(rounds).sum::<u32>());
        // What a party computes, in milliseconds: for elements, and in every round.
        let elements = |&(relus, squares): &(u64, u64)| {
            compute.relu * relus as f64 + compute.square * squares as f64
        };
        let elements = sites.iter().map(elements).sum::<f64>();
        let computing = 1e-6 * (elements + compute.round * rounds);
        [
            bytes,
            rounds,
            bytes * 8.0 / 100e3 + 20.0 * rounds + computing,
        ]
    };
    let cases = [
        ("6kB", "element", 6000.0, 0),
        ("12kB", "channel", 12_000.0, 0),
        ("14rounds", "element", 14.0, 1),
        ("5rounds", "site", 5.0, 1),
        ("300ms", "element", 300.0, 2),
    ];
    for (budget, granularity, most, unit) in cases {
        let out = root.path().join(budget);
        let more = [
            "--cost",
            "crypten",
            "--link",
            "100mbit,20ms",
            "--granularity",
            granularity,
        ];
        succeed(short(&out, &more).args(["--budget", budget]));
        let summary = json(out.join("summary.json"));
        let (sites, _) = counted(&out);
        assert_eq!(sites, summarised(&summary), "{budget}");
        let cost = price(&sites)[unit];
        assert!(cost <= most, "{budget}: {cost}");
        let told = summary["spent"]["cost"].as_f64().unwrap();
        assert!(
            (told - cost).abs() < 1e-9 * cost,
            "{budget}: {told}, not {cost}"
        );
        assert_eq!(summary["spent"]["budget"], most, "{budget}");
        // Something of worth was bought with it.
        assert!(cost > 0.6 * most, "{budget}: only {cost} was spent");
    }
}

#[test]
fn searches_with_state_of_their_own_are_resumed_to_the_bit() {
    let root = TempDir::new().unwrap();
    let cases: [(&str, &[&str]); 4] = [
        ("snl", &["--method", "snl", "--budget", "100"]),
        (
            "bytes",
            &[
                "--cost",
                "crypten",
                "--budget",
                "6kB",
                "--micro-batches",
                "2",
                "--set",
                "finish.average-epochs=0.5",
            ],
        ),
        (
            "fisher",
            &["--method", "fisher", "--cost", "crypten", "--budget", "6kB"],
        ),
        (
            "site",
            &[
                "--cost",
                "crypten",
                "--budget",
                "9rounds",
                "--granularity",
                "site",
            ],
        ),
    ];
    for (name, more) in cases {
        let [whole, torn] = ["whole", "torn"].map(|part| root.path().join(name).join(part));
        succeed(&mut short(&whole, more));
        // A checkpoint after nearly every step, and a kill as soon as there is one.
        let often = ["--set", "checkpoint-minutes=0.00001"];
        let killed = (0..10).any(|_| {
            // One that was over before it could be killed proves nothing.
            let _ = fs::remove_dir_all(&torn);
            let mut child = short(&torn, more)
                .args(often)
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let has_begun = || {
                let entries = fs::read_dir(torn.join("checkpoints")).into_iter().flatten();
                let mut names = entries.flatten().map(|entry| entry.file_name());
                names.any(|name| name.to_string_lossy().starts_with("search-"))
            };
            while !has_begun() && child.try_wait().unwrap().is_none() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            !torn.join("summary.json").exists()
        });
        assert!(killed, "{name}: it is over before it can be killed");
        succeed(short(&torn, more).args(often).arg("--resume"));
        let [a, b] = [&whole, &torn].map(|run| fs::read(checkpoint(run, "result")).unwrap());
        assert!(a == b, "{name}: the results differ");
        // What the summary tells of is in the network: lines, for one, in spite of all that trains
        // on after the search.
        let summary = json(whole.join("summary.json"));
        let (sites, _) = counted(&whole);
        assert_eq!(sites, summarised(&summary), "{name}");
        if summary["cost"] == "crypten" && name != "site" {
            let used: u64 = sites.iter().map(|(relus, squares)| relus + squares).sum();
            assert!(used < TOTAL - 100, "{name}: there are no lines");
        }
        let log = metrics(&whole);
        assert_eq!(log, metrics(&torn), "{name}");
        assert!(log.len() > 5, "{name}");
    }
}

#[test]
fn what_does_not_go_together_costs_a_message() {
    let root = TempDir::new().unwrap();
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--method", "magic"], &["search.method", "autorep"]),
        (
            &["--granularity", "atom"],
            &["search.granularity", "channel"],
        ),
        (&["--method", "none", "--budget", "10%"], &["none", "100%"]),
        (
            &["--cost", "crypten", "--budget", "10%"],
            &["crypten", "400kB"],
        ),
        (&["--cost", "relu", "--budget", "4kB"], &["--cost"]),
        (
            &["--cost", "magic", "--budget", "4kB"],
            &["magic", "crypten"],
        ),
        (
            &["--cost", "spu-cheetah", "--budget", "4kB"],
            &["spu-cheetah", "square", "--degree 1"],
        ),
        (
            &["--cost", "crypten", "--budget", "9ms", "--link", "fast"],
            &["fast", "lan"],
        ),
        (
            &[
                "--method", "autopoly", "--cost", "crypten", "--budget", "4kB",
            ],
            &["autopoly", "autorep"],
        ),
    ];
    for (more, words) in cases {
        let out = root.path().join("run");
        refused(&mut short(&out, more), words);
        assert!(!out.exists(), "{more:?} left a folder");
    }
}
