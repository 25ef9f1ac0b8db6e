//! What a phase is.

use super::forecast::Footprint;
use super::schedule::rate;
use super::trainer::Trainer;
use crate::graph::Activations;
use crate::graph::Arenas;
use crate::kernels::squares::Group;
use crate::kernels::step::StepScalars;
use crate::run::mark::Phase;
use crate::run::model_file::Sites;
use crate::settings::Descent;
use crate::step::Scoring;

/// Sets the scalars of a step that belong to the method, not to the optimiser.
pub trait Policy {
    /// Called before step `step` of `steps`; rates and bias corrections are set already.
    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars);
}

/// What a phase is.
pub struct PhaseSpec<'a> {
    /// Its name.
    pub phase: Phase,
    /// Passes over the training images.
    pub epochs: usize,
    /// Steps of the run before this phase.
    pub steps_before: u64,
    /// Optimiser and rates.
    pub descent: &'a Descent,
    /// The rest of a step's scalars.
    pub policy: &'a dyn Policy,
    /// What the activation sites do.
    pub activations: Activations,
    /// The network to distil from.
    pub teacher: Option<&'a Arenas>,
    /// Validation accuracy, 0 to 1, of the network that this one comes from; `None` for the first.
    pub teacher_top1: Option<f64>,
    /// How scores are trained, for masks to follow them; `None` leaves masks as they are.
    pub search: Option<&'a Scoring>,
    /// Channels of which some are lines, and stay so.
    pub lines: &'a [Group],
    /// Whether Lookahead's slow weights exist.
    pub lookahead: bool,
    /// Time constant of the averaged weights in epochs; 0: none.
    pub average_epochs: f64,
    /// Whether the epoch with the best validation accuracy is the result (else the last).
    pub keep_best: bool,
    /// Whether the network that the phase begins with is one of those: what only harms is left out.
    pub start_counts: bool,
}

impl PhaseSpec<'_> {
    /// What the sites of this phase's checkpoints do.
    pub(super) fn sites(&self) -> Sites {
        match self.activations {
            Activations::Relu => Sites::Relu,
            Activations::Gate { slopes: false, .. } => Sites::Gate,
            Activations::Gate { slopes: true, .. } => Sites::Slopes,
        }
    }

    /// What decides how much memory it takes.
    pub(super) fn footprint(&self) -> Footprint {
        Footprint {
            phase: self.phase,
            activations: self.activations,
            optimizer: self.descent.optimizer,
            distil: self.teacher.is_some(),
            search: self.search.is_some(),
            lookahead: self.lookahead,
            averaging: self.average_epochs > 0.0,
        }
    }

    /// What an epoch of the phase is called in random streams: other phases draw others, also where
    /// they begin in a run of their own.
    pub(super) fn epoch_key(&self, epoch: u64) -> u32 {
        ((self.phase as u32) << 24) + epoch as u32
    }

    /// The scalars of step `step`.
    pub(super) fn scalars(&self, trainer: &Trainer, step: u64, steps: u64) -> StepScalars {
        let per_epoch = trainer.steps_per_epoch().max(1);
        let descent = self.descent;
        let lr = rate(descent, step, steps);
        // Adam's corrections; 1 − βᵗ is 1 in f32 long before the power underflows.
        let beta2 = 0.999f32;
        let powers = |beta: f32| (1.0 - f64::from(beta).powf(step as f64 + 1.0)) as f32;
        let mut scalars = StepScalars {
            rate: [lr; 4],
            // Scales, shifts and polynomials are not pulled towards zero.
            decay: [descent.decay, 0.0, 0.0, 0.0],
            step: step as u32,
            seed: trainer.settings.seed,
            epoch: self.epoch_key(step / per_epoch),
            first: ((step % per_epoch) * trainer.batch() as u64) as u32,
            count: trainer.batch() as u32,
            augment: 1 + u32::from(trainer.settings.augment.alternate),
            beta1: descent.momentum,
            beta2,
            correction1: powers(descent.momentum),
            correction2: powers(beta2),
            clip: trainer.settings.clip,
            ..Default::default()
        };
        if self.average_epochs > 0.0 {
            // The mean of the first steps, then an exponential average.
            let window = (self.average_epochs * per_epoch as f64).max(1.0);
            scalars.averaging = (1.0 / window).max(1.0 / (step as f64 + 1.0)) as f32;
        }
        self.policy.scalars(step, steps, &mut scalars);
        scalars
    }
}

/// The policy of a phase that needs nothing but its optimiser.
pub struct Supervised {
    /// Label smoothing.
    pub smoothing: f32,
}

impl Policy for Supervised {
    fn scalars(&self, _: u64, _: u64, scalars: &mut StepScalars) {
        scalars.smoothing = self.smoothing;
    }
}
