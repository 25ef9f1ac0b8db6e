//! Downloads of the data sets that may be downloaded, from their official archives.
//!
//! An archive is fetched into `NAME.part`, which a later attempt continues (HTTP ranges); its
//! length and its published MD5 must be right before it is opened. (MD5 is what the authors
//! published. It finds damage; whoever can make collisions could also change the images.)
//! Unpacking trusts nothing: only plain files and folders below the archive's own folder, with
//! limits on their number and size, into a temporary folder that is renamed when all is there.

use flate2::read::GzDecoder;
use md5::{Digest, Md5};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// A data set that can be downloaded.
#[derive(Clone, Debug)]
pub struct Archive {
    /// As the command line names it.
    pub name: &'static str,
    /// Official address.
    pub url: &'static str,
    /// Folder that it unpacks to.
    pub folder: &'static str,
    /// Length in bytes.
    pub bytes: u64,
    /// Published checksum, in hexadecimal.
    pub md5: &'static str,
    /// Bounds of what it may unpack to.
    pub limits: Limits,
}

/// Bounds of what an archive may unpack to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files and folders.
    pub entries: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

/// All of them.
pub const ARCHIVES: [Archive; 3] = [
    Archive {
        name: "cifar10",
        url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        folder: "cifar-10-batches-bin",
        bytes: 170_052_171,
        md5: "c32a1d4ab5d03f1284b67883e8d87530",
        limits: Limits {
            entries: 100,
            bytes: 256 << 20,
        },
    },
    Archive {
        name: "cifar100",
        url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        folder: "cifar-100-binary",
        bytes: 168_513_733,
        md5: "03b5dce01913d631647c71ecec9e9cb8",
        limits: Limits {
            entries: 100,
            bytes: 256 << 20,
        },
    },
    Archive {
        name: "tiny-imagenet",
        url: "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        folder: "tiny-imagenet-200",
        bytes: 248_100_043,
        md5: "90528d7ca1a48142e341f4ef8d21d0de",
        limits: Limits {
            entries: 200_000,
            bytes: 1 << 30,
        },
    },
];

/// Why there is no data set, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what variants and fields are")]
pub enum FetchError {
    #[error("there is no download called `{name}`; choose among {}", names())]
    Unknown { name: String },
    #[error("{}: is there already; use it, or remove it to fetch it again", .path.display())]
    Exists { path: PathBuf },
    #[error("{}: cannot be written or read ({source})", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{url}: {reason}; try again (what has arrived is kept), or name a mirror with --url")]
    Connection { url: String, reason: String },
    #[error("{url}: the server answers {status}; try again later, or name a mirror with --url")]
    Status { url: String, status: u16 },
    #[error(
        "{url}: is {found} bytes long, not {expected}: not the official archive; name another --url"
    )]
    Length {
        url: String,
        found: u64,
        expected: u64,
    },
    #[error(
        "{url}: its MD5 is {found}, not {expected}: damaged, or not the official archive; the file \
         was removed, so fetch it again or name another --url"
    )]
    Checksum {
        url: String,
        found: String,
        expected: String,
    },
    #[error("{}: entry `{entry}` {reason}; nothing was unpacked, name another --url", .path.display())]
    Unsafe {
        path: PathBuf,
        entry: String,
        reason: String,
    },
    #[error("{}: unpacks to more than {limit}; nothing was unpacked, name another --url", .path.display())]
    TooLarge { path: PathBuf, limit: String },
    #[error("{}: is no readable archive ({reason}); nothing was unpacked", .path.display())]
    Damaged { path: PathBuf, reason: String },
}

fn names() -> String {
    ARCHIVES.map(|archive| archive.name).join(", ")
}

/// The archive of a name.
///
/// # Errors
/// [`FetchError::Unknown`].
pub fn archive(name: &str) -> Result<Archive, FetchError> {
    let mut archives = ARCHIVES.into_iter();
    archives
        .find(|archive| archive.name == name)
        .ok_or_else(|| FetchError::Unknown {
            name: name.to_owned(),
        })
}

/// Downloads and unpacks `archive` into `to`, from `url` if given; returns the data set's folder.
/// `progress` hears how many bytes have arrived.
///
/// # Errors
/// [`FetchError`] where the archive cannot be had, is another, or does not unpack.
pub fn fetch(
    archive: &Archive,
    to: &Path,
    url: Option<&str>,
    progress: &dyn Fn(u64),
) -> Result<PathBuf, FetchError> {
    let folder = to.join(archive.folder);
    if folder.exists() {
        return Err(FetchError::Exists { path: folder });
    }
    fs::create_dir_all(to).map_err(|source| failed(to, source))?;
    let url = url.unwrap_or(archive.url);
    let file_name = archive.url.rsplit('/').next().unwrap_or(archive.name);
    let part = to.join(format!("{file_name}.part"));
    download(archive, url, &part, progress)?;
    check(archive, url, &part)?;
    unpack(archive, &part, to)?;
    // The archive has done its duty.
    fs::remove_file(&part).map_err(|source| failed(&part, source))?;
    Ok(folder)
}

fn failed(path: &Path, source: io::Error) -> FetchError {
    FetchError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Brings the file up to its full length.
fn download(
    archive: &Archive,
    url: &str,
    part: &Path,
    progress: &dyn Fn(u64),
) -> Result<(), FetchError> {
    let lost = |reason: String| FetchError::Connection {
        url: url.to_owned(),
        reason,
    };
    let mut have = fs::metadata(part).map_or(0, |about| about.len());
    if have > archive.bytes {
        // Of something else.
        fs::remove_file(part).map_err(|source| failed(part, source))?;
        have = 0;
    }
    if have == archive.bytes {
        return Ok(());
    }
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .into();
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = request.call().map_err(|error| lost(error.to_string()))?;
    let status = response.status().as_u16();
    let length = response.body().content_length();
    match status {
        // The server begins anew, whether it was asked to or not.
        200 => have = 0,
        206 if continues(&response, have) => {}
        206 => return Err(lost("the server sends another part than asked for".into())),
        _ => {
            let url = url.to_owned();
            return Err(FetchError::Status { url, status });
        }
    }
    let wrong_length = |found: u64| FetchError::Length {
        url: url.to_owned(),
        found,
        expected: archive.bytes,
    };
    if let Some(length) = length.filter(|length| have.saturating_add(*length) != archive.bytes) {
        return Err(wrong_length(have.saturating_add(length)));
    }

    let mut options = OpenOptions::new();
    options.create(true).write(true);
    let mut file = match have {
        0 => options.truncate(true).open(part),
        _ => options.append(true).open(part),
    }
    .map_err(|source| failed(part, source))?;
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    while have < archive.bytes {
        progress(have);
        let count = match body.read(&mut buffer) {
            Ok(0) => return Err(lost(format!("the connection ended after {have} bytes"))),
            Ok(count) => count,
            Err(error) => return Err(lost(format!("{error} after {have} bytes"))),
        };
        have += count as u64;
        if have > archive.bytes {
            return Err(wrong_length(have));
        }
        let written = file.write_all(&buffer[..count]);
        written.map_err(|source| failed(part, source))?;
    }
    progress(have);
    file.sync_all().map_err(|source| failed(part, source))
}

/// Whether a partial answer begins at byte `have`.
fn continues(response: &ureq::http::Response<ureq::Body>, have: u64) -> bool {
    let range = response.headers().get("content-range");
    let text = range.and_then(|value| value.to_str().ok()).unwrap_or("");
    text.starts_with(&format!("bytes {have}-"))
}

/// Compares the checksum; a wrong file is removed, since no attempt could continue it.
fn check(archive: &Archive, url: &str, part: &Path) -> Result<(), FetchError> {
    let mut file = File::open(part).map_err(|source| failed(part, source))?;
    let mut hash = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer).map_err(|e| failed(part, e))?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
    }
    let mut found = String::new();
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _ = write!(found, "{byte:02x}");
    }
    if found == archive.md5 {
        return Ok(());
    }
    fs::remove_file(part).map_err(|source| failed(part, source))?;
    Err(FetchError::Checksum {
        url: url.to_owned(),
        found,
        expected: archive.md5.to_owned(),
    })
}

/// Unpacks into a temporary folder beside the goal, and renames it.
fn unpack(archive: &Archive, part: &Path, to: &Path) -> Result<(), FetchError> {
    let temporary = tempfile::Builder::new()
        .prefix(".autorep-unpack-")
        .tempdir_in(to)
        .map_err(|source| failed(to, source))?;
    let mut unpacker = Unpacker {
        archive: part,
        root: temporary.path(),
        folder: archive.folder,
        entries: archive.limits.entries,
        bytes: archive.limits.bytes,
        limits: archive.limits,
    };
    let file = File::open(part).map_err(|source| failed(part, source))?;
    if archive.url.ends_with(".zip") {
        unpacker.zip(file)?;
    } else {
        unpacker.tar(GzDecoder::new(BufReader::new(file)))?;
    }
    let (from, goal) = (
        temporary.path().join(archive.folder),
        to.join(archive.folder),
    );
    if !from.is_dir() {
        return Err(FetchError::Damaged {
            path: part.to_owned(),
            reason: format!("there is no folder {} in it", archive.folder),
        });
    }
    fs::rename(&from, &goal).map_err(|source| failed(&goal, source))
}

struct Unpacker<'a> {
    archive: &'a Path,
    root: &'a Path,
    folder: &'a str,
    /// What is left of the limits.
    entries: usize,
    bytes: u64,
    limits: Limits,
}

impl Unpacker<'_> {
    fn damaged(&self, error: impl ToString) -> FetchError {
        FetchError::Damaged {
            path: self.archive.to_owned(),
            reason: error.to_string(),
        }
    }

    fn tar(&mut self, reader: impl Read) -> Result<(), FetchError> {
        // What is read is bounded even where no entry is: headers can be long, too.
        let most = self.limits.bytes + 4096 * self.limits.entries as u64;
        let mut tar = tar::Archive::new(reader.take(most));
        for entry in tar.entries().map_err(|error| self.damaged(error))? {
            let mut entry = entry.map_err(|error| self.damaged(error))?;
            let path = entry
                .path()
                .map_err(|error| self.damaged(error))?
                .into_owned();
            let kind = entry.header().entry_type();
            if !kind.is_file() && !kind.is_dir() {
                return Err(self.unsafe_entry(&path, "is neither a file nor a folder"));
            }
            self.entry(&path, kind.is_dir(), &mut entry)?;
        }
        Ok(())
    }

    fn zip(&mut self, file: File) -> Result<(), FetchError> {
        let zip = zip::ZipArchive::new(BufReader::new(file));
        let mut zip = zip.map_err(|error| self.damaged(error))?;
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).map_err(|error| self.damaged(error))?;
            let path = PathBuf::from(entry.name().map_err(|e| self.damaged(e))?.as_ref());
            if entry.is_symlink() {
                return Err(self.unsafe_entry(&path, "is a link"));
            }
            let is_folder = entry.is_dir();
            self.entry(&path, is_folder, &mut entry)?;
        }
        Ok(())
    }

    fn unsafe_entry(&self, entry: &Path, reason: &str) -> FetchError {
        FetchError::Unsafe {
            path: self.archive.to_owned(),
            entry: entry.display().to_string(),
            reason: reason.to_owned(),
        }
    }

    /// Writes one entry, if it lies where it should and there is room for it.
    fn entry(
        &mut self,
        path: &Path,
        is_folder: bool,
        content: &mut dyn Read,
    ) -> Result<(), FetchError> {
        let too_large = |limit: String| FetchError::TooLarge {
            path: self.archive.to_owned(),
            limit,
        };
        let limits = self.limits;
        self.entries = self
            .entries
            .checked_sub(1)
            .ok_or_else(|| too_large(format!("{} files and folders", limits.entries)))?;
        let mut parts = path.components().filter(|part| *part != Component::CurDir);
        let plain = |part: Component| matches!(part, Component::Normal(name) if !odd(name));
        if !path
            .components()
            .all(|part| part == Component::CurDir || plain(part))
        {
            return Err(self.unsafe_entry(path, "leads out of the folder"));
        }
        match parts.next() {
            // `./` itself.
            None if is_folder => return Ok(()),
            Some(first) if first.as_os_str() == self.folder => {}
            _ => {
                let reason = format!("does not lie in {}", self.folder);
                return Err(self.unsafe_entry(path, &reason));
            }
        }
        let goal = self.root.join(path);
        if is_folder {
            return fs::create_dir_all(&goal).map_err(|source| failed(&goal, source));
        }
        if let Some(parent) = goal.parent() {
            fs::create_dir_all(parent).map_err(|source| failed(parent, source))?;
        }
        // An entry that comes twice is refused, not written over.
        let mut file = File::create_new(&goal).map_err(|source| failed(&goal, source))?;
        // One byte more than is left would be too much.
        let mut bounded = content.take(self.bytes + 1);
        let mut buffer = [0; 1 << 14];
        loop {
            let count = bounded
                .read(&mut buffer)
                .map_err(|error| self.damaged(error))?;
            if count == 0 {
                return Ok(());
            }
            self.bytes = self
                .bytes
                .checked_sub(count as u64)
                .ok_or_else(|| too_large(format!("{} MiB", limits.bytes >> 20)))?;
            file.write_all(&buffer[..count])
                .map_err(|source| failed(&goal, source))?;
        }
    }
}

/// Names that are something else on some system: drives and streams of Windows, and its way to
/// separate folders.
fn odd(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name.contains([':', '\\'])
}
