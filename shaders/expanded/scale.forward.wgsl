// Expanded from shaders/scale.wgsl
// for scale forward: 128×96×112×112 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: a factor per plane
//
// Computes   forward   y[p,·] = x[p,·]·f[p]
//            backward  df[p] = Σ dy[p,·]·x[p,·] and dy ← dy·f[p], in the place of dy: both in
//                      one pass
//            for squeeze-excite, which scales the channels of each image.
//            This one is forward.
// Layout     group 0; planes p = n·C + c
//              0  x   f32[planes,pixels], read
//              1  f   f32[planes], read
//              2  y   f32[planes,pixels], written
// Split      one invocation per 4 adjacent element(s), streaming (common/stream.wgsl).
// Cost       1 flop and 8 bytes an element forward, 3 and 12 backward: bound by memory.
// Dropped    loops that stride over the whole grid: docs/rejected-optimizations.md, "Streaming
//            kernels on a CPU".

alias Lane = vec4f;
fn total(v: Lane) -> f32 { return (v.x + v.y) + (v.z + v.w); }
const PLANES = 12288u;
// Vectors of a plane.
const VECTORS = 3136u;

@group(0) @binding(0) var<storage, read> x: array<Lane>;
@group(0) @binding(1) var<storage, read> f: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<Lane>;

@compute @workgroup_size(256)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 9472u + lane; i < min((group.x + 1u) * 9472u, PLANES * VECTORS); i += 256u) {
        y[i] = x[i] * f[i / VECTORS];
    }
}
