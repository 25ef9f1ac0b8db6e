//! Two-dimensional convolution: forward, data gradient, weight gradient.
//!
//! Two families compute it, and this file chooses between them: [`tiled`] (shared memory, any
//! shape, any adapter) and [`subgroup`] with [`subgroup_weight`] (registers and literal shuffles,
//! for software Vulkan: all that has a 3×3 or 1×1 kernel, and forward and weight gradient of
//! nearly all else). Convolutions in groups are [`grouped`]'s.

pub mod grouped;
mod shape;
mod subgroup;
mod subgroup_texture;
mod subgroup_weight;
mod tiled;

use crate::gpu::GpuError;
use crate::kernels::{Compiler, Recipe, Tiling};
pub use shape::Shape;
use subgroup_texture::Fit;

/// `y = x ∗ w`. Arguments: `x` N×C×H×W, `w` K×C×R×R, `y` N×K×H'×W' (written in full).
///
/// # Errors
/// [`GpuError::Compile`].
pub fn forward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    match (compiler.tiling, Fit::of_input(shape)) {
        (Tiling::Cpu { lanes }, Some(fit)) if subgroup::has_forward(&fit, lanes) => {
            subgroup::forward(compiler, &fit, lanes)
        }
        _ => tiled::forward(compiler, shape),
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
    match (compiler.tiling, Fit::of(shape)) {
        (Tiling::Cpu { lanes }, Some(fit)) if subgroup::has_data_gradient(&fit, lanes) => {
            subgroup::data_gradient(compiler, &fit, lanes, accumulate)
        }
        _ => tiled::data_gradient(compiler, shape, accumulate),
    }
}

/// `dw = dL/dw`. Arguments: `x` N×C×H×W, `dy` N×K×H'×W', `dw` K×C×R×R (written in full).
/// The sum over N·H'·W' is cut into fixed slices that a second kernel adds in fixed order.
///
/// # Errors
/// [`GpuError::Compile`].
pub fn weight_gradient(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    match (compiler.tiling, Fit::of_input(shape)) {
        (Tiling::Cpu { lanes }, Some(fit)) => {
            subgroup_weight::weight_gradient(compiler, &fit, lanes)
        }
        _ => tiled::weight_gradient(compiler, shape),
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
        let compiler = Compiler::new(&gpu, Tiling::Cpu { lanes: 8 });
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
        let compiler = Compiler::new(&gpu, Tiling::Cpu { lanes: 8 });
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
}
