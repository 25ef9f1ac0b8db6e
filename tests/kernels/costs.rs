//! What kernels say that they cost, against what the emulator counts.

use autorep::emulator::Counts;
use autorep::kernels::{Cost, Kernel, Tiling};

/// Kernels whose declared bytes are not exactly those that a dispatch touches: the least and the most of
/// declared by touched, over all awkward shapes, and why. All others are exact.
const BYTES: &[(&str, [f64; 2], &str)] = &[
    (
        "augment.augment",
        [0.6, 2.7],
        "crops and cut-outs leave bytes of the images untouched",
    ),
    (
        "conv2d_grouped.",
        [0.7, 2.3],
        "strides and borders leave inputs untouched; slices overlap",
    ),
    (
        "conv2d_subgroup.",
        [0.6, 1.0],
        "operands are padded to whole vec4s; strides read what they skip",
    ),
    ("conv2d_subgroup_scatter.", [0.37, 1.0], "as above"),
    ("conv2d_subgroup_weight", [0.33, 1.0], "as above"),
    (
        "indicator.update",
        [0.99, 1.13],
        "a mask that stays is not always written; blocks and ledger",
    ),
    (
        "loss.loss",
        [1.0, 5.0],
        "samples past the count are not read",
    ),
    (
        "max_pool.forward",
        [1.0, 2.2],
        "strides past the window leave inputs untouched",
    ),
    (
        "metrics.record",
        [0.05, 1.0],
        "a record, which has one size whatever the batch",
    ),
    (
        "optimizer.",
        [0.97, 1.0],
        "the kind of each block of parameters, and the clip",
    ),
    (
        "pool.average",
        [1.0, 2.0],
        "strides past the window leave inputs untouched",
    ),
    ("roofline.", [0.9, 1.0], "the factors"),
    (
        "squares.",
        [0.3, 3.0],
        "by the network: channels of all groups, whether they change or not",
    ),
    (
        "threshold.",
        [0.5, 2.0],
        "whole blocks; how many bins are touched is the data's affair",
    ),
];

/// Kernels that do exactly the flops that they declare, whatever the shape.
const FLOPS: &[&str] = &[
    "add.add",
    "add.copy",
    "batch_norm.apply_backward",
    "conv2d_grouped.sum_slices",
    "conv2d_subgroup_weight_sum.sum",
    "dropout.dropout",
    "gate.sum_mask_slices",
];

/// What is read or written once in a dispatch, whatever the shape, and declared by nobody.
const ONCE: &[&str] = &["step", "health"];

/// Holds a kernel's declared cost to what a dispatch did.
#[track_caller]
pub fn compare(tiling: Tiling, kernel: &Kernel, counts: &Counts) {
    if let Err(words) = fits(kernel.pipeline.name(), &kernel.cost, counts) {
        panic!(
            "{} ({tiling}, grid {:?}): {words}",
            kernel.pipeline.name(),
            kernel.grid
        );
    }
}

fn fits(name: &str, cost: &Cost, counts: &Counts) -> Result<(), String> {
    let buffers = counts.buffers.iter();
    let of_shape = buffers.filter(|buffer| !ONCE.contains(&buffer.name.as_str()));
    let touched: u64 = of_shape.map(|b| b.bytes_read + b.bytes_written).sum();
    let tolerated = BYTES.iter().find(|(start, ..)| name.starts_with(start));
    let [least, most] = tolerated.map_or([1.0, 1.0], |row| row.1);
    let ratio = cost.bytes / touched as f64;
    // Dispatches of nothing, and those that a test makes up without a cost.
    let is_none = touched == 0 || *cost == Cost::default();
    if !is_none && !(least..=most).contains(&ratio) {
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
    if FLOPS.contains(&name) && cost.flops != counts.flops as f64 {
        return Err(format!(
            "{} flops declared, {} done",
            cost.flops, counts.flops
        ));
    }
    Ok(())
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
    assert_eq!(fits("add.add", &cost(10.0, 120.0), &counts), Ok(()));
    assert!(fits("add.add", &cost(10.0, 124.0), &counts).is_err());
    assert!(fits("add.add", &cost(10.0, 132.0), &counts).is_err());
    assert!(fits("add.add", &cost(11.0, 120.0), &counts).is_err());
    assert_eq!(fits("loss.loss", &cost(11.0, 240.0), &counts), Ok(()));
    assert!(fits("loss.loss", &cost(11.0, 700.0), &counts).is_err());
    assert!(fits("loss.loss", &cost(11.0, 100.0), &counts).is_err());
}
