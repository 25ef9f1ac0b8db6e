//! The run folder and all that lies in it: through it everything that happens after a run
//! speaks of the run.
//!
//! ```text
//! runs/NAME/
//!   config.toml               the settings, defaults included
//!   metrics.jsonl             one record a line            (see [`metrics`])
//!   events.out.tfevents.*     the same scalars             (see [`tensorboard`])
//!   checkpoints/*.safetensors weights and optimiser state  (see [`store`] and [`checkpoint`])
//!   summary.json              the result                   (see [`summary`])
//!   report.html               the result, to look at
//! ```

/// One checkpoint: a safetensors file, checked whenever it is loaded.
pub mod checkpoint;
/// The folder itself: who may write to it, and what it holds.
pub mod folder;
/// Weights that were trained elsewhere.
pub mod foreign_weights;
/// How far a run has come.
pub mod mark;
/// `metrics.jsonl` and its mirror for TensorBoard.
pub mod metrics;
/// A model within a checkpoint.
pub mod model_file;
/// The checkpoints of a run: which of them stay.
pub mod store;
/// `summary.json`.
pub mod summary;
/// Values with a type and a shape, as they lie in files.
/// TensorBoard's event files: scalars only.
pub mod tensorboard;
