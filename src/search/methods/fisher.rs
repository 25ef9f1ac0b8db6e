//! Fisher: what the loss is least sensitive to, for its price, goes first.
//!
//! At a trained network the loss has no slope worth speaking of along a mask, so that what a ReLU
//! is worth shows in the curvature only: dropping it costs about ½·F, with F = E[(∂L/∂m)²], the
//! Fisher information, in the place of the second derivative (LeCun, Denker, Solla, NIPS 1989;
//! Theis, Korshunova, Tejani, Huszár 2018 with F). ReLUs and squares are measured alike, and so can
//! be weighed against each other: what is worth most for its share of the cost is kept.

use super::autorep::AutoRep;
use super::method::{Method, Polynomials};
use crate::graph::{Activations, Layout, Tensors};
use crate::kernels::indicator::Rule;
use crate::kernels::step::StepScalars;
use crate::search::indicator;
use crate::search::strategy::Strategy;

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
        Some(Rule::Fisher)
    }

    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars) {
        self.search.scalars(step, steps, scalars);
        scalars.penalty = self.search.task.share();
    }

    fn finish_scalars(&self, scalars: &mut StepScalars) {
        self.search.finish_scalars(scalars);
    }
}
