// Expanded from shaders/max_pool.wgsl
// for max_pool forward: 128×64×112×112, 3×3 stride 2 padding 1 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: maximum over windows
//
// Computes   forward   y[p,oy,ox] = max x[p, oy·stride+r−pad, ox·stride+s−pad] over the r, s < k
//                      that lie on the plane: padding never wins
//            backward  dx[p,iy,ix] = Σ dy[p,oy,ox] over the windows that the pixel wins, where
//                      the first of equal maxima in reading order wins, as in PyTorch (behind
//                      a ReLU many windows hold nothing but zeros)
//            This one is forward.
// Layout     group 0; planes p = n·C + c
//              0  x   f32[planes,H,W], read
//              1  y   f32[planes,H',W'], written
// Split      one invocation per element written, streaming (common/stream.wgsl). Backward gathers:
//            a pixel asks each of its windows (four of 3×3 at stride 2) whether any other pixel
//            beats it, so that nothing is scattered and sums have one order.
// Cost       forward up to k² flops, its comparisons, for each element of y, backward 1 for each of dy;
//            4 bytes for each of x and y, forward, and of x, dx and dy, backward. A pixel of dx
//            compares up to (k/stride)² windows, but the loads hit the cache: bound by memory.
// Dropped    keeping the winners' positions from the forward pass: one more tensor as large as
//            y for the life of a step, to spare loads that the cache serves.

const H = 112i;
const W = 112i;
const OUT_H = 56i;
const OUT_W = 56i;
const KERNEL = 3i;
const STRIDE = 2i;
const PADDING = 1i;
const PLANES = 8192u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 6400u + lane; i < min((group.x + 1u) * 6400u, PLANES * u32(OUT_H * OUT_W)); i += 256u) {
        let row = i32(i) / OUT_W;
        let plane = row / OUT_H * H;
        let top = row % OUT_H * STRIDE - PADDING;
        let left = i32(i) % OUT_W * STRIDE - PADDING;
        let first = vec2i(max(left, 0), max(top, 0));
        var most = x[(plane + first.y) * W + first.x];
        for (var iy = first.y; iy < min(top + KERNEL, H); iy++) {
            for (var ix = first.x; ix < min(left + KERNEL, W); ix++) {
                most = max(most, x[(plane + iy) * W + ix]);
            }
        }
        y[i] = most;
    }
}
