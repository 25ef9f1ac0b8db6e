//! AutoReP (ICCV 2023): masks that are trained with the network, straight through, beside polynomials
//! that follow the distribution of their inputs.
//!
//! As published a penalty on what is above the target goes through Adam with the gradient of the loss.
//! It is the same for every mask and by far the larger of the two, so that all scores fall alike and
//! the draw that they began with decides what stays. Here it is what it amounts to, a threshold that
//! all scores share; and a score is what the same gradient says that the loss would rise by without
//! the ReLU. docs/search.md has the figures.

use super::method::{Method, Polynomials};
use crate::graph::{Activations, Layout, Tensors};
use crate::kernels::indicator::Rule;
use crate::kernels::step::StepScalars;
use crate::search::strategy::{Strategy, Task};
use crate::search::{budget, dapa, indicator};
use crate::settings::{Polynomial, Selection};
use crate::train::schedule::cosine;

pub(super) const METHOD: Method = Method {
    name: "autorep",
    title: "AutoReP",
    summary: "what the loss would rise by without it, masks trained with the network",
    polynomials: Polynomials::Fitted,
    chooses_squares: true,
    searches: true,
    make: |task| Box::new(AutoRep { task }),
};

/// Cross-entropy and distillation under masks that meet a falling target.
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
        match self.task.settings.selection {
            Selection::Threshold => indicator::forget(tensors, layout),
            Selection::Penalty => indicator::draw(tensors, layout, seed),
        }
        dapa::begin(tensors, layout);
    }

    fn rule(&self) -> Option<Rule> {
        Some(match self.task.settings.selection {
            Selection::Threshold => Rule::Taylor,
            Selection::Penalty => Rule::Hysteresis,
        })
    }

    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars) {
        let settings = &self.task.settings;
        self.finish_scalars(scalars);
        let fits = settings.polynomial != Polynomial::Identity;
        if fits {
            let moments_begin = u32::from(step == 0) << 1;
            scalars.refit = u32::from(dapa::refits(settings, step, steps)) | moments_begin;
            if step < dapa::refit_steps(settings, steps) {
                scalars.rate[3] = 0.0;
            }
        }
        match settings.selection {
            Selection::Threshold => {
                scalars.score_rate = indicator::weight(settings.score_rate, steps);
                scalars.penalty = self.task.share();
            }
            Selection::Penalty => {
                let progress = step as f64 / steps.max(1) as f64;
                let rate = indicator::rate(settings.score_rate, steps);
                scalars.score_rate = rate * cosine(progress, 0.01) as f32;
                scalars.threshold = settings.threshold;
                scalars.penalty = self.task.penalty();
            }
        }
        let (full, budget) = (self.task.full, self.task.budget);
        scalars.budget = budget::target(step, steps, full, budget, settings.anneal) as f32;
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
