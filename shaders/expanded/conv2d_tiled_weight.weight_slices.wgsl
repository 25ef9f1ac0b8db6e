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

// The strips of both operands: left [depth][row / 4], right [depth][column / 4].
const LEFT_ROW = 17u;
const RIGHT_ROW = 17u;
var<workgroup> left: array<vec4f, 272>;
var<workgroup> right: array<vec4f, 272>;
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> slices: array<f32>;

const PIXELS = 131072u;
const SLICE = 1152u;
const COLUMNS = R * R * C;
const AREA = H * W;
const OUT_AREA = OUT_H * OUT_W;

@compute @workgroup_size(128)
fn weight_slices(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3u,
) {
    let row_tile = group.x % 1u;
    let column_tile = group.x / 1u;
    let slice = group.y;
    let lane_x = lane % 8u + lane / 32u % 1u * 8u;
    let lane_y = lane / 8u % 4u + lane / 32u * 4u;

    // What this lane loads: rows and columns stay the same, pixels advance.
    let row0 = row_tile * 64u + lane / 16u * 4u;
    let column0 = column_tile * 64u + lane / 16u * 4u;
    // All columns of the tile belong to one tap.
    let tap0 = column_tile * 64u / C;
    let shift_y0 = i32(tap0 / R) - i32(PADDING);
    let shift_x0 = i32(tap0 % R) - i32(PADDING);
    let channel0 = (column0 + 0u) % C;
    let channel1 = (column0 + 32u) % C;

    // The next strips on their way to shared memory, and the sums.
    var left0: vec4f;
    var left1: vec4f;
    var right0: vec4f;
    var right1: vec4f;
    var inside_left: bool;
    var inside0: bool;
    var sum0_0 = vec4f();
    var sum0_1 = vec4f();
    var sum0_2 = vec4f();
    var sum0_3 = vec4f();
    var sum0_4 = vec4f();
    var sum0_5 = vec4f();
    var sum0_6 = vec4f();
    var sum0_7 = vec4f();

    {
            // Four output channels of one pixel, and four columns of it, moved by their taps.
            let p = slice * SLICE + 0u * 16u + lane % 16u;
            inside_left = p < PIXELS;
            let at_left = select(0u, p / OUT_AREA * (K * OUT_AREA) + p % OUT_AREA, inside_left);
            left0 = vec4f(
                dy[at_left + (row0 + 0u) * OUT_AREA],
                dy[at_left + (row0 + 1u) * OUT_AREA],
                dy[at_left + (row0 + 2u) * OUT_AREA],
                dy[at_left + (row0 + 3u) * OUT_AREA],
            );
            left1 = vec4f(
                dy[at_left + (row0 + 32u) * OUT_AREA],
                dy[at_left + (row0 + 33u) * OUT_AREA],
                dy[at_left + (row0 + 34u) * OUT_AREA],
                dy[at_left + (row0 + 35u) * OUT_AREA],
            );
            let image = p / OUT_AREA * (C * AREA);
            let y = select(OUTSIDE, i32(p / OUT_W % OUT_H * STRIDE), inside_left);
            let x = i32(p % OUT_W * STRIDE);
            let at_y0 = u32(y + shift_y0);
            let at_x0 = u32(x + shift_x0);
            inside0 = at_y0 < H && at_x0 < W;
            let at0 = select(0u, image + at_y0 * W + at_x0, inside0);
            right0 = vec4f(
                source[at0 + (channel0 + 0u) * AREA],
                source[at0 + (channel0 + 1u) * AREA],
                source[at0 + (channel0 + 2u) * AREA],
                source[at0 + (channel0 + 3u) * AREA],
            );
            right1 = vec4f(
                source[at0 + (channel1 + 0u) * AREA],
                source[at0 + (channel1 + 1u) * AREA],
                source[at0 + (channel1 + 2u) * AREA],
                source[at0 + (channel1 + 3u) * AREA],
            );

    }
    for (var step = 0u; step < 72u; step++) {
        left[lane % 16u * LEFT_ROW + lane / 16u + 0u] =
            select(vec4f(), left0, inside_left);
        left[lane % 16u * LEFT_ROW + lane / 16u + 8u] =
            select(vec4f(), left1, inside_left);
        right[lane % 16u * RIGHT_ROW + lane / 16u + 0u] =
            select(vec4f(), right0, inside0);
        right[lane % 16u * RIGHT_ROW + lane / 16u + 8u] =
            select(vec4f(), right1, inside0);
        workgroupBarrier();
        if (step + 1u < 72u) {
            let next = step + 1u;
            // Four output channels of one pixel, and four columns of it, moved by their taps.
            let p = slice * SLICE + next * 16u + lane % 16u;
            inside_left = p < PIXELS;
            let at_left = select(0u, p / OUT_AREA * (K * OUT_AREA) + p % OUT_AREA, inside_left);
            left0 = vec4f(
                dy[at_left + (row0 + 0u) * OUT_AREA],
                dy[at_left + (row0 + 1u) * OUT_AREA],
                dy[at_left + (row0 + 2u) * OUT_AREA],
                dy[at_left + (row0 + 3u) * OUT_AREA],
            );
            left1 = vec4f(
                dy[at_left + (row0 + 32u) * OUT_AREA],
                dy[at_left + (row0 + 33u) * OUT_AREA],
                dy[at_left + (row0 + 34u) * OUT_AREA],
                dy[at_left + (row0 + 35u) * OUT_AREA],
            );
            let image = p / OUT_AREA * (C * AREA);
            let y = select(OUTSIDE, i32(p / OUT_W % OUT_H * STRIDE), inside_left);
            let x = i32(p % OUT_W * STRIDE);
            let at_y0 = u32(y + shift_y0);
            let at_x0 = u32(x + shift_x0);
            inside0 = at_y0 < H && at_x0 < W;
            let at0 = select(0u, image + at_y0 * W + at_x0, inside0);
            right0 = vec4f(
                source[at0 + (channel0 + 0u) * AREA],
                source[at0 + (channel0 + 1u) * AREA],
                source[at0 + (channel0 + 2u) * AREA],
                source[at0 + (channel0 + 3u) * AREA],
            );
            right1 = vec4f(
                source[at0 + (channel1 + 0u) * AREA],
                source[at0 + (channel1 + 1u) * AREA],
                source[at0 + (channel1 + 2u) * AREA],
                source[at0 + (channel1 + 3u) * AREA],
            );

        }
        {
            let a0 = left[0u * LEFT_ROW + lane_y + 0u];
            let b0 = right[0u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[0u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[1u * LEFT_ROW + lane_y + 0u];
            let b0 = right[1u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[1u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[2u * LEFT_ROW + lane_y + 0u];
            let b0 = right[2u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[2u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[3u * LEFT_ROW + lane_y + 0u];
            let b0 = right[3u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[3u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[4u * LEFT_ROW + lane_y + 0u];
            let b0 = right[4u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[4u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[5u * LEFT_ROW + lane_y + 0u];
            let b0 = right[5u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[5u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[6u * LEFT_ROW + lane_y + 0u];
            let b0 = right[6u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[6u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[7u * LEFT_ROW + lane_y + 0u];
            let b0 = right[7u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[7u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[8u * LEFT_ROW + lane_y + 0u];
            let b0 = right[8u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[8u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[9u * LEFT_ROW + lane_y + 0u];
            let b0 = right[9u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[9u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[10u * LEFT_ROW + lane_y + 0u];
            let b0 = right[10u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[10u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[11u * LEFT_ROW + lane_y + 0u];
            let b0 = right[11u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[11u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[12u * LEFT_ROW + lane_y + 0u];
            let b0 = right[12u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[12u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[13u * LEFT_ROW + lane_y + 0u];
            let b0 = right[13u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[13u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[14u * LEFT_ROW + lane_y + 0u];
            let b0 = right[14u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[14u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }
        {
            let a0 = left[15u * LEFT_ROW + lane_y + 0u];
            let b0 = right[15u * RIGHT_ROW + lane_x + 0u];
            let b1 = right[15u * RIGHT_ROW + lane_x + 8u];
            sum0_0 = fma(a0, vec4f(b0.x), sum0_0);
            sum0_1 = fma(a0, vec4f(b0.y), sum0_1);
            sum0_2 = fma(a0, vec4f(b0.z), sum0_2);
            sum0_3 = fma(a0, vec4f(b0.w), sum0_3);
            sum0_4 = fma(a0, vec4f(b1.x), sum0_4);
            sum0_5 = fma(a0, vec4f(b1.y), sum0_5);
            sum0_6 = fma(a0, vec4f(b1.z), sum0_6);
            sum0_7 = fma(a0, vec4f(b1.w), sum0_7);
        }

        workgroupBarrier();
    }

    {
        let column = column_tile * 64u + 4u * lane_x + 0u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_0.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_0.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_0.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_0.w);
    }
    {
        let column = column_tile * 64u + 4u * lane_x + 1u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_1.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_1.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_1.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_1.w);
    }
    {
        let column = column_tile * 64u + 4u * lane_x + 2u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_2.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_2.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_2.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_2.w);
    }
    {
        let column = column_tile * 64u + 4u * lane_x + 3u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_3.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_3.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_3.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_3.w);
    }
    {
        let column = column_tile * 64u + 4u * lane_x + 32u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_4.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_4.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_4.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_4.w);
    }
    {
        let column = column_tile * 64u + 4u * lane_x + 33u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_5.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_5.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_5.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_5.w);
    }
    {
        let column = column_tile * 64u + 4u * lane_x + 34u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_6.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_6.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_6.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_6.w);
    }
    {
        let column = column_tile * 64u + 4u * lane_x + 35u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_7.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_7.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_7.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_7.w);
    }
}

fn put(slice: u32, row: u32, column: u32, value: f32) {
    if (row < K && column < COLUMNS) {
        slices[(slice * K + row) * COLUMNS + column] = value;
    }
}
