// Expanded from shaders/gate.wgsl
// for gate backward: 128×64×32×32, normalized, residual, gate (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: the fused gate
//
// Computes   z = norm(u) [+ r | + norm(r)]               norm(v) = norm.x·v + norm.y per channel
//            y = z | relu(z) | silu(z) = z·σ(z) | m·relu(z) + (1−m)·p(z)
//                p(z) = c₀ + c₁·z + c₂·z² per channel; m is 0 or 1, or (`blend`) a slope 0…1
//            in one pass over the data: batch norm's apply, the residual addition, the choice
//            between ReLU and polynomial per element, and the sums Σz, Σz² for DaPa.
//            Backward, in one pass, with z computed again from u and r:
//              dz = dy·(m·[z>0] + (1−m)·p'(z))           in the place of dy
//                   + k·sign(t)·max(|t| − T, 0) where m is 0, t = (z − mean)/s: the slope of a
//                   penalty on what lies too far out for a polynomial
//              dm = Σ_n dy·(relu(z) − p(z))              per element
//              Σdz, Σdz·(u−μ_u), Σdz·(r−μ_r)             per channel, for batch norm's backward
//              dc_k = Σ dy·(1−m)·z^k                     per channel, k = 0, 1, 2
//            finish_coefficients adds the partials of dc, sum_mask_slices the slices of dm.
//            moments: Σd, Σd², Σd³, Σd⁴ with d = z − (running mean of z), for polynomials that must
//            know their inputs before they see them (dapa.wgsl, Hermite).
// Layout     group 0, numbered as where there is everything (a mask and a normalised residual);
//            what a permutation has not is left out, and the numbers go on without gaps
//              forward  backward
//                 –        0      dy             f32[N,C,P], becomes dz
//                 0        1      u              f32[N,C,P], read
//                 1        2      r              f32[N,C,P], read
//                 2        3      norm           vec4f[2,C], read: scale, shift, mean, 1/σ of u,
//                                                then of r; with bounds vec4f[3,C], at last
//                                                mean, 1/s, k, T of z (dapa.wgsl)
//                 3        4      mask           f32[C,P], read
//                 4        5      coefficients   vec4f[C], read: c₀, c₁, c₂, –
//                 5        –      y              f32[N,C,P], written
//                 –        6      mask_gradient  f32[slices,C,P], written
//                 6        7      partials       vec4f[C,parts], written; backward with a mask
//                                                [C,parts,2]
//              moments: u, r and norm from 0 on as in forward, then
//                 3               running        vec2f[C], read: mean and variance
//                 4               partials       vec4f[C,parts], written
//              finish_coefficients
//                 0               partials       vec4f[C,parts,2], read
//                 1               gradient       vec4f[C], written: dc
//              sum_mask_slices
//                 0               slices         f32[slices,C,P], read
//                 1               mask_gradient  f32[C,P], written
// Split      see common/plane.wgsl; dm leaves as one slice per LANES_N and workgroup row, which
//            sum_mask_slices adds in order.
// Cost       forward moves 8 bytes an element, 12 with a residual; 2 flops for norm(u), 1 or 3 for
//            the residual, 5 for a mask of 0 and 1, 3 for the moments. Backward moves 12 or 16 in
//            about thrice the flops, and 9 more for the bounds. A position's mask is 4 bytes, a slice
//            of dm as many. So it is bound by memory; as separate tensor operations it takes about
//            ten passes. moments reads 4 or 8 bytes an element for 8 flops.
//            finish_coefficients: 4·(parts + 1) flops and 16·(parts + 1) bytes a channel;
//            sum_mask_slices: slices flops and 4·(slices + 1) bytes a position.
// Dropped    other ways to walk, to sum and to cut the images: docs/rejected-optimizations.md, "The
//            gate on a CPU".

// How kernels with one set of constants per channel walk over N×C×P (P pixels of a plane,
// counted in lanes of 4): a workgroup belongs to one channel, one chunk of its plane
// and one slice of the images. It visits its chunk in 1 round(s). Its invocations lie as
// LANES_N × LANES_P; in a round each owns 1 fixed position(s) of the plane and visits
// every LANES_N-th image of the slice, so whatever belongs to a position (mask, its gradient) is
// loaded or stored once.
alias Lane = vec4f;
fn total(v: Lane) -> f32 { return dot(v, vec4f(1.0)); }
const BATCH = 128u;
const CHANNELS = 64u;
const PLANE = 256u;
const ROUNDS = 1u;
const CHUNKS = 1u;
const LANES_P = 256u;
const LANES_N = 1u;
const IMAGES = 16u;
const WORKGROUP = 256u;

// Sum of `value` over the workgroup, in a fixed order; every invocation calls it.
var<workgroup> tree: array<vec4f, WORKGROUP>;
fn workgroup_sum(lane: u32, value: vec4f) -> vec4f {
    tree[lane] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            tree[lane] += tree[lane + half];
        }
    }
    workgroupBarrier();
    let sum = tree[0];
    workgroupBarrier();
    return sum;
}

@group(0) @binding(0) var<storage, read_write> dy: array<Lane>; // becomes dz
@group(0) @binding(1) var<storage, read> u: array<Lane>;
@group(0) @binding(2) var<storage, read> r: array<Lane>;
@group(0) @binding(3) var<storage, read> norm: array<vec4f>;
@group(0) @binding(4) var<storage, read> mask: array<Lane>;
@group(0) @binding(5) var<storage, read> coefficients: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> mask_gradient: array<Lane>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(256)
fn backward(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let channel = group.x / CHUNKS;
    let chunk = group.x % CHUNKS;
    let begin = group.y * IMAGES;
    let end = min(begin + IMAGES, BATCH);
    let main = norm[channel];
    let c = coefficients[channel];
    let bounds = norm[2u * CHANNELS + channel];
    var sum_dz = Lane(0.0);
    var sum_main = Lane(0.0);
    var sum_side = Lane(0.0);
    var dc0 = Lane(0.0);
    var dc1 = Lane(0.0);
    var dc2 = Lane(0.0);
    for (var round = 0u; round < ROUNDS; round++) {
        let piece = chunk * ROUNDS + round;
        let p0 = (piece * 1u + 0u) * LANES_P + lane % LANES_P;
        let m0 = mask[channel * PLANE + min(p0, PLANE - 1u)];
        let keep0 = m0 > Lane(0.5);
        var dm0 = Lane(0.0);
        for (var n = begin + lane / LANES_P; n < end; n += LANES_N) {
            let base = (n * CHANNELS + channel) * PLANE;
            {
                let i = base + p0;
                var z = u[i];
                let centred = z - Lane(main.z);
                z = z * main.x + Lane(main.y);
                z += r[i];
                let d = dy[i];
                let relu = max(z, Lane(0.0));
                let polynomial = (c.z * z + Lane(c.y)) * z + Lane(c.x);
                let on = select(Lane(0.0), d, z > Lane(0.0));
                let t = (z - Lane(bounds.x)) * bounds.y;
                let beyond = bounds.z * sign(t) * max(abs(t) - Lane(bounds.w), Lane(0.0));
                let through = d * (2.0 * c.z * z + Lane(c.y)) + beyond;
                let dz = select(through, on, keep0);
                dm0 += d * (relu - polynomial);
                let off = select(d, Lane(0.0), keep0);
                dc0 += off;
                dc1 += off * z;
                dc2 += off * z * z;
                dy[i] = dz;
                sum_dz += dz;
                sum_main += dz * centred;
            }
        }
        let slice = group.y * LANES_N + lane / LANES_P;
        if (p0 < PLANE) {
            mask_gradient[(slice * CHANNELS + channel) * PLANE + p0] = dm0;
        }
    }
    let part = (channel * 8u + group.y) * CHUNKS + chunk;
    let to_norm = workgroup_sum(lane, vec4f(total(sum_dz), total(sum_main), total(sum_side), 0.0));
    let to_polynomial = workgroup_sum(lane, vec4f(total(dc0), total(dc1), total(dc2), 0.0));
    if (lane == 0u) {
        partials[2u * part] = to_norm;
        partials[2u * part + 1u] = to_polynomial;
    }
}
