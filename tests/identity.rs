//! Who is which class, and which images a run was begun with: nothing goes on with other ones, and nothing
//! that is no number counts as a result.

mod common;

use common::program::*;
use image::{Rgb, RgbImage};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Images of 8×8 in folders of these names, each class of a colour of its own.
fn tree(root: &Path, classes: &[&str]) {
    for (number, class) in classes.iter().enumerate() {
        for (split, count) in [("train", 6), ("test", 2)] {
            let folder = root.join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for index in 0..count {
                let colour = Rgb([90 * number as u8, 20 * index, 200 - 60 * number as u8]);
                let image = RgbImage::from_pixel(8, 8, colour);
                image.save(folder.join(format!("{index}.png"))).unwrap();
            }
        }
    }
}

/// Options of a run on such a tree.
fn on_tree(root: &Path) -> Vec<&str> {
    let data = root.to_str().unwrap();
    vec![
        "--data",
        data,
        "--width",
        "0.25",
        "--batch",
        "4",
        "--teacher-epochs",
        "1",
    ]
}

#[test]
fn another_data_set_with_as_many_classes_is_told_apart() {
    let root = TempDir::new().unwrap();
    let path = |name: &str| root.path().join(name);
    let (ours, theirs, run) = (path("ours"), path("theirs"), path("run"));
    tree(&ours, &["ant", "bee", "cat"]);
    tree(&theirs, &["bee", "cat", "dog"]);
    succeed(&mut train(&run, &on_tree(&ours)));
    succeed(&mut on("eval", &run, &[]));
    let words = ["class 0 is `ant`", "`bee`", "data set"];
    let other = ["--data", theirs.to_str().unwrap()];
    refused(&mut on("eval", &run, &other), &words);
    let mut options = on_tree(&theirs);
    options.extend(["--teacher", run.to_str().unwrap()]);
    refused(&mut search(&path("student"), &options), &words);
    // The same classes elsewhere are the same, whatever the images.
    let copy = path("copy");
    tree(&copy, &["ant", "bee", "cat"]);
    succeed(&mut on("eval", &run, &["--data", copy.to_str().unwrap()]));
}

#[test]
fn a_run_is_not_resumed_on_other_images() {
    let root = TempDir::new().unwrap();
    let (data, run) = (root.path().join("data"), root.path().join("run"));
    tree(&data, &["ant", "bee"]);
    let mut options = on_tree(&data);
    succeed(&mut train(&run, &options));
    let resume = || {
        // More epochs would be another run; a finished one reads its images all the same.
        let mut command = program();
        command.args(["train", "--resume", "--out"]).arg(&run);
        command
    };
    fs::remove_file(run.join("summary.json")).unwrap();
    succeed(&mut resume());
    // The classes swap their images, as when folders are renamed.
    for split in ["train", "test"] {
        let at = |name: &str| data.join(split).join(name);
        fs::rename(at("ant"), at("cow")).unwrap();
        fs::rename(at("bee"), at("ant")).unwrap();
        fs::rename(at("cow"), at("bee")).unwrap();
    }
    fs::remove_file(run.join("summary.json")).unwrap();
    let words = ["not those that this run was begun with", "--teacher"];
    refused(&mut resume(), &words);
    // Another run from its teacher is what the message offers.
    options.extend(["--teacher", run.to_str().unwrap()]);
    succeed(&mut search(&root.path().join("student"), &options));
}

#[cfg(unix)]
#[test]
fn a_class_may_be_called_anything() {
    let root = TempDir::new().unwrap();
    let (data, run) = (root.path().join("data"), root.path().join("run"));
    tree(&data, &["two\nlines", "[\"quoted\"]", "plain"]);
    succeed(&mut train(&run, &on_tree(&data)));
    let evaluated = succeed(&mut on("eval", &run, &["--json"]));
    assert!(text(&evaluated.stdout).contains("\"images\": 6"));
}

#[test]
fn an_evaluation_that_comes_to_nothing_is_no_result() {
    let root = TempDir::new().unwrap();
    let run = root.path().join("run");
    // The last step leaves weights that no activation survives, and no step is left to notice.
    let wild = [
        "--teacher-epochs",
        "1",
        "--batch",
        "4096",
        "--set",
        "teacher.rate=1e30",
    ];
    let error = refused(
        &mut train(&run, &wild),
        &["not finite", "layer `", "teacher.rate"],
    );
    assert!(error.contains("held-out images"), "{error}");
    assert!(!run.join("summary.json").exists());
}
