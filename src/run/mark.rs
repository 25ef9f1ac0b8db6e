//! How far a run has come.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The phases of a run, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The all-ReLU network is trained.
    Teacher,
    /// ReLUs are replaced until the budget is met.
    Search,
    /// Masks are fixed; what is left is trained.
    Finish,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 3] = [Self::Teacher, Self::Search, Self::Finish];

    /// The name used in files and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Search => "search",
            Self::Finish => "finish",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How far a run has come: its phase, and the steps taken since the run began (they are
/// not counted anew in each phase). Marks are ordered as the run passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The phase the run is in.
    pub phase: Phase,
    /// Steps taken since the run began.
    pub step: u64,
}

impl Mark {
    /// The mark of `step` in `phase`.
    pub fn new(phase: Phase, step: u64) -> Self {
        Self { phase, step }
    }
}

/// Written as in the names of checkpoints: `search-00001234`.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08}", self.phase, self.step)
    }
}

/// A text that is not a [`Mark`].
#[derive(Debug, Error)]
#[error("`{0}` is not a mark such as `search-00001234`")]
pub struct NotAMark(String);

impl FromStr for Mark {
    type Err = NotAMark;

    fn from_str(text: &str) -> Result<Self, NotAMark> {
        let parse = || {
            let (phase, step) = text.split_once('-')?;
            let phase = Phase::ALL.into_iter().find(|p| p.name() == phase)?;
            Some(Self::new(phase, step.parse().ok()?))
        };
        // Only the spelling that `Display` gives counts: `search-12` or `search-+0000012`
        // were written by somebody else.
        parse()
            .filter(|mark| mark.to_string() == text)
            .ok_or_else(|| NotAMark(text.to_owned()))
    }
}
