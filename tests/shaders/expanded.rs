//! Whether `shaders/expanded/` holds what the templates become in their typical shapes, and
//! nothing else.

use autorep::gpu::Gpu;
use autorep::kernels::typical::{self, COMMAND};
use autorep::kernels::{Compiler, Tiling, permutations};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is kept, by file name, with lines that end as the program writes them.
fn kept() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/expanded");
    let entries = walkdir::WalkDir::new(&root).into_iter();
    entries
        .map(|entry| entry.expect("shaders/expanded/ is readable"))
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let name = entry.path().strip_prefix(&root).expect("below the folder");
            let text = std::fs::read_to_string(entry.path()).expect("text");
            (
                name.to_string_lossy().replace('\\', "/"),
                text.replace("\r\n", "\n"),
            )
        })
        .collect()
}

#[test]
fn the_kept_expansions_are_what_the_templates_become() {
    let expansions = typical::expansions(None, |_| true).unwrap_or_else(|e| panic!("{e}"));
    let mut kept = kept();
    let mut wrong = Vec::new();
    for expansion in &expansions {
        let file = expansion.file();
        match kept.remove(&file) {
            Some(text) if text == expansion.kept() => {}
            Some(_) => wrong.push(format!("{file} is not what its template becomes")),
            None => wrong.push(format!("{file} is missing")),
        }
    }
    wrong.extend(
        kept.keys()
            .map(|file| format!("{file} is of no kernel: remove it")),
    );
    assert!(
        wrong.is_empty(),
        "shaders/expanded/ is behind the templates: {wrong:#?}\n\
         Write it anew with `{}`, and look at what changed.",
        COMMAND.replacen("autorep", "cargo run --release --", 1)
    );
}

#[test]
fn every_kernel_has_a_typical_row() {
    let gpu = Gpu::null();
    let mut kernels = BTreeSet::new();
    for tiling in Tiling::ALL {
        let compiler = Compiler::new(&gpu, tiling);
        for permutation in permutations::table() {
            let recipe = permutation
                .build(&compiler)
                .unwrap_or_else(|e| panic!("{e}"));
            let stages = recipe.stages.iter();
            kernels.extend(stages.map(|(kernel, _)| kernel.pipeline.name().to_owned()));
        }
    }
    let expansions = typical::expansions(None, |_| true).unwrap_or_else(|e| panic!("{e}"));
    let typical: BTreeSet<String> = expansions
        .iter()
        .map(|expansion| expansion.pipeline.name().to_owned())
        .collect();
    assert_eq!(
        kernels, typical,
        "kernels of the table, and rows of src/kernels/typical.rs"
    );
}

/// An expansion is to be read: the template's tags must leave no holes, and no seams.
#[test]
fn expansions_read_as_if_written_by_hand() {
    for expansion in typical::expansions(None, |_| true).unwrap_or_else(|e| panic!("{e}")) {
        let (file, text) = (expansion.file(), expansion.kept());
        let lines: Vec<&str> = text.lines().collect();
        assert!(text.ends_with('\n'), "{file} ends within a line");
        assert!(
            lines[0].chars().count() <= 120,
            "{file}: {} is long",
            lines[0]
        );
        for (index, pair) in lines.windows(2).enumerate() {
            let [line, next] = pair else { continue };
            let fault = if *line != line.trim_end() {
                "white space at the end"
            } else if line.is_empty() && (next.is_empty() || *next == "}") {
                "an empty line too many"
            } else if line.starts_with('}') && *line != "}" {
                "something behind a closing brace"
            } else if *line == "}" && !next.is_empty() {
                "no empty line behind a function"
            } else {
                continue;
            };
            panic!("{file}:{}: {fault}", index + 1);
        }
    }
}
