// Kernel card: convolution in groups, above all depthwise
//
// Computes   The channels lie in {{ groups }} groups; output channel k of group g sees only the
//            CG = C/groups input channels of its group. Depthwise: C/groups = K/groups = 1.
//              forward        y[n,k,oy,ox] = Σ_{c,r,s} w[k,c,r,s]
//                                            · x[n,g·CG+c,oy·stride+r−pad,ox·stride+s−pad]
//              data_gradient  dx, gathered: the same products read from the input's side
//              weight_slices  partial sums of dw over a slice of the images' rows
//              sum_slices     their sum, slice by slice in order
//            This one is {{ entry }}, {{ kernel }}×{{ kernel }}, stride {{ stride }}.
// Layout     group 0
//              forward        0  x         f32[N,C,H,W], read
//                             1  w         f32[K,C/groups,R,R], read
//                             2  y         f32[N,K,H',W'], written
//              data_gradient  0  dy        f32[N,K,H',W'], read
//                             1  w         f32[K,C/groups,R,R], read
//                             2  dx        f32[N,C,H,W], written, or added to
//              weight_slices  0  x         f32[N,C,H,W], read
//                             1  dy        f32[N,K,H',W'], read
//                             2  partials  f32[slices,K·C/groups,R²], written: dw itself where there
//                                          is one slice
//              sum_slices     0  partials  as above, read
//                             1  dw        f32[K,C/groups,R,R], written
// Split      An invocation makes {{ span }} adjacent results of a row, so that each pixel of the
//            row is loaded once for all of them: (3·stride + R)·R loads instead of 4·R². In the
//            data gradient which taps meet a pixel depends on its place within the stride; the
//            span is a multiple of it, so the template knows.
//            weight_slices: a workgroup sums all R² taps of one k and c; each invocation keeps
//            them in registers over its share of the rows, and they meet in workgroup memory.
// Cost       2·R²·C/groups flops a result. Depthwise that is 9 or 25 multiply-adds per pixel
//            loaded: bound by memory.
// Dropped    one product of matrices per group, which would starve: nothing was measured.

{% from "common/stream.wgsl" import each %}
const N = {{ batch }}u;
const C = {{ in_channels }}u;
const K = {{ out_channels }}u;
// Channels of a group.
const CG = {{ in_channels // groups }}u;
const KG = {{ out_channels // groups }}u;
const H = {{ height }}i;
const W = {{ in_width }}i;
const OUT_H = {{ out_height }}i;
const OUT_W = {{ out_width }}i;
const TAPS = {{ kernel * kernel }}u;

{% if entry == "forward" %}
// Spans of a row.
const ROW = {{ (out_width + span - 1) // span }}u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Pixel `at` of the row that starts at `row`, zero beside it.
fn pixel(row: i32, at: i32) -> f32 {
    return select(0.0, x[row + clamp(at, 0i, W - 1i)], at >= 0i && at < W);
}

@compute @workgroup_size({{ workgroup }})
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", "N * K * u32(OUT_H) * ROW", run, workgroup) }} {
        let first = i32(i % ROW) * {{ span }}i;
        let line = i / ROW;
        let oy = i32(line % u32(OUT_H));
        let plane = line / u32(OUT_H);
        let k = plane % K;
        let channel = plane / K * C + k / KG * CG;
        let left = first * {{ stride }}i - {{ padding }}i;
        {% for j in range(span) %}
        var sum{{ j }} = 0.0;
        {% endfor %}
        for (var c = 0u; c < CG; c++) {
            let weights = (k * CG + c) * TAPS;
            for (var r = 0i; r < {{ kernel }}i; r++) {
                let iy = oy * {{ stride }}i + r - {{ padding }}i;
                if iy < 0i || iy >= H {
                    continue;
                }
                let row = (i32(channel + c) * H + iy) * W;
                {% for j in range((span - 1) * stride + kernel) %}
                let x{{ j }} = pixel(row, left + {{ j }}i);
                {% endfor %}
                {% for s in range(kernel) %}
                let w{{ s }} = w[weights + u32(r) * {{ kernel }}u + {{ s }}u];
                {% for j in range(span) %}
                sum{{ j }} += w{{ s }} * x{{ j * stride + s }};
                {% endfor %}
                {% endfor %}
            }
        }
        let out = i32(line) * OUT_W + first;
        {% for j in range(span) %}
        if first + {{ j }}i < OUT_W {
            y[out + {{ j }}i] = sum{{ j }};
        }
        {% endfor %}
    }
}
{% elif entry == "data_gradient" %}
// Spans of a row.
const ROW = {{ (in_width + span - 1) // span }}u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// Result `at` of the row that starts at `row`, zero beside it.
fn result(row: i32, at: i32) -> f32 {
    return select(0.0, dy[row + clamp(at, 0i, OUT_W - 1i)], at >= 0i && at < OUT_W);
}

@compute @workgroup_size({{ workgroup }})
fn data_gradient(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", "N * C * u32(H) * ROW", run, workgroup) }} {
        let first = i32(i % ROW) * {{ span }}i;
        let line = i / ROW;
        let iy = i32(line % u32(H));
        let plane = line / u32(H);
        let channel = plane % C;
        // Output channels of the group, and the first result that a pixel of the span is part of.
        let from_k = channel / CG * KG;
        let left = first / {{ stride }}i + {{ first }}i;
        {% for j in range(span) %}
        var sum{{ j }} = 0.0;
        {% endfor %}
        for (var k = from_k; k < from_k + KG; k++) {
            let weights = (k * CG + channel % CG) * TAPS;
            for (var r = 0i; r < {{ kernel }}i; r++) {
                let down = iy + {{ padding }}i - r;
                if down < 0i || down % {{ stride }}i != 0i || down / {{ stride }}i >= OUT_H {
                    continue;
                }
                let row = (i32(plane / C * K + k) * OUT_H + down / {{ stride }}i) * OUT_W;
                {% for o in range(results) %}
                let d{{ o }} = result(row, left + {{ o }}i);
                {% endfor %}
                {% for s in range(kernel) %}
                let w{{ s }} = w[weights + u32(r) * {{ kernel }}u + {{ s }}u];
                {# Tap s of the pixel j belongs to result (j + padding − s) / stride, if whole;
                   counted from a multiple of the stride below, so that nothing is negative. #}
                {% for j in range(span) %}
                {% set across = j + padding - s + kernel * stride %}
                {% if across % stride == 0 %}
                sum{{ j }} += w{{ s }} * d{{ across // stride - kernel - first }};
                {% endif %}
                {% endfor %}
                {% endfor %}
            }
        }
        let out = i32(line) * W + first;
        {% for j in range(span) %}
        if first + {{ j }}i < W {
            dx[out + {{ j }}i] {{ "+=" if accumulate else "=" }} sum{{ j }};
        }
        {% endfor %}
    }
}
{% elif entry == "weight_slices" %}
// Spans of a row, and of all images together.
const ROW = {{ (out_width + span - 1) // span }}u;
const SPANS = N * u32(OUT_H) * ROW;
// Pairs of k and c.
const PLANES = K * CG;
const WORKGROUP = {{ workgroup }}u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

var<workgroup> shared_taps: array<f32, TAPS * WORKGROUP>;

// Pixel `at` of the row that starts at `row`, zero beside it.
fn pixel(row: i32, at: i32) -> f32 {
    return select(0.0, x[row + clamp(at, 0i, W - 1i)], at >= 0i && at < W);
}

@compute @workgroup_size({{ workgroup }})
fn weight_slices(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
    let plane = group.z * {{ groups_x }}u + group.x;
    let k = min(plane, PLANES - 1u) / CG;
    let channel = k / KG * CG + plane % CG;
    let begin = group.y * {{ slice }}u;
    let end = min(begin + {{ slice }}u, SPANS);
    {% for r in range(kernel) %}
    {% for s in range(kernel) %}
    var tap{{ r }}_{{ s }} = 0.0;
    {% endfor %}
    {% endfor %}
    for (var i = begin + lane; i < end; i += WORKGROUP) {
        let first = i32(i % ROW) * {{ span }}i;
        let oy = i32(i / ROW % u32(OUT_H));
        let n = i / ROW / u32(OUT_H);
        let results = (i32(n * K + k) * OUT_H + oy) * OUT_W;
        let left = first * {{ stride }}i - {{ padding }}i;
        {% for j in range(span) %}
        let d{{ j }} = select(0.0, dy[results + min(first + {{ j }}i, OUT_W - 1i)], first + {{ j }}i < OUT_W);
        {% endfor %}
        {% for r in range(kernel) %}
        {
            let iy = oy * {{ stride }}i + {{ r }}i - {{ padding }}i;
            if iy >= 0i && iy < H {
                let row = (i32(n * C + channel) * H + iy) * W;
                {% for j in range((span - 1) * stride + kernel) %}
                let x{{ j }} = pixel(row, left + {{ j }}i);
                {% endfor %}
                {% for s in range(kernel) %}
                {% for j in range(span) %}
                tap{{ r }}_{{ s }} += d{{ j }} * x{{ j * stride + s }};
                {% endfor %}
                {% endfor %}
            }
        }
        {% endfor %}
    }
    {% for r in range(kernel) %}
    {% for s in range(kernel) %}
    shared_taps[{{ r * kernel + s }}u * WORKGROUP + lane] = tap{{ r }}_{{ s }};
    {% endfor %}
    {% endfor %}
    workgroupBarrier();
    if plane < PLANES {
        for (var tap = lane; tap < TAPS; tap += WORKGROUP) {
            var sum = 0.0;
            for (var other = 0u; other < WORKGROUP; other++) {
                sum += shared_taps[tap * WORKGROUP + other];
            }
            partials[(group.y * PLANES + plane) * TAPS + tap] = sum;
        }
    }
}
{% else %}
const WEIGHTS = K * CG * TAPS;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size({{ workgroup }})
fn sum_slices(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("i", "WEIGHTS", run, workgroup) }} {
        var sum = 0.0;
        for (var slice = 0u; slice < {{ slices }}u; slice++) {
            sum += partials[slice * WEIGHTS + i];
        }
        dw[i] = sum;
    }
}
{% endif %}
