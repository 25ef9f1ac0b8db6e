//! A dispatch: all workgroups, apart or interleaved.

use super::counts::{Counts, Totals};
use super::error::RunError;
use super::finding::{Fault, Finding, Findings, Invocation, Recorded, Side};
use super::memory::{Buffer, Shared};
use super::program::Program;
use super::random::Random;
use super::settings::Run;
use super::source::Slot;
use super::workgroup::{Left, Worker, Workgroup};
use rayon::prelude::*;

/// Workgroups that see the same memory at their beginning. It bounds what they may have written before it
/// is merged, and is a constant, since results depend on it where there are races.
const BATCH: usize = 256;

/// What a dispatch left.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Faults, in the order of the source.
    pub findings: Vec<Finding>,
    /// What it cost.
    pub counts: Counts,
    /// The buffers afterwards, in the order of [`Program::resources`].
    pub buffers: Vec<Buffer>,
    /// The accesses of the recorded buffer, workgroup after workgroup.
    pub recorded: Vec<Recorded>,
}

impl Outcome {
    /// The buffer at a binding of group 0.
    pub fn buffer(&self, binding: u32) -> Option<&Buffer> {
        self.buffers
            .iter()
            .find(|buffer| buffer.slot == Slot::Binding { group: 0, binding })
    }
}

impl Program {
    /// Runs a dispatch.
    ///
    /// # Errors
    /// [`RunError`] where something is not bound, or the settings make no sense. Faults of the shader
    /// are no errors, but findings.
    pub fn run(&self, run: &Run, buffers: &[Buffer]) -> Result<Outcome, RunError> {
        let count = run.check(self)?;
        let shared = Shared::bind(self, buffers)?;
        let totals = Totals::new(self);
        let left = match run.interleaved {
            true => self.interleaved(run, &shared, &totals, count),
            false => self.apart(run, &shared, &totals, count),
        };
        if totals.is_over(run.most_instructions) {
            return Err(RunError::TooLong {
                most: run.most_instructions,
            });
        }
        let Left {
            mut findings,
            recorded,
            ..
        } = left;
        self.races_between_workgroups(run, &shared, &mut findings);
        let counts = totals.counts(self, &shared);
        let pairs = shared.into_iter().zip(&self.resources);
        let buffers = pairs
            .map(|(shared, resource)| shared.into_buffer(resource))
            .collect();
        Ok(Outcome {
            findings: findings.sorted(),
            counts,
            buffers,
            recorded,
        })
    }

    fn apart(&self, run: &Run, shared: &[Shared], totals: &Totals, count: u32) -> Left {
        let mut order: Vec<u32> = (0..count).collect();
        Random::new(run.seed, u64::MAX).shuffle(&mut order);
        let one = |worker: &mut Worker, number: u32| {
            let mut workgroup = Workgroup::new(self, run, shared, totals, worker, number, false);
            while workgroup.turn() {}
            workgroup.finish()
        };
        let mut all = Left::default();
        if self.storage_atomics {
            // What an atomic gives depends on those before it: one after the other.
            let mut worker = Worker::new(self, shared);
            order
                .into_iter()
                .for_each(|number| all.merge(one(&mut worker, number), shared));
            return all;
        }
        // A worker is dear to make: threads put it back when they are done with a workgroup.
        let idle = std::sync::Mutex::new(Vec::new());
        let take = || idle.lock().ok().and_then(|mut idle| idle.pop());
        for batch in order.chunks(BATCH) {
            let left: Vec<Left> = batch
                .par_iter()
                .map(|&number| {
                    let mut worker = take().unwrap_or_else(|| Worker::new(self, shared));
                    let left = one(&mut worker, number);
                    if let Ok(mut idle) = idle.lock() {
                        idle.push(worker);
                    }
                    left
                })
                .collect();
            left.into_iter().for_each(|left| all.merge(left, shared));
        }
        all
    }

    fn interleaved(&self, run: &Run, shared: &[Shared], totals: &Totals, count: u32) -> Left {
        let mut random = Random::new(run.seed, u64::MAX);
        let mut workers: Vec<Worker> = (0..count).map(|_| Worker::new(self, shared)).collect();
        let mut running: Vec<Workgroup> = workers
            .iter_mut()
            .zip(0..)
            .map(|(worker, number)| Workgroup::new(self, run, shared, totals, worker, number, true))
            .collect();
        let mut all = Left::default();
        while !running.is_empty() {
            let at = random.below(running.len());
            if !running[at].turn() {
                all.merge(running.swap_remove(at).finish(), shared);
            }
        }
        all
    }

    /// What no barrier orders.
    fn races_between_workgroups(&self, run: &Run, shared: &[Shared], findings: &mut Findings) {
        for (resource, shared) in self.resources.iter().zip(shared) {
            for (word, pair) in shared.claims.iter().flat_map(|claims| claims.races()) {
                let [side, other] = pair.map(|(claim, access)| Side {
                    place: self.place(claim.actor.pc),
                    invocation: Invocation {
                        workgroup: run.workgroup(claim.workgroup),
                        local_index: claim.actor.lane,
                    },
                    access: Some(access),
                });
                let detail = format!("{:?} and {:?}", pair[0].1, pair[1].1);
                findings.push(
                    Fault::GlobalRace,
                    pair.map(|(claim, _)| claim.actor.pc),
                    || Finding {
                        fault: Fault::GlobalRace,
                        side,
                        other: Some(other),
                        variable: Some(resource.name.clone()),
                        element: Some(resource.element(word as u32)),
                        detail,
                        count: 1,
                    },
                );
            }
        }
    }
}

impl Left {
    /// Takes in what a workgroup left, and shows all others what it wrote.
    fn merge(&mut self, later: Left, shared: &[Shared]) {
        self.findings.append(later.findings);
        self.recorded.extend(later.recorded);
        for [resource, word, value] in later.writes {
            shared[resource as usize].put(word, value);
        }
    }
}

/// Two runs that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Seeds of both.
    pub seeds: [u64; 2],
    /// Where the buffer is bound.
    pub slot: Slot,
    /// The first word that differs.
    pub word: usize,
    /// What it is in each.
    pub values: [u32; 2],
}

/// Runs a dispatch with every seed, and says where a later result first differs from the first one's by a
/// single bit: `None` where all agree.
///
/// # Errors
/// Those of [`Program::run`].
pub fn agree(
    program: &Program,
    run: &Run,
    buffers: &[Buffer],
    seeds: impl IntoIterator<Item = u64>,
) -> Result<Option<Difference>, RunError> {
    let mut first: Option<(u64, Outcome)> = None;
    for seed in seeds {
        let outcome = program.run(
            &Run {
                seed,
                ..run.clone()
            },
            buffers,
        )?;
        let Some((first_seed, expected)) = &first else {
            first = Some((seed, outcome));
            continue;
        };
        for (expected, buffer) in expected.buffers.iter().zip(&outcome.buffers) {
            let (words, others) = (expected.words(), buffer.words());
            if let Some(word) = (0..words.len()).find(|&i| words[i] != others[i]) {
                return Ok(Some(Difference {
                    seeds: [*first_seed, seed],
                    slot: buffer.slot,
                    word,
                    values: [words[word], others[word]],
                }));
            }
        }
    }
    Ok(None)
}
