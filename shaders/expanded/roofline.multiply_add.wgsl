// Expanded from shaders/roofline.wgsl
// for roofline multiply_add: 4 chains (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: the two roofs of an adapter
//
// Computes   multiply_add  sums[i] = Σ over the components v of invocation i's chains, where
//                          component j of chain k begins as (i mod 64)/64 + 4k + j and is
//                          replaced 2048 times by v·m + b
//            copy          y = x
// Layout     group 0
//              multiply_add  0  factors  vec4f, read: (m, b, –, –), known at run time only, so that
//                                        nothing is computed in advance
//                            1  sums     f32[invocations], written
//              copy          0  x        vec4f[invocations·vectors], read
//                            1  y        vec4f[invocations·vectors], written
// Split      multiply_add: every invocation has its own 4 chains of four in registers, as
//            many as hide the latency of a multiply-add; which number does differs by adapter, so
//            several are tried and the fastest is the roof. copy: an invocation moves several
//            vec4s, a workgroup's width apart.
// Cost       multiply_add  8·chains·(rounds + 1) + 12 flops and 4 bytes an invocation: bound by arithmetic
//            copy          32·vectors bytes an invocation: bound by memory
// Dropped    nothing yet.

const WORKGROUP = 256u;

// The workgroup's number in a grid that may be folded into rows.
fn number(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}

@group(0) @binding(0) var<storage, read> factors: vec4f;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn multiply_add(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    let i = number(group, groups) * WORKGROUP + lane;
    let m = vec4f(factors.x);
    let b = vec4f(factors.y);
    let start = vec4f(0.0, 1.0, 2.0, 3.0) + vec4f(f32(i % 64u) / 64.0);
    var v0 = start + 0.0;
    var v1 = start + 4.0;
    var v2 = start + 8.0;
    var v3 = start + 12.0;
    for (var round = 0u; round < 256u; round++) {
        v0 = fma(v0, m, b);
        v1 = fma(v1, m, b);
        v2 = fma(v2, m, b);
        v3 = fma(v3, m, b);
        v0 = fma(v0, m, b);
        v1 = fma(v1, m, b);
        v2 = fma(v2, m, b);
        v3 = fma(v3, m, b);
        v0 = fma(v0, m, b);
        v1 = fma(v1, m, b);
        v2 = fma(v2, m, b);
        v3 = fma(v3, m, b);
        v0 = fma(v0, m, b);
        v1 = fma(v1, m, b);
        v2 = fma(v2, m, b);
        v3 = fma(v3, m, b);
        v0 = fma(v0, m, b);
        v1 = fma(v1, m, b);
        v2 = fma(v2, m, b);
        v3 = fma(v3, m, b);
        v0 = fma(v0, m, b);
        v1 = fma(v1, m, b);
        v2 = fma(v2, m, b);
        v3 = fma(v3, m, b);
        v0 = fma(v0, m, b);
        v1 = fma(v1, m, b);
        v2 = fma(v2, m, b);
        v3 = fma(v3, m, b);
        v0 = fma(v0, m, b);
        v1 = fma(v1, m, b);
        v2 = fma(v2, m, b);
        v3 = fma(v3, m, b);
    }
    var sum = vec4f(0.0);
    sum += v0;
    sum += v1;
    sum += v2;
    sum += v3;
    sums[i] = dot(sum, vec4f(1.0));
}
