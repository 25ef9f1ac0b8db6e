//! Two-dimensional convolution: forward, data gradient, weight gradient.
//!
//! Two families compute it, and this file chooses between them: [`conv2d_tiled`] (shared
//! memory, any shape, any adapter) and [`conv2d_subgroup`] (registers and literal shuffles,
//! for software Vulkan: all that has a 3×3 or 1×1 kernel, and forward and weight gradient of
//! nearly all else).
//!
//! [`conv2d_tiled`]: super::conv2d_tiled
//! [`conv2d_subgroup`]: super::conv2d_subgroup

use super::conv2d_subgroup_texture::Fit;
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

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shape {
            batch,
            in_channels,
            out_channels,
            height,
            width,
            kernel,
            stride,
            padding,
        } = self;
        write!(
            f,
            "{batch}×{in_channels}×{height}×{width} to {out_channels} channels by \
             {kernel}×{kernel}, stride {stride}, padding {padding}"
        )
    }
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

    /// Elements of the input that some tap reads: all of them, unless the stride is larger than
    /// the kernel.
    pub fn visited_len(&self) -> usize {
        let visited = |size: usize, out: usize| {
            let by = |at: usize, tap: usize| {
                let step = (at + self.padding).checked_sub(tap);
                step.is_some_and(|s| s.is_multiple_of(self.stride) && s / self.stride < out)
            };
            let is_visited = |at: &usize| (0..self.kernel).any(|tap| by(*at, tap));
            (0..size).filter(is_visited).count()
        };
        let rows = visited(self.height, self.out_height());
        self.batch * self.in_channels * rows * visited(self.width, self.out_width())
    }

    /// Flops of any of the three passes, 2·N·K·C·R²·H'·W': taps on the zeros around the image
    /// count, as everyone counts them.
    pub fn flops(&self) -> f64 {
        let inner = self.in_channels * self.kernel * self.kernel;
        2.0 * self.output_len() as f64 * inner as f64
    }

    /// Cost of the forward pass: reads what it visits of `x` and `weights` bytes of packed
    /// weights, writes `y`.
    pub(super) fn forward_cost(&self, weights: u64) -> Cost {
        self.cost(self.visited_len() + self.output_len(), weights)
    }

    /// Cost of the data gradient: reads `dy` and `weights` bytes of packed weights, writes all of
    /// `dx`, or adds to what is visited of it.
    pub(super) fn data_cost(&self, accumulate: bool, weights: u64) -> Cost {
        let dx = match accumulate {
            false => self.input_len(),
            true => 2 * self.visited_len(),
        };
        self.cost(self.output_len() + dx, weights)
    }

    /// Cost of the weight gradient: reads what is visited of `x`, and `dy`, writes `sums` bytes of
    /// partial sums.
    pub(super) fn weight_cost(&self, sums: u64) -> Cost {
        self.cost(self.visited_len() + self.output_len(), sums)
    }

    fn cost(&self, activations: usize, weights: u64) -> Cost {
        Cost {
            flops: self.flops(),
            bytes: 4.0 * activations as f64 + weights as f64,
        }
    }
}

/// `y = x ∗ w`. Arguments: `x` N×C×H×W, `w` K×C×R×R, `y` N×K×H'×W' (written in full).
///
/// # Errors
/// [`GpuError::Compile`].
pub fn forward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    match (compiler.preset, Fit::of_input(shape)) {
        (Preset::Cpu { lanes }, Some(fit)) if conv2d_subgroup::has_forward(&fit, lanes) => {
            conv2d_subgroup::forward(compiler, &fit, lanes)
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
    match (compiler.preset, Fit::of(shape)) {
        (Preset::Cpu { lanes }, Some(fit)) if conv2d_subgroup::has_data_gradient(&fit, lanes) => {
            conv2d_subgroup::data_gradient(compiler, &fit, lanes, accumulate)
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
    match (compiler.preset, Fit::of_input(shape)) {
        (Preset::Cpu { lanes }, Some(fit)) => {
            conv2d_subgroup_weight::weight_gradient(compiler, &fit, lanes)
        }
        _ => conv2d_tiled::weight_gradient(compiler, shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Gpu;

    fn shape([n, c, k, size, kernel, stride]: [usize; 6]) -> Shape {
        Shape {
            batch: n,
            in_channels: c,
            out_channels: k,
            height: size,
            width: size,
            kernel,
            stride,
            padding: kernel / 2,
        }
    }

    /// Twins agree with either family: that the faster one is taken shows in names only.
    #[test]
    fn a_cpu_takes_the_subgroup_family_wherever_it_can() {
        let gpu = Gpu::null();
        let compiler = Compiler::new(&gpu, Preset::Cpu { lanes: 8 });
        let names = |recipe: Result<Recipe, GpuError>| -> Vec<String> {
            let stages = recipe.unwrap().stages.into_iter();
            let names = stages.map(|(kernel, _)| kernel.pipeline.name().to_owned());
            names
                .map(|name| name.replace("conv2d_subgroup", ""))
                .collect()
        };
        let forward = |of| names(super::forward(&compiler, &shape(of)));
        let data = |of| names(data_gradient(&compiler, &shape(of), false));
        let weight = |of| names(weight_gradient(&compiler, &shape(of)));

        // Rows of whole vec4s: as they are, or copied for many loads.
        assert_eq!(forward([2, 16, 16, 32, 3, 1]), ["_pack.pack", ".forward"]);
        let many = [2, 64, 64, 32, 3, 1];
        assert_eq!(forward(many), ["_pack.pack", "_texture.copy", ".forward"]);
        // Others are padded.
        let ragged = [2, 16, 16, 14, 3, 1];
        assert_eq!(forward(ragged), ["_pack.pack", "_texture.pad", ".forward"]);
        assert_eq!(data(ragged), ["_texture.copy", "_texture.pad", ".forward"]);
        assert_eq!(weight(ragged)[..2], ["_texture.pad", "_texture.pad"]);
        let odd = [2, 16, 16, 7, 3, 2];
        assert_eq!(forward(odd), ["_pack.pack", "_texture.pad", ".forward"]);
        assert_eq!(data(odd), ["_texture.copy", "_scatter.scatter"]);
        // A 1×1 map of 14² is 196 pixels, of which rows do not matter: two of 98.
        let pointwise = [2, 16, 16, 14, 1, 1];
        assert_eq!(forward(pointwise)[1..], ["_texture.pad", ".forward"]);
        // Other kernels, and strides that leave most of x out, are unfolded.
        let stem = [2, 3, 64, 224, 7, 2];
        assert_eq!(forward(stem), ["_pack.pack", "_texture.unfold", ".forward"]);
        assert_eq!(weight(stem)[0], "_texture.unfold");
        assert_eq!(data(stem), ["conv2d_tiled.pack", "conv2d_tiled.gather"]);
        assert_eq!(forward([2, 8, 128, 8, 1, 2])[1], "_texture.unfold");
        assert_eq!(forward([2, 8, 16, 8, 1, 2]), ["_pack.pack", ".forward"]);
        // What no texture holds.
        let many = [128, 3, 64, 224, 7, 2];
        assert_eq!(forward(many), ["conv2d_tiled.pack", "conv2d_tiled.gather"]);
    }

    #[test]
    fn textures_are_counted_and_shared_by_size() {
        let gpu = Gpu::null();
        let compiler = Compiler::new(&gpu, Preset::Cpu { lanes: 8 });
        assert_eq!(compiler.texture_bytes(), 0);
        let build = |compiler: &Compiler| {
            forward(compiler, &shape([2, 64, 64, 32, 3, 1])).unwrap();
        };
        build(&compiler);
        // x: 2·64·32²/4 texels. Weights: 4 blocks of 64 channels, 5 registers of 8 texels, and up
        // to the next power of two.
        let bytes = 16 * (32_768 + (4 * 64 * 40usize).next_power_of_two() as u64);
        assert_eq!(compiler.texture_bytes(), bytes);
        build(&compiler);
        assert_eq!(compiler.texture_bytes(), bytes);
        let apart = compiler.apart();
        assert_eq!(apart.texture_bytes(), 0);
        build(&apart);
        assert_eq!(
            (apart.texture_bytes(), compiler.texture_bytes()),
            (bytes, bytes)
        );
    }

    #[test]
    fn costs_are_those_worked_out_by_hand() {
        let shape = Shape {
            batch: 2,
            in_channels: 3,
            out_channels: 5,
            height: 8,
            width: 6,
            kernel: 3,
            stride: 2,
            padding: 1,
        };
        // 4×3 outputs. Every row and column is under some tap.
        assert_eq!(shape.flops(), 2.0 * (2 * 5 * 4 * 3) as f64 * 27.0);
        assert_eq!(shape.visited_len(), shape.input_len());
        let (x, y) = (4.0 * 2.0 * 3.0 * 48.0, 4.0 * 2.0 * 5.0 * 12.0);
        assert_eq!(shape.forward_cost(540).bytes, x + y + 540.0);
        assert_eq!(shape.data_cost(true, 540).bytes, 2.0 * x + y + 540.0);
        // A 1×1 kernel of stride 2 visits every other row and column, but dx has them all.
        let pointwise = Shape {
            kernel: 1,
            padding: 0,
            ..shape
        };
        assert_eq!(4 * pointwise.visited_len(), shape.input_len());
        assert_eq!(pointwise.forward_cost(0).bytes, x / 4.0 + y);
        assert_eq!(pointwise.data_cost(false, 0).bytes, x + y);
        assert_eq!(pointwise.data_cost(true, 0).bytes, x / 2.0 + y);
        assert_eq!(pointwise.weight_cost(60).bytes, x / 4.0 + y + 60.0);
    }
}
