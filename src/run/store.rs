//! The checkpoints of a run: which of them stay.

use super::checkpoint::{Checkpoint, CheckpointError, EXTENSION};
use super::mark::Mark;
use crate::files::{FileError, sync_folder};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// Name of the checkpoint with the teacher.
pub const TEACHER: &str = "teacher";
/// Name of the checkpoint with the result of a search.
pub const RESULT: &str = "result";

/// The `checkpoints/` of a run folder.
///
/// Checkpoints saved under a [`Mark`] follow each other, and only the last
/// [`KEPT`](Self::KEPT) stay; those saved under a name ([`BEST`](Self::BEST), `teacher`) stay
/// until they are saved again.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    folder: PathBuf,
}

impl CheckpointStore {
    /// The name of the best checkpoint so far.
    ///
    /// Keep the score it is compared by in the checkpoints that follow each other, not only
    /// in this one: after a kill it may be ahead of the checkpoint the run goes on from.
    pub const BEST: &str = "best";

    /// How many checkpoints stay of those that follow each other: one to go on from, and one
    /// more should it be damaged.
    pub const KEPT: usize = 2;

    /// The store in `folder`, which need not exist until something is saved.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { folder }
    }

    /// The checkpoint that a path given as teacher means: a file, or a run's teacher.
    pub fn teacher_of(path: &Path) -> PathBuf {
        match path.is_dir() {
            true => Self::new(path.join("checkpoints")).path(TEACHER),
            false => path.to_owned(),
        }
    }

    /// Where the checkpoint of a mark or a name is kept.
    pub fn path(&self, of: impl fmt::Display) -> PathBuf {
        self.folder.join(format!("{of}.{EXTENSION}"))
    }

    /// Saves a checkpoint of the run at `mark`; once it is safe on disk, removes those that
    /// are no longer needed.
    pub fn save(&self, mark: Mark, checkpoint: &Checkpoint) -> Result<PathBuf, CheckpointError> {
        let path = self.save_as(&mark.to_string(), checkpoint)?;
        self.rotate(mark);
        Ok(path)
    }

    /// Saves a checkpoint under a name of its own, which rotation does not touch.
    pub fn save_as(&self, name: &str, checkpoint: &Checkpoint) -> Result<PathBuf, CheckpointError> {
        let path = self.path(name);
        fs::create_dir_all(&self.folder).map_err(FileError::on("create", &self.folder))?;
        checkpoint.save(&path)?;
        Ok(path)
    }

    /// Loads the checkpoint of a mark or a name.
    pub fn load(&self, of: impl fmt::Display) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::load(&self.path(of))
    }

    /// The marks there are checkpoints of, earliest first.
    pub fn marks(&self) -> Result<Vec<Mark>, CheckpointError> {
        let cannot_read = || FileError::on("read", &self.folder);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(cannot_read())?,
        };
        let mut marks = Vec::new();
        for entry in entries {
            let path = PathBuf::from(entry.map_err(cannot_read())?.file_name());
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if path.extension().is_some_and(|it| it == EXTENSION) {
                marks.extend(stem.and_then(|stem| stem.parse::<Mark>().ok()));
            }
        }
        marks.sort_unstable();
        Ok(marks)
    }

    /// The newest checkpoint that can be loaded, or `None` where there is none at all. One
    /// that is damaged is passed over with a warning. If all are, the error is that of the
    /// newest: to begin anew is for the user to decide.
    pub fn latest(&self) -> Result<Option<(Mark, Checkpoint)>, CheckpointError> {
        let mut first_error = None;
        for mark in self.marks()?.into_iter().rev() {
            match self.load(mark) {
                Ok(checkpoint) => return Ok(Some((mark, checkpoint))),
                Err(error) => {
                    log::warn!("{error}");
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// Removes what is older than the last few, and what is newer than the checkpoint just
    /// saved: the run has gone on from an earlier one because those could not be loaded, and
    /// they must not count as the last few now.
    ///
    /// A file that cannot be removed costs space, not the run.
    fn rotate(&self, newest: Mark) {
        let marks = match self.marks() {
            Ok(marks) => marks,
            Err(error) => return log::warn!("no old checkpoint was removed: {error}"),
        };
        let (live, stale): (Vec<_>, Vec<_>) = marks.into_iter().partition(|&mark| mark <= newest);
        let old = live.iter().rev().skip(Self::KEPT);
        let mut removed = false;
        for path in old.chain(&stale).map(|mark| self.path(mark)) {
            match fs::remove_file(&path) {
                Ok(()) => removed = true,
                Err(error) => log::warn!("cannot remove {}: {error}", path.display()),
            }
        }
        if removed {
            let _ = sync_folder(&self.folder);
        }
    }
}
