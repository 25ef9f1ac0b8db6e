@group(0) @binding(0) var<storage, read> z: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.x;
    let value = z[i];
    let k = c[i / 16u % 2u];
    let polynomial = (k.z * value + k.y) * value + k.x;
    y[i] = select(polynomial, max(value, 0.0), mask[i % 32u] > 0.5);
}
