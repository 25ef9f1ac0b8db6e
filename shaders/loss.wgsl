// Kernel card: softmax cross-entropy, distillation, and their gradient
//
// Computes   per sample n, with label y, logits z, teacher logits q, T = step.temperature,
//            t = (1 − ε)·onehot(y) + ε/K, ε = step.smoothing:
//              CE = −Σₖ tₖ · log softmax(z)ₖ
//              KD = T² · KL(softmax(q/T) ‖ softmax(z/T))
//            dz = [ ce_weight · (softmax(z) − t)
//                 + kd_weight · T · (softmax(z/T) − softmax(q/T)) ] / step.count,
//            the gradient of the mean over the batch of ce_weight·CE + kd_weight·KD.
//            A sample hits when fewer than 1 (5) classes outrank its label; of equal logits
//            the lower class ranks first. A logit that is not finite makes both misses.
//            Rows n ≥ step.count are padding: zeros.
//            z' = z less its maximum ≤ 0, so no exponential overflows. z' is held above −1e34, or
//            p·z' would be 0·∞ for logits 1e38 apart; a NaN stays in place, to be found. It is told
//            by its bits: an Nvidia driver makes a maximum of the comparison, which drops it.
{% set next = 3 if distill else 2 %}
// Layout     group 0
//              0  step     uniform Step
//              1  logits   f32[{{ batch }}, {{ classes }}], read
{% if distill %}
//              2  teacher  f32[{{ batch }}, {{ classes }}], read
{% endif %}
//              {{ next }}  labels   u32[images], read: each below {{ classes }}; of the whole data set
//              {{ next + 1 }}  order    u32[…], read: the image of sample n at step.first + n
{% if gradient %}
//              {{ next + 2 }}  dz       f32[{{ batch }}, {{ classes }}], written
//              {{ next + 3 }}  samples  vec4f[{{ batch }}], written: CE, KD, top-1 hit, top-5 hit
{% else %}
//              {{ next + 2 }}  samples  vec4f[{{ batch }}], written: CE, KD, top-1 hit, top-5 hit
{% endif %}
// Split      one workgroup per sample, its {{ workgroup }} invocations stride over the classes.
//            Two reductions in workgroup memory, each as a tree of fixed shape: first the
//            maxima, then all sums at once, since
//              KL = Σₖ pₖ (q'ₖ − z'ₖ)/T − log Σ exp(q'/T) + log Σ exp(z'/T)
//            needs no third (q', z' are logits less their maximum).
// Cost       {{ 17 if distill else 6 }} flops a logit, {{ 21 if distill else 9 }} for its gradient,
//            {{ 10 if distill else 7 }} a lane and sample; each logit is read three times, from cache.
//            4 bytes for every logit and gradient, 24 a sample.
// Dropped    nothing yet.

{% include "common/step.wgsl" %}

const K = {{ classes }}u;
const WORKGROUP = {{ workgroup }}u;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
{% if distill %}
@group(0) @binding(2) var<storage, read> teacher: array<f32>;
{% endif %}
@group(0) @binding({{ next }}) var<storage, read> labels: array<u32>;
@group(0) @binding({{ next + 1 }}) var<storage, read> order: array<u32>;
{% if gradient %}
@group(0) @binding({{ next + 2 }}) var<storage, read_write> dz: array<f32>;
@group(0) @binding({{ next + 3 }}) var<storage, read_write> samples: array<vec4f>;
{% else %}
@group(0) @binding({{ next + 2 }}) var<storage, read_write> samples: array<vec4f>;
{% endif %}

var<workgroup> maxima: array<vec2f, WORKGROUP>;
// Σ exp z', Σ z', classes that outrank the label.
var<workgroup> ce_sums: array<vec3f, WORKGROUP>;
{% if distill %}
// Σ exp(z'/T), Σ exp(q'/T), Σ exp(q'/T)·(q' − z').
var<workgroup> kd_sums: array<vec3f, WORKGROUP>;
{% endif %}

fn below(logit: f32, largest: f32) -> f32 {
    let difference = logit - largest;
    let is_nan = (bitcast<u32>(difference) & 0x7fffffffu) > 0x7f800000u;
    return select(max(difference, -1e34), difference, is_nan);
}

{% include "common/finite.wgsl" %}

@compute @workgroup_size({{ workgroup }})
fn loss(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let n = group.x;
    let lane = local.x;
    let row = n * K;
    if n >= step.count {
{% if gradient %}
        for (var k = lane; k < K; k += WORKGROUP) {
            dz[row + k] = 0.0;
        }
{% endif %}
        if lane == 0u {
            samples[n] = vec4f();
        }
        return;
    }
    let label = labels[order[step.first + n]];

    // Every lane starts from a logit of the row; those past the last class start from it.
    let start = row + min(lane, K - 1u);
    var largest = vec2f(logits[start], {{ "teacher[start]" if distill else "0.0" }});
    for (var k = lane + WORKGROUP; k < K; k += WORKGROUP) {
        largest = max(largest, vec2f(logits[row + k], {{ "teacher[row + k]" if distill else "0.0" }}));
    }
    maxima[lane] = largest;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            maxima[lane] = max(maxima[lane], maxima[lane + half]);
        }
        workgroupBarrier();
    }
    largest = maxima[0];

    let target_logit = logits[row + label];
    var ce = vec3f();
{% if distill %}
    var kd = vec3f();
{% endif %}
    for (var k = lane; k < K; k += WORKGROUP) {
        let logit = logits[row + k];
        let z = below(logit, largest.x);
        let outranks = logit > target_logit || (logit == target_logit && k < label);
        let rank = select(select(0.0, 1.0, outranks), f32(K + 5u), !is_finite(logit));
        ce += vec3f(exp(z), z, rank);
{% if distill %}
        let q = below(teacher[row + k], largest.y);
        let p = exp(q / step.temperature);
        kd += vec3f(exp(z / step.temperature), p, p * (q - z));
{% endif %}
    }
    ce_sums[lane] = ce;
{% if distill %}
    kd_sums[lane] = kd;
{% endif %}
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            ce_sums[lane] += ce_sums[lane + half];
{% if distill %}
            kd_sums[lane] += kd_sums[lane + half];
{% endif %}
        }
        workgroupBarrier();
    }
    ce = ce_sums[0];
{% if distill %}
    kd = kd_sums[0];
{% endif %}

    let spread = step.smoothing / f32(K);
    if lane == 0u {
        let likely = (1.0 - step.smoothing) * below(target_logit, largest.x) + spread * ce.y;
{% if distill %}
        let divergence = kd.z / (kd.y * step.temperature) - log(kd.y) + log(kd.x);
        let distilled = step.temperature * step.temperature * divergence;
{% else %}
        let distilled = 0.0;
{% endif %}
        samples[n] = vec4f(
            log(ce.x) - likely,
            distilled,
            select(0.0, 1.0, ce.z < 1.0),
            select(0.0, 1.0, ce.z < 5.0),
        );
    }
{% if gradient %}

    let scale = 1.0 / f32(step.count);
    for (var k = lane; k < K; k += WORKGROUP) {
        let z = below(logits[row + k], largest.x);
        let wanted = spread + select(0.0, 1.0 - step.smoothing, k == label);
        var slope = step.ce_weight * (exp(z) / ce.x - wanted);
{% if distill %}
        let q = below(teacher[row + k], largest.y);
        let student = exp(z / step.temperature) / kd.x;
        slope += step.kd_weight * step.temperature * (student - exp(q / step.temperature) / kd.y);
{% endif %}
        dz[row + k] = slope * scale;
    }
{% endif %}
}
