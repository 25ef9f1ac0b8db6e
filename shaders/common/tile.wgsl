{# Gives      macros of the tiled convolutions, in which a workgroup multiplies strips of two matrices
              that lie in its memory: strips, multiply
   Asks for   what each macro takes
   Used by    conv2d/tiled, conv2d/tiled_weight #}

{# The strips of both operands, a row of shared memory for each entry of the inner dimension: vec4 of
   rows of the left matrix; of columns of the right one, or these one by one (scalars), where the
   lanes that load them hold other vec4 than the lanes that multiply. #}
{% macro strips(depth, left_row, right_row, scalars) %}
const LEFT_ROW = {{ left_row }}u;
const RIGHT_ROW = {{ right_row }}u;
var<workgroup> left: array<vec4f, {{ depth * left_row }}>;
var<workgroup> right: array<{{ "f32" if scalars else "vec4f" }}, {{ depth * right_row }}>;
{% endmacro %}

{# One step in registers: an outer product, rows a · columns b, for each entry of the inner dimension.
   Written out: with loops over the entries it was up to a fifth slower on an H100. Compilers make one
   load of four adjacent scalars that are aligned. #}
{% macro multiply(depth, quads, lane_columns, lanes_x, lanes_y, scalars) %}
        {% for d in range(depth) %}
        {
            {% for q in range(quads) %}
            let a{{ q }} = left[{{ d }}u * LEFT_ROW + lane_y + {{ q * lanes_y }}u];
            {% endfor %}
            {% for i in range(lane_columns // 4) %}
            {% if scalars %}
            let at{{ i }} = {{ d }}u * RIGHT_ROW + 4u * lane_x + {{ 4 * i * lanes_x }}u;
            let b{{ i }} = vec4f(right[at{{ i }}], right[at{{ i }} + 1u], right[at{{ i }} + 2u], right[at{{ i }} + 3u]);
            {% else %}
            let b{{ i }} = right[{{ d }}u * RIGHT_ROW + lane_x + {{ i * lanes_x }}u];
            {% endif %}
            {% endfor %}
            {% for i in range(lane_columns) %}
            {% for q in range(quads) %}
            sum{{ q }}_{{ i }} = fma(a{{ q }}, vec4f(b{{ i // 4 }}.{{ "xyzw"[i % 4] }}), sum{{ q }}_{{ i }});
            {% endfor %}
            {% endfor %}
        }
        {% endfor %}
{% endmacro %}

{# Where in its tile the i-th of a lane's columns lies: four adjacent ones, then four of the next patch. #}
{% macro column(i, lanes_x) %}4u * lane_x + {{ i // 4 * 4 * lanes_x + i % 4 }}u{% endmacro %}
