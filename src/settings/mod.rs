//! Every setting of a run, with its default: what `config.toml` holds and `--set` changes.

/// Settings from files, options and presets, laid over the defaults key by key.
pub mod layers;
/// Settings by name: the rows of the paper, the authors' own, a fast teacher.
pub mod presets;

use crate::data::{Crop, Placement};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Most images of a batch: a workgroup for each fits into a row of a grid.
pub const MOST_BATCH: usize = 65_535;

/// All settings of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Settings {
    /// `builtin` or a folder.
    pub data: String,
    /// Scale images to this many pixels on each side; 0: as they are.
    pub image_size: u32,
    /// Use at most this many training images, drawn evenly from the classes; 0: all.
    pub train_images: usize,
    /// Share of the training images held out for every choice the program makes.
    pub validation: f64,
    /// Train on these, too, and choose nothing by them: the last run, once all is chosen.
    pub all_images: bool,
    /// Architecture.
    pub model: String,
    /// Multiplier of its channel counts.
    pub width: f64,
    /// Seed of everything random.
    pub seed: u32,
    /// Images of a training step.
    pub batch: usize,
    /// Parts of a batch that go through the network one after the other, to save memory: batch
    /// norm sees one part at a time. 0: as few as the adapter's buffers allow.
    pub micro_batches: usize,
    /// Compute activations again in the backward pass instead of keeping them: saves up to a third
    /// of the memory, for about 2 % of the time.
    pub recompute: bool,
    /// GiB of device memory that a run may take: it is planned before it begins, and refused if it
    /// needs more. 0: what the adapter gives.
    pub memory_gib: f64,
    /// Where training images are kept: auto, resident (on the device), stream (in their files).
    pub placement: Placement,
    /// `auto` keeps them on the device up to this many GiB.
    pub resident_gib: f64,
    /// How kernels are tiled: auto, cpu, portable, large.
    pub kernels: String,
    /// Time the variants of a kernel where there are several, once per adapter and shape, and use
    /// the fastest. The variants give the same results.
    pub tune: bool,
    /// Largest global gradient norm; 0: no clipping.
    pub clip: f32,
    /// Minutes between checkpoints within an epoch; every epoch ends with one.
    pub checkpoint_minutes: f64,
    /// How training images are varied.
    pub augment: Augment,
    /// The all-ReLU network.
    pub teacher: Teacher,
    /// The search for the ReLUs worth keeping.
    pub search: Search,
    /// Training after the masks are fixed.
    pub finish: Finish,
}

/// How training images are varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Augment {
    /// Black pixels around the image before a random crop; -1: an eighth of its side.
    pub pad: i32,
    /// What training sees of an image: shift (all of it, moved by up to `pad` pixels) or resized
    /// (a random rectangle, scaled).
    pub crop: Crop,
    /// Mirror images at random.
    pub flip: bool,
    /// Instead of at random, mirror each image in every other epoch.
    pub alternate: bool,
    /// Side of a square hole; 0: none.
    pub cutout: u32,
}

/// The teacher phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Teacher {
    /// A run folder or checkpoint with a trained teacher; empty: train one.
    pub from: PathBuf,
    /// Passes over the training images.
    pub epochs: usize,
    /// Optimiser and its rates.
    #[serde(flatten)]
    pub descent: Descent,
    /// Label smoothing.
    pub smoothing: f32,
}

/// The search phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Search {
    /// How ReLUs are chosen: a name out of `search::methods`.
    pub method: String,
    /// What is kept or dropped as one: element, channel, site.
    pub granularity: Granularity,
    /// What may be kept: of ReLUs a count (`4915`, `12.9k`) or a share (`10%`); at the prices of
    /// a protocol bytes (`400kB`), rounds (`15rounds`) or time (`20ms`) for an image.
    pub budget: String,
    /// What is scarce: `relu`, or a protocol of private inference (`autorep cost` lists them) or
    /// a file that describes one.
    pub cost: String,
    /// The network between the parties, for budgets of time: lan, wan, or `100mbit,20ms`.
    pub link: String,
    /// Passes over the training images.
    pub epochs: usize,
    /// Optimiser and its rates.
    #[serde(flatten)]
    pub descent: Descent,
    /// How scores become masks in a search by AutoReP: threshold, or penalty (as published).
    pub selection: Selection,
    /// How fast scores move: by `threshold` the weight of the newest step in what they average, by
    /// `penalty` their learning rate; 0: from the number of steps.
    pub score_rate: f32,
    /// Hysteresis threshold t of the published selection.
    pub threshold: f32,
    /// λ: weight of the published selection's penalty on ReLUs above the target.
    pub lambda: f32,
    /// Share of the search over which the target falls from all ReLUs to the budget; 0: the
    /// target is the budget from the start, as published.
    pub anneal: f64,
    /// What replaces a ReLU.
    pub polynomial: Polynomial,
    /// Degree of the polynomial: 1 or 2.
    pub degree: usize,
    /// Factor on the quadratic term of `official` polynomials.
    pub scale_x2: f64,
    /// Trained quadratic terms stay within this multiple of the fit to the running moments; 0:
    /// no limit.
    pub curvature_limit: f64,
    /// Steps between refits of the polynomials.
    pub refit_every: u32,
    /// Share of the search after which polynomials are trained instead of refitted.
    pub refit_until: f64,
    /// Weight of the penalty on what `hermite` polynomials are given from too far away, in the mean
    /// of all elements of a site: what lies there is squared from layer to layer.
    pub range_penalty: f32,
    /// How far is too far, in standard deviations of the channel.
    pub range_limit: f32,
    /// How far one batch moves the running statistics of batch norms at most where there are `hermite`
    /// polynomials: as if it had so many times their variance; 0: no limit.
    pub statistics_limit: f32,
    /// Weight of distillation from the teacher.
    pub distill: f32,
    /// Distillation temperature.
    pub temperature: f32,
    /// Lookahead: steps between synchronisations; 0: off.
    pub lookahead_every: u32,
    /// Lookahead: pull of the slow weights.
    pub lookahead: f32,
}

/// The finish phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Finish {
    /// Passes over the training images.
    pub epochs: usize,
    /// Optimiser and its rates.
    #[serde(flatten)]
    pub descent: Descent,
    /// Weight averaging: time constant in epochs of the average that is evaluated and kept; 0:
    /// off.
    pub average_epochs: f64,
}

/// What is kept or dropped as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// One position of one channel.
    Element,
    /// All positions of a channel.
    Channel,
    /// All of an activation layer.
    Site,
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Granularity::Element => "element",
            Granularity::Channel => "channel",
            Granularity::Site => "site",
        })
    }
}

/// How scores become masks in a search by AutoReP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// A score says what the loss would rise by without the ReLU; those worth most are kept, as many
    /// as the target pays for.
    Threshold,
    /// The paper's: scores drawn at random move by Adam along the loss and a penalty on what is above
    /// the target.
    Penalty,
}

/// What replaces a ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Polynomial {
    /// The least-squares fit to the measured distribution.
    Exact,
    /// The published code's variant of it.
    Official,
    /// Normalised Hermite polynomials, bounded by how their inputs spread, however many layers
    /// follow each other.
    Hermite,
    /// y = x, untrained.
    Identity,
}

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent with Nesterov momentum.
    Sgd,
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// How a learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fall {
    /// Along half a cosine.
    Cosine,
    /// Evenly: with a warm-up, a triangle.
    Linear,
}

/// An optimiser with its rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Descent {
    /// Which.
    pub optimizer: Optimizer,
    /// Largest learning rate.
    pub rate: f32,
    /// Learning rate at the end, as a share of the largest.
    pub final_rate: f32,
    /// Share of the steps over which the rate rises.
    pub warmup: f32,
    /// How it falls then: cosine, or linear.
    pub fall: Fall,
    /// Weight decay.
    pub decay: f32,
    /// Momentum of SGD, β₁ of Adam.
    pub momentum: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: "builtin".into(),
            image_size: 0,
            train_images: 0,
            validation: 0.1,
            all_images: false,
            model: "resnet18".into(),
            width: 1.0,
            seed: 0,
            batch: 128,
            micro_batches: 0,
            recompute: false,
            memory_gib: 0.0,
            placement: Placement::Auto,
            resident_gib: 4.0,
            kernels: "auto".into(),
            tune: true,
            clip: 5.0,
            checkpoint_minutes: 5.0,
            augment: Augment::default(),
            teacher: Teacher::default(),
            search: Search::default(),
            finish: Finish::default(),
        }
    }
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            pad: -1,
            crop: Crop::Shift,
            flip: true,
            alternate: false,
            cutout: 0,
        }
    }
}

impl Default for Descent {
    fn default() -> Self {
        Self {
            optimizer: Optimizer::Adam,
            rate: 1e-3,
            final_rate: 0.01,
            warmup: 0.0,
            fall: Fall::Cosine,
            decay: 0.0,
            momentum: 0.9,
        }
    }
}

impl Default for Teacher {
    fn default() -> Self {
        Self {
            from: PathBuf::new(),
            epochs: 30,
            descent: Descent {
                optimizer: Optimizer::Sgd,
                rate: 0.1,
                final_rate: 0.001,
                warmup: 0.15,
                fall: Fall::Cosine,
                decay: 5e-4,
                momentum: 0.9,
            },
            smoothing: 0.0,
        }
    }
}

impl Default for Search {
    fn default() -> Self {
        Self {
            method: "autorep".into(),
            granularity: Granularity::Element,
            cost: "relu".into(),
            link: "lan".into(),
            budget: "10%".into(),
            epochs: 20,
            descent: Descent::default(),
            selection: Selection::Threshold,
            score_rate: 0.0,
            threshold: 0.003,
            lambda: 100.0,
            anneal: 0.6,
            polynomial: Polynomial::Hermite,
            degree: 2,
            scale_x2: 0.1,
            curvature_limit: 2.0,
            refit_every: 10,
            refit_until: 0.3,
            range_penalty: 1.0,
            range_limit: 4.0,
            statistics_limit: 4.0,
            distill: 1.0,
            temperature: 4.0,
            lookahead_every: 0,
            lookahead: 0.5,
        }
    }
}

impl Default for Finish {
    fn default() -> Self {
        Self {
            epochs: 15,
            descent: Descent::default(),
            average_epochs: 0.0,
        }
    }
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} = {value}: {reason}")]
pub struct SettingsError {
    /// The setting, as `--set` names it.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it should be.
    pub reason: String,
}

fn check(
    holds: bool,
    name: &'static str,
    value: impl fmt::Display,
    reason: &str,
) -> Result<(), SettingsError> {
    if holds {
        return Ok(());
    }
    Err(SettingsError {
        name,
        value: value.to_string(),
        reason: reason.to_owned(),
    })
}

impl Descent {
    fn validate(&self, rate: &'static str, rest: &'static str) -> Result<(), SettingsError> {
        let positive = self.rate > 0.0 && self.rate.is_finite();
        check(positive, rate, self.rate, "must be a positive number")?;
        let shares = [self.final_rate, self.warmup, self.momentum];
        let in_unit = shares.iter().all(|v| (0.0..=1.0).contains(v)) && self.momentum < 1.0;
        check(
            in_unit && self.decay >= 0.0 && self.decay.is_finite(),
            rest,
            format!("{self:?}"),
            "final-rate, warmup and momentum lie in 0…1 (momentum below 1), decay is not negative",
        )
    }
}

impl Settings {
    /// Bytes of device memory that the run may take, where that is set.
    pub fn memory_limit(&self) -> Option<u64> {
        (self.memory_gib > 0.0).then_some((self.memory_gib * f64::from(1u32 << 30)) as u64)
    }

    /// Share of the training images that are trained on.
    pub fn trained_share(&self) -> f64 {
        match self.all_images {
            true => 1.0,
            false => 1.0 - self.validation,
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first setting that cannot be, with what it should be.
    pub fn validate(&self) -> Result<(), SettingsError> {
        check(
            (0.0..=0.9).contains(&self.validation) && self.validation > 0.0,
            "validation",
            self.validation,
            "must lie above 0 and at most 0.9: the program never chooses on the test images",
        )?;
        check(
            (1..=MOST_BATCH).contains(&self.batch),
            "batch",
            self.batch,
            "must lie in 1…65535",
        )?;
        check(
            self.clip >= 0.0 && self.clip.is_finite(),
            "clip",
            self.clip,
            "must be 0 (off) or a positive number",
        )?;
        check(
            self.checkpoint_minutes > 0.0 && self.checkpoint_minutes.is_finite(),
            "checkpoint-minutes",
            self.checkpoint_minutes,
            "must be a positive number",
        )?;
        check(
            self.memory_gib >= 0.0 && self.memory_gib.is_finite(),
            "memory-gib",
            self.memory_gib,
            "must be 0 (what the adapter gives) or a positive number",
        )?;
        check(
            self.resident_gib >= 0.0 && self.resident_gib.is_finite(),
            "resident-gib",
            self.resident_gib,
            "must be 0 or a positive number",
        )?;
        check(
            (-1..=4096).contains(&self.augment.pad),
            "augment.pad",
            self.augment.pad,
            "must be -1 (an eighth of the image) or a number of pixels",
        )?;
        let most = 100_000;
        let epochs = [
            ("teacher.epochs", self.teacher.epochs),
            ("search.epochs", self.search.epochs),
            ("finish.epochs", self.finish.epochs),
        ];
        for (name, value) in epochs {
            check(value <= most, name, value, "must lie in 0…100000")?;
        }
        check(
            self.teacher.epochs > 0 || !self.teacher.from.as_os_str().is_empty(),
            "teacher.epochs",
            0,
            "must be at least 1 unless teacher.from names a trained one",
        )?;
        check(
            (0.0..1.0).contains(&self.teacher.smoothing),
            "teacher.smoothing",
            self.teacher.smoothing,
            "must lie in 0…1",
        )?;
        self.teacher.descent.validate("teacher.rate", "teacher")?;
        self.search.descent.validate("search.rate", "search")?;
        self.finish.descent.validate("finish.rate", "finish")?;
        check(
            self.finish.average_epochs >= 0.0 && self.finish.average_epochs.is_finite(),
            "finish.average-epochs",
            self.finish.average_epochs,
            "must be 0 or a positive number",
        )?;
        self.search.validate()
    }
}

impl Search {
    fn validate(&self) -> Result<(), SettingsError> {
        check(
            (1..=2).contains(&self.degree),
            "search.degree",
            self.degree,
            "must be 1 or 2",
        )?;
        let not_negative = [
            ("search.score-rate", self.score_rate),
            ("search.threshold", self.threshold),
            ("search.lambda", self.lambda),
            ("search.range-penalty", self.range_penalty),
            ("search.range-limit", self.range_limit),
            ("search.statistics-limit", self.statistics_limit),
            ("search.distill", self.distill),
            ("search.curvature-limit", self.curvature_limit as f32),
            ("search.scale-x2", (self.scale_x2 as f32).abs()),
        ];
        for (name, value) in not_negative {
            check(
                value >= 0.0 && value.is_finite(),
                name,
                value,
                "must be 0 or a positive number",
            )?;
        }
        check(
            self.temperature > 0.0 && self.temperature.is_finite(),
            "search.temperature",
            self.temperature,
            "must be positive",
        )?;
        check(
            (0.0..=1.0).contains(&self.anneal),
            "search.anneal",
            self.anneal,
            "must lie in 0…1",
        )?;
        check(
            (0.0..=1.0).contains(&self.refit_until),
            "search.refit-until",
            self.refit_until,
            "must lie in 0…1",
        )?;
        check(
            self.refit_every > 0,
            "search.refit-every",
            self.refit_every,
            "must be at least 1",
        )?;
        check(
            (0.0..=1.0).contains(&self.lookahead),
            "search.lookahead",
            self.lookahead,
            "must lie in 0…1",
        )?;
        check(
            self.scale_x2.is_finite(),
            "search.scale-x2",
            self.scale_x2,
            "must be a number",
        )
    }
}
