// Kernel card: distribution-aware polynomial (DaPa)
//
// Computes   running mean u and variance s² of each channel's pre-activation from the batch's
//            sums, and the least-squares fit of ReLU under x ~ N(u, s²). With a = u/s, φ and Φ
//            the density and distribution of the standard normal:
//              degree 2   c₂ = φ(a)/(2s),  c₁ = Φ(a) − a·φ(a),  c₀ = (u² + s²)·φ(a)/(2s)
//              degree 1   c₁ = Φ(a),  c₀ = s·φ(a)
//            A trained quadratic term is held within `limit` times its fit (0: no limit), which
//            keeps one layer's outlier from squaring itself through the next layers.
//            The published code's variant (`official`) puts max(s², ½) for s, divides c₀ by 5
//            and c₂ by 10, and has a further factor on c₂.
// Layout     partials vec4f[C,parts] (Σz, Σz²);  moments vec2f[C];  coefficients vec4f[C]
// Split      one invocation per channel adds its parts in order.
// Cost       16·C·parts bytes: next to nothing.
{% include "common/step.wgsl" %}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> coefficients: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> health: array<atomic<u32>>;

fn density(a: f32) -> f32 {
    return 0.3989422804 * exp(-0.5 * a * a);
}

// Φ by Abramowitz and Stegun 26.2.17: absolute error below 1e-7.
fn distribution(a: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.2316419 * abs(a));
    let series = ((((1.330274429 * t - 1.821255978) * t + 1.781477937) * t - 0.356563782) * t
        + 0.319381530) * t;
    let tail = density(a) * series;
    return select(tail, 1.0 - tail, a >= 0.0);
}

fn fit(u: f32, variance: f32) -> vec4f {
    {% if official %}
    let s = max(variance, 0.5);
    let square = s * s;
    {% else %}
    let square = max(variance, {{ variance_floor }});
    let s = sqrt(square);
    {% endif %}
    let a = u / s;
    let f = density(a);
    {% if degree == 2 %}
    let c2 = f / (2.0 * s);
    let c1 = distribution(a) - a * f;
    let c0 = (u * u + square) * c2;
    {% else %}
    let c2 = 0.0;
    let c1 = distribution(a);
    let c0 = s * f;
    {% endif %}
    {% if official %}
    return vec4f(c0 / 5.0, c1, c2 / 10.0 * {{ scale_x2 }}, 0.0);
    {% else %}
    return vec4f(c0, c1, c2, 0.0);
    {% endif %}
}

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
    let fitted = fit(running.x, running.y);
    var kept = coefficients[c];
    if ((step.refit & 1u) != 0u) {
        kept = fitted;
    }
    {% if limit > 0.0 and degree == 2 %}
    let bound = {{ limit }} * fitted.z;
    kept.z = clamp(kept.z, -bound, bound);
    {% endif %}
    coefficients[c] = kept;
    if ((bitcast<u32>(sums.y) & 0x7f800000u) == 0x7f800000u) {
        atomicMin(&health[0], {{ layer }}u);
    }
}
