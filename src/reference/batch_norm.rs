//! Twin of `shaders/batch_norm.wgsl`.

/// ε under the root, as in PyTorch.
pub const EPSILON: f64 = 1e-5;

/// Calls `visit(index, channel)` for every element of N×C×P.
pub(super) fn each(
    batch: usize,
    channels: usize,
    pixels: usize,
    mut visit: impl FnMut(usize, usize),
) {
    for n in 0..batch {
        for c in 0..channels {
            for p in 0..pixels {
                visit((n * channels + c) * pixels + p, c);
            }
        }
    }
}

/// Mean and (biased) variance of each channel of `u` `[N,C,P]`.
pub fn moments(u: &[f64], batch: usize, channels: usize) -> (Vec<f64>, Vec<f64>) {
    let pixels = u.len() / (batch * channels);
    let count = (batch * pixels) as f64;
    let mut mean = vec![0.0; channels];
    let mut variance = vec![0.0; channels];
    each(batch, channels, pixels, |i, c| mean[c] += u[i] / count);
    each(batch, channels, pixels, |i, c| {
        variance[c] += (u[i] - mean[c]).powi(2) / count;
    });
    (mean, variance)
}

/// Running mean and variance of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Running {
    /// Mean.
    pub mean: f64,
    /// Unbiased variance.
    pub variance: f64,
}

impl Running {
    /// Moved towards those of a batch, which count for at most `limit` times the running variance
    /// and `limit` running deviations; 0: no limit.
    pub fn towards(self, batch: Self, momentum: f64, limit: f64) -> Self {
        let most = match limit > 0.0 {
            true => limit,
            false => f64::INFINITY,
        };
        let width = self.variance.max(EPSILON);
        let away = most * width.sqrt();
        let mean = (batch.mean - self.mean).clamp(-away, away);
        let variance = batch.variance.min(most * width) - self.variance;
        Self {
            mean: self.mean + momentum * mean,
            variance: self.variance + momentum * variance,
        }
    }
}

/// The constants (scale, shift, mean, 1/σ) that turn `u` into `γ·x̂ + β`.
pub fn norm(mean: f64, variance: f64, gamma: f64, beta: f64, epsilon: f64) -> [f64; 4] {
    let inverse = 1.0 / (variance + epsilon).sqrt();
    [
        gamma * inverse,
        beta - gamma * inverse * mean,
        mean,
        inverse,
    ]
}

/// Gradients (du, dγ, dβ) of training-mode batch norm, from `dz` `[N,C,P]` and the constants of
/// [`norm`] for each channel.
pub fn backward(
    dz: &[f64],
    u: &[f64],
    norm: &[[f64; 4]],
    batch: usize,
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let channels = norm.len();
    let pixels = u.len() / (batch * channels);
    let count = (batch * pixels) as f64;
    let mut d_gamma = vec![0.0; channels];
    let mut d_beta = vec![0.0; channels];
    each(batch, channels, pixels, |i, c| {
        let [_, _, mean, inverse] = norm[c];
        d_gamma[c] += dz[i] * (u[i] - mean) * inverse;
        d_beta[c] += dz[i];
    });
    let mut du = vec![0.0; u.len()];
    each(batch, channels, pixels, |i, c| {
        let [scale, _, mean, inverse] = norm[c];
        let x_hat = (u[i] - mean) * inverse;
        du[i] = scale * (dz[i] - d_beta[c] / count - x_hat * d_gamma[c] / count);
    });
    (du, d_gamma, d_beta)
}
