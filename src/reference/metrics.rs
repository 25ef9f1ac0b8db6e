//! Twin of `shaders/metrics.wgsl`.

/// What ReLUs and squares cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// A ReLU.
    pub relu: f64,
    /// A square.
    pub square: f64,
    /// A site that has any ReLU.
    pub relu_site: f64,
    /// A site that has any square; its elements go side by side, so a site with both pays the
    /// dearer of the two.
    pub square_site: f64,
}

/// What a step leaves on record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Cross-entropy, distillation loss, hits and hits among five, summed over the samples.
    pub sums: [f64; 4],
    /// Samples whose losses an evaluation leaves out of the sums.
    pub astray: usize,
    /// ReLUs that are kept.
    pub relus: usize,
    /// Squares that are kept.
    pub squares: usize,
    /// What both cost.
    pub cost: f64,
    /// For each site what one ReLU fewer would save, and one square fewer.
    pub prices: Vec<[f64; 2]>,
}

/// The record of a step over `samples`, with `(ReLUs, squares)` at each of `sites`. An evaluation
/// leaves out losses whose cross-entropy is above `astray`, or not finite.
pub fn record(
    samples: &[[f64; 4]],
    astray: Option<f64>,
    sites: &[(usize, usize)],
    prices: &Prices,
) -> Record {
    let mut record = Record {
        sums: [0.0; 4],
        astray: 0,
        relus: 0,
        squares: 0,
        cost: 0.0,
        prices: Vec::new(),
    };
    for sample in samples {
        let is_astray = astray.is_some_and(|limit| sample[0] > limit || sample[0].is_nan());
        record.astray += usize::from(is_astray);
        let left_out = if is_astray { 2 } else { 0 };
        for (sum, value) in record.sums.iter_mut().zip(sample).skip(left_out) {
            *sum += value;
        }
    }
    for &(relus, squares) in sites {
        record.relus += relus;
        record.squares += squares;
        record.cost += relus as f64 * prices.relu + squares as f64 * prices.square;
        if relus > 0 {
            record.cost += prices.relu_site;
        }
        if squares > 0 {
            record.cost += prices.square_site;
        }

        // A ReLU that goes leaves a square, where the site has squares, and takes its share of what
        // the site pays for having ReLUs at all; so with a square.
        let left = if squares > 0 { prices.square } else { 0.0 };
        let share = |price: f64, count: usize| price / count.max(1) as f64;
        record.prices.push([
            prices.relu - left + share(prices.relu_site, relus),
            prices.square + share(prices.square_site, squares),
        ]);
    }
    record
}
