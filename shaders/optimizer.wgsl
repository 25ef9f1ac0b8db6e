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
//            This one is {{ pass }}.
//            A clip factor of 0 takes the gradient for zero, whatever it holds (0 · NaN is NaN):
//            parameters outlive a step that has gone wrong.
// Layout     group 0; arenas f32[length], length {{ length }}, a multiple of 256
{% if pass == "sgd" %}
//              0  step      uniform Step
//              1  params    f32[length], updated: p
//              2  grads     f32[length], read
//              3  velocity  f32[length], updated: v
//              4  kinds     u32[length/256], read: the group, 0 to 3, of each block of 256
//              5  clip      vec4f, read
{% elif pass == "adam" %}
//              0  step    uniform Step
//              1  params  f32[length], updated: p
//              2  grads   f32[length], read
//              3  mean    f32[length], updated: m
//              4  square  f32[length], updated: v
//              5  kinds   u32[length/256], read: the group, 0 to 3, of each block of 256
//              6  clip    vec4f, read
{% elif pass == "square_sums" %}
//              0  grads    f32[length], read
//              1  partial  f32[workgroups], written
{% if trained %}
//              2  step     uniform Step
//              3  kinds    u32[length/256], read: the group, 0 to 3, of each block of 256
{% endif %}
{% elif pass == "norm" %}
//              0  step     uniform Step
//              1  partial  f32[workgroups of square_sums], read
//              2  clip     vec4f, written
{% elif pass == "lookahead" %}
//              0  step    uniform Step
//              1  params  f32[length], updated: p
//              2  slow    f32[length], updated: s
{% else %}
//              0  step      uniform Step
//              1  params    f32[length], read: p
//              2  averaged  f32[length], updated: a
{% endif %}
// Split      a workgroup of {{ workgroup }} streams through one run of adjacent vec4s; a group's block of
//            64 is a multiple of the workgroup, so the loop and the group are uniform. The
//            norm is summed in this partition, a tree per workgroup, then by one workgroup.
// Cost       flops and bytes an element: sgd 7 (Nesterov 9) and 20, adam 17 and 28, square_sums 2 (with
//            `trained` 3) and 4, lookahead 3 and 16, average 3 and 12; norm 1 and 4 a partial sum.
//            Bound by memory.
// Dropped    strides across the whole arena: 3 times slower on a CPU. See
//            docs/rejected-optimizations.md, "Streaming kernels on a CPU".

{% if pass != "square_sums" or trained %}
{% include "common/step.wgsl" %}

{% endif %}
{% if pass == "norm" %}
const PARTIALS = {{ partials }}u;
{% else %}
const VECTORS = {{ length // 4 }}u;
// Vectors of a workgroup's run.
const RUN = {{ run }}u;
{% endif %}
{% if pass == "square_sums" or pass == "norm" %}
const WORKGROUP = {{ workgroup }}u;

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
{% endif %}
{% if pass == "square_sums" and trained %}

// 256 elements share a group.
const VECTORS_PER_BLOCK = 64u;
{% elif pass == "sgd" or pass == "adam" %}
// 256 elements share a group.
const VECTORS_PER_BLOCK = 64u;

fn clipped(gradient: vec4f, factor: f32) -> vec4f {
    return select(gradient * factor, vec4f(), factor == 0.0);
}
{% endif %}

{% if pass == "sgd" %}
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(2) var<storage, read> grads: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(4) var<storage, read> kinds: array<u32>;
@group(0) @binding(5) var<storage, read> clip: vec4f;

@compute @workgroup_size({{ workgroup }})
fn sgd(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let end = min((group.x + 1u) * RUN, VECTORS);
    for (var first = group.x * RUN; first < end; first += {{ workgroup }}u) {
        let i = first + local.x;
        let kind = kinds[first / VECTORS_PER_BLOCK];
        let p = params[i];
        let g = clipped(grads[i], clip.y) + step.decay[kind] * p;
        let v = step.beta1 * velocity[i] + g;
        velocity[i] = v;
{% if nesterov %}
        params[i] = p - step.rate[kind] * (g + step.beta1 * v);
{% else %}
        params[i] = p - step.rate[kind] * v;
{% endif %}
    }
}
{% elif pass == "adam" %}
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(2) var<storage, read> grads: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> square: array<vec4f>;
@group(0) @binding(5) var<storage, read> kinds: array<u32>;
@group(0) @binding(6) var<storage, read> clip: vec4f;

@compute @workgroup_size({{ workgroup }})
fn adam(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let end = min((group.x + 1u) * RUN, VECTORS);
    for (var first = group.x * RUN; first < end; first += {{ workgroup }}u) {
        let i = first + local.x;
        let kind = kinds[first / VECTORS_PER_BLOCK];
        let rate = step.rate[kind];
{% if decoupled %}
        let p = params[i] * (1.0 - rate * step.decay[kind]);
        let g = clipped(grads[i], clip.y);
{% else %}
        let p = params[i];
        let g = clipped(grads[i], clip.y) + step.decay[kind] * p;
{% endif %}
        let m = step.beta1 * mean[i] + (1.0 - step.beta1) * g;
        let v = step.beta2 * square[i] + (1.0 - step.beta2) * g * g;
        mean[i] = m;
        square[i] = v;
        let spread = sqrt(v / step.correction2) + step.epsilon;
        params[i] = p - rate * (m / step.correction1) / spread;
    }
}
{% elif pass == "square_sums" %}
@group(0) @binding(0) var<storage, read> grads: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
{% if trained %}
@group(0) @binding(2) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read> kinds: array<u32>;
{% endif %}

@compute @workgroup_size({{ workgroup }})
fn square_sums(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    var sum = vec4f();
    let end = min((group.x + 1u) * RUN, VECTORS);
    for (var first = group.x * RUN; first < end; first += {{ workgroup }}u) {
        let i = first + local.x;
        let g = grads[i];
        {% if trained %}
        // A product, for what is not finite to be seen wherever it is.
        let is_trained = step.rate[kinds[first / VECTORS_PER_BLOCK]] != 0.0;
        sum += g * g * select(0.0, 1.0, is_trained);
        {% else %}
        sum += g * g;
        {% endif %}
    }
    let total = workgroup_sum(local.x, (sum.x + sum.y) + (sum.z + sum.w));
    if local.x == 0u {
        partial[group.x] = total;
    }
}
{% elif pass == "norm" %}
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> clip: vec4f;

{% include "common/finite.wgsl" %}

@compute @workgroup_size({{ workgroup }})
fn norm(@builtin(local_invocation_id) local: vec3u) {
    var sum = 0.0;
    for (var i = local.x; i < PARTIALS; i += WORKGROUP) {
        sum += partial[i];
    }
    let norm = sqrt(workgroup_sum(local.x, sum));
    if local.x == 0u {
        var factor = 1.0;
        if step.clip > 0.0 && norm > step.clip {
            factor = step.clip / norm;
        }
        if !is_finite(norm) {
            factor = 0.0;
        }
        clip = vec4f(norm, factor, 0.0, 0.0);
    }
}
{% elif pass == "lookahead" %}
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> slow: array<vec4f>;

@compute @workgroup_size({{ workgroup }})
fn lookahead(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    if step.lookahead == 0.0 {
        return;
    }
    let end = min((group.x + 1u) * RUN, VECTORS);
    for (var first = group.x * RUN; first < end; first += {{ workgroup }}u) {
        let i = first + local.x;
        let s = slow[i] + step.lookahead * (params[i] - slow[i]);
        slow[i] = s;
        params[i] = s;
    }
}
{% else %}
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> params: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> averaged: array<vec4f>;

@compute @workgroup_size({{ workgroup }})
fn average(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    if step.averaging == 0.0 {
        return;
    }
    let end = min((group.x + 1u) * RUN, VECTORS);
    for (var first = group.x * RUN; first < end; first += {{ workgroup }}u) {
        let i = first + local.x;
        averaged[i] += step.averaging * (params[i] - averaged[i]);
    }
}
{% endif %}
