//! What can go wrong before anything runs.

use super::source::{Slot, SourcePlace};

/// Why an entry point was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// There is no such compute entry point.
    #[error("the module has no compute entry point `{name}`")]
    NoEntry {
        /// The name that was asked for.
        name: String,
    },
    /// The emulator does not know something that the shader uses.
    #[error("{place}: the emulator does not know {what}")]
    Unknown {
        /// What it is.
        what: String,
        /// Where it is used.
        place: SourcePlace,
    },
    /// Inlined, the shader is too long.
    #[error("more than {most} instructions once calls are inlined")]
    TooLarge {
        /// The limit.
        most: usize,
    },
}

impl CompileError {
    pub(super) fn unknown(what: impl Into<String>) -> Self {
        Self::Unknown {
            what: what.into(),
            place: SourcePlace::default(),
        }
    }
}

/// Why a program was not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Nothing is bound where the shader has a variable.
    #[error("nothing is bound to {slot} (`{name}`)")]
    Unbound {
        /// The variable.
        name: String,
        /// Where it should be bound.
        slot: Slot,
    },
    /// What is bound is too small, or no whole number of words or texels.
    #[error("{bytes} bytes are bound to {slot} (`{name}`): {reason}")]
    Size {
        /// The variable.
        name: String,
        /// Where it is bound.
        slot: Slot,
        /// Bytes that are bound.
        bytes: usize,
        /// What was expected.
        reason: String,
    },
    /// It takes longer than it may.
    #[error(
        "the dispatch takes more than {most} instructions: try fewer workgroups, or smaller buffers"
    )]
    TooLong {
        /// The limit.
        most: u64,
    },
    /// The settings of a run make no sense.
    #[error("{0}")]
    Settings(String),
}
