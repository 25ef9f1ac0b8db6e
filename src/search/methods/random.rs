//! Random: the budget drawn at random, and all else as ever. What a method has above it, its choice
//! is worth.

use super::autorep::AutoRep;
use super::method::{Method, Polynomials};
use crate::graph::{Activations, Layout, Tensors};
use crate::kernels::indicator::Rule;
use crate::kernels::step::StepScalars;
use crate::search::indicator;
use crate::search::strategy::Strategy;

pub(super) const METHOD: Method = Method {
    name: "random",
    title: "random",
    summary: "the budget drawn at random: what the choice of the others is worth",
    polynomials: Polynomials::Fitted,
    chooses_squares: true,
    searches: true,
    make: |task| {
        let search = AutoRep { task };
        Box::new(Random { search })
    },
};

/// Scores that are drawn and stay, beside AutoReP's polynomials.
pub struct Random {
    /// Whose polynomials it has.
    pub search: AutoRep,
}

impl Strategy for Random {
    fn searching(&self) -> Activations {
        self.search.searching()
    }

    fn finishing(&self) -> Activations {
        self.search.finishing()
    }

    fn begin(&self, tensors: &mut Tensors, layout: &Layout, seed: u32) {
        self.search.begin(tensors, layout, seed);
        indicator::draw(tensors, layout, seed);
    }

    fn rule(&self) -> Option<Rule> {
        Some(Rule::Fixed)
    }

    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars) {
        self.search.scalars(step, steps, scalars);
    }

    fn finish_scalars(&self, scalars: &mut StepScalars) {
        self.search.finish_scalars(scalars);
    }
}
