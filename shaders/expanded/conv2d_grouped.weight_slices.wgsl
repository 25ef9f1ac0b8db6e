// Expanded from shaders/conv2d/grouped.wgsl
// for conv2d/grouped weight_gradient: 128×96×112×112, 3×3 stride 2 (tiling large).
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
//            This one is weight_slices, 3×3, stride 2.
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

// Spans of a row, and of all images together.
const ROW = 14u;
const SPANS = N * u32(OUT_H) * ROW;
// Pairs of k and c.
const PLANES = K * CG;
const WORKGROUP = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

var<workgroup> shared_taps: array<f32, TAPS * WORKGROUP>;

// Pixel `at` of the row that starts at `row`, zero beside it.
fn pixel(row: i32, at: i32) -> f32 {
    return select(0.0, x[row + clamp(at, 0i, W - 1i)], at >= 0i && at < W);
}

@compute @workgroup_size(64)
fn weight_slices(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let plane = group.z * 96u + group.x;
    let k = min(plane, PLANES - 1u) / CG;
    let channel = k / KG * CG + plane % CG;
    let begin = group.y * 4562u;
    let end = min(begin + 4562u, SPANS);
    var tap0_0 = 0.0;
    var tap0_1 = 0.0;
    var tap0_2 = 0.0;
    var tap1_0 = 0.0;
    var tap1_1 = 0.0;
    var tap1_2 = 0.0;
    var tap2_0 = 0.0;
    var tap2_1 = 0.0;
    var tap2_2 = 0.0;
    for (var i = begin + lane; i < end; i += WORKGROUP) {
        let first = i32(i % ROW) * 4i;
        let oy = i32(i / ROW % u32(OUT_H));
        let n = i / ROW / u32(OUT_H);
        let results = (i32(n * K + k) * OUT_H + oy) * OUT_W;
        let left = first * 2i - 1i;
        let d0 = select(0.0, dy[results + min(first + 0i, OUT_W - 1i)], first + 0i < OUT_W);
        let d1 = select(0.0, dy[results + min(first + 1i, OUT_W - 1i)], first + 1i < OUT_W);
        let d2 = select(0.0, dy[results + min(first + 2i, OUT_W - 1i)], first + 2i < OUT_W);
        let d3 = select(0.0, dy[results + min(first + 3i, OUT_W - 1i)], first + 3i < OUT_W);
        {
            let iy = oy * 2i + 0i - 1i;
            if iy >= 0i && iy < H {
                let row = (i32(n * C + channel) * H + iy) * W;
                let x0 = pixel(row, left + 0i);
                let x1 = pixel(row, left + 1i);
                let x2 = pixel(row, left + 2i);
                let x3 = pixel(row, left + 3i);
                let x4 = pixel(row, left + 4i);
                let x5 = pixel(row, left + 5i);
                let x6 = pixel(row, left + 6i);
                let x7 = pixel(row, left + 7i);
                let x8 = pixel(row, left + 8i);
                tap0_0 += d0 * x0;
                tap0_0 += d1 * x2;
                tap0_0 += d2 * x4;
                tap0_0 += d3 * x6;
                tap0_1 += d0 * x1;
                tap0_1 += d1 * x3;
                tap0_1 += d2 * x5;
                tap0_1 += d3 * x7;
                tap0_2 += d0 * x2;
                tap0_2 += d1 * x4;
                tap0_2 += d2 * x6;
                tap0_2 += d3 * x8;
            }
        }
        {
            let iy = oy * 2i + 1i - 1i;
            if iy >= 0i && iy < H {
                let row = (i32(n * C + channel) * H + iy) * W;
                let x0 = pixel(row, left + 0i);
                let x1 = pixel(row, left + 1i);
                let x2 = pixel(row, left + 2i);
                let x3 = pixel(row, left + 3i);
                let x4 = pixel(row, left + 4i);
                let x5 = pixel(row, left + 5i);
                let x6 = pixel(row, left + 6i);
                let x7 = pixel(row, left + 7i);
                let x8 = pixel(row, left + 8i);
                tap1_0 += d0 * x0;
                tap1_0 += d1 * x2;
                tap1_0 += d2 * x4;
                tap1_0 += d3 * x6;
                tap1_1 += d0 * x1;
                tap1_1 += d1 * x3;
                tap1_1 += d2 * x5;
                tap1_1 += d3 * x7;
                tap1_2 += d0 * x2;
                tap1_2 += d1 * x4;
                tap1_2 += d2 * x6;
                tap1_2 += d3 * x8;
            }
        }
        {
            let iy = oy * 2i + 2i - 1i;
            if iy >= 0i && iy < H {
                let row = (i32(n * C + channel) * H + iy) * W;
                let x0 = pixel(row, left + 0i);
                let x1 = pixel(row, left + 1i);
                let x2 = pixel(row, left + 2i);
                let x3 = pixel(row, left + 3i);
                let x4 = pixel(row, left + 4i);
                let x5 = pixel(row, left + 5i);
                let x6 = pixel(row, left + 6i);
                let x7 = pixel(row, left + 7i);
                let x8 = pixel(row, left + 8i);
                tap2_0 += d0 * x0;
                tap2_0 += d1 * x2;
                tap2_0 += d2 * x4;
                tap2_0 += d3 * x6;
                tap2_1 += d0 * x1;
                tap2_1 += d1 * x3;
                tap2_1 += d2 * x5;
                tap2_1 += d3 * x7;
                tap2_2 += d0 * x2;
                tap2_2 += d1 * x4;
                tap2_2 += d2 * x6;
                tap2_2 += d3 * x8;
            }
        }
    }
    shared_taps[0u * WORKGROUP + lane] = tap0_0;
    shared_taps[1u * WORKGROUP + lane] = tap0_1;
    shared_taps[2u * WORKGROUP + lane] = tap0_2;
    shared_taps[3u * WORKGROUP + lane] = tap1_0;
    shared_taps[4u * WORKGROUP + lane] = tap1_1;
    shared_taps[5u * WORKGROUP + lane] = tap1_2;
    shared_taps[6u * WORKGROUP + lane] = tap2_0;
    shared_taps[7u * WORKGROUP + lane] = tap2_1;
    shared_taps[8u * WORKGROUP + lane] = tap2_2;
    workgroupBarrier();
    if plane < PLANES {
        for (var tap = lane; tap < TAPS; tap += WORKGROUP) {
            var sum = 0.0;
            for (var other = 0u; other < WORKGROUP; other++) {
                sum += shared_taps[tap * WORKGROUP + other];
            }
            partials[(group.y * PLANES + plane) * TAPS + tap] = sum;
        }
    }
}
