// Expanded from shaders/conv2d/subgroup_weight_sum.wgsl
// for conv2d weight_gradient: 128×64×32×32 → 64, 3×3 (tiling cpu (8 lanes)).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: the sum over slices of a weight gradient
//
// Computes   dw[i] = Σ partial[slice, i] over the slices, in their order.
// Layout     group 0
//              0  partial  vec4f[16, 9216], read: f32[slices,K,C,R,R]
//              1  dw       vec4f[9216], written: f32[K,C,R,R]
// Split      one invocation per vector, streaming (common/stream.wgsl).
// Cost       4·slices bytes per weight: bound by memory.
// Dropped    nothing yet.

@group(0) @binding(0) var<storage, read> partial: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(8)
fn sum(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var v = group.x * 72u + lane; v < min((group.x + 1u) * 72u, 9216u); v += 8u) {
        var total = vec4f();
        for (var slice = 0u; slice < 16u; slice++) {
            total += partial[slice * 9216u + v];
        }
        dw[v] = total;
    }
}
