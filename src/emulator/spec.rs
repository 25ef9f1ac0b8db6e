//! What a shader is run on: a grid and buffers, as a TOML file beside it says.
//!
//! ```toml
//! workgroups = [2, 1, 1]
//! entry = "main"           # where there are several
//!
//! [[buffers]]
//! binding = 0
//! length = 128             # elements of `type`; or bytes = 512
//! type = "f32"
//! fill = "unwritten"       # zero, index, random; or values = [1, 2.5]
//! ```

use super::memory::Buffer;
use super::program::Program;
use super::random::Random;
use super::source::Slot;
use serde::Deserialize;

/// Most bytes of all buffers together: a fault of a large buffer shows in a small one.
const MOST_BYTES: u64 = 256 << 20;

/// A grid, and what is bound.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The grid.
    pub workgroups: [u32; 3],
    /// The entry point; needed where there are several.
    pub entry: Option<String>,
    /// Whether the results may depend on the order of invocations.
    #[serde(default)]
    pub any_order: bool,
    /// What is bound.
    #[serde(default)]
    pub buffers: Vec<BufferSpec>,
}

/// A buffer, and what it holds before.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BufferSpec {
    /// `@group`.
    #[serde(default)]
    pub group: u32,
    /// `@binding`.
    pub binding: u32,
    /// Elements; or `bytes`.
    pub length: Option<u64>,
    /// Bytes; or `length`.
    pub bytes: Option<u64>,
    /// Of what the elements are; `f32` unless said.
    #[serde(rename = "type", default)]
    pub kind: ElementKind,
    /// What it holds; zeros unless said.
    #[serde(default)]
    pub fill: Fill,
    /// What its first components hold.
    #[serde(default)]
    pub values: Vec<f64>,
    /// Extents, where it is a texture; it has as many elements.
    pub extent: Option<[u32; 3]>,
}

/// A type of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are WGSL's own")]
pub enum ElementKind {
    #[default]
    F32,
    U32,
    I32,
    Vec2f,
    Vec2u,
    Vec2i,
    Vec3f,
    Vec3u,
    Vec3i,
    Vec4f,
    Vec4u,
    Vec4i,
}

impl ElementKind {
    /// Words from one element of an array to the next.
    fn words(self) -> u64 {
        match self {
            Self::F32 | Self::U32 | Self::I32 => 1,
            Self::Vec2f | Self::Vec2u | Self::Vec2i => 2,
            // An array keeps them apart as if they were four.
            Self::Vec3f | Self::Vec3u | Self::Vec3i => 4,
            Self::Vec4f | Self::Vec4u | Self::Vec4i => 4,
        }
    }

    fn word(self, value: f64) -> u32 {
        match self {
            Self::F32 | Self::Vec2f | Self::Vec3f | Self::Vec4f => (value as f32).to_bits(),
            Self::U32 | Self::Vec2u | Self::Vec3u | Self::Vec4u => value as u32,
            Self::I32 | Self::Vec2i | Self::Vec3i | Self::Vec4i => value as i32 as u32,
        }
    }

    fn is_float(self) -> bool {
        self.word(1.0) != 1
    }
}

/// What a buffer holds before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// Zeros.
    #[default]
    Zero,
    /// Each element its number.
    Index,
    /// Floats from −1 to 1, integers from 0 to 255: the same every time.
    Random,
    /// Nothing: a read before a write is a fault.
    Unwritten,
}

/// Why a description of buffers is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It is no TOML, or says something else.
    #[error("{0}")]
    Toml(String),
    /// A buffer has no size, or two.
    #[error("binding {binding}: say `length` in elements or `bytes`, one of both")]
    Size {
        /// Which.
        binding: u32,
    },
    /// The buffers are too large.
    #[error("buffers of more than {MOST_BYTES} bytes in all: faults show in smaller ones, too")]
    TooLarge,
    /// More values than elements.
    #[error("binding {binding}: {values} values do not fit into {words} words")]
    Values {
        /// Which.
        binding: u32,
        /// Values that are given.
        values: usize,
        /// Words that there are.
        words: u64,
    },
    /// Two buffers at one place.
    #[error("two buffers are bound to {0}")]
    Twice(Slot),
}

impl Spec {
    /// Reads what [this module](self) shows.
    ///
    /// # Errors
    /// [`SpecError`], with the line of what is wrong.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        toml::from_str(text).map_err(|error| SpecError::Toml(error.to_string().trim().to_owned()))
    }

    /// A description that fits a program, as TOML for somebody to fill in.
    pub fn template(program: &Program) -> String {
        let mut text = "workgroups = [1, 1, 1]\n".to_owned();
        for resource in program.resources() {
            let Slot::Binding { group, binding } = resource.slot else {
                continue;
            };
            let fill = if resource.writable {
                "unwritten"
            } else {
                "random"
            };
            let bytes = resource.least_bytes.max(256);
            let kind = if resource.floats { "f32" } else { "u32" };
            text += &format!("\n[[buffers]] # {}\n", resource.name);
            if group > 0 {
                text += &format!("group = {group}\n");
            }
            text += &match resource.texel_words {
                Some(_) => {
                    format!("binding = {binding}\nextent = [16, 16, 1]\nfill = \"{fill}\"\n")
                }
                None => format!(
                    "binding = {binding}\nbytes = {bytes}\ntype = \"{kind}\"\nfill = \"{fill}\"\n"
                ),
            };
        }
        text
    }

    /// The buffers before the first dispatch.
    ///
    /// # Errors
    /// [`SpecError`] where a size or a value is wrong.
    pub fn buffers(&self, program: &Program) -> Result<Vec<Buffer>, SpecError> {
        let mut buffers: Vec<Buffer> = Vec::new();
        let mut left = MOST_BYTES / 4;
        for spec in &self.buffers {
            let buffer = spec.buffer(program, left)?;
            left -= buffer.bytes.len() as u64 / 4;
            if buffers.iter().any(|other| other.slot == buffer.slot) {
                return Err(SpecError::Twice(buffer.slot));
            }
            buffers.push(buffer);
        }
        Ok(buffers)
    }
}

impl BufferSpec {
    /// Words, if they are no more than `most`.
    fn words(&self, program: &Program, most: u64) -> Result<u64, SpecError> {
        let binding = self.binding;
        let words = match (self.length, self.bytes, self.extent) {
            (Some(length), None, None) => u128::from(length) * u128::from(self.kind.words()),
            (None, Some(bytes), None) => u128::from(bytes.div_ceil(4)),
            (None, None, Some(extent)) => {
                let mut all = program.resources().iter();
                let here = all.find(|resource| resource.slot == self.slot());
                let texel = here.and_then(|resource| resource.texel_words).unwrap_or(4);
                let texels = extent.iter().map(|&n| u128::from(n));
                texels.fold(u128::from(texel), u128::saturating_mul)
            }
            _ => return Err(SpecError::Size { binding }),
        };
        match u64::try_from(words) {
            Ok(words) if words <= most => Ok(words),
            _ => Err(SpecError::TooLarge),
        }
    }

    fn slot(&self) -> Slot {
        Slot::Binding {
            group: self.group,
            binding: self.binding,
        }
    }

    fn buffer(&self, program: &Program, most: u64) -> Result<Buffer, SpecError> {
        let words = self.words(program, most)?;
        if self.values.len() as u64 > words {
            return Err(SpecError::Values {
                binding: self.binding,
                values: self.values.len(),
                words,
            });
        }
        let kind = self.kind;
        let mut random = Random::new(0, u64::from(self.binding));
        let mut word = |number: u64| match self.fill {
            Fill::Zero => 0,
            Fill::Index => kind.word((number / kind.words()) as f64),
            Fill::Random if kind.is_float() => {
                kind.word(random.below(1 << 24) as f64 / f64::from(1 << 23) - 1.0)
            }
            Fill::Random => random.below(256) as u32,
            Fill::Unwritten => 0,
        };
        let mut filled = match self.fill {
            Fill::Unwritten => Buffer::unwritten(0, words as usize),
            _ => Buffer::of_words(0, &(0..words).map(&mut word).collect::<Vec<u32>>()),
        };
        for (number, &value) in self.values.iter().enumerate() {
            filled.bytes[4 * number..4 * number + 4]
                .copy_from_slice(&kind.word(value).to_le_bytes());
            if let Some(written) = &mut filled.written {
                written[number] = true;
            }
        }
        let filled = filled.at(self.slot());
        Ok(match self.extent {
            Some(extent) => filled.texture(extent),
            None => filled,
        })
    }
}
