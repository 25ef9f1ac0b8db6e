@group(0) @binding(0) var<storage, read> sums: array<vec2f>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read_write> norm: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let c = id.x;
    if (c >= 40u) {
        return;
    }
    let both = sums[c] / 64.0;
    let mean = both.x;
    let inverse = inverseSqrt(both.y - mean * mean + 1e-5);
    let scale = gamma[c] * inverse;
    norm[c] = vec4f(scale, beta[c] - scale * mean, mean, inverse);
}
