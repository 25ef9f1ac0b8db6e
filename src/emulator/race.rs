//! Who touched a word, and who must not have.
//!
//! Two accesses of a word race where they are of different invocations, at least one is a write, not both
//! are atomic, and no barrier that orders the word's memory lies between them. Within a workgroup a
//! [`Cell`] finds them as they happen. Between workgroups no barrier orders anything: there it is enough
//! to know, of each kind of access, the lowest and the highest workgroup, which a [`Claims`] keeps. Minimum and
//! maximum do not depend on the order in which they are told, so that threads may tell them at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A kind of access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// An ordinary load.
    Read,
    /// An ordinary store.
    Write,
    /// An atomic load.
    AtomicRead,
    /// An atomic store, or an atomic that reads and writes.
    AtomicWrite,
}

const KINDS: [Access; 4] = [
    Access::Read,
    Access::Write,
    Access::AtomicRead,
    Access::AtomicWrite,
];

impl Access {
    /// The kinds that must not meet it.
    fn conflicts(self) -> &'static [Access] {
        match self {
            Self::Read => &[Self::Write, Self::AtomicWrite],
            Self::Write => &KINDS,
            Self::AtomicRead => &[Self::Write],
            Self::AtomicWrite => &[Self::Read, Self::Write],
        }
    }

    /// Whether it changes the word.
    pub fn is_write(self) -> bool {
        matches!(self, Self::Write | Self::AtomicWrite)
    }
}

/// Bits of an invocation's number within its workgroup, beside an instruction's in one word.
const LANE_BITS: u32 = 10;
/// Most invocations of a workgroup.
pub(super) const MOST_LANES: u32 = 1 << LANE_BITS;
const NOBODY: u32 = u32::MAX;

/// An invocation of a workgroup at an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Actor {
    pub(super) lane: u32,
    pub(super) pc: u32,
}

impl Actor {
    fn pack(self) -> u32 {
        self.pc << LANE_BITS | self.lane
    }

    fn unpack(word: u32) -> Self {
        Self {
            lane: word & (MOST_LANES - 1),
            pc: word >> LANE_BITS,
        }
    }
}

/// What a workgroup knows of a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// The workgroup's serial number; another one's cell is as good as empty.
    stamp: u32,
    /// Barriers of this memory before the accesses below.
    epoch: u32,
    /// Kinds of access since the stamp.
    seen: u8,
    /// Whether the workgroup has written the word: then `value` is what it reads.
    pub(super) written: bool,
    pub(super) value: u32,
    /// Of each kind, the first two invocations in the epoch. If anyone but the one at hand was there, one
    /// of two is not it.
    actors: [[u32; 2]; 4],
}

impl Cell {
    pub(super) const EMPTY: Self = Self {
        stamp: 0,
        epoch: 0,
        seen: 0,
        written: false,
        value: 0,
        actors: [[NOBODY; 2]; 4],
    };

    /// Forgets what other workgroups did.
    #[inline]
    pub(super) fn refresh(&mut self, stamp: u32) {
        if self.stamp != stamp {
            *self = Self {
                stamp,
                ..Self::EMPTY
            };
        }
    }

    /// Whether this is the workgroup's first access of the kind.
    #[inline]
    pub(super) fn first(&mut self, access: Access) -> bool {
        let bit = 1 << access as u8;
        let first = self.seen & bit == 0;
        self.seen |= bit;
        first
    }

    /// Notes an access, and says with whose it races.
    #[inline]
    pub(super) fn visit(
        &mut self,
        epoch: u32,
        access: Access,
        actor: Actor,
    ) -> Option<(Actor, Access)> {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.actors = [[NOBODY; 2]; 4];
        }
        let packed = actor.pack();
        let other = |word: u32| word != NOBODY && Actor::unpack(word).lane != actor.lane;
        let mut rival = None;
        for &kind in access.conflicts() {
            let [first, second] = self.actors[kind as usize];
            if other(first) {
                rival = Some((Actor::unpack(first), kind));
                break;
            }
            if other(second) {
                rival = Some((Actor::unpack(second), kind));
                break;
            }
        }
        let [first, second] = &mut self.actors[access as usize];
        if *first == NOBODY {
            *first = packed;
        } else if *second == NOBODY && other(*first) {
            *second = packed;
        }
        rival
    }
}

/// Words of a page of claims.
const PAGE: usize = 256;

/// A workgroup, one of its invocations, and an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) workgroup: u32,
    pub(super) actor: Actor,
}

impl Claim {
    fn pack(self) -> u64 {
        u64::from(self.workgroup) << 32 | u64::from(self.actor.pack())
    }

    fn unpack(word: u64) -> Self {
        Self {
            workgroup: (word >> 32) as u32,
            actor: Actor::unpack(word as u32),
        }
    }
}

/// Of each kind of access the lowest and the highest claim.
#[derive(Debug)]
struct Claimed([[AtomicU64; 2]; 4]);

impl Claimed {
    fn empty() -> Self {
        Self(std::array::from_fn(|_| {
            [AtomicU64::new(u64::MAX), AtomicU64::new(0)]
        }))
    }

    fn of(&self, access: Access) -> Option<[Claim; 2]> {
        let [low, high] = &self.0[access as usize];
        let low = low.load(Ordering::Relaxed);
        (low != u64::MAX).then(|| [low, high.load(Ordering::Relaxed)].map(Claim::unpack))
    }
}

/// Which workgroups touched the words of a buffer.
#[derive(Debug)]
pub(super) struct Claims(Vec<OnceLock<Box<[Claimed]>>>);

impl Claims {
    pub(super) fn new(words: usize) -> Self {
        Self((0..words.div_ceil(PAGE)).map(|_| OnceLock::new()).collect())
    }

    pub(super) fn tell(&self, word: usize, access: Access, claim: Claim) {
        let page =
            self.0[word / PAGE].get_or_init(|| (0..PAGE).map(|_| Claimed::empty()).collect());
        let [low, high] = &page[word % PAGE].0[access as usize];
        let packed = claim.pack();
        low.fetch_min(packed, Ordering::Relaxed);
        high.fetch_max(packed, Ordering::Relaxed);
    }

    /// Every word that two workgroups race for, with a pair of accesses for each pair of kinds.
    pub(super) fn races(&self) -> impl Iterator<Item = (usize, [(Claim, Access); 2])> {
        let pages = self
            .0
            .iter()
            .enumerate()
            .filter_map(|(number, page)| Some((number, page.get()?)));
        pages.flat_map(|(number, page)| {
            page.iter().enumerate().flat_map(move |(i, claimed)| {
                pairs(claimed).map(move |pair| (number * PAGE + i, pair))
            })
        })
    }
}

fn pairs(claimed: &Claimed) -> impl Iterator<Item = [(Claim, Access); 2]> {
    KINDS.into_iter().flat_map(move |first| {
        let later = first
            .conflicts()
            .iter()
            .copied()
            .filter(move |&second| first <= second);
        later.filter_map(move |second| {
            let ([low, high], [other_low, other_high]) = (claimed.of(first)?, claimed.of(second)?);
            // If all claims of both kinds are of one workgroup, both pairs are.
            let pair = match low.workgroup != other_high.workgroup {
                true => (low, other_high),
                false => (high, other_low),
            };
            (pair.0.workgroup != pair.1.workgroup).then_some([(pair.0, first), (pair.1, second)])
        })
    })
}
