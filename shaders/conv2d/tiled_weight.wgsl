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
{% if entry == "weight_slices" %}

// The strips of both operands: left [depth][row / 4], right [depth][column / 4].
{{ strips(depth, left_row, right_row, false) -}}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> slices: array<f32>;

const PIXELS = {{ pixels }}u;
const SLICE = {{ slice }}u;
const COLUMNS = R * R * C;
const AREA = H * W;
const OUT_AREA = OUT_H * OUT_W;
{% macro load(step) %}
            // Four output channels of one pixel, and four columns of it, moved by their taps.
            let p = slice * SLICE + {{ step }} * {{ depth }}u + lane % {{ depth }}u;
            inside_left = p < PIXELS;
            let at_left = select(0u, p / OUT_AREA * (K * OUT_AREA) + p % OUT_AREA, inside_left);
            {% for i in range(left_loads) %}
            left{{ i }} = vec4f(
                {% for e in range(4) %}
                {% if ragged_rows %}
                dy[at_left + min(row0 + {{ 4 * i * lane_step + e }}u, K - 1u) * OUT_AREA],
                {% else %}
                dy[at_left + (row0 + {{ 4 * i * lane_step + e }}u) * OUT_AREA],
                {% endif %}
                {% endfor %}
            );
            {% endfor %}
            let image = p / OUT_AREA * (C * AREA);
            let y = select(OUTSIDE, i32(p / OUT_W % OUT_H * STRIDE), inside_left);
            let x = i32(p % OUT_W * STRIDE);
            {% for u in range(taps) %}
            let at_y{{ u }} = u32(y + shift_y{{ u }});
            let at_x{{ u }} = u32(x + shift_x{{ u }});
            inside{{ u }} = at_y{{ u }} < H && at_x{{ u }} < W;
            let at{{ u }} = select(0u, image + at_y{{ u }} * W + at_x{{ u }}, inside{{ u }});
            {% endfor %}
            {% for i in range(right_loads) %}
            right{{ i }} = vec4f(
                {% for e in range(4) %}
                {% if whole_quads %}
                source[at{{ 0 if one_tap else i }} + (channel{{ i }} + {{ e }}u) * AREA],
                {% else %}
                source[at{{ 4 * i + e }} + channel{{ 4 * i + e }} * AREA],
                {% endif %}
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
    let column0 = column_tile * {{ tile_columns }}u + lane / {{ depth }}u * 4u;
    {% if one_tap %}
    // All columns of the tile belong to one tap.
    let tap0 = column_tile * {{ tile_columns }}u / C;
    let shift_y0 = i32(tap0 / R) - i32(PADDING);
    let shift_x0 = i32(tap0 % R) - i32(PADDING);
    {% endif %}
    {% for u in range(columns) %}
    {% set next = 4 * lane_step * u if whole_quads else 4 * lane_step * (u // 4) + u % 4 %}
    let channel{{ u }} = (column0 + {{ next }}u) % C;
    {% if not one_tap %}
    let tap{{ u }} = (column0 + {{ next }}u) / C;
    let shift_y{{ u }} = select(OUTSIDE, i32(tap{{ u }} / R) - i32(PADDING), tap{{ u }} < R * R);
    let shift_x{{ u }} = i32(tap{{ u }} % R) - i32(PADDING);
    {% endif %}
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
    var inside{{ u }}: bool;
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
        left[lane % {{ depth }}u * LEFT_ROW + lane / {{ depth }}u + {{ i * lane_step }}u] =
            select(vec4f(), left{{ i }}, inside_left);
        {% endfor %}
        {% for i in range(right_loads) %}
        {% if whole_quads %}
        {% set inside = "inside" ~ (0 if one_tap else i) %}
        {% else %}
        {% set four = ["inside" ~ 4 * i, "inside" ~ (4 * i + 1), "inside" ~ (4 * i + 2), "inside" ~ (4 * i + 3)] %}
        {% set inside = "vec4<bool>(" ~ four | join(", ") ~ ")" %}
        {% endif %}
        right[lane % {{ depth }}u * RIGHT_ROW + lane / {{ depth }}u + {{ i * lane_step }}u] =
            select(vec4f(), right{{ i }}, {{ inside }});
        {% endfor %}
        workgroupBarrier();
        if (step + 1u < {{ slice // depth }}u) {
            let next = step + 1u;
{{ load("next") }}
        }
{{ multiply(depth, quads, lane_columns, lanes_x, lanes_y, false) }}
        workgroupBarrier();
    }

    {% for i in range(lane_columns) %}
    {
        let column = column_tile * {{ tile_columns }}u + {{ column(i, lanes_x) }};
        {% for q in range(quads) %}
        {% for e in range(4) %}
        {% set row = 4 * q * lanes_y + e %}
        put(slice, row_tile * {{ tile_rows }}u + 4u * lane_y + {{ row }}u, column, sum{{ q }}_{{ i }}.{{ "xyzw"[e] }});
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
