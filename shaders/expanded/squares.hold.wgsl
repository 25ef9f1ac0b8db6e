// Expanded from shaders/squares.wgsl
// for squares hold: 64 channels of 32×32 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: squares worth keeping
//
// Computes   Where squares have a price, a channel's polynomial may lose its own and become a line:
//            the least-squares one under the channel's x ~ N(u, s²), for which
//            x² ≈ 2u·x + s² − u². With r(x) = x² − 2u·x − (s² − u²), what that leaves of a square,
//            and q for "has its square", the polynomial is line(x) + q·c₂·r(x), and q is searched
//            for as masks are.
//            update, for every group of channels (a channel, or all of a site) after the optimiser:
//              dL/dq = Σ c₂·(dL/dc₂ − 2u·dL/dc₁ − (s² − u²)·dL/dc₀) over its channels; a line's
//                  c₂ is that of the fit to its moments
//              g = softplus(score)·(dL/dq + penalty·price·squares), the second term while the
//                  cost is above the budget; squares: the group's elements without a ReLU
//              score ← Adam(score, g);  q by hysteresis, as in indicator.wgsl, but a square comes
//                  back only from a score far above 0: one that comes and goes upsets all layers
//                  behind it
//              a square lost takes c₂·r(x) from the polynomial and leaves a mark of 1 in its
//                  fourth component; a square regained adds c₂·r(x) of the fit
//            and adds the squares of groups that have them to their site's count.
//            Where all scores share a threshold (threshold.wgsl) it is done in two kernels:
//            measure: as in indicator.wgsl, with dL/dq for dL/dm and penalty·price·squares:
//              taylor  ḡ, v ← averages of dL/dq and (dL/dq)²
//                      score ← (½·B·max(v − ḡ², 0) − ḡ)/(penalty·price·squares)
//              fisher  v ← average of (dL/dq)²;  score ← v/(2·penalty·price·squares)
//            apply: q ← 1 if worth ≥ θ, and what update does with a new q.
//            hold: c₂ ← 0 for every channel that is marked: what an optimiser did to it.
// Layout     group 0; the numbers go on without gaps
//              update, measure, apply
//                      step       uniform Step (not apply)
//                      params     vec4f[…], an arena: coefficients c₀, c₁, c₂, mark; measure reads
//                                 them, the others update them
//                      gradients  vec4f[…], an arena, read (not apply)
//                      moments    vec2f[…], an arena, read: mean, variance
//                      mask       f32[…], an arena, read
//                      groups     vec4u[G,2], read: (first element, elements, first coefficient,
//                                 channels), (first moment, site, 0, 0)
//                      states     vec4f[G], updated: score, Adam's moments or ḡ and v, q
//                      ledger     vec2f[1+sites], read: as in indicator.wgsl (not apply)
//                      cut        u32[…], read: the first is θ as a key (apply)
//                      counts     u32[2,sites], added to: ReLUs, squares (not measure)
//              hold    params     vec4f[…], an arena, updated
//                      groups     vec4u[G,2], read
// Split      a workgroup of 64 a group: lanes over elements, then over channels; sums by a tree.
// Cost       update 1 flop and 4 bytes an element, 46 to 51 and 56 a channel (28 bytes in measure, 40 in
//            apply), 64 lanes of 4 to 29 flops and 64 bytes a group; hold 4 bytes a channel, and
//            4 a line.
// Dropped    nothing yet.

@group(0) @binding(0) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(1) var<storage, read> groups: array<vec4u>;

@compute @workgroup_size(64)
fn hold(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let index = group.y * 64u + group.x;
    if (index >= 64u) {
        return;
    }
    let extent = groups[2u * index];
    for (var c = lane; c < extent.w; c += 64u) {
        if (params[extent.z + c].w > 0.5) {
            params[extent.z + c].z = 0.0;
        }
    }
}
