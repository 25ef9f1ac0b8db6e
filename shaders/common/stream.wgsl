{# The loop of a kernel that streams over `count` items: a workgroup takes `run` of them that lie side
   by side, for the prefetchers of a CPU to foresee, and its invocations adjacent ones. Needs `lane`
   (local_invocation_index) and `group` (workgroup_id). #}
{% macro each(i, count, run, workgroup) -%}
for (var {{ i }} = group.x * {{ run }}u + lane; {{ i }} < min((group.x + 1u) * {{ run }}u, {{ count }}); {{ i }} += {{ workgroup }}u)
{%- endmacro %}
