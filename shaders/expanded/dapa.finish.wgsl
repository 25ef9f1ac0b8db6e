// Expanded from shaders/dapa.wgsl
// for dapa finish: 128×64×32×32, degree 2, limit 2 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
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
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> coefficients: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> health: array<atomic<u32>>;

// The least-squares fits of ReLU under x ~ N(u, s²); with a = u/s, φ and Φ the density and
// distribution of the standard normal:
//   quadratic  c₂ = φ(a)/(2s),  c₁ = Φ(a) − a·φ(a),  c₀ = (u² + s²)·φ(a)/(2s)
//   line       c₁ = Φ(a),  c₀ = s·φ(a)
// Their fourth component is that of a channel's coefficients: 1 marks a channel without a square.
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

fn spread(variance: f32) -> f32 {
    return sqrt(max(variance, 0.0001));
}

fn quadratic_fit(u: f32, variance: f32) -> vec4f {
    let s = spread(variance);
    let a = u / s;
    let f = density(a);
    let c2 = f / (2.0 * s);
    let c = vec4f((u * u + s * s) * c2, distribution(a) - a * f, c2, 0.0);
    return c;
}

fn line_fit(u: f32, variance: f32) -> vec4f {
    let s = spread(variance);
    let a = u / s;
    let c = vec4f(s * density(a), distribution(a), 0.0, 1.0);
    return c;
}

// A value whose exponent is all ones is infinite or not a number. Asked of the bits, since
// compilers may assume that neither exists.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

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
    let batch = vec2f(sums.x, max(sums.y - sums.x * sums.x, 0.0));
    // The first batch of a search sets the moments, later ones move them.
    let first = (step.refit & 2u) != 0u;
    let running = select(mix(moments[c], batch, step.momentum), batch, first);
    moments[c] = running;
    var kept = coefficients[c];
    let quadratic = quadratic_fit(running.x, running.y);
    let fitted = select(quadratic, line_fit(running.x, running.y), kept.w > 0.5);
    if ((step.refit & 1u) != 0u) {
        kept = fitted;
    }
    let bound = 2.0 * quadratic.z;
    kept.z = clamp(kept.z, -bound, bound);
    coefficients[c] = kept;
    if (!is_finite(sums.y)) {
        atomicMin(&health[0], 3u);
    }
}
