@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dm: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let k = c[id.x / 16u];
    var sum = 0.0;
    for (var n = 0u; n < 8u; n++) {
        let i = n * 64u + id.x;
        let value = z[i];
        let polynomial = (k.z * value + k.y) * value + k.x;
        sum += dy[i] * (max(value, 0.0) - polynomial);
    }
    dm[id.x] = sum;
}
