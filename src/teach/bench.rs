//! A recipe with its data: a row of the lab.

use super::case::{Case, CaseBuffer, Contents};
use crate::gpu::GpuError;
use crate::kernels::step::StepScalars;
use crate::kernels::{Compiler, Recipe};

/// A recipe with its data.
pub struct Bench {
    /// Function and shape, as a reader would write them.
    pub what: &'static str,
    /// Lays both out.
    pub(super) build: fn(&Compiler) -> Built,
}

/// A recipe, and what its arguments hold.
pub(super) type Built = Result<(Recipe, Vec<CaseBuffer>), GpuError>;

impl Bench {
    /// Its cases, one for each stage: the same dispatches, and another text that may be changed.
    ///
    /// # Errors
    /// [`GpuError::Compile`] where a template asks for a constant that is not given: a defect.
    pub fn cases(&self, compiler: &Compiler) -> Result<Vec<Case>, GpuError> {
        let (recipe, buffers) = (self.build)(compiler)?;
        let Some(case) = Case::of_recipe(&recipe, buffers) else {
            return Ok(Vec::new());
        };
        let cases = (0..case.stages.len()).map(|edited| Case {
            edited,
            ..case.clone()
        });
        Ok(cases.collect())
    }
}

/// The scalars of a step, which nearly every kernel around the network reads.
pub(super) fn scalars(step: StepScalars) -> CaseBuffer {
    CaseBuffer {
        name: "step".to_owned(),
        shape: vec![size_of_val(&step) / 4],
        contents: Contents::Uniform(bytemuck::cast_slice(&[step]).to_vec()),
        expected: None,
    }
}

/// Words that kernels read, or change where nobody looks afterwards.
pub(super) fn words(name: &str, shape: &[usize], words: Vec<u32>) -> CaseBuffer {
    CaseBuffer {
        name: name.to_owned(),
        shape: shape.to_vec(),
        contents: Contents::Words(words),
        expected: None,
    }
}

/// Words that must be others afterwards.
pub(super) fn counted(
    name: &str,
    shape: &[usize],
    before: Vec<u32>,
    after: Vec<usize>,
) -> CaseBuffer {
    CaseBuffer {
        expected: Some(after.into_iter().map(|count| count as f64).collect()),
        ..words(name, shape, before)
    }
}
