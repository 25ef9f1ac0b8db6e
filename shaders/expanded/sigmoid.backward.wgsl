// Expanded from shaders/sigmoid.wgsl
// for sigmoid backward: 128×96 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: sigmoid
//
// Computes   forward   y = 1 / (1 + e^−x)
//            backward  dy ← dy·y·(1 − y), in the place of dy
//            for the factors of squeeze-excite: N·C values.
//            This one is backward.
// Layout     group 0
//              0  dy  f32[length], becomes dx
//              1  y   f32[length], read
// Split      one invocation per 4 adjacent element(s), streaming (common/stream.wgsl).
// Cost       5 flops and 8 bytes an element forward, 3 and 12 backward: bound by memory, and too small
//            to matter.
// Dropped    nothing yet.

alias Lane = vec4f;

@group(0) @binding(0) var<storage, read_write> dy: array<Lane>;
@group(0) @binding(1) var<storage, read> y: array<Lane>;

@compute @workgroup_size(256)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 1024u + lane; i < min((group.x + 1u) * 1024u, 3072u); i += 256u) {
        dy[i] = dy[i] * y[i] * (Lane(1.0) - y[i]);
    }
}
