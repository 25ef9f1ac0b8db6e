// Kernel card: a tensor copied to a texture
//
// Computes   copy  texel (i mod 4096, i div 4096) = vec4 number i of x
//            pad   the same of x with every map padded with zeros, on the right and below, from
//                  H×W to the size that the convolutions want: rows of whole vec4s
// Used for   operands that the subgroup convolutions load many times: on software Vulkan a
//            texel costs a third of a load from a buffer, which is a loop over the lanes with
//            a test of bounds for each component. And for all whose rows are not whole vec4s.
// Bindings   0  x       f32[…], as vec4 for copy
//            1  texels  vec4 in rows of 4096
// Split      a workgroup copies {{ each }} vec4 for each of its invocations, in one piece.
// Cost       32 bytes a vec4: bound by memory. Zeros are written, and not read.

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
    // Pixels past the end are read from the last one and dropped.
    let columns = i % ROW * 4u + vec4u(0u, 1u, 2u, 3u);
    let at = (map * HEIGHT + min(row, HEIGHT - 1u)) * WIDTH + min(columns, vec4u(WIDTH - 1u));
    let four = vec4f(x[at.x], x[at.y], x[at.z], x[at.w]);
    return select(vec4f(), four, (columns < vec4u(WIDTH)) & vec4<bool>(row < HEIGHT));
}
{% endif %}

@compute @workgroup_size({{ workgroup }})
fn {{ entry }}(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first = group.x * {{ each * workgroup }}u + lane;
    for (var i = first; i < min(first + {{ each * workgroup }}u, {{ vectors }}u); i += {{ workgroup }}u) {
        textureStore(texels, vec2u(i % 4096u, i / 4096u), load(i));
    }
}
