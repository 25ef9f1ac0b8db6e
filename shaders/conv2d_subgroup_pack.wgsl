// Kernel card: weights in the order in which a subgroup reads them
//
// Computes   packed[block, step, j, t, i] = w[k, c, t]   of the forward pass, or
//                                         = w[c, k, t]   `transposed` (data gradient), with
//            k = block·{{ tile }} + i a channel of the output, c = step·{{ step }} + j one of the input, and
//            tap t = r·R + s, counted from the last one when `flipped` (stride 1). Zero where
//            k is past the end; each step is padded to whole registers of {{ lanes }} vec4.
// Bindings   0  w       f32[K,C,R,R], the layer's weights
//            1  packed  texture of vec4[blocks, steps, {{ registers * lanes }}], in rows of 4096
// Split      a workgroup packs {{ run // workgroup }} vec4 for each of its invocations, in one piece: the
//            weights that lie beside those it reads come next.
// Used for   forward, and data gradients whose channels do not fill vec4s.
// Cost       8 bytes a weight, once per step: a quarter of the convolution that it serves at
//            512 channels and a batch of 32, under 5 % at 128 channels.

{% from "common/stream.wgsl" import each %}
@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var packed: texture_storage_2d<rgba32float, write>;

const TAPS = {{ taps }}u;
const OUT = {{ out_channels }}u;
const IN = {{ in_channels }}u;

fn element(k: u32, c: u32, t: u32) -> f32 {
    let tap = {{ "TAPS - 1u - t" if flipped else "t" }};
    // What lies past the end is read from the last channel and dropped.
    let channel = min(k, OUT - 1u);
    let value = w[{{ "(c * OUT + channel)" if transposed else "(channel * IN + c)" }} * TAPS + tap];
    return select(0.0, value, k < OUT);
}

@compute @workgroup_size({{ workgroup }})
fn pack(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    {{ each("v", vectors ~ "u", run, workgroup) }} {
        // Registers beyond the last tap repeat the first ones and are never read.
        let slot = v % {{ registers * lanes }}u * 4u % {{ step * taps * tile }}u;
        let steps = v / {{ registers * lanes }}u;
        let k = steps / {{ in_channels // step }}u * {{ tile }}u + slot % {{ tile }}u;
        let c = steps % {{ in_channels // step }}u * {{ step }}u + slot / {{ taps * tile }}u;
        let t = slot / {{ tile }}u % TAPS;
        let four = vec4f(element(k, c, t), element(k + 1u, c, t), element(k + 2u, c, t), element(k + 3u, c, t));
        textureStore(packed, vec2u(v % 4096u, v / 4096u), four);
    }
}
