//! Twin of `shaders/squares.wgsl`.

use super::dapa;
use super::indicator::{Adam, Score, hysteresis, score_gradient};

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
    /// dL/dc₂ by channel.
    pub gradients: &'a [f64],
    /// Running mean and variance of the pre-activation, by channel.
    pub moments: &'a [[f64; 2]],
    /// Push on each square: the penalty's share, 0 when the budget is met.
    pub push: f64,
    /// Elements of the group without a ReLU.
    pub squares: f64,
    /// Hysteresis threshold.
    pub threshold: f64,
    /// The optimiser.
    pub adam: Adam,
}

impl Group {
    /// One step. A line's c₂ is that of the fit to its moments.
    pub fn step(&mut self, step: &Step) {
        let fits: Vec<f64> = step
            .moments
            .iter()
            .map(|&[mean, variance]| dapa::fit(mean, variance.sqrt(), 2)[2])
            .collect();
        let mut slope = 0.0;
        for (c, gradient) in step.gradients.iter().enumerate() {
            slope += gradient
                * if self.has_square {
                    self.coefficients[c][2]
                } else {
                    fits[c]
                };
        }
        let g = score_gradient(self.score.value, slope, step.push * step.squares);
        self.score = self.score.step(g, &step.adam);
        let keeps = hysteresis(self.has_square, self.score.value, step.threshold);
        for (c, fit) in self.coefficients.iter_mut().zip(fits) {
            match (keeps, self.has_square) {
                (false, _) => [c[2], c[3]] = [0.0, 1.0],
                (true, false) => [c[2], c[3]] = [fit, 0.0],
                (true, true) => c[3] = 0.0,
            }
        }
        self.has_square = keeps;
    }
}
