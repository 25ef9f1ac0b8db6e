// Kernel card: the sum over slices of a weight gradient
//
// Computes   dw[k,c,r,s] = sum over slices of partial[slice, …], in the order of the slices.
// Bindings   0  partial  f32[{{ slices }}, tiles of k, tiles of c, {{ padded }}] as vec4, see
//                        conv2d_subgroup_weight.wgsl
//            1  dw       f32[K,C,R,R], written in full
// Split      one invocation per four sums, grid-stride.
// Cost       4·slices bytes per weight: bound by memory.

@group(0) @binding(0) var<storage, read> partial: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> dw: array<f32>;

// Writes sum number i of a tile, unless it is padding or beyond the last channel.
fn write(tile: u32, i: u32, value: f32) {
    let k = tile / {{ tiles_c }}u * {{ tile_k }}u + i / {{ tile_c * taps }}u;
    let c = tile % {{ tiles_c }}u * {{ tile_c }}u + i / {{ taps }}u % {{ tile_c }}u;
    if (i < {{ tile_k * tile_c * taps }}u && k < {{ out_channels }}u && c < {{ in_channels }}u) {
        dw[(k * {{ in_channels }}u + c) * {{ taps }}u + i % {{ taps }}u] = value;
    }
}

@compute @workgroup_size({{ workgroup }})
fn sum(@builtin(global_invocation_id) id: vec3u) {
    for (var v = id.x; v < {{ vectors }}u; v += {{ stride }}u) {
        var total = vec4f();
        for (var slice = 0u; slice < {{ slices }}u; slice++) {
            total += partial[slice * {{ vectors }}u + v];
        }
        let tile = v / {{ padded // 4 }}u;
        let i = v % {{ padded // 4 }}u * 4u;
        write(tile, i, total.x);
        write(tile, i + 1u, total.y);
        write(tile, i + 2u, total.z);
        write(tile, i + 3u, total.w);
    }
}
