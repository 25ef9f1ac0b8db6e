//! How a dispatch is run, and what is looked for.

use super::error::RunError;
use super::program::Program;
use super::race::MOST_LANES;
use super::source::Slot;

/// Most words of variables and of workgroup memory, of all workgroups that run at once: with what is
/// known of each, a few GB.
const MOST_WORDS: u64 = 1 << 26;

/// How a dispatch is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The grid.
    pub workgroups: [u32; 3],
    /// Lanes of a subgroup: a power of two from 1 to 128.
    pub subgroup_size: u32,
    /// Decides all orders.
    pub seed: u64,
    /// Whether all workgroups run at once, a few instructions of each in turn. Else each runs on its own
    /// from beginning to end, in random order, on all cores.
    pub interleaved: bool,
    /// Instructions that an invocation may take before its loop is called endless. Its workgroup ends there.
    pub budget: u64,
    /// Instructions of all invocations together; a dispatch that would take more is an error.
    pub most_instructions: u64,
    /// Whether workgroup memory begins as zeros: then reading it first is no fault. The project's own
    /// pipelines do without.
    pub zeroed_workgroup_memory: bool,
    /// Whether to find variables of an invocation's own that are read before they are written. WGSL makes
    /// them zero, so that this finds what works.
    pub find_unwritten_locals: bool,
    /// Whether to find NaN and infinity where they first come from finite numbers.
    pub find_not_finite: bool,
    /// Whether to compare what the lanes of a warp do: segments, bank conflicts, divergence.
    pub count_warps: bool,
    /// A buffer whose every access is recorded.
    pub record: Option<Slot>,
    /// Whether to record every access instead, of all buffers and of workgroup memory.
    pub record_all: bool,
}

impl Run {
    /// A run of this many workgroups, with all checks that find what is wrong on some device.
    pub fn new(workgroups: [u32; 3]) -> Self {
        Self {
            workgroups,
            subgroup_size: 32,
            seed: 0,
            interleaved: false,
            budget: 100_000_000,
            most_instructions: u64::MAX,
            zeroed_workgroup_memory: false,
            find_unwritten_locals: false,
            find_not_finite: false,
            count_warps: true,
            record: None,
            record_all: false,
        }
    }

    /// The place in the grid of a workgroup.
    pub(super) fn workgroup(&self, number: u32) -> [u32; 3] {
        let [x, y, _] = self.workgroups;
        [number % x, number / x % y, number / x / y]
    }

    /// The number of workgroups, if the settings make sense.
    pub(super) fn check(&self, program: &Program) -> Result<u32, RunError> {
        let wrong = |text: String| Err(RunError::Settings(text));
        if !matches!(self.subgroup_size, 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128) {
            return wrong(format!(
                "{} lanes in a subgroup: a power of two up to 128 is wanted",
                self.subgroup_size
            ));
        }
        let invocations = program
            .workgroup_size
            .iter()
            .map(|&n| u64::from(n))
            .product::<u64>();
        if invocations > u64::from(MOST_LANES) {
            return wrong(format!(
                "{invocations} invocations in a workgroup: {MOST_LANES} are the most"
            ));
        }
        let count = self
            .workgroups
            .iter()
            .map(|&n| u128::from(n))
            .product::<u128>();
        let Ok(count) = u32::try_from(count) else {
            return wrong(format!("a grid of {:?} workgroups", self.workgroups));
        };
        // Interleaved workgroups are all there at once; else there is one for each core.
        let at_once = if self.interleaved {
            u64::from(count)
        } else {
            1
        };
        let own = program.frame.len() as u64 * invocations;
        let words = own.saturating_add(u64::from(program.shared_words));
        if words.saturating_mul(at_once) > MOST_WORDS {
            return wrong(format!(
                "variables of {at_once} workgroups at once take {words} words each: {MOST_WORDS} are the most in all"
            ));
        }
        Ok(count)
    }
}
