// Kernel card: the record of a step
//
// Computes   sums of the per-sample losses and hits, the ReLUs kept at each site and in all,
//            the gradient norm and the first layer that went bad, into one row of a small ring
//            that the host reads every few steps; clears counts and health for the next step.
// Layout     samples vec4f[N] (cross-entropy, distillation, top-1 hit, top-5 hit);
//            ring u32[{{ rows }}, {{ words }}]; row = step mod {{ rows }}; words:
//            0–3 sums of samples (f32)   4 samples   5 gradient norm (f32)   6 ReLUs kept
//            7 first bad layer forward (0xffffffff: none)   8 last bad layer backward + 1 (0: none)
//            9 step   16… ReLUs kept per site
// Split      one workgroup; a tree in workgroup memory, so the order of the sums is fixed.
// Cost       16·N bytes.
{% include "common/step.wgsl" %}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> samples: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> ring: array<u32>;
{% if training %}
@group(0) @binding(3) var<storage, read> gradient_norm: array<f32>;
@group(0) @binding(4) var<storage, read_write> health: array<u32>;
{% endif %}
{% if sites > 0 %}
@group(0) @binding(5) var<storage, read_write> counts: array<u32>;
@group(0) @binding(6) var<storage, read_write> kept: array<u32>;
{% endif %}

const WORKGROUP = {{ workgroup }}u;
var<workgroup> tree: array<vec4f, WORKGROUP>;

@compute @workgroup_size({{ workgroup }})
fn record(@builtin(local_invocation_index) lane: u32) {
    var sum = vec4f(0.0);
    for (var n = lane; n < {{ batch }}u; n += WORKGROUP) {
        sum += samples[n];
    }
    tree[lane] = sum;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            tree[lane] += tree[lane + half];
        }
    }
    workgroupBarrier();
    if (lane != 0u) {
        return;
    }
    let row = (step.step % {{ rows }}u) * {{ words }}u;
    for (var k = 0u; k < 4u; k++) {
        ring[row + k] = bitcast<u32>(tree[0][k]);
    }
    ring[row + 4u] = step.count;
    ring[row + 9u] = step.step;
    {% if training %}
    ring[row + 5u] = bitcast<u32>(gradient_norm[0]);
    ring[row + 7u] = health[0];
    ring[row + 8u] = health[1];
    health[0] = 0xffffffffu;
    health[1] = 0u;
    {% else %}
    ring[row + 5u] = 0u;
    ring[row + 7u] = 0xffffffffu;
    ring[row + 8u] = 0u;
    {% endif %}
    var total = 0u;
    {% if sites > 0 %}
    for (var site = 0u; site < {{ sites }}u; site++) {
        let count = counts[site];
        ring[row + 16u + site] = count;
        total += count;
        counts[site] = 0u;
    }
    kept[0] = total;
    {% endif %}
    ring[row + 6u] = total;
}
