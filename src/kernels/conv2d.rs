//! Two-dimensional convolution: forward, data gradient, weight gradient.
//!
//! Two families compute it, and this file chooses between them: [`conv2d_tiled`] (shared
//! memory, any shape, any adapter) and [`conv2d_subgroup`] (registers and literal shuffles,
//! for software Vulkan and the shapes that networks are made of).
//!
//! [`conv2d_tiled`]: super::conv2d_tiled
//! [`conv2d_subgroup`]: super::conv2d_subgroup

use super::{
    Compiler, Cost, Preset, Recipe, conv2d_subgroup, conv2d_subgroup_weight, conv2d_tiled,
};
use crate::gpu::GpuError;

/// Shape of a convolution. Activations are NCHW, weights OIHW; no bias (batch norm follows).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Images N.
    pub batch: usize,
    /// Input channels C.
    pub in_channels: usize,
    /// Output channels K.
    pub out_channels: usize,
    /// Input height H.
    pub height: usize,
    /// Input width W.
    pub width: usize,
    /// Kernel height and width.
    pub kernel: usize,
    /// Stride in both directions: 1 or 2.
    pub stride: usize,
    /// Zeros around the input on every side.
    pub padding: usize,
}

impl Shape {
    /// Output height.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Output width.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Elements of the input N×C×H×W.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_channels * self.height * self.width
    }

    /// Elements of the output N×K×H'×W'.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_channels * self.out_height() * self.out_width()
    }

    /// Elements of the weights K×C×R×R.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * self.kernel * self.kernel
    }

    /// Cost of any of the three passes: 2·N·K·C·R²·H'·W' flops, each operand moved once.
    pub fn cost(&self) -> Cost {
        Cost {
            flops: 2.0
                * self.output_len() as f64
                * (self.in_channels * self.kernel * self.kernel) as f64,
            bytes: 4.0 * (self.input_len() + self.output_len() + self.weight_len()) as f64,
        }
    }
}

/// `y = x ∗ w`. Arguments: `x` N×C×H×W, `w` K×C×R×R, `y` N×K×H'×W' (written in full).
///
/// # Errors
/// [`GpuError::Compile`].
pub fn forward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    match compiler.preset {
        Preset::Cpu { lanes } if conv2d_subgroup::has_forward(shape, lanes) => {
            conv2d_subgroup::forward(compiler, shape, lanes)
        }
        _ => conv2d_tiled::forward(compiler, shape),
    }
}

/// `dx = dL/dx` from `dy`, or `dx += …` with `accumulate`. Arguments: `dy` N×K×H'×W',
/// `w` K×C×R×R, `dx` N×C×H×W (written in full).
///
/// # Errors
/// [`GpuError::Compile`].
pub fn data_gradient(
    compiler: &Compiler,
    shape: &Shape,
    accumulate: bool,
) -> Result<Recipe, GpuError> {
    match compiler.preset {
        Preset::Cpu { lanes } if conv2d_subgroup::has_data_gradient(shape, lanes) => {
            conv2d_subgroup::data_gradient(compiler, shape, lanes, accumulate)
        }
        _ => conv2d_tiled::data_gradient(compiler, shape, accumulate),
    }
}

/// `dw = dL/dw`. Arguments: `x` N×C×H×W, `dy` N×K×H'×W', `dw` K×C×R×R (written in full).
/// The sum over N·H'·W' is cut into fixed slices that a second kernel adds in fixed order.
///
/// # Errors
/// [`GpuError::Compile`].
pub fn weight_gradient(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    match compiler.preset {
        Preset::Cpu { lanes } if conv2d_subgroup_weight::has_weight_gradient(shape) => {
            conv2d_subgroup_weight::weight_gradient(compiler, shape, lanes)
        }
        _ => conv2d_tiled::weight_gradient(compiler, shape),
    }
}
