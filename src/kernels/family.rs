//! What a family of kernels shows of itself: its templates, and the permutations that take every
//! arm of them.

use super::compile::{Compiler, Recipe, Template};
use crate::gpu::GpuError;
use std::fmt::Display;

/// Kernels that compute one thing and its gradients.
pub struct Family {
    /// Path of its module in this room, which is that of its twin and its tests in theirs.
    pub name: &'static str,
    /// Its shaders.
    pub templates: &'static [Template],
    pub(super) permutations: fn(&mut Table),
}

impl Family {
    /// A recipe for each of some shapes and choices of options, which together take every arm of
    /// the templates.
    pub fn permutations(&self) -> Vec<Permutation> {
        let mut table = Table(Vec::new());
        (self.permutations)(&mut table);
        table.0
    }
}

/// One recipe of a family.
pub struct Permutation {
    /// What it computes: family and function.
    pub name: &'static str,
    /// Shape and options, as a reader would write them.
    pub shape: String,
    build: Box<Build>,
}

type Build = dyn Fn(&Compiler) -> Result<Recipe, GpuError>;

impl Permutation {
    /// The recipe under the compiler's tiling: its pipelines hold the expansions.
    ///
    /// # Errors
    /// Those of the family's functions.
    pub fn build(&self, compiler: &Compiler) -> Result<Recipe, GpuError> {
        (self.build)(compiler)
    }
}

/// Where a family lists its permutations.
pub(super) struct Table(Vec<Permutation>);

impl Table {
    /// A row: what `name` (family and function) makes of `shape`, as a reader would write shape and
    /// options.
    pub fn push(
        &mut self,
        name: &'static str,
        shape: impl Display,
        build: impl Fn(&Compiler) -> Result<Recipe, GpuError> + 'static,
    ) {
        self.0.push(Permutation {
            name,
            shape: shape.to_string(),
            build: Box::new(build),
        });
    }
}
