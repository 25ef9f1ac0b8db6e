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

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read_write> packed: array<vec4f>;

fn weight(row: u32, channel: u32, tap: u32) -> f32 {
    if (row >= ROWS || channel >= CHANNELS) {
        return 0.0;
    }
    return w[(row * C + channel) * (R * R) + tap];
}

@compute @workgroup_size(64)
fn pack(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 64u + lane; i < min((group.x + 1u) * 64u, 9216u); i += 64u) {
        let quad = i % 16u;
        let j = i / 16u % DEPTH;
        let step = i / 256u % STEPS;
        let row = i / (256u * STEPS) * 64u + 4u * quad;
        let channel = step / (R * R) * DEPTH + j;
        let tap = step % (R * R);
        packed[i] = vec4f(
            weight(row, channel, tap),
            weight(row + 1u, channel, tap),
            weight(row + 2u, channel, tap),
            weight(row + 3u, channel, tap),
        );
    }
}
