// Expanded from shaders/gate.wgsl
// for gate coefficient_gradients: 128×64×32×32, degree 2 (tiling large).
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

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size(64)
fn finish_coefficients(@builtin(global_invocation_id) id: vec3u) {
    let c = id.x;
    if (c >= 64u) {
        return;
    }
    var sums = vec4f(0.0);
    for (var part = 0u; part < 8u; part++) {
        sums += partials[2u * (c * 8u + part) + 1u];
    }
    gradient[c] = sums * vec4f(1.0, 1.0, 1.0, 0.0);
}
