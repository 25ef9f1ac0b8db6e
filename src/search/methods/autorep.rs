//! AutoReP (ICCV 2023): scores with hysteresis, beside polynomials that follow the distribution
//! of their inputs.

use super::method::{Method, Polynomials};
use crate::graph::{Activations, Layout, Tensors};
use crate::kernels::indicator::Rule;
use crate::kernels::step::StepScalars;
use crate::search::strategy::{Strategy, Task};
use crate::search::{budget, dapa, indicator};
use crate::settings::Polynomial;
use crate::train::schedule::cosine;

pub(super) const METHOD: Method = Method {
    name: "autorep",
    title: "AutoReP",
    summary: "the paper: scores with hysteresis, trained with the network",
    polynomials: Polynomials::Fitted,
    chooses_squares: true,
    searches: true,
    make: |task| Box::new(AutoRep { task }),
};

/// The paper's method: cross-entropy, distillation, and a penalty on what is above the target.
pub struct AutoRep {
    /// What it is given.
    pub task: Task,
}

impl Strategy for AutoRep {
    fn searching(&self) -> Activations {
        dapa::activations(&self.task.settings)
    }

    fn finishing(&self) -> Activations {
        self.searching()
    }

    fn begin(&self, tensors: &mut Tensors, layout: &Layout, seed: u32) {
        indicator::begin(tensors, layout, seed);
        dapa::begin(tensors, layout);
    }

    fn rule(&self) -> Option<Rule> {
        Some(Rule::Hysteresis)
    }

    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars) {
        let Task {
            settings,
            score_rate,
            full,
            budget,
        } = &self.task;
        self.finish_scalars(scalars);
        let fits = settings.polynomial != Polynomial::Identity;
        if fits {
            let moments_begin = u32::from(step == 0) << 1;
            scalars.refit = u32::from(dapa::refits(settings, step, steps)) | moments_begin;
            if step < dapa::refit_steps(settings, steps) {
                scalars.rate[3] = 0.0;
            }
        }
        let progress = step as f64 / steps.max(1) as f64;
        scalars.score_rate = score_rate * cosine(progress, 0.01) as f32;
        scalars.threshold = settings.threshold;
        scalars.penalty = self.task.penalty();
        scalars.budget = budget::target(step, steps, *full, *budget, settings.anneal) as f32;
        let every = u64::from(settings.lookahead_every);
        if every > 0 && (step + 1).is_multiple_of(every) {
            scalars.lookahead = settings.lookahead;
        }
    }

    fn finish_scalars(&self, scalars: &mut StepScalars) {
        self.task.distil(scalars);
        if self.task.settings.polynomial == Polynomial::Identity {
            // The fourth group are the polynomials; the identity is not trained.
            scalars.rate[3] = 0.0;
        }
    }
}
