@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> patch_x: array<f32, 400>;
var<workgroup> weights: array<f32, 36>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    // Workgroups: 2 × 2 tiles of 8 × 8 outputs, 8 output channels along z.
}
