// Kernel card: sigmoid
//
// Computes   forward   y = 1 / (1 + e^−x)
//            backward  dy ← dy·y·(1 − y), in the place of dy
//            for the factors of squeeze-excite: N·C values.
//            This one is {{ entry }}.
// Layout     group 0
{% if entry == "forward" %}
//              0  x   f32[length], read
//              1  y   f32[length], written
{% else %}
//              0  dy  f32[length], becomes dx
//              1  y   f32[length], read
{% endif %}
// Split      one invocation per {{ width }} adjacent element(s), streaming (common/stream.wgsl).
// Cost       5 flops and 8 bytes an element forward, 3 and 12 backward: bound by memory, and too small
//            to matter.
// Dropped    nothing yet.

{% from "common/stream.wgsl" import each %}
{% if width == 4 %}
alias Lane = vec4f;
{% else %}
alias Lane = f32;
{% endif %}

{% if entry == "forward" %}
@group(0) @binding(0) var<storage, read> x: array<Lane>;
@group(0) @binding(1) var<storage, read_write> y: array<Lane>;

@compute @workgroup_size({{ workgroup }})
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", vectors ~ "u", run, workgroup) }} {
        // e^80 is finite: no infinity for a compiler to reason away.
        y[i] = Lane(1.0) / (Lane(1.0) + exp(-max(x[i], Lane(-80.0))));
    }
}
{% else %}
@group(0) @binding(0) var<storage, read_write> dy: array<Lane>;
@group(0) @binding(1) var<storage, read> y: array<Lane>;

@compute @workgroup_size({{ workgroup }})
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", vectors ~ "u", run, workgroup) }} {
        dy[i] = dy[i] * y[i] * (Lane(1.0) - y[i]);
    }
}
{% endif %}
