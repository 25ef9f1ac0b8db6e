// Expanded from shaders/indicator.wgsl
// for indicator: 491,520 elements, hysteresis (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: scores, masks and counts
//
// Computes   update: for every element of every site, after a backward pass has left dL/dm,
//              push = penalty·(price of a ReLU at its site), while the cost is above the budget
//              hysteresis  g = softplus(aux)·(dL/dm + push)        straight-through (AutoReP)
//                          aux ← Adam(aux, g)
//                          m stays 1 while aux > −t;  m becomes 1 when aux > +t;  otherwise it
//                          stays or becomes 0
//              slopes      g = dL/dm + push
//                          aux ← Adam(aux, g), held within 0…1;  m ← aux, a slope (SNL);
//                          kept while above t
//              importance  v ← average of (dL/dm)²;  aux ← v/(2·penalty·price): what the loss
//                          would rise by without the ReLU, to second order and with the Fisher
//                          information for the curvature, over its share of the full cost
//                          m stays 1 while aux > 0.9·θ;  m becomes 1 when aux > 1.1·θ
//            and counts the ReLUs kept at each site. `penalty` is λ over the cost of the network
//            with all its ReLUs, so push is the gradient of λ·relu(share − target); cost and
//            prices are those after the step before (metrics.wgsl), and so is the threshold θ.
//            share: dL/dm of every element becomes the mean over its group of n, for masks that
//            keep or drop a channel or a site as one: times √n for importance, whose square is then
//            that of the sum over n, an element of the price's. Elements that begin alike stay so.
// Layout     group 0; importance has no first moment, and the numbers go on without gaps
//              update  0  step           uniform Step
//                      1  scores         f32[length], updated: aux; each site of this and the
//                                        other arenas starts at a multiple of 256
//                      2  mask           f32[length], updated: m
//                      3  mask_gradient  f32[length], read: dL/dm
//                      4  first_moment   f32[length], updated: Adam's
//                      5  second_moment  f32[length], updated: Adam's, or v
//                      6  sites          u32[length/256], read: the site of a block
//                      7  counts         u32[…] by site, added to
//                      8  ledger         vec2f[1+sites], read: (cost, θ), then (price of a ReLU,
//                                        of a square) by site
//              share   0  groups         vec2u[G], read: first element, elements
//                      1  mask_gradient  f32[length], updated
// Split      update: a workgroup of 64 takes a block of 256 elements, four each; counts go
//            through workgroup memory to one atomic addition a block: integers, so the order is
//            free. share: a workgroup of 64 a group, summed by lanes and a tree.
// Cost       update 30 flops and 36 bytes an element (importance is counted alike), share 1 and 12,
//            whatever the network: one dispatch each.
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
}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read> mask_gradient: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> first_moment: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> second_moment: array<vec4f>;
@group(0) @binding(6) var<storage, read> sites: array<u32>;
@group(0) @binding(7) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(8) var<storage, read> ledger: array<vec2f>;

var<workgroup> block_count: atomic<u32>;

// log(1 + eˣ), without overflow for large x.
fn softplus(x: vec4f) -> vec4f {
    return max(x, vec4f(0.0)) + log(1.0 + exp(-abs(x)));
}

@compute @workgroup_size(64)
fn update(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let block = group.y * 1920u + group.x;
    let inside = block < 1920u;
    if (lane == 0u) {
        atomicStore(&block_count, 0u);
    }
    workgroupBarrier();
    if (inside) {
        let i = block * 64u + lane;
        let aux = scores[i];
        let price = ledger[1u + sites[block]].x;
        let push = select(0.0, step.penalty * price, ledger[0].x > step.budget);
        let g = softplus(aux) * (mask_gradient[i] + vec4f(push));
        let m1 = mix(g, first_moment[i], step.beta1);
        let m2 = mix(g * g, second_moment[i], step.beta2);
        first_moment[i] = m1;
        second_moment[i] = m2;
        let root = sqrt(m2 / step.correction2) + vec4f(step.epsilon);
        let moved = aux - step.score_rate * (m1 / step.correction1) / root;
        scores[i] = moved;
        let bound = select(vec4f(step.threshold), vec4f(-step.threshold), mask[i] > vec4f(0.5));
        let keep = select(vec4f(0.0), vec4f(1.0), moved > bound);
        mask[i] = keep;
        atomicAdd(&block_count, u32(dot(keep, vec4f(1.0))));
    }
    workgroupBarrier();
    if (lane == 0u && inside) {
        atomicAdd(&counts[sites[block]], atomicLoad(&block_count));
    }
}
