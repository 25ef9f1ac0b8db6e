// Expanded from shaders/loss.wgsl
// for loss: 128×10, distillation, gradient (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
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
// Layout     group 0
//              0  step     uniform Step
//              1  logits   f32[128, 10], read
//              2  teacher  f32[128, 10], read
//              3  labels   u32[images], read: each below 10; of the whole data set
//              4  order    u32[…], read: the image of sample n at step.first + n
//              5  dz       f32[128, 10], written
//              6  samples  vec4f[128], written: CE, KD, top-1 hit, top-5 hit
// Split      one workgroup per sample, its 64 invocations stride over the classes.
//            Two reductions in workgroup memory, each as a tree of fixed shape: first the
//            maxima, then all sums at once, since
//              KL = Σₖ pₖ (q'ₖ − z'ₖ)/T − log Σ exp(q'/T) + log Σ exp(z'/T)
//            needs no third (q', z' are logits less their maximum).
// Cost       17 flops a logit, 21 for its gradient,
//            10 a lane and sample; each logit is read three times, from cache.
//            4 bytes for every logit and gradient, 24 a sample.
// Dropped    nothing yet.

// The scalars of one step; src/kernels/step.rs documents each.
struct Step {
    rate: vec4f,
    decay: vec4f,
    step: u32,
    seed: u32,
    epoch: u32,
    first: u32,
    count: u32,
    augment: u32,
    refit: u32,
    budget: f32,
    beta1: f32,
    beta2: f32,
    correction1: f32,
    correction2: f32,
    epsilon: f32,
    clip: f32,
    score_rate: f32,
    threshold: f32,
    penalty: f32,
    ce_weight: f32,
    kd_weight: f32,
    temperature: f32,
    smoothing: f32,
    momentum: f32,
    lookahead: f32,
    averaging: f32,
    range_weight: f32,
    range_limit: f32,
    statistics_limit: f32,
    unused: f32,
}

const K = 10u;
const WORKGROUP = 64u;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> teacher: array<f32>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
@group(0) @binding(4) var<storage, read> order: array<u32>;
@group(0) @binding(5) var<storage, read_write> dz: array<f32>;
@group(0) @binding(6) var<storage, read_write> samples: array<vec4f>;

var<workgroup> maxima: array<vec2f, WORKGROUP>;
// Σ exp z', Σ z', classes that outrank the label.
var<workgroup> ce_sums: array<vec3f, WORKGROUP>;
// Σ exp(z'/T), Σ exp(q'/T), Σ exp(q'/T)·(q' − z').
var<workgroup> kd_sums: array<vec3f, WORKGROUP>;

fn below(logit: f32, largest: f32) -> f32 {
    let difference = logit - largest;
    let is_nan = (bitcast<u32>(difference) & 0x7fffffffu) > 0x7f800000u;
    return select(max(difference, -1e34), difference, is_nan);
}

// A value whose exponent is all ones is infinite or not a number. Asked of the bits, since
// compilers may assume that neither exists.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

@compute @workgroup_size(64)
fn loss(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let n = group.x;
    let lane = local.x;
    let row = n * K;
    if n >= step.count {
        for (var k = lane; k < K; k += WORKGROUP) {
            dz[row + k] = 0.0;
        }
        if lane == 0u {
            samples[n] = vec4f();
        }
        return;
    }
    let label = labels[order[step.first + n]];

    // Every lane starts from a logit of the row; those past the last class start from it.
    let start = row + min(lane, K - 1u);
    var largest = vec2f(logits[start], teacher[start]);
    for (var k = lane + WORKGROUP; k < K; k += WORKGROUP) {
        largest = max(largest, vec2f(logits[row + k], teacher[row + k]));
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
    var kd = vec3f();
    for (var k = lane; k < K; k += WORKGROUP) {
        let logit = logits[row + k];
        let z = below(logit, largest.x);
        let outranks = logit > target_logit || (logit == target_logit && k < label);
        let rank = select(select(0.0, 1.0, outranks), f32(K + 5u), !is_finite(logit));
        ce += vec3f(exp(z), z, rank);
        let q = below(teacher[row + k], largest.y);
        let p = exp(q / step.temperature);
        kd += vec3f(exp(z / step.temperature), p, p * (q - z));
    }
    ce_sums[lane] = ce;
    kd_sums[lane] = kd;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            ce_sums[lane] += ce_sums[lane + half];
            kd_sums[lane] += kd_sums[lane + half];
        }
        workgroupBarrier();
    }
    ce = ce_sums[0];
    kd = kd_sums[0];

    let spread = step.smoothing / f32(K);
    if lane == 0u {
        let likely = (1.0 - step.smoothing) * below(target_logit, largest.x) + spread * ce.y;
        let divergence = kd.z / (kd.y * step.temperature) - log(kd.y) + log(kd.x);
        let distilled = step.temperature * step.temperature * divergence;
        samples[n] = vec4f(
            log(ce.x) - likely,
            distilled,
            select(0.0, 1.0, ce.z < 1.0),
            select(0.0, 1.0, ce.z < 5.0),
        );
    }

    let scale = 1.0 / f32(step.count);
    for (var k = lane; k < K; k += WORKGROUP) {
        let z = below(logits[row + k], largest.x);
        let wanted = spread + select(0.0, 1.0 - step.smoothing, k == label);
        var slope = step.ce_weight * (exp(z) / ce.x - wanted);
        let q = below(teacher[row + k], largest.y);
        let student = exp(z / step.temperature) / kd.x;
        slope += step.kd_weight * step.temperature * (student - exp(q / step.temperature) / kd.y);
        dz[row + k] = slope * scale;
    }
}
