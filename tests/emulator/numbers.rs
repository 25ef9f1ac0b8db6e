//! Small programs compute what plain Rust does.

use crate::{clean, program};
use autorep::emulator::{Buffer, Program, Run};

/// Words that `body` puts into `out`, run by one invocation with `x` as input.
fn eval(body: &str, x: &[f32]) -> Vec<u32> {
    let source = format!(
        "
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
var<private> next: u32;
fn put(word: u32) {{ out[next] = word; next++; }}
fn putf(number: f32) {{ put(bitcast<u32>(number)); }}
fn puti(number: i32) {{ put(bitcast<u32>(number)); }}
fn putv(v: vec4f) {{ for (var i = 0; i < 4; i++) {{ putf(v[i]); }} }}
@compute @workgroup_size(1) fn main() {{ {body} }}"
    );
    clean(
        &source,
        &[Buffer::of_words(0, &[0; 64]), Buffer::of_floats(1, x)],
    )
}

fn floats(body: &str, x: &[f32], expected: &[f32]) {
    let words = eval(body, x);
    let found: Vec<f32> = words
        .iter()
        .take(expected.len())
        .map(|&word| f32::from_bits(word))
        .collect();
    let bits = |floats: &[f32]| floats.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(
        bits(&found),
        bits(expected),
        "{body}: {found:?}, not {expected:?}"
    );
}

fn integers(body: &str, expected: &[i32]) {
    let words = eval(body, &[0.0, 1.0, 2.0, 3.0]);
    let found: Vec<i32> = words
        .iter()
        .take(expected.len())
        .map(|&word| word as i32)
        .collect();
    assert_eq!(found, expected, "{body}");
}

#[test]
fn arithmetic_of_floats() {
    let x = [0.3f32, -1.7, 5.5, 1e-3];
    floats("putf(x[0] + x[1] * x[2]);", &x, &[x[0] + x[1] * x[2]]);
    floats(
        "putf(fma(x[0], x[1], x[2]));",
        &x,
        &[x[0].mul_add(x[1], x[2])],
    );
    floats(
        "putf(x[1] % x[0]); putf(x[2] / x[3]); putf(-x[0]);",
        &x,
        &[x[1] % x[0], x[2] / x[3], -x[0]],
    );
    floats(
        "putf(sqrt(x[2])); putf(abs(x[1])); putf(sign(x[1]));",
        &x,
        &[x[2].sqrt(), 1.7, -1.0],
    );
    floats(
        "putf(round(x[2])); putf(floor(x[1])); putf(ceil(x[1])); putf(trunc(x[1])); putf(fract(x[1]));",
        &x,
        &[6.0, -2.0, -1.0, -1.0, -1.7 + 2.0],
    );
    floats(
        "putf(exp(x[0])); putf(log(x[2]));",
        &x,
        &[0.3f32.exp(), (f64::from(x[2]).ln()) as f32],
    );
    floats(
        "putf(mix(x[0], x[1], 0.25)); putf(step(x[0], x[1]));",
        &x,
        &[x[0] * 0.75 + x[1] * 0.25, 0.0],
    );
    floats(
        "putf(clamp(x[2], 0.0, 1.0)); putf(max(x[0], x[1])); putf(min(x[0], x[1]));",
        &x,
        &[1.0, 0.3, -1.7],
    );
    floats(
        "putv(vec4f(x[0], x[1], x[2], x[3]).wzyx * 2.0);",
        &x,
        &[2e-3, 11.0, -3.4, 0.6],
    );
    floats(
        "putf(length(vec2f(x[0] + 2.7, 4.0))); putf(dot(vec3f(1, 2, 3), vec3f(4, 5, 6)));",
        &x,
        &[5.0, 32.0],
    );
    floats(
        "let c = cross(vec3f(1, 2, 3), vec3f(x[2], 5, 6)); putf(c.x); putf(c.y); putf(c.z);",
        &x,
        &[-3.0, 10.5, -6.0],
    );
    floats(
        "let m = modf(x[1]); putf(m.fract); putf(m.whole);",
        &x,
        &[-1.7 + 1.0, -1.0],
    );
    floats(
        "let f = frexp(x[2]); putf(f.fract); putf(f32(f.exp));",
        &x,
        &[0.6875, 3.0],
    );
    floats(
        "putf(ldexp(x[2], 3)); putf(select(1.0, 2.0, x[0] < x[1]));",
        &x,
        &[44.0, 1.0],
    );
    floats(
        "putf(f32(-3)); putf(f32(7u)); putf(f32(true));",
        &x,
        &[-3.0, 7.0, 1.0],
    );
}

#[test]
fn arithmetic_of_integers() {
    integers(
        "let i = i32(x[3]); puti(-7 / i); puti(-7 % i); puti((-7) >> 1u); puti(-i);",
        &[-2, -1, -4, -3],
    );
    integers(
        "let u = u32(x[3]); put(~u); put(u ^ 5u); put(u << 30u); put(0xf0u >> u);",
        &[-4, 6, -(1 << 30), 30],
    );
    integers(
        "let u = u32(x[2]) * 20u; put(countOneBits(u)); put(countLeadingZeros(u)); put(countTrailingZeros(u));
         put(firstLeadingBit(u)); put(firstTrailingBit(u)); put(reverseBits(u));",
        &[2, 26, 3, 5, 3, 0b0001_0100 << 24],
    );
    integers(
        "let u = u32(x[2]) + 0xabcd00u; put(extractBits(u, 8u, 8u)); puti(extractBits(bitcast<i32>(u), 16u, 8u));
         put(insertBits(0u, u, 4u, 4u)); put(extractBits(u, 32u, 4u));",
        &[0xcd, 0xab - 256, 0x20, 0],
    );
    integers(
        "puti(i32(x[3] * -1.5)); put(u32(x[1] - 9.0)); puti(i32(x[1] * 1e20));",
        &[-4, 0, i32::MAX],
    );
    integers(
        "puti(min(i32(x[1]), -2)); put(max(u32(x[1]), 4u)); puti(clamp(i32(x[3]), -1, 2));",
        &[-2, 4, 2],
    );
    integers(
        "puti(abs(i32(x[1]) - 5)); puti(sign(i32(x[1]) - 5)); puti(dot(vec2i(2, 3), vec2i(i32(x[3]))));",
        &[4, -1, 15],
    );
    integers(
        "put(u32(all(vec2<bool>(x[0] < 1.0, x[1] < 1.0)))); put(u32(any(vec2<bool>(x[0] < 1.0, false))));",
        &[0, 1],
    );
}

#[test]
fn packing() {
    integers(
        "put(pack4x8unorm(vec4f(x[0], x[1], 0.5, 2.0))); put(pack2x16float(vec2f(x[1], -x[2])));",
        &[0xff80_ff00_u32 as i32, 0xc000_3c00_u32 as i32],
    );
    integers(
        "put(pack4x8snorm(vec4f(-1.0, x[1], 0.0, -x[3])));",
        &[0x8100_7f81_u32 as i32],
    );
    integers(
        "put(pack4xU8(vec4u(1u, 2u, u32(x[3]), 260u)));",
        &[0x0403_0201],
    );
    integers(
        "let v = unpack4xI8(0xff000180u); puti(v.x); puti(v.y); puti(v.w);",
        &[-128, 1, -1],
    );
    integers(
        "put(dot4U8Packed(0x01020304u, 0x01010101u)); puti(dot4I8Packed(0xffu, 0x03u));",
        &[10, -3],
    );
    floats(
        "putv(unpack4x8unorm(0xff008000u));",
        &[0.0],
        &[0.0, 128.0 / 255.0, 0.0, 1.0],
    );
    floats(
        "let v = unpack2x16float(0xc0003c00u); putf(v.x); putf(v.y);",
        &[0.0],
        &[1.0, -2.0],
    );
}

#[test]
fn matrices() {
    let x = [1.0, 2.0, 3.0, 4.0];
    let m = "let m = mat2x3f(x[0], x[1], x[2], x[3], 5.0, 6.0);";
    let show = "putf(v.x); putf(v.y);";
    floats(
        &format!("{m} let v = m * vec2f(10.0, x[0]); {show} putf(v.z);"),
        &x,
        &[14.0, 25.0, 36.0],
    );
    floats(
        &format!("{m} let v = vec3f(1.0, 1.0, x[0]) * m; {show}"),
        &x,
        &[6.0, 15.0],
    );
    floats(
        &format!("{m} let v = transpose(m)[2]; {show}"),
        &x,
        &[3.0, 6.0],
    );
    floats(
        &format!("{m} let v = (transpose(m) * m)[1]; {show}"),
        &x,
        &[32.0, 77.0],
    );
    floats(
        "putf(determinant(mat3x3f(2, x[0], 0, 0, 3, 1, 1, 0, 4)));",
        &x,
        &[25.0],
    );
    floats(
        "var m = mat2x2f(); m[1][u32(x[0])] = 3.0; let v = m * vec2f(x[1]); putf(v.x); putf(v.y);",
        &x,
        &[0.0, 6.0],
    );
}

#[test]
fn control_flow() {
    integers(
        "for (var i = 0; i < 9; i++) { if (i % 2 == 0) { continue; } if (i > 6) { break; } puti(i); }",
        &[1, 3, 5, 0],
    );
    integers(
        "for (var i = 0; i < 4; i++) { switch i { case 0, 2: { puti(10 + i); } case 1: { if (x[0] < 1.0) { break; }
         puti(9); }
         default: { puti(-i); } } }",
        &[10, 12, -3, 0],
    );
    integers(
        "var i = 0; loop { i += 1; continuing { i *= 2; break if i > 20; } } puti(i);",
        &[30],
    );
    integers(
        "var n = 27u; var steps = 0; while (n != 1u) { if ((n & 1u) == 0u) { n /= 2u; } else { n = 3u * n + 1u; }
         steps++; }
         puti(steps);",
        &[111],
    );
}

#[test]
fn functions_pointers_and_structs() {
    let source = "
struct Inner { a: vec3f, b: f32 }
struct Outer { first: u32, list: array<Inner, 3>, m: mat3x3f, last: array<vec2f> }
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<storage, read_write> outer: Outer;
var<private> calls: u32;
fn swap(a: ptr<function, f32>, b: ptr<function, f32>) { let t = *a; *a = *b; *b = t; calls += 1u; }
fn twice(a: ptr<function, array<f32, 3>>, i: u32) -> f32 {
    if (i == 0u) { return -1.0; }
    (*a)[i] *= 2.0;
    return (*a)[i];
}
@compute @workgroup_size(1) fn main() {
    var p = 1.0; var q = 2.0;
    swap(&p, &q);
    var list = array<f32, 3>(3.0, 4.0, 5.0);
    out[0] = p; out[1] = q;
    out[2] = twice(&list, calls) + twice(&list, 0u);
    var inner = outer.list[calls];
    inner.b = 9.0;
    outer.list[2] = inner;
    out[3] = outer.list[2].a.y + outer.list[2].b;
    out[4] = f32(arrayLength(&outer.last));
    outer.last[1].y = 7.0;
    out[5] = outer.last[calls].y + f32(outer.first);
    let m = outer.m;
    out[6] = m[2].z + outer.m[calls][0];
}";
    // first at word 0, list of 16 bytes each from 4, m from 16 with columns of 4 words, last from 28.
    let mut words = vec![0u32; 28 + 2 * 5];
    words[0] = 100;
    words[8..11].copy_from_slice(&[1f32, 2.5, 3.0].map(f32::to_bits));
    words[20] = 30f32.to_bits();
    words[26] = 0.5f32.to_bits();
    let found = clean(
        source,
        &[Buffer::of_words(0, &[0; 7]), Buffer::of_words(1, &words)],
    );
    let found: Vec<f32> = found.into_iter().map(f32::from_bits).collect();
    assert_eq!(found, [2.0, 1.0, 7.0, 11.5, 5.0, 107.0, 30.5]);
}

#[test]
fn uniform_loads_and_compare_exchange() {
    let source = "
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
var<workgroup> flag: u32;
var<workgroup> winner: atomic<u32>;
@compute @workgroup_size(16) fn main(@builtin(local_invocation_index) lane: u32) {
    if (lane == 3u) { flag = 5u; atomicStore(&winner, 0u); }
    let seen = workgroupUniformLoad(&flag);
    let swapped = atomicCompareExchangeWeak(&winner, 0u, lane + 1u);
    workgroupBarrier();
    out[lane] = seen + u32(swapped.exchanged) * 100u + u32(swapped.exchanged && atomicLoad(&winner) == lane + 1u);
}";
    let words = clean(source, &[Buffer::unwritten(0, 16)]);
    assert_eq!(words.iter().sum::<u32>(), 16 * 5 + 101);
}

#[test]
fn textures() {
    let source = "
@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var y: texture_storage_2d<r32float, write>;
@compute @workgroup_size(6) fn main(@builtin(local_invocation_index) i: u32) {
    let at = vec2u(i % 3u, i / 3u);
    out[i] = textureLoad(x, at) + vec4f(vec2f(textureDimensions(x)), 0.0, 0.0);
    textureStore(y, at, vec4f(f32(i)));
}";
    let floats: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let buffers = [
        Buffer::unwritten(0, 24),
        Buffer::of_floats(1, &floats).texture([3, 2, 1]),
        Buffer::unwritten(2, 6).texture([3, 2, 1]),
    ];
    let outcome = program(source).run(&Run::new([1, 1, 1]), &buffers).unwrap();
    assert_eq!(outcome.findings, []);
    let expected: Vec<f32> = (0..24)
        .map(|i| i as f32 + [3.0, 2.0, 0.0, 0.0][i % 4])
        .collect();
    assert_eq!(outcome.buffer(0).unwrap().floats(), expected);
    assert_eq!(
        outcome.buffer(2).unwrap().floats(),
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    );
}

#[test]
fn what_is_not_known_is_named() {
    let source = "enable f16; @group(0) @binding(0) var<storage, read_write> x: array<f16>;
@compute @workgroup_size(1) fn main() { x[0] += 1.0h; }";
    let module = naga::front::wgsl::parse_str(source).unwrap();
    let info = naga::valid::Validator::new(Default::default(), naga::valid::Capabilities::all())
        .validate(&module)
        .unwrap();
    let error = Program::new(&module, &info, "main", Some(source))
        .unwrap_err()
        .to_string();
    assert!(error.contains("16 bits"), "{error}");
    let error = Program::new(&module, &info, "other", Some(source))
        .unwrap_err()
        .to_string();
    assert!(error.contains("`other`"), "{error}");
}
