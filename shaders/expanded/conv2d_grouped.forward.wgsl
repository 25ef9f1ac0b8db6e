// Expanded from shaders/conv2d/grouped.wgsl
// for conv2d/grouped forward: 128×96×112×112, 3×3 stride 2 (tiling large).
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
//            This one is forward, 3×3, stride 2.
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
const ROW = 14u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Pixel `at` of the row that starts at `row`, zero beside it.
fn pixel(row: i32, at: i32) -> f32 {
    return select(0.0, x[row + clamp(at, 0i, W - 1i)], at >= 0i && at < W);
}

@compute @workgroup_size(256)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 2560u + lane; i < min((group.x + 1u) * 2560u, N * K * u32(OUT_H) * ROW); i += 256u) {
        let first = i32(i % ROW) * 4i;
        let line = i / ROW;
        let oy = i32(line % u32(OUT_H));
        let plane = line / u32(OUT_H);
        let k = plane % K;
        let channel = plane / K * C + k / KG * CG;
        let left = first * 2i - 1i;
        var sum0 = 0.0;
        var sum1 = 0.0;
        var sum2 = 0.0;
        var sum3 = 0.0;
        for (var c = 0u; c < CG; c++) {
            let weights = (k * CG + c) * TAPS;
            for (var r = 0i; r < 3i; r++) {
                let iy = oy * 2i + r - 1i;
                if iy < 0i || iy >= H {
                    continue;
                }
                let row = (i32(channel + c) * H + iy) * W;
                let x0 = pixel(row, left + 0i);
                let x1 = pixel(row, left + 1i);
                let x2 = pixel(row, left + 2i);
                let x3 = pixel(row, left + 3i);
                let x4 = pixel(row, left + 4i);
                let x5 = pixel(row, left + 5i);
                let x6 = pixel(row, left + 6i);
                let x7 = pixel(row, left + 7i);
                let x8 = pixel(row, left + 8i);
                let w0 = w[weights + u32(r) * 3u + 0u];
                sum0 += w0 * x0;
                sum1 += w0 * x2;
                sum2 += w0 * x4;
                sum3 += w0 * x6;
                let w1 = w[weights + u32(r) * 3u + 1u];
                sum0 += w1 * x1;
                sum1 += w1 * x3;
                sum2 += w1 * x5;
                sum3 += w1 * x7;
                let w2 = w[weights + u32(r) * 3u + 2u];
                sum0 += w2 * x2;
                sum1 += w2 * x4;
                sum2 += w2 * x6;
                sum3 += w2 * x8;
            }
        }
        let out = i32(line) * OUT_W + first;
        if first + 0i < OUT_W {
            y[out + 0i] = sum0;
        }
        if first + 1i < OUT_W {
            y[out + 1i] = sum1;
        }
        if first + 2i < OUT_W {
            y[out + 2i] = sum2;
        }
        if first + 3i < OUT_W {
            y[out + 3i] = sum3;
        }
    }
}
