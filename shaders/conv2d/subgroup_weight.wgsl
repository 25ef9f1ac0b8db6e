// Kernel card: weight gradient of a convolution, channels in the lanes of one subgroup
//
// Computes   dw[k,c,r,s] = Σ_{n,oy,ox} dy[n,k,oy,ox] · x[n,c,oy·stride+r−pad,ox·stride+s−pad]
//            as one partial sum per slice; subgroup_weight_sum.wgsl adds slices, if several.
// Layout     group 0
//              0  x        f32[N,C,H,W] as vec4, read, from a buffer or a texture, perhaps padded or
//                          unfolded
//              1  dy       f32[N,K,H',W'] as vec4, likewise; padding is zero and adds nothing
//              2  partial  f32[slices,K,C,R,R], written: dw itself where there is one slice
// Split      A workgroup is one subgroup: {{ tile_k }}×{{ blocks * lanes }} channels, one slice of the images. A lane
//            owns {{ blocks }} input channel(s): {{ tile_k * blocks * kernel * kernel }} sums in named variables.
//            It walks down a segment of {{ 4 * quads }} columns of dy, {{ rows }} row(s) at a time, then takes the
//            next segment.
//            The gradients of all {{ tile_k }} output channels are loaded by the lanes, a channel each, and
//            broadcast by shuffles with a literal lane. Every pixel of x stays in a register for all
//            the taps and channels that meet it. What a tap would read beyond a border that lies at
//            the segment's end is left out of the text.
// Cost       2·N·K·C·R²·H'·W' flops; x is read K/{{ tile_k }} times, dy C/{{ blocks * lanes }} times.
// Dropped    pixels in the lanes (what subgroup_weight_stem.wgsl does for few channels):
//            docs/rejected-optimizations.md, "Convolution in a subgroup".

{% from "common/subgroup.wgsl" import operand %}
{{ operand(0, "x", x_texture) -}}
{{ operand(1, "dy", dy_texture) -}}
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;

// In vec4s: width of a row, size of a channel.
const IN_ROW = {{ in_row }}u;
const IN_MAP = {{ in_row * in_height }}u;
const OUT_ROW = {{ out_row }}u;
const OUT_MAP = {{ out_row * out_height }}u;
// Segments in a row.
const PER_ROW = {{ out_row // quads }}u;

{# Pixel `column` of row i, from −1 to one past the segment's end. #}
{% macro pixel(b, i, column) -%}
{% if column < 0 %}x{{ b }}_{{ i }}_l{% elif column >= columns %}x{{ b }}_{{ i }}_r{% else -%}
x{{ b }}_{{ i }}_{{ column // 4 }}.{{ "xyzw"[column % 4] }}
{%- endif %}
{%- endmacro %}
{# Loads row i of x at the vec4 `at`, zero where not `valid`. #}
{% macro load(b, i, at, valid, keyword) %}
        let at{{ b }}_{{ i }} = {{ at if valid == "true" else "select(x_at" ~ b ~ ", " ~ at ~ ", " ~ valid ~ ")" }};
{% for q in range(columns // 4) %}
        {{ keyword }} x{{ b }}_{{ i }}_{{ q }} = {{ "" if valid == "true" else "select(vec4f(), " -}}
            load_x(at{{ b }}_{{ i }} + {{ q }}u){{ "" if valid == "true" else ", " ~ valid ~ ")" }};
{% endfor %}
{% if left %}
        {{ keyword }} x{{ b }}_{{ i }}_l =
            select(0.0, load_x(select(at{{ b }}_{{ i }}, at{{ b }}_{{ i }} - 1u, at_left)).w, at_left && {{ valid }});
{% endif %}
{% if right %}
        {% set next = "at" ~ b ~ "_" ~ i ~ " + " ~ (columns // 4) ~ "u" %}
        {{ keyword }} x{{ b }}_{{ i }}_r =
            select(0.0, load_x(select(at{{ b }}_{{ i }}, {{ next }}, at_right)).x, at_right && {{ valid }});
{% endif %}
{% endmacro %}
@compute @workgroup_size({{ lanes }})
fn weight(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let k = tile.y * {{ tile_k }}u;
    let c = tile.x * {{ tile_c }}u;
    // Channels of this lane; past the end they repeat the last one and store nothing.
{% for j in range(tile_k // lanes) %}
    let k{{ j }} = min(k + {{ j * lanes }}u + lane, {{ out_channels - 1 }}u);
{% endfor %}
{% for b in range(blocks) %}
    let c{{ b }} = min(c + {{ b * lanes }}u + lane, {{ in_channels - 1 }}u);
{% endfor %}

    // sum{k}_{channel block}_{tap}
{% for i in range(tile_k) %}
{% for b in range(blocks) %}
{% for tap in range(kernel * kernel) %}
    var sum{{ i }}_{{ b }}_{{ tap }} = 0.0;
{% endfor %}
{% endfor %}
{% endfor %}

    let first = tile.z * {{ each }}u;
    for (var segment = first; segment < min(first + {{ each }}u, {{ segments }}u); segment++) {
        let n = segment / PER_ROW;
        let start = segment % PER_ROW * {{ quads }}u;
{% if left %}
        let at_left = start > 0u;
{% endif %}
{% if right %}
        let at_right = start + {{ quads }}u < OUT_ROW;
{% endif %}
{% for b in range(blocks) %}
        {{ "let" if whole_map else "var" }} x_at{{ b }} =
            (n * {{ in_channels }}u + c{{ b }}) * IN_MAP + start * {{ stride }}u;
{% endfor %}
{% for j in range(tile_k // lanes) %}
        {{ "let" if whole_map else "var" }} dy_at{{ j }} = (n * {{ out_channels }}u + k{{ j }}) * OUT_MAP + start;
{% endfor %}

        // x{channel block}_{row}_{vec4 of the row, or l and r for the pixels beside}
{% for b in range(blocks) %}
{% for i in range(carried) %}
{% if i == 0 %}
{% for q in range(columns // 4) %}
        var x{{ b }}_0_{{ q }} = vec4f();
{% endfor %}
{% if left %}
        var x{{ b }}_0_l = 0.0;
{% endif %}
{% if right %}
        var x{{ b }}_0_r = 0.0;
{% endif %}
{% else %}
{{ load(b, i, "x_at" ~ b, "true", "var") -}}
{% endif %}
{% endfor %}
{% endfor %}
{% if not whole_map %}
        for (var row = 0u; row < {{ out_height }}u; row += {{ rows }}u) {
{% endif %}
{% if carried == 2 %}
        let below = row + {{ rows }}u < {{ out_height }}u;
{% endif %}
{% for b in range(blocks) %}
{% for i in range(first_row, last_row + 1) %}
{% set at = "x_at" ~ b ~ " + " ~ ((i - 1) if kernel > 1 else i * stride) ~ "u * IN_ROW" %}
{{ load(b, i, at, "below" if carried == 2 and i == last_row else "true", "let") -}}
{% endfor %}
{% endfor %}
{% for p in range(rows) %}
{% for q in range(quads) %}
{% for j in range(tile_k // lanes) %}
        let dy{{ p }}_{{ q }}_{{ j }} = load_dy(dy_at{{ j }} + {{ p }}u * OUT_ROW + {{ q }}u);
{% endfor %}
{% endfor %}
{% endfor %}
{% for i in range(tile_k) %}
{% for p in range(rows) %}
{% for column in range(4 * quads) %}
        let dy{{ p }}_{{ column }}_of_{{ i }} =
            subgroupShuffle(dy{{ p }}_{{ column // 4 }}_{{ i // lanes }}.{{ "xyzw"[column % 4] }}, {{ i % lanes }}u);
{% for b in range(blocks) %}
{% for r in range(kernel) %}
{% set row = p * stride + r if kernel > 1 else p %}
{% for s in range(kernel) %}
{% set from = column * stride + s - kernel // 2 %}
{% if (from >= 0 or left) and (from < columns or right) and (not whole_map or row >= first_row and row <= last_row) %}
        sum{{ i }}_{{ b }}_{{ r * kernel + s }} += dy{{ p }}_{{ column }}_of_{{ i }} * {{ pixel(b, row, from) }};
{% endif %}
{% endfor %}
{% endfor %}
{% endfor %}
{% endfor %}
{% endfor %}
{% endfor %}
{% if not whole_map %}
{% for b in range(blocks) %}
{% for i in range(carried) %}
{% for q in range(columns // 4) %}
        x{{ b }}_{{ i }}_{{ q }} = x{{ b }}_{{ i + rows * stride }}_{{ q }};
{% endfor %}
{% if left %}
        x{{ b }}_{{ i }}_l = x{{ b }}_{{ i + rows * stride }}_l;
{% endif %}
{% if right %}
        x{{ b }}_{{ i }}_r = x{{ b }}_{{ i + rows * stride }}_r;
{% endif %}
{% endfor %}
        x_at{{ b }} += {{ rows * stride }}u * IN_ROW;
{% endfor %}
{% for j in range(tile_k // lanes) %}
        dy_at{{ j }} += {{ rows }}u * OUT_ROW;
{% endfor %}
        }
{% endif %}
    }

    let out = ((tile.z * {{ out_channels }}u + k) * {{ in_channels }}u + c + lane) * {{ kernel * kernel }}u;
{% for i in range(tile_k) %}
{% if out_channels % tile_k != 0 %}
    if (k + {{ i }}u >= {{ out_channels }}u) { return; }
{% endif %}
{% for b in range(blocks) %}
{% if in_channels % tile_c != 0 %}
    if (c + {{ b * lanes }}u + lane < {{ in_channels }}u) {
{% endif %}
{% for tap in range(kernel * kernel) %}
    partial[out + {{ (i * in_channels + b * lanes) * kernel * kernel + tap }}u] = sum{{ i }}_{{ b }}_{{ tap }};
{% endfor %}
{% if in_channels % tile_c != 0 %}
    }
{% endif %}
{% endfor %}
{% endfor %}
}
