//! What lies in a folder of images: every file of every class, in a fixed order, unopened.
//!
//! Two layouts come to the same: class folders, `train/CLASS/*` beside `test/CLASS/*` or
//! `val/CLASS/*`, and that of Tiny-ImageNet-200 (`tiny`).
//!
//! The folders of `train/` are the classes, in order of name. Two folders whose names are the same
//! text, composed and decomposed, are one class. Whatever pictures lie below a class folder belong to
//! the class, however deep; other files are passed over and counted, hidden ones in silence.

use super::dataset::Kind;
use super::error::DataError;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use unicode_normalization::UnicodeNormalization;
use walkdir::WalkDir;

/// All files of a tree.
pub(super) struct Scan {
    pub root: PathBuf,
    pub kind: Kind,
    pub classes: Vec<String>,
    pub train: Part,
    pub test: Part,
    /// What is odd, one sentence each.
    pub problems: Vec<String>,
}

/// The files of `train/`, `test/` or `val/`.
pub(super) struct Part {
    pub folder: PathBuf,
    pub files: Vec<File>,
}

/// One file, for all that is known an image.
pub(super) struct File {
    pub path: PathBuf,
    pub label: u32,
    bytes: u64,
    /// Last change, in nanoseconds since 1970.
    changed: u128,
    /// What else tells a file from another of its name, size and time: where it lies on the disk, and
    /// when that was last said. 0 where the system does not tell.
    place: u128,
}

/// Files that are no pictures by their names.
#[derive(Default)]
pub(super) struct Passed {
    count: usize,
    first: Option<PathBuf>,
}

impl Passed {
    fn over(&mut self, path: &Path) {
        self.count += 1;
        self.first.get_or_insert_with(|| path.to_owned());
    }

    /// What is to be said of it.
    pub fn problem(&self, root: &Path) -> Option<String> {
        let first = self.first.as_ref()?;
        let first = first.strip_prefix(root).unwrap_or(first).display();
        Some(match self.count {
            1 => format!("1 file is no picture by its name and was passed over: {first}"),
            count => format!(
                "{count} files are no pictures by their names and were passed over, the first is {first}"
            ),
        })
    }
}

impl Scan {
    /// Lists a tree with a folder for each class.
    pub fn new(root: &Path) -> Result<Self, DataError> {
        let train = root.join("train");
        let classes = class_folders(&train)?;
        if classes.is_empty() {
            return Err(DataError::NoClasses { path: train });
        }
        let (test, test_classes) = test_folder(root, &classes)?;
        if let Some((_, paths)) = test_classes
            .iter()
            .find(|(class, _)| !classes.contains_key(*class))
        {
            let path = paths[0].clone();
            return Err(DataError::UnknownClass { path, train });
        }
        let mut passed = Passed::default();
        let labels = || classes.keys().zip(0..);
        let mut list = |folder: &Path, of: &BTreeMap<String, Vec<PathBuf>>| {
            let mut files = Vec::new();
            for (class, label) in labels() {
                let Some(paths) = of.get(class) else { continue };
                let before = files.len();
                for path in paths {
                    list(path, label, &mut files, &mut passed)?;
                }
                if files.len() == before {
                    let path = paths[0].clone();
                    return Err(DataError::EmptyClass { path });
                }
            }
            Ok(Part {
                folder: folder.to_owned(),
                files,
            })
        };
        Ok(Self {
            root: root.to_owned(),
            kind: Kind::Tree,
            train: list(&train, &classes)?,
            test: list(&test, &test_classes)?,
            problems: passed.problem(root).into_iter().collect(),
            classes: classes.into_keys().collect(),
        })
    }

    /// Changes when a file is added, removed, renamed, or written to. FNV-1a.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut feed = |bytes: &[u8]| {
            for &byte in bytes {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for file in self.files() {
            let relative = file.path.strip_prefix(&self.root).unwrap_or(&file.path);
            feed(relative.as_os_str().as_encoded_bytes());
            // No path holds a zero byte, so no two lists of files read the same.
            feed(&[0]);
            feed(&file.bytes.to_le_bytes());
            feed(&file.changed.to_le_bytes());
            feed(&file.place.to_le_bytes());
        }
        hash
    }

    /// What tells the files from others, by names, sizes and labels, wherever they lie.
    pub fn digest(&self) -> String {
        let of = |part: &Part| {
            part.files.iter().fold(0, |crc, file| {
                let relative = file.path.strip_prefix(&self.root).unwrap_or(&file.path);
                let name = relative.as_os_str().as_encoded_bytes();
                // No path holds a zero byte, so no two lists of files read the same.
                let end = [
                    &[0][..],
                    &file.bytes.to_le_bytes(),
                    &file.label.to_le_bytes(),
                ]
                .concat();
                crc32c::crc32c_append(crc32c::crc32c_append(crc, name), &end)
            })
        };
        format!("{:08x}{:08x}", of(&self.train), of(&self.test))
    }

    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.train.files.iter().chain(&self.test.files)
    }
}

impl File {
    /// A file by name; one that is not there is found out when it is read.
    pub fn at(path: PathBuf, label: u32) -> Self {
        let about = fs::metadata(&path).ok();
        let of = |value: fn(&fs::Metadata) -> u128| about.as_ref().map_or(0, value);
        Self {
            label,
            bytes: about.as_ref().map_or(0, fs::Metadata::len),
            changed: of(changed),
            place: of(place),
            path,
        }
    }
}

/// Number of the file on its disk, and when its entry was last changed: what a file that replaces
/// another cannot take over, as it can size and time.
#[cfg(unix)]
fn place(about: &fs::Metadata) -> u128 {
    use std::os::unix::fs::MetadataExt;
    let changed = about.ctime().wrapping_mul(1_000_000_000) + about.ctime_nsec();
    u128::from(about.ino()) << 64 | u128::from(changed as u64)
}

#[cfg(not(unix))]
fn place(_: &fs::Metadata) -> u128 {
    0
}

/// When a file was last written to, in nanoseconds since 1970; 0 where nobody knows.
fn changed(about: &fs::Metadata) -> u128 {
    let time = about.modified().ok();
    time.and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |time| time.as_nanos())
}

/// Appends the pictures below a class folder, in order of name.
pub(super) fn list(
    folder: &Path,
    label: u32,
    files: &mut Vec<File>,
    passed: &mut Passed,
) -> Result<(), DataError> {
    let mut clutter = Vec::new();
    let entries = WalkDir::new(folder)
        .min_depth(1)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            // What is hidden is not missed.
            if is_clutter(&name) && !name.starts_with('.') {
                clutter.push(entry.path().to_owned());
            }
            !is_clutter(&name)
        });
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                // A link to nowhere is a broken file like any other.
                if path.is_symlink() && !path.exists() {
                    files.push(File::at(path, label));
                    continue;
                }
                return Err(DataError::Io {
                    path,
                    source: plain(error),
                });
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        match may_be_picture(entry.path()) {
            true => files.push(File::at(entry.into_path(), label)),
            false => passed.over(entry.path()),
        }
    }
    clutter.iter().for_each(|path| passed.over(path));
    Ok(())
}

/// The system's own words, without the path that the caller names already.
fn plain(error: walkdir::Error) -> io::Error {
    match error.loop_ancestor() {
        Some(_) => io::Error::other("a link to a folder that it lies in"),
        None => {
            let kind = error.io_error().and_then(io::Error::raw_os_error);
            kind.map_or_else(|| error.into(), io::Error::from_raw_os_error)
        }
    }
}

/// Whether a file may be a picture, by its name: contents are looked at when they are read.
fn may_be_picture(path: &Path) -> bool {
    const ENDINGS: [&str; 17] = [
        "jpg", "jpeg", "jpe", "jfif", "png", "apng", "bmp", "dib", "gif", "webp", "tif", "tiff",
        "ppm", "pgm", "pbm", "pnm", "pam",
    ];
    match path.extension() {
        None => true,
        Some(ending) => {
            let ending = ending.to_string_lossy().to_lowercase();
            ENDINGS.contains(&ending.as_str())
        }
    }
}

/// Files and folders that nobody means to be images.
pub(super) fn is_clutter(name: &str) -> bool {
    const CLUTTER: [&str; 6] = [
        "Thumbs.db",
        "desktop.ini",
        "Desktop.ini",
        "Icon\r",
        "@eaDir",
        "__MACOSX",
    ];
    name.starts_with('.') || CLUTTER.contains(&name)
}

/// The folders right below, by name; links to folders count. Names that are the same text have one
/// entry.
pub(super) fn class_folders(path: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>, DataError> {
    let failed = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    let mut folders: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (name, path) = (entry.file_name(), entry.path());
        if is_clutter(&name.to_string_lossy()) {
            continue;
        }
        if path.is_symlink() && !path.exists() {
            return Err(DataError::LostClass { path });
        }
        if !path.is_dir() {
            continue;
        }
        let Some(name) = name.to_str() else {
            return Err(DataError::ClassName { path });
        };
        folders.entry(name.nfc().collect()).or_default().push(path);
    }
    folders.values_mut().for_each(|paths| paths.sort());
    Ok(folders)
}

/// `test/` or else `val/`, the first that holds a folder named like a class, with its folders: some
/// data sets ship a `test/` without labels.
fn test_folder(
    root: &Path,
    classes: &BTreeMap<String, Vec<PathBuf>>,
) -> Result<(PathBuf, BTreeMap<String, Vec<PathBuf>>), DataError> {
    let mut present = Vec::new();
    for folder in ["test", "val"].map(|name| root.join(name)) {
        if !folder.is_dir() {
            continue;
        }
        let found = class_folders(&folder)?;
        if found.keys().any(|class| classes.contains_key(class)) {
            return Ok((folder, found));
        }
        present.push(folder);
    }
    Err(match present.into_iter().next() {
        Some(path) => DataError::NoClasses { path },
        None => DataError::NoTestSplit {
            root: root.to_owned(),
        },
    })
}
