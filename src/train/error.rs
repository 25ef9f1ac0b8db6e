//! Why a run ends without a result.

use super::forecast::{ForecastError, Shortage};
use crate::data::DataError;
use crate::gpu::GpuError;
use crate::models::ModelError;
use crate::run::checkpoint::CheckpointError;
use crate::run::folder::RunFolderError;
use crate::run::mark::Phase;
use crate::run::metrics::MetricsError;
use crate::run::model_file::ModelFileError;
use crate::settings::layers::ConfigError;
use crate::step::StepError;

/// Why a run ends without a result.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The architecture.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The run folder.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A model within a checkpoint.
    #[error(transparent)]
    ModelFile(#[from] ModelFileError),
    /// The log.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A value that is infinite or not a number.
    #[error(
        "training went astray: {what} at step {step} of the {phase} phase is not finite\n\
         {checkpoint}; begin a new run with a lower learning rate, --set {phase}.rate=… (now {rate})"
    )]
    NotFinite {
        /// Layer and direction.
        what: String,
        /// Step within the phase.
        step: u32,
        /// Phase.
        phase: Phase,
        /// Where the last good checkpoint is.
        checkpoint: String,
        /// The phase's learning rate.
        rate: f32,
    },
    /// An evaluation that comes to nothing.
    #[error(
        "the evaluation of {which} is worth nothing: its loss is not finite, since {culprit} is not\n\
         {advice}"
    )]
    Worthless {
        /// Which network, on which images.
        which: String,
        /// What is to blame.
        culprit: String,
        /// What to do.
        advice: String,
    },
    /// A network that guesses where its teacher knew.
    #[error(
        "the {phase} phase has blown up: after epoch {epoch} the network guesses ({top1:.1} % of the \
         held-out images, its teacher {teacher:.1} %){site}\n\
         {checkpoint}; begin a new run with {advice}, or with a lower learning rate, \
         --set {phase}.rate=… (now {rate})"
    )]
    Collapsed {
        /// Phase.
        phase: Phase,
        /// Epoch of the phase, from 1.
        epoch: u64,
        /// Validation accuracy in percent.
        top1: f64,
        /// The teacher's.
        teacher: f64,
        /// Where inputs grow most, as a clause.
        site: String,
        /// What else might help.
        advice: &'static str,
        /// Where the last good checkpoint is.
        checkpoint: String,
        /// The phase's learning rate.
        rate: f32,
    },
    /// More memory than there is.
    #[error("{0}")]
    Shortage(Box<Shortage>),
    /// Settings that do not fit the data or each other.
    #[error("{0}")]
    Unusable(String),
}

impl From<ForecastError> for TrainError {
    fn from(error: ForecastError) -> Self {
        match error {
            ForecastError::Gpu(error) => TrainError::Gpu(error),
            ForecastError::Shortage(shortage) => TrainError::Shortage(shortage),
            parts @ ForecastError::Parts { .. } => TrainError::Unusable(parts.to_string()),
        }
    }
}

impl From<StepError> for TrainError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Gpu(error) => TrainError::Gpu(error),
            StepError::Data(error) => TrainError::Data(error),
            StepError::RanOut => TrainError::Unusable(error.to_string()),
        }
    }
}
