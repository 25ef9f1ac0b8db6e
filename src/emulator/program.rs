//! What the interpreter runs: a flat list of three-address instructions over a frame of words.
//!
//! Calls are inlined, since WGSL forbids recursion: each register then has a fixed place in the frame,
//! and what a pointer argument points into is known when the program is compiled. Registers are words
//! of 32 bits; vectors, matrices, arrays and structs take several in a row, without padding.

use super::alu::{Binary, Ternary, Unary};
use super::packing::{Pack, Unpack};
use super::source::{Slot, SourcePlace};
use naga::{AtomicFunction, CollectiveOperation, SubgroupOperation};
use std::collections::HashMap;
use std::ops::Range;

/// A compute entry point, ready to run.
#[derive(Debug, Clone)]
pub struct Program {
    pub(super) entry: String,
    pub(super) workgroup_size: [u32; 3],
    pub(super) code: Vec<Instruction>,
    /// Of each instruction, an index into `places`.
    pub(super) place_of: Vec<u32>,
    pub(super) places: Vec<SourcePlace>,
    /// What a frame holds before the first instruction.
    pub(super) frame: Vec<u32>,
    /// Words of the frame that are known only at launch.
    pub(super) inputs: Vec<(Input, u32)>,
    pub(super) resources: Vec<Resource>,
    pub(super) shared: Vec<SharedVariable>,
    /// Words of workgroup memory.
    pub(super) shared_words: u32,
    /// Variables that each invocation has for itself, by their registers.
    pub(super) locals: Vec<(Range<u32>, String)>,
    /// By an instruction that makes an address of an index, the variable that it goes into.
    pub(super) indexed: HashMap<u32, String>,
    pub(super) switches: Vec<Switch>,
    /// By rendezvous, the registers that count the rounds of the loops around it.
    pub(super) rounds: Vec<Vec<u32>>,
    /// Outer loops before those within.
    pub(super) loops: Vec<Loop>,
    /// Number of instructions whose instances are compared between the lanes of a warp.
    pub(super) logged: u32,
    pub(super) storage_atomics: bool,
}

/// A buffer or texture that the entry point uses.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The variable's name.
    pub name: String,
    /// Where it is bound.
    pub slot: Slot,
    /// Whether the shader may write to it.
    pub writable: bool,
    /// Words of a texel, where it is a texture.
    pub texel_words: Option<u32>,
    /// Least size in bytes.
    pub least_bytes: u64,
    /// Whether all its numbers are floats.
    pub floats: bool,
    /// Words from one element of the outermost array to the next; 1 without one.
    pub(super) stride: u32,
    /// Words ahead of that array.
    pub(super) head: u32,
}

impl Resource {
    /// Words from one element to the next.
    pub(super) fn element_words(&self) -> u32 {
        self.stride.max(1)
    }

    /// Number of the element that holds a word.
    pub(super) fn element(&self, word: u32) -> u64 {
        u64::from(word.saturating_sub(self.head) / self.stride.max(1))
    }
}

#[derive(Debug, Clone)]
pub(super) struct SharedVariable {
    pub(super) name: String,
    pub(super) words: Range<u32>,
    pub(super) stride: u32,
}

/// A word that an invocation finds in its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Input {
    GlobalId(u8),
    LocalId(u8),
    LocalIndex,
    WorkgroupId(u8),
    NumWorkgroups(u8),
    SubgroupSize,
    SubgroupId,
    NumSubgroups,
    SubgroupLane,
    /// Elements of the runtime-sized array at word `head` of a resource, `stride` words each.
    Length {
        resource: u32,
        head: u32,
        stride: u32,
    },
    /// Extent of a texture along an axis.
    Extent {
        resource: u32,
        axis: u8,
    },
}

/// A loop, from its first instruction on, after the one that enters it.
#[derive(Debug, Clone)]
pub(super) struct Loop {
    pub(super) code: Range<u32>,
    /// Index into the program's `places`.
    pub(super) place: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Switch {
    pub(super) cases: Vec<(u32, u32)>,
    pub(super) default: u32,
}

/// One instruction: `dst` and `a` to `d` are registers unless the operation says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction {
    pub(super) op: Op,
    /// Words or components.
    pub(super) width: u16,
    /// Bit i: operand i advances with the component, where 0 is a scalar that serves all.
    pub(super) steps: u8,
    pub(super) dst: u32,
    pub(super) a: u32,
    pub(super) b: u32,
    pub(super) c: u32,
    pub(super) d: u32,
}

/// What an instruction does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Op {
    /// dst = a.
    Copy,
    /// dst = f(a), component by component; and so on.
    Unary(Unary),
    Binary(Binary),
    Ternary(Ternary),
    /// dst = a with bits from c on, d of them, taken from b.
    InsertBits,
    /// A scalar from the components of a and b.
    DotF,
    DotI,
    All,
    Any,
    Cross,
    /// Determinant of the matrix a of `width` columns.
    Determinant,
    Pack(Pack),
    Unpack(Unpack),
    /// dst, dst + width = fractional part and whole part of a.
    Modf,
    /// dst, dst + width = fraction and exponent of a.
    Frexp,
    /// Four products of bytes: dst = Σ aᵢ·bᵢ.
    Dot4I,
    Dot4U,
    /// dst = b + a·d where a < c; `LOST` with a finding where not. a is signed where width is 1.
    Index,
    /// dst = offset of the texel a of resource b; `LOST` outside. a has `width` coordinates; signed where
    /// c is 1. d is the register with the extents.
    Texel,
    /// Variables in the frame: dst = variable a.
    LoadLocal,
    /// Variable dst = a.
    StoreLocal,
    /// Variable dst = 0, as if it had not been written.
    ClearLocal,
    /// dst = frame[a + word b]; a range check was made by [`Op::Index`].
    LoadFrame,
    /// frame[dst + word b] = a.
    StoreFrame,
    /// dst = word c + [b] of workgroup memory. d numbers the log.
    LoadShared,
    /// Word c + [b] of workgroup memory = a. d numbers the log.
    StoreShared,
    /// dst = word c + [b] of resource a. d numbers the log.
    LoadBuffer,
    /// Word c + [b] of resource dst = a. d numbers the log.
    StoreBuffer,
    /// dst = atomic load of word c + [b] of memory `width`. d numbers the log, as of all atomics.
    AtomicLoad,
    /// Word c + [b] of memory `width` = a.
    AtomicStore,
    /// dst = what word c + [b] of memory `width` held; a is the operand.
    Atomic(Atomic),
    /// dst = what word c + [b] of memory `width` held, dst + 1 = whether it was the comparand a + 1; a is
    /// the new value.
    CompareExchange,
    /// Continues at a.
    Jump,
    /// Continues at b where a is false. d numbers the log.
    BranchUnless,
    /// Continues where table b says for a.
    Switch,
    /// Enters loop number a.
    Enter,
    /// One more round of a loop with a rendezvous in it: dst += 1.
    Round,
    /// A barrier: a is its naga flags, b its rounds.
    Barrier,
    /// A subgroup operation: dst = f(a), b a lane or distance, c its rounds.
    Subgroup(Subgroup),
    End,
}

impl Op {
    /// Whether it is an atomic, whose `width` names its memory.
    pub(super) fn is_atomic(self) -> bool {
        matches!(
            self,
            Self::AtomicLoad | Self::AtomicStore | Self::Atomic(_) | Self::CompareExchange
        )
    }
}

/// An atomic's function of what was there and what is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Atomic {
    Add,
    Subtract,
    And,
    Xor,
    Or,
    MinI,
    MinU,
    MaxI,
    MaxU,
    Exchange,
}

impl Atomic {
    pub(super) fn of(function: AtomicFunction, signed: bool) -> Self {
        match function {
            AtomicFunction::Add => Self::Add,
            AtomicFunction::Subtract => Self::Subtract,
            AtomicFunction::And => Self::And,
            AtomicFunction::ExclusiveOr => Self::Xor,
            AtomicFunction::InclusiveOr => Self::Or,
            AtomicFunction::Min if signed => Self::MinI,
            AtomicFunction::Min => Self::MinU,
            AtomicFunction::Max if signed => Self::MaxI,
            AtomicFunction::Max => Self::MaxU,
            AtomicFunction::Exchange { .. } => Self::Exchange,
        }
    }

    pub(super) fn apply(self, old: u32, value: u32) -> u32 {
        match self {
            Self::Add => old.wrapping_add(value),
            Self::Subtract => old.wrapping_sub(value),
            Self::And => old & value,
            Self::Xor => old ^ value,
            Self::Or => old | value,
            Self::MinI => (old as i32).min(value as i32) as u32,
            Self::MinU => old.min(value),
            Self::MaxI => (old as i32).max(value as i32) as u32,
            Self::MaxU => old.max(value),
            Self::Exchange => value,
        }
    }
}

/// What the lanes of a subgroup do together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Subgroup {
    Ballot,
    Collective(SubgroupOperation, CollectiveOperation, Kind),
    BroadcastFirst,
    Broadcast,
    Shuffle,
    ShuffleDown,
    ShuffleUp,
    ShuffleXor,
    QuadBroadcast,
    /// Lane exclusive-or 1, 2 or 3 within its quad.
    QuadSwap(u8),
}

/// How a word is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Bool,
    I32,
    U32,
    F32,
}

/// The offset of an element that does not exist: its loads give 0, its stores are dropped.
pub(super) const LOST: u32 = u32::MAX;

/// In an operand that names memory: workgroup memory, not a resource.
pub(super) const SHARED: u16 = u16::MAX;

impl Program {
    /// Name of the entry point.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// Invocations of a workgroup along each axis.
    pub fn workgroup_size(&self) -> [u32; 3] {
        self.workgroup_size
    }

    /// Invocations of a workgroup.
    pub fn invocations(&self) -> u32 {
        self.workgroup_size
            .iter()
            .fold(1, |all, &n| all.saturating_mul(n))
    }

    /// The buffers and textures that it wants, in the order of [`super::Outcome::buffers`].
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Number of instructions.
    pub fn len(&self) -> usize {
        self.code.len()
    }

    /// Whether there is no instruction: never.
    pub fn is_empty(&self) -> bool {
        self.code.is_empty()
    }

    pub(super) fn place(&self, pc: u32) -> SourcePlace {
        let index = self.place_of.get(pc as usize).copied().unwrap_or(0);
        self.places.get(index as usize).cloned().unwrap_or_default()
    }
}
