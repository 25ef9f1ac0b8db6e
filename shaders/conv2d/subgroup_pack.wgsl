// Kernel card: weights in the order in which a subgroup reads them
//
// Computes   packed[block, step, j, t, i] = w[k, c, t]   of the forward pass, or
//                                         = w[c, k, t]   `transposed` (data gradient), with
//            k = block·{{ tile }} + i a channel of the output, c = step·{{ step }} + j one of the input, and
//            tap t = r·R + s, counted from the last one when `flipped` (stride 1). Zero where
//            k is past the end; each step is padded to whole registers of {{ lanes }} vec4.
//            For the forward pass, and for data gradients whose channels do not fill vec4s.
// Layout     group 0
//              0  w       f32[K,C,R,R], read
//              1  packed  texture of vec4[blocks, steps, {{ registers * lanes }}] in rows of 4096, written
// Split      A workgroup packs {{ run }} step(s) of a block, one after the other: the weights that lie
//            beside those it reads come next, and where in a step a lane's weights lie is worked
//            out once.
// Cost       8 bytes a weight, once per step: on two cores up to a third of the convolution that it
//            serves at 512 channels and a batch of 32, under 5 % at 128 channels.
// Dropped    docs/rejected-optimizations.md, "Convolution in a subgroup".

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var packed: texture_storage_2d<rgba32float, write>;

const TAPS = {{ taps }}u;
const OUT = {{ out_channels }}u;
const IN = {{ in_channels }}u;
const STEPS = {{ in_channels // step }}u;

@compute @workgroup_size({{ lanes }})
fn pack(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first = group.x * {{ run }}u;
    // Of each register: the four channels of the output, and where their weights lie.
{% for i in range(registers) %}
    // Registers beyond the last tap repeat the first ones and are never read.
    let slot{{ i }} = (lane + {{ i * lanes }}u) * 4u % {{ step * taps * tile }}u;
    let k{{ i }} = group.y * {{ tile }}u + slot{{ i }} % {{ tile }}u + vec4u(0u, 1u, 2u, 3u);
    let c{{ i }} = first * {{ step }}u + slot{{ i }} / {{ taps * tile }}u;
    let t{{ i }} = {{ "TAPS - 1u - " if flipped }}slot{{ i }} / {{ tile }}u % TAPS;
    // What lies past the end is read from the last channel and dropped.
    let channel{{ i }} = min(k{{ i }}, vec4u(OUT - 1u));
    {% if transposed %}
    var at{{ i }} = (c{{ i }} * OUT + channel{{ i }}) * TAPS + t{{ i }};
    {% else %}
    var at{{ i }} = (channel{{ i }} * IN + c{{ i }}) * TAPS + t{{ i }};
    {% endif %}
{% endfor %}
    for (var step = first; step < min(first + {{ run }}u, STEPS); step++) {
        let texel = (group.y * STEPS + step) * {{ registers * lanes }}u + lane;
{% for i in range(registers) %}
        let four{{ i }} = vec4f(w[at{{ i }}.x], w[at{{ i }}.y], w[at{{ i }}.z], w[at{{ i }}.w]);
        let texel{{ i }} = texel + {{ i * lanes }}u;
        let place{{ i }} = vec2u(texel{{ i }} % 4096u, texel{{ i }} / 4096u);
        textureStore(packed, place{{ i }}, select(vec4f(), four{{ i }}, k{{ i }} < vec4u(OUT)));
        at{{ i }} += {{ step * taps }}u{{ " * OUT" if transposed }};
{% endfor %}
    }
}
