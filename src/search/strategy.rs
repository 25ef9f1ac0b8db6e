//! How ReLUs are chosen, behind one trait: what a method makes of sites, scores and steps. All
//! methods run through the same phases, spend the same objective, and are settled alike.

use crate::graph::{Activations, Layout, Tensors};
use crate::kernels::indicator::Rule;
use crate::kernels::step::StepScalars;
use crate::settings::{Polynomial, Search};
use crate::train::spec::Policy;

/// A method of choosing the ReLUs to keep.
pub trait Strategy {
    /// What sites do while the method searches.
    fn searching(&self) -> Activations;

    /// What sites do once masks are fixed.
    fn finishing(&self) -> Activations;

    /// Sets scores, masks and polynomials for the first step.
    fn begin(&self, tensors: &mut Tensors, layout: &Layout, seed: u32);

    /// How masks follow scores; `None` where there are no scores.
    fn rule(&self) -> Option<Rule>;

    /// Sets the scalars of search step `step` of `steps`.
    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars);

    /// Sets the scalars of a step after masks are fixed.
    fn finish_scalars(&self, scalars: &mut StepScalars);

    /// Makes masks 0 or 1 at the end of a search.
    fn decide(&self, _tensors: &mut Tensors) {}
}

/// What every method is given.
#[derive(Debug, Clone)]
pub struct Task {
    /// The settings of the search.
    pub settings: Search,
    /// What the network costs with all its ReLUs.
    pub full: f64,
    /// What it may cost.
    pub budget: f64,
}

impl Task {
    /// What all methods have: distillation, and bounds of what polynomials are given and go by.
    pub fn distil(&self, scalars: &mut StepScalars) {
        scalars.kd_weight = self.settings.distill;
        scalars.temperature = self.settings.temperature;
        scalars.range_weight = self.settings.range_penalty;
        scalars.range_limit = self.settings.range_limit;
        if self.settings.polynomial == Polynomial::Hermite {
            scalars.statistics_limit = self.settings.statistics_limit;
        }
    }

    /// λ over the cost of the network with all its ReLUs.
    pub fn penalty(&self) -> f32 {
        self.settings.lambda * self.share()
    }

    /// What a unit of cost is of the cost of the network with all its ReLUs.
    pub fn share(&self) -> f32 {
        (1.0 / self.full.max(1e-9)) as f32
    }
}

/// The steps of a search.
pub struct Searching<'a>(pub &'a dyn Strategy);

/// The steps after masks are fixed.
pub struct Finishing<'a>(pub &'a dyn Strategy);

impl Policy for Searching<'_> {
    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars) {
        self.0.scalars(step, steps, scalars);
    }
}

impl Policy for Finishing<'_> {
    fn scalars(&self, _: u64, _: u64, scalars: &mut StepScalars) {
        self.0.finish_scalars(scalars);
    }
}
