//! Twin of `shaders/dapa.wgsl`.

use std::f64::consts::PI;

/// Density φ of the standard normal.
pub fn density(a: f64) -> f64 {
    (-0.5 * a * a).exp() / (2.0 * PI).sqrt()
}

/// Distribution Φ of the standard normal, by the series
/// Φ(a) = ½ + φ(a)·(a + a³/3 + a⁵/15 + …) where it converges fast and its limits elsewhere.
pub fn distribution(a: f64) -> f64 {
    if a.abs() > 8.0 {
        return if a > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut k) = (a, a, 1.0);
    while f64::abs(term) > 1e-18 {
        k += 2.0;
        term *= a * a / k;
        sum += term;
    }
    0.5 + density(a) * sum
}

/// The least-squares polynomial of `degree` ≤ 2 for ReLU under x ~ N(u, s²): c₀, c₁, c₂.
pub fn fit(u: f64, s: f64, degree: usize) -> [f64; 3] {
    let a = u / s;
    match degree {
        2 => {
            let c2 = density(a) / (2.0 * s);
            [(u * u + s * s) * c2, distribution(a) - a * density(a), c2]
        }
        _ => [s * density(a), distribution(a), 0.0],
    }
}

/// The published code's variant of the fit: max(s², ½) for s, c₀/5, c₂/10·`scale_x2`.
pub fn official_fit(u: f64, variance: f64, degree: usize, scale_x2: f64) -> [f64; 3] {
    let [c0, c1, c2] = fit(u, variance.max(0.5), degree);
    [c0 / 5.0, c1, c2 / 10.0 * scale_x2]
}
