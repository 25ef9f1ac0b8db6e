//! What a dispatch costs: how often each instruction ran, and how the lanes of a warp touched memory.

use super::alu::Work;
use super::memory::Shared;
use super::program::{Instruction, LOST, Op, Program, SHARED};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lanes whose accesses a device takes together.
const WARP: usize = 32;
/// Words of a segment of memory that is fetched as one: 128 bytes.
const SEGMENT: u32 = 32;
/// Banks of workgroup memory, a word wide.
const BANKS: u32 = 32;
/// Instances of an instruction that are kept for comparison between two barriers.
const LONGEST_LOG: usize = 1 << 16;

/// What a dispatch did. Loads and stores are instructions of single invocations, of any width.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Instructions of the emulator.
    pub instructions: u64,
    /// Loads from buffers and textures.
    pub storage_loads: u64,
    /// Bytes that they asked for.
    pub storage_bytes_loaded: u64,
    /// Stores to buffers and textures.
    pub storage_stores: u64,
    /// Bytes that they wrote.
    pub storage_bytes_stored: u64,
    /// Loads from workgroup memory.
    pub workgroup_loads: u64,
    /// Stores to workgroup memory.
    pub workgroup_stores: u64,
    /// Atomic loads, stores, and others.
    pub atomics: u64,
    /// Barriers that workgroups went through.
    pub barriers: u64,
    /// Subgroup operations of invocations.
    pub subgroup_operations: u64,
    /// Floating-point operations, by component: a fused multiply-add is two, a root or an exponential one.
    pub flops: u64,
    /// Integer operations, by component; addresses that an index makes are not among them.
    pub integer_operations: u64,
    /// Times that 32 neighbouring invocations went to buffers together, be it by loads, stores or atomics.
    pub storage_requests: u64,
    /// Segments of 128 bytes that they touched, summed over the requests.
    pub storage_segments: u64,
    /// Times that 32 neighbouring invocations went to workgroup memory together, likewise.
    pub workgroup_requests: u64,
    /// Further passes that they took because words of one bank lie at different addresses.
    pub bank_conflicts: u64,
    /// Further passes of atomics that change memory, because several of the 32 change the same word: what
    /// loads of one word share, and stores may, they do one after the other. Of buffers and of workgroup
    /// memory.
    pub atomic_conflicts: u64,
    /// Branches of 32 neighbouring invocations that went both ways.
    pub divergent_branches: u64,
    /// Accesses and branches that were too many between two barriers to be compared.
    pub uncompared: u64,
    /// Of each buffer, in the order of the program's resources.
    pub buffers: Vec<BufferCounts>,
    /// Instructions that each line of the source was charged with; by line.
    pub lines: BTreeMap<u32, u64>,
}

/// Distinct bytes of a buffer that a dispatch touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct BufferCounts {
    /// The variable.
    pub name: String,
    /// Bytes that were read, each counted once.
    pub bytes_read: u64,
    /// Bytes that were written, each counted once.
    pub bytes_written: u64,
}

/// Sums over all workgroups. They are sums of integers, so that threads may add in any order.
#[derive(Debug)]
pub(super) struct Totals {
    /// By instruction.
    pub(super) hits: Vec<AtomicU64>,
    pub(super) barriers: AtomicU64,
    /// Instructions so far.
    steps: AtomicU64,
    storage_requests: AtomicU64,
    storage_segments: AtomicU64,
    workgroup_requests: AtomicU64,
    bank_conflicts: AtomicU64,
    atomic_conflicts: AtomicU64,
    divergent: AtomicU64,
    uncompared: AtomicU64,
}

impl Totals {
    pub(super) fn new(program: &Program) -> Self {
        Self {
            hits: program.code.iter().map(|_| AtomicU64::new(0)).collect(),
            barriers: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            storage_requests: AtomicU64::new(0),
            storage_segments: AtomicU64::new(0),
            workgroup_requests: AtomicU64::new(0),
            bank_conflicts: AtomicU64::new(0),
            atomic_conflicts: AtomicU64::new(0),
            divergent: AtomicU64::new(0),
            uncompared: AtomicU64::new(0),
        }
    }

    /// An invocation took this many instructions.
    pub(super) fn took(&self, steps: u64) {
        self.steps.fetch_add(steps, Ordering::Relaxed);
    }

    /// Whether all invocations together took more than `most`.
    pub(super) fn is_over(&self, most: u64) -> bool {
        self.steps.load(Ordering::Relaxed) > most
    }

    /// Puts it all together.
    pub(super) fn counts(&self, program: &Program, shared: &[Shared]) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut counts = Counts {
            barriers: get(&self.barriers),
            storage_requests: get(&self.storage_requests),
            storage_segments: get(&self.storage_segments),
            workgroup_requests: get(&self.workgroup_requests),
            bank_conflicts: get(&self.bank_conflicts),
            atomic_conflicts: get(&self.atomic_conflicts),
            divergent_branches: get(&self.divergent),
            uncompared: get(&self.uncompared),
            ..Counts::default()
        };
        for ((at, hits), pc) in program.code.iter().zip(&self.hits).zip(0..) {
            let hits = get(hits);
            if hits > 0 {
                counts.charge(at, hits);
                *counts.lines.entry(program.place(pc).line).or_default() += hits;
            }
        }
        let buffers = program.resources.iter().zip(shared);
        counts.buffers = buffers
            .map(|(resource, shared)| BufferCounts {
                name: resource.name.clone(),
                bytes_read: 4 * shared.read.count(),
                bytes_written: 4 * shared.stored.count(),
            })
            .collect();
        counts
    }
}

impl Counts {
    fn charge(&mut self, at: &Instruction, hits: u64) {
        let width = u64::from(at.width);
        self.instructions += hits;
        let mut work = |work: Work| match work {
            Work::Flops(each) => self.flops += u64::from(each) * width * hits,
            Work::Integer => self.integer_operations += width * hits,
            Work::Other => {}
        };
        match at.op {
            Op::Unary(op) => work(op.work()),
            Op::Binary(op) => work(op.work()),
            Op::Ternary(op) => work(op.work()),
            Op::DotF => self.flops += (2 * width - 1) * hits,
            Op::DotI => self.integer_operations += (2 * width - 1) * hits,
            Op::Cross => self.flops += 9 * hits,
            // By minors of two, as they are computed: 3, 14 and 59.
            Op::Determinant => {
                self.flops += hits * [0, 0, 3, 14, 59].get(width as usize).copied().unwrap_or(0)
            }
            Op::InsertBits => self.integer_operations += width * hits,
            Op::Dot4I | Op::Dot4U => self.integer_operations += 7 * hits,
            Op::LoadShared => self.workgroup_loads += hits,
            Op::StoreShared => self.workgroup_stores += hits,
            Op::LoadBuffer => {
                self.storage_loads += hits;
                self.storage_bytes_loaded += 4 * width * hits;
            }
            Op::StoreBuffer => {
                self.storage_stores += hits;
                self.storage_bytes_stored += 4 * width * hits;
            }
            op if op.is_atomic() => self.atomics += hits,
            Op::Subgroup(_) => self.subgroup_operations += hits,
            _ => {}
        }
        debug_assert!(at.width != SHARED || !matches!(at.op, Op::LoadShared));
    }
}

/// What the lanes did at each instruction whose instances are compared, since the last barrier.
///
/// The n-th time that a lane comes to an instruction is taken together with the n-th time of its
/// neighbours. Where lanes part within a loop and join again that is not what every device does.
#[derive(Debug)]
pub(super) struct Logs {
    logs: Vec<Log>,
    /// Logs with something in them.
    used: Vec<u32>,
    lanes: usize,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Log {
    kind: LogKind,
    /// Words of an access.
    width: u32,
    /// Whether an access changes a word by what it holds, so that two of them cannot go together.
    modifies: bool,
    /// By lane; empty until the log is first used.
    values: Vec<Vec<u32>>,
    used: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum LogKind {
    #[default]
    Branch,
    Storage,
    Workgroup,
}

impl Logs {
    pub(super) fn new(program: &Program) -> Self {
        let mut logs: Vec<Log> = (0..program.logged).map(|_| Log::default()).collect();
        for at in &program.code {
            let (kind, width) = match at.op {
                Op::LoadBuffer | Op::StoreBuffer => (LogKind::Storage, at.width),
                Op::LoadShared | Op::StoreShared => (LogKind::Workgroup, at.width),
                op if op.is_atomic() && at.width == SHARED => (LogKind::Workgroup, 1),
                op if op.is_atomic() => (LogKind::Storage, 1),
                _ => continue,
            };
            let log = &mut logs[at.d as usize];
            (log.kind, log.width) = (kind, u32::from(width));
            log.modifies = matches!(at.op, Op::Atomic(_) | Op::CompareExchange);
        }
        Self {
            logs,
            used: Vec::new(),
            lanes: program.invocations() as usize,
            dropped: 0,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, log: u32, lane: u32, value: u32) {
        let entry = &mut self.logs[log as usize];
        if !entry.used {
            entry.used = true;
            entry.values.resize(self.lanes, Vec::new());
            self.used.push(log);
        }
        let values = &mut entry.values[lane as usize];
        if values.len() < LONGEST_LOG {
            values.push(value);
        } else {
            self.dropped += 1;
        }
    }

    /// Compares the lanes of each warp, and forgets.
    pub(super) fn flush(&mut self, totals: &Totals) {
        let mut words = Vec::new();
        for log in self.used.drain(..) {
            let log = &mut self.logs[log as usize];
            log.used = false;
            for warp in log.values.chunks(WARP) {
                let instances = warp.iter().map(Vec::len).max().unwrap_or(0);
                for instance in 0..instances {
                    words.clear();
                    words.extend(warp.iter().filter_map(|lane| lane.get(instance).copied()));
                    log.compare(&mut words, totals);
                }
            }
            log.values.iter_mut().for_each(Vec::clear);
        }
        totals
            .uncompared
            .fetch_add(std::mem::take(&mut self.dropped), Ordering::Relaxed);
    }
}

impl Log {
    /// Counts what the lanes of a warp did at once: the outcomes of a branch, or the first words of accesses.
    fn compare(&self, words: &mut Vec<u32>, totals: &Totals) {
        let add = |counter: &AtomicU64, count: u64| counter.fetch_add(count, Ordering::Relaxed);
        if let LogKind::Branch = self.kind {
            if words.windows(2).any(|pair| pair[0] != pair[1]) {
                add(&totals.divergent, 1);
            }
            return;
        }
        // Elements that do not exist are not fetched.
        words.retain(|&word| word != LOST);
        if words.is_empty() {
            return;
        }
        words.sort_unstable();
        if self.modifies {
            let together = words.chunk_by(|one, other| one == other).map(<[u32]>::len);
            add(
                &totals.atomic_conflicts,
                together.max().unwrap_or(1) as u64 - 1,
            );
        }
        words.dedup();
        if let LogKind::Storage = self.kind {
            let mut segments = 0;
            let mut next = 0;
            for &word in words.iter() {
                let last = (word + self.width - 1) / SEGMENT;
                let first = (word / SEGMENT).max(next);
                segments += u64::from((last + 1).saturating_sub(first));
                next = next.max(last + 1);
            }
            add(&totals.storage_requests, 1);
            add(&totals.storage_segments, segments);
            return;
        }
        // Wide accesses go word by word.
        for component in 0..self.width {
            let mut banks = [0u64; BANKS as usize];
            words
                .iter()
                .for_each(|&word| banks[((word + component) % BANKS) as usize] += 1);
            let passes = banks.into_iter().max().unwrap_or(1);
            add(&totals.workgroup_requests, 1);
            add(&totals.bank_conflicts, passes.saturating_sub(1));
        }
    }
}
