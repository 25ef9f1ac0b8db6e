//! The order of channels: which of them lie side by side, so that a site finds those of one kind in
//! one slice.

use super::folded::{Kind, Run};
use super::union::Union;

/// The channels of values that must be in the same order, site by site what each channel does.
#[derive(Debug, Clone, Default)]
pub struct Together {
    /// Number of channels.
    pub channels: usize,
    /// Whether the order may not change.
    pub fixed: bool,
    /// Kinds of all channels, for every site among the values.
    pub sites: Vec<Vec<Kind>>,
}

/// The order of each set of values, as the earlier place of each channel: sorted by kind at the
/// first site that has several kinds, within those at the next, and otherwise as it was.
pub fn arrange(values: &Union, sets: &[Together]) -> Vec<Vec<usize>> {
    let arranged = |set: &Together| {
        let mut order: Vec<usize> = (0..set.channels).collect();
        if !set.fixed {
            order.sort_by_key(|&c| set.sites.iter().map(|kinds| kinds[c]).collect::<Vec<_>>());
        }
        order
    };
    let orders: Vec<Vec<usize>> = sets.iter().map(arranged).collect();
    let of = |value| orders[values.root(value)].clone();
    (0..sets.len()).map(of).collect()
}

/// Channels of these kinds as runs.
pub fn runs(kinds: &[Kind]) -> Vec<Run> {
    let mut start = 0;
    let run = |chunk: &[Kind]| {
        let channels = start..start + chunk.len();
        start = channels.end;
        let kind = chunk[0];
        Run { channels, kind }
    };
    kinds.chunk_by(|a, b| a == b).map(run).collect()
}
