// Expanded from shaders/conv2d/subgroup_scatter.wgsl
// for conv2d data_gradient: 128×64×32×32 → 128, 3×3 stride 2 (tiling cpu (8 lanes)).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: data gradient of a stride-2 convolution in the registers of one subgroup
//
// Computes   dx[n,c,iy,ix] = Σ dy[n,k,oy,ox] · w[k,c,r,s] over k and all r, s, oy, ox with
//                            iy = 2·oy + r − pad and ix = 2·ox + s − pad
//            With pad 1 and R 3 the parity of iy and ix decides which taps meet: an even row gets
//            tap r = 1 of dy's row iy/2, an odd one r = 2 of that row and r = 0 of the next; columns
//            alike. With R 1 only even rows and columns get anything.
// Layout     group 0
//              0  dy  f32[N,K,H/2,W/2] as vec4, read, from a buffer or a texture
//              1  w   texture of weights, read: packed by subgroup_pack.wgsl, or f32[K,C,R,R] as
//                     they are (`natural`)
//              2  dx  f32[N,C,H,W] as vec4, or floats where rows are not whole vec4s (`ragged`);
//                     written, or added to (`accumulate`)
// Split      As in subgroup.wgsl: a lane holds a strip of 2 rows of 4 pixels of dy. It writes
//            twice as many rows of 8 pixels of dx, for 8 channels: one vec4 accumulator for each
//            of the four parities, interleaved when stored.
// Cost       2·N·K·C·R²·H'·W' flops: no multiplication by the zeros of an upsampled dy.
// Dropped    docs/rejected-optimizations.md, "Convolution in a subgroup".

@group(0) @binding(0) var dy: texture_storage_2d<rgba32float, read>;
fn load_dy(i: u32) -> vec4f { return textureLoad(dy, vec2u(i % 4096u, i / 4096u)); }
@group(0) @binding(1) var w: texture_storage_2d<rgba32float, read>;
fn load_w(i: u32) -> vec4f { return textureLoad(w, vec2u(i % 4096u, i / 4096u)); }
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;
fn store_dx(at: u32, left: u32, value: vec4f) { dx[at] = value; }
const LANES = 8u;
// In vec4s, padding included: width of a row, size of a channel.
const OUT_ROW = 4u;
const OUT_MAP = 64u;
// The same of dx in its buffer, in vec4s.
const DX_ROW = 8u;
const DX_MAP = 256u;
// Strips in an image, and in all.
const PER_IMAGE = 32u;
const STRIPS = 4096u;

@compute @workgroup_size(8)
fn scatter(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let c = tile.x * 8u;
    let index = tile.y * LANES + lane;
    // Lanes past the end repeat the last strip and store nothing.
    let strip = min(index, STRIPS - 1u);
    let n = strip / PER_IMAGE;
    let top = strip % PER_IMAGE / OUT_ROW * 2u;
    let left = strip % OUT_ROW;

    let left_lane = max(lane, 1u) - 1u;
    let at_left = left > 0u;
    let right_lane = min(lane + 1u, LANES - 1u);
    let at_right = left + 1u < OUT_ROW;
let below = top + 2u < 16u;

    // sum{row}_{row parity}{column parity}_{channel}
    var sum0_00_0 = vec4f();
    var sum0_00_1 = vec4f();
    var sum0_00_2 = vec4f();
    var sum0_00_3 = vec4f();
    var sum0_00_4 = vec4f();
    var sum0_00_5 = vec4f();
    var sum0_00_6 = vec4f();
    var sum0_00_7 = vec4f();
    var sum0_01_0 = vec4f();
    var sum0_01_1 = vec4f();
    var sum0_01_2 = vec4f();
    var sum0_01_3 = vec4f();
    var sum0_01_4 = vec4f();
    var sum0_01_5 = vec4f();
    var sum0_01_6 = vec4f();
    var sum0_01_7 = vec4f();
    var sum0_10_0 = vec4f();
    var sum0_10_1 = vec4f();
    var sum0_10_2 = vec4f();
    var sum0_10_3 = vec4f();
    var sum0_10_4 = vec4f();
    var sum0_10_5 = vec4f();
    var sum0_10_6 = vec4f();
    var sum0_10_7 = vec4f();
    var sum0_11_0 = vec4f();
    var sum0_11_1 = vec4f();
    var sum0_11_2 = vec4f();
    var sum0_11_3 = vec4f();
    var sum0_11_4 = vec4f();
    var sum0_11_5 = vec4f();
    var sum0_11_6 = vec4f();
    var sum0_11_7 = vec4f();
    var sum1_00_0 = vec4f();
    var sum1_00_1 = vec4f();
    var sum1_00_2 = vec4f();
    var sum1_00_3 = vec4f();
    var sum1_00_4 = vec4f();
    var sum1_00_5 = vec4f();
    var sum1_00_6 = vec4f();
    var sum1_00_7 = vec4f();
    var sum1_01_0 = vec4f();
    var sum1_01_1 = vec4f();
    var sum1_01_2 = vec4f();
    var sum1_01_3 = vec4f();
    var sum1_01_4 = vec4f();
    var sum1_01_5 = vec4f();
    var sum1_01_6 = vec4f();
    var sum1_01_7 = vec4f();
    var sum1_10_0 = vec4f();
    var sum1_10_1 = vec4f();
    var sum1_10_2 = vec4f();
    var sum1_10_3 = vec4f();
    var sum1_10_4 = vec4f();
    var sum1_10_5 = vec4f();
    var sum1_10_6 = vec4f();
    var sum1_10_7 = vec4f();
    var sum1_11_0 = vec4f();
    var sum1_11_1 = vec4f();
    var sum1_11_2 = vec4f();
    var sum1_11_3 = vec4f();
    var sum1_11_4 = vec4f();
    var sum1_11_5 = vec4f();
    var sum1_11_6 = vec4f();
    var sum1_11_7 = vec4f();

    var at = n * 128u * OUT_MAP + top * OUT_ROW + left;
    var packed = c * 9u / 4u + lane;
    for (var k = 0u; k < 128u; k += 1u) {
        let w0 = load_w(packed + 0u);
        let w1 = load_w(packed + 8u);
        let w2 = load_w(packed + 16u);
        packed += 144u;

        // Channel k + 0: dy{row}_{columns to the right}
        {
        let dy0_0 = load_dy(at + 0u * OUT_ROW);
        let dy1_0 = load_dy(at + 1u * OUT_ROW);
        let dy2_0 = select(vec4f(), load_dy(select(at, at + 2u * OUT_ROW, below)), below);
        var right0 = select(0.0, subgroupShuffle(dy0_0.x, right_lane), at_right);
let dy0_1 = vec4f(dy0_0.yzw, right0);
        var right1 = select(0.0, subgroupShuffle(dy1_0.x, right_lane), at_right);
let dy1_1 = vec4f(dy1_0.yzw, right1);
        var right2 = select(0.0, subgroupShuffle(dy2_0.x, right_lane), at_right);
let dy2_1 = vec4f(dy2_0.yzw, right2);
        let w0_00 = subgroupShuffle(w0.x, 0u);
        sum0_11_0 += w0_00 * dy1_1;
        sum1_11_0 += w0_00 * dy2_1;
        let w0_01 = subgroupShuffle(w0.y, 0u);
        sum0_10_0 += w0_01 * dy1_0;
        sum1_10_0 += w0_01 * dy2_0;
        let w0_02 = subgroupShuffle(w0.z, 0u);
        sum0_11_0 += w0_02 * dy1_0;
        sum1_11_0 += w0_02 * dy2_0;
        let w0_10 = subgroupShuffle(w0.w, 0u);
        sum0_01_0 += w0_10 * dy0_1;
        sum1_01_0 += w0_10 * dy1_1;
        let w0_11 = subgroupShuffle(w0.x, 1u);
        sum0_00_0 += w0_11 * dy0_0;
        sum1_00_0 += w0_11 * dy1_0;
        let w0_12 = subgroupShuffle(w0.y, 1u);
        sum0_01_0 += w0_12 * dy0_0;
        sum1_01_0 += w0_12 * dy1_0;
        let w0_20 = subgroupShuffle(w0.z, 1u);
        sum0_11_0 += w0_20 * dy0_1;
        sum1_11_0 += w0_20 * dy1_1;
        let w0_21 = subgroupShuffle(w0.w, 1u);
        sum0_10_0 += w0_21 * dy0_0;
        sum1_10_0 += w0_21 * dy1_0;
        let w0_22 = subgroupShuffle(w0.x, 2u);
        sum0_11_0 += w0_22 * dy0_0;
        sum1_11_0 += w0_22 * dy1_0;
        let w1_00 = subgroupShuffle(w0.y, 2u);
        sum0_11_1 += w1_00 * dy1_1;
        sum1_11_1 += w1_00 * dy2_1;
        let w1_01 = subgroupShuffle(w0.z, 2u);
        sum0_10_1 += w1_01 * dy1_0;
        sum1_10_1 += w1_01 * dy2_0;
        let w1_02 = subgroupShuffle(w0.w, 2u);
        sum0_11_1 += w1_02 * dy1_0;
        sum1_11_1 += w1_02 * dy2_0;
        let w1_10 = subgroupShuffle(w0.x, 3u);
        sum0_01_1 += w1_10 * dy0_1;
        sum1_01_1 += w1_10 * dy1_1;
        let w1_11 = subgroupShuffle(w0.y, 3u);
        sum0_00_1 += w1_11 * dy0_0;
        sum1_00_1 += w1_11 * dy1_0;
        let w1_12 = subgroupShuffle(w0.z, 3u);
        sum0_01_1 += w1_12 * dy0_0;
        sum1_01_1 += w1_12 * dy1_0;
        let w1_20 = subgroupShuffle(w0.w, 3u);
        sum0_11_1 += w1_20 * dy0_1;
        sum1_11_1 += w1_20 * dy1_1;
        let w1_21 = subgroupShuffle(w0.x, 4u);
        sum0_10_1 += w1_21 * dy0_0;
        sum1_10_1 += w1_21 * dy1_0;
        let w1_22 = subgroupShuffle(w0.y, 4u);
        sum0_11_1 += w1_22 * dy0_0;
        sum1_11_1 += w1_22 * dy1_0;
        let w2_00 = subgroupShuffle(w0.z, 4u);
        sum0_11_2 += w2_00 * dy1_1;
        sum1_11_2 += w2_00 * dy2_1;
        let w2_01 = subgroupShuffle(w0.w, 4u);
        sum0_10_2 += w2_01 * dy1_0;
        sum1_10_2 += w2_01 * dy2_0;
        let w2_02 = subgroupShuffle(w0.x, 5u);
        sum0_11_2 += w2_02 * dy1_0;
        sum1_11_2 += w2_02 * dy2_0;
        let w2_10 = subgroupShuffle(w0.y, 5u);
        sum0_01_2 += w2_10 * dy0_1;
        sum1_01_2 += w2_10 * dy1_1;
        let w2_11 = subgroupShuffle(w0.z, 5u);
        sum0_00_2 += w2_11 * dy0_0;
        sum1_00_2 += w2_11 * dy1_0;
        let w2_12 = subgroupShuffle(w0.w, 5u);
        sum0_01_2 += w2_12 * dy0_0;
        sum1_01_2 += w2_12 * dy1_0;
        let w2_20 = subgroupShuffle(w0.x, 6u);
        sum0_11_2 += w2_20 * dy0_1;
        sum1_11_2 += w2_20 * dy1_1;
        let w2_21 = subgroupShuffle(w0.y, 6u);
        sum0_10_2 += w2_21 * dy0_0;
        sum1_10_2 += w2_21 * dy1_0;
        let w2_22 = subgroupShuffle(w0.z, 6u);
        sum0_11_2 += w2_22 * dy0_0;
        sum1_11_2 += w2_22 * dy1_0;
        let w3_00 = subgroupShuffle(w0.w, 6u);
        sum0_11_3 += w3_00 * dy1_1;
        sum1_11_3 += w3_00 * dy2_1;
        let w3_01 = subgroupShuffle(w0.x, 7u);
        sum0_10_3 += w3_01 * dy1_0;
        sum1_10_3 += w3_01 * dy2_0;
        let w3_02 = subgroupShuffle(w0.y, 7u);
        sum0_11_3 += w3_02 * dy1_0;
        sum1_11_3 += w3_02 * dy2_0;
        let w3_10 = subgroupShuffle(w0.z, 7u);
        sum0_01_3 += w3_10 * dy0_1;
        sum1_01_3 += w3_10 * dy1_1;
        let w3_11 = subgroupShuffle(w0.w, 7u);
        sum0_00_3 += w3_11 * dy0_0;
        sum1_00_3 += w3_11 * dy1_0;
        let w3_12 = subgroupShuffle(w1.x, 0u);
        sum0_01_3 += w3_12 * dy0_0;
        sum1_01_3 += w3_12 * dy1_0;
        let w3_20 = subgroupShuffle(w1.y, 0u);
        sum0_11_3 += w3_20 * dy0_1;
        sum1_11_3 += w3_20 * dy1_1;
        let w3_21 = subgroupShuffle(w1.z, 0u);
        sum0_10_3 += w3_21 * dy0_0;
        sum1_10_3 += w3_21 * dy1_0;
        let w3_22 = subgroupShuffle(w1.w, 0u);
        sum0_11_3 += w3_22 * dy0_0;
        sum1_11_3 += w3_22 * dy1_0;
        let w4_00 = subgroupShuffle(w1.x, 1u);
        sum0_11_4 += w4_00 * dy1_1;
        sum1_11_4 += w4_00 * dy2_1;
        let w4_01 = subgroupShuffle(w1.y, 1u);
        sum0_10_4 += w4_01 * dy1_0;
        sum1_10_4 += w4_01 * dy2_0;
        let w4_02 = subgroupShuffle(w1.z, 1u);
        sum0_11_4 += w4_02 * dy1_0;
        sum1_11_4 += w4_02 * dy2_0;
        let w4_10 = subgroupShuffle(w1.w, 1u);
        sum0_01_4 += w4_10 * dy0_1;
        sum1_01_4 += w4_10 * dy1_1;
        let w4_11 = subgroupShuffle(w1.x, 2u);
        sum0_00_4 += w4_11 * dy0_0;
        sum1_00_4 += w4_11 * dy1_0;
        let w4_12 = subgroupShuffle(w1.y, 2u);
        sum0_01_4 += w4_12 * dy0_0;
        sum1_01_4 += w4_12 * dy1_0;
        let w4_20 = subgroupShuffle(w1.z, 2u);
        sum0_11_4 += w4_20 * dy0_1;
        sum1_11_4 += w4_20 * dy1_1;
        let w4_21 = subgroupShuffle(w1.w, 2u);
        sum0_10_4 += w4_21 * dy0_0;
        sum1_10_4 += w4_21 * dy1_0;
        let w4_22 = subgroupShuffle(w1.x, 3u);
        sum0_11_4 += w4_22 * dy0_0;
        sum1_11_4 += w4_22 * dy1_0;
        let w5_00 = subgroupShuffle(w1.y, 3u);
        sum0_11_5 += w5_00 * dy1_1;
        sum1_11_5 += w5_00 * dy2_1;
        let w5_01 = subgroupShuffle(w1.z, 3u);
        sum0_10_5 += w5_01 * dy1_0;
        sum1_10_5 += w5_01 * dy2_0;
        let w5_02 = subgroupShuffle(w1.w, 3u);
        sum0_11_5 += w5_02 * dy1_0;
        sum1_11_5 += w5_02 * dy2_0;
        let w5_10 = subgroupShuffle(w1.x, 4u);
        sum0_01_5 += w5_10 * dy0_1;
        sum1_01_5 += w5_10 * dy1_1;
        let w5_11 = subgroupShuffle(w1.y, 4u);
        sum0_00_5 += w5_11 * dy0_0;
        sum1_00_5 += w5_11 * dy1_0;
        let w5_12 = subgroupShuffle(w1.z, 4u);
        sum0_01_5 += w5_12 * dy0_0;
        sum1_01_5 += w5_12 * dy1_0;
        let w5_20 = subgroupShuffle(w1.w, 4u);
        sum0_11_5 += w5_20 * dy0_1;
        sum1_11_5 += w5_20 * dy1_1;
        let w5_21 = subgroupShuffle(w1.x, 5u);
        sum0_10_5 += w5_21 * dy0_0;
        sum1_10_5 += w5_21 * dy1_0;
        let w5_22 = subgroupShuffle(w1.y, 5u);
        sum0_11_5 += w5_22 * dy0_0;
        sum1_11_5 += w5_22 * dy1_0;
        let w6_00 = subgroupShuffle(w1.z, 5u);
        sum0_11_6 += w6_00 * dy1_1;
        sum1_11_6 += w6_00 * dy2_1;
        let w6_01 = subgroupShuffle(w1.w, 5u);
        sum0_10_6 += w6_01 * dy1_0;
        sum1_10_6 += w6_01 * dy2_0;
        let w6_02 = subgroupShuffle(w1.x, 6u);
        sum0_11_6 += w6_02 * dy1_0;
        sum1_11_6 += w6_02 * dy2_0;
        let w6_10 = subgroupShuffle(w1.y, 6u);
        sum0_01_6 += w6_10 * dy0_1;
        sum1_01_6 += w6_10 * dy1_1;
        let w6_11 = subgroupShuffle(w1.z, 6u);
        sum0_00_6 += w6_11 * dy0_0;
        sum1_00_6 += w6_11 * dy1_0;
        let w6_12 = subgroupShuffle(w1.w, 6u);
        sum0_01_6 += w6_12 * dy0_0;
        sum1_01_6 += w6_12 * dy1_0;
        let w6_20 = subgroupShuffle(w1.x, 7u);
        sum0_11_6 += w6_20 * dy0_1;
        sum1_11_6 += w6_20 * dy1_1;
        let w6_21 = subgroupShuffle(w1.y, 7u);
        sum0_10_6 += w6_21 * dy0_0;
        sum1_10_6 += w6_21 * dy1_0;
        let w6_22 = subgroupShuffle(w1.z, 7u);
        sum0_11_6 += w6_22 * dy0_0;
        sum1_11_6 += w6_22 * dy1_0;
        let w7_00 = subgroupShuffle(w1.w, 7u);
        sum0_11_7 += w7_00 * dy1_1;
        sum1_11_7 += w7_00 * dy2_1;
        let w7_01 = subgroupShuffle(w2.x, 0u);
        sum0_10_7 += w7_01 * dy1_0;
        sum1_10_7 += w7_01 * dy2_0;
        let w7_02 = subgroupShuffle(w2.y, 0u);
        sum0_11_7 += w7_02 * dy1_0;
        sum1_11_7 += w7_02 * dy2_0;
        let w7_10 = subgroupShuffle(w2.z, 0u);
        sum0_01_7 += w7_10 * dy0_1;
        sum1_01_7 += w7_10 * dy1_1;
        let w7_11 = subgroupShuffle(w2.w, 0u);
        sum0_00_7 += w7_11 * dy0_0;
        sum1_00_7 += w7_11 * dy1_0;
        let w7_12 = subgroupShuffle(w2.x, 1u);
        sum0_01_7 += w7_12 * dy0_0;
        sum1_01_7 += w7_12 * dy1_0;
        let w7_20 = subgroupShuffle(w2.y, 1u);
        sum0_11_7 += w7_20 * dy0_1;
        sum1_11_7 += w7_20 * dy1_1;
        let w7_21 = subgroupShuffle(w2.z, 1u);
        sum0_10_7 += w7_21 * dy0_0;
        sum1_10_7 += w7_21 * dy1_0;
        let w7_22 = subgroupShuffle(w2.w, 1u);
        sum0_11_7 += w7_22 * dy0_0;
        sum1_11_7 += w7_22 * dy1_0;
        }
        at += OUT_MAP;
    }

    let out = (n * 64u + c) * DX_MAP + 2u * top * DX_ROW + 2u * left;
    {
        let at = out + 0u * DX_MAP + 0u * DX_ROW;
        let even = sum0_00_0;
        let odd = sum0_01_0;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 0u * DX_MAP + 1u * DX_ROW;
        let even = sum0_10_0;
        let odd = sum0_11_0;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 0u * DX_MAP + 2u * DX_ROW;
        let even = sum1_00_0;
        let odd = sum1_01_0;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 0u * DX_MAP + 3u * DX_ROW;
        let even = sum1_10_0;
        let odd = sum1_11_0;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 1u * DX_MAP + 0u * DX_ROW;
        let even = sum0_00_1;
        let odd = sum0_01_1;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 1u * DX_MAP + 1u * DX_ROW;
        let even = sum0_10_1;
        let odd = sum0_11_1;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 1u * DX_MAP + 2u * DX_ROW;
        let even = sum1_00_1;
        let odd = sum1_01_1;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 1u * DX_MAP + 3u * DX_ROW;
        let even = sum1_10_1;
        let odd = sum1_11_1;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 2u * DX_MAP + 0u * DX_ROW;
        let even = sum0_00_2;
        let odd = sum0_01_2;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 2u * DX_MAP + 1u * DX_ROW;
        let even = sum0_10_2;
        let odd = sum0_11_2;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 2u * DX_MAP + 2u * DX_ROW;
        let even = sum1_00_2;
        let odd = sum1_01_2;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 2u * DX_MAP + 3u * DX_ROW;
        let even = sum1_10_2;
        let odd = sum1_11_2;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 3u * DX_MAP + 0u * DX_ROW;
        let even = sum0_00_3;
        let odd = sum0_01_3;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 3u * DX_MAP + 1u * DX_ROW;
        let even = sum0_10_3;
        let odd = sum0_11_3;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 3u * DX_MAP + 2u * DX_ROW;
        let even = sum1_00_3;
        let odd = sum1_01_3;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 3u * DX_MAP + 3u * DX_ROW;
        let even = sum1_10_3;
        let odd = sum1_11_3;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 4u * DX_MAP + 0u * DX_ROW;
        let even = sum0_00_4;
        let odd = sum0_01_4;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 4u * DX_MAP + 1u * DX_ROW;
        let even = sum0_10_4;
        let odd = sum0_11_4;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 4u * DX_MAP + 2u * DX_ROW;
        let even = sum1_00_4;
        let odd = sum1_01_4;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 4u * DX_MAP + 3u * DX_ROW;
        let even = sum1_10_4;
        let odd = sum1_11_4;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 5u * DX_MAP + 0u * DX_ROW;
        let even = sum0_00_5;
        let odd = sum0_01_5;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 5u * DX_MAP + 1u * DX_ROW;
        let even = sum0_10_5;
        let odd = sum0_11_5;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 5u * DX_MAP + 2u * DX_ROW;
        let even = sum1_00_5;
        let odd = sum1_01_5;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 5u * DX_MAP + 3u * DX_ROW;
        let even = sum1_10_5;
        let odd = sum1_11_5;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 6u * DX_MAP + 0u * DX_ROW;
        let even = sum0_00_6;
        let odd = sum0_01_6;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 6u * DX_MAP + 1u * DX_ROW;
        let even = sum0_10_6;
        let odd = sum0_11_6;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 6u * DX_MAP + 2u * DX_ROW;
        let even = sum1_00_6;
        let odd = sum1_01_6;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 6u * DX_MAP + 3u * DX_ROW;
        let even = sum1_10_6;
        let odd = sum1_11_6;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 7u * DX_MAP + 0u * DX_ROW;
        let even = sum0_00_7;
        let odd = sum0_01_7;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 7u * DX_MAP + 1u * DX_ROW;
        let even = sum0_10_7;
        let odd = sum0_11_7;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 7u * DX_MAP + 2u * DX_ROW;
        let even = sum1_00_7;
        let odd = sum1_01_7;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
    {
        let at = out + 7u * DX_MAP + 3u * DX_ROW;
        let even = sum1_10_7;
        let odd = sum1_11_7;
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + 1u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
}
