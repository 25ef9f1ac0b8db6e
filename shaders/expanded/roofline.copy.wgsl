// Expanded from shaders/roofline.wgsl
// for roofline copy: 4 vectors an invocation (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: the two roofs of an adapter
//
// Computes   multiply_add  sums[i] = Σ over the components v of invocation i's chains, where
//                          component j of chain k begins as (i mod 64)/64 + 4k + j and is
//                          replaced many times by v·m + b
//            copy          y = x
// Layout     group 0
//              multiply_add  0  factors  vec4f, read: (m, b, –, –), known at run time only, so that
//                                        nothing is computed in advance
//                            1  sums     f32[invocations], written
//              copy          0  x        vec4f[invocations·vectors], read
//                            1  y        vec4f[invocations·vectors], written
// Split      multiply_add: every invocation has its own several chains of four in registers, as
//            many as hide the latency of a multiply-add; which number does differs by adapter, so
//            several are tried and the fastest is the roof. copy: an invocation moves 4
//            vec4s, a workgroup's width apart.
// Cost       multiply_add  8·chains·(rounds + 1) + 12 flops and 4 bytes an invocation: bound by arithmetic
//            copy          32·vectors bytes an invocation: bound by memory
// Dropped    nothing yet.

const WORKGROUP = 256u;

// The workgroup's number in a grid that may be folded into rows.
fn number(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn copy(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    let first = number(group, groups) * 4u * WORKGROUP + lane;
    let v0 = x[first + 0u * WORKGROUP];
    let v1 = x[first + 1u * WORKGROUP];
    let v2 = x[first + 2u * WORKGROUP];
    let v3 = x[first + 3u * WORKGROUP];
    y[first + 0u * WORKGROUP] = v0;
    y[first + 1u * WORKGROUP] = v1;
    y[first + 2u * WORKGROUP] = v2;
    y[first + 3u * WORKGROUP] = v3;
}
