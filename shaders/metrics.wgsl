// Kernel card: the record of a step
//
// Computes   sums of the per-sample losses and hits, the ReLUs kept at each site and in all,
//            the gradient norm and the first layer that went bad, into one row of a small ring
//            that the host reads every few steps; clears counts and health for the next step.
//            What the ReLUs k and squares q of the sites cost, and their prices for the next
//            step, go into the ledger:
//              cost = Σ k·relu + q·square + (k > 0 ? relu_site : 0) + (q > 0 ? square_site : 0)
//              price of a ReLU at a site     relu + relu_site / max(k, 1) − (q > 0 ? square : 0)
//              price of a square at a site   square + square_site / max(q, 1)
//            What a site costs as such is shared by what is left at it: the less, the dearer.
// Layout     group 0
//              0  step           uniform Step
//              1  samples        vec4f[N], read: cross-entropy, distillation, top-1 hit, top-5 hit
//              2  ring           u32[{{ rows }}, {{ words }}], row step mod {{ rows }} written, in words
//                                  0–3 sums of samples (f32)   4 samples   5 gradient norm (f32)
//                                  6 ReLUs kept   7 first bad layer forward (0xffffffff: none)
//                                  8 last bad layer backward + 1 (0: none)   9 step
//                                  10 cost (f32)   11 squares kept   12 samples astray
//                                  16… ReLUs kept per site
{% if training %}
//              3  gradient_norm  f32[4], read: the first
//              4  health         u32[2], read and cleared
{% endif %}
{% if sites > 0 %}
//              5  counts         u32[2,sites], read and cleared: ReLUs, squares
//              6  ledger         vec2f[1+sites], updated: (cost, 0), then the prices of each site
{% endif %}
//            In an evaluation a sample whose cross-entropy is above ASTRAY, or not finite, is counted
//            and left out of the sums of losses: one image that overflows leaves the mean of the
//            others readable. Its hits stay (a logit that is not finite makes it miss). In training
//            it stays in the sums, and stops the run.
// Split      one workgroup of {{ workgroup }}; a tree in workgroup memory, so the order of the sums is fixed;
//            then one invocation writes the row.
// Cost       4 flops and 16 bytes a sample, 11 and 28 a site, and little besides.
// Dropped    nothing yet.

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
@group(0) @binding(6) var<storage, read_write> ledger: array<vec2f>;
{% endif %}

const WORKGROUP = {{ workgroup }}u;
var<workgroup> tree: array<vec4f, WORKGROUP>;
{% if not training %}
// No softmax of logits that any number format of private inference holds comes near it.
const ASTRAY = {{ astray }};
var<workgroup> strays: array<u32, WORKGROUP>;

{% include "common/finite.wgsl" %}
{% endif %}

@compute @workgroup_size({{ workgroup }})
fn record(@builtin(local_invocation_index) lane: u32) {
    var sum = vec4f(0.0);
    {% if not training %}
    var stray = 0u;
    {% endif %}
    for (var n = lane; n < {{ batch }}u; n += WORKGROUP) {
        {% if training %}
        sum += samples[n];
        {% else %}
        let sample = samples[n];
        let astray = !is_finite(sample.x) || sample.x > ASTRAY;
        sum += select(sample, vec4f(0.0, 0.0, sample.zw), astray);
        stray += select(0u, 1u, astray);
        {% endif %}
    }
    tree[lane] = sum;
    {% if not training %}
    strays[lane] = stray;
    {% endif %}
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            tree[lane] += tree[lane + half];
            {% if not training %}
            strays[lane] += strays[lane + half];
            {% endif %}
        }
    }
    // The first lane has itself written what it reads of the tree: no barrier.
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
    ring[row + 12u] = {{ "0u" if training else "strays[0]" }};
    var kept = 0u;
    var squares = 0u;
    var cost = 0.0;
    {% if sites > 0 %}
    for (var site = 0u; site < {{ sites }}u; site++) {
        let k = counts[site];
        let q = counts[{{ sites }}u + site];
        counts[site] = 0u;
        counts[{{ sites }}u + site] = 0u;
        ring[row + 16u + site] = k;
        kept += k;
        squares += q;
        cost += f32(k) * {{ relu }} + f32(q) * {{ square }};
        cost += select(0.0, {{ relu_site }}, k > 0u) + select(0.0, {{ square_site }}, q > 0u);
        ledger[1u + site] = vec2f(
            {{ relu }} + {{ relu_site }} / f32(max(k, 1u)) - select(0.0, {{ square }}, q > 0u),
            {{ square }} + {{ square_site }} / f32(max(q, 1u)),
        );
    }
    ledger[0] = vec2f(cost, 0.0);
    {% endif %}
    ring[row + 6u] = kept;
    ring[row + 10u] = bitcast<u32>(cost);
    ring[row + 11u] = squares;
}
