// Kernel card: dropout, of single elements or of whole samples (stochastic depth)
//
// Computes   y[i] = x[i] / (1 − rate) where a draw keeps it, else 0. {{ share }} element(s) share
//            a draw. Its gradient is the same kernel on dy: nothing is kept, the draw is made
//            again.
//            A draw is 32 bits of seed, step, draw and layer (common/random.wgsl); the element is
//            kept where they reach rate·2³². Draws are counted from the epoch's first sample, so
//            that the parts of a batch draw what the whole would. The twin draws the same.
// Layout     group 0
//              0  step  uniform Step
{% if in_place %}
//              1  x     f32[length], becomes y
{% else %}
//              1  x     f32[length], read
//              2  y     f32[length], written
{% endif %}
// Split      one invocation per {{ width }} adjacent element(s), streaming (common/stream.wgsl).
// Cost       1 flop and 8 bytes an element, and a hash: bound by memory.
// Dropped    loops that stride over the whole grid: docs/rejected-optimizations.md, "Streaming
//            kernels on a CPU".

{% from "common/stream.wgsl" import each %}
{% include "common/step.wgsl" %}

{% include "common/random.wgsl" %}

{% if width == 4 %}
alias Lane = vec4f;
{% else %}
alias Lane = f32;
{% endif %}
@group(0) @binding(0) var<uniform> step: Step;
{% if in_place %}
@group(0) @binding(1) var<storage, read_write> x: array<Lane>;
{% else %}
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> y: array<Lane>;
{% endif %}

@compute @workgroup_size({{ workgroup }})
fn dropout(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", vectors ~ "u", run, workgroup) }} {
        let draw = step.first * {{ draws }}u + i / {{ share // width }}u;
        let bits = random(step.seed, step.step, draw, {{ purpose }}u);
        let kept = select(0.0, {{ scale }}, bits >= {{ threshold }}u);
        {{ "x" if in_place else "y" }}[i] = x[i] * kept;
    }
}
