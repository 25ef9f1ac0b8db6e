//! Twin of `shaders/scale.wgsl`.

/// Each plane of `pixels` values times its factor.
pub fn forward(pixels: usize, x: &[f64], f: &[f64]) -> Vec<f64> {
    let planes = x.chunks(pixels).zip(f);
    planes
        .flat_map(|(plane, f)| plane.iter().map(move |x| x * f))
        .collect()
}

/// `dL/dx` and `dL/df` from `dy = dL/dy`.
pub fn backward(pixels: usize, dy: &[f64], x: &[f64], f: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let dx = forward(pixels, dy, f);
    let products: Vec<f64> = dy.iter().zip(x).map(|(dy, x)| dy * x).collect();
    let df = products.chunks(pixels).map(|plane| plane.iter().sum());
    (dx, df.collect())
}
