//! Twin of `shaders/squares.wgsl`.

use super::dapa;
use super::indicator::{Adam, Score, score_gradient};

/// Channels that keep or lose their squares together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Score of the square.
    pub score: Score,
    /// Whether the channels have it.
    pub has_square: bool,
    /// Coefficients c₀, c₁, c₂ and the mark of a line, by channel.
    pub coefficients: Vec<[f64; 4]>,
}

/// What a step tells a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<'a> {
    /// dL/dc₀, dL/dc₁ and dL/dc₂ by channel.
    pub gradients: &'a [[f64; 3]],
    /// Running mean and variance of the pre-activation, by channel.
    pub moments: &'a [[f64; 2]],
    /// Push on each square: the penalty's share, 0 when the budget is met.
    pub push: f64,
    /// Elements of the group without a ReLU.
    pub squares: f64,
    /// A square stays while its score is above minus this.
    pub threshold: f64,
    /// A square comes back when its score is above this.
    pub regain: f64,
    /// The optimiser.
    pub adam: Adam,
    /// Factor of the published code's fit, where that is used.
    pub official: Option<f64>,
}

/// Coefficients of x² − 2u·x − (s² − u²): what the least-squares line under N(u, s²) leaves of a
/// square.
pub fn remainder(mean: f64, variance: f64) -> [f64; 3] {
    [mean * mean - variance, -2.0 * mean, 1.0]
}

/// Coefficients of a channel once it has lost its square: those of the least-squares line.
pub fn without_square(c: [f64; 4], mean: f64, variance: f64) -> [f64; 4] {
    let r = remainder(mean, variance);
    [c[0] - c[2] * r[0], c[1] - c[2] * r[1], 0.0, 1.0]
}

/// c₂ of the fit to a channel's moments: the exact one, or the published code's with its factor.
fn fitted(mean: f64, variance: f64, official: Option<f64>) -> f64 {
    match official {
        None => dapa::fit(mean, variance.sqrt(), 2)[2],
        Some(scale_x2) => dapa::official_fit(mean, variance, 2, scale_x2)[2],
    }
}

/// Coefficients of a line that has got the square of the fit to its moments.
pub fn with_square(c: [f64; 4], mean: f64, variance: f64, official: Option<f64>) -> [f64; 4] {
    let c2 = fitted(mean, variance, official);
    let r = remainder(mean, variance);
    [c[0] + c2 * r[0], c[1] + c2 * r[1], c2, 0.0]
}

impl Group {
    /// One step of scores that share no threshold.
    pub fn step(&mut self, step: &Step) {
        let g = score_gradient(self.score.value, self.slope(step), step.push * step.squares);
        self.score = self.score.step(g, &step.adam);
        let bound = match self.has_square {
            true => -step.threshold,
            false => step.regain,
        };
        self.decide(self.score.value > bound, step);
    }

    /// dL/dq. A line's c₂ is that of the fit to its moments.
    pub fn slope(&self, step: &Step) -> f64 {
        let channels = self.coefficients.iter().zip(step.moments);
        let slope = |(c, (coefficients, &[mean, variance])): (usize, (&[f64; 4], &[f64; 2]))| {
            let c2 = match self.has_square {
                true => coefficients[2],
                false => fitted(mean, variance, step.official),
            };
            let r = remainder(mean, variance);
            c2 * (0..3).map(|k| r[k] * step.gradients[c][k]).sum::<f64>()
        };
        channels.enumerate().map(slope).sum()
    }

    /// Gives the channels their squares, or takes them.
    pub fn decide(&mut self, keeps: bool, step: &Step) {
        for (c, &[mean, variance]) in self.coefficients.iter_mut().zip(step.moments) {
            *c = match (keeps, self.has_square) {
                (false, true) => without_square(*c, mean, variance),
                (false, false) => [c[0], c[1], 0.0, 1.0],
                (true, false) => with_square(*c, mean, variance, step.official),
                (true, true) => [c[0], c[1], c[2], 0.0],
            };
        }
        self.has_square = keeps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_without_its_square_is_the_fit_of_a_line() {
        for (u, s) in [(0.0, 1.0), (0.7, 0.5), (-1.3, 2.0)] {
            let quadratic = dapa::fit(u, s, 2);
            let line = dapa::fit(u, s, 1);
            let [c0, c1, c2] = quadratic;
            let lost = without_square([c0, c1, c2, 0.0], u, s * s);
            let regained = with_square([line[0], line[1], 0.0, 1.0], u, s * s, None);
            for k in 0..3 {
                assert!((lost[k] - line[k]).abs() < 1e-12, "u {u}, s {s}");
                assert!((regained[k] - quadratic[k]).abs() < 1e-12, "u {u}, s {s}");
            }
        }
    }
}
