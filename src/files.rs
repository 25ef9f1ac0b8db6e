//! Files that are there whole or not at all.
//!
//! A file written by [`write_atomic`] is either the old one or the new one, whole, whatever
//! happens in between: a reader never meets half a file, and a `kill -9` or a power cut never
//! leaves one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Files being written carry a name between these two, so that what a killed process left
/// behind can be told from everything else.
const PARTIAL: (&str, &str) = (".tmp-", ".partial");

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

/// Removes what a killed process had begun to write. Such files are in nobody's way, so one
/// that cannot be removed is left.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if is_partial(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether this is what a write in progress, or one that was cut short, has in its folder.
pub fn is_partial(path: &Path) -> bool {
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
///
/// A link is followed: what it leads to is replaced, not the link. A device or a pipe is written to as
/// it is, since nothing can take its place.
pub fn write_atomic_with(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let target = match path.is_symlink() {
        // One that leads nowhere is followed as far as it goes.
        true => fs::canonicalize(path).or_else(|_| fs::read_link(path).map(|to| beside(path, to))),
        false => Ok(path.to_owned()),
    };
    let path = &*target.map_err(FileError::on("write", path))?;
    if fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        let write = || {
            let mut file = File::options().write(true).open(path)?;
            fill(&mut file)?;
            file.flush()
        };
        return write().map_err(FileError::on("write", path));
    }
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

/// Where a link at `path` leads that says `to`.
fn beside(path: &Path, to: PathBuf) -> PathBuf {
    path.parent().map_or(to.clone(), |folder| folder.join(to))
}

/// Waits for the lock of the operating system on the file at `path`, which is made where it is missing,
/// and holds it as long as the value lives. `None` on a file system that has no locks: what is guarded
/// there goes unguarded, which is better than not at all.
///
/// # Errors
/// [`FileError`] where the file cannot be made.
pub fn lock(path: &Path) -> Result<Option<File>, FileError> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(false);
    let file = options.open(path).map_err(FileError::on("create", path))?;
    Ok(file.lock().is_ok().then_some(file))
}

/// Makes the names in a folder durable, as [`File::sync_all`] does for contents.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot, and say so in this way.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

/// Elsewhere a folder cannot be opened as a file; the rename is as durable as it gets.
#[cfg(not(unix))]
pub fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
