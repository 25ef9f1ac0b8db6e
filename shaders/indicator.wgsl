// Kernel card: scores, hysteresis and counts
//
// Computes   for every element of every site, after a backward pass has left dL/dm:
//              g = softplus(aux)·(dL/dm + penalty·[kept > budget])    straight-through
//              aux ← Adam(aux, g)
//              m stays 1 while aux > −t;  m becomes 1 when aux > +t;  otherwise it stays or
//              becomes 0
//            and counts the ReLUs kept at each site. `penalty` is λ over the number of elements,
//            the gradient of λ·relu(density − target); `kept` is the count of the step before.
// Layout     arenas of {{ length }} elements (each site starts at a multiple of 256);
//            sites u32[length/256] tells the site of a block; counts u32[sites]; kept u32[1]
// Split      a workgroup of 64 takes a block of 256 elements, four each; counts go through
//            workgroup memory to one atomic addition a block: integers, so the order is free.
// Cost       36 bytes an element, whatever the network: one dispatch.
{% include "common/step.wgsl" %}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read> mask_gradient: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> first_moment: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> second_moment: array<vec4f>;
@group(0) @binding(6) var<storage, read> sites: array<u32>;
@group(0) @binding(7) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(8) var<storage, read> kept: array<u32>;

var<workgroup> block_count: atomic<u32>;

// log(1 + eˣ), without overflow for large x.
fn softplus(x: vec4f) -> vec4f {
    return max(x, vec4f(0.0)) + log(1.0 + exp(-abs(x)));
}

@compute @workgroup_size(64)
fn update(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let block = group.y * {{ row }}u + group.x;
    let inside = block < {{ length // 256 }}u;
    if (lane == 0u) {
        atomicStore(&block_count, 0u);
    }
    workgroupBarrier();
    if (inside) {
        let i = block * 64u + lane;
        let aux = scores[i];
        let push = select(0.0, step.penalty, kept[0] > step.budget);
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
