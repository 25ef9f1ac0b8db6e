//! No search: all ReLUs stay, or none. The network is trained as long as others search, so that
//! a table compares like with like.

use super::autorep::AutoRep;
use super::method::{Method, Polynomials};
use crate::graph::{Activations, Layout, Tensors};
use crate::kernels::indicator::Rule;
use crate::kernels::step::StepScalars;
use crate::search::strategy::Strategy;

pub(super) const METHOD: Method = Method {
    name: "none",
    title: "no search",
    summary: "no choice: all ReLUs, or none",
    polynomials: Polynomials::Fitted,
    chooses_squares: false,
    searches: false,
    make: |task| {
        let search = AutoRep { task };
        Box::new(Fixed { search })
    },
};

/// Masks that are what the budget says from the start.
pub struct Fixed {
    /// Whose polynomials it has.
    pub search: AutoRep,
}

impl Strategy for Fixed {
    fn searching(&self) -> Activations {
        self.search.searching()
    }

    fn finishing(&self) -> Activations {
        self.search.finishing()
    }

    fn begin(&self, tensors: &mut Tensors, layout: &Layout, seed: u32) {
        self.search.begin(tensors, layout, seed);
        let mask = match self.search.task.budget > 0.0 {
            true => 1.0,
            false => 0.0,
        };
        for site in &layout.sites {
            tensors.mask[site.range()].fill(mask);
        }
    }

    fn rule(&self) -> Option<Rule> {
        None
    }

    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars) {
        self.search.scalars(step, steps, scalars);
    }

    fn finish_scalars(&self, scalars: &mut StepScalars) {
        self.search.finish_scalars(scalars);
    }
}
