// Expanded from shaders/linear.wgsl
// for linear forward: 128×512 → 10 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: fully connected layer
//
// Computes   y[n,k]  = Σ_c x[n,c] · w[k,c] + b[k]              (forward)
//            dx[n,c] = Σ_k dy[n,k] · w[k,c]                     (data_gradient)
//            dw[k,c] = Σ_n dy[n,k] · x[n,c],  db[k] = Σ_n dy[n,k]   (weight_gradient)
//            All three are one product out[i,j] = Σ_l a[i,l] · b[l,j] read through strides.
//            This one is forward:
//            i < 10, j < 128, l < 512.
// Layout     group 0
//              0  x   f32[N,C], read
//              1  w   f32[K,C], read
//              2  b   f32[K], read
//              3  y   f32[N,K], written
// Split      a workgroup of 16×16 invocations (along j, i); each owns
//            2×2 outputs, 16 columns and 16 rows apart.
//            Both operands pass through workgroup memory, 32 steps of l at a time.
// Cost       2·N·C·K flops and one or two a bias, 4·(N·C + N·K + K·C + K) bytes; a classifier of 10
//            classes is bound by latency, not by either.
// Dropped    splitting l over workgroups: a second pass costs more than it saves on layers
//            this small.

const ROWS = 10u;
const COLUMNS = 128u;
const INNER = 512u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn left(i: u32, l: u32) -> f32 {
    return w[i * INNER + l];
}

fn right(l: u32, j: u32) -> f32 {
    return x[j * INNER + l];
}

fn store(i: u32, j: u32, sum: f32) {
    if i >= ROWS || j >= COLUMNS {
        return;
    }
    y[j * ROWS + i] = sum + b[i];
}

const TILE_ROWS = 32u;
const TILE_COLUMNS = 32u;
const DEPTH = 32u;
// One word of padding a row keeps columns of a tile on different banks.
const LEFT_PITCH = TILE_ROWS + 1u;
const RIGHT_PITCH = TILE_COLUMNS + 1u;

var<workgroup> left_tile: array<f32, DEPTH * LEFT_PITCH>;
var<workgroup> right_tile: array<f32, DEPTH * RIGHT_PITCH>;

@compute @workgroup_size(16, 16)
fn linear(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let i = group.y * 32u + local.y;
    let j = group.x * 32u + local.x;
    var sum_0_0 = 0.0;
    var sum_0_1 = 0.0;
    var sum_1_0 = 0.0;
    var sum_1_1 = 0.0;
    let lane = local.y * 16u + local.x;
    for (var first = 0u; first < INNER; first += DEPTH) {
        // Neighbouring invocations load what lies side by side in memory.
        for (var t = lane; t < DEPTH * TILE_ROWS; t += 256u) {
            let slot = vec2u(t / DEPTH, t % DEPTH);
            let at = vec2u(group.y * TILE_ROWS, first) + slot;
            var value = 0.0;
            if at.x < ROWS && at.y < INNER {
                value = left(at.x, at.y);
            }
            left_tile[slot.y * LEFT_PITCH + slot.x] = value;
        }
        for (var t = lane; t < DEPTH * TILE_COLUMNS; t += 256u) {
            let slot = vec2u(t / DEPTH, t % DEPTH);
            let at = vec2u(group.x * TILE_COLUMNS, first) + slot;
            var value = 0.0;
            if at.x < COLUMNS && at.y < INNER {
                value = right(at.y, at.x);
            }
            right_tile[slot.y * RIGHT_PITCH + slot.x] = value;
        }
        workgroupBarrier();
        for (var l = 0u; l < DEPTH; l++) {
            let left_0 = left_tile[l * LEFT_PITCH + local.y + 0u];
            let left_1 = left_tile[l * LEFT_PITCH + local.y + 16u];
            let right_0 = right_tile[l * RIGHT_PITCH + local.x + 0u];
            let right_1 = right_tile[l * RIGHT_PITCH + local.x + 16u];
            sum_0_0 += left_0 * right_0;
            sum_0_1 += left_0 * right_1;
            sum_1_0 += left_1 * right_0;
            sum_1_1 += left_1 * right_1;
        }
        workgroupBarrier();
    }
    store(i + 0u, j + 0u, sum_0_0);
    store(i + 0u, j + 16u, sum_0_1);
    store(i + 16u, j + 0u, sum_1_0);
    store(i + 16u, j + 16u, sum_1_1);
}
