//! The plan as docs/architecture.md draws it, and the code beside it.

use crate::{house, root};
use std::collections::{BTreeMap, BTreeSet};

/// The rooms that each room may import, from the table of rooms: `| room | what | imports |`.
fn table(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    section(text, "The rooms")
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').collect();
            let [room, .., imports] = cells.as_slice() else {
                return None;
            };
            let room = words(room).next()?;
            Some((room, words(imports).collect()))
        })
        .collect()
}

/// The words in backticks.
fn words(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// What stands below a heading of the second degree, up to the next.
pub fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let start = text
        .find(&format!("\n## {heading}"))
        .unwrap_or_else(|| panic!("no section `{heading}`"));
    let section = &text[start + 1..];
    let end = section.find("\n## ").unwrap_or(section.len());
    &section[..end]
}

/// Files and folders of the project that a text names in backticks or links to.
pub fn paths(text: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 9] = [
        "src/",
        "shaders/",
        "tests/",
        "docs/",
        "benches/",
        "examples/",
        "scripts/",
        "assets/",
        ".ci/",
    ];
    text.split(['`', '(', ')', ' ', '\n', ','])
        .map(|word| word.trim_end_matches(['.', ':', ';']))
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        // Patterns, and places that a reader has to make.
        .filter(|word| !word.contains(['*', '{', '<', '…']) && !word.contains("NAME"))
        .map(|word| word.split('#').next().unwrap_or(word))
}

#[test]
fn rooms_import_what_the_plan_lets_them() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).expect("a text");
    let plan = table(&text);
    let mut real: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (room, from, file) in house().room_imports() {
        real.entry(room).or_default().insert(from, file);
    }
    let mut faults = Vec::new();
    for (room, imports) in &real {
        let Some(allowed) = plan.get(room) else {
            faults.push(format!("the plan has no room `{room}`"));
            continue;
        };
        for (from, file) in imports {
            if !allowed.contains(from) {
                faults.push(format!(
                    "`{room}` may not import `{from}`, as src/{file} does"
                ));
            }
        }
    }
    for (room, allowed) in &plan {
        let folder = root().join("src").join(room);
        if !folder.is_dir() && !folder.with_extension("rs").is_file() {
            faults.push(format!("the plan's room `{room}` does not exist"));
        }
        for from in allowed {
            if !real
                .get(room)
                .is_some_and(|imports| imports.contains_key(from))
            {
                faults.push(format!(
                    "`{room}` does not import `{from}`: the plan need not let it"
                ));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "the table in docs/architecture.md and src/: {faults:#?}"
    );
}

#[test]
fn rooms_do_not_import_each_other() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).expect("a text");
    let mut left = table(&text);
    assert!(left.len() > 12, "{} rooms", left.len());
    // Rooms whose imports are all placed go next; what can never go is a circle.
    let mut placed = BTreeSet::new();
    while let Some(room) = left
        .iter()
        .find(|(_, imports)| imports.is_subset(&placed))
        .map(|(room, _)| room.clone())
    {
        left.remove(&room);
        placed.insert(room);
    }
    assert!(left.is_empty(), "these rooms import in a circle: {left:#?}");
}

#[test]
fn tables_and_paths_are_read() {
    let text = "# House\n\n## The rooms\n\n| Room | Has | Imports |\n|---|---|---|\n\
                | `gpu` | `src/gpu/tape.rs` | `files` |\n| `files` | writes | |\n\n## Else\n| `no` | |";
    let plan = table(text);
    assert_eq!(plan.len(), 2);
    assert_eq!(plan["gpu"], BTreeSet::from(["files".to_owned()]));
    assert!(plan["files"].is_empty());
    let text = "[map](docs/map.md#rooms), `src/a.rs`, `src/*/b.rs` and `cargo x --out docs/y`.";
    let found: Vec<&str> = paths(text).collect();
    assert_eq!(found, ["docs/map.md", "src/a.rs", "docs/y"]);
}
