// Kernel card: convolution as implicit matrix multiplication in shared memory
//
// Computes   y[n,k,oy,ox]  = Σ_{c,r,s} x[n,c, oy·stride+r−pad, ox·stride+s−pad] · w[k,c,r,s]
//            dx[n,c,iy,ix] = Σ_{k,r,s} dy[n,k, (iy+pad−r)/stride, (ix+pad−s)/stride] · w[k,c,r,s]
//                            over the taps (r, s) whose division has no remainder
//            dw[k,c,r,s]   = Σ_{n,oy,ox} dy[n,k,oy,ox] · x[n,c, oy·stride+r−pad, ox·stride+s−pad]
// Used for   every convolution on a GPU, and on software Vulkan the shapes that
//            conv2d/subgroup.wgsl does not take. Any kernel size, stride, padding, size.
//
// Idea       Each of the three is one product of matrices, of which the larger is never
//            stored: where its tile is loaded, the indices are computed instead.
//              forward          Y[k, pixel]  = Σ over (c, tap)  W[k, (c, tap)] · X[(c, tap), pixel]
//              data gradient    DX[c, pixel] = Σ over (k, tap)  W'[c, (k, tap)] · DY[(k, tap), pixel]
//              weight gradient  DW[k, (tap, c)] = Σ over pixels DY[k, pixel] · X[(tap, c), pixel]
//            Pixels are counted through the batch (n, row, column), so that 4×4 maps fill
//            tiles, too. A workgroup computes a tile of rows × columns. It walks the inner
//            dimension in steps of `depth`: both operands' strips go to shared memory, then
//            every invocation multiplies its few rows by its few columns in registers.
//
// Entries and bindings (f32; activations NCHW, weights OIHW)
//   pack           0  w       K×C×R×R
//                  1  packed  the left matrix cut into the tiles that `gather` reads:
//                             [row tile][step][depth][row in tile], filled up with zeros
//   gather         0  source  x N×C×H×W (forward) or dy N×K×H'×W' (data gradient)
//                  1  packed  as above
//                  2  goal    y N×K×H'×W' or dx N×C×H×W, written in full (or added to)
//   weight_slices  0  source  x N×C×H×W
//                  1  dy      N×K×H'×W'
//                  2  slices  [slice][K][R×R][C]: what each slice of the pixels contributes
//   sum_slices     0  slices  as above
//                  1  dw      K×C×R×R
//
// Split      One workgroup per tile. Invocations stand in a grid over it, 8×4 per subgroup
//            of 32 where the tile allows, so that a subgroup reads only 4 distinct vec4 of the
//            left strip and 8 of the right at a time, adjacent ones. An invocation owns rows
//            4·(y + i·lanes) to +3 as one vec4, columns x + i·lanes: shared reads and global
//            writes of neighbours are adjacent. Left strips are vec4 along the rows, right
//            strips vec4 along the depth: an invocation loads four planes of one pixel, so
//            that neighbours load adjacent pixels, whatever their alignment. The next strips
//            travel to registers while the present ones are multiplied.
//            In the data gradient with a stride, pixels whose row and column leave the same
//            remainders use the same taps. Each such class is a layer of the grid (z) with
//            its own short list of taps: nobody multiplies by zeros. The class with the
//            longest list comes first, so that the last to finish are short.
//            In the weight gradient the pixels are cut into a fixed number of slices;
//            `sum_slices` adds them in fixed order, so that results repeat to the bit.
// Cost       2·N·K·C·R²·H'·W' flops each. With an r×c tile a step moves (r + c)·depth words
//            for 2·r·c·depth flops: 64×128 makes 21 flops per byte from cache, and each
//            input is reused by its R² taps while it is in the nearest cache.
// Dropped    On paper: weights read as OIHW (neighbours are C·R² words apart, and packing
//            moves less than 1 % of what the product moves at 64 channels and a batch of 256);
//            right strips as vec4 along the pixels (needs aligned maps, or the bounds of four
//            pixels per lane); scalar sums with dot() (five operations for four products);
//            128×128 tiles (one workgroup per core: nothing runs while it waits at a barrier);
//            two strips of each operand in shared memory (24 KiB, and 16 is the portable limit);
//            atomics for the slices (not repeatable).

{# One step in registers: rows a · columns b, for four entries of the inner dimension at a time. #}
{% macro multiply() %}
        for (var d = 0u; d < {{ depth // 4 }}u; d++) {
            {% for j in range(4) %}
            {% for q in range(quads) %}
            let a{{ j }}_{{ q }} = left[(4u * d + {{ j }}u) * LEFT_ROW + lane_y + {{ q * lanes_y }}u];
            {% endfor %}
            {% endfor %}
            {% for i in range(lane_columns) %}
            let b{{ i }} = right[d * RIGHT_ROW + lane_x + {{ i * lanes_x }}u];
            {% for j in range(4) %}
            {% for q in range(quads) %}
            sum{{ q }}_{{ i }} = fma(a{{ j }}_{{ q }}, vec4f(b{{ i }}.{{ "xyzw"[j] }}), sum{{ q }}_{{ i }});
            {% endfor %}
            {% endfor %}
            {% endfor %}
        }
{% endmacro %}

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
{% if entry == "pack" or entry == "gather" %}
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
{% endif %}
{% if entry == "pack" %}
{% from "common/stream.wgsl" import each %}

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
{% if entry == "gather" or entry == "weight_slices" %}

// The strips of both operands: left [depth][row / 4], right [depth / 4][column].
const LEFT_ROW = {{ left_row }}u;
const RIGHT_ROW = {{ right_row }}u;
var<workgroup> left: array<vec4f, {{ depth * left_row }}>;
var<workgroup> right: array<vec4f, {{ depth // 4 * right_row }}>;
{% endif %}
{% if entry == "gather" %}

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
        right[(lane / {{ tile_columns }}u + {{ g * group_step // 4 }}u) * RIGHT_ROW + lane % {{ tile_columns }}u + {{ i * threads }}u] =
            select(vec4f(), right{{ i }}_{{ g }}, inside{{ i }});
        {% endfor %}
        {% endfor %}
        workgroupBarrier();
        if (step + 1u < steps) {
            let next = step + 1u;
{{ load("next") }}
        }
{{ multiply() }}
        workgroupBarrier();
    }

    {% for i in range(lane_columns) %}
    let column{{ i }} = column_tile * {{ tile_columns }}u + lane_x + {{ i * lanes_x }}u;
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
        put(at, row_tile * {{ tile_rows }}u + 4u * lane_y + {{ 4 * q * lanes_y + e }}u, sum{{ q }}_{{ i }}.{{ "xyzw"[e] }});
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
{% if entry == "weight_slices" %}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> slices: array<f32>;

const PIXELS = {{ pixels }}u;
const SLICE = {{ slice }}u;
const COLUMNS = R * R * C;
const AREA = H * W;
const OUT_AREA = OUT_H * OUT_W;
{% macro load(step) %}
            // Four output channels of one pixel.
            let pl = slice * SLICE + {{ step }} * {{ depth }}u + lane % {{ depth }}u;
            inside_left = pl < PIXELS;
            let at_left = select(0u, pl / OUT_AREA * (K * OUT_AREA) + pl % OUT_AREA, inside_left);
            {% for i in range(left_loads) %}
            left{{ i }} = vec4f(
                {% for e in range(4) %}
                {% if ragged_rows %}
                dy[at_left + min(row0 + {{ 4 * i * left_step + e }}u, K - 1u) * OUT_AREA],
                {% else %}
                dy[at_left + (row0 + {{ 4 * i * left_step + e }}u) * OUT_AREA],
                {% endif %}
                {% endfor %}
            );
            {% endfor %}
            // Four adjacent pixels, moved by the tap, of each column.
            {% for e in range(4) %}
            {% if e == 0 or not aligned %}
            let p{{ e }} = slice * SLICE + {{ step }} * {{ depth }}u + lane % {{ depth // 4 }}u * 4u + {{ e }}u;
            let image{{ e }} = p{{ e }} / OUT_AREA * (C * AREA);
            let y{{ e }} = select(OUTSIDE, i32(p{{ e }} / OUT_W % OUT_H * STRIDE), p{{ e }} < PIXELS);
            let x{{ e }} = i32(p{{ e }} % OUT_W * STRIDE);
            {% else %}
            let image{{ e }} = image0;
            let y{{ e }} = y0;
            let x{{ e }} = x0 + {{ e }} * i32(STRIDE);
            {% endif %}
            {% endfor %}
            {% for u in range(taps) %}
            {% for e in range(4) %}
            let at_y{{ u }}_{{ e }} = u32(y{{ e }} + shift_y{{ u }});
            let at_x{{ u }}_{{ e }} = u32(x{{ e }} + shift_x{{ u }});
            let inside{{ u }}_{{ e }} = at_y{{ u }}_{{ e }} < H && at_x{{ u }}_{{ e }} < W;
            let at{{ u }}_{{ e }} = select(0u, image{{ e }} + at_y{{ u }}_{{ e }} * W + at_x{{ u }}_{{ e }}, inside{{ u }}_{{ e }});
            {% endfor %}
            inside{{ u }} = vec4<bool>(inside{{ u }}_0, inside{{ u }}_1, inside{{ u }}_2, inside{{ u }}_3);
            {% endfor %}
            {% for i in range(right_loads) %}
            {% set u = 0 if taps == 1 else i %}
            right{{ i }} = vec4f(
                {% for e in range(4) %}
                source[at{{ u }}_{{ e }} + channel{{ i }} * AREA],
                {% endfor %}
            );
            {% endfor %}
{% endmacro %}

@compute @workgroup_size({{ threads }})
fn weight_slices(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3u,
) {
    let row_tile = group.x % {{ row_tiles }}u;
    let column_tile = group.x / {{ row_tiles }}u;
    let slice = group.y;
    let lane_x = lane % {{ patch_x }}u + lane / {{ patch_x * patch_y }}u % {{ lanes_x // patch_x }}u * {{ patch_x }}u;
    let lane_y = lane / {{ patch_x }}u % {{ patch_y }}u + lane / {{ lanes_x * patch_y }}u * {{ patch_y }}u;

    // What this lane loads: rows and columns stay the same, pixels advance.
    let row0 = row_tile * {{ tile_rows }}u + lane / {{ depth }}u * 4u;
    let column0 = column_tile * {{ tile_columns }}u + lane / {{ depth // 4 }}u;
    {% for u in range(taps) %}
    {% if taps == 1 %}
    // All columns of the tile belong to one tap.
    let tap0 = column_tile * {{ tile_columns }}u / C;
    let shift_y0 = i32(tap0 / R) - i32(PADDING);
    {% else %}
    let tap{{ u }} = (column0 + {{ u * right_step }}u) / C;
    let shift_y{{ u }} = select(OUTSIDE, i32(tap{{ u }} / R) - i32(PADDING), tap{{ u }} < R * R);
    {% endif %}
    let shift_x{{ u }} = i32(tap{{ u }} % R) - i32(PADDING);
    {% endfor %}
    {% for i in range(right_loads) %}
    let channel{{ i }} = (column0 + {{ i * right_step }}u) % C;
    {% endfor %}

    // The next strips on their way to shared memory, and the sums.
    {% for i in range(left_loads) %}
    var left{{ i }}: vec4f;
    {% endfor %}
    {% for i in range(right_loads) %}
    var right{{ i }}: vec4f;
    {% endfor %}
    var inside_left: bool;
    {% for u in range(taps) %}
    var inside{{ u }}: vec4<bool>;
    {% endfor %}
    {% for q in range(quads) %}
    {% for i in range(lane_columns) %}
    var sum{{ q }}_{{ i }} = vec4f();
    {% endfor %}
    {% endfor %}

    {
{{ load("0u") }}
    }
    for (var step = 0u; step < {{ slice // depth }}u; step++) {
        {% for i in range(left_loads) %}
        left[lane % {{ depth }}u * LEFT_ROW + lane / {{ depth }}u + {{ i * left_step }}u] = select(vec4f(), left{{ i }}, inside_left);
        {% endfor %}
        {% for i in range(right_loads) %}
        right[lane % {{ depth // 4 }}u * RIGHT_ROW + lane / {{ depth // 4 }}u + {{ i * right_step }}u] =
            select(vec4f(), right{{ i }}, inside{{ 0 if taps == 1 else i }});
        {% endfor %}
        workgroupBarrier();
        if (step + 1u < {{ slice // depth }}u) {
            let next = step + 1u;
{{ load("next") }}
        }
{{ multiply() }}
        workgroupBarrier();
    }

    {% for i in range(lane_columns) %}
    {
        let column = column_tile * {{ tile_columns }}u + lane_x + {{ i * lanes_x }}u;
        {% for q in range(quads) %}
        {% for e in range(4) %}
        put(slice, row_tile * {{ tile_rows }}u + 4u * lane_y + {{ 4 * q * lanes_y + e }}u, column, sum{{ q }}_{{ i }}.{{ "xyzw"[e] }});
        {% endfor %}
        {% endfor %}
    }
    {% endfor %}
}

fn put(slice: u32, row: u32, column: u32, value: f32) {
    if (row < K && column < COLUMNS) {
        slices[(slice * K + row) * COLUMNS + column] = value;
    }
}
{% endif %}
{% if entry == "sum_slices" %}

@group(0) @binding(0) var<storage, read> slices: array<f32>;
@group(0) @binding(1) var<storage, read_write> dw: array<f32>;

var<workgroup> part: array<f32, {{ sums * parts }}>;

// {{ sums }} weights per workgroup; each is summed in {{ parts }} parts, then the parts in order.
@compute @workgroup_size({{ sums }}, {{ parts }})
fn sum_slices(
    @builtin(local_invocation_id) lane: vec3u,
    @builtin(workgroup_id) group: vec3u,
) {
    let i = (group.x + group.y * {{ groups_x }}u) * {{ sums }}u + lane.x;
    var sum = 0.0;
    if (i < {{ weights }}u) {
        for (var slice = lane.y; slice < {{ slices }}u; slice += {{ parts }}u) {
            sum += slices[slice * {{ weights }}u + i];
        }
    }
    part[lane.y * {{ sums }}u + lane.x] = sum;
    workgroupBarrier();
    if (i < {{ weights }}u && lane.y == 0u) {
        {% for j in range(1, parts) %}
        sum += part[{{ j * sums }}u + lane.x];
        {% endfor %}
        // From [K][R×R][C] to [K][C][R×R].
        let c = i % C;
        let tap = i / C % (R * R);
        let k = i / (C * R * R);
        dw[(k * C + c) * (R * R) + tap] = sum;
    }
}
{% endif %}
