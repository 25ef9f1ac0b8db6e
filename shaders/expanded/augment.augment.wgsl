// Expanded from shaders/augment.wgsl
// for augment: 128×3×32×32, pad 4, flip, cutout 8 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: gather a batch from byte images, crop, flip, normalise, cut out
//
// Computes   x[n,c,·] = (byte/255 − mean_c) / std_c of image order[step.first + n], after
//              a random crop of the image with 4 black pixels on every side,
//              a mirror image, by the toss of a coin (step.augment 1) or in every other epoch (2):
//              the coin then says in which,
//              a hole of zeros, 8 pixels wide, around a random pixel,
//            (in this order, as torchvision and DeVries & Taylor 2017 do); none of it where
//            step.augment is 0. Black is byte 0, before normalisation; the hole is 0 after it.
//            Random numbers are one hash per sample and purpose (common/random.wgsl), of seed,
//            epoch and image: the same image looks the same wherever in the order it comes.
//            A data set may lie in several buffers, one dispatch each: this one leaves alone
//            the images of the others.
//            It writes zeros to the samples n ≥ step.count.
// Layout     group 0
//              0  step    uniform Step
//              1  order   u32[…], read: an index of the whole data set each
//              2  images  u32[…], read: bytes, NCHW, little end first, an image not always from a word
//                         on; these are images 0 to 39999
//              3  x       f32[128, 3, 32, 32], written
// Split      1 workgroup(s) of 256 a sample; an invocation takes 4 pixel(s) a turn, in
//            turns enough to hide that it draws for the sample anew.
// Cost       6144 flops and 15360 bytes a sample:
//            bound by memory, on a CPU by addressing.
// Dropped    nothing yet.

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

alias Lane = vec4f;

const H = 32u;
const W = 32u;
const PAD = 4u;
const CUTOUT = 8u;
// value = byte · SCALE + SHIFT
const MEAN = vec3f(0.49140000343322754, 0.4821999967098236, 0.4465000033378601);
const STD = vec3f(0.24699999392032623, 0.2434999942779541, 0.26159998774528503);
const SCALE = 1.0 / (255.0 * STD);
const SHIFT = -MEAN / STD;
// Stores of a row, of a sample.
const ROW = W / 4u;
const SAMPLE = 3u * H * ROW;

// Purposes of the random streams; no other kernel may use the same.
const CROP_X = 0u;
const CROP_Y = 1u;
const FLIP = 2u;
const HOLE_X = 3u;
const HOLE_Y = 4u;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read> images: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<Lane>;

// What was drawn for a sample, and where its image lies.
struct Sample {
    first_byte: u32,
    // Left upper corner of the crop in the padded image.
    crop: vec2u,
    flipped: bool,
    // Left upper corner of the hole, modulo 2³² where it lies outside, and its side.
    hole: vec2u,
    hole_side: u32,
}

fn draw(image: u32) -> Sample {
    var sample = Sample((image - 0u) * (3u * H * W), vec2u(PAD), false, vec2u(), 0u);
    if step.augment == 0u {
        return sample;
    }
    let crop_x = random(step.seed, step.epoch, image, CROP_X);
    let crop_y = random(step.seed, step.epoch, image, CROP_Y);
    sample.crop = vec2u(random_below(crop_x, 2u * PAD + 1u), random_below(crop_y, 2u * PAD + 1u));
    let alternates = step.augment == 2u;
    let coin = random_below(random(step.seed, select(step.epoch, 0u, alternates), image, FLIP), 2u);
    sample.flipped = (coin + select(0u, step.epoch, alternates)) % 2u == 1u;
    let hole_x = random(step.seed, step.epoch, image, HOLE_X);
    let hole_y = random(step.seed, step.epoch, image, HOLE_Y);
    sample.hole = vec2u(random_below(hole_x, W), random_below(hole_y, H)) - CUTOUT / 2u;
    sample.hole_side = CUTOUT;
    return sample;
}

// Channel c of the augmented sample at column `at.x`, row `at.y`.
fn value(sample: Sample, c: u32, at: vec2u) -> f32 {
    let into_hole = at - sample.hole;
    if into_hole.x < sample.hole_side && into_hole.y < sample.hole_side {
        return 0.0;
    }
    let mirrored = vec2u(select(at.x, W - 1u - at.x, sample.flipped), at.y);
    // Left of and above the image wraps around to far beyond it.
    let source = mirrored + sample.crop - PAD;
    var byte = 0u;
    if source.x < W && source.y < H {
        let address = sample.first_byte + (c * H + source.y) * W + source.x;
        byte = (images[address / 4u] >> (8u * (address % 4u))) & 255u;
    }
    return f32(byte) * SCALE[c] + SHIFT[c];
}

@compute @workgroup_size(256)
fn augment(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let n = group.y;
    let first = group.x * 256u + local.x;
    if n >= step.count {
        for (var i = first; i < SAMPLE; i += 256u) {
            x[n * SAMPLE + i] = Lane();
        }
        return;
    }
    let image = order[step.first + n];
    if image - 0u >= 40000u {
        return;
    }
    let sample = draw(image);
    for (var i = first; i < SAMPLE; i += 256u) {
        let c = i / (H * ROW);
        let at = vec2u((i % ROW) * 4u, (i / ROW) % H);
        x[n * SAMPLE + i] = vec4f(
            value(sample, c, at),
            value(sample, c, vec2u(at.x + 1u, at.y)),
            value(sample, c, vec2u(at.x + 2u, at.y)),
            value(sample, c, vec2u(at.x + 3u, at.y)),
        );
    }
}
