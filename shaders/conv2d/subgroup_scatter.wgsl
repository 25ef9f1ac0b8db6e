// Kernel card: data gradient of a stride-2 convolution in the registers of one subgroup
//
// Computes   dx[n,c,iy,ix] = Σ dy[n,k,oy,ox] · w[k,c,r,s] over k and all r, s, oy, ox with
//                            iy = 2·oy + r − pad and ix = 2·ox + s − pad
//            With pad 1 and R 3 the parity of iy and ix decides which taps meet: an even row gets
//            tap r = 1 of dy's row iy/2, an odd one r = 2 of that row and r = 0 of the next; columns
//            alike. With R 1 only even rows and columns get anything.
// Layout     group 0
//              0  dy  f32[N,K,H/2,W/2] as vec4, read, from a buffer or a texture
//              1  w   texture of weights, read: packed by subgroup_pack.wgsl, or f32[K,C,R,R] as
//                     they are (`natural`)
//              2  dx  f32[N,C,H,W] as vec4, or floats where rows are not whole vec4s (`ragged`);
//                     written, or added to (`accumulate`)
// Split      As in subgroup.wgsl: a lane holds a strip of {{ strip }} rows of 4 pixels of dy. It writes
//            twice as many rows of 8 pixels of dx, for {{ tile }} channels: one vec4 accumulator for each
//            of the four parities, interleaved when stored.
// Cost       2·N·K·C·R²·H'·W' flops: no multiplication by the zeros of an upsampled dy.
// Dropped    docs/rejected-optimizations.md, "Convolution in a subgroup".

{% from "common/subgroup.wgsl" import operand, result, weight, neighbours, right_of %}
{{ operand(0, "dy", dy_texture) -}}
{{ operand(1, "w", true) -}}
{{ result(2, "dx", columns, ragged, accumulate) -}}

const LANES = {{ lanes }}u;
// In vec4s, padding included: width of a row, size of a channel.
const OUT_ROW = {{ out_row }}u;
const OUT_MAP = {{ out_row * out_height }}u;
// The same of dx in its buffer, in {{ "floats" if ragged else "vec4s" }}.
const DX_ROW = {{ columns if ragged else columns // 4 }}u;
const DX_MAP = {{ (columns if ragged else columns // 4) * in_height }}u;
// Strips in an image, and in all.
const PER_IMAGE = {{ out_row * out_height // strip }}u;
const STRIPS = {{ strips }}u;

@compute @workgroup_size({{ lanes }})
fn scatter(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let c = tile.x * {{ tile }}u;
    let index = tile.y * LANES + lane;
    // Lanes past the end repeat the last strip and store nothing.
    let strip = min(index, STRIPS - 1u);
    let n = strip / PER_IMAGE;
    let top = strip % PER_IMAGE / OUT_ROW * {{ strip }}u;
    let left = strip % OUT_ROW;
{% if kernel > 1 %}

{{ neighbours() -}}
    let below = top + {{ strip }}u < {{ out_height }}u;
{% endif %}

    // sum{row}_{row parity}{column parity}_{channel}
{% for p in range(strip) %}
{% for class in range(4 if kernel > 1 else 1) %}
{% for i in range(tile) %}
    var sum{{ p }}_{{ class // 2 }}{{ class % 2 }}_{{ i }} = vec4f();
{% endfor %}
{% endfor %}
{% endfor %}

    var at = n * {{ out_channels }}u * OUT_MAP + top * OUT_ROW + left;
{% if natural %}
    var packed = c * {{ kernel * kernel }}u / 4u + lane;
{% else %}
    var packed = c / {{ tile }}u * {{ out_channels // step * registers * lanes }}u + lane;
{% endif %}
    for (var k = 0u; k < {{ out_channels }}u; k += {{ step }}u) {
{% for i in range(registers) %}
        let w{{ i }} = load_w(packed + {{ i * lanes }}u);
{% endfor %}
        packed += {{ in_channels * kernel * kernel // 4 if natural else registers * lanes }}u;
{% for j in range(step) %}

        // Channel k + {{ j }}: dy{row}_{columns to the right}
        {
{% for p in range(strip) %}
        let dy{{ p }}_0 = load_dy(at + {{ p }}u * OUT_ROW);
{% endfor %}
{% if kernel > 1 %}
        let dy{{ strip }}_0 = select(vec4f(), load_dy(select(at, at + {{ strip }}u * OUT_ROW, below)), below);
{% for p in range(strip + 1) %}
{% set beyond = "load_dy(at + " ~ p ~ "u * OUT_ROW + 1u).x" %}
{{ right_of("right" ~ p, "dy" ~ p ~ "_0.x", beyond, "below" if p == strip else "true", halo) -}}
        let dy{{ p }}_1 = vec4f(dy{{ p }}_0.yzw, right{{ p }});
{% endfor %}
{% endif %}
{% for i in range(tile) %}
{% for r in range(kernel) %}
{% for s in range(kernel) %}
        {% set as_it_is = (i * kernel + r) * kernel + s %}
        {% set in_order = ((j * kernel + r) * kernel + s) * tile + i %}
        let w{{ i }}_{{ r }}{{ s }} = {{ weight(as_it_is if natural else in_order, lanes) }};
{% for p in range(strip) %}
{% if kernel == 1 %}
        sum{{ p }}_00_{{ i }} += w{{ i }}_00 * dy{{ p }}_0;
{% else %}
        {% set parity = (0 if r == 1 else 1) ~ (0 if s == 1 else 1) %}
        {% set met = (p + 1 if r == 0 else p) ~ "_" ~ (1 if s == 0 else 0) %}
        sum{{ p }}_{{ parity }}_{{ i }} += w{{ i }}_{{ r }}{{ s }} * dy{{ met }};
{% endif %}
{% endfor %}
{% endfor %}
{% endfor %}
{% endfor %}
        }
        at += OUT_MAP;
{% endfor %}
    }

    let out = (n * {{ in_channels }}u + c) * DX_MAP + 2u * top * DX_ROW + {{ 8 if ragged else 2 }}u * left;
{% if strips % lanes != 0 %}
    if (index >= STRIPS) { return; }
{% endif %}
{% for i in range(tile) %}
{% if in_channels % tile != 0 %}
    if (c + {{ i }}u >= {{ in_channels }}u) { return; }
{% endif %}
{% for p in range(strip) %}
{% for parity in range(2) %}
{% if parity and in_height % 2 %}
    if (2u * top + {{ 2 * p + 1 }}u < {{ in_height }}u)
{% endif %}
    {
        let at = out + {{ i }}u * DX_MAP + {{ 2 * p + parity }}u * DX_ROW;
{% if kernel == 1 %}
        let even = {{ "vec4f()" if parity else "sum" ~ p ~ "_00_" ~ i }};
        let odd = vec4f();
{% else %}
        let even = sum{{ p }}_{{ parity }}0_{{ i }};
        let odd = sum{{ p }}_{{ parity }}1_{{ i }};
{% endif %}
        store_dx(at, 2u * left, vec4f(even.x, odd.x, even.y, odd.y));
        store_dx(at + {{ 4 if ragged else 1 }}u, 2u * left + 1u, vec4f(even.z, odd.z, even.w, odd.w));
    }
{% endfor %}
{% endfor %}
{% endfor %}
}
