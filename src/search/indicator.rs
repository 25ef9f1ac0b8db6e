//! Scores: where they start, and how fast they move. The arithmetic is `shaders/indicator.wgsl` and
//! `shaders/threshold.wgsl`.

use crate::graph::{Layout, Tensors};
use crate::reference::random::random;
use std::ops::Range;

/// Purpose word of the random stream of initial scores.
const SCORES: u32 = 0x5343_4f52;
/// Purpose word of the random stream of initial scores of squares.
const SQUARES: u32 = 0x5351_5552;

/// A draw from U(0, 1): 24 bits fit an f32 exactly.
fn uniform(seed: u32, index: u32, element: u32, purpose: u32) -> f32 {
    (random(seed, index, element, purpose) >> 8) as f32 / 16_777_216.0
}

/// Scores drawn from U(0, 1), all masks 1: how a search begins with a penalty, and what a random
/// choice keeps most of.
pub fn draw(tensors: &mut Tensors, layout: &Layout, seed: u32) {
    for (index, site) in (0..).zip(&layout.sites) {
        for (element, i) in (0..).zip(site.range()) {
            tensors.scores[i] = uniform(seed, index, element, SCORES);
            tensors.mask[i] = 1.0;
        }
    }
}

/// Slopes of 1: how a search with [`crate::kernels::indicator::Rule::Slopes`] begins.
pub fn begin_slopes(tensors: &mut Tensors, layout: &Layout) {
    for site in &layout.sites {
        tensors.scores[site.range()].fill(1.0);
        tensors.mask[site.range()].fill(1.0);
    }
}

/// Scores of 0, all masks 1: how a search begins that measures what scores are.
pub fn forget(tensors: &mut Tensors, layout: &Layout) {
    for site in &layout.sites {
        tensors.scores[site.range()].fill(0.0);
        tensors.mask[site.range()].fill(1.0);
    }
}

/// Gives all elements of each run the score of its first: they are kept or dropped as one.
pub fn share(tensors: &mut Tensors, runs: &[Range<usize>]) {
    for run in runs {
        let score = tensors.scores[run.start];
        tensors.scores[run.clone()].fill(score);
    }
}

/// Scores of `groups` of squares, drawn from U(0, 1).
pub fn squares(groups: usize, seed: u32) -> Vec<f32> {
    let groups = 0..groups as u32;
    groups
        .map(|group| uniform(seed, group, 0, SQUARES))
        .collect()
}

/// Learning rate of scores that move by Adam, in a search of `steps` steps: `given`, if it is not 0.
///
/// Adam moves a score by about the rate in each step that all agree on, so what a score can
/// travel is about rate × steps × ½ (the cosine's mean). Scores start up to 1 away from their
/// threshold; the published 1e-3 has 78,000 steps for that (200 epochs of CIFAR at batch 128).
/// Shorter searches need a larger rate: this one lets a score travel five times that distance,
/// between the published rate and a bound well below the scores' own range.
pub fn rate(given: f32, steps: u64) -> f32 {
    match given {
        0.0 => (10.0 / steps.max(1) as f32).clamp(1e-3, 2e-2),
        _ => given,
    }
}

/// Weight of the newest step in the averages that scores are made of, in a search of `steps` steps:
/// `given`, if it is not 0. A sixth of the search is remembered: more is less noise, but of a
/// network that is gone.
pub fn weight(given: f32, steps: u64) -> f32 {
    match given {
        0.0 => (6.0 / steps.max(1) as f32).clamp(1e-3, 0.2),
        _ => given.min(1.0),
    }
}
