{# Gives      Lane, the constants of the walk, total(v) and workgroup_sum(lane, value).
   Asks for   what Walk in src/kernels/plane.rs works out
   Used by    batch_norm, gate #}
// How kernels with one set of constants per channel walk over N×C×P (P pixels of a plane,
// counted in lanes of {{ width }}): a workgroup belongs to one channel, one chunk of its plane
// and one slice of the images. It visits its chunk in {{ rounds }} round(s). Its invocations lie as
// LANES_N × LANES_P; in a round each owns {{ unroll }} fixed position(s) of the plane and visits
// every LANES_N-th image of the slice, so whatever belongs to a position (mask, its gradient) is
// loaded or stored once.
{% if width == 4 %}
alias Lane = vec4f;
fn total(v: Lane) -> f32 { return dot(v, vec4f(1.0)); }
{% else %}
alias Lane = f32;
fn total(v: Lane) -> f32 { return v; }
{% endif %}
const BATCH = {{ batch }}u;
const CHANNELS = {{ channels }}u;
const PLANE = {{ plane }}u;
const ROUNDS = {{ rounds }}u;
const CHUNKS = {{ chunks }}u;
const LANES_P = {{ lanes_p }}u;
const LANES_N = {{ lanes_n }}u;
const IMAGES = {{ images }}u;
const WORKGROUP = {{ lanes_p * lanes_n }}u;

// Sum of `value` over the workgroup, in a fixed order; every invocation calls it.
{% if subgroup %}
fn workgroup_sum(lane: u32, value: vec4f) -> vec4f {
    // The workgroup is one subgroup: no memory, no barriers.
    var sum = value;
    {% for half in [8, 4, 2, 1] if half < lanes_p * lanes_n %}
    sum += subgroupShuffleXor(sum, {{ half }}u);
    {% endfor %}
    return sum;
}
{% else %}
var<workgroup> tree: array<vec4f, WORKGROUP>;
fn workgroup_sum(lane: u32, value: vec4f) -> vec4f {
    tree[lane] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            tree[lane] += tree[lane + half];
        }
    }
    workgroupBarrier();
    let sum = tree[0];
    workgroupBarrier();
    return sum;
}
{% endif %}
