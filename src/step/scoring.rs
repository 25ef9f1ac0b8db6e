//! How a step trains scores, for masks to follow them.

use crate::graph::Layout;
use crate::kernels::indicator::Rule;
use crate::kernels::metrics::Prices;
use crate::kernels::{dapa, squares};

/// How a search trains the scores of ReLUs, and of squares where they have a price.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoring {
    /// How masks follow scores.
    pub rule: Rule,
    /// Runs of elements (first, number) in the score arena that are kept or dropped together;
    /// none: every element by itself.
    pub groups: Vec<[u32; 2]>,
    /// What ReLUs and squares cost.
    pub prices: Prices,
    /// Squares that may be dropped.
    pub squares: Option<SquareScoring>,
}

/// How a search trains the scores of squares.
#[derive(Debug, Clone, PartialEq)]
pub struct SquareScoring {
    /// Channels that keep or lose their squares together.
    pub groups: Vec<squares::Group>,
    /// The scores to begin with, by group.
    pub scores: Vec<f32>,
    /// What a channel that regains its square begins with.
    pub fit: dapa::Fit,
}

/// What a search does unasked: a score for every element, the number of ReLUs as the cost.
pub static AUTOREP: Scoring = Scoring {
    rule: Rule::Taylor,
    groups: Vec::new(),
    prices: Prices::COUNT,
    squares: None,
};

impl Scoring {
    /// ReLUs and squares of each site when a search begins: all ReLUs are there.
    pub(super) fn start(layout: &Layout) -> Vec<(usize, usize)> {
        layout
            .sites
            .iter()
            .map(|site| (site.shape.len(), 0))
            .collect()
    }
}
