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
//              a square lost takes c₂·r(x) from the polynomial and leaves a mark of 1 in its
//                  fourth component; a square regained adds c₂·r(x) of the fit
//            and adds the squares of groups that have them to their site's count.
//            Where all scores share a threshold (threshold.wgsl) it is done in two kernels:
//            measure: as in indicator.wgsl, with dL/dq for dL/dm and penalty·price·squares:
//              taylor  ḡ, v ← averages of dL/dq and (dL/dq)²
//                      score ← (½·B·max(v − ḡ², 0) − ḡ)/(penalty·price·squares)
//              fisher  v ← average of (dL/dq)²;  score ← v/(2·penalty·price·squares)
//            apply: q ← 1 if worth ≥ θ, and what update does with a new q.
//            hold: c₂ ← 0 for every channel that is marked: what an optimiser did to it.
// Layout     group 0; the numbers go on without gaps
//              update, measure, apply
//                      step       uniform Step (not apply)
//                      params     vec4f[…], an arena: coefficients c₀, c₁, c₂, mark; measure reads
//                                 them, the others update them
//                      gradients  vec4f[…], an arena, read (not apply)
//                      moments    vec2f[…], an arena, read: mean, variance
//                      mask       f32[…], an arena, read
//                      groups     vec4u[G,2], read: (first element, elements, first coefficient,
//                                 channels), (first moment, site, 0, 0)
//                      states     vec4f[G], updated: score, Adam's moments or ḡ and v, q
//                      ledger     vec2f[1+sites], read: as in indicator.wgsl (not apply)
//                      cut        u32[…], read: the first is θ as a key (apply)
//                      counts     u32[2,sites], added to: ReLUs, squares (not measure)
//              hold    params     vec4f[…], an arena, updated
//                      groups     vec4u[G,2], read
// Split      a workgroup of 64 a group: lanes over elements, then over channels; sums by a tree.
// Cost       update 1 flop and 4 bytes an element, 46 to 51 and 56 a channel (28 bytes in measure, 40 in
//            apply), 64 lanes of 4 to 29 flops and 64 bytes a group; hold 4 bytes a channel, and
//            4 a line.
// Dropped    nothing yet.

{% if entry != "hold" %}
{% if entry != "apply" %}
{% include "common/step.wgsl" %}

{% endif %}
{% include "common/fit.wgsl" %}

{% if entry == "apply" %}
{% include "common/worth.wgsl" %}

{% endif %}
{% set b = namespace(next=0) %}
{% macro binding() %}@group(0) @binding({{ b.next }}){% set b.next = b.next + 1 %}{% endmacro %}
{% if entry != "apply" %}
{{ binding() }} var<uniform> step: Step;
{% endif %}
{{ binding() }} var<storage, {{ "read" if entry == "measure" else "read_write" }}> params: array<vec4f>;
{% if entry != "apply" %}
{{ binding() }} var<storage, read> gradients: array<vec4f>;
{% endif %}
{{ binding() }} var<storage, read> moments: array<vec2f>;
{{ binding() }} var<storage, read> mask: array<f32>;
{{ binding() }} var<storage, read> groups: array<vec4u>;
{{ binding() }} var<storage, read_write> states: array<vec4f>;
{% if entry != "apply" %}
{{ binding() }} var<storage, read> ledger: array<vec2f>;
{% endif %}
{% if entry == "apply" %}
{{ binding() }} var<storage, read> cut: array<u32>;
{% endif %}
{% if entry != "measure" %}
{{ binding() }} var<storage, read_write> counts: array<atomic<u32>>;
{% endif %}

// dL/dq and ReLUs kept.
var<workgroup> tree: array<vec2f, 64>;

// The coefficients of r(x).
fn remainder(moments: vec2f) -> vec4f {
    let u = moments.x;
    return vec4f(u * u - moments.y, -2.0 * u, 1.0, 0.0);
}

@compute @workgroup_size(64)
fn {{ entry }}(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
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
    {% if entry != "apply" %}
    for (var c = lane; c < extent.w; c += 64u) {
        let m = moments[place.x + c];
        let c2 = select(quadratic_fit(m.x, m.y).z, params[extent.z + c].z, has_square);
        sums.x += c2 * dot(remainder(m), gradients[extent.z + c]);
    }
    {% endif %}
    tree[lane] = sums;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            tree[lane] += tree[lane + half];
        }
    }
    workgroupBarrier();
    // All have read the state before one writes it; the barrier above orders workgroup memory only.
    storageBarrier();
    let squares = f32(extent.y) - tree[0].y;
    {% if entry != "apply" %}
    let price = step.penalty * ledger[1u + place.y].y * squares;
    {% endif %}
    {% if entry == "measure" %}
    let share = max(price, 1e-30);
    let g = tree[0].x;
    {% if rule == "taylor" %}
    let slope = mix(before.y, g, step.score_rate);
    let square = mix(before.z, g * g, step.score_rate);
    let curvature = f32(step.count) * max(square - slope * slope, 0.0);
    let score = (0.5 * curvature - slope) / share;
    {% else %}
    let slope = 0.0;
    let square = mix(g * g, before.z, step.beta2);
    let score = square / (2.0 * step.correction2 * share);
    {% endif %}
    if (lane == 0u && inside) {
        states[index] = vec4f(score, slope, square, before.w);
    }
    {% else %}
    {% if entry == "apply" %}
    let after = before.xyz;
    let keep = key(worth(before.x, has_square)) >= cut[0];
    {% else %}
    let push = select(0.0, price, ledger[0].x > step.budget);
    let softplus = max(before.x, 0.0) + log(1.0 + exp(-abs(before.x)));
    let g = softplus * (tree[0].x + push);
    let m1 = mix(g, before.y, step.beta1);
    let m2 = mix(g * g, before.z, step.beta2);
    let root = sqrt(m2 / step.correction2) + step.epsilon;
    let moved = before.x - step.score_rate * (m1 / step.correction1) / root;
    let after = vec3f(moved, m1, m2);
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
        states[index] = vec4f(after, select(0.0, 1.0, keep));
        if (keep) {
            atomicAdd(&counts[{{ sites }}u + place.y], u32(squares));
        }
    }
    {% endif %}
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
