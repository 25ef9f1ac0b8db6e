//! Counts are exact.

use crate::{program, run};
use autorep::emulator::{Access, Buffer, Run, Slot};

#[test]
fn a_stream_is_counted_exactly() {
    let source = "
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    y[id.x] = fma(x[id.x], vec4f(2.0), y[id.x] * 3.0);
}";
    let floats: Vec<f32> = (0..1024).map(|i| i as f32).collect();
    let buffers = [Buffer::of_floats(0, &floats), Buffer::of_floats(1, &floats)];
    let outcome = run(source, &Run::new([4, 1, 1]), &buffers);
    assert_eq!(outcome.findings, []);
    assert!(
        outcome
            .buffer(0)
            .unwrap()
            .floats()
            .iter()
            .zip(&floats)
            .all(|(y, x)| *y == 5.0 * x)
    );
    let counts = outcome.counts;
    assert_eq!((counts.storage_loads, counts.storage_stores), (512, 256));
    assert_eq!(
        (counts.storage_bytes_loaded, counts.storage_bytes_stored),
        (8192, 4096)
    );
    assert_eq!((counts.flops, counts.integer_operations), (3 * 1024, 0));
    // 32 lanes of 16 bytes are four segments.
    assert_eq!((counts.storage_requests, counts.storage_segments), (24, 96));
    assert_eq!(
        (
            counts.divergent_branches,
            counts.uncompared,
            counts.barriers,
            counts.atomics
        ),
        (0, 0, 0, 0)
    );
    let touched: Vec<_> = counts
        .buffers
        .iter()
        .map(|b| (b.name.as_str(), b.bytes_read, b.bytes_written))
        .collect();
    assert_eq!(touched, [("y", 4096, 4096), ("x", 4096, 0)]);
    assert_eq!(counts.lines.values().sum::<u64>(), counts.instructions);
}

#[test]
fn products_are_counted_by_component() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<vec3f>;
@compute @workgroup_size(1)
fn main() {
    x[0].x = dot(x[0], x[1]) * 2.0;
    x[1] = cross(x[0], x[1]);
}";
    let buffers = [Buffer::of_floats(0, &[1.5; 8])];
    let outcome = run(source, &Run::new([1, 1, 1]), &buffers);
    // Three products and two sums, one product; six products and three differences.
    assert_eq!(outcome.counts.flops, 5 + 1 + 9);
}

#[test]
fn strides_cost_segments_and_banks() {
    let source = |stride: u32| {
        format!(
            "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
var<workgroup> tile: array<u32, 1024>;
@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {{
    tile[lane * {stride}u] = x[lane * {stride}u];
    workgroupBarrier();
    x[lane * {stride}u] = tile[lane * {stride}u];
}}"
        )
    };
    for (stride, segments, passes) in [(1, 1, 1), (2, 2, 2), (8, 8, 8), (32, 32, 32), (0, 1, 1)] {
        let counts = run(
            &source(stride),
            &Run::new([1, 1, 1]),
            &[Buffer::of_words(0, &[0; 1024])],
        )
        .counts;
        assert_eq!(
            (counts.storage_requests, counts.storage_segments),
            (2, 2 * segments),
            "stride {stride}"
        );
        assert_eq!(
            (counts.workgroup_requests, counts.bank_conflicts),
            (2, 2 * (passes - 1)),
            "stride {stride}"
        );
        assert_eq!(
            (
                counts.workgroup_loads,
                counts.workgroup_stores,
                counts.barriers
            ),
            (32, 32, 1)
        );
    }
    // A column more, and nothing is in conflict.
    let counts = run(
        &source(31),
        &Run::new([1, 1, 1]),
        &[Buffer::of_words(0, &[0; 1024])],
    )
    .counts;
    assert_eq!(counts.bank_conflicts, 0);
}

#[test]
fn atomics_touch_segments_and_banks_and_wait_for_each_other() {
    let source = |statement: &str| {
        format!(
            "
@group(0) @binding(0) var<storage, read_write> x: array<atomic<u32>>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
var<workgroup> bins: array<atomic<u32>, 1024>;
@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {{
    {statement}
}}"
        )
    };
    // By statement and stride: requests and segments of buffers, requests and bank conflicts of workgroup
    // memory, conflicts of atomics.
    let cases = [
        ("atomicAdd(&x[lane], 1u);", [1, 1, 0, 0, 0]),
        ("atomicAdd(&x[32u * lane], 1u);", [1, 32, 0, 0, 0]),
        ("atomicMax(&x[0], lane);", [1, 1, 0, 0, 31]),
        // Four lanes a word, and eight words of each of eight segments.
        ("atomicOr(&x[lane / 4u * 32u], 1u);", [1, 8, 0, 0, 3]),
        ("atomicStore(&x[0], 7u);", [1, 1, 0, 0, 0]),
        ("y[lane] = atomicLoad(&x[0]);", [2, 2, 0, 0, 0]),
        (
            "atomicCompareExchangeWeak(&x[lane / 2u], 0u, 1u);",
            [1, 1, 0, 0, 1],
        ),
        ("atomicAdd(&bins[lane], 1u);", [0, 0, 1, 0, 0]),
        ("atomicAdd(&bins[32u * lane], 1u);", [0, 0, 1, 31, 0]),
        ("atomicAdd(&bins[0], 1u);", [0, 0, 1, 0, 31]),
        // Two banks, eight words of each, every word wanted by two lanes.
        ("atomicAdd(&bins[lane / 2u * 16u], 1u);", [0, 0, 1, 7, 1]),
    ];
    let settings = Run {
        zeroed_workgroup_memory: true,
        ..Run::new([1, 1, 1])
    };
    for (statement, expected) in cases {
        let buffers = [
            Buffer::of_words(0, &[0; 1024]),
            Buffer::of_words(1, &[0; 32]),
        ];
        let buffers = match statement.starts_with('y') {
            true => &buffers[..],
            false => &buffers[..1],
        };
        let counts = run(&source(statement), &settings, buffers).counts;
        let found = [
            counts.storage_requests,
            counts.storage_segments,
            counts.workgroup_requests,
            counts.bank_conflicts,
            counts.atomic_conflicts,
        ];
        assert_eq!((found, counts.atomics), (expected, 32), "{statement}");
    }
    // An element that does not exist goes nowhere.
    let beyond = source("atomicAdd(&x[1024u + lane], 1u);");
    let counts = run(&beyond, &settings, &[Buffer::of_words(0, &[0; 1024])]).counts;
    assert_eq!((counts.storage_requests, counts.atomics), (0, 32));
}

#[test]
fn branches_that_part() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
    if (lane < 48u) { x[lane] = 1u; }
    if (lane < 32u) { x[lane] = 1u; }
}";
    let counts = run(
        source,
        &Run::new([1, 1, 1]),
        &[Buffer::of_words(0, &[0; 64])],
    )
    .counts;
    assert_eq!(counts.divergent_branches, 1);
}

#[test]
fn accesses_are_recorded_and_threads_change_nothing() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<storage, read> y: array<u32>;
@compute @workgroup_size(2)
fn main(@builtin(global_invocation_id) id: vec3u) { x[id.x] = y[id.x + 1u]; }";
    let slot = Slot::Binding {
        group: 0,
        binding: 1,
    };
    let settings = Run {
        record: Some(slot),
        ..Run::new([600, 1, 1])
    };
    let buffers = [Buffer::unwritten(0, 1200), Buffer::of_words(1, &[7; 1201])];
    let program = program(source);
    let outcome = program.run(&settings, &buffers).unwrap();
    assert_eq!(outcome.recorded.len(), 1200);
    for recorded in &outcome.recorded {
        let invocation = recorded.invocation;
        assert_eq!(
            recorded.word,
            2 * invocation.workgroup[0] + invocation.local_index + 1
        );
        assert_eq!(recorded.access, Access::Read);
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let alone = pool.install(|| program.run(&settings, &buffers).unwrap());
    assert_eq!(outcome.recorded, alone.recorded);
    assert_eq!(
        (outcome.buffers, outcome.counts),
        (alone.buffers, alone.counts)
    );
}
