//! Fisher: what the loss is least sensitive to, for its price, goes first.
//!
//! At a trained network the loss has no slope worth speaking of along a mask, so that what a ReLU
//! is worth shows in the curvature only: dropping it costs about ½·F, with F = E[(∂L/∂m)²], the
//! Fisher information, in the place of the second derivative (LeCun, Denker, Solla, NIPS 1989;
//! Theis, Korshunova, Tejani, Huszár 2018 with F). ReLUs and squares are measured alike, and so can
//! be weighed against each other: all that is worth more than θ for its share of the cost is
//! kept, and θ rises while too much is.

use super::autorep::AutoRep;
use super::method::{Method, Polynomials};
use crate::graph::{Activations, Layout, Tensors};
use crate::kernels::indicator::Rule;
use crate::kernels::step::StepScalars;
use crate::search::indicator;
use crate::search::strategy::Strategy;
use crate::train::schedule::cosine;

pub(super) const METHOD: Method = Method {
    name: "fisher",
    title: "Fisher",
    summary: "what the loss is most sensitive to, for its price",
    polynomials: Polynomials::Fitted,
    chooses_squares: true,
    searches: true,
    make: |task| {
        let search = AutoRep { task };
        Box::new(Fisher { search })
    },
};

/// The shares by which θ rises in all steps of a search, if it were to rise in all: enough to go
/// from anywhere to anywhere.
const TRAVEL: f64 = 60.0;
/// Bounds of the share by which θ moves in a step.
const RISE: [f64; 2] = [1e-3, 0.3];

/// Importance by price, beside AutoReP's polynomials.
pub struct Fisher {
    /// Whose polynomials it has.
    pub search: AutoRep,
}

impl Strategy for Fisher {
    fn searching(&self) -> Activations {
        self.search.searching()
    }

    fn finishing(&self) -> Activations {
        self.search.finishing()
    }

    fn begin(&self, tensors: &mut Tensors, layout: &Layout, seed: u32) {
        self.search.begin(tensors, layout, seed);
        indicator::forget(tensors, layout);
    }

    fn rule(&self) -> Option<Rule> {
        Some(Rule::Importance)
    }

    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars) {
        self.search.scalars(step, steps, scalars);
        let task = &self.search.task;
        let full = task.full;
        let progress = step as f64 / steps.max(1) as f64;
        let rise = (TRAVEL / steps.max(1) as f64).clamp(RISE[0], RISE[1]);
        scalars.score_rate = (rise * cosine(progress, 0.25)) as f32;
        scalars.penalty = (1.0 / full.max(1e-9)) as f32;
    }

    fn finish_scalars(&self, scalars: &mut StepScalars) {
        self.search.finish_scalars(scalars);
    }
}
