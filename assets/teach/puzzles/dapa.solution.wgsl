@group(0) @binding(0) var<storage, read> moments: array<vec2f>;
@group(0) @binding(1) var<storage, read_write> c: array<vec4f>;

fn density(a: f32) -> f32 {
    return 0.3989422804 * exp(-0.5 * a * a);
}

// Abramowitz and Stegun 26.2.17.
fn distribution(a: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.2316419 * abs(a));
    let series = ((((1.330274429 * t - 1.821255978) * t + 1.781477937) * t - 0.356563782) * t
        + 0.319381530) * t;
    let tail = density(a) * series;
    return select(tail, 1.0 - tail, a >= 0.0);
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let both = moments[id.x];
    let u = both.x;
    let s = sqrt(both.y);
    let a = u / s;
    let f = density(a);
    let c2 = f / (2.0 * s);
    c[id.x] = vec4f((u * u + s * s) * c2, distribution(a) - a * f, c2, 0.0);
}
