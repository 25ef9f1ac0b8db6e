// Expanded from shaders/indicator.wgsl
// for indicator share: 3,840 groups of 491,520 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: scores
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
//            and counts the ReLUs kept at each site. `penalty` is λ over the cost of the network
//            with all its ReLUs, so push is the gradient of λ·relu(share − target); cost and
//            prices are those after the step before (metrics.wgsl).
//            Two rules only say what the loss would rise by without the ReLU, over its share of
//            the full cost (penalty·price, here without λ); threshold.wgsl makes masks of it. With
//            the gradient of a batch of B images, the Fisher information for the curvature, and n
//            elements that are kept or dropped as one:
//              taylor  ḡ, v ← averages of dL/dm and (dL/dm)², the newest with weight rate
//                      aux ← (½·B·n·max(v − ḡ², 0) − ḡ)/(penalty·price)
//              fisher  v ← average of (dL/dm)² with Adam's β₂;  aux ← n·v/(2·penalty·price)
//            share: dL/dm of every element becomes the mean over its group of n, for masks that
//            keep or drop a channel or a site as one. Elements that begin alike stay so.
// Layout     group 0; the numbers go on without gaps
//              update  step           uniform Step
//                      scores         f32[length], updated: aux; each site of this and the other
//                                     arenas starts at a multiple of 256
//                      mask_gradient  f32[length], read: dL/dm
//                      first_moment   f32[length], updated: Adam's, or ḡ (not fisher)
//                      second_moment  f32[length], updated: Adam's, or v
//                      blocks         vec4u[length/256], read: site of a block, its elements, n, 0
//                      ledger         vec2f[1+sites], read: (cost, 0), then (price of a ReLU,
//                                     of a square) by site
//                      mask           f32[length], updated: m (hysteresis, slopes)
//                      counts         u32[…] by site, added to (hysteresis, slopes)
//              share   groups         vec2u[G], read: first element, elements
//                      mask_gradient  f32[length], updated
// Split      update: a workgroup of 64 takes a block of 256 elements, four each; counts go
//            through workgroup memory to one atomic addition a block: integers, so the order is
//            free. share: a workgroup of 64 a group, summed by lanes and a tree.
// Cost       update 27 flops and 36 bytes an element (slopes 21 and 32, taylor 17 and 28, fisher 8 and
//            20), share 1 and 8 an element, 127 and 8 a group, whatever the network: one dispatch each.
// Dropped    nothing yet.

@group(0) @binding(0) var<storage, read> groups: array<vec2u>;
@group(0) @binding(1) var<storage, read_write> mask_gradient: array<f32>;

var<workgroup> tree: array<f32, 64>;

@compute @workgroup_size(64)
fn share(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let index = min(group.y * 3840u + group.x, 3839u);
    let first = groups[index].x;
    // Workgroups past the last group have none.
    let inside = group.y * 3840u + group.x == index;
    let elements = select(0u, groups[index].y, inside);
    var sum = 0.0;
    for (var i = lane; i < elements; i += 64u) {
        sum += mask_gradient[first + i];
    }
    tree[lane] = sum;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            tree[lane] += tree[lane + half];
        }
    }
    workgroupBarrier();
    let mean = tree[0] / f32(elements);
    for (var i = lane; i < elements; i += 64u) {
        mask_gradient[first + i] = mean;
    }
}
