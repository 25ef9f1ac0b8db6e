// Kernel card: batch normalisation
//
// Computes   in training, over the M = N·P values of a channel
//              μ = mean u,  σ² = mean (u−μ)²,  i = 1/√(σ²+ε),  x̂ = (u−μ)·i,  z = γ·x̂ + β
//            and in evaluation the same with the running statistics. z itself is never stored:
//            the gate applies `norm` = (γ·i, β−γ·μ·i, μ, i) as it reads u.
//            Backward, with s₀ = Σdz and s₁ = Σdz·(u−μ) from the gate's backward:
//              dβ = s₀,  dγ = i·s₁,  du = γ·i·(dz − s₀/M − (u−μ)·i²·s₁/M)
//            in these kernels:
//              sums             u → partials: Σ(u−k), Σ(u−k)², k; k is the channel's first value,
//                               so that a large mean costs no digits
//              finish           partials → norm, running statistics
//              finish_eval      running statistics → norm
//              finish_backward  partials of the gate → dγ, dβ, slope
//              apply_backward   du = slope.x·dz + slope.y·(u−slope.w) + slope.z
//            Where polynomials follow each other one image in thousands can give a batch a hundred
//            times the variance; by running statistics that it has moved, all other images are
//            small. With a `statistics_limit` l a batch counts as one with at most l times the running
//            variance, and a mean at most l running deviations away.
// Layout     group 0
//              sums             0  u               f32[N,C,P], read
//                               1  partials        vec4f[C,parts], written
//              finish           0  step            uniform Step
//                               1  partials        vec4f[C,parts], read
//                               2  gamma           f32[C], read
//                               3  beta            f32[C], read
//                               4  running_mean    f32[C], updated
//                               5  running_var     f32[C], updated
//                               6  norm            vec4f[2,C], written: slot 0 for the main operand
//                                                  of a gate, 1 for its residual
//                               7  health          u32[2]: the first layer that is not finite
//              finish_eval      0  gamma           f32[C], read
//                               1  beta            f32[C], read
//                               2  running_mean    f32[C], read
//                               3  running_var     f32[C], read
//                               4  norm            vec4f[2,C], a slot of it written
//              finish_backward  0  partials        vec4f[C,parts], or [C,parts,2] of a gate with
//                                                  polynomials, read
//                               1  norm            vec4f[2,C], read
//                               2  gamma_gradient  f32[C], written
//                               3  beta_gradient   f32[C], written
//                               4  slope           vec4f[C], written
//                               5  health          u32[2]: the last layer that is not finite, + 1
//              apply_backward   0  dz              f32[N,C,P], read; in place becomes du
//                               1  u               f32[N,C,P], read
//                               2  slope           vec4f[C], read
//                               3  du              f32[N,C,P], written, unless in place
// Split      sums, apply_backward: one workgroup per channel and slice of images, sums over the
//            workgroup in a fixed order (common/plane.wgsl); finish*: one invocation per channel
//            adds its parts in order.
// Cost       an element: sums 4 flops and 4 bytes, apply_backward 5 and 12. A channel: finish
//            2·parts + 18 flops and 16·parts + 40 bytes, finish_eval 5 and 32, finish_backward
//            4·parts + 10 and 16·parts + 40. All are bound by memory.
// Dropped    statistics in the epilogue of the convolution: docs/rejected-optimizations.md, "Batch
//            norm on a CPU".

{% if entry == "sums" %}
{% include "common/plane.wgsl" %}

@group(0) @binding(0) var<storage, read> u: array<Lane>;
@group(0) @binding(1) var<storage, read_write> partials: array<vec4f>;

{% if width == 4 %}
fn first(v: Lane) -> f32 { return v.x; }
{% else %}
fn first(v: Lane) -> f32 { return v; }
{% endif %}

@compute @workgroup_size({{ lanes_p * lanes_n }})
fn sums(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let channel = group.x;
    let begin = group.y * IMAGES;
    let end = min(begin + IMAGES, BATCH);
    let k = first(u[channel * PLANE]);
    var sum = Lane(0.0);
    var squares = Lane(0.0);
    for (var n = begin + lane / LANES_P; n < end; n += LANES_N) {
        let base = (n * CHANNELS + channel) * PLANE;
        for (var p = lane % LANES_P; p < PLANE; p += LANES_P) {
            let v = u[base + p] - Lane(k);
            sum += v;
            squares += v * v;
        }
    }
    let both = workgroup_sum(lane, vec4f(total(sum), total(squares), 0.0, 0.0));
    if (lane == 0u) {
        partials[channel * {{ slices }}u + group.y] = vec4f(both.xy, k, 0.0);
    }
}
{% elif entry == "finish" %}
{% include "common/step.wgsl" %}

{% include "common/finite.wgsl" %}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> running_var: array<f32>;
@group(0) @binding(6) var<storage, read_write> norm: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> health: array<atomic<u32>>;

@compute @workgroup_size({{ workgroup }})
fn finish(@builtin(global_invocation_id) id: vec3u) {
    let c = id.x;
    if (c >= {{ channels }}u) {
        return;
    }
    var sums = vec2f(0.0);
    for (var part = 0u; part < {{ parts }}u; part++) {
        sums += partials[c * {{ parts }}u + part].xy;
    }
    sums *= {{ 1.0 / count }};
    let mean = partials[c * {{ parts }}u].z + sums.x;
    let variance = max(sums.y - sums.x * sums.x, 0.0);
    let inverse = inverseSqrt(variance + {{ epsilon }});
    let scale = gamma[c] * inverse;
    norm[{{ slot * channels }}u + c] = vec4f(scale, beta[c] - scale * mean, mean, inverse);
    let running = vec2f(running_mean[c], running_var[c]);
    var moved = vec2f(mean, variance * {{ unbiased }}) - running;
    if (step.statistics_limit > 0.0) {
        let width = max(running.y, {{ epsilon }});
        let most = vec2f(step.statistics_limit * sqrt(width), step.statistics_limit * width);
        moved = clamp(moved, -most, vec2f(most.x, most.y - running.y));
    }
    let now = running + step.momentum * moved;
    running_mean[c] = now.x;
    running_var[c] = now.y;
    // Infinities and NaNs anywhere in the layer end up in these sums.
    if (!is_finite(sums.y)) {
        atomicMin(&health[0], {{ layer }}u);
    }
}
{% elif entry == "finish_eval" %}
@group(0) @binding(0) var<storage, read> gamma: array<f32>;
@group(0) @binding(1) var<storage, read> beta: array<f32>;
@group(0) @binding(2) var<storage, read> running_mean: array<f32>;
@group(0) @binding(3) var<storage, read> running_var: array<f32>;
@group(0) @binding(4) var<storage, read_write> norm: array<vec4f>;

@compute @workgroup_size({{ workgroup }})
fn finish_eval(@builtin(global_invocation_id) id: vec3u) {
    let c = id.x;
    if (c >= {{ channels }}u) {
        return;
    }
    let inverse = inverseSqrt(running_var[c] + {{ epsilon }});
    let scale = gamma[c] * inverse;
    let shift = beta[c] - scale * running_mean[c];
    norm[{{ slot * channels }}u + c] = vec4f(scale, shift, running_mean[c], inverse);
}
{% elif entry == "finish_backward" %}
{% include "common/finite.wgsl" %}

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> gamma_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> beta_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> slope: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> health: array<atomic<u32>>;

@compute @workgroup_size({{ workgroup }})
fn finish_backward(@builtin(global_invocation_id) id: vec3u) {
    let c = id.x;
    if (c >= {{ channels }}u) {
        return;
    }
    var sums = vec4f(0.0);
    for (var part = 0u; part < {{ parts }}u; part++) {
        sums += partials[(c * {{ parts }}u + part) * {{ stride }}u];
    }
    let s0 = sums.x;
    // Slot 0 sums against the main operand, slot 1 against the residual.
    let s1 = sums.{{ "yz"[slot] }};
    let n = norm[{{ slot * channels }}u + c];
    gamma_gradient[c] = n.w * s1;
    beta_gradient[c] = s0;
    let per_value = {{ 1.0 / count }};
    slope[c] = vec4f(n.x, -n.x * n.w * n.w * s1 * per_value, -n.x * s0 * per_value, n.z);
    if (!is_finite(s0 + s1)) {
        // Backward runs from the last layer to the first: the largest index went bad first.
        atomicMax(&health[1], {{ layer + 1 }}u);
    }
}
{% elif entry == "apply_backward" %}
{% include "common/plane.wgsl" %}

{% if in_place %}
@group(0) @binding(0) var<storage, read_write> dz: array<Lane>;
@group(0) @binding(1) var<storage, read> u: array<Lane>;
@group(0) @binding(2) var<storage, read> slope: array<vec4f>;
{% else %}
@group(0) @binding(0) var<storage, read> dz: array<Lane>;
@group(0) @binding(1) var<storage, read> u: array<Lane>;
@group(0) @binding(2) var<storage, read> slope: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> du: array<Lane>;
{% endif %}

@compute @workgroup_size({{ lanes_p * lanes_n }})
fn apply_backward(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3u,
) {
    let channel = group.x;
    let s = slope[channel];
    let begin = group.y * IMAGES;
    let end = min(begin + IMAGES, BATCH);
    for (var n = begin + lane / LANES_P; n < end; n += LANES_N) {
        let base = (n * CHANNELS + channel) * PLANE;
        for (var p = lane % LANES_P; p < PLANE; p += LANES_P) {
            let i = base + p;
            {{ "dz" if in_place else "du" }}[i] = s.x * dz[i] + s.y * (u[i] - Lane(s.w)) + Lane(s.z);
        }
    }
}
{% endif %}
