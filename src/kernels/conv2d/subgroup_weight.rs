//! Weight gradient of a convolution in the registers of one subgroup:
//! `shaders/conv2d/subgroup_weight.wgsl` and, for fewer input channels than lanes,
//! `shaders/conv2d/subgroup_weight_stem.wgsl`.

use super::shape::Shape;
use super::subgroup_texture::{Lowered, Staged};
use crate::gpu::GpuError;
use crate::kernels::compile::{
    Arg, Compiler, Cost, Kernel, Recipe, Size, Stream, Template, template, vector_width,
};
use minijinja::{Value, context};

pub(super) const CHANNELS: Template = template!("conv2d/subgroup_weight.wgsl");
pub(super) const STEM: Template = template!("conv2d/subgroup_weight_stem.wgsl");
pub(super) const SUM: Template = template!("conv2d/subgroup_weight_sum.wgsl");

pub(super) fn weight_gradient(
    compiler: &Compiler,
    lowered: &Lowered,
    lanes: u32,
) -> Result<Recipe, GpuError> {
    // Padding has a gradient of zero.
    let shape = &lowered.padded;
    let lanes = lanes as usize;
    let division = if shape.in_channels < lanes {
        Division::stem(shape, lanes)
    } else {
        Division::channels(shape, lanes)
    };
    let (tiles_k, tiles_c) = division.tiles(shape);
    let (each, slices) = slices(
        shape,
        division.items.div_ceil(division.at_once),
        tiles_k * tiles_c,
    );
    let x = Staged::input(compiler, lowered, 0, tiles_k)?;
    let dy = Staged::output(compiler, lowered, 1, tiles_c)?;
    let constants = context! {
        lanes,
        each,
        tile_k => division.tile.0,
        tile_c => division.tile.1,
        x_texture => x.is_texture(),
        dy_texture => dy.is_texture(),
        in_channels => shape.in_channels,
        out_channels => shape.out_channels,
        in_row => shape.width / 4,
        in_height => shape.height,
        out_row => shape.out_width() / 4,
        out_height => shape.out_height(),
        kernel => shape.kernel,
        stride => shape.stride,
        ..division.constants
    };
    let kernel = Kernel {
        pipeline: compiler.pipeline(division.template, division.entry, constants)?,
        grid: [tiles_c as u32, tiles_k as u32, slices as u32],
        cost: lowered.real.cost(
            slices * shape.weight_len(),
            x.visited(&lowered.real) + dy.bytes,
        ),
    };

    let lengths = [
        lowered.input_len(),
        lowered.real.output_len(),
        shape.weight_len(),
    ];
    let arguments = lengths.map(Size::words).to_vec();
    let dw = Arg::External(2);
    let mut stages = Vec::new();
    stages.extend(x.copy);
    stages.extend(dy.copy);
    if slices == 1 {
        stages.push((kernel, vec![x.arg, dy.arg, dw]));
        return Ok(Recipe {
            stages,
            scratch: Vec::new(),
            arguments,
        });
    }
    let partial = Arg::Scratch(0);
    stages.push((kernel, vec![x.arg, dy.arg, partial.clone()]));
    stages.push((sum(compiler, shape, slices)?, vec![partial, dw]));
    Ok(Recipe {
        stages,
        scratch: vec![4 * (slices * shape.weight_len()) as u64],
        arguments,
    })
}

/// How a kernel divides the sums, and walks over the pixels of dy.
struct Division {
    template: Template,
    /// Entry point.
    entry: &'static str,
    /// Output and input channels of a tile.
    tile: (usize, usize),
    /// Pieces that dy is cut into, and how many of them a workgroup takes at once.
    items: usize,
    at_once: usize,
    /// What else the template asks for.
    constants: Value,
}

impl Division {
    /// Channels in the lanes; an item is a segment of columns of one image.
    fn channels(shape: &Shape, lanes: usize) -> Self {
        let (out_row, out_height) = (shape.out_width() / 4, shape.out_height());
        // vec4s of dy an iteration: what is longer falls out of the instruction cache. Maps
        // that fit as a whole spare the products with the padding.
        let whole_map = shape.kernel > 1 && out_row * out_height <= 4;
        let (tile_k, blocks, most) = match (shape.kernel, shape.stride) {
            (1, _) => (16, shape.in_channels.div_ceil(lanes).min(4), 4),
            _ if whole_map => (lanes.max(8), 1, 4),
            (_, 1) => (lanes.max(8), 1, 2),
            _ => (16, 1, 1),
        };
        let quads = largest_divisor(out_row, most);
        let rows = largest_divisor(out_height, most / quads);
        let beside = shape.kernel > 1 && quads < out_row;
        let carried = match (shape.kernel, shape.stride) {
            (1, _) => 0,
            _ if whole_map => 0,
            (_, 1) => 2,
            _ => 1,
        };
        // Rows that an iteration loads; row 0 of a 3×3 kernel lies above the first.
        let (first_row, last_row) = match (shape.kernel, shape.stride) {
            (1, _) => (0, rows - 1),
            (_, 1) if whole_map => (1, rows),
            (_, 1) => (2, rows + 1),
            _ => (1, 2 * rows),
        };
        let segments = shape.batch * out_row / quads;
        Self {
            template: CHANNELS,
            entry: "weight",
            tile: (tile_k, blocks * lanes),
            items: segments,
            at_once: 1,
            constants: context! {
                blocks, quads, rows, segments, carried, first_row, last_row, whole_map,
                columns => 4 * quads * shape.stride,
                left => beside,
                right => beside && shape.stride == 1,
            },
        }
    }

    /// Pixels in the lanes; an item is a column of 4 pixels of one image.
    fn stem(shape: &Shape, lanes: usize) -> Self {
        let tile_k = shape.out_channels.min(8);
        let tile_c = match shape.in_channels {
            3 => 3,
            channels => channels.min(2),
        };
        let columns = shape.batch * shape.out_width() / 4;
        Self {
            template: STEM,
            entry: "stem",
            tile: (tile_k, tile_c),
            items: columns,
            at_once: lanes,
            constants: context! {
                columns,
                sums => tile_k * tile_c * shape.kernel * shape.kernel,
                halo => !(4 * lanes).is_multiple_of(shape.out_width()),
            },
        }
    }

    /// Tiles of output and of input channels.
    fn tiles(&self, shape: &Shape) -> (usize, usize) {
        (
            shape.out_channels.div_ceil(self.tile.0),
            shape.in_channels.div_ceil(self.tile.1),
        )
    }
}

/// The largest divisor of `number` that is not above `most`.
fn largest_divisor(number: usize, most: usize) -> usize {
    (1..=most.max(1))
        .rev()
        .find(|&divisor| number.is_multiple_of(divisor))
        .unwrap_or(1)
}

/// Bytes of x and dy in a slice. They may leave the second-level cache: a load costs more than
/// the memory behind it, and every slice adds a set of partial sums.
const CACHE: usize = 4 << 20;
/// Most bytes of partial sums, unless a single slice has more.
const MOST: usize = 16 << 20;

/// Steps in each slice of `steps`, and the number of slices.
fn slices(shape: &Shape, steps: usize, tiles: usize) -> (usize, usize) {
    let cached = (4 * (shape.input_len() + shape.output_len())).div_ceil(CACHE);
    // Enough workgroups for the cores of a large CPU.
    let parallel = 64usize.div_ceil(tiles);
    let most = (MOST / (4 * shape.weight_len())).max(1);
    let each = steps.div_ceil(cached.max(parallel).min(most));
    (each, steps.div_ceil(each))
}

/// The kernel that adds the slices.
fn sum(compiler: &Compiler, shape: &Shape, slices: usize) -> Result<Kernel, GpuError> {
    let width = vector_width(shape.weight_len());
    let vectors = shape.weight_len() / width;
    let stream = Stream::over(compiler.tiling, vectors);
    let constants = stream.with(context! {
        slices, vectors,
        vector => if width == 4 { "vec4f" } else { "f32" },
    });
    Ok(Kernel {
        pipeline: compiler.pipeline(SUM, "sum", constants)?,
        grid: stream.grid(),
        cost: Cost {
            flops: (slices * shape.weight_len()) as f64,
            bytes: 4.0 * ((slices + 1) * shape.weight_len()) as f64,
        },
    })
}
