@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first = 256u * group.x;
    var sum = 0.0;
    for (var i = lane; i < 256u; i += 64u) {
        sum += x[first + i];
    }
    part[lane] = sum;
    workgroupBarrier();
    for (var stride = 32u; stride > 0u; stride /= 2u) {
        if (lane < stride) {
            part[lane] += part[lane + stride];
        }
        workgroupBarrier();
    }
    if (lane == 0u) {
        y[group.x] = part[0] / 256.0;
    }
}
