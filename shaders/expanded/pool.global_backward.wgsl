// Expanded from shaders/pool.wgsl
// for pool global_backward: 128×512×4×4 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: average pooling, over windows and over whole planes
//
// Computes   average          y[p,oy,ox] = Σ_{r,s<k} x[p, oy·stride+r, ox·stride+s] / k²
//            average_backward dx[p,iy,ix] = Σ dy[p,oy,ox] / k² over the windows that hold the
//                             pixel: gathered, so that nothing is added twice
//            global           y[p] = Σ x[p,·] / pixels
//            global_backward  dx[p,·] = dy[p] / pixels
//            This one is global_backward.
//            There is no padding, so pixels that no window reaches (H or W not divided) have
//            gradient 0.
// Layout     group 0; planes p = n·C + c
//              0  dy  f32[planes], read
//              1  dx  f32[planes,pixels], written
// Split      one invocation per 4 adjacent element(s), streaming (common/stream.wgsl).
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

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<Lane>;

@compute @workgroup_size(256)
fn global_backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 1024u + lane; i < min((group.x + 1u) * 1024u, PLANES * VECTORS); i += 256u) {
        dx[i] = Lane(dy[i / VECTORS] * (1.0 / f32(PIXELS)));
    }
}
