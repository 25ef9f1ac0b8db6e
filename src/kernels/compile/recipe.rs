//! A kernel with its grid and cost, and the sequence of kernels that computes one thing.

use crate::gpu::{Binding, Dispatch, Gpu, GpuError, Pipeline, Texture, View};

/// What one dispatch must do at the least, given how the work is cut into dispatches: the
/// roofline's two axes. Every kernel has its own; what it hands to the next counts for both.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations; a multiply-add counts two.
    pub flops: f64,
    /// Bytes read and written if everything that it needs travelled once.
    pub bytes: f64,
}

impl std::ops::Add for Cost {
    type Output = Cost;
    fn add(self, other: Cost) -> Cost {
        Cost {
            flops: self.flops + other.flops,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl std::ops::Mul<f64> for Cost {
    type Output = Cost;
    fn mul(self, factor: f64) -> Cost {
        Cost {
            flops: self.flops * factor,
            bytes: self.bytes * factor,
        }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Cost>>(costs: I) -> Cost {
        costs.fold(Cost::default(), |sum, cost| sum + cost)
    }
}

/// A pipeline with its grid and cost: everything but the buffers.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The shader.
    pub pipeline: Pipeline,
    /// Workgroups along x, y and z.
    pub grid: [u32; 3],
    /// What a dispatch must do at the least.
    pub cost: Cost,
}

/// What a kernel binds: an argument of its recipe, or memory the recipe shares among its own
/// kernels.
#[derive(Debug, Clone)]
pub enum Arg {
    /// The recipe's n-th argument.
    External(usize),
    /// The recipe's n-th scratch buffer.
    Scratch(usize),
    /// A texture that all recipes of a compiler share ([`super::Compiler::texture`]). Its
    /// contents are undefined before and after.
    Texture(Texture),
}

/// How large an argument of a recipe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many bytes, by the shape; what is bound may be larger.
    Bytes(u64),
    /// What the shape does not tell: an arena, a data set, a table for the whole network.
    Open,
}

impl Size {
    /// So many words of 32 bits.
    pub(in crate::kernels) fn words(count: usize) -> Self {
        Self::Bytes(4 * count as u64)
    }
}

/// The dispatches, in order, that compute one thing.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// Each kernel with what it binds, in the order of its bindings.
    pub stages: Vec<(Kernel, Vec<Arg>)>,
    /// Bytes of each scratch buffer. Its contents are undefined before and after.
    pub scratch: Vec<u64>,
    /// How large each argument is.
    pub arguments: Vec<Size>,
}

impl Recipe {
    /// A recipe of one kernel that binds the arguments in order.
    pub fn single(kernel: Kernel, arguments: Vec<Size>) -> Self {
        Self {
            stages: vec![(kernel, (0..arguments.len()).map(Arg::External).collect())],
            scratch: Vec::new(),
            arguments,
        }
    }

    /// Cost of each stage.
    pub fn costs(&self) -> impl Iterator<Item = Cost> + '_ {
        self.stages.iter().map(|(kernel, _)| kernel.cost)
    }

    /// Binds arguments and scratch memory.
    ///
    /// # Errors
    /// [`GpuError::Compile`] when they do not fit the kernels: a defect.
    pub fn bind(
        &self,
        gpu: &Gpu,
        arguments: &[View],
        scratch: &[View],
        label: &str,
    ) -> Result<Vec<Dispatch>, GpuError> {
        self.stages
            .iter()
            .map(|(kernel, bindings)| {
                let bound: Vec<Binding> = bindings
                    .iter()
                    .map(|arg| match arg {
                        Arg::External(index) => Binding::Buffer(arguments[*index].clone()),
                        Arg::Scratch(index) => Binding::Buffer(scratch[*index].clone()),
                        Arg::Texture(texture) => Binding::Texture(texture.clone()),
                    })
                    .collect();
                kernel.pipeline.bind(gpu, &bound, kernel.grid, label)
            })
            .collect()
    }
}
