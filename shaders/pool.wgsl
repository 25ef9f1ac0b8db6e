// Kernel card: average pooling, over windows and over whole planes
//
// Computes   average          y[p,oy,ox] = Σ_{r,s<k} x[p, oy·stride+r, ox·stride+s] / k²
//            average_backward dx[p,iy,ix] = Σ dy[p,oy,ox] / k² over the windows that hold the
//                             pixel: gathered, so that nothing is added twice
//            global           y[p] = Σ x[p,·] / pixels
//            global_backward  dx[p,·] = dy[p] / pixels
//            This one is {{ pass }}.
//            There is no padding, so pixels that no window reaches (H or W not divided) have
//            gradient 0.
// Layout     group 0; planes p = n·C + c
{% if pass == "average" %}
//              0  x   f32[planes,H,W], read
//              1  y   f32[planes,H',W'], written
{% elif pass == "average_backward" %}
//              0  dy  f32[planes,H',W'], read
//              1  dx  f32[planes,H,W], written
{% elif pass == "global" %}
//              0  x   f32[planes,pixels], read
//              1  y   f32[planes], written
{% else %}
//              0  dy  f32[planes], read
//              1  dx  f32[planes,pixels], {{ "added to" if accumulate else "written" }}
{% endif %}
{% if pass == "global" and parts > 1 %}
// Split      {{ parts }} neighbouring invocations share a plane and add their sums in workgroup
//            memory in a fixed order.
{% elif pass == "global" %}
// Split      one invocation per plane, streaming (common/stream.wgsl): no barrier.
{% elif pass == "global_backward" %}
// Split      one invocation per {{ width }} adjacent element(s), streaming (common/stream.wgsl).
{% else %}
// Split      one invocation per element written, streaming (common/stream.wgsl).
{% endif %}
// Cost       average and its backward k² flops an element of y or dy, 4 bytes an element of both
//            tensors; global an addition and 4 bytes a value; global_backward 4 bytes a value, 8
//            where it adds. Bound by memory.
// Dropped    loops that stride over the whole grid: docs/rejected-optimizations.md, "Streaming
//            kernels on a CPU".

{% from "common/stream.wgsl" import each %}
{% if width == 4 %}
alias Lane = vec4f;
{% else %}
alias Lane = f32;
{% endif %}

{% if pass == "average" or pass == "average_backward" %}
const H = {{ height }}u;
const W = {{ in_width }}u;
const OUT_H = {{ out_height }}u;
const OUT_W = {{ out_width }}u;
const KERNEL = {{ kernel }}u;
const STRIDE = {{ stride }}u;
{% endif %}
const PLANES = {{ planes }}u;
{% if pass == "global" or pass == "global_backward" %}
const PIXELS = {{ pixels }}u;
// Vectors of a plane.
const VECTORS = PIXELS / {{ width }}u;
{% endif %}

{% if pass == "average" %}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{ workgroup }})
fn average(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", "PLANES * OUT_H * OUT_W", run, workgroup) }} {
        let row = i / OUT_W;
        let plane = row / OUT_H;
        let corner = (plane * H + (row % OUT_H) * STRIDE) * W + (i % OUT_W) * STRIDE;
        var sum = 0.0;
        for (var r = 0u; r < KERNEL; r++) {
            for (var s = 0u; s < KERNEL; s++) {
                sum += x[corner + r * W + s];
            }
        }
        y[i] = sum * (1.0 / f32(KERNEL * KERNEL));
    }
}
{% elif pass == "average_backward" %}
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

// First window that holds pixel `at`: the least o with o·stride + k > at.
fn first_window(at: u32) -> u32 {
    return (max(at + STRIDE, KERNEL) - KERNEL) / STRIDE;
}

@compute @workgroup_size({{ workgroup }})
fn average_backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", "PLANES * H * W", run, workgroup) }} {
        let row = i / W;
        let pixel = vec2u(i % W, row % H);
        let plane = (row / H) * OUT_H;
        var sum = 0.0;
        for (var oy = first_window(pixel.y); oy < OUT_H && oy * STRIDE <= pixel.y; oy++) {
            for (var ox = first_window(pixel.x); ox < OUT_W && ox * STRIDE <= pixel.x; ox++) {
                sum += dy[(plane + oy) * OUT_W + ox];
            }
        }
        dx[i] = sum * (1.0 / f32(KERNEL * KERNEL));
    }
}
{% elif pass == "global_backward" %}
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<Lane>;

@compute @workgroup_size({{ workgroup }})
fn global_backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", "PLANES * VECTORS", run, workgroup) }} {
        dx[i] {{ "+=" if accumulate else "=" }} Lane(dy[i / VECTORS] * (1.0 / f32(PIXELS)));
    }
}
{% else %}
@group(0) @binding(0) var<storage, read> x: array<Lane>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn total(sum: Lane) -> f32 {
{% if width == 4 %}
    return (sum.x + sum.y) + (sum.z + sum.w);
{% else %}
    return sum;
{% endif %}
}

{% if parts > 1 %}
var<workgroup> sums: array<f32, {{ workgroup }}>;

@compute @workgroup_size({{ workgroup }})
fn global(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let block = group.y * {{ grid[0] }}u + group.x;
    let plane = block * {{ workgroup // parts }}u + local.x / {{ parts }}u;
    let part = local.x % {{ parts }}u;
    var sum = Lane();
    if plane < PLANES {
        for (var v = part; v < VECTORS; v += {{ parts }}u) {
            sum += x[plane * VECTORS + v];
        }
    }
    sums[local.x] = total(sum);
    workgroupBarrier();
    if plane < PLANES && part == 0u {
        var mean = 0.0;
        for (var other = 0u; other < {{ parts }}u; other++) {
            mean += sums[local.x + other];
        }
        y[plane] = mean * (1.0 / f32(PIXELS));
    }
}
{% else %}
@compute @workgroup_size({{ workgroup }})
fn global(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("plane", "PLANES", run, workgroup) }} {
        var sum = Lane();
        for (var v = 0u; v < VECTORS; v++) {
            sum += x[plane * VECTORS + v];
        }
        y[plane] = total(sum) * (1.0 / f32(PIXELS));
    }
}
{% endif %}
{% endif %}
