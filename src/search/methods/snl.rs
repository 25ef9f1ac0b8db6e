//! Selective Network Linearization (Cho, Joshi, Garg, Reagen, Hegde; ICML 2022): every element
//! has a slope between ReLU (1) and identity (0), under an L1 penalty that grows until few enough
//! slopes are left above a threshold.

use super::method::{Method, Polynomials};
use crate::graph::{Activations, Layout, Tensors};
use crate::kernels::indicator::Rule;
use crate::kernels::step::StepScalars;
use crate::search::strategy::{Strategy, Task};
use crate::search::{dapa, indicator};
use crate::train::schedule::cosine;

pub(super) const METHOD: Method = Method {
    name: "snl",
    title: "SNL",
    summary: "slopes between ReLU and y = x under a growing penalty; no polynomials",
    polynomials: Polynomials::Identity,
    chooses_squares: false,
    searches: true,
    make: |task| Box::new(Snl { task }),
};

/// Slopes above this count as ReLUs, as published.
const THRESHOLD: f32 = 1e-2;
/// Factor by which the penalty grows, as published.
const GROWTH: f64 = 1.1;
/// Times that it grows during a search, to 14,000 times its beginning; it is not felt while
/// the budget is met. The published code lets it grow whenever an epoch brings too little; a fixed number of
/// times depends on nothing but the step.
const GROWTHS: f64 = 100.0;

/// Slopes, without polynomials.
pub struct Snl {
    /// What it is given.
    pub task: Task,
}

fn identity(slopes: bool) -> Activations {
    Activations::Gate {
        fit: None,
        degree: 0,
        slopes,
    }
}

impl Strategy for Snl {
    fn searching(&self) -> Activations {
        identity(true)
    }

    fn finishing(&self) -> Activations {
        identity(false)
    }

    fn begin(&self, tensors: &mut Tensors, layout: &Layout, _: u32) {
        indicator::begin_slopes(tensors, layout);
        dapa::begin(tensors, layout);
    }

    fn rule(&self) -> Option<Rule> {
        Some(Rule::Slopes)
    }

    /// The penalty reaches λ over the full cost, AutoReP's, in the middle of the search. It rests
    /// while the budget is met.
    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars) {
        self.finish_scalars(scalars);
        let progress = step as f64 / steps.max(1) as f64;
        let growths = (GROWTHS * progress).floor() - 0.5 * GROWTHS;
        scalars.penalty = (f64::from(self.task.penalty()) * GROWTH.powf(growths)) as f32;
        let rate = indicator::rate(self.task.settings.score_rate, steps);
        scalars.score_rate = rate * cosine(progress, 0.01) as f32;
        scalars.threshold = THRESHOLD;
        scalars.budget = self.task.budget as f32;
    }

    fn finish_scalars(&self, scalars: &mut StepScalars) {
        self.task.distil(scalars);
        // There are no polynomials to train.
        scalars.rate[3] = 0.0;
    }

    fn decide(&self, tensors: &mut Tensors) {
        for slope in &mut tensors.mask {
            *slope = if *slope > THRESHOLD { 1.0 } else { 0.0 };
        }
    }
}
