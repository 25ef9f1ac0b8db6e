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
// Split      A workgroup copies {{ run // workgroup }} vec4 for each of its invocations, in one piece.
// Cost       copy reads and writes 16 bytes a vec4; pad and unfold read each pixel from memory once
//            and write zeros, too: bound by memory.
// Dropped    nothing yet.

{% from "common/stream.wgsl" import each %}
@group(0) @binding(0) var<storage, read> x: array<{{ "vec4f" if entry == "copy" else "f32" }}>;
@group(0) @binding(1) var texels: texture_storage_2d<rgba32float, write>;

{% if entry == "copy" %}
fn load(i: u32) -> vec4f {
    return x[i];
}
{% else %}
const ROW = {{ padded_width // 4 }}u;
const HEIGHT = {{ height }}u;
const WIDTH = {{ width }}u;

fn load(i: u32) -> vec4f {
    let map = i / {{ padded_width // 4 * padded_height }}u;
    let row = i / ROW % {{ padded_height }}u;
    let columns = i % ROW * 4u + vec4u(0u, 1u, 2u, 3u);
    let inside = (columns < vec4u(WIDTH)) & vec4<bool>(row < HEIGHT);
    // What lies outside is read from the last pixel and dropped.
    let place = min(row, HEIGHT - 1u) * WIDTH + min(columns, vec4u(WIDTH - 1u));
{% if entry == "pad" %}
    let at = map * {{ height * width }}u + place;
    let valid = inside;
{% else %}
    let tap = map % {{ kernel * kernel }}u;
    let iy = vec4i(place / {{ out_width }}u * {{ stride }}u + tap / {{ kernel }}u) - {{ padding }}i;
    let ix = vec4i(place % {{ out_width }}u * {{ stride }}u + tap % {{ kernel }}u) - {{ padding }}i;
    let last = vec2i({{ x_width }}i, {{ x_height }}i) - 1i;
    let y_in = clamp(iy, vec4i(), vec4i(last.y));
    let x_in = clamp(ix, vec4i(), vec4i(last.x));
    let at = map / {{ kernel * kernel }}u * {{ x_height * x_width }}u + vec4u(y_in) * {{ x_width }}u + vec4u(x_in);
    let valid = inside & (iy == y_in) & (ix == x_in);
{% endif %}
    return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), valid);
}
{% endif %}

@compute @workgroup_size({{ workgroup }})
fn {{ entry }}(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", vectors ~ "u", run, workgroup) }} {
        textureStore(texels, vec2u(i % 4096u, i / 4096u), load(i));
    }
}
