// Kernel card: a factor per plane
//
// Computes   forward   y[p,·] = x[p,·]·f[p]
//            backward  df[p] = Σ dy[p,·]·x[p,·] and dy ← dy·f[p], in the place of dy: both in
//                      one pass
//            for squeeze-excite, which scales the channels of each image.
//            This one is {{ entry }}.
// Layout     group 0; planes p = n·C + c
{% if entry == "forward" %}
//              0  x   f32[planes,pixels], read
//              1  f   f32[planes], read
//              2  y   f32[planes,pixels], written
{% else %}
//              0  dy  f32[planes,pixels], becomes dx
//              1  x   f32[planes,pixels], read
//              2  f   f32[planes], read
//              3  df  f32[planes], written
{% endif %}
{% if entry == "forward" %}
// Split      one invocation per {{ width }} adjacent element(s), streaming (common/stream.wgsl).
{% elif parts > 1 %}
// Split      {{ parts }} neighbouring invocations share a plane and add their sums in workgroup
//            memory in a fixed order.
{% else %}
// Split      one invocation per plane, streaming (common/stream.wgsl): no barrier.
{% endif %}
// Cost       1 flop and 8 bytes an element forward, 3 and 12 backward: bound by memory.
// Dropped    loops that stride over the whole grid: docs/rejected-optimizations.md, "Streaming
//            kernels on a CPU".

{% from "common/stream.wgsl" import each %}
{% if width == 4 %}
alias Lane = vec4f;
fn total(v: Lane) -> f32 { return (v.x + v.y) + (v.z + v.w); }
{% else %}
alias Lane = f32;
fn total(v: Lane) -> f32 { return v; }
{% endif %}
const PLANES = {{ planes }}u;
// Vectors of a plane.
const VECTORS = {{ pixels // width }}u;

{% if entry == "forward" %}
@group(0) @binding(0) var<storage, read> x: array<Lane>;
@group(0) @binding(1) var<storage, read> f: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<Lane>;

@compute @workgroup_size({{ workgroup }})
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", "PLANES * VECTORS", run, workgroup) }} {
        y[i] = x[i] * f[i / VECTORS];
    }
}
{% else %}
@group(0) @binding(0) var<storage, read_write> dy: array<Lane>;
@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read> f: array<f32>;
@group(0) @binding(3) var<storage, read_write> df: array<f32>;

{% if parts > 1 %}
var<workgroup> sums: array<f32, {{ workgroup }}>;

@compute @workgroup_size({{ workgroup }})
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let block = group.y * {{ grid[0] }}u + group.x;
    let plane = block * {{ workgroup // parts }}u + local.x / {{ parts }}u;
    let part = local.x % {{ parts }}u;
    var sum = Lane();
    if plane < PLANES {
        let factor = f[plane];
        for (var v = part; v < VECTORS; v += {{ parts }}u) {
            let i = plane * VECTORS + v;
            let d = dy[i];
            sum += d * x[i];
            dy[i] = d * factor;
        }
    }
    sums[local.x] = total(sum);
    workgroupBarrier();
    if plane < PLANES && part == 0u {
        var all = 0.0;
        for (var other = 0u; other < {{ parts }}u; other++) {
            all += sums[local.x + other];
        }
        df[plane] = all;
    }
}
{% else %}
@compute @workgroup_size({{ workgroup }})
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("plane", "PLANES", run, workgroup) }} {
        let factor = f[plane];
        var sum = Lane();
        for (var v = 0u; v < VECTORS; v++) {
            let i = plane * VECTORS + v;
            let d = dy[i];
            sum += d * x[i];
            dy[i] = d * factor;
        }
        df[plane] = total(sum);
    }
}
{% endif %}
{% endif %}
