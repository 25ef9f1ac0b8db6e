//! What the device is asked to do again and again: a training step, and an evaluation.

/// What a step consists of, and what memory it takes.
pub mod account;
/// The images of an epoch, step by step.
pub mod feed;
pub mod program;
