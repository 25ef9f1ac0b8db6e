// Expanded from shaders/scale.wgsl
// for scale backward: 128×96×112×112 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: a factor per plane
//
// Computes   forward   y[p,·] = x[p,·]·f[p]
//            backward  df[p] = Σ dy[p,·]·x[p,·] and dy ← dy·f[p], in the place of dy: both in
//                      one pass
//            for squeeze-excite, which scales the channels of each image.
//            This one is backward.
// Layout     group 0; planes p = n·C + c
//              0  dy  f32[planes,pixels], becomes dx
//              1  x   f32[planes,pixels], read
//              2  f   f32[planes], read
//              3  df  f32[planes], written
// Split      16 neighbouring invocations share a plane and add their sums in workgroup
//            memory in a fixed order.
// Cost       1 flop and 8 bytes an element forward, 3 and 12 backward: bound by memory.
// Dropped    loops that stride over the whole grid: docs/rejected-optimizations.md, "Streaming
//            kernels on a CPU".

alias Lane = vec4f;
fn total(v: Lane) -> f32 { return (v.x + v.y) + (v.z + v.w); }
const PLANES = 12288u;
// Vectors of a plane.
const VECTORS = 3136u;

@group(0) @binding(0) var<storage, read_write> dy: array<Lane>;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read> f: array<f32>;
@group(0) @binding(3) var<storage, read_write> df: array<f32>;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let block = group.y * 768u + group.x;
    let plane = block * 16u + local.x / 16u;
    let part = local.x % 16u;
    var sum = Lane();
    if plane < PLANES {
        let factor = f[plane];
        for (var v = part; v < VECTORS; v += 16u) {
            let i = plane * VECTORS + v;
            let d = dy[i];
            sum += d * x[i];
            dy[i] = d * factor;
        }
    }
    sums[local.x] = total(sum);
    workgroupBarrier();
    if plane < PLANES && part == 0u {
        var all = 0.0;
        for (var other = 0u; other < 16u; other++) {
            all += sums[local.x + other];
        }
        df[plane] = all;
    }
}
