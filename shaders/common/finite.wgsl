{# Gives      is_finite(x)
   Asks for   nothing
   Used by    batch_norm, dapa, loss, metrics, optimizer #}
// A value whose exponent is all ones is infinite or not a number. Asked of the bits, since
// compilers may assume that neither exists.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}
