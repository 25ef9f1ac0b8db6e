// Kernel card: convolution in the registers of one subgroup
//
// Computes   y[n,k,oy,ox] = Σ_{c,r,s} x[n,c,oy·stride+r−pad,ox·stride+s−pad] · w[k,c,r,s]
//            and the data gradient of stride 1, with dy in the place of x and the weights transposed
//            and flipped, by subgroup_pack.wgsl or by their address.
// Layout     group 0
//              0  x  f32[N,C,H,W] as vec4, read: four neighbours of a row; a texture where many
//                    channel blocks load it, or rows are not whole vec4s (subgroup_texture.wgsl)
//              1  w  texture of weights, read: packed by subgroup_pack.wgsl, or f32[K,C,R,R] as they
//                    are (`natural`, data gradient: a tile's lie side by side)
//              2  y  f32[N,K,H',W'] as vec4, or floats where rows are not whole vec4s (`ragged`);
//                    written, or added to (`accumulate`)
// Split      A workgroup is one subgroup. A lane owns a strip of {{ strip }} rows of 4 adjacent pixels
//            and {{ tile }} output channels of it: {{ strip * tile }} vec4 accumulators, each a named variable.
//            Strips are numbered through (n, y, x), so that several small maps fill a subgroup.
//            Channel blocks vary fastest over the grid: x stays in the cache.
//            For every input channel a lane loads the rows that its strip touches, once; the pixels
//            beside its four come from the neighbour lanes. A weight is loaded once per subgroup, a
//            vec4 in each lane, and broadcast by a shuffle with a literal lane number: one
//            instruction, while loading the same word in every lane is a loop over the lanes on
//            software Vulkan.
// Cost       2·N·K·C·R²·H'·W' flops; x is read K/{{ tile }} times, w once per {{ 4 * lanes * strip }} pixels.
// Dropped    strips side by side, loops over private arrays, shared memory, two input channels an
//            iteration: docs/rejected-optimizations.md, "Convolution in a subgroup".

{% from "common/subgroup.wgsl" import operand, result, weight, neighbours, load_row %}
{{ operand(0, "x", x_texture) -}}
{{ operand(1, "w", true) -}}
{{ result(2, "y", columns, ragged, accumulate) -}}

const LANES = {{ lanes }}u;
// In vec4s, padding included: width of a row, size of a channel.
const IN_ROW = {{ in_row }}u;
const IN_MAP = {{ in_row * in_height }}u;
const OUT_ROW = {{ out_row }}u;
// The same of y in its buffer, in {{ "floats" if ragged else "vec4s" }}.
const Y_ROW = {{ columns if ragged else out_row }}u;
const Y_MAP = {{ (columns if ragged else out_row) * out_height }}u;
// Strips in an image, and in all.
const PER_IMAGE = {{ out_row * out_height // strip }}u;
const STRIPS = {{ strips }}u;

@compute @workgroup_size({{ lanes }})
fn forward(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let k = tile.x * {{ tile }}u;
    let index = tile.y * LANES + lane;
    // Lanes past the end repeat the last strip and store nothing.
    let strip = min(index, STRIPS - 1u);
    let n = strip / PER_IMAGE;
    let top = strip % PER_IMAGE / OUT_ROW * {{ strip }}u;
    let left = strip % OUT_ROW;
{% if kernel > 1 %}

{{ neighbours() -}}
    let above = top > 0u;
    let below = top + {{ strip }}u < {{ out_height }}u;
{% endif %}

{% for p in range(strip) %}
{% for i in range(tile) %}
    var sum{{ p }}_{{ i }} = vec4f();
{% endfor %}
{% endfor %}

    var at = n * {{ in_channels }}u * IN_MAP + top * {{ stride }}u * IN_ROW + left * {{ stride }}u;
{% if natural %}
    var packed = k * {{ kernel * kernel }}u / 4u + lane;
{% else %}
    var packed = k / {{ tile }}u * {{ in_channels // step * registers * lanes }}u + lane;
{% endif %}
    for (var c = 0u; c < {{ in_channels }}u; c += {{ step }}u) {
{% for i in range(registers) %}
        let w{{ i }} = load_w(packed + {{ i * lanes }}u);
{% endfor %}
        packed += {{ out_channels * kernel * kernel // 4 if natural else registers * lanes }}u;
{% for j in range(step) %}

        // Input channel c + {{ j }}.
{% if step > 1 %}
        {
{% endif %}
{# A 1×1 kernel skips the rows within its stride. #}
{% for row in range(rows) if kernel >= stride or row % stride == 0 %}
{% if row < padding %}
        let at{{ row }} = select(at, at - IN_ROW, above);
{{ load_row("x" ~ row, "at" ~ row, "above", kernel, stride, halo) -}}
{% elif row == rows - 1 and padding > 0 and stride == 1 %}
        let at{{ row }} = select(at, at + {{ row - padding }}u * IN_ROW, below);
{{ load_row("x" ~ row, "at" ~ row, "below", kernel, stride, halo) -}}
{% else %}
        let at{{ row }} = at + {{ row - padding }}u * IN_ROW;
{{ load_row("x" ~ row, "at" ~ row, "true", kernel, stride, halo) -}}
{% endif %}
{% endfor %}
{% for r in range(kernel) %}
{% for i in range(tile) %}
{% for s in range(kernel) %}
        {% set flipped = (i + 1) * kernel * kernel - 1 - r * kernel - s %}
        {% set in_order = ((j * kernel + r) * kernel + s) * tile + i %}
        let w{{ i }}_{{ r }}{{ s }} = {{ weight(flipped if natural else in_order, lanes) }};
{% for p in range(strip) %}
        sum{{ p }}_{{ i }} += w{{ i }}_{{ r }}{{ s }} * x{{ p * stride + r }}_{{ s }};
{% endfor %}
{% endfor %}
{% endfor %}
{% endfor %}
{% if step > 1 %}
        }
{% endif %}
        at += IN_MAP;
{% endfor %}
    }

    let out = (n * {{ out_channels }}u + k) * Y_MAP + top * Y_ROW + left{{ " * 4u" if ragged }};
{% if strips % lanes != 0 %}
    if (index >= STRIPS) { return; }
{% endif %}
{% for i in range(tile) %}
{% if out_channels % tile != 0 %}
    if (k + {{ i }}u >= {{ out_channels }}u) { return; }
{% endif %}
{% for p in range(strip) %}
    store_y(out + {{ i }}u * Y_MAP + {{ p }}u * Y_ROW, left, sum{{ p }}_{{ i }});
{% endfor %}
{% endfor %}
}
