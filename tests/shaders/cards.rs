//! Whether every shader opens with a card of one form, and whether what the cards say that can be
//! checked is true: bindings, pointers into the documentation, who includes a common file.

use autorep::gpu::Gpu;
use autorep::kernels::{Compiler, Tiling, permutations, templates};
use std::collections::{BTreeSet, HashSet};

/// What a card tells, in this order.
const HEADINGS: [&str; 5] = ["Computes", "Layout", "Split", "Cost", "Dropped"];

/// The column where the text of a section begins.
const TEXT: usize = "// Computes   ".len();

/// Name and text of every template.
fn sources() -> impl Iterator<Item = (&'static str, &'static str)> {
    templates().map(|template| (template.file, template.text))
}

/// The comment that a shader opens with; in a template there are tags in between.
fn card(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| line.starts_with("//") || line.starts_with("{%"))
        .filter(|line| line.starts_with("//"))
}

/// The heading that a line of a card opens.
fn heading(line: &str) -> Option<&str> {
    let heading = line.strip_prefix("// ")?.get(..TEXT - 3)?;
    (!heading.starts_with(' ')).then(|| heading.trim_end())
}

/// A section of a card, without the comment signs.
fn section(text: &str, name: &str) -> Vec<String> {
    card(text)
        .skip_while(|line| heading(line) != Some(name))
        .enumerate()
        .take_while(|(index, line)| *index == 0 || heading(line).is_none())
        .map(|(_, line)| line.chars().skip(TEXT).collect())
        .collect()
}

/// What is wrong with the form of an expanded shader's card.
fn faults_of_form(text: &str) -> Vec<String> {
    let mut lines = card(text);
    let mut faults = Vec::new();
    let title = lines.next().unwrap_or_default();
    if !title.starts_with("// Kernel card: ") || lines.next() != Some("//") {
        faults.push("does not open with `// Kernel card: TITLE` and an empty line".to_owned());
    }
    let found: Vec<&str> = card(text).skip(2).filter_map(heading).collect();
    if found != HEADINGS {
        faults.push(format!("has the headings {found:?}, not {HEADINGS:?}"));
    }
    for line in lines {
        let indented = line.chars().skip(2).take(TEXT - 2).all(|c| c == ' ');
        if heading(line).is_none() && !(indented && line.chars().count() > TEXT) {
            faults.push(format!("has a line between the sections: {line}"));
        }
    }
    faults
}

/// The bindings of an expanded shader that its card's layout leaves out.
fn missing_bindings(text: &str) -> Vec<String> {
    let layout = section(text, "Layout");
    // Where a permutation has not all bindings, numbers are those of the one that has.
    let counts_on = layout
        .iter()
        .take(3)
        .any(|line| line.contains("without gaps"));
    let bindings = text.split("@group(0) @binding(").skip(1);
    bindings
        .filter_map(|rest| {
            let (number, rest) = rest.split_once(") var")?;
            let declared = rest.split_once(':')?.0;
            let name = declared.rsplit([' ', '>']).next()?;
            let told = layout.iter().any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let place = words.iter().position(|&word| word == name);
                place.is_some_and(|place| counts_on || words[..place].contains(&number))
            });
            (!told).then(|| format!("{number} {name}"))
        })
        .collect()
}

#[test]
fn every_shader_opens_with_a_card() {
    let gpu = Gpu::null();
    let mut seen = HashSet::new();
    let mut wrong = BTreeSet::new();
    for tiling in Tiling::ALL {
        let compiler = Compiler::new(&gpu, tiling);
        for permutation in permutations::table() {
            let recipe = permutation
                .build(&compiler)
                .unwrap_or_else(|e| panic!("{e}"));
            for (kernel, _) in &recipe.stages {
                let pipeline = &kernel.pipeline;
                if !seen.insert(pipeline.source().to_owned()) {
                    continue;
                }
                let name = pipeline.name();
                for fault in faults_of_form(pipeline.source()) {
                    wrong.insert(format!("the card of {name} {fault}"));
                }
                for binding in missing_bindings(pipeline.source()) {
                    wrong.insert(format!(
                        "the card of {name} does not lay out binding {binding}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_was_dropped_is_where_the_card_says() {
    let root = env!("CARGO_MANIFEST_DIR");
    const FILE: &str = "docs/rejected-optimizations.md";
    let told =
        std::fs::read_to_string(format!("{root}/{FILE}")).expect("the file of what was dropped");
    let headings: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("## "))
        .collect();
    let mut pointers = 0;
    for (name, source) in sources() {
        let dropped = section(source, "Dropped").join(" ");
        let Some((_, pointer)) = dropped.split_once(FILE) else {
            continue;
        };
        pointers += 1;
        let title = pointer.split('"').nth(1).unwrap_or_default();
        let known = headings
            .iter()
            .any(|h| h.trim_start_matches("## ").starts_with(title));
        assert!(
            !title.is_empty() && known,
            "{FILE} has no `{title}`, where shaders/{name} points"
        );
    }
    assert!(pointers > 5);
}

#[test]
fn common_files_say_who_uses_them() {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '/';
    for (name, source) in sources().filter(|(name, _)| name.starts_with("common/")) {
        let head = source
            .strip_prefix("{# Gives ")
            .and_then(|rest| rest.split_once("#}"));
        let (head, _) =
            head.unwrap_or_else(|| panic!("shaders/{name} does not open with `{{# Gives`"));
        let users = head.split_once("Used by ").unwrap_or_default().1;
        let told: BTreeSet<&str> = users
            .split(|c| !word(c))
            .filter(|user| !user.is_empty())
            .collect();
        let tags = [
            format!("{{% include \"{name}\""),
            format!("{{% from \"{name}\""),
        ];
        let real: BTreeSet<&str> = sources()
            .filter(|(_, source)| tags.iter().any(|tag| source.contains(tag)))
            .map(|(name, _)| name.trim_end_matches(".wgsl"))
            .collect();
        assert_eq!(told, real, "who uses shaders/{name}");
    }
}

#[test]
fn shaders_are_no_wider_than_a_page() {
    for (name, source) in sources() {
        for (index, line) in source.lines().enumerate() {
            let wide = line.chars().count() > 120;
            assert!(
                !wide,
                "shaders/{name}:{} has more than 120 columns",
                index + 1
            );
        }
    }
}

#[test]
fn faulty_cards_are_found() {
    let sound = "// Kernel card: a thing\n//\n// Computes   y = x\n// Layout     group 0\n\
                 //              0  x  f32[n]\n// Split      no\n// Cost       0\n\
                 // Dropped    nothing yet.\n\n\
                 @group(0) @binding(0) var<storage, read> x: array<f32>;";
    let faults = |text: &str| faults_of_form(text).len() + missing_bindings(text).len();
    assert_eq!(
        faults(sound),
        0,
        "{:?} {:?}",
        faults_of_form(sound),
        missing_bindings(sound)
    );
    for (from, to) in [
        ("Kernel card: ", ""),
        ("// Split      no\n", ""),
        ("Split   ", "Splits  "),
        ("// Layout     group 0\n", "//\n// Layout     group 0\n"),
        ("// Cost       0\n", "// Cost: 0\n"),
        ("0  x  f32", "1  x  f32"),
        ("0  x  f32", "0  y  f32"),
    ] {
        assert!(faults(&sound.replacen(from, to, 1)) > 0, "{from} to {to}");
    }
}
