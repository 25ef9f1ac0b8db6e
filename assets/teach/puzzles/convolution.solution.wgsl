@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let ox = id.x % 16u;
    let oy = id.x / 16u % 16u;
    let k = id.x / 256u;
    var sum = 0.0;
    for (var c = 0u; c < 4u; c++) {
        for (var r = 0u; r < 3u; r++) {
            for (var s = 0u; s < 3u; s++) {
                let iy = oy + r - 1u;
                let ix = ox + s - 1u;
                if (iy < 16u && ix < 16u) {
                    sum += x[(c * 16u + iy) * 16u + ix] * w[((k * 4u + c) * 3u + r) * 3u + s];
                }
            }
        }
    }
    y[id.x] = sum;
}
