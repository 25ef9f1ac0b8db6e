//! Autopoly: AutoReP's search beside polynomials that begin as y = x and are only trained. What
//! it lacks of AutoReP's accuracy is what the fit to the distribution is worth.

use super::autorep::AutoRep;
use super::method::{Method, Polynomials};
use crate::graph::{Activations, Layout, Tensors};
use crate::kernels::indicator::Rule;
use crate::kernels::step::StepScalars;
use crate::search::strategy::Strategy;

pub(super) const METHOD: Method = Method {
    name: "autopoly",
    title: "autopoly",
    summary: "as autorep, beside polynomials that are trained and never fitted",
    polynomials: Polynomials::Trained,
    chooses_squares: false,
    searches: true,
    make: |task| {
        let search = AutoRep { task };
        Box::new(Autopoly { search })
    },
};

/// AutoReP without the fit.
pub struct Autopoly {
    /// The search.
    pub search: AutoRep,
}

impl Strategy for Autopoly {
    fn searching(&self) -> Activations {
        Activations::Gate {
            fit: None,
            degree: self.search.task.settings.degree,
            slopes: false,
        }
    }

    fn finishing(&self) -> Activations {
        self.searching()
    }

    fn begin(&self, tensors: &mut Tensors, layout: &Layout, seed: u32) {
        self.search.begin(tensors, layout, seed);
    }

    fn rule(&self) -> Option<Rule> {
        self.search.rule()
    }

    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars) {
        let rate = scalars.rate;
        self.search.scalars(step, steps, scalars);
        (scalars.rate, scalars.refit) = (rate, 0);
    }

    fn finish_scalars(&self, scalars: &mut StepScalars) {
        self.search.task.distil(scalars);
    }
}
