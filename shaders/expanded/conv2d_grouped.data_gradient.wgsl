// Expanded from shaders/conv2d/grouped.wgsl
// for conv2d/grouped data_gradient: 128×96×112×112, 3×3 stride 2 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: convolution in groups, above all depthwise
//
// Computes   The channels lie in 96 groups; output channel k of group g sees only the
//            CG = C/groups input channels of its group. Depthwise: C/groups = K/groups = 1.
//              forward        y[n,k,oy,ox] = Σ_{c,r,s} w[k,c,r,s]
//                                            · x[n,g·CG+c,oy·stride+r−pad,ox·stride+s−pad]
//              data_gradient  dx, gathered: the same products read from the input's side
//              weight_slices  partial sums of dw over a slice of the images' rows
//              sum_slices     their sum, slice by slice in order
//            This one is data_gradient, 3×3, stride 2.
// Layout     group 0
//              forward        0  x         f32[N,C,H,W], read
//                             1  w         f32[K,C/groups,R,R], read
//                             2  y         f32[N,K,H',W'], written
//              data_gradient  0  dy        f32[N,K,H',W'], read
//                             1  w         f32[K,C/groups,R,R], read
//                             2  dx        f32[N,C,H,W], written, or added to
//              weight_slices  0  x         f32[N,C,H,W], read
//                             1  dy        f32[N,K,H',W'], read
//                             2  partials  f32[slices,K·C/groups,R²], written: dw itself where there
//                                          is one slice
//              sum_slices     0  partials  as above, read
//                             1  dw        f32[K,C/groups,R,R], written
// Split      An invocation makes 4 adjacent results of a row, so that each pixel of the
//            row is loaded once for all of them: (3·stride + R)·R loads instead of 4·R². In the
//            data gradient which taps meet a pixel depends on its place within the stride; the
//            span is a multiple of it, so the template knows.
//            weight_slices: a workgroup sums all R² taps of one k and c; each invocation keeps
//            them in registers over its share of the rows, and they meet in workgroup memory.
// Cost       2·R²·C/groups flops a result. Depthwise that is 9 or 25 multiply-adds per pixel
//            loaded: bound by memory.
// Dropped    one product of matrices per group, which would starve: nothing was measured.

const N = 128u;
const C = 96u;
const K = 96u;
// Channels of a group.
const CG = 1u;
const KG = 1u;
const H = 112i;
const W = 112i;
const OUT_H = 56i;
const OUT_W = 56i;
const TAPS = 9u;

// Spans of a row.
const ROW = 28u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// Result `at` of the row that starts at `row`, zero beside it.
fn result(row: i32, at: i32) -> f32 {
    return select(0.0, dy[row + clamp(at, 0i, OUT_W - 1i)], at >= 0i && at < OUT_W);
}

@compute @workgroup_size(256)
fn data_gradient(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 9472u + lane; i < min((group.x + 1u) * 9472u, N * C * u32(H) * ROW); i += 256u) {
        let first = i32(i % ROW) * 4i;
        let line = i / ROW;
        let iy = i32(line % u32(H));
        let plane = line / u32(H);
        let channel = plane % C;
        // Output channels of the group, and the first result that a pixel of the span is part of.
        let from_k = channel / CG * KG;
        let left = first / 2i + 0i;
        var sum0 = 0.0;
        var sum1 = 0.0;
        var sum2 = 0.0;
        var sum3 = 0.0;
        for (var k = from_k; k < from_k + KG; k++) {
            let weights = (k * CG + channel % CG) * TAPS;
            for (var r = 0i; r < 3i; r++) {
                let down = iy + 1i - r;
                if down < 0i || down % 2i != 0i || down / 2i >= OUT_H {
                    continue;
                }
                let row = (i32(plane / C * K + k) * OUT_H + down / 2i) * OUT_W;
                let d0 = result(row, left + 0i);
                let d1 = result(row, left + 1i);
                let d2 = result(row, left + 2i);
                let w0 = w[weights + u32(r) * 3u + 0u];
                sum1 += w0 * d1;
                sum3 += w0 * d2;
                let w1 = w[weights + u32(r) * 3u + 1u];
                sum0 += w1 * d0;
                sum2 += w1 * d1;
                let w2 = w[weights + u32(r) * 3u + 2u];
                sum1 += w2 * d0;
                sum3 += w2 * d1;
            }
        }
        let out = i32(line) * W + first;
        if first + 0i < W {
            dx[out + 0i] = sum0;
        }
        if first + 1i < W {
            dx[out + 1i] = sum1;
        }
        if first + 2i < W {
            dx[out + 2i] = sum2;
        }
        if first + 3i < W {
            dx[out + 3i] = sum3;
        }
    }
}
