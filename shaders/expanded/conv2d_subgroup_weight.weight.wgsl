// Expanded from shaders/conv2d/subgroup_weight.wgsl
// for conv2d weight_gradient: 128×64×32×32 → 64, 3×3 (tiling cpu (8 lanes)).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: weight gradient of a convolution, channels in the lanes of one subgroup
//
// Computes   dw[k,c,r,s] = Σ_{n,oy,ox} dy[n,k,oy,ox] · x[n,c,oy·stride+r−pad,ox·stride+s−pad]
//            as one partial sum per slice; subgroup_weight_sum.wgsl adds slices, if several.
// Layout     group 0
//              0  x        f32[N,C,H,W] as vec4, read, from a buffer or a texture, perhaps padded or
//                          unfolded
//              1  dy       f32[N,K,H',W'] as vec4, likewise; padding is zero and adds nothing
//              2  partial  f32[slices,K,C,R,R], written: dw itself where there is one slice
// Split      A workgroup is one subgroup: 8×8 channels, one slice of the images. A lane
//            owns 1 input channel(s): 72 sums in named variables.
//            It walks down a segment of 8 columns of dy, 1 row(s) at a time, then takes the
//            next segment.
//            The gradients of all 8 output channels are loaded by the lanes, a channel each, and
//            broadcast by shuffles with a literal lane. Every pixel of x stays in a register for all
//            the taps and channels that meet it. What a tap would read beyond a border that lies at
//            the segment's end is left out of the text.
// Cost       2·N·K·C·R²·H'·W' flops; x is read K/8 times, dy C/8 times.
// Dropped    pixels in the lanes (what subgroup_weight_stem.wgsl does for few channels):
//            docs/rejected-optimizations.md, "Convolution in a subgroup".

@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
fn load_x(i: u32) -> vec4f { return textureLoad(x, vec2u(i % 4096u, i / 4096u)); }
@group(0) @binding(1) var dy: texture_storage_2d<rgba32float, read>;
fn load_dy(i: u32) -> vec4f { return textureLoad(dy, vec2u(i % 4096u, i / 4096u)); }
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;

// In vec4s: width of a row, size of a channel.
const IN_ROW = 8u;
const IN_MAP = 256u;
const OUT_ROW = 8u;
const OUT_MAP = 256u;
// Segments in a row.
const PER_ROW = 4u;

@compute @workgroup_size(8)
fn weight(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let k = tile.y * 8u;
    let c = tile.x * 8u;
    // Channels of this lane; past the end they repeat the last one and store nothing.
    let k0 = min(k + 0u + lane, 63u);
    let c0 = min(c + 0u + lane, 63u);

    // sum{k}_{channel block}_{tap}
    var sum0_0_0 = 0.0;
    var sum0_0_1 = 0.0;
    var sum0_0_2 = 0.0;
    var sum0_0_3 = 0.0;
    var sum0_0_4 = 0.0;
    var sum0_0_5 = 0.0;
    var sum0_0_6 = 0.0;
    var sum0_0_7 = 0.0;
    var sum0_0_8 = 0.0;
    var sum1_0_0 = 0.0;
    var sum1_0_1 = 0.0;
    var sum1_0_2 = 0.0;
    var sum1_0_3 = 0.0;
    var sum1_0_4 = 0.0;
    var sum1_0_5 = 0.0;
    var sum1_0_6 = 0.0;
    var sum1_0_7 = 0.0;
    var sum1_0_8 = 0.0;
    var sum2_0_0 = 0.0;
    var sum2_0_1 = 0.0;
    var sum2_0_2 = 0.0;
    var sum2_0_3 = 0.0;
    var sum2_0_4 = 0.0;
    var sum2_0_5 = 0.0;
    var sum2_0_6 = 0.0;
    var sum2_0_7 = 0.0;
    var sum2_0_8 = 0.0;
    var sum3_0_0 = 0.0;
    var sum3_0_1 = 0.0;
    var sum3_0_2 = 0.0;
    var sum3_0_3 = 0.0;
    var sum3_0_4 = 0.0;
    var sum3_0_5 = 0.0;
    var sum3_0_6 = 0.0;
    var sum3_0_7 = 0.0;
    var sum3_0_8 = 0.0;
    var sum4_0_0 = 0.0;
    var sum4_0_1 = 0.0;
    var sum4_0_2 = 0.0;
    var sum4_0_3 = 0.0;
    var sum4_0_4 = 0.0;
    var sum4_0_5 = 0.0;
    var sum4_0_6 = 0.0;
    var sum4_0_7 = 0.0;
    var sum4_0_8 = 0.0;
    var sum5_0_0 = 0.0;
    var sum5_0_1 = 0.0;
    var sum5_0_2 = 0.0;
    var sum5_0_3 = 0.0;
    var sum5_0_4 = 0.0;
    var sum5_0_5 = 0.0;
    var sum5_0_6 = 0.0;
    var sum5_0_7 = 0.0;
    var sum5_0_8 = 0.0;
    var sum6_0_0 = 0.0;
    var sum6_0_1 = 0.0;
    var sum6_0_2 = 0.0;
    var sum6_0_3 = 0.0;
    var sum6_0_4 = 0.0;
    var sum6_0_5 = 0.0;
    var sum6_0_6 = 0.0;
    var sum6_0_7 = 0.0;
    var sum6_0_8 = 0.0;
    var sum7_0_0 = 0.0;
    var sum7_0_1 = 0.0;
    var sum7_0_2 = 0.0;
    var sum7_0_3 = 0.0;
    var sum7_0_4 = 0.0;
    var sum7_0_5 = 0.0;
    var sum7_0_6 = 0.0;
    var sum7_0_7 = 0.0;
    var sum7_0_8 = 0.0;

    let first = tile.z * 32u;
    for (var segment = first; segment < min(first + 32u, 512u); segment++) {
        let n = segment / PER_ROW;
        let start = segment % PER_ROW * 2u;
        let at_left = start > 0u;
        let at_right = start + 2u < OUT_ROW;
        var x_at0 =
            (n * 64u + c0) * IN_MAP + start * 1u;
        var dy_at0 = (n * 64u + k0) * OUT_MAP + start;

        // x{channel block}_{row}_{vec4 of the row, or l and r for the pixels beside}
        var x0_0_0 = vec4f();
        var x0_0_1 = vec4f();
        var x0_0_l = 0.0;
        var x0_0_r = 0.0;
        let at0_1 = x_at0;
        var x0_1_0 = load_x(at0_1 + 0u);
        var x0_1_1 = load_x(at0_1 + 1u);
        var x0_1_l =
            select(0.0, load_x(select(at0_1, at0_1 - 1u, at_left)).w, at_left && true);
        var x0_1_r =
            select(0.0, load_x(select(at0_1, at0_1 + 2u, at_right)).x, at_right && true);
        for (var row = 0u; row < 32u; row += 1u) {
        let below = row + 1u < 32u;
        let at0_2 = select(x_at0, x_at0 + 1u * IN_ROW, below);
        let x0_2_0 = select(vec4f(), load_x(at0_2 + 0u), below);
        let x0_2_1 = select(vec4f(), load_x(at0_2 + 1u), below);
        let x0_2_l =
            select(0.0, load_x(select(at0_2, at0_2 - 1u, at_left)).w, at_left && below);
        let x0_2_r =
            select(0.0, load_x(select(at0_2, at0_2 + 2u, at_right)).x, at_right && below);
        let dy0_0_0 = load_dy(dy_at0 + 0u * OUT_ROW + 0u);
        let dy0_1_0 = load_dy(dy_at0 + 0u * OUT_ROW + 1u);
        let dy0_0_of_0 =
            subgroupShuffle(dy0_0_0.x, 0u);
        sum0_0_0 += dy0_0_of_0 * x0_0_l;
        sum0_0_1 += dy0_0_of_0 * x0_0_0.x;
        sum0_0_2 += dy0_0_of_0 * x0_0_0.y;
        sum0_0_3 += dy0_0_of_0 * x0_1_l;
        sum0_0_4 += dy0_0_of_0 * x0_1_0.x;
        sum0_0_5 += dy0_0_of_0 * x0_1_0.y;
        sum0_0_6 += dy0_0_of_0 * x0_2_l;
        sum0_0_7 += dy0_0_of_0 * x0_2_0.x;
        sum0_0_8 += dy0_0_of_0 * x0_2_0.y;
        let dy0_1_of_0 =
            subgroupShuffle(dy0_0_0.y, 0u);
        sum0_0_0 += dy0_1_of_0 * x0_0_0.x;
        sum0_0_1 += dy0_1_of_0 * x0_0_0.y;
        sum0_0_2 += dy0_1_of_0 * x0_0_0.z;
        sum0_0_3 += dy0_1_of_0 * x0_1_0.x;
        sum0_0_4 += dy0_1_of_0 * x0_1_0.y;
        sum0_0_5 += dy0_1_of_0 * x0_1_0.z;
        sum0_0_6 += dy0_1_of_0 * x0_2_0.x;
        sum0_0_7 += dy0_1_of_0 * x0_2_0.y;
        sum0_0_8 += dy0_1_of_0 * x0_2_0.z;
        let dy0_2_of_0 =
            subgroupShuffle(dy0_0_0.z, 0u);
        sum0_0_0 += dy0_2_of_0 * x0_0_0.y;
        sum0_0_1 += dy0_2_of_0 * x0_0_0.z;
        sum0_0_2 += dy0_2_of_0 * x0_0_0.w;
        sum0_0_3 += dy0_2_of_0 * x0_1_0.y;
        sum0_0_4 += dy0_2_of_0 * x0_1_0.z;
        sum0_0_5 += dy0_2_of_0 * x0_1_0.w;
        sum0_0_6 += dy0_2_of_0 * x0_2_0.y;
        sum0_0_7 += dy0_2_of_0 * x0_2_0.z;
        sum0_0_8 += dy0_2_of_0 * x0_2_0.w;
        let dy0_3_of_0 =
            subgroupShuffle(dy0_0_0.w, 0u);
        sum0_0_0 += dy0_3_of_0 * x0_0_0.z;
        sum0_0_1 += dy0_3_of_0 * x0_0_0.w;
        sum0_0_2 += dy0_3_of_0 * x0_0_1.x;
        sum0_0_3 += dy0_3_of_0 * x0_1_0.z;
        sum0_0_4 += dy0_3_of_0 * x0_1_0.w;
        sum0_0_5 += dy0_3_of_0 * x0_1_1.x;
        sum0_0_6 += dy0_3_of_0 * x0_2_0.z;
        sum0_0_7 += dy0_3_of_0 * x0_2_0.w;
        sum0_0_8 += dy0_3_of_0 * x0_2_1.x;
        let dy0_4_of_0 =
            subgroupShuffle(dy0_1_0.x, 0u);
        sum0_0_0 += dy0_4_of_0 * x0_0_0.w;
        sum0_0_1 += dy0_4_of_0 * x0_0_1.x;
        sum0_0_2 += dy0_4_of_0 * x0_0_1.y;
        sum0_0_3 += dy0_4_of_0 * x0_1_0.w;
        sum0_0_4 += dy0_4_of_0 * x0_1_1.x;
        sum0_0_5 += dy0_4_of_0 * x0_1_1.y;
        sum0_0_6 += dy0_4_of_0 * x0_2_0.w;
        sum0_0_7 += dy0_4_of_0 * x0_2_1.x;
        sum0_0_8 += dy0_4_of_0 * x0_2_1.y;
        let dy0_5_of_0 =
            subgroupShuffle(dy0_1_0.y, 0u);
        sum0_0_0 += dy0_5_of_0 * x0_0_1.x;
        sum0_0_1 += dy0_5_of_0 * x0_0_1.y;
        sum0_0_2 += dy0_5_of_0 * x0_0_1.z;
        sum0_0_3 += dy0_5_of_0 * x0_1_1.x;
        sum0_0_4 += dy0_5_of_0 * x0_1_1.y;
        sum0_0_5 += dy0_5_of_0 * x0_1_1.z;
        sum0_0_6 += dy0_5_of_0 * x0_2_1.x;
        sum0_0_7 += dy0_5_of_0 * x0_2_1.y;
        sum0_0_8 += dy0_5_of_0 * x0_2_1.z;
        let dy0_6_of_0 =
            subgroupShuffle(dy0_1_0.z, 0u);
        sum0_0_0 += dy0_6_of_0 * x0_0_1.y;
        sum0_0_1 += dy0_6_of_0 * x0_0_1.z;
        sum0_0_2 += dy0_6_of_0 * x0_0_1.w;
        sum0_0_3 += dy0_6_of_0 * x0_1_1.y;
        sum0_0_4 += dy0_6_of_0 * x0_1_1.z;
        sum0_0_5 += dy0_6_of_0 * x0_1_1.w;
        sum0_0_6 += dy0_6_of_0 * x0_2_1.y;
        sum0_0_7 += dy0_6_of_0 * x0_2_1.z;
        sum0_0_8 += dy0_6_of_0 * x0_2_1.w;
        let dy0_7_of_0 =
            subgroupShuffle(dy0_1_0.w, 0u);
        sum0_0_0 += dy0_7_of_0 * x0_0_1.z;
        sum0_0_1 += dy0_7_of_0 * x0_0_1.w;
        sum0_0_2 += dy0_7_of_0 * x0_0_r;
        sum0_0_3 += dy0_7_of_0 * x0_1_1.z;
        sum0_0_4 += dy0_7_of_0 * x0_1_1.w;
        sum0_0_5 += dy0_7_of_0 * x0_1_r;
        sum0_0_6 += dy0_7_of_0 * x0_2_1.z;
        sum0_0_7 += dy0_7_of_0 * x0_2_1.w;
        sum0_0_8 += dy0_7_of_0 * x0_2_r;
        let dy0_0_of_1 =
            subgroupShuffle(dy0_0_0.x, 1u);
        sum1_0_0 += dy0_0_of_1 * x0_0_l;
        sum1_0_1 += dy0_0_of_1 * x0_0_0.x;
        sum1_0_2 += dy0_0_of_1 * x0_0_0.y;
        sum1_0_3 += dy0_0_of_1 * x0_1_l;
        sum1_0_4 += dy0_0_of_1 * x0_1_0.x;
        sum1_0_5 += dy0_0_of_1 * x0_1_0.y;
        sum1_0_6 += dy0_0_of_1 * x0_2_l;
        sum1_0_7 += dy0_0_of_1 * x0_2_0.x;
        sum1_0_8 += dy0_0_of_1 * x0_2_0.y;
        let dy0_1_of_1 =
            subgroupShuffle(dy0_0_0.y, 1u);
        sum1_0_0 += dy0_1_of_1 * x0_0_0.x;
        sum1_0_1 += dy0_1_of_1 * x0_0_0.y;
        sum1_0_2 += dy0_1_of_1 * x0_0_0.z;
        sum1_0_3 += dy0_1_of_1 * x0_1_0.x;
        sum1_0_4 += dy0_1_of_1 * x0_1_0.y;
        sum1_0_5 += dy0_1_of_1 * x0_1_0.z;
        sum1_0_6 += dy0_1_of_1 * x0_2_0.x;
        sum1_0_7 += dy0_1_of_1 * x0_2_0.y;
        sum1_0_8 += dy0_1_of_1 * x0_2_0.z;
        let dy0_2_of_1 =
            subgroupShuffle(dy0_0_0.z, 1u);
        sum1_0_0 += dy0_2_of_1 * x0_0_0.y;
        sum1_0_1 += dy0_2_of_1 * x0_0_0.z;
        sum1_0_2 += dy0_2_of_1 * x0_0_0.w;
        sum1_0_3 += dy0_2_of_1 * x0_1_0.y;
        sum1_0_4 += dy0_2_of_1 * x0_1_0.z;
        sum1_0_5 += dy0_2_of_1 * x0_1_0.w;
        sum1_0_6 += dy0_2_of_1 * x0_2_0.y;
        sum1_0_7 += dy0_2_of_1 * x0_2_0.z;
        sum1_0_8 += dy0_2_of_1 * x0_2_0.w;
        let dy0_3_of_1 =
            subgroupShuffle(dy0_0_0.w, 1u);
        sum1_0_0 += dy0_3_of_1 * x0_0_0.z;
        sum1_0_1 += dy0_3_of_1 * x0_0_0.w;
        sum1_0_2 += dy0_3_of_1 * x0_0_1.x;
        sum1_0_3 += dy0_3_of_1 * x0_1_0.z;
        sum1_0_4 += dy0_3_of_1 * x0_1_0.w;
        sum1_0_5 += dy0_3_of_1 * x0_1_1.x;
        sum1_0_6 += dy0_3_of_1 * x0_2_0.z;
        sum1_0_7 += dy0_3_of_1 * x0_2_0.w;
        sum1_0_8 += dy0_3_of_1 * x0_2_1.x;
        let dy0_4_of_1 =
            subgroupShuffle(dy0_1_0.x, 1u);
        sum1_0_0 += dy0_4_of_1 * x0_0_0.w;
        sum1_0_1 += dy0_4_of_1 * x0_0_1.x;
        sum1_0_2 += dy0_4_of_1 * x0_0_1.y;
        sum1_0_3 += dy0_4_of_1 * x0_1_0.w;
        sum1_0_4 += dy0_4_of_1 * x0_1_1.x;
        sum1_0_5 += dy0_4_of_1 * x0_1_1.y;
        sum1_0_6 += dy0_4_of_1 * x0_2_0.w;
        sum1_0_7 += dy0_4_of_1 * x0_2_1.x;
        sum1_0_8 += dy0_4_of_1 * x0_2_1.y;
        let dy0_5_of_1 =
            subgroupShuffle(dy0_1_0.y, 1u);
        sum1_0_0 += dy0_5_of_1 * x0_0_1.x;
        sum1_0_1 += dy0_5_of_1 * x0_0_1.y;
        sum1_0_2 += dy0_5_of_1 * x0_0_1.z;
        sum1_0_3 += dy0_5_of_1 * x0_1_1.x;
        sum1_0_4 += dy0_5_of_1 * x0_1_1.y;
        sum1_0_5 += dy0_5_of_1 * x0_1_1.z;
        sum1_0_6 += dy0_5_of_1 * x0_2_1.x;
        sum1_0_7 += dy0_5_of_1 * x0_2_1.y;
        sum1_0_8 += dy0_5_of_1 * x0_2_1.z;
        let dy0_6_of_1 =
            subgroupShuffle(dy0_1_0.z, 1u);
        sum1_0_0 += dy0_6_of_1 * x0_0_1.y;
        sum1_0_1 += dy0_6_of_1 * x0_0_1.z;
        sum1_0_2 += dy0_6_of_1 * x0_0_1.w;
        sum1_0_3 += dy0_6_of_1 * x0_1_1.y;
        sum1_0_4 += dy0_6_of_1 * x0_1_1.z;
        sum1_0_5 += dy0_6_of_1 * x0_1_1.w;
        sum1_0_6 += dy0_6_of_1 * x0_2_1.y;
        sum1_0_7 += dy0_6_of_1 * x0_2_1.z;
        sum1_0_8 += dy0_6_of_1 * x0_2_1.w;
        let dy0_7_of_1 =
            subgroupShuffle(dy0_1_0.w, 1u);
        sum1_0_0 += dy0_7_of_1 * x0_0_1.z;
        sum1_0_1 += dy0_7_of_1 * x0_0_1.w;
        sum1_0_2 += dy0_7_of_1 * x0_0_r;
        sum1_0_3 += dy0_7_of_1 * x0_1_1.z;
        sum1_0_4 += dy0_7_of_1 * x0_1_1.w;
        sum1_0_5 += dy0_7_of_1 * x0_1_r;
        sum1_0_6 += dy0_7_of_1 * x0_2_1.z;
        sum1_0_7 += dy0_7_of_1 * x0_2_1.w;
        sum1_0_8 += dy0_7_of_1 * x0_2_r;
        let dy0_0_of_2 =
            subgroupShuffle(dy0_0_0.x, 2u);
        sum2_0_0 += dy0_0_of_2 * x0_0_l;
        sum2_0_1 += dy0_0_of_2 * x0_0_0.x;
        sum2_0_2 += dy0_0_of_2 * x0_0_0.y;
        sum2_0_3 += dy0_0_of_2 * x0_1_l;
        sum2_0_4 += dy0_0_of_2 * x0_1_0.x;
        sum2_0_5 += dy0_0_of_2 * x0_1_0.y;
        sum2_0_6 += dy0_0_of_2 * x0_2_l;
        sum2_0_7 += dy0_0_of_2 * x0_2_0.x;
        sum2_0_8 += dy0_0_of_2 * x0_2_0.y;
        let dy0_1_of_2 =
            subgroupShuffle(dy0_0_0.y, 2u);
        sum2_0_0 += dy0_1_of_2 * x0_0_0.x;
        sum2_0_1 += dy0_1_of_2 * x0_0_0.y;
        sum2_0_2 += dy0_1_of_2 * x0_0_0.z;
        sum2_0_3 += dy0_1_of_2 * x0_1_0.x;
        sum2_0_4 += dy0_1_of_2 * x0_1_0.y;
        sum2_0_5 += dy0_1_of_2 * x0_1_0.z;
        sum2_0_6 += dy0_1_of_2 * x0_2_0.x;
        sum2_0_7 += dy0_1_of_2 * x0_2_0.y;
        sum2_0_8 += dy0_1_of_2 * x0_2_0.z;
        let dy0_2_of_2 =
            subgroupShuffle(dy0_0_0.z, 2u);
        sum2_0_0 += dy0_2_of_2 * x0_0_0.y;
        sum2_0_1 += dy0_2_of_2 * x0_0_0.z;
        sum2_0_2 += dy0_2_of_2 * x0_0_0.w;
        sum2_0_3 += dy0_2_of_2 * x0_1_0.y;
        sum2_0_4 += dy0_2_of_2 * x0_1_0.z;
        sum2_0_5 += dy0_2_of_2 * x0_1_0.w;
        sum2_0_6 += dy0_2_of_2 * x0_2_0.y;
        sum2_0_7 += dy0_2_of_2 * x0_2_0.z;
        sum2_0_8 += dy0_2_of_2 * x0_2_0.w;
        let dy0_3_of_2 =
            subgroupShuffle(dy0_0_0.w, 2u);
        sum2_0_0 += dy0_3_of_2 * x0_0_0.z;
        sum2_0_1 += dy0_3_of_2 * x0_0_0.w;
        sum2_0_2 += dy0_3_of_2 * x0_0_1.x;
        sum2_0_3 += dy0_3_of_2 * x0_1_0.z;
        sum2_0_4 += dy0_3_of_2 * x0_1_0.w;
        sum2_0_5 += dy0_3_of_2 * x0_1_1.x;
        sum2_0_6 += dy0_3_of_2 * x0_2_0.z;
        sum2_0_7 += dy0_3_of_2 * x0_2_0.w;
        sum2_0_8 += dy0_3_of_2 * x0_2_1.x;
        let dy0_4_of_2 =
            subgroupShuffle(dy0_1_0.x, 2u);
        sum2_0_0 += dy0_4_of_2 * x0_0_0.w;
        sum2_0_1 += dy0_4_of_2 * x0_0_1.x;
        sum2_0_2 += dy0_4_of_2 * x0_0_1.y;
        sum2_0_3 += dy0_4_of_2 * x0_1_0.w;
        sum2_0_4 += dy0_4_of_2 * x0_1_1.x;
        sum2_0_5 += dy0_4_of_2 * x0_1_1.y;
        sum2_0_6 += dy0_4_of_2 * x0_2_0.w;
        sum2_0_7 += dy0_4_of_2 * x0_2_1.x;
        sum2_0_8 += dy0_4_of_2 * x0_2_1.y;
        let dy0_5_of_2 =
            subgroupShuffle(dy0_1_0.y, 2u);
        sum2_0_0 += dy0_5_of_2 * x0_0_1.x;
        sum2_0_1 += dy0_5_of_2 * x0_0_1.y;
        sum2_0_2 += dy0_5_of_2 * x0_0_1.z;
        sum2_0_3 += dy0_5_of_2 * x0_1_1.x;
        sum2_0_4 += dy0_5_of_2 * x0_1_1.y;
        sum2_0_5 += dy0_5_of_2 * x0_1_1.z;
        sum2_0_6 += dy0_5_of_2 * x0_2_1.x;
        sum2_0_7 += dy0_5_of_2 * x0_2_1.y;
        sum2_0_8 += dy0_5_of_2 * x0_2_1.z;
        let dy0_6_of_2 =
            subgroupShuffle(dy0_1_0.z, 2u);
        sum2_0_0 += dy0_6_of_2 * x0_0_1.y;
        sum2_0_1 += dy0_6_of_2 * x0_0_1.z;
        sum2_0_2 += dy0_6_of_2 * x0_0_1.w;
        sum2_0_3 += dy0_6_of_2 * x0_1_1.y;
        sum2_0_4 += dy0_6_of_2 * x0_1_1.z;
        sum2_0_5 += dy0_6_of_2 * x0_1_1.w;
        sum2_0_6 += dy0_6_of_2 * x0_2_1.y;
        sum2_0_7 += dy0_6_of_2 * x0_2_1.z;
        sum2_0_8 += dy0_6_of_2 * x0_2_1.w;
        let dy0_7_of_2 =
            subgroupShuffle(dy0_1_0.w, 2u);
        sum2_0_0 += dy0_7_of_2 * x0_0_1.z;
        sum2_0_1 += dy0_7_of_2 * x0_0_1.w;
        sum2_0_2 += dy0_7_of_2 * x0_0_r;
        sum2_0_3 += dy0_7_of_2 * x0_1_1.z;
        sum2_0_4 += dy0_7_of_2 * x0_1_1.w;
        sum2_0_5 += dy0_7_of_2 * x0_1_r;
        sum2_0_6 += dy0_7_of_2 * x0_2_1.z;
        sum2_0_7 += dy0_7_of_2 * x0_2_1.w;
        sum2_0_8 += dy0_7_of_2 * x0_2_r;
        let dy0_0_of_3 =
            subgroupShuffle(dy0_0_0.x, 3u);
        sum3_0_0 += dy0_0_of_3 * x0_0_l;
        sum3_0_1 += dy0_0_of_3 * x0_0_0.x;
        sum3_0_2 += dy0_0_of_3 * x0_0_0.y;
        sum3_0_3 += dy0_0_of_3 * x0_1_l;
        sum3_0_4 += dy0_0_of_3 * x0_1_0.x;
        sum3_0_5 += dy0_0_of_3 * x0_1_0.y;
        sum3_0_6 += dy0_0_of_3 * x0_2_l;
        sum3_0_7 += dy0_0_of_3 * x0_2_0.x;
        sum3_0_8 += dy0_0_of_3 * x0_2_0.y;
        let dy0_1_of_3 =
            subgroupShuffle(dy0_0_0.y, 3u);
        sum3_0_0 += dy0_1_of_3 * x0_0_0.x;
        sum3_0_1 += dy0_1_of_3 * x0_0_0.y;
        sum3_0_2 += dy0_1_of_3 * x0_0_0.z;
        sum3_0_3 += dy0_1_of_3 * x0_1_0.x;
        sum3_0_4 += dy0_1_of_3 * x0_1_0.y;
        sum3_0_5 += dy0_1_of_3 * x0_1_0.z;
        sum3_0_6 += dy0_1_of_3 * x0_2_0.x;
        sum3_0_7 += dy0_1_of_3 * x0_2_0.y;
        sum3_0_8 += dy0_1_of_3 * x0_2_0.z;
        let dy0_2_of_3 =
            subgroupShuffle(dy0_0_0.z, 3u);
        sum3_0_0 += dy0_2_of_3 * x0_0_0.y;
        sum3_0_1 += dy0_2_of_3 * x0_0_0.z;
        sum3_0_2 += dy0_2_of_3 * x0_0_0.w;
        sum3_0_3 += dy0_2_of_3 * x0_1_0.y;
        sum3_0_4 += dy0_2_of_3 * x0_1_0.z;
        sum3_0_5 += dy0_2_of_3 * x0_1_0.w;
        sum3_0_6 += dy0_2_of_3 * x0_2_0.y;
        sum3_0_7 += dy0_2_of_3 * x0_2_0.z;
        sum3_0_8 += dy0_2_of_3 * x0_2_0.w;
        let dy0_3_of_3 =
            subgroupShuffle(dy0_0_0.w, 3u);
        sum3_0_0 += dy0_3_of_3 * x0_0_0.z;
        sum3_0_1 += dy0_3_of_3 * x0_0_0.w;
        sum3_0_2 += dy0_3_of_3 * x0_0_1.x;
        sum3_0_3 += dy0_3_of_3 * x0_1_0.z;
        sum3_0_4 += dy0_3_of_3 * x0_1_0.w;
        sum3_0_5 += dy0_3_of_3 * x0_1_1.x;
        sum3_0_6 += dy0_3_of_3 * x0_2_0.z;
        sum3_0_7 += dy0_3_of_3 * x0_2_0.w;
        sum3_0_8 += dy0_3_of_3 * x0_2_1.x;
        let dy0_4_of_3 =
            subgroupShuffle(dy0_1_0.x, 3u);
        sum3_0_0 += dy0_4_of_3 * x0_0_0.w;
        sum3_0_1 += dy0_4_of_3 * x0_0_1.x;
        sum3_0_2 += dy0_4_of_3 * x0_0_1.y;
        sum3_0_3 += dy0_4_of_3 * x0_1_0.w;
        sum3_0_4 += dy0_4_of_3 * x0_1_1.x;
        sum3_0_5 += dy0_4_of_3 * x0_1_1.y;
        sum3_0_6 += dy0_4_of_3 * x0_2_0.w;
        sum3_0_7 += dy0_4_of_3 * x0_2_1.x;
        sum3_0_8 += dy0_4_of_3 * x0_2_1.y;
        let dy0_5_of_3 =
            subgroupShuffle(dy0_1_0.y, 3u);
        sum3_0_0 += dy0_5_of_3 * x0_0_1.x;
        sum3_0_1 += dy0_5_of_3 * x0_0_1.y;
        sum3_0_2 += dy0_5_of_3 * x0_0_1.z;
        sum3_0_3 += dy0_5_of_3 * x0_1_1.x;
        sum3_0_4 += dy0_5_of_3 * x0_1_1.y;
        sum3_0_5 += dy0_5_of_3 * x0_1_1.z;
        sum3_0_6 += dy0_5_of_3 * x0_2_1.x;
        sum3_0_7 += dy0_5_of_3 * x0_2_1.y;
        sum3_0_8 += dy0_5_of_3 * x0_2_1.z;
        let dy0_6_of_3 =
            subgroupShuffle(dy0_1_0.z, 3u);
        sum3_0_0 += dy0_6_of_3 * x0_0_1.y;
        sum3_0_1 += dy0_6_of_3 * x0_0_1.z;
        sum3_0_2 += dy0_6_of_3 * x0_0_1.w;
        sum3_0_3 += dy0_6_of_3 * x0_1_1.y;
        sum3_0_4 += dy0_6_of_3 * x0_1_1.z;
        sum3_0_5 += dy0_6_of_3 * x0_1_1.w;
        sum3_0_6 += dy0_6_of_3 * x0_2_1.y;
        sum3_0_7 += dy0_6_of_3 * x0_2_1.z;
        sum3_0_8 += dy0_6_of_3 * x0_2_1.w;
        let dy0_7_of_3 =
            subgroupShuffle(dy0_1_0.w, 3u);
        sum3_0_0 += dy0_7_of_3 * x0_0_1.z;
        sum3_0_1 += dy0_7_of_3 * x0_0_1.w;
        sum3_0_2 += dy0_7_of_3 * x0_0_r;
        sum3_0_3 += dy0_7_of_3 * x0_1_1.z;
        sum3_0_4 += dy0_7_of_3 * x0_1_1.w;
        sum3_0_5 += dy0_7_of_3 * x0_1_r;
        sum3_0_6 += dy0_7_of_3 * x0_2_1.z;
        sum3_0_7 += dy0_7_of_3 * x0_2_1.w;
        sum3_0_8 += dy0_7_of_3 * x0_2_r;
        let dy0_0_of_4 =
            subgroupShuffle(dy0_0_0.x, 4u);
        sum4_0_0 += dy0_0_of_4 * x0_0_l;
        sum4_0_1 += dy0_0_of_4 * x0_0_0.x;
        sum4_0_2 += dy0_0_of_4 * x0_0_0.y;
        sum4_0_3 += dy0_0_of_4 * x0_1_l;
        sum4_0_4 += dy0_0_of_4 * x0_1_0.x;
        sum4_0_5 += dy0_0_of_4 * x0_1_0.y;
        sum4_0_6 += dy0_0_of_4 * x0_2_l;
        sum4_0_7 += dy0_0_of_4 * x0_2_0.x;
        sum4_0_8 += dy0_0_of_4 * x0_2_0.y;
        let dy0_1_of_4 =
            subgroupShuffle(dy0_0_0.y, 4u);
        sum4_0_0 += dy0_1_of_4 * x0_0_0.x;
        sum4_0_1 += dy0_1_of_4 * x0_0_0.y;
        sum4_0_2 += dy0_1_of_4 * x0_0_0.z;
        sum4_0_3 += dy0_1_of_4 * x0_1_0.x;
        sum4_0_4 += dy0_1_of_4 * x0_1_0.y;
        sum4_0_5 += dy0_1_of_4 * x0_1_0.z;
        sum4_0_6 += dy0_1_of_4 * x0_2_0.x;
        sum4_0_7 += dy0_1_of_4 * x0_2_0.y;
        sum4_0_8 += dy0_1_of_4 * x0_2_0.z;
        let dy0_2_of_4 =
            subgroupShuffle(dy0_0_0.z, 4u);
        sum4_0_0 += dy0_2_of_4 * x0_0_0.y;
        sum4_0_1 += dy0_2_of_4 * x0_0_0.z;
        sum4_0_2 += dy0_2_of_4 * x0_0_0.w;
        sum4_0_3 += dy0_2_of_4 * x0_1_0.y;
        sum4_0_4 += dy0_2_of_4 * x0_1_0.z;
        sum4_0_5 += dy0_2_of_4 * x0_1_0.w;
        sum4_0_6 += dy0_2_of_4 * x0_2_0.y;
        sum4_0_7 += dy0_2_of_4 * x0_2_0.z;
        sum4_0_8 += dy0_2_of_4 * x0_2_0.w;
        let dy0_3_of_4 =
            subgroupShuffle(dy0_0_0.w, 4u);
        sum4_0_0 += dy0_3_of_4 * x0_0_0.z;
        sum4_0_1 += dy0_3_of_4 * x0_0_0.w;
        sum4_0_2 += dy0_3_of_4 * x0_0_1.x;
        sum4_0_3 += dy0_3_of_4 * x0_1_0.z;
        sum4_0_4 += dy0_3_of_4 * x0_1_0.w;
        sum4_0_5 += dy0_3_of_4 * x0_1_1.x;
        sum4_0_6 += dy0_3_of_4 * x0_2_0.z;
        sum4_0_7 += dy0_3_of_4 * x0_2_0.w;
        sum4_0_8 += dy0_3_of_4 * x0_2_1.x;
        let dy0_4_of_4 =
            subgroupShuffle(dy0_1_0.x, 4u);
        sum4_0_0 += dy0_4_of_4 * x0_0_0.w;
        sum4_0_1 += dy0_4_of_4 * x0_0_1.x;
        sum4_0_2 += dy0_4_of_4 * x0_0_1.y;
        sum4_0_3 += dy0_4_of_4 * x0_1_0.w;
        sum4_0_4 += dy0_4_of_4 * x0_1_1.x;
        sum4_0_5 += dy0_4_of_4 * x0_1_1.y;
        sum4_0_6 += dy0_4_of_4 * x0_2_0.w;
        sum4_0_7 += dy0_4_of_4 * x0_2_1.x;
        sum4_0_8 += dy0_4_of_4 * x0_2_1.y;
        let dy0_5_of_4 =
            subgroupShuffle(dy0_1_0.y, 4u);
        sum4_0_0 += dy0_5_of_4 * x0_0_1.x;
        sum4_0_1 += dy0_5_of_4 * x0_0_1.y;
        sum4_0_2 += dy0_5_of_4 * x0_0_1.z;
        sum4_0_3 += dy0_5_of_4 * x0_1_1.x;
        sum4_0_4 += dy0_5_of_4 * x0_1_1.y;
        sum4_0_5 += dy0_5_of_4 * x0_1_1.z;
        sum4_0_6 += dy0_5_of_4 * x0_2_1.x;
        sum4_0_7 += dy0_5_of_4 * x0_2_1.y;
        sum4_0_8 += dy0_5_of_4 * x0_2_1.z;
        let dy0_6_of_4 =
            subgroupShuffle(dy0_1_0.z, 4u);
        sum4_0_0 += dy0_6_of_4 * x0_0_1.y;
        sum4_0_1 += dy0_6_of_4 * x0_0_1.z;
        sum4_0_2 += dy0_6_of_4 * x0_0_1.w;
        sum4_0_3 += dy0_6_of_4 * x0_1_1.y;
        sum4_0_4 += dy0_6_of_4 * x0_1_1.z;
        sum4_0_5 += dy0_6_of_4 * x0_1_1.w;
        sum4_0_6 += dy0_6_of_4 * x0_2_1.y;
        sum4_0_7 += dy0_6_of_4 * x0_2_1.z;
        sum4_0_8 += dy0_6_of_4 * x0_2_1.w;
        let dy0_7_of_4 =
            subgroupShuffle(dy0_1_0.w, 4u);
        sum4_0_0 += dy0_7_of_4 * x0_0_1.z;
        sum4_0_1 += dy0_7_of_4 * x0_0_1.w;
        sum4_0_2 += dy0_7_of_4 * x0_0_r;
        sum4_0_3 += dy0_7_of_4 * x0_1_1.z;
        sum4_0_4 += dy0_7_of_4 * x0_1_1.w;
        sum4_0_5 += dy0_7_of_4 * x0_1_r;
        sum4_0_6 += dy0_7_of_4 * x0_2_1.z;
        sum4_0_7 += dy0_7_of_4 * x0_2_1.w;
        sum4_0_8 += dy0_7_of_4 * x0_2_r;
        let dy0_0_of_5 =
            subgroupShuffle(dy0_0_0.x, 5u);
        sum5_0_0 += dy0_0_of_5 * x0_0_l;
        sum5_0_1 += dy0_0_of_5 * x0_0_0.x;
        sum5_0_2 += dy0_0_of_5 * x0_0_0.y;
        sum5_0_3 += dy0_0_of_5 * x0_1_l;
        sum5_0_4 += dy0_0_of_5 * x0_1_0.x;
        sum5_0_5 += dy0_0_of_5 * x0_1_0.y;
        sum5_0_6 += dy0_0_of_5 * x0_2_l;
        sum5_0_7 += dy0_0_of_5 * x0_2_0.x;
        sum5_0_8 += dy0_0_of_5 * x0_2_0.y;
        let dy0_1_of_5 =
            subgroupShuffle(dy0_0_0.y, 5u);
        sum5_0_0 += dy0_1_of_5 * x0_0_0.x;
        sum5_0_1 += dy0_1_of_5 * x0_0_0.y;
        sum5_0_2 += dy0_1_of_5 * x0_0_0.z;
        sum5_0_3 += dy0_1_of_5 * x0_1_0.x;
        sum5_0_4 += dy0_1_of_5 * x0_1_0.y;
        sum5_0_5 += dy0_1_of_5 * x0_1_0.z;
        sum5_0_6 += dy0_1_of_5 * x0_2_0.x;
        sum5_0_7 += dy0_1_of_5 * x0_2_0.y;
        sum5_0_8 += dy0_1_of_5 * x0_2_0.z;
        let dy0_2_of_5 =
            subgroupShuffle(dy0_0_0.z, 5u);
        sum5_0_0 += dy0_2_of_5 * x0_0_0.y;
        sum5_0_1 += dy0_2_of_5 * x0_0_0.z;
        sum5_0_2 += dy0_2_of_5 * x0_0_0.w;
        sum5_0_3 += dy0_2_of_5 * x0_1_0.y;
        sum5_0_4 += dy0_2_of_5 * x0_1_0.z;
        sum5_0_5 += dy0_2_of_5 * x0_1_0.w;
        sum5_0_6 += dy0_2_of_5 * x0_2_0.y;
        sum5_0_7 += dy0_2_of_5 * x0_2_0.z;
        sum5_0_8 += dy0_2_of_5 * x0_2_0.w;
        let dy0_3_of_5 =
            subgroupShuffle(dy0_0_0.w, 5u);
        sum5_0_0 += dy0_3_of_5 * x0_0_0.z;
        sum5_0_1 += dy0_3_of_5 * x0_0_0.w;
        sum5_0_2 += dy0_3_of_5 * x0_0_1.x;
        sum5_0_3 += dy0_3_of_5 * x0_1_0.z;
        sum5_0_4 += dy0_3_of_5 * x0_1_0.w;
        sum5_0_5 += dy0_3_of_5 * x0_1_1.x;
        sum5_0_6 += dy0_3_of_5 * x0_2_0.z;
        sum5_0_7 += dy0_3_of_5 * x0_2_0.w;
        sum5_0_8 += dy0_3_of_5 * x0_2_1.x;
        let dy0_4_of_5 =
            subgroupShuffle(dy0_1_0.x, 5u);
        sum5_0_0 += dy0_4_of_5 * x0_0_0.w;
        sum5_0_1 += dy0_4_of_5 * x0_0_1.x;
        sum5_0_2 += dy0_4_of_5 * x0_0_1.y;
        sum5_0_3 += dy0_4_of_5 * x0_1_0.w;
        sum5_0_4 += dy0_4_of_5 * x0_1_1.x;
        sum5_0_5 += dy0_4_of_5 * x0_1_1.y;
        sum5_0_6 += dy0_4_of_5 * x0_2_0.w;
        sum5_0_7 += dy0_4_of_5 * x0_2_1.x;
        sum5_0_8 += dy0_4_of_5 * x0_2_1.y;
        let dy0_5_of_5 =
            subgroupShuffle(dy0_1_0.y, 5u);
        sum5_0_0 += dy0_5_of_5 * x0_0_1.x;
        sum5_0_1 += dy0_5_of_5 * x0_0_1.y;
        sum5_0_2 += dy0_5_of_5 * x0_0_1.z;
        sum5_0_3 += dy0_5_of_5 * x0_1_1.x;
        sum5_0_4 += dy0_5_of_5 * x0_1_1.y;
        sum5_0_5 += dy0_5_of_5 * x0_1_1.z;
        sum5_0_6 += dy0_5_of_5 * x0_2_1.x;
        sum5_0_7 += dy0_5_of_5 * x0_2_1.y;
        sum5_0_8 += dy0_5_of_5 * x0_2_1.z;
        let dy0_6_of_5 =
            subgroupShuffle(dy0_1_0.z, 5u);
        sum5_0_0 += dy0_6_of_5 * x0_0_1.y;
        sum5_0_1 += dy0_6_of_5 * x0_0_1.z;
        sum5_0_2 += dy0_6_of_5 * x0_0_1.w;
        sum5_0_3 += dy0_6_of_5 * x0_1_1.y;
        sum5_0_4 += dy0_6_of_5 * x0_1_1.z;
        sum5_0_5 += dy0_6_of_5 * x0_1_1.w;
        sum5_0_6 += dy0_6_of_5 * x0_2_1.y;
        sum5_0_7 += dy0_6_of_5 * x0_2_1.z;
        sum5_0_8 += dy0_6_of_5 * x0_2_1.w;
        let dy0_7_of_5 =
            subgroupShuffle(dy0_1_0.w, 5u);
        sum5_0_0 += dy0_7_of_5 * x0_0_1.z;
        sum5_0_1 += dy0_7_of_5 * x0_0_1.w;
        sum5_0_2 += dy0_7_of_5 * x0_0_r;
        sum5_0_3 += dy0_7_of_5 * x0_1_1.z;
        sum5_0_4 += dy0_7_of_5 * x0_1_1.w;
        sum5_0_5 += dy0_7_of_5 * x0_1_r;
        sum5_0_6 += dy0_7_of_5 * x0_2_1.z;
        sum5_0_7 += dy0_7_of_5 * x0_2_1.w;
        sum5_0_8 += dy0_7_of_5 * x0_2_r;
        let dy0_0_of_6 =
            subgroupShuffle(dy0_0_0.x, 6u);
        sum6_0_0 += dy0_0_of_6 * x0_0_l;
        sum6_0_1 += dy0_0_of_6 * x0_0_0.x;
        sum6_0_2 += dy0_0_of_6 * x0_0_0.y;
        sum6_0_3 += dy0_0_of_6 * x0_1_l;
        sum6_0_4 += dy0_0_of_6 * x0_1_0.x;
        sum6_0_5 += dy0_0_of_6 * x0_1_0.y;
        sum6_0_6 += dy0_0_of_6 * x0_2_l;
        sum6_0_7 += dy0_0_of_6 * x0_2_0.x;
        sum6_0_8 += dy0_0_of_6 * x0_2_0.y;
        let dy0_1_of_6 =
            subgroupShuffle(dy0_0_0.y, 6u);
        sum6_0_0 += dy0_1_of_6 * x0_0_0.x;
        sum6_0_1 += dy0_1_of_6 * x0_0_0.y;
        sum6_0_2 += dy0_1_of_6 * x0_0_0.z;
        sum6_0_3 += dy0_1_of_6 * x0_1_0.x;
        sum6_0_4 += dy0_1_of_6 * x0_1_0.y;
        sum6_0_5 += dy0_1_of_6 * x0_1_0.z;
        sum6_0_6 += dy0_1_of_6 * x0_2_0.x;
        sum6_0_7 += dy0_1_of_6 * x0_2_0.y;
        sum6_0_8 += dy0_1_of_6 * x0_2_0.z;
        let dy0_2_of_6 =
            subgroupShuffle(dy0_0_0.z, 6u);
        sum6_0_0 += dy0_2_of_6 * x0_0_0.y;
        sum6_0_1 += dy0_2_of_6 * x0_0_0.z;
        sum6_0_2 += dy0_2_of_6 * x0_0_0.w;
        sum6_0_3 += dy0_2_of_6 * x0_1_0.y;
        sum6_0_4 += dy0_2_of_6 * x0_1_0.z;
        sum6_0_5 += dy0_2_of_6 * x0_1_0.w;
        sum6_0_6 += dy0_2_of_6 * x0_2_0.y;
        sum6_0_7 += dy0_2_of_6 * x0_2_0.z;
        sum6_0_8 += dy0_2_of_6 * x0_2_0.w;
        let dy0_3_of_6 =
            subgroupShuffle(dy0_0_0.w, 6u);
        sum6_0_0 += dy0_3_of_6 * x0_0_0.z;
        sum6_0_1 += dy0_3_of_6 * x0_0_0.w;
        sum6_0_2 += dy0_3_of_6 * x0_0_1.x;
        sum6_0_3 += dy0_3_of_6 * x0_1_0.z;
        sum6_0_4 += dy0_3_of_6 * x0_1_0.w;
        sum6_0_5 += dy0_3_of_6 * x0_1_1.x;
        sum6_0_6 += dy0_3_of_6 * x0_2_0.z;
        sum6_0_7 += dy0_3_of_6 * x0_2_0.w;
        sum6_0_8 += dy0_3_of_6 * x0_2_1.x;
        let dy0_4_of_6 =
            subgroupShuffle(dy0_1_0.x, 6u);
        sum6_0_0 += dy0_4_of_6 * x0_0_0.w;
        sum6_0_1 += dy0_4_of_6 * x0_0_1.x;
        sum6_0_2 += dy0_4_of_6 * x0_0_1.y;
        sum6_0_3 += dy0_4_of_6 * x0_1_0.w;
        sum6_0_4 += dy0_4_of_6 * x0_1_1.x;
        sum6_0_5 += dy0_4_of_6 * x0_1_1.y;
        sum6_0_6 += dy0_4_of_6 * x0_2_0.w;
        sum6_0_7 += dy0_4_of_6 * x0_2_1.x;
        sum6_0_8 += dy0_4_of_6 * x0_2_1.y;
        let dy0_5_of_6 =
            subgroupShuffle(dy0_1_0.y, 6u);
        sum6_0_0 += dy0_5_of_6 * x0_0_1.x;
        sum6_0_1 += dy0_5_of_6 * x0_0_1.y;
        sum6_0_2 += dy0_5_of_6 * x0_0_1.z;
        sum6_0_3 += dy0_5_of_6 * x0_1_1.x;
        sum6_0_4 += dy0_5_of_6 * x0_1_1.y;
        sum6_0_5 += dy0_5_of_6 * x0_1_1.z;
        sum6_0_6 += dy0_5_of_6 * x0_2_1.x;
        sum6_0_7 += dy0_5_of_6 * x0_2_1.y;
        sum6_0_8 += dy0_5_of_6 * x0_2_1.z;
        let dy0_6_of_6 =
            subgroupShuffle(dy0_1_0.z, 6u);
        sum6_0_0 += dy0_6_of_6 * x0_0_1.y;
        sum6_0_1 += dy0_6_of_6 * x0_0_1.z;
        sum6_0_2 += dy0_6_of_6 * x0_0_1.w;
        sum6_0_3 += dy0_6_of_6 * x0_1_1.y;
        sum6_0_4 += dy0_6_of_6 * x0_1_1.z;
        sum6_0_5 += dy0_6_of_6 * x0_1_1.w;
        sum6_0_6 += dy0_6_of_6 * x0_2_1.y;
        sum6_0_7 += dy0_6_of_6 * x0_2_1.z;
        sum6_0_8 += dy0_6_of_6 * x0_2_1.w;
        let dy0_7_of_6 =
            subgroupShuffle(dy0_1_0.w, 6u);
        sum6_0_0 += dy0_7_of_6 * x0_0_1.z;
        sum6_0_1 += dy0_7_of_6 * x0_0_1.w;
        sum6_0_2 += dy0_7_of_6 * x0_0_r;
        sum6_0_3 += dy0_7_of_6 * x0_1_1.z;
        sum6_0_4 += dy0_7_of_6 * x0_1_1.w;
        sum6_0_5 += dy0_7_of_6 * x0_1_r;
        sum6_0_6 += dy0_7_of_6 * x0_2_1.z;
        sum6_0_7 += dy0_7_of_6 * x0_2_1.w;
        sum6_0_8 += dy0_7_of_6 * x0_2_r;
        let dy0_0_of_7 =
            subgroupShuffle(dy0_0_0.x, 7u);
        sum7_0_0 += dy0_0_of_7 * x0_0_l;
        sum7_0_1 += dy0_0_of_7 * x0_0_0.x;
        sum7_0_2 += dy0_0_of_7 * x0_0_0.y;
        sum7_0_3 += dy0_0_of_7 * x0_1_l;
        sum7_0_4 += dy0_0_of_7 * x0_1_0.x;
        sum7_0_5 += dy0_0_of_7 * x0_1_0.y;
        sum7_0_6 += dy0_0_of_7 * x0_2_l;
        sum7_0_7 += dy0_0_of_7 * x0_2_0.x;
        sum7_0_8 += dy0_0_of_7 * x0_2_0.y;
        let dy0_1_of_7 =
            subgroupShuffle(dy0_0_0.y, 7u);
        sum7_0_0 += dy0_1_of_7 * x0_0_0.x;
        sum7_0_1 += dy0_1_of_7 * x0_0_0.y;
        sum7_0_2 += dy0_1_of_7 * x0_0_0.z;
        sum7_0_3 += dy0_1_of_7 * x0_1_0.x;
        sum7_0_4 += dy0_1_of_7 * x0_1_0.y;
        sum7_0_5 += dy0_1_of_7 * x0_1_0.z;
        sum7_0_6 += dy0_1_of_7 * x0_2_0.x;
        sum7_0_7 += dy0_1_of_7 * x0_2_0.y;
        sum7_0_8 += dy0_1_of_7 * x0_2_0.z;
        let dy0_2_of_7 =
            subgroupShuffle(dy0_0_0.z, 7u);
        sum7_0_0 += dy0_2_of_7 * x0_0_0.y;
        sum7_0_1 += dy0_2_of_7 * x0_0_0.z;
        sum7_0_2 += dy0_2_of_7 * x0_0_0.w;
        sum7_0_3 += dy0_2_of_7 * x0_1_0.y;
        sum7_0_4 += dy0_2_of_7 * x0_1_0.z;
        sum7_0_5 += dy0_2_of_7 * x0_1_0.w;
        sum7_0_6 += dy0_2_of_7 * x0_2_0.y;
        sum7_0_7 += dy0_2_of_7 * x0_2_0.z;
        sum7_0_8 += dy0_2_of_7 * x0_2_0.w;
        let dy0_3_of_7 =
            subgroupShuffle(dy0_0_0.w, 7u);
        sum7_0_0 += dy0_3_of_7 * x0_0_0.z;
        sum7_0_1 += dy0_3_of_7 * x0_0_0.w;
        sum7_0_2 += dy0_3_of_7 * x0_0_1.x;
        sum7_0_3 += dy0_3_of_7 * x0_1_0.z;
        sum7_0_4 += dy0_3_of_7 * x0_1_0.w;
        sum7_0_5 += dy0_3_of_7 * x0_1_1.x;
        sum7_0_6 += dy0_3_of_7 * x0_2_0.z;
        sum7_0_7 += dy0_3_of_7 * x0_2_0.w;
        sum7_0_8 += dy0_3_of_7 * x0_2_1.x;
        let dy0_4_of_7 =
            subgroupShuffle(dy0_1_0.x, 7u);
        sum7_0_0 += dy0_4_of_7 * x0_0_0.w;
        sum7_0_1 += dy0_4_of_7 * x0_0_1.x;
        sum7_0_2 += dy0_4_of_7 * x0_0_1.y;
        sum7_0_3 += dy0_4_of_7 * x0_1_0.w;
        sum7_0_4 += dy0_4_of_7 * x0_1_1.x;
        sum7_0_5 += dy0_4_of_7 * x0_1_1.y;
        sum7_0_6 += dy0_4_of_7 * x0_2_0.w;
        sum7_0_7 += dy0_4_of_7 * x0_2_1.x;
        sum7_0_8 += dy0_4_of_7 * x0_2_1.y;
        let dy0_5_of_7 =
            subgroupShuffle(dy0_1_0.y, 7u);
        sum7_0_0 += dy0_5_of_7 * x0_0_1.x;
        sum7_0_1 += dy0_5_of_7 * x0_0_1.y;
        sum7_0_2 += dy0_5_of_7 * x0_0_1.z;
        sum7_0_3 += dy0_5_of_7 * x0_1_1.x;
        sum7_0_4 += dy0_5_of_7 * x0_1_1.y;
        sum7_0_5 += dy0_5_of_7 * x0_1_1.z;
        sum7_0_6 += dy0_5_of_7 * x0_2_1.x;
        sum7_0_7 += dy0_5_of_7 * x0_2_1.y;
        sum7_0_8 += dy0_5_of_7 * x0_2_1.z;
        let dy0_6_of_7 =
            subgroupShuffle(dy0_1_0.z, 7u);
        sum7_0_0 += dy0_6_of_7 * x0_0_1.y;
        sum7_0_1 += dy0_6_of_7 * x0_0_1.z;
        sum7_0_2 += dy0_6_of_7 * x0_0_1.w;
        sum7_0_3 += dy0_6_of_7 * x0_1_1.y;
        sum7_0_4 += dy0_6_of_7 * x0_1_1.z;
        sum7_0_5 += dy0_6_of_7 * x0_1_1.w;
        sum7_0_6 += dy0_6_of_7 * x0_2_1.y;
        sum7_0_7 += dy0_6_of_7 * x0_2_1.z;
        sum7_0_8 += dy0_6_of_7 * x0_2_1.w;
        let dy0_7_of_7 =
            subgroupShuffle(dy0_1_0.w, 7u);
        sum7_0_0 += dy0_7_of_7 * x0_0_1.z;
        sum7_0_1 += dy0_7_of_7 * x0_0_1.w;
        sum7_0_2 += dy0_7_of_7 * x0_0_r;
        sum7_0_3 += dy0_7_of_7 * x0_1_1.z;
        sum7_0_4 += dy0_7_of_7 * x0_1_1.w;
        sum7_0_5 += dy0_7_of_7 * x0_1_r;
        sum7_0_6 += dy0_7_of_7 * x0_2_1.z;
        sum7_0_7 += dy0_7_of_7 * x0_2_1.w;
        sum7_0_8 += dy0_7_of_7 * x0_2_r;
        x0_0_0 = x0_1_0;
        x0_0_1 = x0_1_1;
        x0_0_l = x0_1_l;
        x0_0_r = x0_1_r;
        x0_1_0 = x0_2_0;
        x0_1_1 = x0_2_1;
        x0_1_l = x0_2_l;
        x0_1_r = x0_2_r;
        x_at0 += 1u * IN_ROW;
        dy_at0 += 1u * OUT_ROW;
        }
    }

    let out = ((tile.z * 64u + k) * 64u + c + lane) * 9u;
    partial[out + 0u] = sum0_0_0;
    partial[out + 1u] = sum0_0_1;
    partial[out + 2u] = sum0_0_2;
    partial[out + 3u] = sum0_0_3;
    partial[out + 4u] = sum0_0_4;
    partial[out + 5u] = sum0_0_5;
    partial[out + 6u] = sum0_0_6;
    partial[out + 7u] = sum0_0_7;
    partial[out + 8u] = sum0_0_8;
    partial[out + 576u] = sum1_0_0;
    partial[out + 577u] = sum1_0_1;
    partial[out + 578u] = sum1_0_2;
    partial[out + 579u] = sum1_0_3;
    partial[out + 580u] = sum1_0_4;
    partial[out + 581u] = sum1_0_5;
    partial[out + 582u] = sum1_0_6;
    partial[out + 583u] = sum1_0_7;
    partial[out + 584u] = sum1_0_8;
    partial[out + 1152u] = sum2_0_0;
    partial[out + 1153u] = sum2_0_1;
    partial[out + 1154u] = sum2_0_2;
    partial[out + 1155u] = sum2_0_3;
    partial[out + 1156u] = sum2_0_4;
    partial[out + 1157u] = sum2_0_5;
    partial[out + 1158u] = sum2_0_6;
    partial[out + 1159u] = sum2_0_7;
    partial[out + 1160u] = sum2_0_8;
    partial[out + 1728u] = sum3_0_0;
    partial[out + 1729u] = sum3_0_1;
    partial[out + 1730u] = sum3_0_2;
    partial[out + 1731u] = sum3_0_3;
    partial[out + 1732u] = sum3_0_4;
    partial[out + 1733u] = sum3_0_5;
    partial[out + 1734u] = sum3_0_6;
    partial[out + 1735u] = sum3_0_7;
    partial[out + 1736u] = sum3_0_8;
    partial[out + 2304u] = sum4_0_0;
    partial[out + 2305u] = sum4_0_1;
    partial[out + 2306u] = sum4_0_2;
    partial[out + 2307u] = sum4_0_3;
    partial[out + 2308u] = sum4_0_4;
    partial[out + 2309u] = sum4_0_5;
    partial[out + 2310u] = sum4_0_6;
    partial[out + 2311u] = sum4_0_7;
    partial[out + 2312u] = sum4_0_8;
    partial[out + 2880u] = sum5_0_0;
    partial[out + 2881u] = sum5_0_1;
    partial[out + 2882u] = sum5_0_2;
    partial[out + 2883u] = sum5_0_3;
    partial[out + 2884u] = sum5_0_4;
    partial[out + 2885u] = sum5_0_5;
    partial[out + 2886u] = sum5_0_6;
    partial[out + 2887u] = sum5_0_7;
    partial[out + 2888u] = sum5_0_8;
    partial[out + 3456u] = sum6_0_0;
    partial[out + 3457u] = sum6_0_1;
    partial[out + 3458u] = sum6_0_2;
    partial[out + 3459u] = sum6_0_3;
    partial[out + 3460u] = sum6_0_4;
    partial[out + 3461u] = sum6_0_5;
    partial[out + 3462u] = sum6_0_6;
    partial[out + 3463u] = sum6_0_7;
    partial[out + 3464u] = sum6_0_8;
    partial[out + 4032u] = sum7_0_0;
    partial[out + 4033u] = sum7_0_1;
    partial[out + 4034u] = sum7_0_2;
    partial[out + 4035u] = sum7_0_3;
    partial[out + 4036u] = sum7_0_4;
    partial[out + 4037u] = sum7_0_5;
    partial[out + 4038u] = sum7_0_6;
    partial[out + 4039u] = sum7_0_7;
    partial[out + 4040u] = sum7_0_8;
}
