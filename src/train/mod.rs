//! The loop around the steps: phases, schedules, what a run needs before it begins and while it
//! goes on.
//!
//! This room trains whatever network it is given, by whatever policy sets the scalars of a
//! step; the paper lives in [`crate::search`].

/// The memory of a run, planned before it begins.
pub mod forecast;
/// Ctrl-C and termination, turned into a question the training loop can ask.
pub mod interrupt;
/// One phase: epochs, validation, checkpoints.
pub mod phase;
/// Learning rates and the order of images.
pub mod schedule;
/// What all phases of a run share.
pub mod trainer;
