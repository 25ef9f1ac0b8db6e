//! The folder of a run: who may write to it, and what it holds.
//!
//! Only one process writes to a run folder at a time. It holds a lock of the operating system on
//! `.lock`, which vanishes with its owner; a file holding a process number would outlive a
//! `kill -9` and lock the user out.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::store::CheckpointStore;
use crate::files::{FileError, is_partial, sweep, write_atomic};

const CONFIG: &str = "config.toml";
const SUMMARY: &str = "summary.json";
const SEARCH: &str = "search.json";
const METRICS: &str = "metrics.jsonl";
const REPORT: &str = "report.html";
const CHECKPOINTS: &str = "checkpoints";
const LOCK: &str = ".lock";
/// How often a lock is asked for before the folder counts as taken, and how long between.
const LOOKS: usize = 5;
const LOOK: Duration = Duration::from_millis(20);

/// Why a run folder cannot be used.
#[derive(Debug, Error)]
pub enum RunFolderError {
    /// There is a run already, and nobody asked to continue it.
    #[error(
        "{} is not empty, and was left untouched; pass --resume to continue the run in it, or choose another --out",
        path.display()
    )]
    Exists {
        /// The run folder.
        path: PathBuf,
    },
    /// The folder holds something, but no run.
    #[error(
        "{} holds files but no run (no {CONFIG}, no {CHECKPOINTS}/), and was left untouched; choose another --out",
        path.display()
    )]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// There is a file of this name.
    #[error("{} is a file, not a folder; choose another --out", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// There is no such folder to read.
    #[error("there is no run folder at {}", path.display())]
    Missing {
        /// The folder that was asked for.
        path: PathBuf,
    },
    /// Another process holds the lock.
    #[error(
        "another process is writing to {}; wait for it to end, or choose another --out",
        path.display()
    )]
    Busy {
        /// The run folder.
        path: PathBuf,
    },
    /// The folder cannot be created or written to.
    #[error("{0}; choose an --out that can be written to")]
    Unwritable(FileError),
    /// A file in it cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A JSON file in it is not what it should be.
    #[error("cannot understand {}: {error}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        error: serde_json::Error,
    },
}

/// A run folder, locked for writing or opened for reading.
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    resumed: bool,
    /// Held, never read: the lock lives as long as the open file.
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes `path` the folder of a run and locks it.
    ///
    /// Without `resume` the folder must be new or empty; one that is not is refused and left
    /// untouched. With `resume` the run that is there is continued, and where there is none
    /// one begins; [`resumed`](Self::resumed) tells which.
    pub fn create(path: impl Into<PathBuf>, resume: bool) -> Result<Self, RunFolderError> {
        let root = path.into();
        if root.exists() && !root.is_dir() {
            return Err(RunFolderError::NotAFolder { path: root });
        }
        // Asked before anything is made, and again under the lock: another process may
        // have begun a run in between.
        if root.is_dir() {
            admit(&root, resume)?;
        }
        let checkpoints = root.join(CHECKPOINTS);
        fs::create_dir_all(&root)
            .map_err(FileError::on("create", &root))
            .map_err(RunFolderError::Unwritable)?;
        let lock = lock(&root)?;
        let resumed = admit(&root, resume)?;
        fs::create_dir_all(&checkpoints)
            .map_err(FileError::on("create", &checkpoints))
            .map_err(RunFolderError::Unwritable)?;
        for folder in [&root, &checkpoints] {
            sweep(folder);
        }
        Ok(Self {
            root,
            resumed,
            _lock: lock,
        })
    }

    /// Whether there is a folder with a run at `path`.
    ///
    /// # Errors
    /// [`RunFolderError::File`] when the folder cannot be read.
    pub fn holds_run(path: &Path) -> Result<bool, RunFolderError> {
        Ok(path.is_dir() && matches!(contents(path)?, Contents::Run))
    }

    /// Opens the folder of a run to read from it, whether or not a process is writing to it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RunFolderError> {
        let root = path.into();
        if !root.is_dir() {
            return Err(RunFolderError::Missing { path: root });
        }
        match contents(&root)? {
            Contents::Run => Ok(Self {
                root,
                resumed: true,
                _lock: None,
            }),
            Contents::Nothing | Contents::Foreign => Err(RunFolderError::NotARun { path: root }),
        }
    }

    /// Whether a run was there already.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// `metrics.jsonl`, which [`MetricsLog`](crate::run::metrics::MetricsLog) writes.
    pub fn metrics_path(&self) -> PathBuf {
        self.root.join(METRICS)
    }

    /// `report.html`.
    pub fn report_path(&self) -> PathBuf {
        self.root.join(REPORT)
    }

    /// The checkpoints of the run.
    pub fn checkpoints(&self) -> CheckpointStore {
        CheckpointStore::new(self.root.join(CHECKPOINTS))
    }

    /// Writes `config.toml`.
    pub fn write_config(&self, toml: &str) -> Result<(), RunFolderError> {
        Ok(write_atomic(&self.root.join(CONFIG), toml.as_bytes())?)
    }

    /// Reads `config.toml`; `None` where the run was killed before it wrote one.
    pub fn read_config(&self) -> Result<Option<String>, RunFolderError> {
        let path = self.root.join(CONFIG);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::on("read", &path)(error).into()),
        }
    }

    /// Whether the run in `folder` has come to its end: it has a summary then.
    pub fn is_finished(folder: &Path) -> bool {
        folder.join(SUMMARY).is_file()
    }

    /// Whether a process is writing to the run in `folder`; `false` where the file system has no locks.
    pub fn is_busy(folder: &Path) -> bool {
        let file = File::open(folder.join(LOCK));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Writes `summary.json`.
    pub fn write_summary(&self, summary: &impl Serialize) -> Result<(), RunFolderError> {
        self.write_json(SUMMARY, summary)
    }

    /// Reads `summary.json`.
    pub fn read_summary<T: DeserializeOwned>(&self) -> Result<T, RunFolderError> {
        self.read_json(SUMMARY)
    }

    /// Writes `search.json`: what the search phase came to.
    pub fn write_search_end(&self, end: &impl Serialize) -> Result<(), RunFolderError> {
        self.write_json(SEARCH, end)
    }

    /// Reads `search.json`; `None` where a run has none, as one of an earlier version.
    pub fn read_search_end<T: DeserializeOwned>(&self) -> Result<Option<T>, RunFolderError> {
        match self.root.join(SEARCH).exists() {
            true => self.read_json(SEARCH).map(Some),
            false => Ok(None),
        }
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunFolderError> {
        let path = self.root.join(name);
        let mut json = serde_json::to_vec_pretty(value)
            .map_err(|error| FileError::on("write", &path)(error.into()))?;
        json.push(b'\n');
        Ok(write_atomic(&path, &json)?)
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RunFolderError> {
        let path = self.root.join(name);
        let json = fs::read(&path).map_err(FileError::on("read", &path))?;
        serde_json::from_slice(&json).map_err(|error| RunFolderError::Json { path, error })
    }
}

/// What an existing folder holds.
enum Contents {
    /// Nothing, or only what a process leaves that was killed before it wrote anything.
    Nothing,
    /// A run.
    Run,
    /// Something else.
    Foreign,
}

fn contents(root: &Path) -> Result<Contents, FileError> {
    let mut found = Contents::Nothing;
    for entry in fs::read_dir(root).map_err(FileError::on("read", root))? {
        let entry = entry.map_err(FileError::on("read", root))?;
        let name = entry.file_name();
        // A process that was ended before it began has made a folder for checkpoints, and none.
        let is_begun = name == CHECKPOINTS && {
            let mut within = fs::read_dir(entry.path()).map_err(FileError::on("read", root))?;
            within.any(|entry| entry.is_ok_and(|entry| !is_partial(&entry.path())))
        };
        if name == CONFIG || name == SUMMARY || is_begun {
            return Ok(Contents::Run);
        }
        if name != LOCK && name != CHECKPOINTS && !is_partial(&entry.path()) {
            found = Contents::Foreign;
        }
    }
    Ok(found)
}

/// Whether a run may write to an existing folder, and if so whether it continues one.
fn admit(root: &Path, resume: bool) -> Result<bool, RunFolderError> {
    let path = root.to_owned();
    match (contents(root)?, resume) {
        (Contents::Nothing, _) => Ok(false),
        (Contents::Run, true) => Ok(true),
        (Contents::Run, false) | (Contents::Foreign, false) => Err(RunFolderError::Exists { path }),
        (Contents::Foreign, true) => Err(RunFolderError::NotARun { path }),
    }
}

/// Takes the lock. `None` on a file system that has no locks: a run there goes unguarded,
/// which is better than no run.
fn lock(root: &Path) -> Result<Option<File>, RunFolderError> {
    let path = root.join(LOCK);
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(FileError::on("create", &path))
        .map_err(RunFolderError::Unwritable)?;
    // Whoever looks whether somebody writes ([`RunFolder::is_busy`]) holds the lock for a moment.
    for _ in 0..LOOKS {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
            Err(TryLockError::Error(error)) => {
                let root = root.display();
                log::warn!("cannot lock {root} ({error}); start no second run in it");
                return Ok(None);
            }
        }
    }
    Err(RunFolderError::Busy {
        path: root.to_owned(),
    })
}
