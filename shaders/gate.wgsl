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

{% if entry in ["forward", "backward", "moments"] %}
{% include "common/plane.wgsl" %}

{% set gated = activation in ["gate", "blend"] and entry != "moments" %}
{% set blend = activation == "blend" %}
{% set b = namespace(next=0) %}
{# What the mask makes of the polynomial's value and the ReLU's. #}
{% macro choose(off, on, j) -%}
{% if blend %}mix({{ off }}, {{ on }}, m{{ j }}){% else %}select({{ off }}, {{ on }}, keep{{ j }}){% endif %}
{%- endmacro %}
{% macro binding() %}@group(0) @binding({{ b.next }}){% set b.next = b.next + 1 %}{% endmacro %}
{% if entry == "backward" %}
{{ binding() }} var<storage, read_write> dy: array<Lane>; // becomes dz
{% endif %}
{{ binding() }} var<storage, read> u: array<Lane>;
{% if residual != "none" %}
{{ binding() }} var<storage, read> r: array<Lane>;
{% endif %}
{% if normalized or residual == "normalized" or bounded %}
{{ binding() }} var<storage, read> norm: array<vec4f>;
{% endif %}
{% if entry == "moments" %}
{{ binding() }} var<storage, read> running: array<vec2f>;
{% endif %}
{% if gated %}
{{ binding() }} var<storage, read> mask: array<Lane>;
{{ binding() }} var<storage, read> coefficients: array<vec4f>;
{% endif %}
{% if entry == "forward" %}
{{ binding() }} var<storage, read_write> y: array<Lane>;
{% endif %}
{% if entry == "backward" and gated %}
{{ binding() }} var<storage, read_write> mask_gradient: array<Lane>;
{% endif %}
{% if partials %}
{{ binding() }} var<storage, read_write> partials: array<vec4f>;
{% endif %}

{% if activation == "silu" %}
fn sigmoid(z: Lane) -> Lane {
    // e^80 is finite: no infinity for a compiler to reason away.
    return Lane(1.0) / (Lane(1.0) + exp(-max(z, Lane(-80.0))));
}

{% endif %}
@compute @workgroup_size({{ lanes_p * lanes_n }})
fn {{ entry }}(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let channel = group.x / CHUNKS;
    let chunk = group.x % CHUNKS;
    let begin = group.y * IMAGES;
    let end = min(begin + IMAGES, BATCH);
    {% if normalized %}
    let main = norm[channel];
    {% endif %}
    {% if residual == "normalized" %}
    let side = norm[CHANNELS + channel];
    {% endif %}
    {% if gated %}
    let c = coefficients[channel];
    {% endif %}
    {% if bounded %}
    let bounds = norm[2u * CHANNELS + channel];
    {% endif %}
    {% if entry == "moments" %}
    // Far from zero, powers of z itself would cost digits.
    let centre = running[channel].x;
    {% endif %}
    {% if entry in ["forward", "moments"] %}
    var sum = Lane(0.0);
    var squares = Lane(0.0);
    {% endif %}
    {% if entry == "moments" %}
    var cubes = Lane(0.0);
    var fourths = Lane(0.0);
    {% endif %}
    {% if entry == "backward" %}
    var sum_dz = Lane(0.0);
    var sum_main = Lane(0.0);
    var sum_side = Lane(0.0);
    var dc0 = Lane(0.0);
    var dc1 = Lane(0.0);
    var dc2 = Lane(0.0);
    {% endif %}
    for (var round = 0u; round < ROUNDS; round++) {
        let piece = chunk * ROUNDS + round;
        {% for j in range(unroll) %}
        let p{{ j }} = (piece * {{ unroll }}u + {{ j }}u) * LANES_P + lane % LANES_P;
        {% if gated %}
        let m{{ j }} = mask[channel * PLANE + min(p{{ j }}, PLANE - 1u)];
        {% if not blend %}
        let keep{{ j }} = m{{ j }} > Lane(0.5);
        {% endif %}
        {% if entry == "backward" %}
        var dm{{ j }} = Lane(0.0);
        {% endif %}
        {% endif %}
        {% endfor %}
        for (var n = begin + lane / LANES_P; n < end; n += LANES_N) {
            let base = (n * CHANNELS + channel) * PLANE;
            {% for j in range(unroll) %}
            {% if ragged %}
            if (p{{ j }} < PLANE)
            {% endif %}
            {
                let i = base + p{{ j }};
                var z = u[i];
                {% if entry == "backward" and normalized %}
                let centred = z - Lane(main.z);
                {% endif %}
                {% if normalized %}
                z = z * main.x + Lane(main.y);
                {% endif %}
                {% if residual == "plain" %}
                z += r[i];
                {% elif residual == "normalized" %}
                let beside = r[i];
                z += beside * side.x + Lane(side.y);
                {% endif %}
                {% if entry == "moments" %}
                let d = z - Lane(centre);
                let square = d * d;
                sum += d;
                squares += square;
                cubes += square * d;
                fourths += square * square;
                {% elif entry == "forward" %}
                {% if activation == "identity" %}
                y[i] = z;
                {% elif activation == "relu" %}
                y[i] = max(z, Lane(0.0));
                {% elif activation == "silu" %}
                y[i] = z * sigmoid(z);
                {% else %}
                let polynomial = (c.z * z + Lane(c.y)) * z + Lane(c.x);
                y[i] = {{ choose("polynomial", "max(z, Lane(0.0))", j) }};
                {% endif %}
                {% if partials %}
                sum += z;
                squares += z * z;
                {% endif %}
                {% else %}
                let d = dy[i];
                {% if activation == "identity" %}
                let dz = d;
                {% elif activation == "relu" %}
                let dz = select(Lane(0.0), d, z > Lane(0.0));
                {% elif activation == "silu" %}
                let s = sigmoid(z);
                let dz = d * s * (Lane(1.0) + z * (Lane(1.0) - s));
                {% else %}
                let relu = max(z, Lane(0.0));
                let polynomial = (c.z * z + Lane(c.y)) * z + Lane(c.x);
                let on = select(Lane(0.0), d, z > Lane(0.0));
                {% if bounded %}
                let t = (z - Lane(bounds.x)) * bounds.y;
                let beyond = bounds.z * sign(t) * max(abs(t) - Lane(bounds.w), Lane(0.0));
                let through = d * (2.0 * c.z * z + Lane(c.y)) + beyond;
                {% else %}
                let through = d * (2.0 * c.z * z + Lane(c.y));
                {% endif %}
                let dz = {{ choose("through", "on", j) }};
                dm{{ j }} += d * (relu - polynomial);
                let off = {{ choose("d", "Lane(0.0)", j) }};
                dc0 += off;
                dc1 += off * z;
                dc2 += off * z * z;
                {% endif %}
                dy[i] = dz;
                {% if partials %}
                sum_dz += dz;
                {% if normalized %}
                sum_main += dz * centred;
                {% endif %}
                {% if residual == "normalized" %}
                sum_side += dz * (beside - Lane(side.z));
                {% endif %}
                {% endif %}
                {% endif %}
            }
            {% endfor %}
        }
        {% if entry == "backward" and gated %}
        let slice = group.y * LANES_N + lane / LANES_P;
        {% for j in range(unroll) %}
        if (p{{ j }} < PLANE) {
            mask_gradient[(slice * CHANNELS + channel) * PLANE + p{{ j }}] = dm{{ j }};
        }
        {% endfor %}
        {% endif %}
    }
    {% if partials %}
    let part = (channel * {{ slices }}u + group.y) * CHUNKS + chunk;
    {% if entry in ["forward", "moments"] %}
    {% if entry == "moments" %}
    let moments = workgroup_sum(lane, vec4f(total(sum), total(squares), total(cubes), total(fourths)));
    {% else %}
    let moments = workgroup_sum(lane, vec4f(total(sum), total(squares), 0.0, 0.0));
    {% endif %}
    if (lane == 0u) {
        partials[part] = moments;
    }
    {% else %}
    let to_norm = workgroup_sum(lane, vec4f(total(sum_dz), total(sum_main), total(sum_side), 0.0));
    {% if gated %}
    let to_polynomial = workgroup_sum(lane, vec4f(total(dc0), total(dc1), total(dc2), 0.0));
    {% endif %}
    if (lane == 0u) {
        {% if gated %}
        partials[2u * part] = to_norm;
        partials[2u * part + 1u] = to_polynomial;
        {% else %}
        partials[part] = to_norm;
        {% endif %}
    }
    {% endif %}
    {% endif %}
}
{% elif entry == "finish_coefficients" %}
@group(0) @binding(0) var<storage, read> partials: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size({{ workgroup }})
fn finish_coefficients(@builtin(global_invocation_id) id: vec3u) {
    let c = id.x;
    if (c >= {{ channels }}u) {
        return;
    }
    var sums = vec4f(0.0);
    for (var part = 0u; part < {{ parts }}u; part++) {
        sums += partials[2u * (c * {{ parts }}u + part) + 1u];
    }
    {# Coefficients above the degree are not trained. #}
    gradient[c] = sums * vec4f(1.0, {{ 1.0 if degree >= 1 else 0.0 }}, {{ 1.0 if degree >= 2 else 0.0 }}, 0.0);
}
{% elif entry == "sum_mask_slices" %}
{% from "common/stream.wgsl" import each %}
{% if width == 4 %}
alias Lane = vec4f;
{% else %}
alias Lane = f32;
{% endif %}
@group(0) @binding(0) var<storage, read> slices: array<Lane>;
@group(0) @binding(1) var<storage, read_write> mask_gradient: array<Lane>;

@compute @workgroup_size({{ workgroup }})
fn sum_mask_slices(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", length ~ "u", run, workgroup) }} {
        var sum = Lane(0.0);
        for (var slice = 0u; slice < {{ slices }}u; slice++) {
            sum += slices[slice * {{ length }}u + i];
        }
        mask_gradient[i] = sum;
    }
}
{% endif %}
