//! The run folder, through which everything that happens after a run speaks of it:
//!
//! ```text
//! runs/NAME/
//!   config.toml               the settings, defaults included
//!   metrics.jsonl             one record a line            (see `metrics`)
//!   events.out.tfevents.*     the same scalars             (see `tensorboard`)
//!   checkpoints/*.safetensors weights and optimiser state  (see `checkpoint`)
//!   summary.json              the result
//!   report.html               the result, to look at
//! ```
//!
//! Two promises are kept here. A file written by [`write_atomic`] is either the old one or
//! the new one, whole, whatever happens in between: a reader never meets half a file, and a
//! `kill -9` or a power cut never leaves one. And only one process writes to a run folder
//! at a time. It holds a lock of the operating system on `.lock`, which vanishes with its
//! owner; a file holding a process number would outlive a `kill -9` and lock the user out.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::checkpoint::CheckpointStore;

const CONFIG: &str = "config.toml";
const SUMMARY: &str = "summary.json";
const METRICS: &str = "metrics.jsonl";
const REPORT: &str = "report.html";
const CHECKPOINTS: &str = "checkpoints";
const LOCK: &str = ".lock";

/// Files being written carry a name between these two, so that what a killed process left
/// behind can be told from everything else.
const PARTIAL: (&str, &str) = (".tmp-", ".partial");

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

/// The operating system refused something, and to which file.
#[derive(Debug, Error)]
#[error("cannot {action} {}: {error}", path.display())]
pub struct FileError {
    /// What was tried, as a verb: "create", "write".
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

impl FileError {
    /// For `map_err`: names the action and the path an [`io::Error`] belongs to.
    pub fn on(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self {
            action,
            path: path.to_owned(),
            error,
        }
    }
}

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

    /// `metrics.jsonl`, which [`MetricsLog`](super::metrics::MetricsLog) writes.
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

    /// Writes `summary.json`.
    pub fn write_summary(&self, summary: &impl Serialize) -> Result<(), RunFolderError> {
        let path = self.root.join(SUMMARY);
        let mut json = serde_json::to_vec_pretty(summary)
            .map_err(|error| FileError::on("write", &path)(error.into()))?;
        json.push(b'\n');
        Ok(write_atomic(&path, &json)?)
    }

    /// Reads `summary.json`.
    pub fn read_summary<T: DeserializeOwned>(&self) -> Result<T, RunFolderError> {
        let path = self.root.join(SUMMARY);
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
        if name == CONFIG || name == CHECKPOINTS {
            return Ok(Contents::Run);
        }
        if name != LOCK && !is_partial(&entry.path()) {
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
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(RunFolderError::Busy {
            path: root.to_owned(),
        }),
        Err(TryLockError::Error(error)) => {
            let root = root.display();
            log::warn!("cannot lock {root} ({error}); start no second run in it");
            Ok(None)
        }
    }
}

/// Removes what a killed process had begun to write. Such files are in nobody's way, so one
/// that cannot be removed is left.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if is_partial(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

fn is_partial(path: &Path) -> bool {
    let (prefix, suffix) = PARTIAL;
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(prefix) && name.ends_with(suffix))
}

/// Puts `bytes` at `path`, all or nothing.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// Puts what `fill` writes at `path`, all or nothing: under a temporary name in the same
/// folder first, then synced, then renamed, then the folder synced. When this returns, the
/// file survives a power cut; when it fails, whatever was at `path` is there still.
pub fn write_atomic_with(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let attempt = || {
        let mut temporary = tempfile::Builder::new();
        temporary.prefix(PARTIAL.0).suffix(PARTIAL.1);
        // Temporary files are private by custom. Results are not: leave it to the umask.
        #[cfg(unix)]
        temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = temporary.tempfile_in(folder)?;

        let mut buffer = BufWriter::with_capacity(1 << 20, temporary.as_file());
        fill(&mut buffer)?;
        buffer.flush()?;
        drop(buffer);
        temporary.as_file().sync_all()?;
        temporary.persist(path)?;
        sync_folder(folder)
    };
    attempt().map_err(FileError::on("write", path))
}

/// Makes the names in a folder durable, as [`File::sync_all`] does for contents.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot, and say so in this way.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

/// Elsewhere a folder cannot be opened as a file; the rename is as durable as it gets.
#[cfg(not(unix))]
pub(super) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
