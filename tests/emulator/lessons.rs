//! The famous bugs of docs/emulator.md: each is found, and its cure is clean.

use autorep::emulator::{Fault, How, Spec, check};

fn faults(source: &str, spec: &str) -> Vec<Fault> {
    let report = check(source, &Spec::parse(spec).unwrap(), How::default()).unwrap();
    report
        .findings
        .iter()
        .map(|(_, finding)| finding.fault)
        .collect()
}

/// y = a·b for 8×8 tiles, `inner` of them.
const PRODUCT: &str = "
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
var<workgroup> left: array<f32, 64>;
var<workgroup> right: array<f32, 64>;
@compute @workgroup_size(8, 8)
fn main(@builtin(local_invocation_id) at: vec3u) {
    var sum = 0.0;
    for (var tile = 0u; tile < arrayLength(&a) / 64u; tile++) {
        left[8u * at.y + at.x] = a[64u * tile + 8u * at.y + at.x];
        right[8u * at.y + at.x] = b[64u * tile + 8u * at.y + at.x];
        workgroupBarrier();
        for (var k = 0u; k < 8u; k++) { sum += left[8u * at.y + k] * right[8u * k + at.x]; }
        workgroupBarrier(); // before the next load
    }
    y[8u * at.y + at.x] = sum;
}";

fn product_of(tiles: u32) -> String {
    let length = 64 * tiles;
    format!(
        "workgroups = [1, 1, 1]
buffers = [
    {{ binding = 0, length = 64, fill = 'unwritten' }},
    {{ binding = 1, length = {length}, fill = 'random' }},
    {{ binding = 2, length = {length}, fill = 'random' }},
]"
    )
}

#[test]
fn the_second_barrier_of_a_tiled_product() {
    assert_eq!(faults(PRODUCT, &product_of(3)), []);
    let without = PRODUCT.replace("workgroupBarrier(); // before", "// before");
    assert_ne!(without, PRODUCT);
    // One tile never shows it.
    assert_eq!(faults(&without, &product_of(1)), []);
    let found = faults(&without, &product_of(3));
    assert!(
        !found.is_empty() && found.iter().all(|&f| f == Fault::WorkgroupRace),
        "{found:?}"
    );
}

#[test]
fn the_tail() {
    let source = |guard: &str| {
        format!(
            "
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {{
    {guard} {{ x[id.x] = 2.0 * x[id.x]; }}
}}"
        )
    };
    let of = |length: u32| {
        format!(
            "workgroups = [2, 1, 1]\nbuffers = [{{ binding = 0, length = {length}, fill = 'random' }}]"
        )
    };
    assert_eq!(faults(&source(""), &of(128)), []);
    let found = faults(&source(""), &of(100));
    assert!(
        !found.is_empty() && found.iter().all(|&f| f == Fault::OutOfBounds),
        "{found:?}"
    );
    assert_eq!(faults(&source("if (id.x < arrayLength(&x))"), &of(100)), []);
    let found = faults(&source("if (id.x <= arrayLength(&x))"), &of(100));
    assert!(
        !found.is_empty() && found.iter().all(|&f| f == Fault::OutOfBounds),
        "{found:?}"
    );
}
