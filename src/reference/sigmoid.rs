//! Twin of `shaders/sigmoid.wgsl`.

/// `1 / (1 + e^−x)`.
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// [`sigmoid`] of each element.
pub fn forward(x: &[f64]) -> Vec<f64> {
    x.iter().map(|&x| sigmoid(x)).collect()
}

/// `dL/dx` from `dy = dL/dy` and the results `y` of [`forward`].
pub fn backward(dy: &[f64], y: &[f64]) -> Vec<f64> {
    dy.iter().zip(y).map(|(dy, y)| dy * y * (1.0 - y)).collect()
}
