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

/// Mean, variance and kurtosis of what a channel's polynomials see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Mean.
    pub mean: f64,
    /// Variance.
    pub variance: f64,
    /// Fourth central moment over the squared variance: 3 in a normal distribution.
    pub kurtosis: f64,
}

/// Smallest variance that a polynomial is normalised by.
pub const VARIANCE_FLOOR: f64 = 1e-4;
/// Smallest variance of t² − 1 that it is normalised by.
pub const SQUARE_FLOOR: f64 = 0.2;

impl Moments {
    /// Of values.
    pub fn of(values: &[f64]) -> Self {
        let mean_of = |f: &dyn Fn(f64) -> f64| {
            values.iter().map(|&v| f(v)).sum::<f64>() / values.len() as f64
        };
        let mean = mean_of(&|v| v);
        let variance = mean_of(&|v| (v - mean).powi(2));
        let fourth = mean_of(&|v| (v - mean).powi(4));
        Self {
            mean,
            variance,
            kurtosis: (fourth / variance.max(VARIANCE_FLOOR).powi(2)).max(1.0),
        }
    }

    /// Moved towards those of a batch.
    pub fn towards(self, batch: Self, momentum: f64) -> Self {
        let mix = |a: f64, b: f64| a + momentum * (b - a);
        Self {
            mean: mix(self.mean, batch.mean),
            variance: mix(self.variance, batch.variance),
            kurtosis: mix(self.kurtosis, batch.kurtosis),
        }
    }

    /// s, and w = √(κ − 1): what t = (x − u)/s and t² − 1 are divided by.
    fn norms(self) -> (f64, f64) {
        let s = self.variance.max(VARIANCE_FLOOR).sqrt();
        (s, (self.kurtosis - 1.0).max(SQUARE_FLOOR).sqrt())
    }

    /// a₀, a₁, a₂ of a₀ + a₁·t + a₂·(t² − 1)/w, from c₀, c₁, c₂ of c₀ + c₁·x + c₂·x².
    pub fn to_basis(self, c: [f64; 3]) -> [f64; 3] {
        let (u, (s, w)) = (self.mean, self.norms());
        // With x = u + s·t.
        let constant = c[0] + c[1] * u + c[2] * u * u;
        [
            constant + c[2] * s * s,
            (c[1] + 2.0 * c[2] * u) * s,
            c[2] * s * s * w,
        ]
    }

    /// And back.
    pub fn from_basis(self, a: [f64; 3]) -> [f64; 3] {
        let (u, (s, w)) = (self.mean, self.norms());
        let c2 = a[2] / (w * s * s);
        let c1 = a[1] / s - 2.0 * c2 * u;
        [a[0] - a[2] / w - a[1] * u / s + c2 * u * u, c1, c2]
    }

    /// a₀, a₁, a₂ of ReLU, were the values normally distributed.
    pub fn relu(self, degree: usize) -> [f64; 3] {
        let (u, (s, _)) = (self.mean, self.norms());
        let a = u / s;
        let square = match degree {
            2 => s * density(a) / 2f64.sqrt(),
            _ => 0.0,
        };
        [
            s * density(a) + u * distribution(a),
            s * distribution(a),
            square,
        ]
    }
}
