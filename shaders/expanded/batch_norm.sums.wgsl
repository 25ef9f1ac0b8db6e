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

// How kernels with one set of constants per channel walk over N×C×P (P pixels of a plane,
// counted in lanes of 4): a workgroup belongs to one channel, one chunk of its plane
// and one slice of the images. It visits its chunk in 1 round(s). Its invocations lie as
// LANES_N × LANES_P; in a round each owns 1 fixed position(s) of the plane and visits
// every LANES_N-th image of the slice, so whatever belongs to a position (mask, its gradient) is
// loaded or stored once.
alias Lane = vec4f;
fn total(v: Lane) -> f32 { return dot(v, vec4f(1.0)); }
const BATCH = 128u;
const CHANNELS = 64u;
const PLANE = 256u;
const ROUNDS = 1u;
const CHUNKS = 1u;
const LANES_P = 256u;
const LANES_N = 1u;
const IMAGES = 16u;
const WORKGROUP = 256u;

// Sum of `value` over the workgroup, in a fixed order; every invocation calls it.
var<workgroup> tree: array<vec4f, WORKGROUP>;
fn workgroup_sum(lane: u32, value: vec4f) -> vec4f {
    tree[lane] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            tree[lane] += tree[lane + half];
        }
    }
    workgroupBarrier();
    let sum = tree[0];
    workgroupBarrier();
    return sum;
}

@group(0) @binding(0) var<storage, read> u: array<Lane>;
@group(0) @binding(1) var<storage, read_write> partials: array<vec4f>;

fn first(v: Lane) -> f32 { return v.x; }

@compute @workgroup_size(256)
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
        partials[channel * 8u + group.y] = vec4f(both.xy, k, 0.0);
    }
}
