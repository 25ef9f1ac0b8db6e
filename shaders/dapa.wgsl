// Kernel card: distribution-aware polynomial (DaPa)
//
// Computes   running mean u and variance s² of each channel's pre-activation from the batch's
//            sums, and in refitting steps the polynomial that they imply: common/fit.wgsl.
//            A trained quadratic term is held within `limit` times its fit (0: no limit), which
//            keeps one layer's outlier from squaring itself through the next layers.
//            The published code's variant (`official`) puts max(s², ½) for s, divides c₀ by 5
//            and c₂ by 10, and has a further factor on c₂.
//            `hermite`: the polynomial is a₀ + a₁·t + a₂·(t² − 1)/w in t = (x − u)/s, normalised
//            Hermite polynomials with the norm of the second taken from the data: w² = κ − 1 with
//            the running kurtosis κ (3, so that w = √2, for a normal distribution). ReLU under the
//            normal distribution has a₀ = sφ + uΦ, a₁ = sΦ, a₂ = sφ/√2 (Park, Kim, Jung, Ahn 2022,
//            "AESPA", whose HerPN puts batch norms there). Between refits a₀, a₁, a₂ stay, as weights
//            behind a batch norm do, and the coefficients follow the moments: what a polynomial puts
//            out is bounded by how its input spreads, outliers included. The exact fit's is not, and
//            through many layers x → x² runs away.
// Layout     group 0
//              0  step          uniform Step
//              1  partials      vec4f[C,parts], read: (Σz, Σz², –, –) of the gate's forward pass;
//                               of its moments (Σd, Σd², Σd³, Σd⁴) for `hermite`
//              2  moments       vec2f[C], updated: (u, s²)
//              3  coefficients  vec4f[C], updated: (c₀, c₁, c₂, 1 where the channel is a line: see
//                               squares.wgsl)
//              4  health        u32[2]: the first layer that is not finite
//              5  kurtosis      f32[C], updated: κ, for `hermite`
//              6  norm          vec4f[3,C], the last row written, for `hermite`: mean, 1/s, k, T of
//                               the bounds that gate.wgsl holds x within
// Split      one invocation per channel adds its parts in order.
// Cost       2·parts + 48 to 84 flops (by form and degree) and 16·parts + 48 bytes a channel,
//            `hermite` 4·parts + 79 (and 33 in refitting steps) and 16·parts + 72: next to nothing.
// Dropped    nothing yet.

{% include "common/step.wgsl" %}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> coefficients: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> health: array<atomic<u32>>;
{% if hermite %}
@group(0) @binding(5) var<storage, read_write> kurtosis: array<f32>;
@group(0) @binding(6) var<storage, read_write> norm: array<vec4f>;
{% endif %}

{% include "common/fit.wgsl" %}

{% include "common/finite.wgsl" %}

{% if hermite %}
// The norm of t² − 1. Of two values only, t² − 1 is 0.
fn spread_of_square(kappa: f32) -> f32 {
    return sqrt(max(kappa - 1.0, {{ square_floor }}));
}

// Coefficients of 1, t and (t² − 1)/w from those of 1, x and x².
fn to_basis(c: vec4f, u: f32, variance: f32, kappa: f32) -> vec3f {
    let s = spread(variance);
    return vec3f(
        c.x + c.y * u + c.z * (u * u + s * s),
        (c.y + 2.0 * c.z * u) * s,
        c.z * s * s * spread_of_square(kappa),
    );
}

// And back.
fn from_basis(a: vec3f, u: f32, variance: f32, kappa: f32) -> vec3f {
    let s = spread(variance);
    let c2 = a.z / (s * s * spread_of_square(kappa));
    let c1 = a.y / s - 2.0 * c2 * u;
    return vec3f(a.x - c1 * u - c2 * (u * u + s * s), c1, c2);
}

// ReLU under the normal distribution.
fn relu_in_basis(u: f32, variance: f32) -> vec3f {
    let s = spread(variance);
    let f = density(u / s);
    let below = distribution(u / s);
    return vec3f(s * f + u * below, s * below, {{ 0.5 ** 0.5 }} * s * f);
}

@compute @workgroup_size({{ workgroup }})
fn finish_hermite(@builtin(global_invocation_id) id: vec3u) {
    let c = id.x;
    if (c >= {{ channels }}u) {
        return;
    }
    var sums = vec4f(0.0);
    for (var part = 0u; part < {{ parts }}u; part++) {
        sums += partials[c * {{ parts }}u + part];
    }
    sums *= {{ 1.0 / count }};
    let before = moments[c];
    let kappa_before = kurtosis[c];
    // About the batch's own mean, which is d from the running one.
    let d = sums.x;
    let variance = max(sums.y - d * d, 0.0);
    let fourth = sums.w - 4.0 * d * sums.z + 6.0 * d * d * sums.y - 3.0 * d * d * d * d;
    let floored = max(variance, {{ variance_floor }});
    let kappa = max(fourth / (floored * floored), 1.0);
    let batch = vec3f(before.x + d, variance, kappa);
    // The first batch of a search sets the moments, later ones move them.
    let first = (step.refit & 2u) != 0u;
    let running = select(mix(vec3f(before, kappa_before), batch, step.momentum), batch, first);
    moments[c] = running.xy;
    kurtosis[c] = running.z;
    let kept = coefficients[c];
    // Moments that begin are no change: the polynomial stays what it is.
    let old = select(vec3f(before, kappa_before), running, first);
    var a = to_basis(kept, old.x, old.y, old.z);
    if ((step.refit & 1u) != 0u) {
        a = relu_in_basis(running.x, running.y);
    }
    {% if degree == 2 %}
    // A channel that is a line stays one.
    a.z = select(a.z, 0.0, kept.w > 0.5);
    {% else %}
    a.z = 0.0;
    {% endif %}
    coefficients[c] = vec4f(from_basis(a, running.x, running.y, running.z), kept.w);
    // The slope of weight·mean(max(|t| − T, 0)²) over all of the site, by x.
    let inverse = 1.0 / spread(running.y);
    let slope = {{ 2.0 / (count * channels) }} * step.range_weight * inverse;
    norm[{{ 2 * channels }}u + c] = vec4f(running.x, inverse, slope, step.range_limit);
    if (!is_finite(sums.w)) {
        atomicMin(&health[0], {{ layer }}u);
    }
}
{% else %}
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
{% endif %}
