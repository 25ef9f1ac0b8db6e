// Expanded from shaders/threshold.wgsl
// for threshold: 491,520 elements, 16 sites, 64 groups of squares (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: the threshold that all scores share
//
// Computes   the largest selection that the budget pays for. What is kept already is worth a little
//            more than its score, and what is not a little less (hysteresis: a mask that comes and
//            goes upsets all layers behind it):
//              worth = score + 0.1·|score| if it is kept, else score − 0.1·|score|
//            θ is the lowest value such that all that is worth θ or more costs no more than
//            step.budget (metrics.wgsl says what a cost is). Floats are ordered like the unsigned
//            numbers that `key` makes of them, so that θ is found digit by digit, three times eight
//            bits, the highest first:
//              count          adds the next digit of every key that begins with what has been found
//                             so far to a histogram of its site
//              count_squares  the same for squares, where they have a price: a group counts for
//                             its elements without a ReLU
//              choose         takes the lowest digit from which on all can be paid for, and clears
//                             the histogram; what is above is kept for certain, what is below is
//                             not, and the digit just below is looked at more closely
//            Then
//              apply          m ← 1 if worth ≥ θ, else 0; the ReLUs of each site are counted.
//            The lowest 8 bits are not looked at: scores that agree in 24 go as one.
// Layout     group 0; cut u32[4+2·sites]: θ as a key, the common beginning of the keys that are still
//            in question, how many digits it has (3: as the step before left it), 0, then by site
//            the ReLUs and then the squares that are kept for certain
//              count          0  scores     f32[length], read: each site of this and the other
//                                           arenas starts at a multiple of 256
//                             1  mask       f32[length], read
//                             2  blocks     vec4u[length/256], read: site of a block, its elements, …
//                             3  cut        read
//                             4  histogram  u32[2·sites,256], added to: ReLUs by site, then squares
//              count_squares  0  states     vec4f[G], read: score, …, 1 where there is a square
//                             1  mask       f32[…], an arena, read
//                             2  groups     vec4u[G,2], read: as in squares.wgsl
//                             3  cut        read
//                             4  histogram  u32[2·sites,256], added to
//              choose         0  step       uniform Step
//                             1  cut        updated
//                             2  histogram  u32[2·sites,256], read and cleared
//              apply          0  scores     f32[length], read
//                             1  mask       f32[length], updated
//                             2  blocks     vec4u[length/256], read
//                             3  cut        read
//                             4  counts     u32[…] by site, added to
// Split      count, apply: a workgroup of 64 takes a block of 256 elements, four each, all of one
//            site, and adds to memory once for each digit that occurs: integers, so the order is
//            free. count_squares: a workgroup of 64 a group. choose: one workgroup of 256, a lane
//            a digit; site after site, its suffix sums by doubling.
// Cost       count 3 flops and 8 bytes an element, apply 3 and 12; count_squares 4 bytes an element, 192
//            flops and 32 bytes a group; choose 3 flops and 8 bytes a bin.
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

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> cut: array<u32>;
@group(0) @binding(2) var<storage, read_write> histogram: array<u32>;

const SITES = 16u;
// Words of `cut` ahead of the counts.
const HEAD = 4u;

var<workgroup> tree: array<vec2u, 256>;
var<workgroup> lowest: atomic<u32>;

fn site_cost(kept: vec2u) -> f32 {
    let for_relus = select(0.0, 0.0, kept.x > 0u);
    let for_squares = select(0.0, 0.0, kept.y > 0u);
    return f32(kept.x) * 184.0 + f32(kept.y) * 8.0 + for_relus + for_squares;
}

@compute @workgroup_size(256)
fn choose(@builtin(local_invocation_index) lane: u32) {
    let digits = cut[2] % 3u;
    let beginning = select(cut[1], 0u, digits == 0u);
    if (lane == 0u) {
        // Nothing that is in question; at first all is, and nothing is as large as digit 255.
        atomicStore(&lowest, select(256u, 255u, digits == 0u));
    }
    // What all would cost that is kept for certain, or has this digit or a higher one.
    var cost = 0.0;
    for (var site = 0u; site < SITES; site++) {
        let row = vec2u(site, SITES + site);
        tree[lane] = vec2u(histogram[256u * row.x + lane], histogram[256u * row.y + lane]);
        workgroupBarrier();
        for (var by = 1u; by < 256u; by *= 2u) {
            var above = vec2u(0u);
            if (lane + by < 256u) {
                above = tree[lane + by];
            }
            workgroupBarrier();
            tree[lane] += above;
            workgroupBarrier();
        }
        let certain = select(vec2u(cut[HEAD + row.x], cut[HEAD + row.y]), vec2u(0u), digits == 0u);
        let kept = certain + tree[lane];
        cost += site_cost(kept);
        histogram[256u * row.x + lane] = kept.x;
        histogram[256u * row.y + lane] = kept.y;
    }
    if (cost <= step.budget) {
        atomicMin(&lowest, lane);
    }
    storageBarrier();
    workgroupBarrier();
    let chosen = atomicLoad(&lowest);
    if (chosen < 256u) {
        for (var row = lane; row < 2u * SITES; row += 256u) {
            cut[HEAD + row] = histogram[256u * row + chosen];
        }
    }
    storageBarrier();
    workgroupBarrier();
    for (var row = 0u; row < 2u * SITES; row++) {
        histogram[256u * row + lane] = 0u;
    }
    if (lane == 0u) {
        let found = 256u * beginning + chosen;
        cut[0] = found << (24u - 8u * digits);
        // Where all can be paid for there is nothing below.
        cut[1] = max(found, 1u) - 1u;
        cut[2] = digits + 1u;
    }
}
