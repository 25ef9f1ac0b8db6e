//! The emulator against an adapter: an oracle that knows nothing of it.

use crate::program;
use autorep::emulator::{Buffer, Run};
use autorep::gpu::{AdapterChoice, Binding, Gpu, Pipeline, Tape};

/// Integers of every kind, workgroup memory, a loop and a switch. Its floats are whole and below 2²⁴, so that
/// they come out alike whatever a compiler fuses.
const SCRAMBLE: &str = "
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<u32>;
var<workgroup> tile: array<u32, 64>;
fn whole(a: u32, b: u32) -> u32 {
    let product = f32(a & 0xfffu) * f32(b & 0xfffu) - f32(a >> 20u);
    return bitcast<u32>(product);
}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
    var word = x[id.x];
    for (var round = 0u; round < 9u; round++) {
        tile[lane] = word;
        workgroupBarrier();
        let other = tile[(lane * 7u + round) % 64u];
        word = (word ^ (other >> (round + 1u))) * 0x85ebca6bu;
        let a = bitcast<i32>(word);
        let b = bitcast<i32>(other | 1u) >> 9u;
        word += bitcast<u32>(a / max(abs(b), 3)) ^ bitcast<u32>(a % max(abs(b), 3));
        word = insertBits(word, countOneBits(other), round, 7u) + firstLeadingBit(other | 1u);
        switch word & 3u {
            case 0u: { word = reverseBits(word); }
            case 1u, 2u: { word ^= whole(word, other); }
            default: { word = extractBits(word, 3u, 20u) + bitcast<u32>(clamp(a, -5000, 700)); }
        }
        workgroupBarrier();
    }
    out[id.x] = word;
}";

#[test]
fn an_adapter_computes_the_same_bits() {
    let x: Vec<u32> = (1..=192u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
    let gpu = Gpu::open(&AdapterChoice::default()).expect("an adapter: `make test` installs one");
    let (given, out) = (
        gpu.upload("x", &x).unwrap(),
        gpu.upload("out", &[0u32; 192]).unwrap(),
    );
    let bindings = [&out, &given].map(|buffer| Binding::Buffer(buffer.view()));
    let pipeline = Pipeline::new("scramble", SCRAMBLE, "main");
    let mut tape = Tape::new();
    tape.push(pipeline.bind(&gpu, &bindings, [3, 1, 1], "test").unwrap());
    tape.submit(&gpu).unwrap();
    let expected: Vec<u32> = gpu.read(&out.view()).unwrap();
    assert!(
        expected.iter().all(|&word| word != 0),
        "the adapter did nothing"
    );

    let scramble = program(SCRAMBLE);
    for subgroup_size in [1, 8, 32, 128] {
        for interleaved in [false, true] {
            let run = Run {
                subgroup_size,
                interleaved,
                seed: u64::from(subgroup_size),
                ..Run::new([3, 1, 1])
            };
            let buffers = [Buffer::unwritten(0, 192), Buffer::of_words(1, &x)];
            let outcome = scramble.run(&run, &buffers).unwrap();
            assert_eq!(outcome.findings, [], "{run:?}");
            assert_eq!(outcome.buffer(0).unwrap().words(), expected, "{run:?}");
        }
    }
}
