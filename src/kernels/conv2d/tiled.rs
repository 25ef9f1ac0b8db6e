//! Convolution as implicit matrix multiplication through shared memory:
//! `shaders/conv2d/tiled.wgsl` and, for the weight gradient,
//! `shaders/conv2d/tiled_weight.wgsl`. Any shape, any adapter, no optional feature.

use super::shape::Shape;
use crate::gpu::GpuError;
use crate::kernels::compile::{
    Arg, Compiler, Cost, Kernel, MAX_GRID, Recipe, Size, Stream, Template, Tiling, template,
};
use minijinja::{Value, context};

pub(super) const GATHER: Template = template!("conv2d/tiled.wgsl");
pub(super) const WEIGHT: Template = template!("conv2d/tiled_weight.wgsl");

/// What one workgroup computes per step, and one invocation of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tile {
    /// Rows of the result (channels) per workgroup.
    rows: usize,
    /// Columns of the result (pixels; in the weight gradient, weights) per workgroup.
    columns: usize,
    /// Steps of the inner dimension that lie in shared memory at a time.
    depth: usize,
    /// Rows per invocation: a multiple of 4.
    lane_rows: usize,
    /// Columns per invocation: a multiple of 4.
    lane_columns: usize,
}

const fn tile(
    rows: usize,
    columns: usize,
    depth: usize,
    lane_rows: usize,
    lane_columns: usize,
) -> Tile {
    Tile {
        rows,
        columns,
        depth,
        lane_rows,
        lane_columns,
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tile {
            rows,
            columns,
            depth,
            lane_rows,
            lane_columns,
        } = self;
        write!(f, "{rows}×{columns}×{depth} by {lane_rows}×{lane_columns}")
    }
}

impl Tile {
    /// Invocations per workgroup.
    fn threads(self) -> usize {
        self.rows / self.lane_rows * (self.columns / self.lane_columns)
    }

    /// Number of row tiles and of column tiles that cover a result.
    fn cover(self, rows: usize, columns: usize) -> (usize, usize) {
        (rows.div_ceil(self.rows), columns.div_ceil(self.columns))
    }
}

// Tiles of the forward pass and of the data gradient: grids that must be large first; within
// them by falling number of rows. Registers are counted for the inner loop: sums + a row's vec4s
// + the strips on their way + about 20 for addresses, and compilers come close to that
// (64×64: 72 on RDNA, 92 on an H100). Shared memory is 4·depth·(rows + columns) bytes.
//
//                  threads  registers      shared  why
// 64× 64×16 (4×8)      128  32+ 8+16+20     8 KiB  3 vec4 of shared memory per 32 multiply-adds;
//                                                  no compiler spills it, and 5 workgroups share
//                                                  a core of 65,536 registers
// 32×128×16 (4×8)      128  32+ 8+20+20    10 KiB  up to 32 channels: no rows wasted
// 16×128×16 (4×8)       64  32+ 8+36+20     9 KiB  up to 16 channels
// 32× 64×16 (4×4)      128  16+ 8+12+20     6 KiB  fewer pixels: twice the invocations
// 16× 64×16 (4×4)       64  16+ 8+20+20     5 KiB  the same, up to 16 channels
// 32× 32×16 (4×4)       64  16+ 8+16+20     4 KiB  fewer still: four times
// 16× 32×16 (4×4)       32  16+ 8+24+20     3 KiB  the same, up to 16 channels
const MANY: [Tile; 3] = [
    tile(64, 64, 16, 4, 8),
    tile(32, 128, 16, 4, 8),
    tile(16, 128, 16, 4, 8),
];
const FEW: [Tile; 2] = [tile(32, 64, 16, 4, 4), tile(16, 64, 16, 4, 4)];
const LEAST: [Tile; 2] = [tile(32, 32, 16, 4, 4), tile(16, 32, 16, 4, 4)];
// 8×8 per invocation: 4 vec4 of shared memory per 64 multiply-adds, 64+16+24+20 registers. A few
// per cent faster than 4×8 where they fit (H100: 131, AMD: 120), and several times slower where
// the compiler spills them (Intel): for the tuner to find out.
const WIDE: [Tile; 2] = [tile(64, 128, 16, 8, 8), tile(128, 64, 16, 8, 8)];

// Software Vulkan takes this family for data gradients of large kernels only, and for what is too
// large for a texture: one subgroup per workgroup.
const CPU: Tile = tile(8, 16, 8, 4, 4);

// Tiles of the weight gradient: columns are weights (tap, channel), so the grid grows by
// slices instead of smaller tiles. Where the columns divide the channels, a tile lies in one
// tap, and bounds are tested once per pixel. Rows in shared memory are one vec4 longer: 64×64
// takes 8.5 KiB.
const WEIGHTS: [Tile; 3] = [
    tile(64, 64, 16, 4, 8),
    tile(32, 64, 16, 4, 8),
    tile(16, 64, 16, 4, 4),
];
// For the tuner, as above.
const WIDE_WEIGHTS: Tile = tile(64, 64, 16, 8, 8);

/// Invocations from which on a grid is worth its larger tile: two subgroups for each of the
/// four schedulers of 128 cores (`Large`), or of 32 cores (`Portable`).
fn enough(tiling: Tiling) -> usize {
    match tiling {
        Tiling::Cpu { .. } => 0,
        Tiling::Portable => 32 * 256,
        Tiling::Large => 128 * 256,
    }
}

/// The tile that covers `rows` with the least waste. Narrow tiles reuse less of what they
/// load: halving the rows counts as 15 % more work.
fn narrowest(tiles: &[Tile], rows: usize) -> Tile {
    let work = |t: &Tile| {
        let halvings = (64 / t.rows).ilog2() as i32;
        rows.next_multiple_of(t.rows) as f64 * 1.15f64.powi(halvings)
    };
    let least = tiles.iter().min_by(|a, b| work(a).total_cmp(&work(b)));
    least.copied().unwrap_or(CPU)
}

/// Tiles of a product of `rows` channels by `pixels`: the rule's choice, then its neighbours.
/// All have the same depth, and with it the same order of sums.
fn gather_tiles(tiling: Tiling, rows: usize, pixels: usize) -> Vec<Tile> {
    if let Tiling::Cpu { .. } = tiling {
        return vec![CPU];
    }
    let is_enough = |tile: &Tile| {
        let (row_tiles, column_tiles) = tile.cover(rows, pixels);
        row_tiles * column_tiles * tile.threads() >= enough(tiling)
    };
    let classes: [&[Tile]; 3] = [&MANY, &FEW, &LEAST];
    let mut tiles: Vec<Tile> = classes.iter().map(|c| narrowest(c, rows)).collect();
    let chosen = tiles.iter().position(is_enough);
    tiles[..=chosen.unwrap_or(classes.len() - 1)].rotate_right(1);
    tiles.extend(WIDE.iter().filter(|wide| rows >= wide.rows));
    tiles
}

/// Tiles of the weight gradient: the rule's choice, then its neighbours.
fn weight_tiles(tiling: Tiling, shape: &Shape) -> Vec<Tile> {
    if let Tiling::Cpu { .. } = tiling {
        return vec![CPU];
    }
    let tile = narrowest(&WEIGHTS, shape.out_channels);
    let mut tiles = vec![tile];
    if tile.rows == WIDE_WEIGHTS.rows {
        tiles.push(WIDE_WEIGHTS);
    }
    tiles.push(narrowest(&FEW, shape.out_channels));
    tiles
}

/// Number of slices that the weight gradient's inner dimension is cut into, and pixels in
/// each (a multiple of the depth). By shape and tiling only: results do not depend on time.
fn slices(tiling: Tiling, tile: Tile, shape: &Shape) -> (usize, usize) {
    let (row_tiles, column_tiles) = tile.cover(shape.out_channels, weight_columns(shape));
    let pixels = shape.batch * shape.out_height() * shape.out_width();
    let wanted = match tiling {
        Tiling::Cpu { .. } => 16,
        // Four times what keeps an adapter busy: with half as many a step of resnet18 took a
        // quarter longer for its weight gradients on an H100.
        Tiling::Portable | Tiling::Large => 4 * enough(tiling) / tile.threads(),
    };
    // Partial sums stay below 32 MiB, and a slice is at least 16 steps long.
    let most = ((32 << 20) / (4 * shape.weight_len())).clamp(1, 512);
    let count = wanted
        .div_ceil(row_tiles * column_tiles)
        .min(most)
        .min(pixels.div_ceil(16 * tile.depth))
        .max(1);
    let slice = pixels.div_ceil(count).next_multiple_of(tile.depth);
    (pixels.div_ceil(slice), slice)
}

/// Columns of the weight gradient as a matrix: weights of one output channel.
fn weight_columns(shape: &Shape) -> usize {
    shape.kernel * shape.kernel * shape.in_channels
}

/// A count of workgroups as a grid whose sides stay within [`MAX_GRID`].
fn fold(groups: usize) -> [u32; 3] {
    let rows = groups.div_ceil(MAX_GRID).max(1);
    [groups.div_ceil(rows) as u32, rows as u32, 1]
}

/// Constants that every entry point takes.
fn shape_constants(shape: &Shape, entry: &str) -> Value {
    context! {
        entry,
        in_channels => shape.in_channels,
        out_channels => shape.out_channels,
        height => shape.height,
        width => shape.width,
        out_height => shape.out_height(),
        out_width => shape.out_width(),
        kernel => shape.kernel,
        stride => shape.stride,
        padding => shape.padding,
    }
}

/// Constants of a tile: how invocations stand in it.
fn tile_constants(tile: Tile) -> Value {
    let (lanes_x, lanes_y) = (tile.columns / tile.lane_columns, tile.rows / tile.lane_rows);
    // A subgroup of 32 stands 8 wide and 4 high where the tile allows.
    let patch_y = lanes_y.min(4);
    context! {
        tile_rows => tile.rows,
        tile_columns => tile.columns,
        depth => tile.depth,
        threads => tile.threads(),
        quads => tile.lane_rows / 4,
        lane_columns => tile.lane_columns,
        lanes_x,
        lanes_y,
        patch_x => lanes_x.min(32 / patch_y),
        patch_y,
        left_loads => tile.depth * tile.rows / 4 / tile.threads(),
    }
}

/// What a product by `gather` computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// y from x.
    Forward,
    /// dx from dy: written, or added to what is there.
    DataGradient {
        /// Whether it is added.
        accumulate: bool,
    },
}

impl Pass {
    fn is_forward(self) -> bool {
        self == Pass::Forward
    }

    fn accumulates(self) -> bool {
        self == Pass::DataGradient { accumulate: true }
    }

    /// As a tuner's questions say it.
    fn name(self) -> &'static str {
        match self {
            Pass::Forward => "forward",
            Pass::DataGradient { accumulate: false } => "data gradient",
            Pass::DataGradient { accumulate: true } => "data gradient, added",
        }
    }

    /// Elements of each argument.
    fn lengths(self, shape: &Shape) -> [usize; 3] {
        let (x, w, y) = (shape.input_len(), shape.weight_len(), shape.output_len());
        match self {
            Pass::Forward => [x, w, y],
            Pass::DataGradient { .. } => [y, w, x],
        }
    }

    fn cost(self, shape: &Shape, packed_bytes: u64) -> Cost {
        match self {
            Pass::Forward => shape.forward_cost(packed_bytes),
            Pass::DataGradient { accumulate } => shape.data_cost(accumulate, packed_bytes),
        }
    }
}

/// The matrices of a product by `gather`.
struct Product {
    /// Channels of the result.
    rows: usize,
    /// Channels of the source.
    channels: usize,
    /// Pixels that one layer of the grid computes: images, height and width.
    pixels: [usize; 3],
    /// Layers of the grid.
    classes: usize,
}

impl Product {
    fn of(pass: Pass, shape: &Shape) -> Self {
        match pass {
            Pass::Forward => Self {
                rows: shape.out_channels,
                channels: shape.in_channels,
                pixels: [shape.batch, shape.out_height(), shape.out_width()],
                classes: 1,
            },
            Pass::DataGradient { accumulate } => Self {
                rows: shape.in_channels,
                channels: shape.out_channels,
                pixels: [
                    shape.batch,
                    shape.height.div_ceil(shape.stride),
                    shape.width.div_ceil(shape.stride),
                ],
                // Of the classes of a 1×1 kernel only the first has a tap. The others' share of
                // dx is zero: written, but not added.
                classes: match shape.kernel {
                    1 if accumulate => 1,
                    _ => shape.stride * shape.stride,
                },
            },
        }
    }
}

/// `pack` and `gather`: the forward pass, or the data gradient.
fn gather(compiler: &Compiler, shape: &Shape, pass: Pass) -> Result<Recipe, GpuError> {
    let (rows, pixels) = match pass {
        Pass::Forward => {
            let pixels = shape.batch * shape.out_height() * shape.out_width();
            (shape.out_channels, pixels)
        }
        Pass::DataGradient { .. } => {
            let pixels = shape.batch * shape.height * shape.width;
            (shape.in_channels, pixels)
        }
    };
    let tiles = gather_tiles(compiler.tiling, rows, pixels);
    let build = |tile| gather_by(compiler, shape, pass, tile);
    let question = format!("{} of {shape}", pass.name());
    build(compiler.choose(&question, &tiles, &pass.lengths(shape), build)?)
}

fn gather_by(
    compiler: &Compiler,
    shape: &Shape,
    pass: Pass,
    tile: Tile,
) -> Result<Recipe, GpuError> {
    let Product {
        rows,
        channels,
        pixels: [images, grid_height, grid_width],
        classes,
    } = Product::of(pass, shape);
    let pixels = images * grid_height * grid_width;
    let threads = tile.threads();
    let (row_tiles, column_tiles) = tile.cover(rows, pixels);
    let [groups_x, groups_y, _] = fold(row_tiles * column_tiles);

    // Whole blocks of channels per step, unless filling them up would waste work.
    let taps = shape.kernel * shape.kernel;
    let forward = pass.is_forward();
    let flattened = forward && !channels.is_multiple_of(tile.depth);
    let steps = if flattened {
        (channels * taps).div_ceil(tile.depth)
    } else {
        channels.div_ceil(tile.depth) * taps
    };
    let packed_quads = row_tiles * steps * tile.depth * tile.rows / 4;
    let packed_bytes = 16 * packed_quads as u64;
    let stream = Stream::in_runs(64, packed_quads, packed_quads.div_ceil(1024));

    let common = context! {
        forward,
        flattened,
        steps,
        ..context! { ..shape_constants(shape, ""), ..tile_constants(tile) }
    };
    let pack = Kernel {
        pipeline: compiler.pipeline(
            GATHER,
            "pack",
            stream.with(context! { entry => "pack", packed_quads, ..common.clone() }),
        )?,
        grid: stream.grid(),
        cost: Cost {
            flops: 0.0,
            bytes: 4.0 * shape.weight_len() as f64 + packed_bytes as f64,
        },
    };
    let product = Kernel {
        pipeline: compiler.pipeline(
            GATHER,
            "gather",
            context! {
                entry => "gather",
                accumulate => pass.accumulates(),
                ragged_rows => !rows.is_multiple_of(tile.rows),
                ragged_channels => !channels.is_multiple_of(tile.depth),
                grid_height,
                grid_width,
                grid_pixels => pixels,
                row_tiles,
                tiles => row_tiles * column_tiles,
                groups_x,
                left_row => tile.rows / 4,
                right_row => tile.columns,
                // Each lane loads one or more pixels, and of each some groups of 4 channels.
                lane_pixels => tile.columns.div_ceil(threads),
                pixel_groups => tile.depth / 4 * tile.columns.min(threads) / threads,
                group_step => 4 * threads.div_ceil(tile.columns),
                ..common
            },
        )?,
        grid: [groups_x, groups_y, classes as u32],
        cost: pass.cost(shape, packed_bytes),
    };
    let packed = Arg::Scratch(0);
    Ok(Recipe {
        stages: vec![
            (pack, vec![Arg::External(1), packed.clone()]),
            (product, vec![Arg::External(0), packed, Arg::External(2)]),
        ],
        scratch: vec![packed_bytes],
        arguments: pass.lengths(shape).map(Size::words).to_vec(),
    })
}

pub(super) fn forward(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    gather(compiler, shape, Pass::Forward)
}

pub(super) fn data_gradient(
    compiler: &Compiler,
    shape: &Shape,
    accumulate: bool,
) -> Result<Recipe, GpuError> {
    gather(compiler, shape, Pass::DataGradient { accumulate })
}

pub(super) fn weight_gradient(compiler: &Compiler, shape: &Shape) -> Result<Recipe, GpuError> {
    let tiles = weight_tiles(compiler.tiling, shape);
    // The rule's tile cuts the sums into slices, whichever tile adds them up.
    let cut = slices(compiler.tiling, tiles[0], shape);
    let build = |tile| weight_gradient_by(compiler, shape, cut, tile);
    let lengths = weight_lengths(shape);
    let question = format!("weight gradient of {shape}");
    build(compiler.choose(&question, &tiles, &lengths, build)?)
}

/// Elements of each argument of a weight gradient.
fn weight_lengths(shape: &Shape) -> [usize; 3] {
    [shape.input_len(), shape.output_len(), shape.weight_len()]
}

fn weight_gradient_by(
    compiler: &Compiler,
    shape: &Shape,
    (slices, slice): (usize, usize),
    tile: Tile,
) -> Result<Recipe, GpuError> {
    let threads = tile.threads();
    let pixels = shape.batch * shape.out_height() * shape.out_width();
    let (row_tiles, column_tiles) = tile.cover(shape.out_channels, weight_columns(shape));
    let tiles = row_tiles * column_tiles;
    let weights = shape.weight_len();
    let partial_bytes = 4 * (slices * weights) as u64;
    let right_loads = tile.depth / 4 * tile.columns / threads;
    let one_tap = shape.in_channels.is_multiple_of(tile.columns);
    let whole_quads = shape.in_channels.is_multiple_of(4);
    let columns = right_loads * if whole_quads { 1 } else { 4 };
    let products = Kernel {
        pipeline: compiler.pipeline(
            WEIGHT,
            "weight_slices",
            context! {
                pixels,
                slice,
                row_tiles,
                ragged_rows => !shape.out_channels.is_multiple_of(tile.rows),
                // Rows that neighbours in the depth write are this far apart, so that they
                // meet different banks.
                left_row => tile.rows / 4 + 1,
                right_row => tile.columns / 4 + 1,
                lane_step => threads / tile.depth,
                right_loads,
                whole_quads,
                one_tap,
                // Columns that a lane tells apart, and taps that it tests: of four adjacent
                // ones, or of each.
                columns,
                taps => if one_tap { 1 } else { columns },
                ..context! { ..shape_constants(shape, "weight_slices"), ..tile_constants(tile) }
            },
        )?,
        grid: [tiles as u32, slices as u32, 1],
        cost: shape.weight_cost(partial_bytes),
    };
    let (sums, parts) = match compiler.tiling {
        Tiling::Cpu { lanes } => (lanes as usize, 1),
        _ if slices < 16 => (64, 1),
        _ => (32, 4),
    };
    let grid = fold(weights.div_ceil(sums));
    let sum = Kernel {
        pipeline: compiler.pipeline(
            WEIGHT,
            "sum_slices",
            context! {
                weights,
                slices,
                parts,
                sums,
                groups_x => grid[0],
                ..shape_constants(shape, "sum_slices")
            },
        )?,
        grid,
        cost: Cost {
            flops: (slices * weights) as f64,
            bytes: partial_bytes as f64 + 4.0 * weights as f64,
        },
    };
    let partial = Arg::Scratch(0);
    Ok(Recipe {
        stages: vec![
            (
                products,
                vec![Arg::External(0), Arg::External(1), partial.clone()],
            ),
            (sum, vec![partial, Arg::External(2)]),
        ],
        scratch: vec![partial_bytes],
        arguments: weight_lengths(shape).map(Size::words).to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tile_fits_the_portable_limits() {
        let gathers = [&MANY[..], &FEW, &LEAST, &WIDE, &[CPU]].concat();
        let weights = [&WEIGHTS[..], &[WIDE_WEIGHTS], &FEW, &[CPU]].concat();
        for tile in [&gathers[..], &weights].concat() {
            let threads = tile.threads();
            assert!(threads <= 256, "{tile:?}");
            // All loads are shared out evenly, and each lane stays with its pixel.
            let (left, right) = (tile.depth * tile.rows / 4, tile.depth / 4 * tile.columns);
            assert!(left.is_multiple_of(threads), "{tile:?}");
            assert!(right.is_multiple_of(threads), "{tile:?}");
            assert!(threads.is_multiple_of(tile.depth), "{tile:?}");
            let (small, big) = (threads.min(tile.columns), threads.max(tile.columns));
            assert!(big.is_multiple_of(small), "{tile:?}");
            assert!(tile.lane_rows.is_multiple_of(4), "{tile:?}");
            assert!(tile.lane_columns.is_multiple_of(4), "{tile:?}");
            // The weight gradient's rows are longer: an upper bound for both.
            let quads = tile.depth * (tile.rows / 4 + 1 + tile.columns / 4 + 1);
            assert!(16 * quads <= 16_384, "{tile:?}");
        }
    }

    #[test]
    fn tiles_follow_the_shape() {
        let large = |rows, pixels| gather_tiles(Tiling::Large, rows, pixels)[0];
        assert_eq!(large(64, 256 * 32 * 32), tile(64, 64, 16, 4, 8));
        assert_eq!(large(512, 256 * 4 * 4), tile(64, 64, 16, 4, 8));
        assert_eq!(large(32, 256 * 16 * 16), tile(32, 128, 16, 4, 8));
        assert_eq!(large(16, 256 * 32 * 32), tile(16, 128, 16, 4, 8));
        assert_eq!(large(96, 256 * 32 * 32).rows, 32);
        assert_eq!(large(1, 1), tile(16, 32, 16, 4, 4));
    }
}
