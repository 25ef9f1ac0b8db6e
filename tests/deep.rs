//! A deep network and what it loses with its ReLUs, at the defaults: eighteen sites, on the built-in
//! data, from the outside.

mod common;

use common::program::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

const NETWORK: [&str; 8] = [
    "--model",
    "resnet20",
    "--width",
    "0.5",
    "--data",
    "builtin:train=1500,test=500,size=16",
    "--batch",
    "64",
];

/// A teacher for all searches, made once.
fn teacher() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deep-teacher");
        if out.exists() {
            fs::remove_dir_all(&out).unwrap();
        }
        let mut command = program();
        command.arg("train").arg("--out").arg(&out).args(NETWORK);
        succeed(command.args(["--teacher-epochs", "5"]));
        out
    })
}

fn search(out: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.arg("search").arg("--out").arg(out).args(NETWORK);
    command.arg("--teacher").arg(teacher());
    command.args(["--search-epochs", "4", "--finish-epochs", "4"]);
    command.args(more);
    command
}

#[test]
fn eighteen_sites_give_up_their_relus_and_lose_little() {
    let root = TempDir::new().unwrap();
    for (budget, least) in [("10%", 0.04), ("2%", 0.05), ("0", 0.06)] {
        let out = root.path().join(budget);
        succeed(&mut search(&out, &["--budget", budget]));
        let summary = json(out.join("summary.json"));
        let [teacher, result] = ["teacher", "result"].map(|of| {
            let top1 = summary[of]["test_top1"].as_f64();
            top1.unwrap()
        });
        assert!(teacher > 0.8, "the teacher knows little: {teacher}");
        assert!(
            result > teacher - least,
            "budget {budget}: {result}, its teacher {teacher}"
        );
        // What polynomials were given is on record, site by site.
        let log = metrics(&out);
        let told = log
            .iter()
            .filter(|record| record.get("kurtosis/layer3.2.act2").is_some());
        assert_eq!(told.count(), 8, "an epoch each");
    }
}

#[test]
fn a_search_that_has_blown_up_stops_and_says_what_to_try() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("run");
    let options = ["--budget", "0", "--polynomial", "exact"];
    let words = ["blown up", "layer", "--polynomial hermite", "checkpoint"];
    refused(&mut search(&out, &options), &words);
}
