//! AutoReP as a policy: what it asks of each step of a search.

use super::{budget, dapa};
use crate::kernels::step::StepScalars;
use crate::train::phase::Policy;
use crate::train::schedule::cosine;
use crate::train::settings::{Polynomial, Search};

/// The search phase: cross-entropy, distillation, and the penalty on ReLUs above the target.
pub struct Searching<'a> {
    /// The settings of the search.
    pub settings: &'a Search,
    /// ReLUs of the network.
    pub total: usize,
    /// ReLUs to keep.
    pub budget: usize,
    /// Largest learning rate of the scores.
    pub score_rate: f32,
}

/// The finish phase: the same without scores; masks stay as they are.
pub struct Finishing<'a> {
    /// The settings of the search.
    pub settings: &'a Search,
}

fn distil(settings: &Search, scalars: &mut StepScalars) {
    scalars.kd_weight = settings.distill;
    scalars.temperature = settings.temperature;
    if settings.polynomial == Polynomial::Identity {
        // The fourth group are the polynomials; the identity is not trained.
        scalars.rate[3] = 0.0;
    }
}

impl Policy for Searching<'_> {
    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars) {
        let settings = self.settings;
        distil(settings, scalars);
        let fits = settings.polynomial != Polynomial::Identity;
        if fits && step < dapa::refit_steps(settings, steps) {
            scalars.rate[3] = 0.0;
            let moments_begin = u32::from(step == 0) << 1;
            scalars.refit = u32::from(dapa::refits(settings, step, steps)) | moments_begin;
        }
        let progress = step as f64 / steps.max(1) as f64;
        scalars.score_rate = self.score_rate * cosine(progress, 0.01) as f32;
        scalars.threshold = settings.threshold;
        scalars.penalty = settings.lambda / self.total as f32;
        scalars.budget =
            budget::target(step, steps, self.total, self.budget, settings.anneal) as u32;
        let every = u64::from(settings.lookahead_every);
        if every > 0 && (step + 1).is_multiple_of(every) {
            scalars.lookahead = settings.lookahead;
        }
    }
}

impl Policy for Finishing<'_> {
    fn scalars(&self, _: u64, _: u64, scalars: &mut StepScalars) {
        distil(self.settings, scalars);
    }
}
