// Expanded from shaders/pool.wgsl
// for pool global: 128×512×4×4 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: average pooling, over windows and over whole planes
//
// Computes   average          y[p,oy,ox] = Σ_{r,s<k} x[p, oy·stride+r, ox·stride+s] / k²
//            average_backward dx[p,iy,ix] = Σ dy[p,oy,ox] / k² over the windows that hold the
//                             pixel: gathered, so that nothing is added twice
//            global           y[p] = Σ x[p,·] / pixels
//            global_backward  dx[p,·] = dy[p] / pixels
//            This one is global.
//            There is no padding, so pixels that no window reaches (H or W not divided) have
//            gradient 0.
// Layout     group 0; planes p = n·C + c
//              0  x   f32[planes,pixels], read
//              1  y   f32[planes], written
// Split      4 neighbouring invocations share a plane and add their sums in workgroup
//            memory in a fixed order.
// Cost       average and its backward k² flops an element of y or dy, 4 bytes an element of both
//            tensors; global an addition and 4 bytes a value; global_backward 4 bytes a value, 8
//            where it adds. Bound by memory.
// Dropped    loops that stride over the whole grid: docs/rejected-optimizations.md, "Streaming
//            kernels on a CPU".

alias Lane = vec4f;

const PLANES = 65536u;
const PIXELS = 16u;
// Vectors of a plane.
const VECTORS = PIXELS / 4u;

@group(0) @binding(0) var<storage, read> x: array<Lane>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn total(sum: Lane) -> f32 {
    return (sum.x + sum.y) + (sum.z + sum.w);
}

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn global(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let block = group.y * 1024u + group.x;
    let plane = block * 64u + local.x / 4u;
    let part = local.x % 4u;
    var sum = Lane();
    if plane < PLANES {
        for (var v = part; v < VECTORS; v += 4u) {
            sum += x[plane * VECTORS + v];
        }
    }
    sums[local.x] = total(sum);
    workgroupBarrier();
    if plane < PLANES && part == 0u {
        var mean = 0.0;
        for (var other = 0u; other < 4u; other++) {
            mean += sums[local.x + other];
        }
        y[plane] = mean * (1.0 / f32(PIXELS));
    }
}
