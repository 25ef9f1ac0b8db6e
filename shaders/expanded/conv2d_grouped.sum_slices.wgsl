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
//            This one is sum_slices, 3×3, stride 2.
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

const WEIGHTS = K * CG * TAPS;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(256)
fn sum_slices(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 1024u + lane; i < min((group.x + 1u) * 1024u, WEIGHTS); i += 256u) {
        var sum = 0.0;
        for (var slice = 0u; slice < 22u; slice++) {
            sum += partials[slice * WEIGHTS + i];
        }
        dw[i] = sum;
    }
}
