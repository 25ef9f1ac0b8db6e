//! Kernels on small, fixed data, with what the twin makes of it: what a visitor's text is held to.

use crate::kernels::{Arg, Recipe};
use serde::Serialize;

/// Dispatches, one after the other, of which a visitor may change one.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// The dispatches, in order.
    pub stages: Vec<Stage>,
    /// The one whose text may be changed.
    pub edited: usize,
    /// All memory.
    pub buffers: Vec<CaseBuffer>,
    /// Largest error that is allowed, as a share of the largest expected value.
    pub tolerance: f64,
}

/// One dispatch.
#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    /// Kernel and entry point.
    pub name: String,
    /// The entry point.
    pub entry: String,
    /// The WGSL.
    pub source: String,
    /// Workgroups along x, y and z.
    pub grid: [u32; 3],
    /// What lies at binding 0, 1, …: numbers of buffers.
    pub bindings: Vec<usize>,
}

/// One buffer.
#[derive(Debug, Clone, Serialize)]
pub struct CaseBuffer {
    /// What the card calls it.
    pub name: String,
    /// Its extents, the last running fastest.
    pub shape: Vec<usize>,
    /// What it holds before.
    pub contents: Contents,
    /// What it must hold afterwards, by the twin; `None` where that is not looked at.
    pub expected: Option<Vec<f64>>,
}

/// What a buffer holds before anything runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "values")]
pub enum Contents {
    /// Numbers.
    Floats(Vec<f32>),
    /// Words.
    Words(Vec<u32>),
    /// A uniform buffer of these words.
    Uniform(Vec<u32>),
    /// So many words that nothing was written to.
    Unwritten(usize),
}

/// What memory holds that nothing was written to: a NaN that no computation makes.
pub const UNWRITTEN: u32 = 0x7fc0_dead;

impl Contents {
    /// The words as a device has them.
    pub fn words(&self) -> Vec<u32> {
        match self {
            Self::Floats(floats) => floats.iter().map(|x| x.to_bits()).collect(),
            Self::Words(words) | Self::Uniform(words) => words.clone(),
            Self::Unwritten(words) => vec![UNWRITTEN; *words],
        }
    }
}

impl CaseBuffer {
    /// Numbers that kernels read.
    pub fn given(name: &str, shape: &[usize], floats: &[f32]) -> Self {
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            contents: Contents::Floats(floats.to_vec()),
            expected: None,
        }
    }

    /// Memory that must hold `expected` afterwards, and holds nothing before.
    pub fn wanted(name: &str, shape: &[usize], expected: Vec<f64>) -> Self {
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            contents: Contents::Unwritten(expected.len()),
            expected: Some(expected),
        }
    }

    /// Memory that holds `floats` before and must hold `expected` afterwards.
    pub fn changed(name: &str, shape: &[usize], floats: &[f32], expected: Vec<f64>) -> Self {
        Self {
            expected: Some(expected),
            ..Self::given(name, shape, floats)
        }
    }

    /// Memory that kernels hand on, and that nobody looks at afterwards.
    pub fn scratch(name: &str, words: usize) -> Self {
        Self {
            name: name.to_owned(),
            shape: vec![words],
            contents: Contents::Unwritten(words),
            expected: None,
        }
    }
}

impl Case {
    /// A case of one dispatch that binds all buffers in order.
    pub fn single(source: &str, entry: &str, grid: [u32; 3], buffers: Vec<CaseBuffer>) -> Self {
        Self {
            stages: vec![Stage {
                name: entry.to_owned(),
                entry: entry.to_owned(),
                source: source.to_owned(),
                grid,
                bindings: (0..buffers.len()).collect(),
            }],
            edited: 0,
            buffers,
            tolerance: 1e-4,
        }
    }

    /// The case of a recipe whose arguments are `buffers`; scratch memory follows them. `None` where the
    /// recipe binds textures, which only tilings for software adapters do.
    pub fn of_recipe(recipe: &Recipe, mut buffers: Vec<CaseBuffer>) -> Option<Self> {
        let arguments = buffers.len();
        let scratch = recipe.scratch.iter().zip(0..);
        buffers.extend(scratch.map(|(&bytes, number)| {
            CaseBuffer::scratch(&format!("scratch {number}"), bytes.div_ceil(4) as usize)
        }));
        let stages = recipe.stages.iter().map(|(kernel, bindings)| {
            let bindings = bindings.iter().map(|arg| match arg {
                Arg::External(index) => Some(*index),
                Arg::Scratch(index) => Some(arguments + index),
                Arg::Texture(_) => None,
            });
            Some(Stage {
                name: kernel.pipeline.name().to_owned(),
                entry: kernel.pipeline.entry().to_owned(),
                source: kernel.pipeline.source().to_owned(),
                grid: kernel.grid,
                bindings: bindings.collect::<Option<_>>()?,
            })
        });
        Some(Self {
            stages: stages.collect::<Option<_>>()?,
            edited: 0,
            buffers,
            tolerance: 1e-4,
        })
    }

    /// The same with another text in the place of the one that may be changed.
    #[must_use]
    pub fn with(mut self, source: &str) -> Self {
        if let Some(stage) = self.stages.get_mut(self.edited) {
            stage.source = source.to_owned();
        }
        self
    }
}

/// Values in −1…1 from a counter: the same on every machine.
pub fn noise(seed: u32, length: usize) -> Vec<f32> {
    (0..length as u32)
        .map(|i| {
            let bits = crate::reference::random::random(seed, 0, i, 0);
            bits as f32 / u32::MAX as f32 * 2.0 - 1.0
        })
        .collect()
}

/// `f32` values as the twins take them.
pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_fills_its_range() {
        let values = noise(1, 1000);
        assert!(values.iter().all(|v| (-1.0..=1.0).contains(v)));
        assert!(values.iter().any(|&v| v > 0.9) && values.iter().any(|&v| v < -0.9));
        assert_ne!(values, noise(2, 1000));
    }
}
