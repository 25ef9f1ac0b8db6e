//! The loop around the steps: phases, schedules, and what a run needs before it begins and while
//! it goes on.
//!
//! This room trains whatever network it is given, by whatever policy sets the scalars of a
//! step; the paper lives in [`crate::search`].

/// What decides the bits of a run, and what of it changed.
pub mod circumstances;
/// Why a run ends without a result.
pub mod error;
/// The memory of a run, planned before it begins.
pub mod forecast;
/// How wide the inputs of the sites spread, and whether they run away.
pub mod health;
/// The data set that the settings name, and which of its images are trained on.
pub mod images;
/// Ctrl-C and termination, turned into a question the training loop can ask.
pub mod interrupt;
mod journal;
/// One phase: epochs, validation, checkpoints.
pub mod phase;
mod progress;
/// Learning rates and the order of images.
pub mod schedule;
/// What a phase is.
pub mod spec;
mod standing;
/// What all phases of a run share.
pub mod trainer;

pub use error::TrainError;
pub use trainer::Trainer;
