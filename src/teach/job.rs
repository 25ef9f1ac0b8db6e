//! What a server asks of the process that runs a visitor's text, and what that one answers.

use super::case::Case;
use super::catalog::Catalog;
use super::convolutions;
use super::device::Measured;
use super::judge::Emulated;
use super::puzzles;
use super::wgsl::Message;
use serde::{Deserialize, Serialize};

/// A text to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What it is for.
    pub kind: Kind,
    /// The puzzle's or the kernel's name.
    pub name: String,
    /// The visitor's WGSL.
    pub source: String,
}

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A puzzle's solution.
    Puzzle,
    /// A kernel of the program, changed.
    Kernel,
    /// A version of the convolution, as it is, to be timed: its text counts for nothing.
    Convolution,
}

/// A line of the answer: what is known so far survives what comes after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// The compiler refuses the text.
    Refused(Message),
    /// What the emulator found.
    Emulated(Box<Emulated>),
    /// What the adapter made of it.
    Measured(Box<Measured>),
    /// Why the adapter was not asked, or what it said.
    Unmeasured(String),
}

impl Job {
    /// What it runs on; `None` where there is no such puzzle or kernel.
    pub fn case(&self) -> Option<Case> {
        match self.kind {
            Kind::Puzzle => Some(puzzles::find(&self.name)?.case(&self.source)),
            Kind::Kernel => {
                let catalog = Catalog::new().ok()?;
                let case = catalog.find(&self.name)?.case.clone()?;
                Some(case.with(&self.source))
            }
            Kind::Convolution => convolutions::find(&self.name)?.counted().ok()?,
        }
    }

    /// A puzzle on data that no page shows.
    pub fn unseen(&self) -> Option<Case> {
        match self.kind {
            Kind::Puzzle => Some(puzzles::find(&self.name)?.unseen(&self.source)),
            Kind::Kernel | Kind::Convolution => None,
        }
    }

    /// What is timed, where that is more than what is emulated.
    pub fn timed(&self) -> Option<Case> {
        match self.kind {
            Kind::Puzzle | Kind::Kernel => None,
            Kind::Convolution => convolutions::find(&self.name)?.timed().ok()?,
        }
    }
}
