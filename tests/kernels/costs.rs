//! What kernels say that they cost, against what the emulator counts.

use crate::{emulated, harness};
use autorep::emulator::Counts;
use autorep::kernels::conv2d::{self, Shape};
use autorep::kernels::{Cost, Kernel, Recipe, Tiling, linear};
use harness::Data;

/// Kernels whose declared bytes are not exactly those that a dispatch touches: the least and the most of
/// declared by touched, over all awkward shapes, and why. All others are exact.
const BYTES: &[(&str, [f64; 2], &str)] = &[
    (
        "augment.augment",
        [0.79, 1.06],
        "crops and cut-outs leave bytes of the images untouched; whole words are read",
    ),
    (
        "indicator.update",
        [0.997, 1.0],
        "prices and counts by site: how many sites there are is not known",
    ),
    ("squares.apply", [0.93, 1.0], KEPT_SQUARES),
    (
        "squares.hold",
        [0.5, 1.0],
        "what lines have in the place of a square is written",
    ),
    ("squares.update", [0.93, 1.0], KEPT_SQUARES),
    ("threshold.apply", [0.75, 1.45], BLOCKS),
    (
        "threshold.choose",
        [0.998, 1.0],
        "counts of what is kept change where something is found",
    ),
    ("threshold.count", [0.75, 1.45], BLOCKS),
    (
        "threshold.count_squares",
        [0.97, 1.0],
        "bins of what is in question",
    ),
];

const KEPT_SQUARES: &str = "squares are counted at sites that keep some";
const BLOCKS: &str =
    "sites of the tests have few blocks, of which the last is not whole; bins, and counts by site";

/// Kernels whose declared flops are not exactly those that are done: the least and the most of done by
/// declared, flops beside them that each invocation may have, and why. All others are exact.
const FLOPS: &[(&str, [f64; 2], f64, &str)] = &[
    ("augment.augment", [0.71, 1.0], 0.0, "holes"),
    (
        "batch_norm.finish",
        [1.0, 1.0],
        11.0,
        "batches that count as less than they are, where a limit is set",
    ),
    (
        "conv2d_grouped.data_gradient",
        [0.79, 1.85],
        0.0,
        BESIDE_ROWS,
    ),
    ("conv2d_grouped.forward", [0.79, 1.85], 0.0, BESIDE_ROWS),
    (
        "conv2d_grouped.weight_slices",
        [0.79, 1.85],
        121.0,
        "as above, and the taps of an invocation, up to 11×11, are added to others'",
    ),
    (
        "conv2d_subgroup.forward",
        [1.0, f64::INFINITY],
        0.0,
        WHOLE_TILES,
    ),
    (
        "conv2d_subgroup_scatter.scatter",
        [1.0, f64::INFINITY],
        0.0,
        WHOLE_TILES,
    ),
    (
        "conv2d_subgroup_weight.weight",
        [0.69, f64::INFINITY],
        0.0,
        "products with the padding beside a map are spared; whole tiles are computed",
    ),
    (
        "conv2d_subgroup_weight_stem.stem",
        [1.0, f64::INFINITY],
        0.0,
        WHOLE_TILES,
    ),
    (
        "conv2d_tiled.gather",
        [1.0, f64::INFINITY],
        0.0,
        WHOLE_TILES,
    ),
    (
        "conv2d_tiled_weight.weight_slices",
        [1.0, f64::INFINITY],
        0.0,
        WHOLE_TILES,
    ),
    ("dapa.finish_hermite", [1.0, 1.0], 33.0, "steps that refit"),
    ("linear.linear", [1.0, f64::INFINITY], 0.0, WHOLE_TILES),
    ("optimizer.norm", [1.0, 1.0], 1.0, "a norm that is clipped"),
    ("squares.apply", [1.0, 1.0], 100.0, CHANGED_SQUARES),
    ("squares.update", [1.0, 1.0], 100.0, CHANGED_SQUARES),
    ("threshold.apply", [0.69, 1.0], 0.0, BLOCKS),
    ("threshold.count", [0.69, 1.0], 0.0, BLOCKS),
];

const BESIDE_ROWS: &str = "spans go on past a row's end, rows beside the image are left out";
const CHANGED_SQUARES: &str = "channels that gain or lose their squares, up to two an invocation";
/// Why products of matrices do more than is declared, however small the matrix. What they do where tiles
/// are whole is exact, as [`products_of_whole_tiles_do_what_they_declare`] shows.
const WHOLE_TILES: &str = "whole tiles are computed";

/// Kernels that are declared to take a whole batch, and the axis of their grid that numbers its samples.
/// Those past the step's count cost less.
const BATCHES: &[(&str, usize)] = &[("augment.augment", 1), ("loss.loss", 0)];

/// What is read or written once in a dispatch, whatever the shape, and declared by nobody.
const ONCE: &[&str] = &["step", "health"];

/// What a dispatch did.
pub struct Done<'a> {
    pub counts: &'a Counts,
    pub invocations: u64,
    /// Samples of the step, where it has a say.
    pub samples: Option<u32>,
}

/// Holds a kernel's declared cost to what a dispatch did.
#[track_caller]
pub fn compare(tiling: Tiling, kernel: &Kernel, done: &Done) {
    if let Err(words) = fits(kernel.pipeline.name(), kernel.grid, &kernel.cost, done) {
        panic!(
            "{} ({tiling}, grid {:?}): {words}",
            kernel.pipeline.name(),
            kernel.grid
        );
    }
}

fn fits(name: &str, grid: [u32; 3], cost: &Cost, done: &Done) -> Result<(), String> {
    let counts = done.counts;
    let buffers = counts.buffers.iter();
    let of_shape = buffers.filter(|buffer| !ONCE.contains(&buffer.name.as_str()));
    let touched: u64 = of_shape.map(|b| b.bytes_read + b.bytes_written).sum();
    // Dispatches of nothing, and those that a test makes up without a cost.
    if touched == 0 || *cost == Cost::default() {
        return Ok(());
    }
    let batch = BATCHES.iter().find(|row| name == row.0);
    let is_whole = batch.is_none_or(|&(_, axis)| done.samples == Some(grid[axis]));

    let tolerated = BYTES.iter().find(|row| name == row.0);
    let [least, most] = tolerated.map_or([1.0, 1.0], |row| row.1);
    let ratio = cost.bytes / touched as f64;
    if ratio < least || is_whole && ratio > most {
        let buffers: Vec<_> = counts
            .buffers
            .iter()
            .map(|b| (&b.name, b.bytes_read, b.bytes_written))
            .collect();
        return Err(format!(
            "{} bytes declared, {touched} touched: {buffers:?}",
            cost.bytes
        ));
    }
    let tolerated = FLOPS.iter().find(|row| name == row.0);
    let ([least, most], beside) = tolerated.map_or(([1.0, 1.0], 0.0), |row| (row.1, row.2));
    let flops = counts.flops as f64;
    let is_less = is_whole && flops < least * cost.flops;
    if is_less || flops > most * cost.flops + beside * done.invocations as f64 {
        return Err(format!(
            "{} flops declared, {} done by {} invocations",
            cost.flops, counts.flops, done.invocations
        ));
    }
    Ok(())
}

/// Where tiles are whole, all that a product does is declared.
#[test]
fn products_of_whole_tiles_do_what_they_declare() {
    let convolution = |kernel, stride| Shape {
        batch: 2,
        in_channels: 64,
        out_channels: 32,
        height: 8 * stride,
        width: 8 * stride,
        kernel,
        stride,
        padding: kernel / 2,
    };
    let layer = |in_features| linear::Shape {
        batch: 64,
        in_features,
        out_features: 64,
    };
    let mut exact = 0;
    for compiler in &emulated::compilers() {
        let mut check = |recipe: Recipe, lengths: &[usize]| {
            let (last, inputs) = lengths.split_last().unwrap();
            let zeros: Vec<Vec<f32>> = inputs.iter().map(|&length| vec![0.0; length]).collect();
            let mut arguments: Vec<Data> = zeros.iter().map(|data| Data::In(data)).collect();
            arguments.push(Data::Out(*last));
            emulated::dispatches(compiler, &recipe, &arguments, |kernel, counts| {
                let (name, tiling) = (kernel.pipeline.name(), compiler.tiling);
                assert_eq!(kernel.cost.flops, counts.flops as f64, "{name} ({tiling})");
                exact += usize::from(counts.flops > 0);
            });
        };
        for shape in [convolution(1, 1), convolution(3, 1), convolution(3, 2)] {
            let (x, w, y) = (shape.input_len(), shape.weight_len(), shape.output_len());
            check(
                conv2d::data_gradient(compiler, &shape, false).unwrap(),
                &[y, w, x],
            );
            if shape.stride == 1 {
                check(conv2d::forward(compiler, &shape).unwrap(), &[x, w, y]);
            }
            // Subgroups spare products with the padding.
            let spares = matches!(compiler.tiling, Tiling::Cpu { .. }) && shape.kernel > 1;
            if shape.stride == 1 && !spares {
                check(
                    conv2d::weight_gradient(compiler, &shape).unwrap(),
                    &[x, y, w],
                );
            }
        }
        let shape = layer(64);
        let (x, w, y) = (shape.input_len(), shape.weight_len(), shape.output_len());
        check(
            linear::forward(compiler, &shape).unwrap(),
            &[x, w, shape.out_features, y],
        );
        check(linear::data_gradient(compiler, &shape).unwrap(), &[y, w, x]);
    }
    assert!(exact > 20 || emulated::compilers().is_empty(), "{exact}");
}

#[test]
fn the_comparison_can_fail() {
    use autorep::emulator::BufferCounts;
    let buffer = |name: &str, bytes_read, bytes_written| BufferCounts {
        name: name.to_owned(),
        bytes_read,
        bytes_written,
    };
    let counts = Counts {
        flops: 10,
        buffers: vec![
            buffer("step", 12, 0),
            buffer("a", 40, 40),
            buffer("b", 40, 0),
        ],
        ..Counts::default()
    };
    let cost = |flops: f64, bytes: f64| Cost { flops, bytes };
    let of = |name: &str, cost: Cost, samples| {
        let done = Done {
            counts: &counts,
            invocations: 1,
            samples,
        };
        fits(name, [8, 4, 1], &cost, &done).is_ok()
    };
    let is_right = |name, flops, bytes| of(name, cost(flops, bytes), Some(8));
    // Exactly, both.
    assert!(is_right("add.add", 10.0, 120.0));
    assert!(!is_right("add.add", 10.0, 124.0) && !is_right("add.add", 10.0, 132.0));
    assert!(!is_right("add.add", 9.0, 120.0) && !is_right("add.add", 11.0, 120.0));
    // Within bounds.
    assert!(is_right("squares.hold", 10.0, 60.0) && is_right("squares.hold", 10.0, 120.0));
    assert!(!is_right("squares.hold", 10.0, 59.0) && !is_right("squares.hold", 10.0, 121.0));
    assert!(is_right("threshold.apply", 14.0, 120.0));
    assert!(!is_right("threshold.apply", 15.0, 120.0) && !is_right("threshold.apply", 9.0, 120.0));
    // With something beside for each invocation.
    assert!(is_right("optimizer.norm", 9.0, 120.0) && is_right("optimizer.norm", 10.0, 120.0));
    assert!(!is_right("optimizer.norm", 8.0, 120.0) && !is_right("optimizer.norm", 11.0, 120.0));
    // Of a batch that is not whole, less.
    assert!(!of("loss.loss", cost(11.0, 120.0), Some(8)));
    assert!(of("loss.loss", cost(11.0, 240.0), Some(7)));
    assert!(!of("loss.loss", cost(9.0, 120.0), Some(7)));
    assert!(!of("loss.loss", cost(11.0, 100.0), Some(7)));
}
