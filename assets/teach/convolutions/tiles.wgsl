@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// 16 channels of 8 × 8 pixels with a margin of one, and the weights of one output channel.
var<workgroup> patch_x: array<f32, 1600>;
var<workgroup> weights: array<f32, 144>;

// A workgroup owns 8 × 8 pixels of one channel: z of the grid is image and channel.
@compute @workgroup_size(8, 8)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(local_invocation_id) lane: vec3u,
    @builtin(local_invocation_index) index: u32,
) {
    let n = group.z / 16u;
    let k = group.z % 16u;
    for (var i = index; i < 1600u; i += 64u) {
        let iy = 8u * group.y + i / 10u % 10u - 1u;
        let ix = 8u * group.x + i % 10u - 1u;
        var value = 0.0;
        if (iy < 32u && ix < 32u) {
            value = x[((n * 16u + i / 100u) * 32u + iy) * 32u + ix];
        }
        patch_x[i] = value;
    }
    for (var i = index; i < 144u; i += 64u) {
        weights[i] = w[144u * k + i];
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var c = 0u; c < 16u; c++) {
        for (var r = 0u; r < 3u; r++) {
            for (var s = 0u; s < 3u; s++) {
                sum += patch_x[(c * 10u + lane.y + r) * 10u + lane.x + s] * weights[(c * 3u + r) * 3u + s];
            }
        }
    }
    y[((n * 16u + k) * 32u + 8u * group.y + lane.y) * 32u + 8u * group.x + lane.x] = sum;
}
