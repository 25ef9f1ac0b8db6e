//! What repeated measurements of one thing come to.

use serde::{Deserialize, Serialize};

/// Order statistics of some samples; seconds, where nothing else is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// The middle sample, or the mean of the two in the middle.
    pub median: f64,
    /// Lower quartile.
    pub low: f64,
    /// Upper quartile.
    pub high: f64,
    /// Smallest sample.
    pub best: f64,
    /// Number of samples.
    pub samples: usize,
}

impl Statistics {
    /// Of `samples` in any order; all zero where there are none.
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let Some(&best) = sorted.first() else {
            return Self::default();
        };
        Self {
            median: quantile(&sorted, 0.5),
            low: quantile(&sorted, 0.25),
            high: quantile(&sorted, 0.75),
            best,
            samples: sorted.len(),
        }
    }

    /// Width of the middle half of the samples as a share of the median.
    pub fn spread(&self) -> f64 {
        ratio(self.high - self.low, self.median)
    }
}

/// The value below which the share `at` of the sorted samples lies, interpolated between
/// neighbours.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let position = at * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * position.fract()
}

/// `a / b`, and 0 where nothing can be said.
pub fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_worked_out_by_hand() {
        let odd = Statistics::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(
            (odd.median, odd.low, odd.high, odd.best),
            (3.0, 2.0, 4.0, 1.0)
        );
        assert_eq!(odd.spread(), 2.0 / 3.0);
        // Positions 0.75, 1.5 and 2.25 of 1, 2, 4, 8.
        let even = Statistics::of(&[8.0, 1.0, 2.0, 4.0]);
        assert_eq!((even.median, even.low, even.high), (3.0, 1.75, 5.0));
        assert_eq!(even.samples, 4);
        let one = Statistics::of(&[7.0]);
        assert_eq!((one.median, one.low, one.spread()), (7.0, 7.0, 0.0));
        assert_eq!(Statistics::of(&[]), Statistics::default());
        assert_eq!(Statistics::default().spread(), 0.0);
    }
}
