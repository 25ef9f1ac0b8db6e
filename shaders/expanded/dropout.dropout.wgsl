// Expanded from shaders/dropout.wgsl
// for dropout: 128×1280, each element by itself, rate 0.2 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: dropout, of single elements or of whole samples (stochastic depth)
//
// Computes   y[i] = x[i] / (1 − rate) where a draw keeps it, else 0. 1 element(s) share
//            a draw. Its gradient is the same kernel on dy: nothing is kept, the draw is made
//            again.
//            A draw is 32 bits of seed, step, draw and layer (common/random.wgsl); the element is
//            kept where they reach rate·2³². Draws are counted from the epoch's first sample, so
//            that the parts of a batch draw what the whole would. The twin draws the same.
// Layout     group 0
//              0  step  uniform Step
//              1  x     f32[length], read
//              2  y     f32[length], written
// Split      one invocation per 1 adjacent element(s), streaming (common/stream.wgsl).
// Cost       1 flop and 8 bytes an element, and a hash: bound by memory.
// Dropped    loops that stride over the whole grid: docs/rejected-optimizations.md, "Streaming
//            kernels on a CPU".

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

// Counter-based random bits, the same on host and device: twin src/reference/random.rs.
//
// A number is a hash of what it is for, so any invocation can draw any number of any stream
// and nothing is kept between steps. The hash is PCG's RXS-M-XS output permutation over one
// step of its generator, nested once per word of the key: "pcg" in Jarzynski & Olano, "Hash
// functions for GPU rendering", JCGT 9(3), 2020, which finds it among the best 32-bit ones.
fn pcg(word: u32) -> u32 {
    let state = word * 747796405u + 2891336453u;
    let mixed = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (mixed >> 22u) ^ mixed;
}

fn random(seed: u32, epoch: u32, image: u32, purpose: u32) -> u32 {
    return pcg(purpose + pcg(image + pcg(epoch + pcg(seed))));
}

// A whole number in 0..bound, for bounds up to 65,536; biased by less than bound/65,536.
fn random_below(bits: u32, bound: u32) -> u32 {
    return ((bits >> 16u) * bound) >> 16u;
}

alias Lane = f32;
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> y: array<Lane>;

@compute @workgroup_size(256)
fn dropout(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 1024u + lane; i < min((group.x + 1u) * 1024u, 163840u); i += 256u) {
        let draw = step.first * 1280u + i / 1u;
        let bits = random(step.seed, step.step, draw, 1146224640u);
        let kept = select(0.0, 1.2500000046566129, bits >= 858993472u);
        y[i] = x[i] * kept;
    }
}
