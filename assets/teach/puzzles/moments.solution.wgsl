@group(0) @binding(0) var<storage, read> z: array<f32>;
@group(0) @binding(1) var<storage, read> centre: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;

var<workgroup> part: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let channel = group.x;
    let middle = centre[channel];
    var sum = vec4f();
    for (var n = 0u; n < 4u; n++) {
        let d = z[(n * 3u + channel) * 64u + lane] - middle;
        let square = d * d;
        sum += vec4f(d, square, square * d, square * square);
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
        sums[channel] = part[0];
    }
}
