//! Phases, optimisers, schedules, metrics, checkpoints, the run folder.
//!
//! This room trains whatever network it is given, by whatever policy sets the scalars of a
//! step; the paper lives in [`crate::search`].

/// What a step consists of and what memory it takes.
pub mod account;
/// Checkpoints: safetensors files, checked on every load, rotated while a run goes on.
pub mod checkpoint;
/// Settings from a file and from the command line.
pub mod config;
/// Ctrl-C and termination, turned into a question the training loop can ask.
pub mod feed;
/// The memory of a run, planned before it begins.
pub mod forecast;
/// Weights that were trained elsewhere.
pub mod import;
pub mod interrupt;
/// `metrics.jsonl` and its mirror for TensorBoard.
pub mod metrics;
/// A model within a checkpoint.
pub mod model_file;
/// One phase: epochs, validation, checkpoints.
pub mod phase;
/// A training step and an evaluation, compiled once.
pub mod presets;
pub mod program;
/// The run folder: who may write to it, and how a file comes to be there whole.
pub mod run_folder;
/// Learning rates and the order of images.
pub mod schedule;
/// Every setting of a run, with its default.
pub mod settings;
/// TensorBoard event files: scalars only.
pub mod tensorboard;
/// What all phases of a run share.
pub mod trainer;
