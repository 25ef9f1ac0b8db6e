//! Whether a search searches: what it keeps follows the data and not the draw, and what is said of
//! it is true.

mod common;

use autorep::run::checkpoint::Checkpoint;
use autorep::run::model_file;
use autorep::search::agreement::{Kept, Overlap, overlap};
use common::program::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

const NETWORK: [&str; 8] = [
    "--model",
    "resnet8",
    "--width",
    "0.5",
    "--data",
    "builtin:train=1200,test=300,size=16",
    "--batch",
    "64",
];

/// A teacher for all searches, made once.
fn teacher() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("search-teacher");
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
    command.arg("search").arg("--out").arg(out);
    if !more.contains(&"--teacher") {
        command.arg("--teacher").arg(teacher());
    }
    let phases = ["--search-epochs", "4", "--finish-epochs", "0"];
    for option in NETWORK.chunks(2).chain(phases.chunks(2)) {
        if !more.contains(&option[0]) {
            command.args(option);
        }
    }
    command.args(more);
    command
}

/// The summary of a search, and what it keeps.
fn searched(out: &Path, more: &[&str]) -> (Value, Kept) {
    succeed(&mut search(out, more));
    let result = Checkpoint::load(&checkpoint(out, "result")).unwrap();
    let model = model_file::unpack(result).unwrap().model;
    let sites = model.layout.sites.iter();
    let kept = sites.flat_map(|site| &model.tensors.mask[site.range()]);
    let kept = kept.map(|&mask| mask == 1.0).collect();
    (json(out.join("summary.json")), kept)
}

#[test]
fn the_data_decide_and_not_the_draw() {
    let root = TempDir::new().unwrap();
    for granularity in ["element", "channel"] {
        let [a, b] = ["0", "1"].map(|seed| {
            let out = root.path().join(format!("{granularity}-{seed}"));
            searched(&out, &["--seed", seed, "--granularity", granularity])
        });
        for (summary, _) in [&a, &b] {
            let agreement = summary["start_agreement"].as_f64().unwrap();
            assert!(agreement.abs() < 0.5, "{granularity}: {agreement}");
        }
        let Overlap { share, chance } = overlap(&a.1, &b.1).unwrap();
        assert!(
            share > 3.0 * chance,
            "{granularity}: two seeds share {share:.3}, chance {chance:.3}"
        );
    }
    // A draw is seen to be one, and the published selection beside quadratics, too.
    let [a, b] = ["0", "1"].map(|seed| {
        let out = root.path().join(format!("random-{seed}"));
        searched(&out, &["--seed", seed, "--method", "random"])
    });
    assert_eq!(a.0["start_agreement"], 1.0);
    let Overlap { share, chance } = overlap(&a.1, &b.1).unwrap();
    assert!((0.5..2.0).contains(&(share / chance)), "{share}, {chance}");
    let (summary, _) = searched(
        &root.path().join("penalty"),
        &["--set", "search.selection=penalty"],
    );
    let agreement = summary["start_agreement"].as_f64().unwrap();
    assert!(agreement > 0.5, "{agreement}");
}

#[test]
fn the_count_follows_its_target_in_searches_short_and_long() {
    let root = TempDir::new().unwrap();
    for (budget, epochs, batch) in [("50%", "1", "128"), ("0.5%", "2", "32"), ("7", "3", "64")] {
        for method in ["autorep", "fisher", "random"] {
            let out = root.path().join(format!("{method}-{budget}"));
            let own = ["--search-epochs", epochs, "--batch", batch];
            let more = [&["--budget", budget, "--method", method][..], &own].concat();
            succeed(&mut search(&out, &more));
            let what = format!("{method}, {budget}");
            let mut steps = 0;
            for record in metrics(&out) {
                let target = record["relu_target"].as_f64();
                let (Some(target), Some(count)) = (target, record["relu_count"].as_f64()) else {
                    continue;
                };
                steps += 1;
                // What is never active is worth nothing, and goes at once.
                assert!(count <= target, "{what}: {count} of {target}");
                assert!(count > 0.75 * target.floor(), "{what}: {count} of {target}");
            }
            assert!(steps > 5, "{what}");
            let summary = json(out.join("summary.json"));
            let found = summary["search_end"]["relu_count"].as_f64().unwrap();
            let budget = summary["relu_budget"].as_f64().unwrap();
            assert!((found - budget).abs() <= 0.1 * budget, "{what}: {found}");
        }
    }
}

#[test]
fn rounds_are_spent_on_whole_sites_and_seeds_agree_on_which() {
    let root = TempDir::new().unwrap();
    let more = ["--cost", "crypten", "--budget", "33rounds"];
    let [a, b] = ["0", "1"].map(|seed| {
        let out = root.path().join(seed);
        let (summary, _) = searched(&out, &[&more[..], &["--seed", seed]].concat());
        assert_eq!(summary["granularity"], "site");
        let sites = summary["sites"].as_array().unwrap().iter();
        let kept: Vec<(u64, u64)> = sites
            .map(|site| {
                (
                    site["kept"].as_u64().unwrap(),
                    site["total"].as_u64().unwrap(),
                )
            })
            .collect();
        kept
    });
    for &(kept, total) in &a {
        assert!(kept == 0 || kept == total, "a site was torn: {a:?}");
    }
    // Nine rounds a site of ReLUs, one of squares.
    let whole = a.iter().filter(|(kept, _)| *kept > 0).count();
    assert_eq!(whole, 3, "{a:?}");
    assert_eq!(a, b, "two seeds keep other sites");
}

#[test]
fn what_is_left_of_a_budget_is_not_spent_to_harm() {
    let root = TempDir::new().unwrap();
    for budget in ["200kB", "60kB"] {
        let out = root.path().join(budget);
        let (summary, _) = searched(&out, &["--cost", "crypten", "--budget", budget]);
        let end = &summary["search_end"];
        let [before, after] = ["val_top1", "settled_val_top1"].map(|of| end[of].as_f64().unwrap());
        assert!(after >= before, "{budget}: {before} → {after}");
        let [cost, budget] = ["cost", "budget"].map(|of| summary["spent"][of].as_f64().unwrap());
        assert!(cost > 0.9 * budget, "{cost} of {budget}");
    }
}

#[test]
fn a_finish_that_only_harms_is_left_out() {
    let folder = TempDir::new().unwrap();
    let ruinous = ["--finish-epochs", "1", "--set", "finish.rate=0.03"];
    let (summary, _) = searched(&folder.path().join("run"), &ruinous);
    let settled = summary["search_end"]["settled_val_top1"].as_f64().unwrap();
    assert!(settled > 0.3, "{settled}: too little for a finish to lose");
    assert_eq!(summary["result"]["val_top1"], settled, "{summary}");
}

#[test]
fn a_last_run_trains_on_all_images_and_chooses_nothing() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("run");
    // What any choice by held-out images would have left out.
    let ruinous = [
        "--final",
        "--finish-epochs",
        "1",
        "--set",
        "finish.rate=0.03",
    ];
    let (summary, _) = searched(&out, &ruinous);
    assert_eq!(summary["all_images"], true);
    assert_eq!(summary["images"][0], 1200, "{summary}");
    let settled = summary["search_end"]["settled_val_top1"].as_f64().unwrap();
    let result = summary["result"]["val_top1"].as_f64().unwrap();
    assert!(result < settled - 0.1, "{settled} → {result}");
    // Nobody who goes on from it has images that it does not know.
    let student = root.path().join("student");
    let from = ["--teacher", out.to_str().unwrap(), "--search-epochs", "1"];
    assert_eq!(searched(&student, &from).0["teacher_split"], "unknown");
}

#[test]
fn students_hold_out_what_their_teacher_has_not_seen() {
    let root = TempDir::new().unwrap();
    let [first, second] = ["0", "5"].map(|seed| {
        let out = root.path().join(seed);
        searched(&out, &["--seed", seed, "--budget", "10%"]).0
    });
    for summary in [&first, &second] {
        assert_eq!(summary["split_seed"], 0);
        assert_eq!(summary["teacher_split"], "same");
        let own = json(teacher().join("summary.json"));
        assert_eq!(summary["teacher"]["val_top1"], own["result"]["val_top1"]);
        assert_eq!(summary["images"], own["images"]);
    }
    // One that does not say what it has seen is not believed, nor is what comes of it.
    let teacher = Checkpoint::load(&checkpoint(teacher(), "teacher")).unwrap();
    let mut metadata = teacher.metadata.clone();
    metadata.retain(|key, _| !key.starts_with("split_"));
    let silent = root.path().join("silent.safetensors");
    let tensors = teacher.tensors.clone();
    Checkpoint::new(tensors, metadata).save(&silent).unwrap();
    let (once, twice) = (root.path().join("once"), root.path().join("twice"));
    for (from, out) in [(&silent, &once), (&once, &twice)] {
        let from = ["--teacher", from.to_str().unwrap(), "--search-epochs", "1"];
        let summary = searched(out, &from).0;
        assert_eq!(summary["teacher_split"], "unknown");
    }
    // Another subset would be another split.
    let out = root.path().join("subset");
    let words = ["--train-images 500", "leave it out"];
    refused(&mut search(&out, &["--train-images", "500"]), &words);
    assert!(!out.exists());
    // `eval` looks at the same images.
    let output = succeed(&mut on(
        "eval",
        &root.path().join("5"),
        &["--split", "val", "--json"],
    ));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["top1"], second["result"]["val_top1"]);
}
