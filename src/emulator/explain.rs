//! Findings as a compiler would print them, and as JSON for editors.

use super::check::{CheckError, Differs, Report};
use super::finding::{Fault, Finding, Invocation, Side};
use super::race::Access;
use super::source::SourcePlace;
use serde_json::{Value, json};
use std::fmt::Write;

impl Fault {
    /// Its name in files.
    pub fn kind(self) -> &'static str {
        match self {
            Self::WorkgroupRace => "workgroup-race",
            Self::StorageRace => "storage-race",
            Self::GlobalRace => "global-race",
            Self::OutOfBounds => "out-of-bounds",
            Self::UnwrittenWorkgroup => "unwritten-workgroup",
            Self::UnwrittenLocal => "unwritten-local",
            Self::UnwrittenStorage => "unwritten-storage",
            Self::BarrierNotUniform => "barrier-not-uniform",
            Self::SubgroupNotUniform => "subgroup-not-uniform",
            Self::LaneOutOfRange => "lane-out-of-range",
            Self::EndlessLoop => "endless-loop",
            Self::DivisionByZero => "division-by-zero",
            Self::ShiftTooFar => "shift-too-far",
            Self::NotFinite => "not-finite",
        }
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::WorkgroupRace => {
                "put `workgroupBarrier();` between the two, where all invocations of the workgroup come by"
            }
            Self::StorageRace => {
                "put `storageBarrier();` between the two, or give each invocation an element of its own"
            }
            Self::GlobalRace => {
                "no barrier orders workgroups: give each its own elements, use atomics, or make it two dispatches"
            }
            Self::OutOfBounds => {
                "guard the access, as in `if (i < arrayLength(&x)) { … }`: devices give zeros, or other elements"
            }
            Self::UnwrittenWorkgroup => {
                "write it first, and put `workgroupBarrier();` after that: without zeroing it holds anything"
            }
            Self::UnwrittenLocal => "give the variable a value where it is declared",
            Self::UnwrittenStorage => {
                "write the element before it is read, or fill the buffer beforehand: it may hold anything"
            }
            Self::BarrierNotUniform => {
                "move the barrier out of the branch or the loop: all invocations of the workgroup must come by"
            }
            Self::SubgroupNotUniform => {
                "move the operation out of the branch or the loop: all lanes of the subgroup must come by"
            }
            Self::LaneOutOfRange => "name a lane below `subgroup_size`, the same one for all lanes",
            Self::EndlessLoop => {
                "look at what should end the loop: nothing in it may ever change that"
            }
            Self::DivisionByZero => "guard the division: devices give different numbers",
            Self::ShiftTooFar => "shift by less than 32: devices give different numbers",
            Self::NotFinite => {
                "guard the operands: a root of a negative number, a quotient of zero, an overflow"
            }
        }
    }
}

impl Finding {
    /// What is wrong, in a sentence.
    pub fn message(&self) -> String {
        let mut text = self.fault.to_string();
        match (&self.variable, self.element) {
            (Some(variable), Some(element)) => {
                text += &format!(": `{variable}`, element {element}")
            }
            (Some(variable), None) => text += &format!(": `{variable}`"),
            _ => {}
        }
        // Of a race the sides tell the rest.
        if !self.detail.is_empty() && self.side.access.is_none() {
            text += &format!(" ({})", self.detail);
        }
        text
    }
}

impl Differs {
    /// What is wrong, in a sentence.
    pub fn message(&self) -> String {
        let [one, other] = self.words;
        format!(
            "result depends on the order of invocations: `{}`, element {} ({one:#010x} or {other:#010x})",
            self.variable, self.element
        )
    }

    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        "fix the races first; where the order may matter, as of a list that atomics append to, say so: \
         `any_order = true`"
    }
}

fn side_in_words(side: &Side) -> String {
    let what = match side.access {
        Some(Access::Read) => "read by ",
        Some(Access::Write) => "written by ",
        Some(Access::AtomicRead) => "read by an atomic of ",
        Some(Access::AtomicWrite) => "changed by an atomic of ",
        None => "",
    };
    format!("{what}{}", side.invocation)
}

/// A line of the source with what is wrong underlined.
fn excerpt(
    text: &mut String,
    file: &str,
    source: &str,
    place: &SourcePlace,
    label: &str,
    arrow: &str,
) {
    let Some(line) = (place.line as usize)
        .checked_sub(1)
        .and_then(|n| source.lines().nth(n))
    else {
        let _ = writeln!(text, "  {arrow} {file}: {label}");
        return;
    };
    let column = (place.column as usize).saturating_sub(1).min(line.len());
    let end = (column + place.span.len()).min(line.len());
    let shown = |bytes: &str| bytes.replace('\t', "    ");
    let (Some(before), Some(marked)) = (line.get(..column), line.get(column..end)) else {
        let _ = writeln!(text, "  {arrow} {file}:{}: {label}", place.line);
        return;
    };
    let (margin, blank) = (
        place.line.to_string(),
        " ".repeat(place.line.to_string().len()),
    );
    let carets = "^".repeat(shown(marked).trim_end().chars().count().max(1));
    let indent = " ".repeat(shown(before).chars().count());
    let _ = writeln!(
        text,
        "{blank} {arrow} {file}:{}:{}",
        place.line, place.column
    );
    let _ = writeln!(text, "{blank} |\n{margin} | {}", shown(line));
    let _ = writeln!(text, "{blank} | {indent}{carets} {label}");
}

impl Report {
    /// Findings, as a compiler prints them.
    pub fn explain(&self, file: &str, source: &str) -> String {
        let mut text = String::new();
        for (seed, finding) in &self.findings {
            let _ = writeln!(text, "error: {}", finding.message());
            let label = side_in_words(&finding.side);
            excerpt(&mut text, file, source, &finding.side.place, &label, "-->");
            if let Some(other) = &finding.other {
                excerpt(
                    &mut text,
                    file,
                    source,
                    &other.place,
                    &side_in_words(other),
                    ":::",
                );
            }
            let _ = writeln!(text, "  = help: {}", finding.fault.advice());
            let times = if finding.count == 1 { "once" } else { "times" };
            let count = if finding.count == 1 {
                String::new()
            } else {
                format!("{} ", finding.count)
            };
            let _ = writeln!(text, "  = found {count}{times} with seed {seed}\n");
        }
        if let Some(differs) = &self.differs {
            let _ = writeln!(text, "error: {}", differs.message());
            let label = format!(
                "differs between the seeds {} and {}",
                differs.seeds[0], differs.seeds[1]
            );
            excerpt(&mut text, file, source, &differs.place, &label, "-->");
            let _ = writeln!(text, "  = help: {}\n", differs.advice());
        }
        text
    }

    /// All of it for programs.
    pub fn json(&self, file: &str, source: &str) -> Value {
        let findings = self.findings.iter().map(|(seed, finding)| {
            let mut value = object(file, source, finding.fault.kind(), &finding.side.place);
            value["message"] = json!(finding.message());
            value["help"] = json!(finding.fault.advice());
            value["variable"] = json!(finding.variable);
            value["element"] = json!(finding.element);
            value["count"] = json!(finding.count);
            value["seed"] = json!(seed);
            value["access"] = access(&finding.side);
            value["invocation"] = invocation(&finding.side.invocation);
            value["other"] = finding.other.as_ref().map_or(Value::Null, |other| {
                let mut value = place(file, source, &other.place);
                value["access"] = access(other);
                value["invocation"] = invocation(&other.invocation);
                value
            });
            value
        });
        let differs = self.differs.iter().map(|differs| {
            let mut value = object(file, source, "order-dependent", &differs.place);
            value["message"] = json!(differs.message());
            value["help"] = json!(differs.advice());
            value["variable"] = json!(differs.variable);
            value["element"] = json!(differs.element);
            value["count"] = json!(1);
            value["seed"] = json!(differs.seeds[1]);
            value
        });
        json!({
            "file": file,
            "entry": self.entry,
            "clean": self.is_clean(),
            "runs": self.runs,
            "findings": findings.chain(differs).collect::<Vec<Value>>(),
            "counts": self.counts,
            "map": self.map,
        })
    }
}

fn object(file: &str, source: &str, kind: &str, at: &SourcePlace) -> Value {
    let mut value = place(file, source, at);
    value["kind"] = json!(kind);
    value
}

/// File, line, and columns from 1 in characters, the last one exclusive.
fn place(file: &str, source: &str, at: &SourcePlace) -> Value {
    let end = SourcePlace::of(source, at.span.end..at.span.end);
    json!({
        "file": file,
        "line": at.line,
        "column": column(source, at),
        "end_line": end.line,
        "end_column": column(source, &end),
    })
}

/// A column in characters.
fn column(source: &str, at: &SourcePlace) -> u32 {
    let line = (at.line as usize)
        .checked_sub(1)
        .and_then(|n| source.lines().nth(n));
    let before = line.and_then(|line| line.get(..(at.column as usize).saturating_sub(1)));
    before.map_or(at.column, |before| before.chars().count() as u32 + 1)
}

fn access(side: &Side) -> Value {
    json!(side.access.map(|access| match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::AtomicRead => "atomic-read",
        Access::AtomicWrite => "atomic-write",
    }))
}

fn invocation(invocation: &Invocation) -> Value {
    json!({ "workgroup": invocation.workgroup, "local": invocation.local_index })
}

impl CheckError {
    /// Where in the shader's text it is, if it is there.
    pub fn place(&self) -> Option<&SourcePlace> {
        use super::error::CompileError;
        let place = match self {
            Self::Wgsl { place, .. } => place,
            Self::Compile(CompileError::Unknown { place, .. }) => place,
            _ => return None,
        };
        (place.line > 0).then_some(place)
    }

    /// It with the line of the source, as a compiler prints it.
    pub fn explain(&self, file: &str, source: &str) -> String {
        match self.place() {
            None => format!("{file}: {self}"),
            Some(place) => {
                let mut text = format!("{self}\n");
                excerpt(&mut text, file, source, place, "here", "-->");
                text.trim_end().to_owned()
            }
        }
    }

    /// It for programs.
    pub fn json(&self, file: &str, source: &str) -> Value {
        let mut error = match self.place() {
            Some(at) => place(file, source, at),
            None => json!({ "file": file, "line": 0, "column": 0 }),
        };
        error["message"] = json!(self.to_string());
        json!({ "file": file, "error": error })
    }
}
