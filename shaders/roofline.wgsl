// Kernel card: the two roofs of an adapter
//
// Computes   multiply_add  sums[i] = Σ over the components v of invocation i's chains, where
//                          component j of chain k begins as (i mod 64)/64 + 4k + j and is
//                          replaced {{ rounds }} times by v·m + b
//            copy          y = x
// Layout     group 0
//              multiply_add  0  factors  vec4f, read: (m, b, –, –), known at run time only, so that
//                                        nothing is computed in advance
//                            1  sums     f32[invocations], written
//              copy          0  x        vec4f[invocations·vectors], read
//                            1  y        vec4f[invocations·vectors], written
// Split      multiply_add: every invocation has its own {{ chains }} chains of four in registers, as
//            many as hide the latency of a multiply-add; which number does differs by adapter, so
//            several are tried and the fastest is the roof. copy: an invocation moves {{ vectors }}
//            vec4s, a workgroup's width apart.
// Cost       multiply_add  8·chains·(rounds + 1) + 12 flops and 4 bytes an invocation: bound by arithmetic
//            copy          32·vectors bytes an invocation: bound by memory
// Dropped    nothing yet.

const WORKGROUP = {{ workgroup }}u;

// The workgroup's number in a grid that may be folded into rows.
fn number(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}
{% if entry == "multiply_add" %}

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
    {% for k in range(chains) %}
    var v{{ k }} = start + {{ 4.0 * k }};
    {% endfor %}
    for (var round = 0u; round < {{ rounds // 8 }}u; round++) {
        {% for again in range(8) %}
        {% for k in range(chains) %}
        v{{ k }} = fma(v{{ k }}, m, b);
        {% endfor %}
        {% endfor %}
    }
    var sum = vec4f(0.0);
    {% for k in range(chains) %}
    sum += v{{ k }};
    {% endfor %}
    sums[i] = dot(sum, vec4f(1.0));
}
{% elif entry == "copy" %}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn copy(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    let first = number(group, groups) * {{ vectors }}u * WORKGROUP + lane;
    {% for j in range(vectors) %}
    let v{{ j }} = x[first + {{ j }}u * WORKGROUP];
    {% endfor %}
    {% for j in range(vectors) %}
    y[first + {{ j }}u * WORKGROUP] = v{{ j }};
    {% endfor %}
}
{% endif %}
