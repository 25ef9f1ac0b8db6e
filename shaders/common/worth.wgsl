{# Gives      worth(score, kept): what keeping is worth; key(x): floats ordered as unsigned numbers
   Asks for   nothing
   Used by    squares, threshold #}
// What is kept already is worth a tenth more than its score, and what is not a tenth less.
fn worth(score: f32, kept: bool) -> f32 {
    return score + select(-0.1, 0.1, kept) * abs(score);
}

// Keys of larger floats are larger.
fn key(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    return bits ^ select(0x80000000u, 0xffffffffu, bits >= 0x80000000u);
}
