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

{% if entry == "choose" %}
{% include "common/step.wgsl" %}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> cut: array<u32>;
@group(0) @binding(2) var<storage, read_write> histogram: array<u32>;

const SITES = {{ sites }}u;
// Words of `cut` ahead of the counts.
const HEAD = 4u;

var<workgroup> tree: array<vec2u, 256>;
var<workgroup> lowest: atomic<u32>;

fn site_cost(kept: vec2u) -> f32 {
    let for_relus = select(0.0, {{ relu_site }}, kept.x > 0u);
    let for_squares = select(0.0, {{ square_site }}, kept.y > 0u);
    return f32(kept.x) * {{ relu }} + f32(kept.y) * {{ square }} + for_relus + for_squares;
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
{% else %}
{% include "common/worth.wgsl" %}

{% if entry == "count_squares" %}
@group(0) @binding(0) var<storage, read> states: array<vec4f>;
@group(0) @binding(1) var<storage, read> mask: array<f32>;
@group(0) @binding(2) var<storage, read> groups: array<vec4u>;
{% else %}
@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, {{ "read_write" if entry == "apply" else "read" }}> mask: array<f32>;
@group(0) @binding(2) var<storage, read> blocks: array<vec4u>;
{% endif %}
@group(0) @binding(3) var<storage, read> cut: array<u32>;
{% endif %}
{% if entry == "apply" %}
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;

var<workgroup> block_count: atomic<u32>;

@compute @workgroup_size(64)
fn apply(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let block = group.y * {{ row }}u + group.x;
    // Workgroups past the last block have none.
    let index = min(block, {{ length // 256 - 1 }}u);
    let elements = select(0u, blocks[index].y, block == index);
    if (lane == 0u) {
        atomicStore(&block_count, 0u);
    }
    workgroupBarrier();
    var kept = 0u;
    for (var k = lane; k < elements; k += 64u) {
        let i = 256u * block + k;
        let keep = key(worth(scores[i], mask[i] > 0.5)) >= cut[0];
        mask[i] = select(0.0, 1.0, keep);
        kept += select(0u, 1u, keep);
    }
    atomicAdd(&block_count, kept);
    workgroupBarrier();
    if (lane == 0u && elements > 0u) {
        atomicAdd(&counts[blocks[index].x], atomicLoad(&block_count));
    }
}
{% elif entry != "choose" %}
@group(0) @binding(4) var<storage, read_write> histogram: array<atomic<u32>>;

// The next digit of a key that is in question; 256 for one that is not.
fn digit(key: u32) -> u32 {
    let digits = cut[2] % 3u;
    let beginning = select(cut[1], 0u, digits == 0u);
    // A shift by 32 is none.
    let own = select(key >> ((32u - 8u * digits) % 32u), 0u, digits == 0u);
    return select(256u, (key >> (24u - 8u * digits)) & 255u, own == beginning);
}

{% if entry == "count" %}
var<workgroup> bins: array<atomic<u32>, 256>;

@compute @workgroup_size(64)
fn count(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let block = group.y * {{ row }}u + group.x;
    // Workgroups past the last block have none.
    let index = min(block, {{ length // 256 - 1 }}u);
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
{% else %}
var<workgroup> kept: atomic<u32>;

@compute @workgroup_size(64)
fn count_squares(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let place = group.y * {{ row }}u + group.x;
    // Workgroups past the last group have none.
    let index = min(place, {{ groups - 1 }}u);
    let extent = groups[2u * index];
    if (lane == 0u) {
        atomicStore(&kept, 0u);
    }
    workgroupBarrier();
    var own = 0u;
    for (var i = lane; i < extent.y; i += 64u) {
        own += select(0u, 1u, mask[extent.x + i] > 0.5);
    }
    atomicAdd(&kept, own);
    workgroupBarrier();
    let state = states[index];
    let bin = digit(key(worth(state.x, state.w > 0.5)));
    if (lane == 0u && place == index && bin < 256u) {
        let site = {{ sites }}u + groups[2u * index + 1u].y;
        atomicAdd(&histogram[256u * site + bin], extent.y - atomicLoad(&kept));
    }
}
{% endif %}
{% endif %}
