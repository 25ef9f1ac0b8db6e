//! Runs as one page of HTML that needs nothing else: no network, no script.
//!
//! [`collect`] reads run folders, [`render`] makes the page of them. Charts are inline SVG
//! ([`svg`], `charts`), compared across runs in `overview`; the page itself is a template,
//! `assets/report/page.html`, which escapes all that it is given but charts, and these escape what
//! they are given themselves: names of runs, layers and classes come from elsewhere.

mod charts;
mod overview;
mod page;
pub mod published;
mod run;
pub mod svg;

pub use page::render;
pub use run::{Found, Run, collect};

use crate::cost::ProtocolError;
use crate::files::FileError;
use crate::run::checkpoint::CheckpointError;
use crate::run::folder::RunFolderError;
use crate::run::model_file::ModelFileError;
use std::path::PathBuf;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// No such path.
    #[error("there is nothing at {}; name a run folder, as --out of `autorep search` made it", .0.display())]
    Missing(PathBuf),
    /// A file where a folder is expected.
    #[error("{} is a file; name the folder of a run, which holds summary.json", .0.display())]
    NotAFolder(PathBuf),
    /// A folder without runs.
    #[error(
        "{} is no run folder and holds none; name a folder that `autorep search` or `autorep train` \
         made, or one with such folders in it",
        .0.display()
    )]
    NoRuns(PathBuf),
    /// A run that is still going on or was interrupted.
    #[error(
        "{}: this run is not finished, it has no summary.json; go on with \
         `autorep search --resume --out` and this folder, or search from it with --teacher where it was \
         imported, then report",
        .0.display()
    )]
    Unfinished(PathBuf),
    /// A folder of such runs.
    #[error(
        "none of these runs is finished: {}; continue them with --resume, then report",
        .0.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    AllUnfinished(Vec<PathBuf>),
    /// A checkpoint of another run.
    #[error(
        "{}: summary.json counts {summary} ReLUs, the checkpoint {checkpoint}; they are not of one \
         run, so make the run anew",
        path.display()
    )]
    Disagree {
        /// The run folder.
        path: PathBuf,
        /// ReLUs in the summary.
        summary: usize,
        /// ReLUs in the checkpoint.
        checkpoint: usize,
    },
    /// A file or folder that cannot be read.
    #[error(transparent)]
    Read(#[from] FileError),
    /// The run folder.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// Its checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model in the checkpoint.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// A protocol of the program's own.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Published numbers of the program's own.
    #[error("assets/published.toml: {0}")]
    Published(#[from] toml::de::Error),
    /// The page's template, of the program's own.
    #[error("assets/report/page.html: {0:#}")]
    Template(#[from] minijinja::Error),
}
