// Kernel card: maximum over windows
//
// Computes   forward   y[p,oy,ox] = max x[p, oy·stride+r−pad, ox·stride+s−pad] over the r, s < k
//                      that lie on the plane: padding never wins
//            backward  dx[p,iy,ix] = Σ dy[p,oy,ox] over the windows that the pixel wins, where
//                      the first of equal maxima in reading order wins, as in PyTorch (behind
//                      a ReLU many windows hold nothing but zeros)
//            This one is {{ entry }}.
// Layout     group 0; planes p = n·C + c
{% if entry == "forward" %}
//              0  x   f32[planes,H,W], read
//              1  y   f32[planes,H',W'], written
{% else %}
//              0  dy  f32[planes,H',W'], read
//              1  x   f32[planes,H,W], read
//              2  dx  f32[planes,H,W], written
{% endif %}
// Split      one invocation per element written, streaming (common/stream.wgsl). Backward gathers:
//            a pixel asks each of its windows (four of 3×3 at stride 2) whether any other pixel
//            beats it, so that nothing is scattered and sums have one order.
// Cost       forward up to k² flops, its comparisons, for each element of y, backward 1 for each of dy;
//            4 bytes for each of x and y, forward, and of x, dx and dy, backward. A pixel of dx
//            compares up to (k/stride)² windows, but the loads hit the cache: bound by memory.
// Dropped    keeping the winners' positions from the forward pass: one more tensor as large as
//            y for the life of a step, to spare loads that the cache serves.

{% from "common/stream.wgsl" import each %}
const H = {{ height }}i;
const W = {{ in_width }}i;
const OUT_H = {{ out_height }}i;
const OUT_W = {{ out_width }}i;
const KERNEL = {{ kernel }}i;
const STRIDE = {{ stride }}i;
const PADDING = {{ padding }}i;
const PLANES = {{ planes }}u;

{% if entry == "forward" %}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{ workgroup }})
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", "PLANES * u32(OUT_H * OUT_W)", run, workgroup) }} {
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
{% else %}
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// First window that holds pixel `at`: the least o with o·stride − pad + k > at.
fn first_window(at: i32) -> i32 {
    return max(at + PADDING - KERNEL + STRIDE, 0) / STRIDE;
}

// Whether `pixel`, of value `own`, is the first maximum of the window at `corner`.
fn wins(plane: i32, pixel: vec2i, own: f32, corner: vec2i) -> bool {
    for (var iy = max(corner.y, 0); iy < min(corner.y + KERNEL, H); iy++) {
        for (var ix = max(corner.x, 0); ix < min(corner.x + KERNEL, W); ix++) {
            let other = x[(plane + iy) * W + ix];
            let earlier = iy < pixel.y || (iy == pixel.y && ix < pixel.x);
            if other > own || (other == own && earlier) {
                return false;
            }
        }
    }
    return true;
}

@compute @workgroup_size({{ workgroup }})
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", "PLANES * u32(H * W)", run, workgroup) }} {
        let row = i32(i) / W;
        let pixel = vec2i(i32(i) % W, row % H);
        let plane = row / H;
        let own = x[i];
        let last = (pixel + PADDING) / STRIDE;
        var sum = 0.0;
        for (var oy = first_window(pixel.y); oy <= min(last.y, OUT_H - 1i); oy++) {
            for (var ox = first_window(pixel.x); ox <= min(last.x, OUT_W - 1i); ox++) {
                if wins(plane * H, pixel, own, vec2i(ox, oy) * STRIDE - PADDING) {
                    sum += dy[(plane * OUT_H + oy) * OUT_W + ox];
                }
            }
        }
        dx[i] = sum;
    }
}
{% endif %}
