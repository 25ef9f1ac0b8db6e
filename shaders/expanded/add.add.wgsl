// Expanded from shaders/add.wgsl
// for add: 128×64×32×32 (tiling large).
// Written by `autorep shaders --typical --write shaders/expanded`: change the template.
//
// Kernel card: element-wise addition in place, and copy
//
// Computes   add   a[i] += b[i]
//            copy  a[i] = b[i]
//            Gradients that reach a tensor on two ways (block input: convolution, shortcut) add up
//            so, and those of a batch that is taken in parts.
// Layout     group 0
//              0  a  f32[length], written, and read by add
//              1  b  f32[length], read
// Split      one invocation per 4 adjacent element(s), streaming (common/stream.wgsl).
// Cost       add length flops and 12·length bytes, copy none and 8·length: bound by memory.
// Dropped    loops that stride over the whole grid: docs/rejected-optimizations.md, "Streaming
//            kernels on a CPU".

alias Lane = vec4f;

@group(0) @binding(0) var<storage, read_write> a: array<Lane>;
@group(0) @binding(1) var<storage, read> b: array<Lane>;

@compute @workgroup_size(256)
fn add(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var i = group.x * 1024u + lane; i < min((group.x + 1u) * 1024u, 2097152u); i += 256u) {
        a[i] += b[i];
    }
}
