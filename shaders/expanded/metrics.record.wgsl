// Expanded from shaders/metrics.wgsl
// for metrics: 128 samples, training, 16 sites (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: the record of a step
//
// Computes   sums of the per-sample losses and hits, the ReLUs kept at each site and in all,
//            the gradient norm and the first layer that went bad, into one row of a small ring
//            that the host reads every few steps; clears counts and health for the next step.
//            What the ReLUs k and squares q of the sites cost, and their prices for the next
//            step, go into the ledger:
//              cost = Σ k·relu + q·square + (k > 0 ? relu_site : 0) + (q > 0 ? square_site : 0)
//              price of a ReLU at a site     relu + relu_site / max(k, 1) − (q > 0 ? square : 0)
//              price of a square at a site   square + square_site / max(q, 1)
//            What a site costs as such is shared by what is left at it: the less, the dearer.
// Layout     group 0
//              0  step           uniform Step
//              1  samples        vec4f[N], read: cross-entropy, distillation, top-1 hit, top-5 hit
//              2  ring           u32[64, 32], row step mod 64 written, in words
//                                  0–3 sums of samples (f32)   4 samples   5 gradient norm (f32)
//                                  6 ReLUs kept   7 first bad layer forward (0xffffffff: none)
//                                  8 last bad layer backward + 1 (0: none)   9 step
//                                  10 cost (f32)   11 squares kept   12 samples astray
//                                  16… ReLUs kept per site
//              3  gradient_norm  f32[4], read: the first
//              4  health         u32[2], read and cleared
//              5  counts         u32[2,sites], read and cleared: ReLUs, squares
//              6  ledger         vec2f[1+sites], updated: (cost, 0), then the prices of each site
//            In an evaluation a sample whose cross-entropy is above ASTRAY, or not finite, is counted
//            and left out of the sums of losses: one image that overflows leaves the mean of the
//            others readable. Its hits stay (a logit that is not finite makes it miss). In training
//            it stays in the sums, and stops the run.
// Split      one workgroup of 256; a tree in workgroup memory, so the order of the sums is fixed;
//            then one invocation writes the row.
// Cost       4 flops and 16 bytes a sample, 11 and 28 a site, and little besides.
// Dropped    nothing yet.

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

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> samples: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> ring: array<u32>;
@group(0) @binding(3) var<storage, read> gradient_norm: array<f32>;
@group(0) @binding(4) var<storage, read_write> health: array<u32>;
@group(0) @binding(5) var<storage, read_write> counts: array<u32>;
@group(0) @binding(6) var<storage, read_write> ledger: array<vec2f>;

const WORKGROUP = 256u;
var<workgroup> tree: array<vec4f, WORKGROUP>;

@compute @workgroup_size(256)
fn record(@builtin(local_invocation_index) lane: u32) {
    var sum = vec4f(0.0);
    for (var n = lane; n < 128u; n += WORKGROUP) {
        sum += samples[n];
    }
    tree[lane] = sum;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            tree[lane] += tree[lane + half];
        }
    }
    // The first lane has itself written what it reads of the tree: no barrier.
    if (lane != 0u) {
        return;
    }
    let row = (step.step % 64u) * 32u;
    for (var k = 0u; k < 4u; k++) {
        ring[row + k] = bitcast<u32>(tree[0][k]);
    }
    ring[row + 4u] = step.count;
    ring[row + 9u] = step.step;
    ring[row + 5u] = bitcast<u32>(gradient_norm[0]);
    ring[row + 7u] = health[0];
    ring[row + 8u] = health[1];
    health[0] = 0xffffffffu;
    health[1] = 0u;
    ring[row + 12u] = 0u;
    var kept = 0u;
    var squares = 0u;
    var cost = 0.0;
    for (var site = 0u; site < 16u; site++) {
        let k = counts[site];
        let q = counts[16u + site];
        counts[site] = 0u;
        counts[16u + site] = 0u;
        ring[row + 16u + site] = k;
        kept += k;
        squares += q;
        cost += f32(k) * 1.0 + f32(q) * 0.0;
        cost += select(0.0, 0.0, k > 0u) + select(0.0, 0.0, q > 0u);
        ledger[1u + site] = vec2f(
            1.0 + 0.0 / f32(max(k, 1u)) - select(0.0, 0.0, q > 0u),
            0.0 + 0.0 / f32(max(q, 1u)),
        );
    }
    ledger[0] = vec2f(cost, 0.0);
    ring[row + 6u] = kept;
    ring[row + 10u] = bitcast<u32>(cost);
    ring[row + 11u] = squares;
}
