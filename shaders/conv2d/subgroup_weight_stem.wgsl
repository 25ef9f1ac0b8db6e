// Kernel card: weight gradient of a convolution, pixels in the lanes of one subgroup
//
// Computes   dw[k,c,r,s] = Σ_{n,oy,ox} dy[n,k,oy,ox] · x[n,c,oy·stride+r−pad,ox·stride+s−pad]
//            as one partial sum per slice of the columns; subgroup_weight_sum.wgsl adds them. For
//            fewer input channels than lanes; subgroup_weight.wgsl takes the others.
// Layout     group 0
//              0  x        f32[N,C,H,W] as vec4, read, from a buffer or a texture
//              1  dy       f32[N,K,H',W'] as vec4, likewise; padding is zero and adds nothing
//              2  partial  f32[slices,K,C,R,R], written: dw itself where there is one slice
// Split      A workgroup is one subgroup: {{ tile_k }}×{{ tile_c }} channels, one slice. A lane walks down a
//            column of 4 pixels of dy, {{ sums }} sums in named variables, then takes the next column:
//            columns are numbered through (n, x), lanes take adjacent ones.
//            Each row is loaded once: the rows of x that the next row of dy meets again stay in
//            registers. At the end a butterfly of shuffles adds {{ lanes }} sums over the {{ lanes }} lanes at once
//            and leaves one total in each lane.
// Cost       2·N·K·C·R²·H'·W' flops; x is read K/{{ tile_k }} times, dy C/{{ tile_c }} times, slice by slice so
//            that they stay in the cache. The loads take half of the time.
// Dropped    other tiles, several rows an iteration, smaller slices: docs/rejected-optimizations.md,
//            "Convolution in a subgroup".

{% from "common/subgroup.wgsl" import operand, neighbours, load_row %}
{{ operand(0, "x", x_texture) -}}
{{ operand(1, "dy", dy_texture) -}}
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;

const LANES = {{ lanes }}u;
// In vec4s: width of a row, size of a channel.
const IN_ROW = {{ in_row }}u;
const IN_MAP = {{ in_row * in_height }}u;
const OUT_ROW = {{ out_row }}u;
const OUT_MAP = {{ out_row * out_height }}u;
const COLUMNS = {{ columns }}u;

// Adds a or b over pairs of lanes that differ in `bit`: the lower one gets a, the upper b.
fn fold(a: f32, b: f32, lane: u32, bit: u32) -> f32 {
    let upper = (lane & bit) != 0u;
    return select(a, b, upper) + subgroupShuffle(select(b, a, upper), lane ^ bit);
}

// Writes sum number i of the tile at (k, c), unless it is padding or beyond the last channel.
fn put(slice: u32, k: u32, c: u32, i: u32, value: f32) {
    let at_k = k + i / {{ tile_c * kernel * kernel }}u;
    let at_c = c + i / {{ kernel * kernel }}u % {{ tile_c }}u;
    if (i < {{ sums }}u && at_k < {{ out_channels }}u && at_c < {{ in_channels }}u) {
        let pair = (slice * {{ out_channels }}u + at_k) * {{ in_channels }}u + at_c;
        partial[pair * {{ kernel * kernel }}u + i % {{ kernel * kernel }}u] = value;
    }
}

{# Sum number `i`; zero in the padding. #}
{% macro sum(i) %}{{ "sum" ~ i if i < sums else "0.0" }}{% endmacro %}
{# Total of sum first + l in lane l. #}
{% macro total(first, count) -%}
{% if count == 1 %}{{ sum(first) }}{% else -%}
fold({{ total(first, count // 2) }}, {{ total(first + count // 2, count // 2) }}, lane, {{ count // 2 }}u)
{%- endif %}
{%- endmacro %}
@compute @workgroup_size({{ lanes }})
fn stem(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let c = tile.x * {{ tile_c }}u;
    let k = tile.y * {{ tile_k }}u;
    // sum{(k·{{ tile_c }} + c)·{{ kernel * kernel }} + tap}
{% for i in range(sums) %}
    var sum{{ i }} = 0.0;
{% endfor %}

    for (var step = 0u; step < {{ each }}u; step++) {
        let index = (tile.z * {{ each }}u + step) * LANES + lane;
        // Lanes past the end repeat the last column with a gradient of zero.
        let valid = index < COLUMNS;
        let column = min(index, COLUMNS - 1u);
        let n = column / OUT_ROW;
        let left = column % OUT_ROW;
{% if kernel > 1 %}
{{ neighbours() -}}
{% endif %}
{% for j in range(tile_c) %}
        {% set channel = "c + " ~ j ~ "u" %}
        {% set inside = "min(" ~ channel ~ ", " ~ (in_channels - 1) ~ "u)" %}
        let c{{ j }} = {{ inside if in_channels % tile_c else channel }};
        var x_at{{ j }} = (n * {{ in_channels }}u + c{{ j }}) * IN_MAP + left * {{ stride }}u;
{% endfor %}
{% for i in range(tile_k) %}
        {% set channel = "k + " ~ i ~ "u" %}
        {% set inside = "min(" ~ channel ~ ", " ~ (out_channels - 1) ~ "u)" %}
        let k{{ i }} = {{ inside if out_channels % tile_k else channel }};
        var dy_at{{ i }} = (n * {{ out_channels }}u + k{{ i }}) * OUT_MAP + left;
{% endfor %}

        // x{channel}r{tap row}_{tap column}: the rows above the first one are zero.
{% if kernel > 1 %}
{% for j in range(tile_c) %}
{% for tap in range(kernel) %}
        var x{{ j }}r0_{{ tap }} = vec4f();
{% endfor %}
{% if stride == 1 %}
{{ load_row("x" ~ j ~ "first", "x_at" ~ j, "true", kernel, stride, halo) -}}
{% for tap in range(kernel) %}
        var x{{ j }}r1_{{ tap }} = x{{ j }}first_{{ tap }};
{% endfor %}
{% endif %}
{% endfor %}
{% endif %}
        for (var row = 0u; row < {{ out_height }}u; row++) {
{% for i in range(tile_k) %}
        let dy{{ i }} = select(vec4f(), load_dy(dy_at{{ i }}), valid);
        dy_at{{ i }} += OUT_ROW;
{% endfor %}
{% if kernel > 1 and stride == 1 %}
        let below = row + 1u < {{ in_height }}u;
{% endif %}
{% for j in range(tile_c) %}
{% if kernel == 1 %}
{{ load_row("x" ~ j ~ "r0", "x_at" ~ j, "true", kernel, stride, halo) -}}
{% elif stride == 1 %}
        let at{{ j }} = select(x_at{{ j }}, x_at{{ j }} + IN_ROW, below);
{{ load_row("x" ~ j ~ "r2", "at" ~ j, "below", kernel, stride, halo) -}}
{% else %}
{{ load_row("x" ~ j ~ "r1", "x_at" ~ j, "true", kernel, stride, halo) -}}
        let at{{ j }} = x_at{{ j }} + IN_ROW;
{{ load_row("x" ~ j ~ "r2", "at" ~ j, "true", kernel, stride, halo) -}}
{% endif %}
        x_at{{ j }} += {{ stride }}u * IN_ROW;
{% endfor %}
{% for i in range(tile_k) %}
{% for j in range(tile_c) %}
{% for tap in range(kernel * kernel) %}
        {% set sum = (i * tile_c + j) * kernel * kernel + tap %}
        sum{{ sum }} += dot(dy{{ i }}, x{{ j }}r{{ tap // kernel }}_{{ tap % kernel }});
{% endfor %}
{% endfor %}
{% endfor %}
{% if kernel > 1 %}
        // What lies below this row lies above the next.
{% for j in range(tile_c) %}
{% for tap in range(kernel) %}
{% if stride == 1 %}
        x{{ j }}r0_{{ tap }} = x{{ j }}r1_{{ tap }};
        x{{ j }}r1_{{ tap }} = x{{ j }}r2_{{ tap }};
{% else %}
        x{{ j }}r0_{{ tap }} = x{{ j }}r2_{{ tap }};
{% endif %}
{% endfor %}
{% endfor %}
{% endif %}
        }
    }

{% for block in range(0, sums, lanes) %}
    put(tile.z, k, c, {{ block }}u + lane, {{ total(block, lanes) }});
{% endfor %}
}
