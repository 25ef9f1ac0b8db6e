@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> patch_x: array<f32, 400>;
var<workgroup> weights: array<f32, 36>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = lane; i < 400u; i += 64u) {
        let iy = 8u * group.y + i / 10u % 10u - 1u;
        let ix = 8u * group.x + i % 10u - 1u;
        var value = 0.0;
        if (iy < 16u && ix < 16u) {
            value = x[(i / 100u * 16u + iy) * 16u + ix];
        }
        patch_x[i] = value;
    }
    if (lane < 36u) {
        weights[lane] = w[36u * group.z + lane];
    }
    workgroupBarrier();
    let column = lane % 8u;
    let row = lane / 8u;
    var sum = 0.0;
    for (var c = 0u; c < 4u; c++) {
        for (var r = 0u; r < 3u; r++) {
            for (var s = 0u; s < 3u; s++) {
                sum += patch_x[(c * 10u + row + r) * 10u + column + s] * weights[(c * 3u + r) * 3u + s];
            }
        }
    }
    y[(group.z * 16u + 8u * group.y + row) * 16u + 8u * group.x + column] = sum;
}
