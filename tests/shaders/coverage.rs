//! Whether the table of permutations takes every arm of every template: a comment is set at
//! the start of each arm, and must turn up in some expansion.

use autorep::gpu::Gpu;
use autorep::kernels::{Compiler, Tiling, permutations, templates};
use std::collections::{BTreeSet, HashSet};

/// The template with a comment at the start of each arm of its conditions. An `if` that stands
/// alone gets an `else`: not taking it is an arm, too.
fn mark(name: &str, source: &str) -> String {
    let mut marked = String::new();
    // For each open block whether it is an `if`, and whether that has another arm.
    let mut open: Vec<(bool, bool)> = Vec::new();
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let end = start + rest[start..].find("%}").expect("an end of the block") + 2;
        let line = 1 + source[..source.len() - rest.len() + start]
            .matches('\n')
            .count();
        let tag = &rest[start..end];
        let mark = |arm: &str| format!("/*{name}:{line} {arm}*/");
        let word = tag
            .trim_matches(['{', '%', '-', '}', ' '])
            .split_whitespace()
            .next()
            .unwrap_or_default();
        marked.push_str(&rest[..start]);
        match word {
            "if" | "for" | "macro" => open.push((word == "if", false)),
            "else" | "elif" => open.last_mut().expect("an open block").1 = true,
            "endif" => {
                let (_, has_other) = open.pop().expect("an open block");
                if !has_other {
                    marked += &format!("{{% else %}}{}", mark("without"));
                }
            }
            "endfor" | "endmacro" => {
                open.pop();
            }
            _ => {}
        }
        marked.push_str(tag);
        let in_condition = open.last().is_some_and(|&(is_if, _)| is_if);
        if matches!(word, "if" | "elif" | "else") && in_condition {
            marked += &mark(word);
        }
        rest = &rest[end..];
    }
    marked + rest
}

/// All marks in a text.
fn marks(text: &str) -> impl Iterator<Item = &str> {
    text.split("/*")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("*/")?.0))
}

#[test]
fn every_arm_of_every_template_is_taken() {
    let gpu = Gpu::null();
    let all: BTreeSet<String> = templates()
        .flat_map(|template| {
            let marked = mark(template.file, template.text);
            marks(&marked).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert!(all.len() > 200, "{} marks", all.len());
    let mut taken = HashSet::new();
    for tiling in Tiling::ALL {
        let compiler = Compiler::with_edited_sources(&gpu, tiling, mark);
        for permutation in permutations::table() {
            let recipe = permutation
                .build(&compiler)
                .unwrap_or_else(|e| panic!("{e}"));
            for (kernel, _) in &recipe.stages {
                taken.extend(marks(kernel.pipeline.source()).map(str::to_owned));
            }
        }
    }
    let missing: Vec<&String> = all.iter().filter(|&mark| !taken.contains(mark)).collect();
    assert!(
        missing.is_empty(),
        "no permutation takes these arms; add one to its family: {missing:#?}"
    );
}

#[test]
fn every_entry_point_is_in_the_table() {
    let gpu = Gpu::null();
    let mut built = HashSet::new();
    for tiling in Tiling::ALL {
        let compiler = Compiler::new(&gpu, tiling);
        for permutation in permutations::table() {
            let recipe = permutation
                .build(&compiler)
                .unwrap_or_else(|e| panic!("{e}"));
            built.extend(
                recipe
                    .stages
                    .iter()
                    .map(|(kernel, _)| kernel.pipeline.name().to_owned()),
            );
        }
    }
    for template in templates() {
        let stem = template.stem();
        let mut lines = template.text.lines();
        while lines.any(|line| line.starts_with("@compute")) {
            let line = lines.next().unwrap_or_default();
            let name = line.trim_start_matches("fn ").split('(').next();
            let name = name.unwrap_or_default();
            let known = match name.contains("{{") {
                // Named after what the host asks for: at least one is.
                true => built
                    .iter()
                    .any(|b| b.split('.').next() == Some(stem.as_str())),
                false => built.contains(&format!("{stem}.{name}")),
            };
            assert!(
                known,
                "no permutation asks for `{name}` of {}",
                template.file
            );
        }
    }
}

#[test]
fn every_shader_file_is_a_template() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut files = BTreeSet::new();
    for entry in walkdir::WalkDir::new(&root) {
        let entry = entry.expect("shaders/ is readable");
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(&root).expect("below shaders/");
            if !name.starts_with("expanded") {
                files.insert(name.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    let templates: BTreeSet<String> = templates().map(|t| t.file.to_owned()).collect();
    assert_eq!(
        files, templates,
        "shaders/ and the templates of src/kernels/"
    );
}

#[test]
fn marks_stand_at_every_arm() {
    let marked = mark(
        "t",
        "{% if a %}\n1\n{% elif b %}2{% endif %}\n{% for x in y %}{% else %}{% endfor %}",
    );
    let found: Vec<&str> = marks(&marked).collect();
    assert_eq!(found, ["t:1 if", "t:3 elif"]);
    let marked = mark(
        "t",
        "{% if a -%} 1 {% else %} {% if b %}2{% endif %}{% endif %}",
    );
    assert_eq!(marks(&marked).count(), 4);
}
