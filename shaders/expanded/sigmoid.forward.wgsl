// Expanded from shaders/sigmoid.wgsl
// for sigmoid forward: 128×96 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: sigmoid
//
// Computes   forward   y = 1 / (1 + e^−x)
//            backward  dy ← dy·y·(1 − y), in the place of dy
//            for the factors of squeeze-excite: N·C values.
//            This one is forward.
// Layout     group 0
//              0  x   f32[length], read
//              1  y   f32[length], written
// Split      one invocation per 4 adjacent element(s), streaming (common/stream.wgsl).
// Cost       5 flops and 8 bytes an element forward, 3 and 12 backward: bound by memory, and too small
//            to matter.
// Dropped    nothing yet.

alias Lane = vec4f;

@group(0) @binding(0) var<storage, read> x: array<Lane>;
@group(0) @binding(1) var<storage, read_write> y: array<Lane>;

@compute @workgroup_size(256)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 1024u + lane; i < min((group.x + 1u) * 1024u, 3072u); i += 256u) {
        // e^80 is finite: no infinity for a compiler to reason away.
        y[i] = Lane(1.0) / (Lane(1.0) + exp(-max(x[i], Lane(-80.0))));
    }
}
