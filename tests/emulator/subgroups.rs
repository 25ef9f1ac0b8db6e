//! Subgroup operations for subgroups of every size.

use crate::{line, program, shown, unchecked};
use autorep::emulator::{Buffer, Fault, Run};

const SIZES: [u32; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

#[test]
fn sums_scans_and_shuffles() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(48)
fn main(@builtin(local_invocation_index) i: u32, @builtin(subgroup_invocation_id) lane: u32,
        @builtin(subgroup_size) size: u32) {
    x[6u * i] = subgroupAdd(i);
    x[6u * i + 1u] = subgroupExclusiveAdd(1u);
    x[6u * i + 2u] = subgroupInclusiveMul(select(1u, 3u, lane < 2u));
    x[6u * i + 3u] = subgroupShuffle(i, lane ^ 1u % size);
    x[6u * i + 4u] = dot(vec4u(1u), countOneBits(subgroupBallot(lane % 2u == 0u)));
    x[6u * i + 5u] = subgroupMax(i) - subgroupBroadcastFirst(i);
}";
    let program = program(source);
    for size in SIZES {
        let settings = Run {
            subgroup_size: size,
            ..Run::new([1, 1, 1])
        };
        let outcome = program
            .run(&settings, &[Buffer::unwritten(0, 6 * 48)])
            .unwrap();
        // Where a subgroup is not full the neighbour may be absent: 48 is even, so only for size 1 it is
        // asked for lane 0 ^ 0.
        assert_eq!(outcome.findings, [], "{}", shown(&outcome.findings));
        let words = outcome.buffer(0).unwrap().words();
        for (i, words) in (0..48u32).zip(words.chunks(6)) {
            let (first, lane) = (i / size * size, i % size);
            let end = (first + size).min(48);
            let expected = [
                (first..end).sum(),
                lane,
                3u32.pow((lane + 1).min(2)),
                first + (lane ^ (1 % size)),
                (end - first).div_ceil(2),
                end - 1 - first,
            ];
            assert_eq!(words, expected, "{i} of subgroups of {size}");
        }
    }
}

#[test]
fn a_subgroup_operation_that_not_all_reach() {
    let source = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) i: u32) {
    if (i < x[0]) {
        x[i + 1u] = subgroupAdd(1u); // here
    }
    workgroupBarrier(); // there
}";
    let program = unchecked(source);
    let settings = Run {
        subgroup_size: 4,
        ..Run::new([1, 1, 1])
    };
    let words = |n: u32| [n, 0, 0, 0, 0, 0, 0, 0, 0];
    let outcome = program
        .run(&settings, &[Buffer::of_words(0, &words(6))])
        .unwrap();
    assert_eq!(outcome.findings.len(), 1, "{}", shown(&outcome.findings));
    let finding = &outcome.findings[0];
    assert_eq!(
        (finding.fault, finding.count),
        (Fault::SubgroupNotUniform, 1)
    );
    assert_eq!(finding.side.place.line, line(source, "// here"));
    assert_eq!(
        finding.other.as_ref().unwrap().place.line,
        line(source, "// there")
    );
    assert_eq!(outcome.buffer(0).unwrap().words()[1..7], [4, 4, 4, 4, 2, 2]);
    let outcome = program
        .run(&settings, &[Buffer::of_words(0, &words(4))])
        .unwrap();
    assert_eq!(outcome.findings, []);
}
