//! Faults planted in every shader: the share of them that is found says what the tests are worth.
//!
//! `make mutants` runs all tests of this program once more in a process that, after each dispatch, runs it
//! again with one thing in the shader's text wrong at a time: a barrier gone, an index one too far, a bound moved,
//! a store gone, another operator. A mutant dies where the emulator finds a fault or the result is another one.
//! Places are those of the templates: a mutant of one expansion is the same as that of another, and so are those of
//! lines that a template repeats with other numbers.

use autorep::emulator::{Buffer, Outcome, Program, Run};
use autorep::kernels::{Kernel, Tiling};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::sync::{Mutex, OnceLock};

/// Names the file that mutants are reported to, in the process that tries them.
const REPORT: &str = "AUTOREP_TEST_MUTANTS";
/// Tilings whose expansions are mutated.
pub const TILINGS: [Tiling; 2] = [Tiling::Portable, Tiling::Cpu { lanes: 8 }];
/// Most instructions of a dispatch that is repeated for mutants.
const MOST_INSTRUCTIONS: u64 = 2_000_000;
/// Dispatches that a mutant may survive. Tests come to their awkward shapes after dozens of ordinary ones.
const TRIES: u32 = 64;
/// Share of the mutants of memory and order that must die.
const LEAST: f64 = 0.95;

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Barrier,
    Index,
    Bound,
    Store,
    Operator,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Barrier,
        Self::Index,
        Self::Bound,
        Self::Store,
        Self::Operator,
    ];

    fn is_of_memory(self) -> bool {
        self != Self::Operator
    }
}

/// A text with one thing changed.
struct Mutant {
    kind: Kind,
    /// The line as it was, its numbers left out, what was put where, and the lines around, which tell it from others
    /// like it.
    place: String,
    source: String,
}

/// Whether this process tries mutants.
pub fn are_wanted() -> bool {
    std::env::var_os(REPORT).is_some()
}

/// Of each line of a text, whether it belongs to a function that a dispatch came by.
fn reached(source: &str, counts: &BTreeMap<u32, u64>) -> Vec<bool> {
    let mut reached = vec![false; source.lines().count()];
    let mut first = 0;
    for (number, line) in source.lines().enumerate() {
        if line.starts_with("fn ") {
            first = number;
        }
        if line.starts_with('}') {
            let mut lines = counts.range(first as u32 + 1..=number as u32 + 1);
            let is_any = lines.next().is_some();
            reached[first..=number].fill(is_any);
        }
    }
    reached
}

/// All mutants of the lines of a text that are reached: what a template includes for others is not of the kernel.
fn mutants(source: &str, reached: &[bool]) -> Vec<Mutant> {
    let mut found = Vec::new();
    let mut start = 0;
    let lines: Vec<&str> = source.split_inclusive('\n').collect();
    for (number, &line) in lines.iter().enumerate() {
        let beside = |number: usize| lines.get(number).map_or("", |line| line.trim());
        let before = shape(beside(number.wrapping_sub(1)));
        let after = shape(beside(number + 1));
        let code = line.find("//").map_or(line, |at| &line[..at]);
        // Declarations have types in brackets; the bodies of functions are indented.
        if code.starts_with(' ') && reached[number] {
            for (kind, at, length, new) in edits(code) {
                let (from, to) = (start + at, start + at + length);
                let place = format!(
                    "{}: {} at {at}, between {before} and {after}",
                    shape(code.trim()),
                    shape(&new)
                );
                let source = [&source[..from], &new, &source[to..]].concat();
                found.push(Mutant {
                    kind,
                    place,
                    source,
                });
            }
        }
        start += line.len();
    }
    found
}

/// A text without its numbers, which differ between expansions.
fn shape(text: &str) -> String {
    let mut shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '#' } else { c })
        .collect();
    while shape.contains("##") {
        shape = shape.replace("##", "#");
    }
    shape
}

/// What can be changed in a line: its kind, where, how many bytes, and what takes their place.
fn edits(code: &str) -> Vec<(Kind, usize, usize, String)> {
    let mut edits = Vec::new();
    for barrier in [
        "workgroupBarrier();",
        "storageBarrier();",
        "textureBarrier();",
    ] {
        for (at, _) in code.match_indices(barrier) {
            edits.push((Kind::Barrier, at, barrier.len(), String::new()));
        }
    }
    for (open, _) in code.match_indices('[') {
        if let Some(close) = closing(code, open)
            && code[..open].ends_with(|c: char| c.is_alphanumeric() || "_])".contains(c))
        {
            let index = &code[open + 1..close];
            edits.push((Kind::Index, open + 1, index.len(), format!("({index}) + 1")));
        }
    }
    for (old, new) in [
        (" < ", " <= "),
        (" <= ", " < "),
        (" > ", " >= "),
        (" >= ", " > "),
        (" == ", " != "),
    ] {
        for (at, _) in code.match_indices(old) {
            // Which of two floats is larger is a matter of numbers, not of memory or order.
            let kind = match starts_with_float(&code[at + old.len()..]) {
                true => Kind::Operator,
                false => Kind::Bound,
            };
            edits.push((kind, at, old.len(), new.to_owned()));
        }
    }
    let text = code.trim();
    let is_store = text
        .split_once(" = ")
        .is_some_and(|(target, _)| target.ends_with(']'))
        && !text.starts_with("let ")
        && !text.starts_with("var ");
    if (is_store || text.starts_with("textureStore(")) && text.ends_with(';') {
        let at = code.len() - code.trim_start().len();
        edits.push((Kind::Store, at, text.len(), String::new()));
    }
    for (old, new) in [
        (" + ", " - "),
        (" - ", " + "),
        (" * ", " + "),
        (" += ", " -= "),
        ("max(", "min("),
        ("min(", "max("),
    ] {
        for (at, _) in code.match_indices(old) {
            edits.push((Kind::Operator, at, old.len(), new.to_owned()));
        }
    }
    edits
}

/// Whether a text begins with a number with a point, perhaps in all components of a vector.
fn starts_with_float(text: &str) -> bool {
    let number = text
        .trim_start_matches("Lane(")
        .trim_start_matches("vec4f(");
    let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < number.len() && rest.starts_with('.')
}

/// Where a bracket closes.
fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, letter) in code[open..].char_indices() {
        depth += i32::from(letter == '[') - i32::from(letter == ']');
        if depth == 0 {
            return Some(open + at);
        }
    }
    None
}

/// Runs a dispatch again with every mutant that is still alive, and reports those that die, and those that do not.
pub fn try_all(kernel: &Kernel, settings: &Run, buffers: &[Buffer], right: &Outcome) {
    type Key = (String, Kind, String);
    static ALIVE: OnceLock<Mutex<HashMap<Key, Option<u32>>>> = OnceLock::new();
    let Some(file) = std::env::var_os(REPORT) else {
        return;
    };
    if right.counts.instructions > MOST_INSTRUCTIONS {
        return;
    }
    let name = kernel.pipeline.name();
    let settings = Run {
        budget: 1_000_000,
        most_instructions: 20 * right.counts.instructions + 1_000_000,
        ..settings.clone()
    };
    let mut report = String::new();
    let mut seen = HashSet::new();
    let source = kernel.pipeline.source();
    for mutant in mutants(source, &reached(source, &right.counts.lines)) {
        let key = (name.to_owned(), mutant.kind, mutant.place.clone());
        if !seen.insert(key.clone()) {
            continue;
        }
        let mut alive = ALIVE.get_or_init(Mutex::default).lock().unwrap();
        // Dead already, or tried often enough.
        let tries = alive.entry(key).or_insert(Some(0));
        let Some(before) = tries.filter(|&tries| tries < TRIES) else {
            continue;
        };
        let Some(how) = fate(
            &mutant.source,
            kernel.pipeline.entry(),
            &settings,
            buffers,
            right,
        ) else {
            continue;
        };
        *tries = if how == "survived" {
            Some(before + 1)
        } else {
            None
        };
        report += &format!("{name}\t{:?}\t{}\t{how}\n", mutant.kind, mutant.place);
    }
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .unwrap();
    file.write_all(report.as_bytes()).unwrap();
}

/// How a mutant ends; `None` where it is no shader.
fn fate(
    source: &str,
    entry: &str,
    settings: &Run,
    buffers: &[Buffer],
    right: &Outcome,
) -> Option<&'static str> {
    let module = naga::front::wgsl::parse_str(source).ok()?;
    let flags =
        naga::valid::ValidationFlags::all() - naga::valid::ValidationFlags::CONTROL_FLOW_UNIFORMITY;
    let mut validator = naga::valid::Validator::new(flags, naga::valid::Capabilities::all());
    let info = validator.validate(&module).ok()?;
    let program = Program::new(&module, &info, entry, Some(source)).ok()?;
    for seed in [settings.seed, settings.seed + 2] {
        let Ok(outcome) = program.run(
            &Run {
                seed,
                ..settings.clone()
            },
            buffers,
        ) else {
            return Some("killed: too long");
        };
        if !outcome.findings.is_empty() {
            return Some("killed: finding");
        }
        let bytes = |outcome: &Outcome| -> Vec<Vec<u8>> {
            outcome
                .buffers
                .iter()
                .map(|buffer| buffer.bytes.clone())
                .collect()
        };
        if bytes(&outcome) != bytes(right) {
            return Some("killed: difference");
        }
    }
    Some("survived")
}

/// Heavy: `make mutants`.
#[test]
#[ignore = "takes many minutes: `make mutants`"]
fn nearly_all_mutants_of_memory_and_order_die() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut tests = std::process::Command::new(std::env::current_exe().unwrap());
    tests.args(["--test-threads", "1", "--skip", "mutants::"]);
    tests
        .env("AUTOREP_TEST_EMULATOR", "only")
        .env(REPORT, file.path());
    assert!(
        tests.status().unwrap().success(),
        "the tests fail without mutants"
    );
    let report = fs::read_to_string(file.path()).unwrap();
    let (text, share) = summary(&report);
    println!("{text}");
    assert!(
        share >= LEAST,
        "{share:.3} of the mutants of memory and order die"
    );
}

/// A table by kind, the survivors, and the share of mutants of memory and order that died.
fn summary(report: &str) -> (String, f64) {
    let mut fates: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
    for line in report.lines() {
        let mut parts = line.split('\t');
        let mut next = || parts.next().expect("four parts");
        let (key, fate) = ((next(), next(), next()), next());
        let known = fates.entry(key).or_insert(fate);
        if *known == "survived" {
            *known = fate;
        }
    }
    let mut text = String::new();
    let (mut all, mut dead) = (0, 0);
    for kind in Kind::ALL {
        let name = format!("{kind:?}");
        let of = || fates.iter().filter(|((_, kind, _), _)| *kind == name);
        let by = |how: &str| of().filter(|(_, fate)| fate.ends_with(how)).count();
        let (found, differing, long) = (by("finding"), by("difference"), by("long"));
        let killed = found + differing + long;
        text += &format!(
            "{name}: {killed} of {} killed: {found} by a finding, {differing} by the result, {long} by length\n",
            of().count()
        );
        if kind.is_of_memory() {
            all += of().count();
            dead += killed;
        }
    }
    for ((kernel, kind, place), _) in fates.iter().filter(|(_, fate)| **fate == "survived") {
        text += &format!("survived: {kernel} {kind} {place}\n");
    }
    let share = f64::from(dead as u32) / f64::from(all as u32).max(1.0);
    (
        format!("{text}memory and order: {dead} of {all} ({share:.3})"),
        share,
    )
}

#[test]
fn every_kind_of_mutant_is_made_and_summed_up() {
    let source = "
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
    if (lane < 60u) { // lane < 60u
        tile[lane] = x[y[lane]] * 2.0;
    }
    workgroupBarrier();
}";
    let found = mutants(source, &[true; 9]);
    let of = |kind| {
        found
            .iter()
            .filter(move |mutant| mutant.kind == kind)
            .map(|mutant| &mutant.source[..])
    };
    let counts = Kind::ALL.map(|kind| of(kind).count());
    assert_eq!(counts, [1, 3, 1, 1, 1]);
    assert!(of(Kind::Bound).all(|text| text.contains("if (lane <= 60u) { // lane < 60u")));
    assert!(of(Kind::Index).any(|text| text.contains("x[(y[lane]) + 1] * 2.0")));
    assert!(of(Kind::Store).all(|text| !text.contains("tile")));
    assert!(of(Kind::Barrier).all(|text| !text.contains("Barrier")));
    assert!(of(Kind::Operator).all(|text| text.contains("x[y[lane]] + 2.0")));

    let kinds = |code| {
        edits(code)
            .into_iter()
            .map(|edit| edit.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds("    if (x > 0.5) {"), [Kind::Operator]);
    assert_eq!(kinds("    if (x >= Lane(0.5)) {"), [Kind::Operator]);
    assert_eq!(kinds("    if (x > 5u) {"), [Kind::Bound]);
    // A function that nobody calls has none.
    let unused = format!("{source}\nfn unused() {{\n    workgroupBarrier();\n}}\n");
    let lines = BTreeMap::from([(4, 60), (7, 64)]);
    let of_used = mutants(&unused, &reached(&unused, &lines));
    assert_eq!(of_used.len(), found.len());
    assert_eq!(mutants(&unused, &[true; 12]).len(), found.len() + 1);

    let report = [
        "a\tIndex\tx\tsurvived",
        "a\tIndex\tx\tkilled: finding",
        "b\tStore\ty\tsurvived",
        "b\tOperator\tz\tsurvived",
    ];
    let (text, share) = summary(&report.join("\n"));
    assert_eq!(share, 0.5, "{text}");
    assert!(
        text.contains("survived: b Store y") && !text.contains("survived: a"),
        "{text}"
    );
}
