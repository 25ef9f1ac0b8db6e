//! Holds the house to its plan: who may import whom, no circles, `wgpu` in one room only, no
//! function too long to be read at once, every family of kernels with all that belongs to it, and
//! documents that name files which exist. The plan itself is a table in docs/architecture.md.

mod families;
mod plan;
mod source;

use source::House;
use std::path::{Path, PathBuf};

/// Most lines of a function.
const LINES: usize = 120;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn house() -> House {
    House::read(&root().join("src"))
}

#[test]
fn no_circles() {
    let house = house();
    let mut found = String::new();
    for circle in house.circles() {
        found += "\nThese files import each other:\n";
        for file in &circle {
            for (from, names) in house.imports(file) {
                if circle.contains(&from) {
                    found += &format!("  {file} takes {} from {from}\n", names.join(", "));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn no_function_is_too_long() {
    let house = house();
    let long: Vec<_> = house
        .functions()
        .filter(|(_, _, lines)| *lines > LINES)
        .collect();
    assert!(house.functions().count() > 1000);
    assert!(long.is_empty(), "over {LINES} lines: {long:#?}");
}

#[test]
fn wgpu_stays_in_its_room() {
    let house = house();
    let files = house.crates("wgpu");
    let (inside, outside): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.starts_with("gpu/"));
    assert!(!inside.is_empty());
    assert!(
        outside.is_empty(),
        "only src/gpu/ may name wgpu: {outside:?}"
    );
}

/// A house of two rooms, to show that the checks find what they look for.
fn faulty() -> House {
    let texts = [
        (
            "lower/mod.rs",
            "mod one; mod two; pub use one::One; pub use two::Two;",
        ),
        (
            "lower/one.rs",
            "use super::Two; pub(in crate::upper) struct One(Two);",
        ),
        (
            "lower/two.rs",
            "pub struct Two; // crate::upper\n fn f() {\n let _ = \"crate::upper\"; }",
        ),
        (
            "upper.rs",
            "use crate::lower::{self as below, One}; fn g() { wgpu::Device::f(crate::lower::Two) }",
        ),
    ];
    House::of(
        texts
            .map(|(place, text)| (place.to_owned(), text.to_owned()))
            .into(),
    )
}

#[test]
fn a_circle_through_a_reexport_is_found() {
    assert!(faulty().circles().is_empty());
    let texts = [
        ("lower/mod.rs", "mod one; mod two; pub use two::Two;"),
        ("lower/one.rs", "use super::Two; pub struct One;"),
        ("lower/two.rs", "pub struct Two(super::one::One);"),
    ];
    let texts = texts.map(|(place, text)| (place.to_owned(), text.to_owned()));
    let circles = House::of(texts.into()).circles();
    assert_eq!(circles, [["lower/one.rs", "lower/two.rs"]]);
}

#[test]
fn imports_crates_and_lengths_are_found() {
    let house = faulty();
    let imports: Vec<_> = house.room_imports().into_iter().collect();
    let upper = ["upper", "lower", "upper.rs"].map(str::to_owned);
    assert_eq!(imports, [upper.into()]);
    assert_eq!(house.crates("wgpu"), ["upper.rs"]);
    let lengths: Vec<_> = house.functions().collect();
    assert_eq!(lengths, [("lower/two.rs", "f", 2), ("upper.rs", "g", 1)]);
}

#[test]
fn every_file_that_a_document_names_exists() {
    let mut missing = Vec::new();
    let mut named = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a text");
        for path in plan::paths(&text) {
            named += 1;
            if !root().join(path).exists() {
                let document = document.strip_prefix(root()).expect("below the root");
                missing.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert!(named > 100, "{named} files named");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// What newcomers read.
fn documents() -> impl Iterator<Item = PathBuf> {
    let names = [
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/derivations.md",
    ];
    names.into_iter().map(|name| root().join(name))
}

#[test]
fn walks_name_files_in_the_order_of_the_work() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).expect("a text");
    for (walk, first, last) in [
        (
            "One training step",
            "src/train/phase.rs",
            "src/run/metrics.rs",
        ),
        ("One mask", "src/search/pipeline.rs", "src/export/onnx.rs"),
    ] {
        let section = plan::section(&text, walk);
        let paths: Vec<&str> = plan::paths(section).collect();
        let place = |path| paths.iter().position(|&p| p == path);
        let (from, to) = (place(first), place(last));
        assert!(
            from.is_some() && to.is_some() && from < to && paths.len() > 8,
            "the walk `{walk}` goes from {first} to {last}, through {paths:?}"
        );
    }
}
