//! (to be written)

/// Checkpoints: safetensors files, checked on every load, rotated while a run goes on.
pub mod checkpoint;
/// Ctrl-C and termination, turned into a question the training loop can ask.
pub mod interrupt;
/// `metrics.jsonl` and its mirror for TensorBoard.
pub mod metrics;
/// The run folder: who may write to it, and how a file comes to be there whole.
pub mod run_folder;
/// TensorBoard event files: scalars only.
pub mod tensorboard;
