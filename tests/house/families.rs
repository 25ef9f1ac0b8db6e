//! Whether every family of kernels has all that belongs to it, under one name: a module, shaders, a
//! twin, tests, permutations. Cards and kept expansions are for tests/shaders to judge.

use crate::root;
use autorep::kernels::{FAMILIES, Family};
use std::collections::BTreeSet;
use std::path::Path;

/// What a family lacks, below `root`.
fn faults(family: &Family, root: &Path) -> Vec<String> {
    let name = family.name;
    let mut faults = Vec::new();
    for (what, folder) in [
        ("module", "src/kernels"),
        ("twin", "src/reference"),
        ("tests", "tests/kernels"),
    ] {
        let file = format!("{folder}/{name}.rs");
        let module = format!("{folder}/{name}/mod.rs");
        if !root.join(&file).is_file() && !root.join(&module).is_file() {
            faults.push(format!(
                "the family {name} has no {what}: {file} or {module}"
            ));
        }
    }
    if family.templates.is_empty() {
        faults.push(format!("the family {name} has no shader"));
    }
    for template in family.templates {
        let stem = template.file.trim_end_matches(".wgsl");
        let in_folder = stem
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('/'));
        if stem != name && !in_folder {
            faults.push(format!(
                "shaders/{stem}.wgsl does not have its family's name, {name}"
            ));
        }
    }
    if family.permutations().is_empty() {
        faults.push(format!("the family {name} lists no permutations"));
    }
    faults
}

#[test]
fn every_family_has_all_that_belongs_to_it() {
    let faults: Vec<String> = FAMILIES
        .iter()
        .flat_map(|family| faults(family, root()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_module_with_a_shader_is_in_the_list() {
    let listed: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(listed.len(), FAMILIES.len(), "a family is listed twice");
    let mut found = BTreeSet::new();
    let modules = root().join("src/kernels");
    for entry in walkdir::WalkDir::new(&modules) {
        let path = entry.expect("src/kernels is readable").into_path();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.contains("const FAMILY: Family") {
            let place = path.strip_prefix(&modules).expect("below the room");
            let place = place.to_string_lossy().replace('\\', "/");
            let name = place.trim_end_matches(".rs").trim_end_matches("/mod");
            found.insert(name.to_owned());
        }
    }
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(
        found, listed,
        "modules with a family, and FAMILIES in src/kernels/mod.rs"
    );
}

#[test]
fn what_is_missing_is_found() {
    let nowhere = root().join("docs");
    for family in FAMILIES {
        assert_eq!(faults(family, &nowhere).len(), 3, "{}", family.name);
    }
}
