{# Gives      macros of the subgroup convolutions: operand, result, weight, left_of, right_of, load_row
              and neighbours. A lane holds 4 adjacent pixels in a vec4.
   Asks for   what each macro says
   Used by    conv2d/subgroup, conv2d/subgroup_scatter, conv2d/subgroup_weight,
              conv2d/subgroup_weight_stem #}

{# Operand `name` of vec4f, from a buffer or from a texture (see Texture in src/gpu), and
   load_{name}(i), which reads its element i. #}
{% macro operand(binding, name, texture) %}
{% if texture %}
@group(0) @binding({{ binding }}) var {{ name }}: texture_storage_2d<rgba32float, read>;
fn load_{{ name }}(i: u32) -> vec4f { return textureLoad({{ name }}, vec2u(i % 4096u, i / 4096u)); }
{% else %}
@group(0) @binding({{ binding }}) var<storage, read> {{ name }}: array<vec4f>;
fn load_{{ name }}(i: u32) -> vec4f { return {{ name }}[i]; }
{% endif %}
{% endmacro %}

{# Result `name`, whose rows are `columns` pixels long, and store_{name}(at, left, value), which
   writes vec4 number `left` of a row at element `at` of the buffer: a vec4, or where rows are not
   whole vec4s (`ragged`) floats, those that lie in the row. #}
{% macro result(binding, name, columns, ragged, accumulate) %}
{% set op = "+=" if accumulate else "=" %}
{% if ragged %}
@group(0) @binding({{ binding }}) var<storage, read_write> {{ name }}: array<f32>;
fn store_{{ name }}(at: u32, left: u32, value: vec4f) {
{% for j in range(4) %}
    if (4u * left + {{ j }}u < {{ columns }}u) { {{ name }}[at + {{ j }}u] {{ op }} value.{{ "xyzw"[j] }}; }
{% endfor %}
}
{% else %}
@group(0) @binding({{ binding }}) var<storage, read_write> {{ name }}: array<vec4f>;
fn store_{{ name }}(at: u32, left: u32, value: vec4f) { {{ name }}[at] {{ op }} value; }
{% endif %}
{% endmacro %}

{# Float number `i` of the weights that the lanes hold in w0, w1, …: vec4 i/4 lies in lane
   (i/4) % lanes of register w{i/4/lanes}. A literal lane makes it one instruction. #}
{% macro weight(i, lanes) -%}
subgroupShuffle(w{{ i // 4 // lanes }}.{{ ["x", "y", "z", "w"][i % 4] }}, {{ i // 4 % lanes }}u)
{%- endmacro %}

{# `{name}` = the pixel to the left of the lane's: `last`, the last one of the lane before,
   zero at the border. Where rows do not start at lane 0 (`halo`) that lane loads `beside`. #}
{% macro left_of(name, last, beside, valid, halo) %}
        var {{ name }} = select(0.0, subgroupShuffle({{ last }}, left_lane), at_left);
{% if halo %}
        if (lane == 0u && at_left && {{ valid }}) { {{ name }} = {{ beside }}; }
{% endif %}
{% endmacro %}
{# The same to the right: `first` of the lane behind. #}
{% macro right_of(name, first, beside, valid, halo) %}
        var {{ name }} = select(0.0, subgroupShuffle({{ first }}, right_lane), at_right);
{% if halo %}
        if (lane == LANES - 1u && at_right && {{ valid }}) { {{ name }} = {{ beside }}; }
{% endif %}
{% endmacro %}

{# Loads a row of x at the vec4 `at`, zero where not `valid`, as {name}_0, {name}_1, …: the
   operand of each tap of that row, four output pixels wide. #}
{% macro load_row(name, at, valid, kernel, stride, halo) %}
{% if kernel == 1 and stride == 1 %}
        let {{ name }}_0 = load_x({{ at }});
{% elif kernel == 1 %}
        let {{ name }}_0 = vec4f(load_x({{ at }}).xz, load_x({{ at }} + 1u).xz);
{% elif stride == 1 %}
        let {{ name }}_1 = select(vec4f(), load_x({{ at }}), {{ valid }});
{{ left_of(name ~ "_l", name ~ "_1.w", "load_x(" ~ at ~ " - 1u).w", valid, halo) -}}
{{ right_of(name ~ "_r", name ~ "_1.x", "load_x(" ~ at ~ " + 1u).x", valid, halo) -}}
        let {{ name }}_0 = vec4f({{ name }}_l, {{ name }}_1.xyz);
        let {{ name }}_2 = vec4f({{ name }}_1.yzw, {{ name }}_r);
{% else %}
        let {{ name }}_a = select(vec4f(), load_x({{ at }}), {{ valid }});
        let {{ name }}_b = select(vec4f(), load_x({{ at }} + 1u), {{ valid }});
        let {{ name }}_1 = vec4f({{ name }}_a.xz, {{ name }}_b.xz);
        let {{ name }}_2 = vec4f({{ name }}_a.yw, {{ name }}_b.yw);
{{ left_of(name ~ "_l", name ~ "_b.w", "load_x(" ~ at ~ " - 1u).w", valid, halo) -}}
        let {{ name }}_0 = vec4f({{ name }}_l, {{ name }}_2.xyz);
{% endif %}
{% endmacro %}

{# Where a lane finds its neighbours, and whether it has any; needs `lane`, `left`, OUT_ROW. #}
{% macro neighbours() %}
    let left_lane = max(lane, 1u) - 1u;
    let at_left = left > 0u;
    let right_lane = min(lane + 1u, LANES - 1u);
    let at_right = left + 1u < OUT_ROW;
{% endmacro %}
