//! Twin of `shaders/roofline.wgsl`.

/// Sum over the components of `chains` chains of invocation `i`: component j of chain k begins
/// as (i mod 64)/64 + 4k + j and is replaced `rounds` times by v·m + b.
pub fn multiply_add(i: usize, chains: usize, rounds: usize, m: f64, b: f64) -> f64 {
    let mut sum = 0.0;
    for component in 0..4 * chains {
        let mut v = (i % 64) as f64 / 64.0 + component as f64;
        for _ in 0..rounds {
            v = v * m + b;
        }
        sum += v;
    }
    sum
}
