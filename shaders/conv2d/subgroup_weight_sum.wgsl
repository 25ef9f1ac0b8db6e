// Kernel card: the sum over slices of a weight gradient
//
// Computes   dw[i] = Σ partial[slice, i] over the slices, in their order.
// Layout     group 0
//              0  partial  {{ vector }}[{{ slices }}, {{ vectors }}], read: f32[slices,K,C,R,R]
//              1  dw       {{ vector }}[{{ vectors }}], written: f32[K,C,R,R]
// Split      one invocation per vector, streaming (common/stream.wgsl).
// Cost       4·slices bytes per weight: bound by memory.
// Dropped    nothing yet.

{% from "common/stream.wgsl" import each %}
@group(0) @binding(0) var<storage, read> partial: array<{{ vector }}>;
@group(0) @binding(1) var<storage, read_write> dw: array<{{ vector }}>;

@compute @workgroup_size({{ workgroup }})
fn sum(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("v", vectors ~ "u", run, workgroup) }} {
        var total = {{ vector }}();
        for (var slice = 0u; slice < {{ slices }}u; slice++) {
            total += partial[slice * {{ vectors }}u + v];
        }
        dw[v] = total;
    }
}
