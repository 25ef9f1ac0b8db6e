// Kernel card: squares worth keeping
//
// Computes   Where squares have a price, a channel's polynomial may lose its own and become a line:
//            the least-squares one under the channel's x ~ N(u, s²), for which
//            x² ≈ 2u·x + s² − u². With r(x) = x² − 2u·x − (s² − u²), what that leaves of a square,
//            and q for "has its square", the polynomial is line(x) + q·c₂·r(x), and q is searched
//            for as masks are.
//            update, for every group of channels (a channel, or all of a site) after the optimiser:
//              dL/dq = Σ c₂·(dL/dc₂ − 2u·dL/dc₁ − (s² − u²)·dL/dc₀) over its channels; a line's
//                  c₂ is that of the fit to its moments
//              g = softplus(score)·(dL/dq + penalty·price·squares), the second term while the
//                  cost is above the budget; squares: the group's elements without a ReLU
//              score ← Adam(score, g);  q by hysteresis, as in indicator.wgsl, but a square comes
//                  back only from a score far above 0: one that comes and goes upsets all layers
//                  behind it
//              by importance instead: v ← average of (dL/dq)²;  score ← v/(2·penalty·price·squares);
//                  q by the threshold θ, as in indicator.wgsl
//              a square lost takes c₂·r(x) from the polynomial and leaves a mark of 1 in its
//                  fourth component; a square regained adds c₂·r(x) of the fit
//            and adds the squares of groups that have them to their site's count.
//            hold: c₂ ← 0 for every channel that is marked: what an optimiser did to it.
// Layout     group 0
//              update  0  step       uniform Step
//                      1  params     vec4f[…], an arena, updated: coefficients c₀, c₁, c₂, mark
//                      2  gradients  vec4f[…], an arena, read
//                      3  moments    vec2f[…], an arena, read: mean, variance
//                      4  mask       f32[…], an arena, read
//                      5  groups     vec4u[G,2], read: (first element, elements, first coefficient,
//                                    channels), (first moment, site, 0, 0)
//                      6  states     vec4f[G], updated: score, Adam's moments, q
//                      7  counts     u32[2,sites], added to: ReLUs, squares
//                      8  ledger     vec2f[1+sites], read: as in indicator.wgsl
//              hold    0  params     vec4f[…], an arena, updated
//                      1  groups     vec4u[G,2], read
// Split      a workgroup of 64 a group: lanes over elements, then over channels; sums by a tree.
// Cost       update 1 flop and 4 bytes an element, 30 and 56 a channel; hold 16 bytes a channel.
// Dropped    nothing yet.

{% if entry == "update" %}
{% include "common/step.wgsl" %}

{% include "common/fit.wgsl" %}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read> moments: array<vec2f>;
@group(0) @binding(4) var<storage, read> mask: array<f32>;
@group(0) @binding(5) var<storage, read> groups: array<vec4u>;
@group(0) @binding(6) var<storage, read_write> states: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(8) var<storage, read> ledger: array<vec2f>;

// dL/dq and ReLUs kept.
var<workgroup> tree: array<vec2f, 64>;

// The coefficients of r(x).
fn remainder(moments: vec2f) -> vec4f {
    let u = moments.x;
    return vec4f(u * u - moments.y, -2.0 * u, 1.0, 0.0);
}

@compute @workgroup_size(64)
fn update(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let index = min(group.y * {{ row }}u + group.x, {{ groups - 1 }}u);
    let place = groups[2u * index + 1u];
    // Workgroups past the last group have none.
    let inside = group.y * {{ row }}u + group.x == index;
    let extent = select(vec4u(0u), groups[2u * index], inside);
    var before = vec4f(0.0);
    if (inside) {
        before = states[index];
    }
    let has_square = before.w > 0.5;
    var sums = vec2f(0.0);
    for (var i = lane; i < extent.y; i += 64u) {
        sums.y += mask[extent.x + i];
    }
    for (var c = lane; c < extent.w; c += 64u) {
        let m = moments[place.x + c];
        let c2 = select(quadratic_fit(m.x, m.y).z, params[extent.z + c].z, has_square);
        sums.x += c2 * dot(remainder(m), gradients[extent.z + c]);
    }
    tree[lane] = sums;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            tree[lane] += tree[lane + half];
        }
    }
    workgroupBarrier();
    let squares = f32(extent.y) - tree[0].y;
    let price = step.penalty * ledger[1u + place.y].y * squares;
    {% if rule == "importance" %}
    let m1 = 0.0;
    let m2 = mix(tree[0].x * tree[0].x, before.z, step.beta2);
    let moved = m2 / (2.0 * step.correction2 * max(price, 1e-30));
    let keep = moved > ledger[0].y * select(1.1, 0.9, has_square);
    {% else %}
    let push = select(0.0, price, ledger[0].x > step.budget);
    let score = before.x;
    let softplus = max(score, 0.0) + log(1.0 + exp(-abs(score)));
    let g = softplus * (tree[0].x + push);
    let m1 = mix(g, before.y, step.beta1);
    let m2 = mix(g * g, before.z, step.beta2);
    let root = sqrt(m2 / step.correction2) + step.epsilon;
    let moved = score - step.score_rate * (m1 / step.correction1) / root;
    let keep = moved > select({{ regain }}, -step.threshold, has_square);
    {% endif %}
    for (var c = lane; c < extent.w; c += 64u) {
        var coefficients = params[extent.z + c];
        let m = moments[place.x + c];
        if (has_square && !keep) {
            coefficients -= coefficients.z * remainder(m);
        }
        if (keep && !has_square) {
            coefficients += quadratic_fit(m.x, m.y).z * remainder(m);
        }
        if (!keep) {
            // Whatever the optimiser made of it, a line has no square.
            coefficients.z = 0.0;
        }
        coefficients.w = select(1.0, 0.0, keep);
        params[extent.z + c] = coefficients;
    }
    if (lane == 0u && inside) {
        states[index] = vec4f(moved, m1, m2, select(0.0, 1.0, keep));
        if (keep) {
            atomicAdd(&counts[{{ sites }}u + place.y], u32(squares));
        }
    }
}
{% else %}
@group(0) @binding(0) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(1) var<storage, read> groups: array<vec4u>;

@compute @workgroup_size(64)
fn hold(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let index = group.y * {{ row }}u + group.x;
    if (index >= {{ groups }}u) {
        return;
    }
    let extent = groups[2u * index];
    for (var c = lane; c < extent.w; c += 64u) {
        if (params[extent.z + c].w > 0.5) {
            params[extent.z + c].z = 0.0;
        }
    }
}
{% endif %}
