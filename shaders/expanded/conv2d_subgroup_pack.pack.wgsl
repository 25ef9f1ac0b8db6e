// Expanded from shaders/conv2d/subgroup_pack.wgsl
// for conv2d forward: 128×64×32×32 → 64, 3×3 (tiling cpu (8 lanes)).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: weights in the order in which a subgroup reads them
//
// Computes   packed[block, step, j, t, i] = w[k, c, t]   of the forward pass, or
//                                         = w[c, k, t]   `transposed` (data gradient), with
//            k = block·16 + i a channel of the output, c = step·1 + j one of the input, and
//            tap t = r·R + s, counted from the last one when `flipped` (stride 1). Zero where
//            k is past the end; each step is padded to whole registers of 8 vec4.
//            For the forward pass, and for data gradients whose channels do not fill vec4s.
// Layout     group 0
//              0  w       f32[K,C,R,R], read
//              1  packed  texture of vec4[blocks, steps, 40] in rows of 4096, written
// Split      A workgroup packs 7 step(s) of a block, one after the other: the weights that lie
//            beside those it reads come next, and where in a step a lane's weights lie is worked
//            out once.
// Cost       8 bytes a weight, once per step: on two cores up to a third of the convolution that it
//            serves at 512 channels and a batch of 32, under 5 % at 128 channels.
// Dropped    docs/rejected-optimizations.md, "Convolution in a subgroup".

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var packed: texture_storage_2d<rgba32float, write>;

const TAPS = 9u;
const OUT = 64u;
const IN = 64u;
const STEPS = 64u;

@compute @workgroup_size(8)
fn pack(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first = group.x * 7u;
    // Of each register: the four channels of the output, and where their weights lie.
    // Registers beyond the last tap repeat the first ones and are never read.
    let slot0 = (lane + 0u) * 4u % 144u;
    let k0 = group.y * 16u + slot0 % 16u + vec4u(0u, 1u, 2u, 3u);
    let c0 = first * 1u + slot0 / 144u;
    let t0 = slot0 / 16u % TAPS;
    // What lies past the end is read from the last channel and dropped.
    let channel0 = min(k0, vec4u(OUT - 1u));
    var at0 = (channel0 * IN + c0) * TAPS + t0;
    // Registers beyond the last tap repeat the first ones and are never read.
    let slot1 = (lane + 8u) * 4u % 144u;
    let k1 = group.y * 16u + slot1 % 16u + vec4u(0u, 1u, 2u, 3u);
    let c1 = first * 1u + slot1 / 144u;
    let t1 = slot1 / 16u % TAPS;
    // What lies past the end is read from the last channel and dropped.
    let channel1 = min(k1, vec4u(OUT - 1u));
    var at1 = (channel1 * IN + c1) * TAPS + t1;
    // Registers beyond the last tap repeat the first ones and are never read.
    let slot2 = (lane + 16u) * 4u % 144u;
    let k2 = group.y * 16u + slot2 % 16u + vec4u(0u, 1u, 2u, 3u);
    let c2 = first * 1u + slot2 / 144u;
    let t2 = slot2 / 16u % TAPS;
    // What lies past the end is read from the last channel and dropped.
    let channel2 = min(k2, vec4u(OUT - 1u));
    var at2 = (channel2 * IN + c2) * TAPS + t2;
    // Registers beyond the last tap repeat the first ones and are never read.
    let slot3 = (lane + 24u) * 4u % 144u;
    let k3 = group.y * 16u + slot3 % 16u + vec4u(0u, 1u, 2u, 3u);
    let c3 = first * 1u + slot3 / 144u;
    let t3 = slot3 / 16u % TAPS;
    // What lies past the end is read from the last channel and dropped.
    let channel3 = min(k3, vec4u(OUT - 1u));
    var at3 = (channel3 * IN + c3) * TAPS + t3;
    // Registers beyond the last tap repeat the first ones and are never read.
    let slot4 = (lane + 32u) * 4u % 144u;
    let k4 = group.y * 16u + slot4 % 16u + vec4u(0u, 1u, 2u, 3u);
    let c4 = first * 1u + slot4 / 144u;
    let t4 = slot4 / 16u % TAPS;
    // What lies past the end is read from the last channel and dropped.
    let channel4 = min(k4, vec4u(OUT - 1u));
    var at4 = (channel4 * IN + c4) * TAPS + t4;
    for (var step = first; step < min(first + 7u, STEPS); step++) {
        let texel = (group.y * STEPS + step) * 40u + lane;
        let four0 = vec4f(w[at0.x], w[at0.y], w[at0.z], w[at0.w]);
        let texel0 = texel + 0u;
        let place0 = vec2u(texel0 % 4096u, texel0 / 4096u);
        textureStore(packed, place0, select(vec4f(), four0, k0 < vec4u(OUT)));
        at0 += 9u;
        let four1 = vec4f(w[at1.x], w[at1.y], w[at1.z], w[at1.w]);
        let texel1 = texel + 8u;
        let place1 = vec2u(texel1 % 4096u, texel1 / 4096u);
        textureStore(packed, place1, select(vec4f(), four1, k1 < vec4u(OUT)));
        at1 += 9u;
        let four2 = vec4f(w[at2.x], w[at2.y], w[at2.z], w[at2.w]);
        let texel2 = texel + 16u;
        let place2 = vec2u(texel2 % 4096u, texel2 / 4096u);
        textureStore(packed, place2, select(vec4f(), four2, k2 < vec4u(OUT)));
        at2 += 9u;
        let four3 = vec4f(w[at3.x], w[at3.y], w[at3.z], w[at3.w]);
        let texel3 = texel + 24u;
        let place3 = vec2u(texel3 % 4096u, texel3 / 4096u);
        textureStore(packed, place3, select(vec4f(), four3, k3 < vec4u(OUT)));
        at3 += 9u;
        let four4 = vec4f(w[at4.x], w[at4.y], w[at4.z], w[at4.w]);
        let texel4 = texel + 32u;
        let place4 = vec2u(texel4 % 4096u, texel4 / 4096u);
        textureStore(packed, place4, select(vec4f(), four4, k4 < vec4u(OUT)));
        at4 += 9u;
    }
}
