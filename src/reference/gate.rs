//! Twin of `shaders/gate.wgsl`.

use super::batch_norm::each;
use super::sigmoid::sigmoid;

/// What is applied to the pre-activation.
#[derive(Debug, Clone, Copy)]
pub enum Activation<'a> {
    /// Nothing.
    Identity,
    /// ReLU everywhere.
    Relu,
    /// x·sigmoid(x) everywhere.
    Silu,
    /// ReLU where the mask `[C,P]` is 1, the polynomial of the channel where it is 0, and the
    /// weighted mean of both between.
    Gate {
        /// 1 keeps the ReLU.
        mask: &'a [f64],
        /// c₀, c₁, c₂ (and a zero) of each channel.
        coefficients: &'a [[f64; 4]],
    },
}

fn polynomial(c: &[f64; 4], z: f64) -> f64 {
    c[0] + c[1] * z + c[2] * z * z
}

/// `y` from the pre-activation `z` `[N,C,P]`.
pub fn forward(z: &[f64], activation: Activation, batch: usize, channels: usize) -> Vec<f64> {
    let pixels = z.len() / (batch * channels);
    let mut y = vec![0.0; z.len()];
    each(batch, channels, pixels, |i, c| {
        y[i] = match activation {
            Activation::Identity => z[i],
            Activation::Relu => z[i].max(0.0),
            Activation::Silu => z[i] * sigmoid(z[i]),
            Activation::Gate { mask, coefficients } => {
                let m = mask[i % (channels * pixels)];
                m * z[i].max(0.0) + (1.0 - m) * polynomial(&coefficients[c], z[i])
            }
        };
    });
    y
}

/// What the backward pass yields.
#[derive(Debug, Clone, Default)]
pub struct Gradients {
    /// dL/dz `[N,C,P]`.
    pub z: Vec<f64>,
    /// Σ_n dy·(relu(z) − p(z)) `[C,P]`: the gradient of the mask.
    pub mask: Vec<f64>,
    /// Σ dy·(1−m)·z^k `[C,4]`; the last is zero.
    pub coefficients: Vec<f64>,
}

/// What polynomials are given from too far away costs `weight/2·s·(|t| − limit)²` with
/// t = (z − mean)/s, for every z beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Mean of the channel.
    pub mean: f64,
    /// 1/s.
    pub inverse: f64,
    /// Weight.
    pub weight: f64,
    /// Limit of |t|.
    pub limit: f64,
}

impl Bounds {
    /// The cost of a z.
    pub fn penalty(&self, z: f64) -> f64 {
        let t = (z - self.mean) * self.inverse;
        let beyond = (t.abs() - self.limit).max(0.0);
        0.5 * self.weight / self.inverse * beyond * beyond
    }

    /// Its slope.
    pub fn slope(&self, z: f64) -> f64 {
        let t = (z - self.mean) * self.inverse;
        self.weight * t.signum() * (t.abs() - self.limit).max(0.0)
    }
}

/// Adds what the bounds of each channel ask for where the mask is 0.
pub fn hold(dz: &mut [f64], z: &[f64], mask: &[f64], bounds: &[Bounds], batch: usize) {
    let pixels = z.len() / (batch * bounds.len());
    each(batch, bounds.len(), pixels, |i, c| {
        dz[i] += (1.0 - mask[i % mask.len()]) * bounds[c].slope(z[i]);
    });
}

/// Gradients from `dy` = dL/dy and the pre-activation `z`, both `[N,C,P]`.
pub fn backward(
    dy: &[f64],
    z: &[f64],
    activation: Activation,
    batch: usize,
    channels: usize,
) -> Gradients {
    let pixels = z.len() / (batch * channels);
    let image = channels * pixels;
    let mut out = Gradients {
        z: vec![0.0; z.len()],
        mask: vec![0.0; image],
        coefficients: vec![0.0; 4 * channels],
    };
    each(batch, channels, pixels, |i, c| match activation {
        Activation::Identity => out.z[i] = dy[i],
        Activation::Relu => out.z[i] = if z[i] > 0.0 { dy[i] } else { 0.0 },
        Activation::Silu => {
            let s = sigmoid(z[i]);
            out.z[i] = dy[i] * s * (1.0 + z[i] * (1.0 - s));
        }
        Activation::Gate { mask, coefficients } => {
            let poly = &coefficients[c];
            let m = mask[i % image];
            out.mask[i % image] += dy[i] * (z[i].max(0.0) - polynomial(poly, z[i]));
            let relu_slope = f64::from(u8::from(z[i] > 0.0));
            let slope = poly[1] + 2.0 * poly[2] * z[i];
            out.z[i] = dy[i] * (m * relu_slope + (1.0 - m) * slope);
            for k in 0..3 {
                out.coefficients[4 * c + k] += dy[i] * (1.0 - m) * z[i].powi(k as i32);
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_bounds_is_that_of_their_penalty() {
        let bounds = Bounds {
            mean: 0.3,
            inverse: 2.5,
            weight: 0.7,
            limit: 1.5,
        };
        for z in [-2.0, -0.31, -0.2, 0.3, 0.89, 0.95, 4.0] {
            let step = 1e-6;
            let slope = (bounds.penalty(z + step) - bounds.penalty(z - step)) / (2.0 * step);
            assert!((bounds.slope(z) - slope).abs() < 1e-6, "{z}");
        }
        assert_eq!(bounds.slope(0.3), 0.0);
        assert!(bounds.slope(-2.0) < 0.0 && bounds.slope(2.0) > 0.0);
    }
}
