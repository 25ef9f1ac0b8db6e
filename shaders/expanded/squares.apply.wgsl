// Expanded from shaders/squares.wgsl
// for squares apply: 64 channels of 32×32, 16 sites (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
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

// What is kept already is worth a tenth more than its score, and what is not a tenth less.
fn worth(score: f32, kept: bool) -> f32 {
    return score + select(-0.1, 0.1, kept) * abs(score);
}

// Keys of larger floats are larger.
fn key(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    return bits ^ select(0x80000000u, 0xffffffffu, bits >= 0x80000000u);
}

@group(0) @binding(0) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(1) var<storage, read> moments: array<vec2f>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read> groups: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> states: array<vec4f>;
@group(0) @binding(5) var<storage, read> cut: array<u32>;
@group(0) @binding(6) var<storage, read_write> counts: array<atomic<u32>>;

// dL/dq and ReLUs kept.
var<workgroup> tree: array<vec2f, 64>;

// The coefficients of r(x).
fn remainder(moments: vec2f) -> vec4f {
    let u = moments.x;
    return vec4f(u * u - moments.y, -2.0 * u, 1.0, 0.0);
}

@compute @workgroup_size(64)
fn apply(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let index = min(group.y * 64u + group.x, 63u);
    let place = groups[2u * index + 1u];
    // Workgroups past the last group have none.
    let inside = group.y * 64u + group.x == index;
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
    let after = before.xyz;
    let keep = key(worth(before.x, has_square)) >= cut[0];
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
            atomicAdd(&counts[16u + place.y], u32(squares));
        }
    }
}
