//! WGSL's packing builtins: small numbers in one word.

use half::f16;

/// From a vector to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[rustfmt::skip]
pub(super) enum Pack { Snorm8, Unorm8, Snorm16, Unorm16, Float16, Int8, Uint8, Int8Clamp, Uint8Clamp }

/// From a word to a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[rustfmt::skip]
pub(super) enum Unpack { Snorm8, Unorm8, Snorm16, Unorm16, Float16, Int8, Uint8 }

impl Pack {
    /// Components of the vector.
    pub(super) fn components(self) -> u16 {
        match self {
            Self::Snorm16 | Self::Unorm16 | Self::Float16 => 2,
            _ => 4,
        }
    }

    fn component(self, word: u32) -> u32 {
        let x = f32::from_bits(word);
        // NaN, of which WGSL promises nothing, becomes 0.
        let norm =
            |low: f32, scale: f32| ((0.5 + scale * x.max(low).min(1.0)).floor()) as i32 as u32;
        match self {
            Self::Snorm8 => norm(-1.0, 127.0) & 0xff,
            Self::Unorm8 => norm(0.0, 255.0) & 0xff,
            Self::Snorm16 => norm(-1.0, 32767.0) & 0xffff,
            Self::Unorm16 => norm(0.0, 65535.0) & 0xffff,
            Self::Float16 => u32::from(f16::from_f32(x).to_bits()),
            Self::Int8 | Self::Uint8 => word & 0xff,
            Self::Int8Clamp => (word as i32).clamp(-128, 127) as u32 & 0xff,
            Self::Uint8Clamp => word.min(255),
        }
    }

    pub(super) fn apply(self, words: &[u32]) -> u32 {
        let bits = 32 / u32::from(self.components());
        let packed = words.iter().zip(0..);
        packed.fold(0, |word, (&x, i)| word | (self.component(x) << (bits * i)))
    }
}

impl Unpack {
    /// Components of the vector.
    pub(super) fn components(self) -> u16 {
        match self {
            Self::Snorm16 | Self::Unorm16 | Self::Float16 => 2,
            _ => 4,
        }
    }

    /// Component number `i`.
    pub(super) fn apply(self, word: u32, i: u32) -> u32 {
        let byte = (word >> (8 * (i & 3))) as u8;
        let pair = (word >> (16 * (i & 1))) as u16;
        match self {
            Self::Snorm8 => (f32::from(byte as i8) / 127.0).max(-1.0).to_bits(),
            Self::Unorm8 => (f32::from(byte) / 255.0).to_bits(),
            Self::Snorm16 => (f32::from(pair as i16) / 32767.0).max(-1.0).to_bits(),
            Self::Unorm16 => (f32::from(pair) / 65535.0).to_bits(),
            Self::Float16 => f16::from_bits(pair).to_f32().to_bits(),
            Self::Int8 => i32::from(byte as i8) as u32,
            Self::Uint8 => u32::from(byte),
        }
    }
}

/// Σ of the products of four signed bytes.
pub(super) fn dot4_signed(x: u32, y: u32) -> u32 {
    let bytes = |word: u32| word.to_le_bytes().map(|byte| i32::from(byte as i8));
    let (x, y) = (bytes(x), bytes(y));
    (0..4).map(|i| x[i] * y[i]).sum::<i32>() as u32
}

/// Σ of the products of four unsigned bytes.
pub(super) fn dot4_unsigned(x: u32, y: u32) -> u32 {
    let bytes = |word: u32| word.to_le_bytes().map(u32::from);
    let (x, y) = (bytes(x), bytes(y));
    (0..4).map(|i| x[i] * y[i]).sum()
}
