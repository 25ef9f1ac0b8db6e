// Expanded from shaders/optimizer.wgsl
// for optimizer gradient_norm: 11,173,888 parameters (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: optimisers over whole arenas
//
// Computes   with r = step.rate, λ = step.decay of the parameter's group, g = clip.y · gradient:
//            sgd          g ← g + λp,  v ← μv + g,  p ← p − r·v, with Nesterov p − r·(g + μv);
//                         μ = step.beta1 (as torch.optim.SGD, dampening 0, v = 0 at the start)
//            adam         g ← g + λp, or decoupled (AdamW, Loshchilov & Hutter 2019) p ← p − rλp;
//                         m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,
//                         p ← p − r · (m/c₁) / (√(v/c₂) + ε), c₁ = 1 − β₁ᵗ, c₂ = 1 − β₂ᵗ
//                         (Kingma & Ba 2015, as torch.optim.Adam)
//            square_sums  partial[w] = Σ g² over what workgroup w visits; with `trained`, over
//                         groups with a rate: what is not moved must not shorten other steps
//            norm         clip = (‖g‖, factor, 0, 0) from the partial sums: factor = 1 where
//                         step.clip is 0 or ‖g‖ below it, else step.clip/‖g‖; 0 where ‖g‖ is
//                         not finite
//            lookahead    s ← s + α(p − s), p ← s, α = step.lookahead; nothing at α = 0
//                         (Zhang et al. 2019)
//            average      a ← a + w(p − a), w = step.averaging; nothing at w = 0
//            This one is square_sums.
//            A clip factor of 0 takes the gradient for zero, whatever it holds (0 · NaN is NaN):
//            parameters outlive a step that has gone wrong.
// Layout     group 0; arenas f32[length], length 11173888, a multiple of 256
//              0  grads    f32[length], read
//              1  partial  f32[workgroups], written
//              2  step     uniform Step
//              3  kinds    u32[length/256], read: the group, 0 to 3, of each block of 256
// Split      a workgroup of 64 streams through one run of adjacent vec4s; a group's block of
//            64 is a multiple of the workgroup, so the loop and the group are uniform. The
//            norm is summed in this partition, a tree per workgroup, then by one workgroup.
// Cost       flops and bytes an element: sgd 7 (Nesterov 9) and 20, adam 17 and 28, square_sums 2 (with
//            `trained` 3) and 4, lookahead 3 and 16, average 3 and 12; norm 1 and 4 a partial sum.
//            Bound by memory.
// Dropped    strides across the whole arena: 3 times slower on a CPU. See
//            docs/rejected-optimizations.md, "Streaming kernels on a CPU".

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

const VECTORS = 2793472u;
// Vectors of a workgroup's run.
const RUN = 1024u;
const WORKGROUP = 64u;

var<workgroup> sums: array<f32, WORKGROUP>;

// Sum of `value` over the workgroup, in invocation 0.
fn workgroup_sum(lane: u32, value: f32) -> f32 {
    sums[lane] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    return sums[0];
}

// 256 elements share a group.
const VECTORS_PER_BLOCK = 64u;

@group(0) @binding(0) var<storage, read> grads: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
@group(0) @binding(2) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read> kinds: array<u32>;

@compute @workgroup_size(64)
fn square_sums(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    var sum = vec4f();
    let end = min((group.x + 1u) * RUN, VECTORS);
    for (var first = group.x * RUN; first < end; first += 64u) {
        let i = first + local.x;
        let g = grads[i];
        // A product, for what is not finite to be seen wherever it is.
        let is_trained = step.rate[kinds[first / VECTORS_PER_BLOCK]] != 0.0;
        sum += g * g * select(0.0, 1.0, is_trained);
    }
    let total = workgroup_sum(local.x, (sum.x + sum.y) + (sum.z + sum.w));
    if local.x == 0u {
        partial[group.x] = total;
    }
}
