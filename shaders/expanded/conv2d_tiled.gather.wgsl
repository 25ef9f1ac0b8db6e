// Expanded from shaders/conv2d/tiled.wgsl
// for conv2d forward: 128×64×32×32 → 64, 3×3 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: convolution as implicit matrix multiplication in shared memory
//
// Computes   y[n,k,oy,ox]  = Σ_{c,r,s} x[n,c,oy·stride+r−pad,ox·stride+s−pad] · w[k,c,r,s]
//            dx[n,c,iy,ix] = Σ_{k,r,s} dy[n,k,(iy+pad−r)/stride,(ix+pad−s)/stride] · w[k,c,r,s]
//                            over the taps (r, s) whose division has no remainder
//            for any kernel size, stride, padding and size: on a GPU always, on software Vulkan where
//            subgroup.wgsl cannot. The weight gradient is tiled_weight.wgsl's.
//            Each is one product of matrices, of which the larger is never stored: where its tile is
//            loaded, the indices are computed instead.
//              forward        Y[k, pixel]  = Σ over (c, tap)  W[k, (c, tap)] · X[(c, tap), pixel]
//              data gradient  DX[c, pixel] = Σ over (k, tap)  W'[c, (k, tap)] · DY[(k, tap), pixel]
// Layout     group 0
//              pack    0  w       f32[K,C,R,R], read
//                      1  packed  vec4f[row tile][step][depth][row in tile / 4], written: the left
//                                 matrix cut into the tiles that `gather` reads, filled up with zeros
//              gather  0  source  f32[N,C,H,W], x (forward), or f32[N,K,H',W'], dy; read
//                      1  packed  as above, read
//                      2  goal    f32[N,K,H',W'], y, or f32[N,C,H,W], dx; written, or added to
// Split      One workgroup per tile of rows × columns; pixels are counted through the batch (n, row,
//            column), so that 4×4 maps fill tiles, too. It walks the inner dimension in steps of
//            `depth`: both operands' strips go to shared memory, then every invocation multiplies
//            its few rows by its few columns in registers, an outer product for each entry of the
//            inner dimension, all of a step's written out.
//            Invocations stand in a grid over the tile, 8×4 per subgroup of 32 where it allows, so
//            that a subgroup reads only 4 distinct vec4 of the left strip and 8 of the right at a
//            time, adjacent ones. An invocation owns rows 4·(y + i·lanes) to +3, columns
//            4·(x + i·lanes) to +3. It loads four planes of one pixel, so that neighbours load
//            adjacent pixels, whatever their alignment, and stores them one by one: right strips are
//            rows of pixels. The next strips travel to registers while the present ones are
//            multiplied.
//            In the data gradient with a stride, pixels whose row and column leave the same
//            remainders use the same taps. Each such class is a layer of the grid (z) with its own
//            short list of taps: nobody multiplies by zeros. The class with the longest list comes
//            first, so that the last to finish are short.
// Cost       2·N·K·C·R²·H'·W' flops each. With an r×c tile a step moves (r + c)·depth words for
//            2·r·c·depth flops: 64×64 makes 16 flops per byte from cache, and each input is reused
//            by its R² taps while it is in the nearest cache.
// Dropped    on paper: weights read as OIHW (neighbours are C·R² words apart, and packing moves less
//            than 1 % of what the product moves at 64 channels and a batch of 256); scalar sums with
//            dot() (five operations for four products). Measured on an H100: right strips as vec4
//            along the depth, a loop over the step's entries, two strips of each operand in shared
//            memory, 128×128 tiles, 8×16 and 16×8 per invocation; figures in
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

// Rows are output channels. Each pixel of the output gathers from the input.
const ROWS = K;
const CHANNELS = C;
const SOURCE_H = H;
const SOURCE_W = W;
const DEPTH = 16u;
// A step is one tap of DEPTH channels; all taps of these channels, then the next channels:
// the taps find the channels in the cache.
const STEPS = 36u;

// The strips of both operands: left [depth][row / 4], right [depth][column].
const LEFT_ROW = 16u;
const RIGHT_ROW = 64u;
var<workgroup> left: array<vec4f, 256>;
var<workgroup> right: array<f32, 1024>;
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> packed: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> goal: array<f32>;

// The pixels that one layer of the grid computes: the output's (forward), or those of the
// input whose row and column leave the same remainders by the stride (data gradient).
const GRID_H = 32u;
const GRID_W = 32u;
const PIXELS = 131072u;
const SOURCE_AREA = SOURCE_H * SOURCE_W;

// Image, row and column of a pixel.
fn pixel(p: u32) -> vec3u {
    return vec3u(p / (GRID_H * GRID_W), p / GRID_W % GRID_H, p % GRID_W);
}

@compute @workgroup_size(128)
fn gather(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3u,
) {
    // Row tiles of the same pixels are neighbours: they find the pixels in the cache.
    let tile = group.x + group.y * 2048u;
    if (tile >= 2048u) {
        return;
    }
    let row_tile = tile % 1u;
    let column_tile = tile / 1u;
    let lane_x = lane % 8u + lane / 32u % 1u * 8u;
    let lane_y = lane / 8u % 4u + lane / 32u * 4u;

    // The taps of this layer of the grid.
    let taps_x = R;
    let taps = R * R;
    let steps = STEPS;

    // What this lane loads: pixels, and groups of four channels of them.
    let group0 = lane / 64u * 4u;
    let p0 = column_tile * 64u + lane % 64u + 0u;
    let pixel0 = pixel(p0);
    let here0 = p0 < PIXELS;
    let image0 = select(0u, pixel0.x * (CHANNELS * SOURCE_AREA), here0);
    let y0 = select(OUTSIDE, i32(pixel0.y * STRIDE), here0);
    let x0 = i32(pixel0.z * STRIDE);

    // The next strips on their way to shared memory, and the sums.
    var left0: vec4f;
    var left1: vec4f;
    var right0_0: vec4f;
    var right0_1: vec4f;
    var inside0 = true;
    var sum0_0 = vec4f();
    var sum0_1 = vec4f();
    var sum0_2 = vec4f();
    var sum0_3 = vec4f();
    var sum0_4 = vec4f();
    var sum0_5 = vec4f();
    var sum0_6 = vec4f();
    var sum0_7 = vec4f();

    if (steps > 0u) {
            let tap = 0u % taps;
            let tap_y = tap / taps_x;
            let tap_x = tap % taps_x;
            let channel = 0u / taps * DEPTH + group0;
            let strip = row_tile * STEPS + 0u;
            let shift_y = i32(tap_y) - i32(PADDING);
            let shift_x = i32(tap_x) - i32(PADDING);
            left0 = packed[strip * 256u + lane + 0u];
            left1 = packed[strip * 256u + lane + 128u];
            // Outside of the map the lane loads its image's first element, to be zeroed.
            let at_y0 = u32(y0 + shift_y);
            let at_x0 = u32(x0 + shift_x);
            inside0 = at_y0 < SOURCE_H && at_x0 < SOURCE_W;
            let at0 = image0 + channel * SOURCE_AREA
                + select(0u, at_y0 * SOURCE_W + at_x0, inside0);
            right0_0 = vec4f(
                source[at0 + 0u * SOURCE_AREA],
                source[at0 + 1u * SOURCE_AREA],
                source[at0 + 2u * SOURCE_AREA],
                source[at0 + 3u * SOURCE_AREA],
            );
            right0_1 = vec4f(
                source[at0 + 8u * SOURCE_AREA],
                source[at0 + 9u * SOURCE_AREA],
                source[at0 + 10u * SOURCE_AREA],
                source[at0 + 11u * SOURCE_AREA],
            );

    }
    for (var step = 0u; step < steps; step++) {
        left[lane + 0u] = left0;
        left[lane + 128u] = left1;
        {
            let four = select(vec4f(), right0_0, inside0);
            let at = (lane / 64u * 4u + 0u) * RIGHT_ROW
                + lane % 64u + 0u;
            right[at] = four.x;
            right[at + 1u * RIGHT_ROW] = four.y;
            right[at + 2u * RIGHT_ROW] = four.z;
            right[at + 3u * RIGHT_ROW] = four.w;
        }
        {
            let four = select(vec4f(), right0_1, inside0);
            let at = (lane / 64u * 4u + 8u) * RIGHT_ROW
                + lane % 64u + 0u;
            right[at] = four.x;
            right[at + 1u * RIGHT_ROW] = four.y;
            right[at + 2u * RIGHT_ROW] = four.z;
            right[at + 3u * RIGHT_ROW] = four.w;
        }
        workgroupBarrier();
        if (step + 1u < steps) {
            let next = step + 1u;
            let tap = next % taps;
            let tap_y = tap / taps_x;
            let tap_x = tap % taps_x;
            let channel = next / taps * DEPTH + group0;
            let strip = row_tile * STEPS + next;
            let shift_y = i32(tap_y) - i32(PADDING);
            let shift_x = i32(tap_x) - i32(PADDING);
            left0 = packed[strip * 256u + lane + 0u];
            left1 = packed[strip * 256u + lane + 128u];
            // Outside of the map the lane loads its image's first element, to be zeroed.
            let at_y0 = u32(y0 + shift_y);
            let at_x0 = u32(x0 + shift_x);
            inside0 = at_y0 < SOURCE_H && at_x0 < SOURCE_W;
            let at0 = image0 + channel * SOURCE_AREA
                + select(0u, at_y0 * SOURCE_W + at_x0, inside0);
            right0_0 = vec4f(
                source[at0 + 0u * SOURCE_AREA],
                source[at0 + 1u * SOURCE_AREA],
                source[at0 + 2u * SOURCE_AREA],
                source[at0 + 3u * SOURCE_AREA],
            );
            right0_1 = vec4f(
                source[at0 + 8u * SOURCE_AREA],
                source[at0 + 9u * SOURCE_AREA],
                source[at0 + 10u * SOURCE_AREA],
                source[at0 + 11u * SOURCE_AREA],
            );

        }
        {
            let a0 = left[0u * LEFT_ROW + lane_y + 0u];
            let at0 = 0u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 0u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 1u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 1u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 2u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 2u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 3u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 3u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 4u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 4u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 5u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 5u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 6u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 6u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 7u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 7u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 8u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 8u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 9u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 9u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 10u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 10u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 11u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 11u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 12u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 12u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 13u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 13u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 14u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 14u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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
            let at0 = 15u * RIGHT_ROW + 4u * lane_x + 0u;
            let b0 = vec4f(right[at0], right[at0 + 1u], right[at0 + 2u], right[at0 + 3u]);
            let at1 = 15u * RIGHT_ROW + 4u * lane_x + 32u;
            let b1 = vec4f(right[at1], right[at1 + 1u], right[at1 + 2u], right[at1 + 3u]);
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

    let column0 = column_tile * 64u + 4u * lane_x + 0u;
    let out0 = pixel(column0);
    if (column0 < PIXELS) {
        let at = out0.x * (ROWS * GRID_H * GRID_W) + out0.y * GRID_W + out0.z;
        put(at, row_tile * 64u + 4u * lane_y + 0u, sum0_0.x);
        put(at, row_tile * 64u + 4u * lane_y + 1u, sum0_0.y);
        put(at, row_tile * 64u + 4u * lane_y + 2u, sum0_0.z);
        put(at, row_tile * 64u + 4u * lane_y + 3u, sum0_0.w);
    }
    let column1 = column_tile * 64u + 4u * lane_x + 1u;
    let out1 = pixel(column1);
    if (column1 < PIXELS) {
        let at = out1.x * (ROWS * GRID_H * GRID_W) + out1.y * GRID_W + out1.z;
        put(at, row_tile * 64u + 4u * lane_y + 0u, sum0_1.x);
        put(at, row_tile * 64u + 4u * lane_y + 1u, sum0_1.y);
        put(at, row_tile * 64u + 4u * lane_y + 2u, sum0_1.z);
        put(at, row_tile * 64u + 4u * lane_y + 3u, sum0_1.w);
    }
    let column2 = column_tile * 64u + 4u * lane_x + 2u;
    let out2 = pixel(column2);
    if (column2 < PIXELS) {
        let at = out2.x * (ROWS * GRID_H * GRID_W) + out2.y * GRID_W + out2.z;
        put(at, row_tile * 64u + 4u * lane_y + 0u, sum0_2.x);
        put(at, row_tile * 64u + 4u * lane_y + 1u, sum0_2.y);
        put(at, row_tile * 64u + 4u * lane_y + 2u, sum0_2.z);
        put(at, row_tile * 64u + 4u * lane_y + 3u, sum0_2.w);
    }
    let column3 = column_tile * 64u + 4u * lane_x + 3u;
    let out3 = pixel(column3);
    if (column3 < PIXELS) {
        let at = out3.x * (ROWS * GRID_H * GRID_W) + out3.y * GRID_W + out3.z;
        put(at, row_tile * 64u + 4u * lane_y + 0u, sum0_3.x);
        put(at, row_tile * 64u + 4u * lane_y + 1u, sum0_3.y);
        put(at, row_tile * 64u + 4u * lane_y + 2u, sum0_3.z);
        put(at, row_tile * 64u + 4u * lane_y + 3u, sum0_3.w);
    }
    let column4 = column_tile * 64u + 4u * lane_x + 32u;
    let out4 = pixel(column4);
    if (column4 < PIXELS) {
        let at = out4.x * (ROWS * GRID_H * GRID_W) + out4.y * GRID_W + out4.z;
        put(at, row_tile * 64u + 4u * lane_y + 0u, sum0_4.x);
        put(at, row_tile * 64u + 4u * lane_y + 1u, sum0_4.y);
        put(at, row_tile * 64u + 4u * lane_y + 2u, sum0_4.z);
        put(at, row_tile * 64u + 4u * lane_y + 3u, sum0_4.w);
    }
    let column5 = column_tile * 64u + 4u * lane_x + 33u;
    let out5 = pixel(column5);
    if (column5 < PIXELS) {
        let at = out5.x * (ROWS * GRID_H * GRID_W) + out5.y * GRID_W + out5.z;
        put(at, row_tile * 64u + 4u * lane_y + 0u, sum0_5.x);
        put(at, row_tile * 64u + 4u * lane_y + 1u, sum0_5.y);
        put(at, row_tile * 64u + 4u * lane_y + 2u, sum0_5.z);
        put(at, row_tile * 64u + 4u * lane_y + 3u, sum0_5.w);
    }
    let column6 = column_tile * 64u + 4u * lane_x + 34u;
    let out6 = pixel(column6);
    if (column6 < PIXELS) {
        let at = out6.x * (ROWS * GRID_H * GRID_W) + out6.y * GRID_W + out6.z;
        put(at, row_tile * 64u + 4u * lane_y + 0u, sum0_6.x);
        put(at, row_tile * 64u + 4u * lane_y + 1u, sum0_6.y);
        put(at, row_tile * 64u + 4u * lane_y + 2u, sum0_6.z);
        put(at, row_tile * 64u + 4u * lane_y + 3u, sum0_6.w);
    }
    let column7 = column_tile * 64u + 4u * lane_x + 35u;
    let out7 = pixel(column7);
    if (column7 < PIXELS) {
        let at = out7.x * (ROWS * GRID_H * GRID_W) + out7.y * GRID_W + out7.z;
        put(at, row_tile * 64u + 4u * lane_y + 0u, sum0_7.x);
        put(at, row_tile * 64u + 4u * lane_y + 1u, sum0_7.y);
        put(at, row_tile * 64u + 4u * lane_y + 2u, sum0_7.z);
        put(at, row_tile * 64u + 4u * lane_y + 3u, sum0_7.w);
    }
}

fn put(at: u32, row: u32, value: f32) {
    goal[at + row * (OUT_H * OUT_W)] = value;
}
