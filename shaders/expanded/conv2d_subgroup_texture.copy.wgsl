// Expanded from shaders/conv2d/subgroup_texture.wgsl
// for conv2d forward: 128×64×32×32 → 64, 3×3 (tiling cpu (8 lanes)).
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

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var texels: texture_storage_2d<rgba32float, write>;

fn load(i: u32) -> vec4f {
    return x[i];
}

@compute @workgroup_size(8)
fn copy(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 256u + lane; i < min((group.x + 1u) * 256u, 2097152u); i += 8u) {
        textureStore(texels, vec2u(i % 4096u, i / 4096u), load(i));
    }
}
