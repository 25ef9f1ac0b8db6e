//! What is found about a visitor's text: by the compiler, in the emulator, against the twin.

use super::case::{Case, Contents, UNWRITTEN};
use super::wgsl::{self, Message};
use crate::emulator::{
    Access, Buffer, Counts, Fault, Finding, Outcome, Program, Recorded, Run, Slot,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Instructions of an invocation after which its loop is called endless: far more than any case needs, and
/// few enough that all invocations come there within seconds.
const BUDGET: u64 = 200_000;
/// Most loads and stores of a dispatch whose accesses are recorded.
const MOST_RECORDED: u64 = 1_000_000;
/// Most accesses that are told one by one.
const MOST_ACCESSES: usize = 12_000;
/// Most findings that are told.
const MOST_FINDINGS: usize = 12;

/// What the emulator found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Emulated {
    /// Faults: races, stray accesses, reads of what nobody wrote.
    pub findings: Vec<Found>,
    /// What it cost.
    pub tally: Tally,
    /// Against the twin.
    pub results: Vec<Comparison>,
    /// Single accesses, in the order of each invocation's program.
    pub accesses: Accesses,
    /// Bindings of the text that may be changed which it does not use.
    pub unused: Vec<u32>,
    /// What is wrong on other data than the page shows.
    pub elsewhere: Option<String>,
}

/// A fault, in words and places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it is.
    pub fault: String,
    /// All of it in one sentence.
    pub text: String,
    /// Line, from 1; 0 where it is not known.
    pub line: u32,
    /// Line of the other side, where it takes two.
    pub other_line: Option<u32>,
    /// How often.
    pub count: u64,
}

/// What a dispatch cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Invocations, idle ones included.
    pub invocations: u64,
    /// Loads from buffers, of any width.
    pub loads: u64,
    /// Stores to buffers, of any width.
    pub stores: u64,
    /// Words that the busiest invocation reads from buffers.
    pub busiest_reads: u64,
    /// Words that the busiest invocation writes to buffers.
    pub busiest_writes: u64,
    /// Loads from workgroup memory.
    pub workgroup_loads: u64,
    /// Stores to workgroup memory.
    pub workgroup_stores: u64,
    /// Segments of 128 bytes for each time that 32 neighbours go to memory together, over the least that
    /// their words need: 1 is coalesced.
    pub requests: u64,
    /// Segments of 128 bytes that the requests touched.
    pub segments: u64,
    /// Times that 32 neighbours went to workgroup memory together.
    pub workgroup_requests: u64,
    /// Further passes because words of one bank were wanted at different addresses.
    pub bank_conflicts: u64,
    /// Branches of 32 neighbours that went both ways.
    pub divergent: u64,
    /// Barriers that workgroups went through.
    pub barriers: u64,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes of buffers, each counted once.
    pub bytes: u64,
    /// Whether every access is told.
    pub complete: bool,
}

/// A buffer against what the twin makes of the same data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The buffer.
    pub name: String,
    /// Its extents.
    pub shape: Vec<usize>,
    /// Largest error, as a share of the largest expected value; `None` where something is no number.
    pub worst: Option<f64>,
    /// What is allowed.
    pub tolerance: f64,
    /// The first element that is off: its number, what it is, what it should be.
    pub first: Option<Off>,
    /// How many elements are off.
    pub off: usize,
    /// Of every element how far it is off, in tolerances: 0 is right, up to 9; 10 was never written.
    pub picture: Vec<u8>,
}

/// An element that is not what it should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Off {
    /// Its number.
    pub index: usize,
    /// Its place along each extent.
    pub place: Vec<usize>,
    /// What it is; `None`: never written, or no number.
    pub got: Option<f64>,
    /// Whether nothing was ever written there.
    pub unwritten: bool,
    /// What the twin says.
    pub want: f64,
}

/// Accesses, one row each: workgroup, invocation in it, buffer (−1: workgroup memory), word, kind (0 read,
/// 1 write, 2 atomic), line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accesses {
    /// The rows.
    pub rows: Vec<[i64; 6]>,
    /// Invocations of a workgroup.
    pub lanes: u32,
    /// Workgroups along x, y and z.
    pub grid: [u32; 3],
    /// Invocations of a workgroup along x, y and z.
    pub size: [u32; 3],
}

impl Emulated {
    /// Whether nothing is wrong.
    pub fn passes(&self) -> bool {
        let right = self.results.iter().all(|result| result.first.is_none());
        right && self.findings.is_empty() && self.elsewhere.is_none()
    }

    /// Whether the text can be let onto an adapter: what never ends there takes the whole device along.
    pub fn ends(&self) -> bool {
        let endless = Fault::EndlessLoop.to_string();
        self.findings.iter().all(|found| found.fault != endless)
    }
}

/// Runs a case in the emulator.
///
/// # Errors
/// What the compiler says of the text that may be changed, or why it was not run.
pub fn emulate(case: &Case) -> Result<Emulated, Message> {
    let refuse = |text: String| Message {
        line: 0,
        column: 0,
        length: 0,
        text,
    };
    let mut contents: Vec<Memory> = case.buffers.iter().map(Memory::of).collect();
    let mut emulated = Emulated::default();
    for (number, stage) in case.stages.iter().enumerate() {
        let program = wgsl::compile(&stage.source, &stage.entry)?;
        let bindings = stage.bindings.iter().zip(0..);
        let buffers: Vec<Buffer> = bindings
            .clone()
            .map(|(&buffer, binding)| contents[buffer].bound(binding))
            .collect();
        let run = Run {
            budget: BUDGET,
            ..Run::new(stage.grid)
        };
        let emulate = |run: &Run| {
            let outcome = program.run(run, &buffers);
            outcome.map_err(|error| refuse(error.to_string()))
        };
        let mut outcome = emulate(&run)?;
        let edited = number == case.edited;
        if edited && is_short(&outcome) {
            // The same once more, now that it is known not to fill all memory with its accesses.
            outcome = emulate(&Run {
                record_all: true,
                ..run
            })?;
        }
        for (&buffer, binding) in bindings {
            if let Some(left) = outcome.buffer(binding) {
                contents[buffer] = Memory {
                    words: left.words(),
                    written: left.written.clone(),
                };
            }
        }
        if edited {
            emulated = found(&program, &outcome, stage.grid);
            let used = |binding: &u32| outcome.buffer(*binding).is_some();
            emulated.unused = (0..stage.bindings.len() as u32)
                .filter(|b| !used(b))
                .collect();
        }
    }
    let words: Vec<Vec<u32>> = contents.into_iter().map(Memory::shown).collect();
    emulated.results = compare(case, &words);
    Ok(emulated)
}

/// What is wrong with a text on this data, in words; `None` where it is right.
pub fn differs(case: &Case) -> Option<String> {
    let emulated = match emulate(case) {
        Ok(emulated) => emulated,
        Err(message) => return Some(message.text),
    };
    if let Some(found) = emulated.findings.into_iter().next() {
        return Some(found.text);
    }
    emulated.results.into_iter().find_map(|result| {
        let off = result.first?;
        let got = off
            .got
            .map_or("no number".to_owned(), |got| format!("{got:.4}"));
        let (name, index, want) = (result.name, off.index, off.want);
        Some(format!("{name}[{index}] is {got}; the twin says {want:.4}"))
    })
}

/// Whether all accesses can be recorded.
fn is_short(outcome: &Outcome) -> bool {
    let counts = &outcome.counts;
    let buffers = counts.storage_loads + counts.storage_stores + counts.atomics;
    let shared = counts.workgroup_loads + counts.workgroup_stores;
    let mut faults = outcome.findings.iter().map(|finding| finding.fault);
    buffers + shared <= MOST_RECORDED && faults.all(|fault| fault != Fault::EndlessLoop)
}

/// Words, and which of them hold something.
struct Memory {
    words: Vec<u32>,
    written: Option<Vec<bool>>,
}

impl Memory {
    fn of(buffer: &super::case::CaseBuffer) -> Self {
        let words = buffer.contents.words();
        let written = matches!(buffer.contents, Contents::Unwritten(_));
        Self {
            written: written.then(|| vec![false; words.len()]),
            words,
        }
    }

    fn bound(&self, binding: u32) -> Buffer {
        Buffer {
            written: self.written.clone(),
            ..Buffer::of_words(binding, &self.words)
        }
    }

    /// The words, with a mark where nothing was written.
    fn shown(mut self) -> Vec<u32> {
        if let Some(written) = &self.written {
            for (word, written) in self.words.iter_mut().zip(written) {
                if !written {
                    *word = UNWRITTEN;
                }
            }
        }
        self.words
    }
}

fn found(program: &Program, outcome: &Outcome, grid: [u32; 3]) -> Emulated {
    let groups: u64 = grid.iter().map(|&n| u64::from(n)).product();
    let mut tally = tally(&outcome.counts, groups * u64::from(program.invocations()));
    [tally.busiest_reads, tally.busiest_writes] = match is_short(outcome) {
        true => busiest(&outcome.recorded),
        // One may have done it all.
        false => [tally.loads, tally.stores],
    };
    let rows = rows(&outcome.recorded, grid);
    tally.complete = is_short(outcome) && rows.len() == outcome.recorded.len();
    let findings = outcome.findings.iter().take(MOST_FINDINGS);
    Emulated {
        findings: findings.map(in_words).collect(),
        tally,
        results: Vec::new(),
        unused: Vec::new(),
        elsewhere: None,
        accesses: Accesses {
            rows,
            lanes: program.invocations(),
            grid,
            size: program.workgroup_size(),
        },
    }
}

/// Words of buffers that the busiest invocation reads, and that it writes.
fn busiest(recorded: &[Recorded]) -> [u64; 2] {
    let mut words = HashMap::new();
    let mut busiest = [0; 2];
    for access in recorded.iter().filter(|access| access.slot.is_some()) {
        let kind = usize::from(access.access.is_write());
        let count: &mut u64 = words.entry((access.invocation, kind)).or_default();
        *count += 1;
        busiest[kind] = busiest[kind].max(*count);
    }
    busiest
}

/// The accesses of the first workgroups, as many as can be told.
fn rows(recorded: &[Recorded], grid: [u32; 3]) -> Vec<[i64; 6]> {
    let group = |access: &Recorded| {
        let [x, y, z] = access.invocation.workgroup;
        x + grid[0] * (y + grid[1] * z)
    };
    // Workgroups ran in a drawn order.
    let mut ordered: Vec<&Recorded> = recorded.iter().collect();
    ordered.sort_by_key(|access| group(access));
    if let Some(next) = ordered.get(MOST_ACCESSES) {
        // Half a workgroup would look like one that does half its work.
        let last = group(next);
        let whole = ordered.partition_point(|access| group(access) < last);
        ordered.truncate(if whole > 0 { whole } else { MOST_ACCESSES });
    }
    let row = |access: &Recorded| {
        let buffer = match access.slot {
            Some(Slot::Binding { binding, .. }) => i64::from(binding),
            _ => -1,
        };
        let kind = match access.access {
            Access::Read => 0,
            Access::Write => 1,
            Access::AtomicRead | Access::AtomicWrite => 2,
        };
        let lane = access.invocation.local_index;
        let [group, lane, word, line] =
            [group(access), lane, access.word, access.line].map(i64::from);
        [group, lane, buffer, word, kind, line]
    };
    ordered.into_iter().map(row).collect()
}

fn in_words(finding: &Finding) -> Found {
    Found {
        fault: finding.fault.to_string(),
        text: finding.to_string(),
        line: finding.side.place.line,
        other_line: finding.other.as_ref().map(|other| other.place.line),
        count: finding.count,
    }
}

fn tally(counts: &Counts, invocations: u64) -> Tally {
    let bytes = counts
        .buffers
        .iter()
        .map(|b| b.bytes_read + b.bytes_written);
    Tally {
        invocations,
        loads: counts.storage_loads,
        stores: counts.storage_stores,
        workgroup_loads: counts.workgroup_loads,
        workgroup_stores: counts.workgroup_stores,
        requests: counts.storage_requests,
        segments: counts.storage_segments,
        workgroup_requests: counts.workgroup_requests,
        bank_conflicts: counts.bank_conflicts,
        divergent: counts.divergent_branches,
        barriers: counts.barriers,
        flops: counts.flops,
        bytes: bytes.sum(),
        ..Tally::default()
    }
}

/// Holds what buffers hold to what the twin makes of the same data.
pub fn compare(case: &Case, words: &[Vec<u32>]) -> Vec<Comparison> {
    let pairs = case.buffers.iter().zip(words);
    let wanted =
        pairs.filter_map(|(buffer, words)| Some((buffer, buffer.expected.as_ref()?, words)));
    wanted
        .map(|(buffer, expected, words)| {
            let mut comparison = Comparison {
                name: buffer.name.clone(),
                shape: buffer.shape.clone(),
                worst: Some(0.0),
                tolerance: case.tolerance,
                first: None,
                off: 0,
                picture: Vec::with_capacity(expected.len()),
            };
            let scale = expected
                .iter()
                .fold(1e-6f64, |most, want| most.max(want.abs()));
            for (index, (&want, &word)) in expected.iter().zip(words).enumerate() {
                let got = match buffer.contents {
                    Contents::Words(_) => f64::from(word),
                    _ => f64::from(f32::from_bits(word)),
                };
                let error = (got - want).abs() / scale;
                let unwritten = word == UNWRITTEN;
                let right = error <= case.tolerance;
                comparison.worst = comparison
                    .worst
                    .filter(|_| error.is_finite())
                    .map(|worst| worst.max(error));
                comparison.picture.push(match (unwritten, right) {
                    (true, _) => 10,
                    (_, true) => 0,
                    // From one tolerance to the whole of the largest value, by its logarithm.
                    _ => (1.0 + 8.0 * (error / case.tolerance).ln() / (1.0 / case.tolerance).ln())
                        .clamp(1.0, 9.0) as u8,
                });
                if !right {
                    comparison.off += 1;
                    comparison.first.get_or_insert_with(|| Off {
                        index,
                        place: place(index, &buffer.shape),
                        got: got.is_finite().then_some(got),
                        unwritten,
                        want,
                    });
                }
            }
            comparison
        })
        .collect()
}

/// Where an element lies along each extent.
fn place(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut place = vec![0; shape.len()];
    for (at, &extent) in place.iter_mut().zip(shape).rev() {
        *at = index % extent.max(1);
        index /= extent.max(1);
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teach::case::CaseBuffer;

    fn doubling(text: &str) -> Case {
        let x: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let twice = x.iter().map(|&v| 2.0 * f64::from(v)).collect();
        let source = format!(
            "@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {{
{text}
}}"
        );
        let buffers = vec![
            CaseBuffer::given("x", &[10, 10], &x),
            CaseBuffer::wanted("y", &[10, 10], twice),
        ];
        Case::single(&source, "main", [2, 1, 1], buffers)
    }

    #[test]
    fn what_is_right_passes_and_is_counted() {
        let right = emulate(&doubling("if (id.x < 100u) { y[id.x] = 2.0 * x[id.x]; }")).unwrap();
        assert!(right.passes(), "{right:?}");
        let groups: Vec<i64> = right.accesses.rows.iter().map(|row| row[0]).collect();
        assert!(groups.is_sorted() && groups.last() == Some(&1));
        let tally = &right.tally;
        assert_eq!(
            (tally.invocations, tally.loads, tally.stores),
            (128, 100, 100)
        );
        assert_eq!((tally.busiest_reads, tally.busiest_writes), (1, 1));
        assert_eq!(right.accesses.rows.len(), 200);
        assert!(tally.complete && right.ends());
        assert_eq!(right.results[0].picture, [0; 100]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = emulate(&doubling("if (id.x < 100u) { y[id.x] = x[id.x] + 3.0; }")).unwrap();
        let first = wrong.results[0].first.as_ref().unwrap();
        assert_eq!((first.index, first.got, first.want), (0, Some(3.0), 0.0));
        // 3 + 3 is twice 3.
        assert_eq!((wrong.results[0].off, wrong.results[0].picture[3]), (99, 0));
        assert!(!wrong.passes());

        let half = emulate(&doubling("if (id.x < 64u) { y[id.x] = 2.0 * x[id.x]; }")).unwrap();
        let first = half.results[0].first.as_ref().unwrap();
        assert_eq!(
            (first.index, first.place.as_slice()),
            (64, [6, 4].as_slice())
        );
        assert!(first.unwritten && half.results[0].picture[64] == 10);

        let stray = emulate(&doubling("y[id.x] = 2.0 * x[id.x];")).unwrap();
        assert!(
            stray
                .findings
                .iter()
                .any(|f| f.fault == "index out of bounds" && f.line == 5)
        );
        let race = emulate(&doubling("y[id.x % 50u] = 1.0;")).unwrap();
        assert!(
            race.findings.iter().any(|f| f.fault.starts_with("race")),
            "{race:?}"
        );
        let endless = emulate(&doubling("loop { y[0] = 1.0; }")).unwrap();
        assert!(!endless.ends());
        assert_eq!(endless.unused, [0]);
    }
}
