//! Buffers as a dispatch sees them.
//!
//! Where workgroups run apart, each sees the buffers as they were when its batch began, and what it has
//! written itself; what it wrote is merged afterwards, in the order of the schedule. So no result
//! depends on which thread ran what. Where they run interleaved there is one thread and one memory.

use super::error::RunError;
use super::program::{Program, Resource};
use super::race::{Cell, Claims};
use super::source::Slot;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What is bound to a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// Where.
    pub slot: Slot,
    /// The contents: words as the device has them, or texels row after row.
    pub bytes: Vec<u8>,
    /// Which words hold something, one each; `None` where all do.
    pub written: Option<Vec<bool>>,
    /// Extents of a texture.
    pub extent: Option<[u32; 3]>,
}

impl Buffer {
    /// A buffer of group 0 that holds `bytes`.
    pub fn new(binding: u32, bytes: Vec<u8>) -> Self {
        Self {
            slot: Slot::Binding { group: 0, binding },
            bytes,
            written: None,
            extent: None,
        }
    }

    /// A buffer of group 0 that holds these numbers.
    pub fn of_floats(binding: u32, floats: &[f32]) -> Self {
        Self::new(
            binding,
            floats.iter().flat_map(|x| x.to_le_bytes()).collect(),
        )
    }

    /// A buffer of group 0 that holds these numbers.
    pub fn of_words(binding: u32, words: &[u32]) -> Self {
        Self::new(
            binding,
            words.iter().flat_map(|x| x.to_le_bytes()).collect(),
        )
    }

    /// A buffer of group 0 of this many words that nothing was written to. They hold a number that
    /// would show: a NaN with a pattern.
    pub fn unwritten(binding: u32, words: usize) -> Self {
        let bytes = 0x7fc0_dead_u32.to_le_bytes().repeat(words);
        Self {
            written: Some(vec![false; words]),
            ..Self::new(binding, bytes)
        }
    }

    /// The same at another place.
    #[must_use]
    pub fn at(self, slot: Slot) -> Self {
        Self { slot, ..self }
    }

    /// The same as a texture of this many texels.
    #[must_use]
    pub fn texture(self, extent: [u32; 3]) -> Self {
        Self {
            extent: Some(extent),
            ..self
        }
    }

    /// The contents as numbers.
    pub fn floats(&self) -> Vec<f32> {
        self.words().into_iter().map(f32::from_bits).collect()
    }

    /// The contents as numbers.
    pub fn words(&self) -> Vec<u32> {
        self.bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect()
    }
}

/// A bit for each word.
#[derive(Debug)]
pub(super) struct Bits(Vec<AtomicU64>);

impl Bits {
    pub(super) fn new(bits: usize) -> Self {
        Self((0..bits.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    #[inline]
    pub(super) fn set(&self, bit: usize) {
        let (word, mask) = (&self.0[bit / 64], 1 << (bit % 64));
        // Most bits are set already, and looking is cheaper.
        if word.load(Ordering::Relaxed) & mask == 0 {
            word.fetch_or(mask, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn get(&self, bit: usize) -> bool {
        self.0[bit / 64].load(Ordering::Relaxed) >> (bit % 64) & 1 != 0
    }

    pub(super) fn count(&self) -> u64 {
        self.0
            .iter()
            .map(|word| u64::from(word.load(Ordering::Relaxed).count_ones()))
            .sum()
    }
}

/// A buffer that all workgroups share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) words: Vec<AtomicU32>,
    /// Words that hold something; `None` where all do.
    pub(super) written: Option<Bits>,
    pub(super) extent: [u32; 3],
    /// Words that this dispatch read and wrote.
    pub(super) read: Bits,
    pub(super) stored: Bits,
    /// Of a buffer that may be written, who touched what.
    pub(super) claims: Option<Claims>,
}

impl Shared {
    fn new(resource: &Resource, buffer: &Buffer) -> Result<Self, RunError> {
        let wrong = |reason: String| RunError::Size {
            name: resource.name.clone(),
            slot: resource.slot,
            bytes: buffer.bytes.len(),
            reason,
        };
        if !buffer.bytes.len().is_multiple_of(4) {
            return Err(wrong("no whole number of words".into()));
        }
        // Offsets are 32 bits, and the last one means an element that does not exist.
        if buffer.bytes.len() as u64 / 4 >= u64::from(u32::MAX) {
            return Err(wrong("more than 16 GiB".into()));
        }
        if (buffer.bytes.len() as u64) < resource.least_bytes {
            return Err(wrong(format!(
                "the shader wants {} at least",
                resource.least_bytes
            )));
        }
        let words = buffer.words();
        if buffer
            .written
            .as_ref()
            .is_some_and(|written| written.len() != words.len())
        {
            return Err(wrong(
                "the map of what is written has another length".into(),
            ));
        }
        let mut extent = [words.len() as u32, 1, 1];
        if let Some(texel) = resource.texel_words {
            extent = buffer
                .extent
                .ok_or_else(|| wrong("a texture wants an extent".into()))?;
            let texels = extent.iter().map(|&n| u128::from(n)).product::<u128>();
            if texels * u128::from(texel) != words.len() as u128 {
                return Err(wrong(format!("{extent:?} texels of {} bytes", 4 * texel)));
            }
        }
        let written = buffer.written.as_ref().map(|written| {
            let bits = Bits::new(words.len());
            written
                .iter()
                .enumerate()
                .filter(|&(_, &written)| written)
                .for_each(|(i, _)| bits.set(i));
            bits
        });
        Ok(Self {
            written,
            extent,
            read: Bits::new(words.len()),
            stored: Bits::new(words.len()),
            claims: resource.writable.then(|| Claims::new(words.len())),
            words: words.into_iter().map(AtomicU32::new).collect(),
        })
    }

    /// Binds what a program wants.
    pub(super) fn bind(program: &Program, buffers: &[Buffer]) -> Result<Vec<Self>, RunError> {
        let bind = |resource: &Resource| {
            let buffer = buffers.iter().find(|buffer| buffer.slot == resource.slot);
            let unbound = || RunError::Unbound {
                name: resource.name.clone(),
                slot: resource.slot,
            };
            Self::new(resource, buffer.ok_or_else(unbound)?)
        };
        program.resources.iter().map(bind).collect()
    }

    /// Puts a word there for all to see.
    pub(super) fn put(&self, word: u32, value: u32) {
        self.words[word as usize].store(value, Ordering::Relaxed);
        if let Some(written) = &self.written {
            written.set(word as usize);
        }
    }

    /// Back to bytes.
    pub(super) fn into_buffer(self, resource: &Resource) -> Buffer {
        let written = self
            .written
            .map(|bits| (0..self.words.len()).map(|i| bits.get(i)).collect());
        let bytes = self
            .words
            .into_iter()
            .flat_map(|word| word.into_inner().to_le_bytes())
            .collect();
        let extent = resource.texel_words.map(|_| self.extent);
        Buffer {
            slot: resource.slot,
            bytes,
            written,
            extent,
        }
    }
}

/// Words of a page of cells.
const PAGE: usize = 256;

/// The cells of one buffer, made where they are first needed.
#[derive(Debug)]
pub(super) struct Pages(Vec<Option<Box<[Cell]>>>);

impl Pages {
    pub(super) fn new(words: usize) -> Self {
        Self((0..words.div_ceil(PAGE)).map(|_| None).collect())
    }

    #[inline]
    pub(super) fn cell(&mut self, word: usize, stamp: u32) -> &mut Cell {
        let page = self.0[word / PAGE].get_or_insert_with(|| vec![Cell::EMPTY; PAGE].into());
        let cell = &mut page[word % PAGE];
        cell.refresh(stamp);
        cell
    }
}
