// Expanded from shaders/conv2d/subgroup_texture.wgsl
// for conv2d forward: 128×3×32×32 → 64, 5×5 (tiling cpu (8 lanes)).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: a tensor copied to a texture
//
// Computes   copy    texel (i mod 4096, i div 4096) = vec4 number i of x
//            pad     the same of x with every map padded with zeros, on the right and below, from
//                    H×W to the size that the convolutions want: rows of whole vec4s
//            unfold  the same of maps [N,C·R²] of y's size: number (c·R + r)·R + s holds what tap
//                    r, s of a convolution meets of channel c, zero beside the image
//            for operands that the subgroup convolutions load many times: on software Vulkan a texel
//            costs a third of a load from a buffer, which is a loop over the lanes with a test of
//            bounds for each component. And for all whose rows are not whole vec4s, or whose kernel
//            is neither 3×3 nor 1×1: unfolded, it is 1×1.
// Layout     group 0
//              0  x       f32[…], read; as vec4 for copy
//              1  texels  texture of vec4 in rows of 4096, written
// Split      A workgroup copies 32 vec4 for each of its invocations, in one piece.
// Cost       copy reads and writes 16 bytes a vec4; pad and unfold read each pixel from memory once
//            and write zeros, too: bound by memory.
// Dropped    nothing yet.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var texels: texture_storage_2d<rgba32float, write>;

const ROW = 8u;
const HEIGHT = 32u;
const WIDTH = 32u;

fn load(i: u32) -> vec4f {
    let map = i / 256u;
    let row = i / ROW % 32u;
    let columns = i % ROW * 4u + vec4u(0u, 1u, 2u, 3u);
    let inside = (columns < vec4u(WIDTH)) & vec4<bool>(row < HEIGHT);
    // What lies outside is read from the last pixel and dropped.
    let place = min(row, HEIGHT - 1u) * WIDTH + min(columns, vec4u(WIDTH - 1u));
    let tap = map % 25u;
    let iy = vec4i(place / 32u * 1u + tap / 5u) - 2i;
    let ix = vec4i(place % 32u * 1u + tap % 5u) - 2i;
    let last = vec2i(32i, 32i) - 1i;
    let y_in = clamp(iy, vec4i(), vec4i(last.y));
    let x_in = clamp(ix, vec4i(), vec4i(last.x));
    let at = map / 25u * 1024u + vec4u(y_in) * 32u + vec4u(x_in);
    let valid = inside & (iy == y_in) & (ix == x_in);
    return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), valid);
}

@compute @workgroup_size(8)
fn unfold(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 256u + lane; i < min((group.x + 1u) * 256u, 2457600u); i += 8u) {
        textureStore(texels, vec2u(i % 4096u, i / 4096u), load(i));
    }
}
