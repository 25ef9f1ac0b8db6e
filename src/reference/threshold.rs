//! Twin of `shaders/threshold.wgsl`.

use super::metrics::Prices;

/// Something that is kept or dropped as one: a ReLU, or the squares of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// What keeping it is worth, see [`worth`].
    pub worth: f64,
    /// Its site.
    pub site: usize,
    /// ReLUs that it counts for.
    pub relus: usize,
    /// Squares that it counts for.
    pub squares: usize,
}

/// What keeping is worth: a little more than the score for what is kept already, a little less for
/// what is not.
pub fn worth(score: f64, kept: bool) -> f64 {
    score + if kept { 0.1 } else { -0.1 } * score.abs()
}

/// The lowest θ such that all items worth θ or more cost no more than `budget`; infinite where
/// there is none.
pub fn threshold(items: &[Item], sites: usize, prices: &Prices, budget: f64) -> f64 {
    let cost = |least: f64| {
        let mut kept = vec![(0, 0); sites];
        for item in items.iter().filter(|item| item.worth >= least) {
            kept[item.site].0 += item.relus;
            kept[item.site].1 += item.squares;
        }
        let site = |&(relus, squares): &(usize, usize)| {
            let own = |count, price| if count > 0 { price } else { 0.0 };
            let sites = own(relus, prices.relu_site) + own(squares, prices.square_site);
            relus as f64 * prices.relu + squares as f64 * prices.square + sites
        };
        kept.iter().map(site).sum::<f64>()
    };
    let candidates = items.iter().map(|item| item.worth);
    let fitting = candidates.filter(|&worth| cost(worth) <= budget);
    fitting.fold(f64::INFINITY, f64::min)
}
