// Expanded from shaders/batch_norm.wgsl
// for batch_norm statistics: 128×64×32×32, main operand (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
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

// The scalars of one step; src/kernels/step.rs documents each.
struct Step {
    rate: vec4f,
    decay: vec4f,
    step: u32,
    seed: u32,
    epoch: u32,
    first: u32,
    count: u32,
    augment: u32,
    refit: u32,
    budget: f32,
    beta1: f32,
    beta2: f32,
    correction1: f32,
    correction2: f32,
    epsilon: f32,
    clip: f32,
    score_rate: f32,
    threshold: f32,
    penalty: f32,
    ce_weight: f32,
    kd_weight: f32,
    temperature: f32,
    smoothing: f32,
    momentum: f32,
    lookahead: f32,
    averaging: f32,
    range_weight: f32,
    range_limit: f32,
    statistics_limit: f32,
    unused: f32,
}

// A value whose exponent is all ones is infinite or not a number. Asked of the bits, since
// compilers may assume that neither exists.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> running_var: array<f32>;
@group(0) @binding(6) var<storage, read_write> norm: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> health: array<atomic<u32>>;

@compute @workgroup_size(64)
fn finish(@builtin(global_invocation_id) id: vec3u) {
    let c = id.x;
    if (c >= 64u) {
        return;
    }
    var sums = vec2f(0.0);
    for (var part = 0u; part < 8u; part++) {
        sums += partials[c * 8u + part].xy;
    }
    sums *= 0.00000762939453125;
    let mean = partials[c * 8u].z + sums.x;
    let variance = max(sums.y - sums.x * sums.x, 0.0);
    let inverse = inverseSqrt(variance + 0.00001);
    let scale = gamma[c] * inverse;
    norm[0u + c] = vec4f(scale, beta[c] - scale * mean, mean, inverse);
    let running = vec2f(running_mean[c], running_var[c]);
    var moved = vec2f(mean, variance * 1.0000076294527394) - running;
    if (step.statistics_limit > 0.0) {
        let width = max(running.y, 0.00001);
        let most = vec2f(step.statistics_limit * sqrt(width), step.statistics_limit * width);
        moved = clamp(moved, -most, vec2f(most.x, most.y - running.y));
    }
    let now = running + step.momentum * moved;
    running_mean[c] = now.x;
    running_var[c] = now.y;
    // Infinities and NaNs anywhere in the layer end up in these sums.
    if (!is_finite(sums.y)) {
        atomicMin(&health[0], 3u);
    }
}
