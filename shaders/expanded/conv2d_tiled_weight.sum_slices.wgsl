// Expanded from shaders/conv2d/tiled_weight.wgsl
// for conv2d weight_gradient: 128×64×32×32 → 64, 3×3 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: weight gradient of a convolution as implicit matrix multiplication in shared memory
//
// Computes   dw[k,c,r,s] = Σ_{n,oy,ox} dy[n,k,oy,ox] · x[n,c,oy·stride+r−pad,ox·stride+s−pad]
//            for any kernel size, stride, padding and size: on a GPU always, on software Vulkan where
//            subgroup_weight.wgsl cannot. One product of matrices, as in tiled.wgsl, whose tiles and
//            strips it has:
//              DW[k, (tap, c)] = Σ over pixels DY[k, pixel] · X[(tap, c), pixel]
// Layout     group 0
//              weight_slices  0  source  f32[N,C,H,W], read: x
//                             1  dy      f32[N,K,H',W'], read
//                             2  slices  f32[slices,K,R·R,C], written: what each slice contributes
//              sum_slices     0  slices  as above, read
//                             1  dw      f32[K,C,R,R], written
// Split      One workgroup per tile and slice: the pixels are cut into a fixed number of slices;
//            `sum_slices` adds them in fixed order, so that results repeat to the bit.
//            Invocations stand over a tile as in tiled.wgsl.
// Cost       2·N·K·C·R²·H'·W' flops, and 4 bytes a weight and slice, written and read.
// Dropped    on paper: atomics for the slices (not repeatable). Measured on an H100: strips along the
//            pixels, larger tiles, longer steps, half as many slices; figures in
//            docs/rejected-optimizations.md, "Convolution on a GPU".

// Shape of the convolution.
const C = 64u;
const K = 64u;
const H = 32u;
const W = 32u;
const OUT_H = 32u;
const OUT_W = 32u;
const R = 3u;
const STRIDE = 1u;
const PADDING = 1u;
// Row and column of a pixel that is none: no tap brings it back inside.
const OUTSIDE = -0x1000000;

@group(0) @binding(0) var<storage, read> slices: array<f32>;
@group(0) @binding(1) var<storage, read_write> dw: array<f32>;

var<workgroup> part: array<f32, 128>;

// 32 weights per workgroup; each is summed in 4 parts, then the parts in order.
@compute @workgroup_size(32, 4)
fn sum_slices(
    @builtin(local_invocation_id) lane: vec3u,
    @builtin(workgroup_id) group: vec3u,
) {
    let i = (group.x + group.y * 1152u) * 32u + lane.x;
    var sum = 0.0;
    if (i < 36864u) {
        for (var slice = lane.y; slice < 114u; slice += 4u) {
            sum += slices[slice * 36864u + i];
        }
    }
    part[lane.y * 32u + lane.x] = sum;
    workgroupBarrier();
    if (i < 36864u && lane.y == 0u) {
        sum += part[32u + lane.x];
        sum += part[64u + lane.x];
        sum += part[96u + lane.x];
        // From [K][R×R][C] to [K][C][R×R].
        let c = i % C;
        let tap = i / C % (R * R);
        let k = i / (C * R * R);
        dw[(k * C + c) * (R * R) + tap] = sum;
    }
}
