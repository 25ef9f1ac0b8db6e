{# Gives      macros of the tiled convolutions, in which a workgroup multiplies strips of two matrices
              that lie in its memory: strips, multiply
   Asks for   what each macro takes
   Used by    conv2d/tiled, conv2d/tiled_weight #}

{# The strips of both operands: left [depth][row / 4], right [depth / 4][column]. #}
{% macro strips(depth, left_row, right_row) %}
const LEFT_ROW = {{ left_row }}u;
const RIGHT_ROW = {{ right_row }}u;
var<workgroup> left: array<vec4f, {{ depth * left_row }}>;
var<workgroup> right: array<vec4f, {{ depth // 4 * right_row }}>;
{% endmacro %}

{# One step in registers: rows a · columns b, for four entries of the inner dimension at a time. #}
{% macro multiply(depth, quads, lane_columns, lanes_x, lanes_y) %}
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
