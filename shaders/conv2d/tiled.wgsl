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

{% from "common/stream.wgsl" import each %}
{% from "common/tile.wgsl" import strips, multiply, column %}
// Shape of the convolution.
const C = {{ in_channels }}u;
const K = {{ out_channels }}u;
const H = {{ height }}u;
const W = {{ width }}u;
const OUT_H = {{ out_height }}u;
const OUT_W = {{ out_width }}u;
const R = {{ kernel }}u;
const STRIDE = {{ stride }}u;
const PADDING = {{ padding }}u;
// Row and column of a pixel that is none: no tap brings it back inside.
const OUTSIDE = -0x1000000;
{% if forward %}

// Rows are output channels. Each pixel of the output gathers from the input.
const ROWS = K;
const CHANNELS = C;
const SOURCE_H = H;
const SOURCE_W = W;
{% else %}

// Rows are input channels. Each pixel of the input gathers from the output.
const ROWS = C;
const CHANNELS = K;
const SOURCE_H = OUT_H;
const SOURCE_W = OUT_W;
{% endif %}
const DEPTH = {{ depth }}u;
{% if flattened %}
// Channels do not fill steps: steps run through (channel, tap) without a break.
{% else %}
// A step is one tap of DEPTH channels; all taps of these channels, then the next channels:
// the taps find the channels in the cache.
{% endif %}
const STEPS = {{ steps }}u;
{% if entry == "pack" %}

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read_write> packed: array<vec4f>;

fn weight(row: u32, channel: u32, tap: u32) -> f32 {
    if (row >= ROWS || channel >= CHANNELS) {
        return 0.0;
    }
    {% if forward %}
    return w[(row * C + channel) * (R * R) + tap];
    {% else %}
    return w[(channel * C + row) * (R * R) + tap];
    {% endif %}
}

@compute @workgroup_size({{ workgroup }})
fn pack(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", packed_quads ~ "u", run, workgroup) }} {
        let quad = i % {{ tile_rows // 4 }}u;
        let j = i / {{ tile_rows // 4 }}u % DEPTH;
        let step = i / {{ tile_rows // 4 * depth }}u % STEPS;
        let row = i / ({{ tile_rows // 4 * depth }}u * STEPS) * {{ tile_rows }}u + 4u * quad;
        {% if flattened %}
        let channel = (step * DEPTH + j) / (R * R);
        let tap = (step * DEPTH + j) % (R * R);
        {% else %}
        let channel = step / (R * R) * DEPTH + j;
        let tap = step % (R * R);
        {% endif %}
        packed[i] = vec4f(
            weight(row, channel, tap),
            weight(row + 1u, channel, tap),
            weight(row + 2u, channel, tap),
            weight(row + 3u, channel, tap),
        );
    }
}
{% endif %}
{% if entry == "gather" %}

// The strips of both operands: left [depth][row / 4], right [depth][column].
{{ strips(depth, left_row, right_row, true) -}}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> packed: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> goal: array<f32>;

// The pixels that one layer of the grid computes: the output's (forward), or those of the
// input whose row and column leave the same remainders by the stride (data gradient).
const GRID_H = {{ grid_height }}u;
const GRID_W = {{ grid_width }}u;
const PIXELS = {{ grid_pixels }}u;
const SOURCE_AREA = SOURCE_H * SOURCE_W;

// Image, row and column of a pixel.
fn pixel(p: u32) -> vec3u {
    return vec3u(p / (GRID_H * GRID_W), p / GRID_W % GRID_H, p % GRID_W);
}
{% if flattened or ragged_channels %}

// One element of the source, zero outside of it.
fn sample(image: u32, channel: u32, y: i32, x: i32) -> f32 {
    // Without branches: a load too many costs less than one branch each for the many samples.
    let inside = (channel < CHANNELS) & (u32(y) < SOURCE_H) & (u32(x) < SOURCE_W);
    let index = image + channel * SOURCE_AREA + u32(y) * SOURCE_W + u32(x);
    return select(0.0, source[select(0u, index, inside)], inside);
}
{% endif %}
{% macro load(step) %}
            {% if flattened %}
            let strip = row_tile * STEPS + {{ step }};
            let first = {{ step }} * DEPTH + group0;
            {% else %}
            let tap = {{ step }} % taps;
            let tap_y = tap / taps_x;
            let tap_x = tap % taps_x;
            let channel = {{ step }} / taps * DEPTH + group0;
            {% if forward %}
            let strip = row_tile * STEPS + {{ step }};
            let shift_y = i32(tap_y) - i32(PADDING);
            let shift_x = i32(tap_x) - i32(PADDING);
            {% else %}
            let strip = row_tile * STEPS + {{ step }} / taps * (R * R)
                + (first_y + tap_y * STRIDE) * R + first_x + tap_x * STRIDE;
            let shift_y = i32((class_y + PADDING - first_y) / STRIDE) - i32(tap_y);
            let shift_x = i32((class_x + PADDING - first_x) / STRIDE) - i32(tap_x);
            {% endif %}
            {% endif %}
            {% for i in range(left_loads) %}
            left{{ i }} = packed[strip * {{ depth * left_row }}u + lane + {{ i * threads }}u];
            {% endfor %}
            {% for i in range(lane_pixels) %}
            {% if flattened %}
            {% for g in range(pixel_groups) %}
            right{{ i }}_{{ g }} = vec4f(
                {% for e in range(4) %}
                sample(
                    image{{ i }},
                    (first + {{ g * group_step + e }}u) / (R * R),
                    y{{ i }} + i32((first + {{ g * group_step + e }}u) / R % R) - i32(PADDING),
                    x{{ i }} + i32((first + {{ g * group_step + e }}u) % R) - i32(PADDING),
                ),
                {% endfor %}
            );
            {% endfor %}
            {% elif ragged_channels %}
            {% for g in range(pixel_groups) %}
            right{{ i }}_{{ g }} = vec4f(
                {% for e in range(4) %}
                sample(image{{ i }}, channel + {{ g * group_step + e }}u, y{{ i }} + shift_y, x{{ i }} + shift_x),
                {% endfor %}
            );
            {% endfor %}
            {% else %}
            // Outside of the map the lane loads its image's first element, to be zeroed.
            let at_y{{ i }} = u32(y{{ i }} + shift_y);
            let at_x{{ i }} = u32(x{{ i }} + shift_x);
            inside{{ i }} = at_y{{ i }} < SOURCE_H && at_x{{ i }} < SOURCE_W;
            let at{{ i }} = image{{ i }} + channel * SOURCE_AREA
                + select(0u, at_y{{ i }} * SOURCE_W + at_x{{ i }}, inside{{ i }});
            {% for g in range(pixel_groups) %}
            right{{ i }}_{{ g }} = vec4f(
                {% for e in range(4) %}
                source[at{{ i }} + {{ g * group_step + e }}u * SOURCE_AREA],
                {% endfor %}
            );
            {% endfor %}
            {% endif %}
            {% endfor %}
{% endmacro %}

@compute @workgroup_size({{ threads }})
fn gather(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3u,
) {
    // Row tiles of the same pixels are neighbours: they find the pixels in the cache.
    let tile = group.x + group.y * {{ groups_x }}u;
    if (tile >= {{ tiles }}u) {
        return;
    }
    let row_tile = tile % {{ row_tiles }}u;
    let column_tile = tile / {{ row_tiles }}u;
    let lane_x = lane % {{ patch_x }}u + lane / {{ patch_x * patch_y }}u % {{ lanes_x // patch_x }}u * {{ patch_x }}u;
    let lane_y = lane / {{ patch_x }}u % {{ patch_y }}u + lane / {{ lanes_x * patch_y }}u * {{ patch_y }}u;

    // The taps of this layer of the grid.
    {% if forward %}
    let taps_x = R;
    let taps = R * R;
    let steps = STEPS;
    {% else %}
    // Layer z gathers by the taps first, first + stride, …: z = 0 has the most of them.
    {% if stride == 1 %}
    let first_y = 0u;
    let first_x = 0u;
    {% else %}
    let first_y = group.z / STRIDE;
    let first_x = group.z % STRIDE;
    {% endif %}
    let class_y = (first_y + PADDING * (STRIDE - 1u)) % STRIDE;
    let class_x = (first_x + PADDING * (STRIDE - 1u)) % STRIDE;
    let taps_y = (R + STRIDE - 1u - first_y) / STRIDE;
    let taps_x = (R + STRIDE - 1u - first_x) / STRIDE;
    let taps = taps_y * taps_x;
    let steps = STEPS / (R * R) * taps;
    {% endif %}

    // What this lane loads: pixels, and groups of four channels of them.
    let group0 = lane / {{ tile_columns }}u * 4u;
    {% for i in range(lane_pixels) %}
    let p{{ i }} = column_tile * {{ tile_columns }}u + lane % {{ tile_columns }}u + {{ i * threads }}u;
    let pixel{{ i }} = pixel(p{{ i }});
    let here{{ i }} = p{{ i }} < PIXELS;
    let image{{ i }} = select(0u, pixel{{ i }}.x * (CHANNELS * SOURCE_AREA), here{{ i }});
    let y{{ i }} = select(OUTSIDE, i32(pixel{{ i }}.y{{ " * STRIDE" if forward }}), here{{ i }});
    let x{{ i }} = i32(pixel{{ i }}.z{{ " * STRIDE" if forward }});
    {% endfor %}

    // The next strips on their way to shared memory, and the sums.
    {% for i in range(left_loads) %}
    var left{{ i }}: vec4f;
    {% endfor %}
    {% for i in range(lane_pixels) %}
    {% for g in range(pixel_groups) %}
    var right{{ i }}_{{ g }}: vec4f;
    {% endfor %}
    var inside{{ i }} = true;
    {% endfor %}
    {% for q in range(quads) %}
    {% for i in range(lane_columns) %}
    var sum{{ q }}_{{ i }} = vec4f();
    {% endfor %}
    {% endfor %}

    if (steps > 0u) {
{{ load("0u") }}
    }
    for (var step = 0u; step < steps; step++) {
        {% for i in range(left_loads) %}
        left[lane + {{ i * threads }}u] = left{{ i }};
        {% endfor %}
        {% for i in range(lane_pixels) %}
        {% for g in range(pixel_groups) %}
        {
            let four = select(vec4f(), right{{ i }}_{{ g }}, inside{{ i }});
            let at = (lane / {{ tile_columns }}u * 4u + {{ g * group_step }}u) * RIGHT_ROW
                + lane % {{ tile_columns }}u + {{ i * threads }}u;
            {% for e in range(4) %}
            right[at{{ " + " ~ e ~ "u * RIGHT_ROW" if e }}] = four.{{ "xyzw"[e] }};
            {% endfor %}
        }
        {% endfor %}
        {% endfor %}
        workgroupBarrier();
        if (step + 1u < steps) {
            let next = step + 1u;
{{ load("next") }}
        }
{{ multiply(depth, quads, lane_columns, lanes_x, lanes_y, true) }}
        workgroupBarrier();
    }

    {% for i in range(lane_columns) %}
    let column{{ i }} = column_tile * {{ tile_columns }}u + {{ column(i, lanes_x) }};
    let out{{ i }} = pixel(column{{ i }});
    {% if forward %}
    if (column{{ i }} < PIXELS) {
        let at = out{{ i }}.x * (ROWS * GRID_H * GRID_W) + out{{ i }}.y * GRID_W + out{{ i }}.z;
    {% else %}
    let out_y{{ i }} = out{{ i }}.y * STRIDE + class_y;
    let out_x{{ i }} = out{{ i }}.z * STRIDE + class_x;
    if (column{{ i }} < PIXELS && out_y{{ i }} < H && out_x{{ i }} < W) {
        let at = out{{ i }}.x * (ROWS * H * W) + out_y{{ i }} * W + out_x{{ i }};
    {% endif %}
        {% for q in range(quads) %}
        {% for e in range(4) %}
        {% set row = 4 * q * lanes_y + e %}
        put(at, row_tile * {{ tile_rows }}u + 4u * lane_y + {{ row }}u, sum{{ q }}_{{ i }}.{{ "xyzw"[e] }});
        {% endfor %}
        {% endfor %}
    }
    {% endfor %}
}

fn put(at: u32, row: u32, value: f32) {
    {% if ragged_rows %}
    if (row >= ROWS) {
        return;
    }
    {% endif %}
    goal[at + row * {{ "(OUT_H * OUT_W)" if forward else "(H * W)" }}] {{ "+=" if accumulate else "=" }} value;
}
{% endif %}
