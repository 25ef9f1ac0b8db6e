//! Planted faults are found, at their lines; what is sound is left alone.

use crate::{line, program, run, shown};
use autorep::emulator::{Buffer, Fault, Finding, Run, agree};

/// The only fault of a run of one workgroup.
fn only(source: &str, settings: &Run, buffers: &[Buffer], fault: Fault) -> Finding {
    let outcome = run(source, settings, buffers);
    let of_kind: Vec<&Finding> = outcome
        .findings
        .iter()
        .filter(|finding| finding.fault == fault)
        .collect();
    assert!(
        of_kind.len() == 1 && outcome.findings.len() == 1,
        "{fault:?} wanted, found\n{}",
        shown(&outcome.findings)
    );
    of_kind[0].clone()
}

fn one() -> Run {
    Run::new([1, 1, 1])
}

const REVERSE: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
var<workgroup> tile: array<u32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
    tile[lane] = x[lane]; // write
    workgroupBarrier();
    x[lane] = tile[63u - lane]; // read
}";

#[test]
fn a_missing_barrier_is_a_race() {
    let words: Vec<u32> = (0..64).collect();
    let buffers = [Buffer::of_words(0, &words)];
    let outcome = run(REVERSE, &one(), &buffers);
    assert_eq!(outcome.findings, []);
    assert!(outcome.buffer(0).unwrap().words().iter().rev().eq(&words));

    let broken = REVERSE.replace("workgroupBarrier();", "");
    let settings = Run {
        zeroed_workgroup_memory: true,
        ..one()
    };
    let outcome = run(&broken, &settings, &buffers);
    let (write, read) = (line(&broken, "// write"), line(&broken, "// read"));
    assert!(!outcome.findings.is_empty());
    for finding in &outcome.findings {
        assert_eq!(finding.fault, Fault::WorkgroupRace);
        let other = finding.other.as_ref().unwrap();
        let mut lines = [finding.side.place.line, other.place.line];
        lines.sort();
        assert_eq!(lines, [write, read]);
        assert_eq!(finding.variable.as_deref(), Some("tile"));
        assert_eq!(
            finding.side.invocation.local_index + other.invocation.local_index,
            63
        );
    }
    let count: u64 = outcome.findings.iter().map(|finding| finding.count).sum();
    assert_eq!(count, 64);
    // And the results show it.
    let difference = agree(&program(&broken), &settings, &buffers, 0..4).unwrap();
    assert!(difference.is_some());
    assert_eq!(
        agree(&program(REVERSE), &one(), &buffers, 0..4).unwrap(),
        None
    );
}

#[test]
fn a_workgroup_barrier_does_not_order_storage() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {
    x[lane] = lane; // write
    workgroupBarrier();
    x[32u + lane] = x[31u - lane]; // read
}";
    let finding = only(
        source,
        &one(),
        &[Buffer::unwritten(0, 64)],
        Fault::StorageRace,
    );
    assert_eq!(finding.side.place.line, line(source, "// read"));
    assert_eq!(finding.other.unwrap().place.line, line(source, "// write"));
    let sound = source.replace("workgroupBarrier", "storageBarrier");
    assert_eq!(
        run(&sound, &one(), &[Buffer::unwritten(0, 64)]).findings,
        []
    );
}

#[test]
fn workgroups_race_for_a_word() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    x[group.x * 3u + lane] = group.x; // write
}";
    for interleaved in [false, true] {
        let settings = Run {
            interleaved,
            ..Run::new([5, 1, 1])
        };
        let finding = only(
            source,
            &settings,
            &[Buffer::unwritten(0, 16)],
            Fault::GlobalRace,
        );
        assert_eq!(finding.side.place.line, line(source, "// write"));
        // Words 3, 6, 9 and 12.
        assert_eq!(finding.count, 4);
        assert_eq!(finding.element, Some(3));
        let groups = [&finding.side, finding.other.as_ref().unwrap()]
            .map(|side| side.invocation.workgroup[0]);
        assert!(groups.contains(&0) && groups.contains(&1));
    }
    let difference = agree(
        &program(source),
        &Run::new([5, 1, 1]),
        &[Buffer::unwritten(0, 16)],
        0..8,
    )
    .unwrap();
    assert_eq!(difference.map(|difference| difference.word % 3), Some(0));
    let sound = source.replace("* 3u", "* 4u");
    assert_eq!(
        run(&sound, &Run::new([4, 1, 1]), &[Buffer::unwritten(0, 16)]).findings,
        []
    );
}

#[test]
fn atomics_do_not_race_with_each_other_but_with_others() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<atomic<u32>, 4>;
var<workgroup> sum: atomic<u32>;
@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {
    if (lane == 0u) { atomicStore(&sum, 0u); }
    workgroupBarrier();
    atomicAdd(&sum, lane);
    workgroupBarrier();
    if (lane < 4u) { atomicAdd(&x[lane], atomicLoad(&sum)); }
}";
    for interleaved in [false, true] {
        let settings = Run {
            interleaved,
            ..Run::new([3, 1, 1])
        };
        let outcome = run(source, &settings, &[Buffer::of_words(0, &[1, 2, 3, 4])]);
        assert_eq!(outcome.findings, []);
        assert_eq!(outcome.buffer(0).unwrap().words(), [1489, 1490, 1491, 1492]);
    }
    // Atomics in a poor order are no race; plain stores of the same word are.
    let mixed = "
@group(0) @binding(0) var<storage, read_write> x: array<u32, 64>;
var<workgroup> sum: atomic<u32>;
var<workgroup> last: u32;
@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {
    if (lane == 0u) { atomicStore(&sum, 0u); }
    atomicAdd(&sum, lane); // too early
    last = lane; // all at once
    x[lane] = 0u;
}";
    let outcome = run(mixed, &one(), &[Buffer::of_words(0, &[0; 64])]);
    let races: Vec<u32> = outcome
        .findings
        .iter()
        .filter(|finding| finding.fault == Fault::WorkgroupRace)
        .map(|finding| finding.side.place.line)
        .collect();
    assert_eq!(races, [line(mixed, "// all at once")]);
}

#[test]
fn an_index_one_too_far() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
var<workgroup> tile: array<u32, 8>;
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) lane: u32) {
    tile[lane] = 1u;
    workgroupBarrier();
    x[lane + 1u] = tile[0]; // out
}";
    let finding = only(
        source,
        &one(),
        &[Buffer::of_words(0, &[0; 8])],
        Fault::OutOfBounds,
    );
    assert_eq!(finding.side.place.line, line(source, "// out"));
    assert_eq!((finding.side.invocation.local_index, finding.count), (7, 1));
    assert_eq!(finding.detail, "index 8, length 8");
    assert_eq!(
        run(source, &one(), &[Buffer::of_words(0, &[0; 9])]).findings,
        []
    );
    let within = source
        .replace("tile[0]", "tile[lane + 1u]")
        .replace("x[lane + 1u]", "x[lane]");
    let finding = only(
        &within,
        &one(),
        &[Buffer::of_words(0, &[0; 8])],
        Fault::OutOfBounds,
    );
    assert_eq!(finding.detail, "index 8, length 8");
}

#[test]
fn reads_of_what_was_not_written() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
var<workgroup> tile: array<u32, 8>;
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) lane: u32) {
    var own: array<u32, 2>;
    if (lane < 4u) { tile[lane] = 1u; }
    workgroupBarrier();
    own[0] = tile[lane]; // shared
    x[lane] = own[lane % 2u]; // own
    x[lane] += x[lane ^ 8u]; // storage
}";
    let buffer = || Buffer {
        written: Some((0..16).map(|i| i != 11).collect()),
        ..Buffer::of_words(0, &[0; 16])
    };
    let settings = Run {
        find_unwritten_locals: true,
        ..one()
    };
    let found: Vec<_> = run(source, &settings, &[buffer()])
        .findings
        .into_iter()
        .map(|finding| {
            (
                finding.fault,
                finding.side.place.line,
                finding.count,
                finding.element,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (
                Fault::UnwrittenWorkgroup,
                line(source, "// shared"),
                4,
                found[0].3
            ),
            (Fault::UnwrittenLocal, line(source, "// own"), 4, None),
            (
                Fault::UnwrittenStorage,
                line(source, "// storage"),
                1,
                Some(11)
            ),
        ]
    );
    let zeroed = Run {
        zeroed_workgroup_memory: true,
        ..one()
    };
    assert_eq!(
        run(source, &zeroed, &[Buffer::of_words(0, &[0; 16])]).findings,
        []
    );
}

#[test]
fn a_barrier_that_not_all_reach() {
    let source = "
@group(0) @binding(0) var<storage, read> n: array<u32>;
var<workgroup> tile: array<u32, 8>;
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) lane: u32) {
    if (lane >= n[0]) {
        return; // left
    }
    tile[lane] = lane;
    workgroupBarrier(); // barrier
    _ = tile[0];
}";
    // naga's uniformity analysis refuses it, as it should; software Vulkan would run it.
    let program = crate::unchecked(source);
    let outcome = program.run(&one(), &[Buffer::of_words(0, &[6])]).unwrap();
    assert_eq!(outcome.findings.len(), 1, "{}", shown(&outcome.findings));
    let finding = &outcome.findings[0];
    assert_eq!(finding.fault, Fault::BarrierNotUniform);
    assert_eq!(finding.side.place.line, line(source, "// barrier"));
    let other = finding.other.as_ref().unwrap();
    assert_eq!(
        (other.place.line, other.invocation.local_index),
        (line(source, "// left"), 6)
    );
    assert_eq!(
        program
            .run(&one(), &[Buffer::of_words(0, &[8])])
            .unwrap()
            .findings,
        []
    );
}

#[test]
fn a_barrier_in_another_round() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(2)
fn main(@builtin(local_invocation_index) lane: u32) {
    for (var i = 0u; i < 2u; i++) {
        if (i == x[lane]) {
            workgroupBarrier(); // barrier
        }
    }
}";
    let program = crate::unchecked(source);
    let outcome = program
        .run(&one(), &[Buffer::of_words(0, &[0, 1])])
        .unwrap();
    assert_eq!(outcome.findings.len(), 1);
    assert_eq!(outcome.findings[0].fault, Fault::BarrierNotUniform);
    assert_eq!(
        outcome.findings[0].side.place.line,
        line(source, "// barrier")
    );
    assert_eq!(
        program
            .run(&one(), &[Buffer::of_words(0, &[1, 1])])
            .unwrap()
            .findings,
        []
    );
}

#[test]
fn a_loop_without_end() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(1)
fn main() {
    var i = 1u;
    while (i != 0u) { // loop
        i += 2u;
    }
    x[0] = i;
}";
    let settings = Run {
        budget: 10_000,
        ..one()
    };
    let finding = only(
        source,
        &settings,
        &[Buffer::of_words(0, &[0])],
        Fault::EndlessLoop,
    );
    assert_eq!(finding.side.place.line, line(source, "// loop"));
    let ends = source.replace("+= 2u", "+= 0x80000000u | 0x7fffffffu");
    assert_eq!(
        run(&ends, &settings, &[Buffer::of_words(0, &[0])]).findings,
        []
    );
}

/// Whichever loop the budget runs out in, the one that does not end is named.
#[test]
fn the_loop_without_end_among_loops_that_end() {
    let source = |outer: &str, middle: &str, inner: &str| {
        format!(
            "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
fn add(n: u32) -> u32 {{
    var sum = 0u;
    for (var k = 0u; k < n; k += {inner}) {{ // inner
        sum += x[0];
    }}
    return sum;
}}
@compute @workgroup_size(1)
fn main() {{
    for (var i = 0u; i < 3u; i += {outer}) {{ // outer
        x[1] += add(100u);
        for (var j = 0u; j < 4u; j += {middle}) {{ // middle
            x[1] += add(5u) + add(7u);
        }}
    }}
}}"
        )
    };
    let buffers = [Buffer::of_words(0, &[1, 0])];
    for budget in 20_000..20_300 {
        let settings = Run { budget, ..one() };
        for (place, [outer, middle, inner]) in [
            ("// outer", ["0u", "1u", "1u"]),
            ("// middle", ["1u", "0u", "1u"]),
            ("// inner", ["1u", "1u", "0u"]),
            // All of them: it never comes back from the first.
            ("// inner", ["0u", "0u", "0u"]),
        ] {
            let source = source(outer, middle, inner);
            let finding = only(&source, &settings, &buffers, Fault::EndlessLoop);
            assert_eq!(
                finding.side.place.line,
                line(&source, place),
                "budget {budget}"
            );
        }
    }
    let ends = source("1u", "1u", "1u");
    let settings = Run {
        budget: 20_000,
        ..one()
    };
    assert_eq!(run(&ends, &settings, &buffers).findings, []);
}

#[test]
fn divisions_by_zero_and_shifts_past_the_width() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) lane: u32) {
    x[lane] = 7u / lane; // divide
    x[lane + 4u] = 7u % lane; // remainder
    x[lane + 8u] = 1u << (30u + lane); // shift
}";
    let outcome = run(source, &one(), &[Buffer::of_words(0, &[0; 12])]);
    let found: Vec<_> = outcome
        .findings
        .iter()
        .map(|finding| (finding.fault, finding.side.place.line, finding.count))
        .collect();
    assert_eq!(
        found,
        [
            (Fault::DivisionByZero, line(source, "// divide"), 1),
            (Fault::DivisionByZero, line(source, "// remainder"), 1),
            (Fault::ShiftTooFar, line(source, "// shift"), 2),
        ]
    );
    // What WGSL promises for them.
    assert_eq!(
        outcome.buffer(0).unwrap().words(),
        [7, 7, 3, 2, 0, 0, 1, 1, 1 << 30, 1 << 31, 1, 2]
    );
}

#[test]
fn the_first_number_that_is_not_finite() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) lane: u32) {
    let y = 1.0 / x[lane]; // first
    x[lane] = y * 0.0;
}";
    let settings = Run {
        find_not_finite: true,
        ..one()
    };
    let buffers = [Buffer::of_floats(0, &[1.0, 2.0, 0.0, 4.0])];
    let finding = only(source, &settings, &buffers, Fault::NotFinite);
    assert_eq!(finding.side.place.line, line(source, "// first"));
    assert_eq!((finding.side.invocation.local_index, finding.count), (2, 1));
    assert_eq!(run(source, &one(), &buffers).findings, []);
}
