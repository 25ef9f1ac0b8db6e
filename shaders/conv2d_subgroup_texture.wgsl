// Kernel card: a tensor copied to a texture
//
// Computes   texel (i mod 4096, i div 4096) = x[i].
// Used for   operands that the subgroup convolutions load many times: on software Vulkan a
//            texel costs a third of a load from a buffer, which is a loop over the lanes with
//            a test of bounds for each component.
// Bindings   0  x       f32[…] as vec4
//            1  texels  vec4 in rows of 4096
// Split      a workgroup copies {{ each }} vec4 for each of its invocations, in one piece.
// Cost       32 bytes a vec4: bound by memory.

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var texels: texture_storage_2d<rgba32float, write>;

@compute @workgroup_size({{ workgroup }})
fn copy(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first = group.x * {{ each * workgroup }}u + lane;
    for (var i = first; i < min(first + {{ each * workgroup }}u, {{ vectors }}u); i += {{ workgroup }}u) {
        textureStore(texels, vec2u(i % 4096u, i / 4096u), x[i]);
    }
}
