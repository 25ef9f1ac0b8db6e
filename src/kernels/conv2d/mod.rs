//! Two-dimensional convolution: forward, data gradient, weight gradient.
//!
//! It is computed in two ways, and this file chooses between them: `tiled.rs` (shared memory, any
//! shape, any adapter) and `subgroup*.rs` (registers and literal shuffles, for software Vulkan: all
//! that has a 3×3 or 1×1 kernel, and forward and weight gradient of nearly all else). All stand on
//! `shape.rs`. Convolutions in groups are [`grouped`]'s.

pub mod grouped;
mod shape;
mod subgroup;
mod subgroup_texture;
mod subgroup_weight;
mod tiled;

use crate::gpu::GpuError;
use crate::kernels::compile::{Compiler, Recipe, Tiling};
use crate::kernels::family::{Family, Table};
pub use shape::Shape;
use subgroup_texture::Lowered;

pub(super) const FAMILY: Family = Family {
    name: "conv2d",
    templates: &[
        tiled::GATHER,
        tiled::WEIGHT,
        subgroup::GATHER,
        subgroup::PACK,
        subgroup::SCATTER,
        subgroup_texture::TEMPLATE,
        subgroup_weight::CHANNELS,
        subgroup_weight::STEM,
        subgroup_weight::SUM,
    ],
    permutations,
};

/// `y = x ∗ w`. Arguments: `x` N×C×H×W, `w` K×C×R×R, `y` N×K×H'×W' (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn forward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    match (compiler.tiling, Lowered::of_input(shape)) {
        (Tiling::Cpu { lanes }, Some(lowered)) if subgroup::has_forward(&lowered, lanes) => {
            subgroup::forward(compiler, &lowered, lanes)
        }
        _ => tiled::forward(compiler, shape),
    }
}

/// `dx = dL/dx` from `dy`, or `dx += …` with `accumulate`. Arguments: `dy` N×K×H'×W',
/// `w` K×C×R×R, `dx` N×C×H×W (written in full).
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn data_gradient(
    compiler: &Compiler,
    shape: &Shape,
    accumulate: bool,
) -> Result<Recipe, GpuError> {
    match (compiler.tiling, Lowered::of(shape)) {
        (Tiling::Cpu { lanes }, Some(lowered)) if subgroup::has_data_gradient(&lowered, lanes) => {
            subgroup::data_gradient(compiler, &lowered, lanes, accumulate)
        }
        _ => tiled::data_gradient(compiler, shape, accumulate),
    }
}

/// `dw = dL/dw`. Arguments: `x` N×C×H×W, `dy` N×K×H'×W', `dw` K×C×R×R (written in full).
/// The sum over N·H'·W' is cut into fixed slices that a second kernel adds in fixed order.
///
/// # Errors
/// [`GpuError::Compile`] where the driver refuses the shader.
pub fn weight_gradient(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    match (compiler.tiling, Lowered::of_input(shape)) {
        (Tiling::Cpu { lanes }, Some(lowered)) => {
            subgroup_weight::weight_gradient(compiler, &lowered, lanes)
        }
        _ => tiled::weight_gradient(compiler, shape),
    }
}

/// N, C, K, H, W, R, stride, padding: odd sizes and ragged tiles, then what networks are made
/// of, at a small and at a usual batch.
const CONVOLUTIONS: [[usize; 8]; 25] = [
    [1, 1, 1, 1, 1, 1, 1, 0],
    [2, 3, 5, 7, 9, 3, 1, 1],
    [3, 5, 7, 9, 7, 3, 2, 1],
    [2, 3, 2, 8, 8, 5, 2, 2],
    [1, 3, 4, 6, 6, 2, 2, 0],
    [2, 6, 10, 7, 7, 1, 2, 0],
    [2, 17, 33, 5, 5, 1, 1, 0],
    [3, 12, 20, 12, 12, 3, 1, 1],
    [1, 20, 12, 20, 28, 3, 2, 1],
    [3, 6, 5, 10, 24, 3, 2, 1],
    [2, 4, 6, 6, 24, 1, 2, 0],
    [2, 16, 24, 16, 16, 1, 1, 0],
    [5, 64, 64, 4, 4, 3, 1, 1],
    [128, 3, 16, 32, 32, 3, 1, 1],
    [128, 16, 16, 32, 32, 3, 1, 1],
    [128, 16, 32, 32, 32, 3, 2, 1],
    [128, 16, 32, 32, 32, 1, 2, 0],
    [128, 3, 64, 32, 32, 3, 1, 1],
    [128, 64, 64, 32, 32, 3, 1, 1],
    [128, 64, 128, 32, 32, 3, 2, 1],
    [128, 64, 128, 32, 32, 1, 2, 0],
    [128, 128, 128, 16, 16, 3, 1, 1],
    [128, 256, 256, 8, 8, 3, 1, 1],
    [32, 256, 512, 8, 8, 3, 2, 1],
    [32, 512, 512, 4, 4, 3, 1, 1],
];

/// Shapes and options that take every arm of the templates.
fn permutations(table: &mut Table) {
    for [n, c, k, h, w, r, stride, padding] in CONVOLUTIONS {
        let shape = Shape {
            batch: n,
            in_channels: c,
            out_channels: k,
            height: h,
            width: w,
            kernel: r,
            stride,
            padding,
        };
        let name = format!("{n}×{c}×{h}×{w} → {k}, {r}×{r} stride {stride} padding {padding}");
        table.push("conv2d forward", &name, move |c| forward(c, &shape));
        for accumulate in [false, true] {
            let name = format!("{name} accumulate {accumulate}");
            table.push("conv2d data_gradient", name, move |c| {
                data_gradient(c, &shape, accumulate)
            });
        }
        table.push("conv2d weight_gradient", name, move |c| {
            weight_gradient(c, &shape)
        });
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
