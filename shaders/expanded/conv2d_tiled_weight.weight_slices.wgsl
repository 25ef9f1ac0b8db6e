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
// Dropped    on paper: atomics for the slices (not repeatable).

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

// The strips of both operands: left [depth][row / 4], right [depth / 4][column].
const LEFT_ROW = 17u;
const RIGHT_ROW = 66u;
var<workgroup> left: array<vec4f, 272>;
var<workgroup> right: array<vec4f, 264>;
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> slices: array<f32>;

const PIXELS = 131072u;
const SLICE = 1152u;
const COLUMNS = R * R * C;
const AREA = H * W;
const OUT_AREA = OUT_H * OUT_W;

@compute @workgroup_size(64)
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
    let column0 = column_tile * 64u + lane / 4u;
    // All columns of the tile belong to one tap.
    let tap0 = column_tile * 64u / C;
    let shift_y0 = i32(tap0 / R) - i32(PADDING);
    let shift_x0 = i32(tap0 % R) - i32(PADDING);
    let channel0 = (column0 + 0u) % C;
    let channel1 = (column0 + 16u) % C;
    let channel2 = (column0 + 32u) % C;
    let channel3 = (column0 + 48u) % C;

    // The next strips on their way to shared memory, and the sums.
    var left0: vec4f;
    var left1: vec4f;
    var left2: vec4f;
    var left3: vec4f;
    var right0: vec4f;
    var right1: vec4f;
    var right2: vec4f;
    var right3: vec4f;
    var inside_left: bool;
    var inside0: vec4<bool>;
    var sum0_0 = vec4f();
    var sum0_1 = vec4f();
    var sum0_2 = vec4f();
    var sum0_3 = vec4f();
    var sum0_4 = vec4f();
    var sum0_5 = vec4f();
    var sum0_6 = vec4f();
    var sum0_7 = vec4f();
    var sum1_0 = vec4f();
    var sum1_1 = vec4f();
    var sum1_2 = vec4f();
    var sum1_3 = vec4f();
    var sum1_4 = vec4f();
    var sum1_5 = vec4f();
    var sum1_6 = vec4f();
    var sum1_7 = vec4f();

    {
            // Four output channels of one pixel.
            let pl = slice * SLICE + 0u * 16u + lane % 16u;
            inside_left = pl < PIXELS;
            let at_left = select(0u, pl / OUT_AREA * (K * OUT_AREA) + pl % OUT_AREA, inside_left);
            left0 = vec4f(
                dy[at_left + (row0 + 0u) * OUT_AREA],
                dy[at_left + (row0 + 1u) * OUT_AREA],
                dy[at_left + (row0 + 2u) * OUT_AREA],
                dy[at_left + (row0 + 3u) * OUT_AREA],
            );
            left1 = vec4f(
                dy[at_left + (row0 + 16u) * OUT_AREA],
                dy[at_left + (row0 + 17u) * OUT_AREA],
                dy[at_left + (row0 + 18u) * OUT_AREA],
                dy[at_left + (row0 + 19u) * OUT_AREA],
            );
            left2 = vec4f(
                dy[at_left + (row0 + 32u) * OUT_AREA],
                dy[at_left + (row0 + 33u) * OUT_AREA],
                dy[at_left + (row0 + 34u) * OUT_AREA],
                dy[at_left + (row0 + 35u) * OUT_AREA],
            );
            left3 = vec4f(
                dy[at_left + (row0 + 48u) * OUT_AREA],
                dy[at_left + (row0 + 49u) * OUT_AREA],
                dy[at_left + (row0 + 50u) * OUT_AREA],
                dy[at_left + (row0 + 51u) * OUT_AREA],
            );
            // Four adjacent pixels, moved by the tap, of each column.
            let p0 = slice * SLICE + 0u * 16u + lane % 4u * 4u + 0u;
            let image0 = p0 / OUT_AREA * (C * AREA);
            let y0 = select(OUTSIDE, i32(p0 / OUT_W % OUT_H * STRIDE), p0 < PIXELS);
            let x0 = i32(p0 % OUT_W * STRIDE);
            let image1 = image0;
            let y1 = y0;
            let x1 = x0 + 1 * i32(STRIDE);
            let image2 = image0;
            let y2 = y0;
            let x2 = x0 + 2 * i32(STRIDE);
            let image3 = image0;
            let y3 = y0;
            let x3 = x0 + 3 * i32(STRIDE);
            let at_y0_0 = u32(y0 + shift_y0);
            let at_x0_0 = u32(x0 + shift_x0);
            let inside0_0 = at_y0_0 < H && at_x0_0 < W;
            let at0_0 =
                select(0u, image0 + at_y0_0 * W + at_x0_0, inside0_0);
            let at_y0_1 = u32(y1 + shift_y0);
            let at_x0_1 = u32(x1 + shift_x0);
            let inside0_1 = at_y0_1 < H && at_x0_1 < W;
            let at0_1 =
                select(0u, image1 + at_y0_1 * W + at_x0_1, inside0_1);
            let at_y0_2 = u32(y2 + shift_y0);
            let at_x0_2 = u32(x2 + shift_x0);
            let inside0_2 = at_y0_2 < H && at_x0_2 < W;
            let at0_2 =
                select(0u, image2 + at_y0_2 * W + at_x0_2, inside0_2);
            let at_y0_3 = u32(y3 + shift_y0);
            let at_x0_3 = u32(x3 + shift_x0);
            let inside0_3 = at_y0_3 < H && at_x0_3 < W;
            let at0_3 =
                select(0u, image3 + at_y0_3 * W + at_x0_3, inside0_3);
            inside0 = vec4<bool>(inside0_0, inside0_1, inside0_2, inside0_3);
            right0 = vec4f(
                source[at0_0 + channel0 * AREA],
                source[at0_1 + channel0 * AREA],
                source[at0_2 + channel0 * AREA],
                source[at0_3 + channel0 * AREA],
            );
            right1 = vec4f(
                source[at0_0 + channel1 * AREA],
                source[at0_1 + channel1 * AREA],
                source[at0_2 + channel1 * AREA],
                source[at0_3 + channel1 * AREA],
            );
            right2 = vec4f(
                source[at0_0 + channel2 * AREA],
                source[at0_1 + channel2 * AREA],
                source[at0_2 + channel2 * AREA],
                source[at0_3 + channel2 * AREA],
            );
            right3 = vec4f(
                source[at0_0 + channel3 * AREA],
                source[at0_1 + channel3 * AREA],
                source[at0_2 + channel3 * AREA],
                source[at0_3 + channel3 * AREA],
            );

    }
    for (var step = 0u; step < 72u; step++) {
        left[lane % 16u * LEFT_ROW + lane / 16u + 0u] =
            select(vec4f(), left0, inside_left);
        left[lane % 16u * LEFT_ROW + lane / 16u + 4u] =
            select(vec4f(), left1, inside_left);
        left[lane % 16u * LEFT_ROW + lane / 16u + 8u] =
            select(vec4f(), left2, inside_left);
        left[lane % 16u * LEFT_ROW + lane / 16u + 12u] =
            select(vec4f(), left3, inside_left);
        right[lane % 4u * RIGHT_ROW + lane / 4u + 0u] =
            select(vec4f(), right0, inside0);
        right[lane % 4u * RIGHT_ROW + lane / 4u + 16u] =
            select(vec4f(), right1, inside0);
        right[lane % 4u * RIGHT_ROW + lane / 4u + 32u] =
            select(vec4f(), right2, inside0);
        right[lane % 4u * RIGHT_ROW + lane / 4u + 48u] =
            select(vec4f(), right3, inside0);
        workgroupBarrier();
        if (step + 1u < 72u) {
            let next = step + 1u;
            // Four output channels of one pixel.
            let pl = slice * SLICE + next * 16u + lane % 16u;
            inside_left = pl < PIXELS;
            let at_left = select(0u, pl / OUT_AREA * (K * OUT_AREA) + pl % OUT_AREA, inside_left);
            left0 = vec4f(
                dy[at_left + (row0 + 0u) * OUT_AREA],
                dy[at_left + (row0 + 1u) * OUT_AREA],
                dy[at_left + (row0 + 2u) * OUT_AREA],
                dy[at_left + (row0 + 3u) * OUT_AREA],
            );
            left1 = vec4f(
                dy[at_left + (row0 + 16u) * OUT_AREA],
                dy[at_left + (row0 + 17u) * OUT_AREA],
                dy[at_left + (row0 + 18u) * OUT_AREA],
                dy[at_left + (row0 + 19u) * OUT_AREA],
            );
            left2 = vec4f(
                dy[at_left + (row0 + 32u) * OUT_AREA],
                dy[at_left + (row0 + 33u) * OUT_AREA],
                dy[at_left + (row0 + 34u) * OUT_AREA],
                dy[at_left + (row0 + 35u) * OUT_AREA],
            );
            left3 = vec4f(
                dy[at_left + (row0 + 48u) * OUT_AREA],
                dy[at_left + (row0 + 49u) * OUT_AREA],
                dy[at_left + (row0 + 50u) * OUT_AREA],
                dy[at_left + (row0 + 51u) * OUT_AREA],
            );
            // Four adjacent pixels, moved by the tap, of each column.
            let p0 = slice * SLICE + next * 16u + lane % 4u * 4u + 0u;
            let image0 = p0 / OUT_AREA * (C * AREA);
            let y0 = select(OUTSIDE, i32(p0 / OUT_W % OUT_H * STRIDE), p0 < PIXELS);
            let x0 = i32(p0 % OUT_W * STRIDE);
            let image1 = image0;
            let y1 = y0;
            let x1 = x0 + 1 * i32(STRIDE);
            let image2 = image0;
            let y2 = y0;
            let x2 = x0 + 2 * i32(STRIDE);
            let image3 = image0;
            let y3 = y0;
            let x3 = x0 + 3 * i32(STRIDE);
            let at_y0_0 = u32(y0 + shift_y0);
            let at_x0_0 = u32(x0 + shift_x0);
            let inside0_0 = at_y0_0 < H && at_x0_0 < W;
            let at0_0 =
                select(0u, image0 + at_y0_0 * W + at_x0_0, inside0_0);
            let at_y0_1 = u32(y1 + shift_y0);
            let at_x0_1 = u32(x1 + shift_x0);
            let inside0_1 = at_y0_1 < H && at_x0_1 < W;
            let at0_1 =
                select(0u, image1 + at_y0_1 * W + at_x0_1, inside0_1);
            let at_y0_2 = u32(y2 + shift_y0);
            let at_x0_2 = u32(x2 + shift_x0);
            let inside0_2 = at_y0_2 < H && at_x0_2 < W;
            let at0_2 =
                select(0u, image2 + at_y0_2 * W + at_x0_2, inside0_2);
            let at_y0_3 = u32(y3 + shift_y0);
            let at_x0_3 = u32(x3 + shift_x0);
            let inside0_3 = at_y0_3 < H && at_x0_3 < W;
            let at0_3 =
                select(0u, image3 + at_y0_3 * W + at_x0_3, inside0_3);
            inside0 = vec4<bool>(inside0_0, inside0_1, inside0_2, inside0_3);
            right0 = vec4f(
                source[at0_0 + channel0 * AREA],
                source[at0_1 + channel0 * AREA],
                source[at0_2 + channel0 * AREA],
                source[at0_3 + channel0 * AREA],
            );
            right1 = vec4f(
                source[at0_0 + channel1 * AREA],
                source[at0_1 + channel1 * AREA],
                source[at0_2 + channel1 * AREA],
                source[at0_3 + channel1 * AREA],
            );
            right2 = vec4f(
                source[at0_0 + channel2 * AREA],
                source[at0_1 + channel2 * AREA],
                source[at0_2 + channel2 * AREA],
                source[at0_3 + channel2 * AREA],
            );
            right3 = vec4f(
                source[at0_0 + channel3 * AREA],
                source[at0_1 + channel3 * AREA],
                source[at0_2 + channel3 * AREA],
                source[at0_3 + channel3 * AREA],
            );

        }
        for (var d = 0u; d < 4u; d++) {
            let a0_0 = left[(4u * d + 0u) * LEFT_ROW + lane_y + 0u];
            let a0_1 = left[(4u * d + 0u) * LEFT_ROW + lane_y + 8u];
            let a1_0 = left[(4u * d + 1u) * LEFT_ROW + lane_y + 0u];
            let a1_1 = left[(4u * d + 1u) * LEFT_ROW + lane_y + 8u];
            let a2_0 = left[(4u * d + 2u) * LEFT_ROW + lane_y + 0u];
            let a2_1 = left[(4u * d + 2u) * LEFT_ROW + lane_y + 8u];
            let a3_0 = left[(4u * d + 3u) * LEFT_ROW + lane_y + 0u];
            let a3_1 = left[(4u * d + 3u) * LEFT_ROW + lane_y + 8u];
            let b0 = right[d * RIGHT_ROW + lane_x + 0u];
            sum0_0 = fma(a0_0, vec4f(b0.x), sum0_0);
            sum1_0 = fma(a0_1, vec4f(b0.x), sum1_0);
            sum0_0 = fma(a1_0, vec4f(b0.y), sum0_0);
            sum1_0 = fma(a1_1, vec4f(b0.y), sum1_0);
            sum0_0 = fma(a2_0, vec4f(b0.z), sum0_0);
            sum1_0 = fma(a2_1, vec4f(b0.z), sum1_0);
            sum0_0 = fma(a3_0, vec4f(b0.w), sum0_0);
            sum1_0 = fma(a3_1, vec4f(b0.w), sum1_0);
            let b1 = right[d * RIGHT_ROW + lane_x + 8u];
            sum0_1 = fma(a0_0, vec4f(b1.x), sum0_1);
            sum1_1 = fma(a0_1, vec4f(b1.x), sum1_1);
            sum0_1 = fma(a1_0, vec4f(b1.y), sum0_1);
            sum1_1 = fma(a1_1, vec4f(b1.y), sum1_1);
            sum0_1 = fma(a2_0, vec4f(b1.z), sum0_1);
            sum1_1 = fma(a2_1, vec4f(b1.z), sum1_1);
            sum0_1 = fma(a3_0, vec4f(b1.w), sum0_1);
            sum1_1 = fma(a3_1, vec4f(b1.w), sum1_1);
            let b2 = right[d * RIGHT_ROW + lane_x + 16u];
            sum0_2 = fma(a0_0, vec4f(b2.x), sum0_2);
            sum1_2 = fma(a0_1, vec4f(b2.x), sum1_2);
            sum0_2 = fma(a1_0, vec4f(b2.y), sum0_2);
            sum1_2 = fma(a1_1, vec4f(b2.y), sum1_2);
            sum0_2 = fma(a2_0, vec4f(b2.z), sum0_2);
            sum1_2 = fma(a2_1, vec4f(b2.z), sum1_2);
            sum0_2 = fma(a3_0, vec4f(b2.w), sum0_2);
            sum1_2 = fma(a3_1, vec4f(b2.w), sum1_2);
            let b3 = right[d * RIGHT_ROW + lane_x + 24u];
            sum0_3 = fma(a0_0, vec4f(b3.x), sum0_3);
            sum1_3 = fma(a0_1, vec4f(b3.x), sum1_3);
            sum0_3 = fma(a1_0, vec4f(b3.y), sum0_3);
            sum1_3 = fma(a1_1, vec4f(b3.y), sum1_3);
            sum0_3 = fma(a2_0, vec4f(b3.z), sum0_3);
            sum1_3 = fma(a2_1, vec4f(b3.z), sum1_3);
            sum0_3 = fma(a3_0, vec4f(b3.w), sum0_3);
            sum1_3 = fma(a3_1, vec4f(b3.w), sum1_3);
            let b4 = right[d * RIGHT_ROW + lane_x + 32u];
            sum0_4 = fma(a0_0, vec4f(b4.x), sum0_4);
            sum1_4 = fma(a0_1, vec4f(b4.x), sum1_4);
            sum0_4 = fma(a1_0, vec4f(b4.y), sum0_4);
            sum1_4 = fma(a1_1, vec4f(b4.y), sum1_4);
            sum0_4 = fma(a2_0, vec4f(b4.z), sum0_4);
            sum1_4 = fma(a2_1, vec4f(b4.z), sum1_4);
            sum0_4 = fma(a3_0, vec4f(b4.w), sum0_4);
            sum1_4 = fma(a3_1, vec4f(b4.w), sum1_4);
            let b5 = right[d * RIGHT_ROW + lane_x + 40u];
            sum0_5 = fma(a0_0, vec4f(b5.x), sum0_5);
            sum1_5 = fma(a0_1, vec4f(b5.x), sum1_5);
            sum0_5 = fma(a1_0, vec4f(b5.y), sum0_5);
            sum1_5 = fma(a1_1, vec4f(b5.y), sum1_5);
            sum0_5 = fma(a2_0, vec4f(b5.z), sum0_5);
            sum1_5 = fma(a2_1, vec4f(b5.z), sum1_5);
            sum0_5 = fma(a3_0, vec4f(b5.w), sum0_5);
            sum1_5 = fma(a3_1, vec4f(b5.w), sum1_5);
            let b6 = right[d * RIGHT_ROW + lane_x + 48u];
            sum0_6 = fma(a0_0, vec4f(b6.x), sum0_6);
            sum1_6 = fma(a0_1, vec4f(b6.x), sum1_6);
            sum0_6 = fma(a1_0, vec4f(b6.y), sum0_6);
            sum1_6 = fma(a1_1, vec4f(b6.y), sum1_6);
            sum0_6 = fma(a2_0, vec4f(b6.z), sum0_6);
            sum1_6 = fma(a2_1, vec4f(b6.z), sum1_6);
            sum0_6 = fma(a3_0, vec4f(b6.w), sum0_6);
            sum1_6 = fma(a3_1, vec4f(b6.w), sum1_6);
            let b7 = right[d * RIGHT_ROW + lane_x + 56u];
            sum0_7 = fma(a0_0, vec4f(b7.x), sum0_7);
            sum1_7 = fma(a0_1, vec4f(b7.x), sum1_7);
            sum0_7 = fma(a1_0, vec4f(b7.y), sum0_7);
            sum1_7 = fma(a1_1, vec4f(b7.y), sum1_7);
            sum0_7 = fma(a2_0, vec4f(b7.z), sum0_7);
            sum1_7 = fma(a2_1, vec4f(b7.z), sum1_7);
            sum0_7 = fma(a3_0, vec4f(b7.w), sum0_7);
            sum1_7 = fma(a3_1, vec4f(b7.w), sum1_7);
        }

        workgroupBarrier();
    }

    {
        let column = column_tile * 64u + lane_x + 0u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_0.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_0.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_0.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_0.w);
        put(slice, row_tile * 64u + 4u * lane_y + 32u, column, sum1_0.x);
        put(slice, row_tile * 64u + 4u * lane_y + 33u, column, sum1_0.y);
        put(slice, row_tile * 64u + 4u * lane_y + 34u, column, sum1_0.z);
        put(slice, row_tile * 64u + 4u * lane_y + 35u, column, sum1_0.w);
    }
    {
        let column = column_tile * 64u + lane_x + 8u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_1.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_1.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_1.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_1.w);
        put(slice, row_tile * 64u + 4u * lane_y + 32u, column, sum1_1.x);
        put(slice, row_tile * 64u + 4u * lane_y + 33u, column, sum1_1.y);
        put(slice, row_tile * 64u + 4u * lane_y + 34u, column, sum1_1.z);
        put(slice, row_tile * 64u + 4u * lane_y + 35u, column, sum1_1.w);
    }
    {
        let column = column_tile * 64u + lane_x + 16u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_2.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_2.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_2.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_2.w);
        put(slice, row_tile * 64u + 4u * lane_y + 32u, column, sum1_2.x);
        put(slice, row_tile * 64u + 4u * lane_y + 33u, column, sum1_2.y);
        put(slice, row_tile * 64u + 4u * lane_y + 34u, column, sum1_2.z);
        put(slice, row_tile * 64u + 4u * lane_y + 35u, column, sum1_2.w);
    }
    {
        let column = column_tile * 64u + lane_x + 24u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_3.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_3.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_3.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_3.w);
        put(slice, row_tile * 64u + 4u * lane_y + 32u, column, sum1_3.x);
        put(slice, row_tile * 64u + 4u * lane_y + 33u, column, sum1_3.y);
        put(slice, row_tile * 64u + 4u * lane_y + 34u, column, sum1_3.z);
        put(slice, row_tile * 64u + 4u * lane_y + 35u, column, sum1_3.w);
    }
    {
        let column = column_tile * 64u + lane_x + 32u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_4.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_4.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_4.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_4.w);
        put(slice, row_tile * 64u + 4u * lane_y + 32u, column, sum1_4.x);
        put(slice, row_tile * 64u + 4u * lane_y + 33u, column, sum1_4.y);
        put(slice, row_tile * 64u + 4u * lane_y + 34u, column, sum1_4.z);
        put(slice, row_tile * 64u + 4u * lane_y + 35u, column, sum1_4.w);
    }
    {
        let column = column_tile * 64u + lane_x + 40u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_5.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_5.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_5.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_5.w);
        put(slice, row_tile * 64u + 4u * lane_y + 32u, column, sum1_5.x);
        put(slice, row_tile * 64u + 4u * lane_y + 33u, column, sum1_5.y);
        put(slice, row_tile * 64u + 4u * lane_y + 34u, column, sum1_5.z);
        put(slice, row_tile * 64u + 4u * lane_y + 35u, column, sum1_5.w);
    }
    {
        let column = column_tile * 64u + lane_x + 48u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_6.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_6.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_6.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_6.w);
        put(slice, row_tile * 64u + 4u * lane_y + 32u, column, sum1_6.x);
        put(slice, row_tile * 64u + 4u * lane_y + 33u, column, sum1_6.y);
        put(slice, row_tile * 64u + 4u * lane_y + 34u, column, sum1_6.z);
        put(slice, row_tile * 64u + 4u * lane_y + 35u, column, sum1_6.w);
    }
    {
        let column = column_tile * 64u + lane_x + 56u;
        put(slice, row_tile * 64u + 4u * lane_y + 0u, column, sum0_7.x);
        put(slice, row_tile * 64u + 4u * lane_y + 1u, column, sum0_7.y);
        put(slice, row_tile * 64u + 4u * lane_y + 2u, column, sum0_7.z);
        put(slice, row_tile * 64u + 4u * lane_y + 3u, column, sum0_7.w);
        put(slice, row_tile * 64u + 4u * lane_y + 32u, column, sum1_7.x);
        put(slice, row_tile * 64u + 4u * lane_y + 33u, column, sum1_7.y);
        put(slice, row_tile * 64u + 4u * lane_y + 34u, column, sum1_7.z);
        put(slice, row_tile * 64u + 4u * lane_y + 35u, column, sum1_7.w);
    }
}

fn put(slice: u32, row: u32, column: u32, value: f32) {
    if (row < K && column < COLUMNS) {
        slices[(slice * K + row) * COLUMNS + column] = value;
    }
}
