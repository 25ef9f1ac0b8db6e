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

// What is kept already is worth a tenth more than its score, and what is not a tenth less.
fn worth(score: f32, kept: bool) -> f32 {
    return score + select(-0.1, 0.1, kept) * abs(score);
}

// Keys of larger floats are larger.
fn key(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    return bits ^ select(0x80000000u, 0xffffffffu, bits >= 0x80000000u);
}

@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<f32>;
@group(0) @binding(2) var<storage, read> blocks: array<vec4u>;
@group(0) @binding(3) var<storage, read> cut: array<u32>;
@group(0) @binding(4) var<storage, read_write> histogram: array<atomic<u32>>;

// The next digit of a key that is in question; 256 for one that is not.
fn digit(key: u32) -> u32 {
    let digits = cut[2] % 3u;
    let beginning = select(cut[1], 0u, digits == 0u);
    // A shift by 32 is none.
    let own = select(key >> ((32u - 8u * digits) % 32u), 0u, digits == 0u);
    return select(256u, (key >> (24u - 8u * digits)) & 255u, own == beginning);
}

var<workgroup> bins: array<atomic<u32>, 256>;

@compute @workgroup_size(64)
fn count(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let block = group.y * 1920u + group.x;
    // Workgroups past the last block have none.
    let index = min(block, 1919u);
    let elements = select(0u, blocks[index].y, block == index);
    for (var bin = lane; bin < 256u; bin += 64u) {
        atomicStore(&bins[bin], 0u);
    }
    workgroupBarrier();
    for (var k = lane; k < elements; k += 64u) {
        let i = 256u * block + k;
        let bin = digit(key(worth(scores[i], mask[i] > 0.5)));
        if (bin < 256u) {
            atomicAdd(&bins[bin], 1u);
        }
    }
    workgroupBarrier();
    for (var bin = lane; bin < 256u; bin += 64u) {
        let found = atomicLoad(&bins[bin]);
        if (found > 0u) {
            atomicAdd(&histogram[256u * blocks[index].x + bin], found);
        }
    }
}
