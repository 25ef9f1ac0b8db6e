// Kernel card: gather a batch from byte images, crop, flip, normalise, cut out
//
// Computes   x[n,c,·] = (byte/255 − mean_c) / std_c of image order[step.first + n], after
{% if pad > 0 %}
//              a random crop of the image with {{ pad }} black pixels on every side,
{% endif %}
{% if flip %}
//              a mirror image, by the toss of a coin (step.augment 1) or in every other epoch (2):
//              the coin then says in which,
{% endif %}
{% if cutout > 0 %}
//              a hole of zeros, {{ cutout }} pixels wide, around a random pixel,
{% endif %}
//            (in this order, as torchvision and DeVries & Taylor 2017 do); none of it where
//            step.augment is 0. Black is byte 0, before normalisation; the hole is 0 after it.
//            Random numbers are one hash per sample and purpose (common/random.wgsl), of seed,
//            epoch and image: the same image looks the same wherever in the order it comes.
//            A data set may lie in several buffers, one dispatch each: this one leaves alone
//            the images of the others.
{% if first_chunk %}
//            It writes zeros to the samples n ≥ step.count.
{% else %}
//            The samples n ≥ step.count are zeroed by the first.
{% endif %}
// Layout     group 0
//              0  step    uniform Step
//              1  order   u32[…], read: an index of the whole data set each
//              2  images  u32[…], read: bytes, NCHW, little end first, an image not always from a word
//                         on; these are images {{ chunk_start }} to {{ chunk_start + chunk_images - 1 }}
//              3  x       f32[{{ batch }}, 3, {{ height }}, {{ image_width }}], written
// Split      {{ slices }} workgroup(s) of {{ workgroup }} a sample; an invocation takes {{ width }} pixel(s) a turn, in
//            turns enough to hide that it draws for the sample anew.
// Cost       {{ 6 * height * image_width }} flops and {{ 15 * height * image_width }} bytes a sample:
//            bound by memory, on a CPU by addressing.
// Dropped    nothing yet.

{% include "common/random.wgsl" %}

{% include "common/step.wgsl" %}

{% if width == 4 %}
alias Lane = vec4f;
{% else %}
alias Lane = f32;
{% endif %}

const H = {{ height }}u;
const W = {{ image_width }}u;
const PAD = {{ pad }}u;
const CUTOUT = {{ cutout }}u;
// value = byte · SCALE + SHIFT
const MEAN = vec3f({{ mean[0] }}, {{ mean[1] }}, {{ mean[2] }});
const STD = vec3f({{ std[0] }}, {{ std[1] }}, {{ std[2] }});
const SCALE = 1.0 / (255.0 * STD);
const SHIFT = -MEAN / STD;
// Stores of a row, of a sample.
const ROW = W / {{ width }}u;
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
    var sample = Sample((image - {{ chunk_start }}u) * (3u * H * W), vec2u(PAD), false, vec2u(), 0u);
    if step.augment == 0u {
        return sample;
    }
{% if pad > 0 %}
    let crop_x = random(step.seed, step.epoch, image, CROP_X);
    let crop_y = random(step.seed, step.epoch, image, CROP_Y);
    sample.crop = vec2u(random_below(crop_x, 2u * PAD + 1u), random_below(crop_y, 2u * PAD + 1u));
{% endif %}
{% if flip %}
    let alternates = step.augment == 2u;
    let coin = random_below(random(step.seed, select(step.epoch, 0u, alternates), image, FLIP), 2u);
    sample.flipped = (coin + select(0u, step.epoch, alternates)) % 2u == 1u;
{% endif %}
{% if cutout > 0 %}
    let hole_x = random(step.seed, step.epoch, image, HOLE_X);
    let hole_y = random(step.seed, step.epoch, image, HOLE_Y);
    sample.hole = vec2u(random_below(hole_x, W), random_below(hole_y, H)) - CUTOUT / 2u;
    sample.hole_side = CUTOUT;
{% endif %}
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

@compute @workgroup_size({{ workgroup }})
fn augment(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let n = group.y;
    let first = group.x * {{ workgroup }}u + local.x;
    if n >= step.count {
{% if first_chunk %}
        for (var i = first; i < SAMPLE; i += {{ slices * workgroup }}u) {
            x[n * SAMPLE + i] = Lane();
        }
{% endif %}
        return;
    }
    let image = order[step.first + n];
    if image - {{ chunk_start }}u >= {{ chunk_images }}u {
        return;
    }
    let sample = draw(image);
    for (var i = first; i < SAMPLE; i += {{ slices * workgroup }}u) {
        let c = i / (H * ROW);
        let at = vec2u((i % ROW) * {{ width }}u, (i / ROW) % H);
{% if width == 4 %}
        x[n * SAMPLE + i] = vec4f(
            value(sample, c, at),
            value(sample, c, vec2u(at.x + 1u, at.y)),
            value(sample, c, vec2u(at.x + 2u, at.y)),
            value(sample, c, vec2u(at.x + 3u, at.y)),
        );
{% else %}
        x[n * SAMPLE + i] = value(sample, c, at);
{% endif %}
    }
}
