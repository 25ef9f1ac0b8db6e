// Expanded from shaders/pool.wgsl
// for pool average_backward: 128×64×8×8, 2×2 stride 2 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: average pooling, over windows and over whole planes
//
// Computes   average          y[p,oy,ox] = Σ_{r,s<k} x[p, oy·stride+r, ox·stride+s] / k²
//            average_backward dx[p,iy,ix] = Σ dy[p,oy,ox] / k² over the windows that hold the
//                             pixel: gathered, so that nothing is added twice
//            global           y[p] = Σ x[p,·] / pixels
//            global_backward  dx[p,·] = dy[p] / pixels
//            This one is average_backward.
//            There is no padding, so pixels that no window reaches (H or W not divided) have
//            gradient 0.
// Layout     group 0; planes p = n·C + c
//              0  dy  f32[planes,H',W'], read
//              1  dx  f32[planes,H,W], written
// Split      one invocation per element written, streaming (common/stream.wgsl).
// Cost       average and its backward k² flops an element of y or dy, 4 bytes an element of both
//            tensors; global an addition and 4 bytes a value; global_backward 4 bytes a value, 8
//            where it adds. Bound by memory.
// Dropped    loops that stride over the whole grid: docs/rejected-optimizations.md, "Streaming
//            kernels on a CPU".

alias Lane = f32;

const H = 8u;
const W = 8u;
const OUT_H = 4u;
const OUT_W = 4u;
const KERNEL = 2u;
const STRIDE = 2u;
const PLANES = 8192u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

// First window that holds pixel `at`: the least o with o·stride + k > at.
fn first_window(at: u32) -> u32 {
    return (max(at + STRIDE, KERNEL) - KERNEL) / STRIDE;
}

@compute @workgroup_size(256)
fn average_backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 1024u + lane; i < min((group.x + 1u) * 1024u, PLANES * H * W); i += 256u) {
        let row = i / W;
        let pixel = vec2u(i % W, row % H);
        let plane = (row / H) * OUT_H;
        var sum = 0.0;
        for (var oy = first_window(pixel.y); oy < OUT_H && oy * STRIDE <= pixel.y; oy++) {
            for (var ox = first_window(pixel.x); ox < OUT_W && ox * STRIDE <= pixel.x; ox++) {
                sum += dy[(plane + oy) * OUT_W + ox];
            }
        }
        dx[i] = sum * (1.0 / f32(KERNEL * KERNEL));
    }
}
