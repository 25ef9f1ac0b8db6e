//! What a network asks of homomorphic encryption: CKKS computes sums and products of ciphertexts, and
//! every product in a row takes one of the levels that its parameters provide.

use crate::private::{Folded, FoldedOp, FoldedSite, Kind};
use serde::Serialize;

/// Products in a row, and what is left that CKKS cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// Levels of the longest path: a linear layer, an average or a folded square takes one.
    pub levels: usize,
    /// Levels where squares are not folded but computed by Horner's rule, c₀ + x·(c₁ + x·c₂), which
    /// takes two.
    pub horner: usize,
    /// ReLUs, each of which needs an approximation of its own, or another scheme.
    pub relus: usize,
    /// Sigmoids.
    pub sigmoids: usize,
    /// Maxima of two values.
    pub maxima: usize,
}

impl Depth {
    /// Of a folded network. What CKKS cannot do is counted, and takes no level.
    pub fn of(folded: &Folded) -> Self {
        let mut depth = Self {
            levels: 0,
            horner: 0,
            relus: folded.relus(),
            sigmoids: 0,
            maxima: 0,
        };
        // By step: levels until there, folded and by Horner's rule.
        let mut paths: Vec<(usize, usize)> = Vec::with_capacity(folded.steps.len());
        for step in &folded.steps {
            let before = step.inputs.iter().map(|&input| paths[input]);
            let (levels, horner) = before.fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
            let elements = step.shape.len();
            let (own, by_horner) = match &step.op {
                FoldedOp::Center(_) | FoldedOp::Add => (0, 0),
                FoldedOp::Conv(_)
                | FoldedOp::Linear { .. }
                | FoldedOp::Average(_)
                | FoldedOp::GlobalAverage
                | FoldedOp::Product => (1, 1),
                FoldedOp::Sigmoid => {
                    depth.sigmoids += elements;
                    (0, 0)
                }
                FoldedOp::Max(window) => {
                    depth.maxima += elements * (window.kernel * window.kernel - 1);
                    (0, 0)
                }
                FoldedOp::Site(site) | FoldedOp::Norm(site) => of_site(site),
            };
            paths.push((levels + own, horner + by_horner));
        }
        let ends = paths.into_iter();
        (depth.levels, depth.horner) = ends.fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        depth
    }
}

/// Levels of a site: folded, and by Horner's rule, which takes factors in for nothing.
fn of_site(site: &FoldedSite) -> (usize, usize) {
    let is_one = |kind| {
        site.channels_of(kind)
            .all(|channel| site.gain[channel] == 1.0)
    };
    let square = match site.channels(Kind::Square) {
        0 => 0,
        _ => 1 + usize::from(!is_one(Kind::Square)),
    };
    let line = usize::from(!is_one(Kind::Line));
    match square {
        0 => (line, line),
        _ => (square.max(line), 2),
    }
}
