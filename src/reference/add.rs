//! Twin of `shaders/add.wgsl`.

/// Element-wise sum.
pub fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}
