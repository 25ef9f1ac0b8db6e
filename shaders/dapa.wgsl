// Kernel card: distribution-aware polynomial (DaPa)
//
// Computes   running mean u and variance s² of each channel's pre-activation from the batch's
//            sums, and in refitting steps the polynomial that they imply: common/fit.wgsl.
//            A trained quadratic term is held within `limit` times its fit (0: no limit), which
//            keeps one layer's outlier from squaring itself through the next layers.
//            The published code's variant (`official`) puts max(s², ½) for s, divides c₀ by 5
//            and c₂ by 10, and has a further factor on c₂.
// Layout     group 0
//              0  step          uniform Step
//              1  partials      vec4f[C,parts], read: (Σz, Σz², –, –) of the gate
//              2  moments       vec2f[C], updated: (u, s²)
//              3  coefficients  vec4f[C], updated: (c₀, c₁, c₂, 1 where the channel is a line: see
//                               squares.wgsl)
//              4  health        u32[2]: the first layer that is not finite
// Split      one invocation per channel adds its parts in order.
// Cost       50 flops and 16·parts + 48 bytes a channel: next to nothing.
// Dropped    nothing yet.

{% include "common/step.wgsl" %}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> coefficients: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> health: array<atomic<u32>>;

{% include "common/fit.wgsl" %}

{% include "common/finite.wgsl" %}

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
    let batch = vec2f(sums.x, max(sums.y - sums.x * sums.x, 0.0));
    // The first batch of a search sets the moments, later ones move them.
    let first = (step.refit & 2u) != 0u;
    let running = select(mix(moments[c], batch, step.momentum), batch, first);
    moments[c] = running;
    var kept = coefficients[c];
    {% if degree == 2 %}
    let quadratic = quadratic_fit(running.x, running.y);
    let fitted = select(quadratic, line_fit(running.x, running.y), kept.w > 0.5);
    {% else %}
    let fitted = line_fit(running.x, running.y) * vec4f(1.0, 1.0, 1.0, 0.0);
    {% endif %}
    if ((step.refit & 1u) != 0u) {
        kept = fitted;
    }
    {% if limit > 0.0 and degree == 2 %}
    let bound = {{ limit }} * quadratic.z;
    kept.z = clamp(kept.z, -bound, bound);
    {% endif %}
    coefficients[c] = kept;
    if (!is_finite(sums.y)) {
        atomicMin(&health[0], {{ layer }}u);
    }
}
