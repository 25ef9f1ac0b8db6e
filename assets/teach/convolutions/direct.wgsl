@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// A workgroup owns 8 × 8 pixels of one channel: x and y of the grid are strips of them, z is an image.
@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
    let ox = group.x * 8u + lane.x;
    let oy = group.y % 4u * 8u + lane.y;
    let k = group.y / 4u;
    var sum = 0.0;
    for (var c = 0u; c < 16u; c++) {
        for (var r = 0u; r < 3u; r++) {
            for (var s = 0u; s < 3u; s++) {
                let iy = oy + r - 1u;
                let ix = ox + s - 1u;
                if (iy < 32u && ix < 32u) {
                    sum += x[((group.z * 16u + c) * 32u + iy) * 32u + ix] * w[((k * 16u + c) * 3u + r) * 3u + s];
                }
            }
        }
    }
    y[((group.z * 16u + k) * 32u + oy) * 32u + ox] = sum;
}
