//! What the device is asked to do again and again: a training step and an evaluation. All that a
//! step needs is compiled, allocated and bound here, once; nothing is allocated and nothing is
//! waited for inside a step.
//!
//! A training step is compiled from its [`spec`] in three parts: what is [`carried`] from step to
//! step, the `passes` over a batch, and the `update` at the end. Between them lies the memory
//! of the `wiring`; the `assembler` lays their dispatches on tapes.

/// What a step consists of, and what memory it takes.
pub mod account;
mod assembler;
/// What training carries from step to step beside the network itself.
pub mod carried;
/// Why a step cannot be taken.
pub mod error;
/// An evaluation, compiled once.
pub mod evaluate;
/// The images of an epoch, step by step.
pub mod feed;
mod passes;
/// How a step trains scores, for masks to follow them.
pub mod scoring;
/// What a training step, or an evaluation, is to consist of.
pub mod spec;
/// A training step, compiled once.
pub mod train;
mod update;
/// The memory between the parts of a step.
pub mod wiring;

pub use error::StepError;
pub use evaluate::{EvalProgram, Evaluation};
pub use scoring::{AUTOREP, Scoring, SquareScoring};
pub use spec::{EvalSpec, TrainSpec, Variation};
pub use train::TrainProgram;
pub use wiring::MOST_UNREAD;
