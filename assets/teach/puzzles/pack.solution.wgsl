@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read_write> packed: array<f32>;

// A word more in each row, so that columns go through all banks.
var<workgroup> tile: array<f32, 1056>;

@compute @workgroup_size(32, 8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
    let x = lane.x;
    for (var y = lane.y; y < 32u; y += 8u) {
        tile[y * 33u + x] = w[(32u * group.y + y) * 64u + 32u * group.x + x];
    }
    workgroupBarrier();
    for (var y = lane.y; y < 32u; y += 8u) {
        packed[(32u * group.x + y) * 64u + 32u * group.y + x] = tile[x * 33u + y];
    }
}
