//! An invocation's state.

use super::race::Actor;

/// An invocation between two of its turns.
#[derive(Debug, Clone, Default)]
pub(super) struct Lane {
    /// Its number in the workgroup.
    pub(super) index: u32,
    pub(super) frame: Vec<u32>,
    /// Which registers of variables were written; empty where nobody asks.
    pub(super) written: Vec<bool>,
    pub(super) pc: u32,
    /// Instructions so far.
    pub(super) steps: u64,
    /// By loop, how many they were when it was last entered.
    pub(super) entered: Vec<u64>,
    pub(super) state: State,
    /// Where it last jumped: whence it ended, once it has.
    pub(super) jumped: u32,
}

impl Lane {
    /// The invocation at an instruction.
    #[inline]
    pub(super) fn actor(&self, pc: u32) -> Actor {
        Actor {
            lane: self.index,
            pc,
        }
    }
}

/// What an invocation does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    #[default]
    Ready,
    /// Waits at the barrier at its `pc`.
    Barrier,
    /// Waits at the subgroup operation at its `pc`.
    Subgroup,
    Ended,
    /// Its budget is spent.
    Exhausted,
}
