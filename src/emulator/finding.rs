//! What a run finds fault with.

use super::race::Access;
use super::source::{Slot, SourcePlace};
use std::collections::HashMap;
use std::fmt;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// Two accesses of a word of workgroup memory, not ordered by a barrier.
    WorkgroupRace,
    /// Two accesses of a word of a buffer within a workgroup, not ordered by a barrier.
    StorageRace,
    /// Two accesses of a word of a buffer by different workgroups, which nothing orders.
    GlobalRace,
    /// An index that is not below the length.
    OutOfBounds,
    /// A read of workgroup memory that nothing was written to.
    UnwrittenWorkgroup,
    /// A read of a variable of the invocation's own that nothing was written to: WGSL makes it zero.
    UnwrittenLocal,
    /// A read of a buffer's word that nothing was written to.
    UnwrittenStorage,
    /// A barrier at which not all invocations of the workgroup arrive.
    BarrierNotUniform,
    /// A subgroup operation at which not all invocations of the subgroup arrive.
    SubgroupNotUniform,
    /// The same value broadcast from a lane that is not the same for all, or is not there.
    LaneOutOfRange,
    /// More instructions than the budget.
    EndlessLoop,
    /// An integer divided by zero.
    DivisionByZero,
    /// A shift by the width of the number or more.
    ShiftTooFar,
    /// A NaN or an infinity out of finite numbers.
    NotFinite,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WorkgroupRace => "race in workgroup memory",
            Self::StorageRace => "race in a buffer within a workgroup",
            Self::GlobalRace => "race in a buffer between workgroups",
            Self::OutOfBounds => "index out of bounds",
            Self::UnwrittenWorkgroup => "workgroup memory read before it is written",
            Self::UnwrittenLocal => "variable read before it is written",
            Self::UnwrittenStorage => "unwritten part of a buffer read",
            Self::BarrierNotUniform => "barrier in control flow that is not uniform",
            Self::SubgroupNotUniform => "subgroup operation in control flow that is not uniform",
            Self::LaneOutOfRange => "value of a lane that is not there",
            Self::EndlessLoop => "loop without end",
            Self::DivisionByZero => "integer division by zero",
            Self::ShiftTooFar => "shift past the width",
            Self::NotFinite => "number that is not finite out of finite ones",
        })
    }
}

/// An invocation of a dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Invocation {
    /// Its workgroup.
    pub workgroup: [u32; 3],
    /// Its `local_invocation_index`.
    pub local_index: u32,
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.workgroup;
        write!(
            f,
            "invocation {} of workgroup ({x}, {y}, {z})",
            self.local_index
        )
    }
}

/// An access of a word, as [`super::Run::record`] or [`super::Run::record_all`] asks for it. Those of an
/// invocation come in the order of its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Who.
    pub invocation: Invocation,
    /// Of which buffer; `None`: of workgroup memory.
    pub slot: Option<Slot>,
    /// Number of the word in the buffer, or in workgroup memory.
    pub word: u32,
    /// How.
    pub access: Access,
    /// Line of the source, from 1; 0 where it is not known.
    pub line: u32,
}

/// One side of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Where in the source.
    pub place: SourcePlace,
    /// Who.
    pub invocation: Invocation,
    /// How memory was accessed, where it was.
    pub access: Option<Access>,
}

/// A fault, with the first time that it was found and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub fault: Fault,
    /// Who did it.
    pub side: Side,
    /// The other one, where it takes two.
    pub other: Option<Side>,
    /// The variable, where there is one.
    pub variable: Option<String>,
    /// Number of the element of the variable's outermost array.
    pub element: Option<u64>,
    /// Further numbers, in words: the index and the length, the operands.
    pub detail: String,
    /// How often it was found at this place of the source.
    pub count: u64,
}

impl Finding {
    /// Whether it is a loop without end.
    pub(super) fn is_endless(&self) -> bool {
        self.fault == Fault::EndlessLoop
    }

    /// Whether it is the same fault of the same variable at the same places of the source.
    pub(super) fn is_like(&self, other: &Finding) -> bool {
        let place = |finding: &Finding| finding.other.as_ref().map(|side| side.place.clone());
        self.fault == other.fault
            && self.side.place == other.side.place
            && self.variable == other.variable
            && place(self) == place(other)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.side.place, self.fault)?;
        match (&self.variable, self.element) {
            (Some(variable), Some(element)) => write!(f, ", `{variable}` at {element}")?,
            (Some(variable), None) => write!(f, ", `{variable}`")?,
            _ => {}
        }
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        write!(f, ": {}", self.side.invocation)?;
        if let Some(other) = &self.other {
            write!(f, " against {} at {}", other.invocation, other.place)?;
        }
        if self.count > 1 {
            write!(f, ", {} times", self.count)?;
        }
        Ok(())
    }
}

/// Findings, those at the same place merged.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// By fault and the instructions of both sides.
    found: HashMap<(Fault, u32, u32), usize>,
    list: Vec<((Fault, u32, u32), Finding)>,
}

impl Findings {
    /// Counts a finding; what it says in full is asked for when it is new.
    pub(super) fn push(&mut self, fault: Fault, pcs: [u32; 2], finding: impl FnOnce() -> Finding) {
        let key = (fault, pcs[0], pcs[1]);
        match self.found.get(&key) {
            Some(&at) => self.list[at].1.count += 1,
            None => {
                self.found.insert(key, self.list.len());
                self.list.push((key, finding()));
            }
        }
    }

    /// Takes in what was found later.
    pub(super) fn append(&mut self, later: Findings) {
        for (key, finding) in later.list {
            match self.found.get(&key) {
                Some(&at) => self.list[at].1.count += finding.count,
                None => {
                    self.found.insert(key, self.list.len());
                    self.list.push((key, finding));
                }
            }
        }
    }

    /// All of them in the order of the source. What a compiler's inlining has doubled is one.
    pub(super) fn sorted(self) -> Vec<Finding> {
        let mut merged: Vec<Finding> = Vec::new();
        let mut at = HashMap::new();
        for (_, finding) in self.list {
            let other = finding.other.as_ref().map(|other| other.place.clone());
            let key = (
                finding.fault,
                finding.side.place.clone(),
                other,
                finding.variable.clone(),
            );
            match at.get(&key) {
                Some(&i) => {
                    let first: &mut Finding = &mut merged[i];
                    first.count += finding.count;
                }
                None => {
                    at.insert(key, merged.len());
                    merged.push(finding);
                }
            }
        }
        merged.sort_by_key(|finding| (finding.side.place.span.start, finding.fault));
        merged
    }
}
