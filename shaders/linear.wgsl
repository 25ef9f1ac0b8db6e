// Kernel card: fully connected layer
//
// Computes   y[n,k]  = Σ_c x[n,c] · w[k,c] + b[k]              (forward)
//            dx[n,c] = Σ_k dy[n,k] · w[k,c]                     (data_gradient)
//            dw[k,c] = Σ_n dy[n,k] · x[n,c],  db[k] = Σ_n dy[n,k]   (weight_gradient)
//            All three are one product out[i,j] = Σ_l a[i,l] · b[l,j] read through strides.
//            This one is {{ pass }}:
//            i < {{ rows }}, j < {{ columns }}, l < {{ inner }}.
{% if pass == "weight_gradient" %}
//            The last column of b is all ones, and its sums are db.
{% endif %}
// Layout     group 0
{% if pass == "forward" %}
//              0  x   f32[N,C], read
//              1  w   f32[K,C], read
//              2  b   f32[K], read
//              3  y   f32[N,K], written
{% elif pass == "data_gradient" %}
//              0  dy  f32[N,K], read
//              1  w   f32[K,C], read
//              2  dx  f32[N,C], written
{% else %}
//              0  x   f32[N,C], read
//              1  dy  f32[N,K], read
//              2  dw  f32[K,C], written
//              3  db  f32[K], written
{% endif %}
// Split      a workgroup of {{ across }}×{{ down }} invocations (along j, i); each owns
//            {{ tile_columns }}×{{ tile_rows }} outputs, {{ across }} columns and {{ down }} rows apart.
{% if shared %}
//            Both operands pass through workgroup memory, {{ depth }} steps of l at a time.
{% else %}
//            Operands come straight from memory: rows of a are the same in every lane. Past
//            the edge an invocation computes the last row or column again, and drops it.
{% endif %}
// Cost       2·N·C·K flops and one or two a bias, 4·(N·C + N·K + K·C + K) bytes; a classifier of 10
//            classes is bound by latency, not by either.
// Dropped    splitting l over workgroups: a second pass costs more than it saves on layers
//            this small.

const ROWS = {{ rows }}u;
const COLUMNS = {{ columns }}u;
const INNER = {{ inner }}u;

@group(0) @binding(0) var<storage, read> {{ names[0] }}: array<f32>;
@group(0) @binding(1) var<storage, read> {{ names[1] }}: array<f32>;
{% if pass == "forward" %}
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
{% elif pass == "data_gradient" %}
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
{% else %}
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;
@group(0) @binding(3) var<storage, read_write> db: array<f32>;
{% endif %}

fn left(i: u32, l: u32) -> f32 {
{% if pass == "forward" %}
    return w[i * INNER + l];
{% elif pass == "data_gradient" %}
    return dy[i * INNER + l];
{% else %}
    return dy[l * ROWS + i];
{% endif %}
}

fn right(l: u32, j: u32) -> f32 {
{% if pass == "forward" %}
    return x[j * INNER + l];
{% elif pass == "data_gradient" %}
    return w[l * COLUMNS + j];
{% else %}
    if j == COLUMNS - 1u {
        return 1.0;
    }
    return x[l * (COLUMNS - 1u) + j];
{% endif %}
}

fn store(i: u32, j: u32, sum: f32) {
    if i >= ROWS || j >= COLUMNS {
        return;
    }
{% if pass == "forward" %}
    y[j * ROWS + i] = sum + b[i];
{% elif pass == "data_gradient" %}
    dx[i * COLUMNS + j] = sum;
{% else %}
    if j == COLUMNS - 1u {
        db[i] = sum;
    } else {
        dw[i * (COLUMNS - 1u) + j] = sum;
    }
{% endif %}
}
{% if shared %}

const TILE_ROWS = {{ down * tile_rows }}u;
const TILE_COLUMNS = {{ across * tile_columns }}u;
const DEPTH = {{ depth }}u;
// One word of padding a row keeps columns of a tile on different banks.
const LEFT_PITCH = TILE_ROWS + 1u;
const RIGHT_PITCH = TILE_COLUMNS + 1u;

var<workgroup> left_tile: array<f32, DEPTH * LEFT_PITCH>;
var<workgroup> right_tile: array<f32, DEPTH * RIGHT_PITCH>;
{% endif %}

@compute @workgroup_size({{ across }}, {{ down }})
fn linear(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let i = group.y * {{ down * tile_rows }}u + local.y;
    let j = group.x * {{ across * tile_columns }}u + local.x;
{% for r in range(tile_rows) %}
{% for c in range(tile_columns) %}
    var sum_{{ r }}_{{ c }} = 0.0;
{% endfor %}
{% endfor %}
{% if shared %}
    let lane = local.y * {{ across }}u + local.x;
    for (var first = 0u; first < INNER; first += DEPTH) {
        // Neighbouring invocations load what lies side by side in memory.
        for (var t = lane; t < DEPTH * TILE_ROWS; t += {{ across * down }}u) {
{% if pass == "weight_gradient" %}
            let slot = vec2u(t % TILE_ROWS, t / TILE_ROWS);
{% else %}
            let slot = vec2u(t / DEPTH, t % DEPTH);
{% endif %}
            let at = vec2u(group.y * TILE_ROWS, first) + slot;
            var value = 0.0;
            if at.x < ROWS && at.y < INNER {
                value = left(at.x, at.y);
            }
            left_tile[slot.y * LEFT_PITCH + slot.x] = value;
        }
        for (var t = lane; t < DEPTH * TILE_COLUMNS; t += {{ across * down }}u) {
{% if pass == "forward" %}
            let slot = vec2u(t / DEPTH, t % DEPTH);
{% else %}
            let slot = vec2u(t % TILE_COLUMNS, t / TILE_COLUMNS);
{% endif %}
            let at = vec2u(group.x * TILE_COLUMNS, first) + slot;
            var value = 0.0;
            if at.x < COLUMNS && at.y < INNER {
                value = right(at.y, at.x);
            }
            right_tile[slot.y * RIGHT_PITCH + slot.x] = value;
        }
        workgroupBarrier();
        for (var l = 0u; l < DEPTH; l++) {
{% for r in range(tile_rows) %}
            let left_{{ r }} = left_tile[l * LEFT_PITCH + local.y + {{ r * down }}u];
{% endfor %}
{% for c in range(tile_columns) %}
            let right_{{ c }} = right_tile[l * RIGHT_PITCH + local.x + {{ c * across }}u];
{% endfor %}
{% for r in range(tile_rows) %}
{% for c in range(tile_columns) %}
            sum_{{ r }}_{{ c }} += left_{{ r }} * right_{{ c }};
{% endfor %}
{% endfor %}
        }
        workgroupBarrier();
    }
{% else %}
{% for r in range(tile_rows) %}
    let i_{{ r }} = min(i + {{ r * down }}u, ROWS - 1u);
{% endfor %}
{% for c in range(tile_columns) %}
    let j_{{ c }} = min(j + {{ c * across }}u, COLUMNS - 1u);
{% endfor %}
    for (var l = 0u; l < INNER; l++) {
{% for r in range(tile_rows) %}
        let left_{{ r }} = left(i_{{ r }}, l);
{% endfor %}
{% for c in range(tile_columns) %}
        let right_{{ c }} = right(l, j_{{ c }});
{% endfor %}
{% for r in range(tile_rows) %}
{% for c in range(tile_columns) %}
        sum_{{ r }}_{{ c }} += left_{{ r }} * right_{{ c }};
{% endfor %}
{% endfor %}
    }
{% endif %}
{% for r in range(tile_rows) %}
{% for c in range(tile_columns) %}
    store(i + {{ r * down }}u, j + {{ c * across }}u, sum_{{ r }}_{{ c }});
{% endfor %}
{% endfor %}
}
