{# Gives      each(i, count, run, workgroup): the loop of a kernel that streams over `count` items. A
              workgroup takes `run` of them that lie side by side, for the prefetchers of a CPU to
              foresee, and its invocations adjacent ones.
   Asks for   `lane` (local_invocation_index) and `group` (workgroup_id)
   Used by    add, conv2d/grouped, conv2d/subgroup_texture, conv2d/subgroup_weight_sum, conv2d/tiled,
              dropout, gate, max_pool, pool, scale, sigmoid #}
{% macro each(i, count, run, workgroup) -%}
{% set end = "min((group.x + 1u) * " ~ run ~ "u, " ~ count ~ ")" -%}
for (var {{ i }} = group.x * {{ run }}u + lane; {{ i }} < {{ end }}; {{ i }} += {{ workgroup }}u)
{%- endmacro %}
