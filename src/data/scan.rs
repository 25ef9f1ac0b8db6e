//! What lies in a folder of images: every file of every class, in a fixed order, unopened.
//!
//! Two layouts come to the same: class folders, `train/CLASS/*` beside `test/CLASS/*` or
//! `val/CLASS/*`, and that of Tiny-ImageNet-200 (`tiny`).
//!
//! The folders of `train/` are the classes, in order of name. Whatever lies below a class
//! folder belongs to the class, however deep; hidden files and the thumbnails that desktops
//! leave behind do not count.

use super::dataset::Kind;
use super::error::DataError;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
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
}

impl Scan {
    /// Lists a tree with a folder for each class.
    pub fn new(root: &Path) -> Result<Self, DataError> {
        let train = root.join("train");
        let classes = subfolders(&train)?;
        if classes.is_empty() {
            return Err(DataError::NoClasses { path: train });
        }
        let labels: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
        let test = test_folder(root, &labels)?;
        let unknown = subfolders(&test)?
            .into_iter()
            .find(|class| !labels.contains_key(class.as_str()));
        if let Some(class) = unknown {
            let path = test.join(class);
            return Err(DataError::UnknownClass { path, train });
        }
        Ok(Self {
            root: root.to_owned(),
            kind: Kind::Tree,
            train: Part::new(train, &classes)?,
            test: Part::new(test, &classes)?,
            classes,
            problems: Vec::new(),
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
        }
        hash
    }

    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.train.files.iter().chain(&self.test.files)
    }
}

impl Part {
    /// Lists the files of every class folder there is.
    fn new(folder: PathBuf, classes: &[String]) -> Result<Self, DataError> {
        let mut files = Vec::new();
        for (class, label) in classes.iter().zip(0..) {
            let path = folder.join(class);
            if !path.is_dir() {
                continue;
            }
            let before = files.len();
            list(&path, label, &mut files)?;
            if files.len() == before {
                return Err(DataError::EmptyClass { path });
            }
        }
        Ok(Self { folder, files })
    }
}

impl File {
    /// A file by name; one that is not there is found out when it is read.
    pub fn at(path: PathBuf, label: u32) -> Self {
        let about = fs::metadata(&path).ok();
        let (bytes, changed) = about.map_or((0, 0), |about| (about.len(), changed(&about)));
        Self {
            path,
            label,
            bytes,
            changed,
        }
    }
}

/// When a file was last written to, in nanoseconds since 1970; 0 where nobody knows.
fn changed(about: &fs::Metadata) -> u128 {
    let time = about.modified().ok();
    time.and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |time| time.as_nanos())
}

/// Appends the files below a class folder, in order of name.
pub(super) fn list(folder: &Path, label: u32, files: &mut Vec<File>) -> Result<(), DataError> {
    let entries = WalkDir::new(folder)
        .min_depth(1)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !is_clutter(&entry.file_name().to_string_lossy()));
    for entry in entries {
        let failed = |error: walkdir::Error| DataError::Io {
            path: error.path().unwrap_or(folder).to_owned(),
            source: error.into(),
        };
        let entry = entry.map_err(failed)?;
        if !entry.file_type().is_file() {
            continue;
        }
        let about = entry.metadata().map_err(failed)?;
        files.push(File {
            path: entry.into_path(),
            label,
            bytes: about.len(),
            changed: changed(&about),
        });
    }
    Ok(())
}

/// Files that nobody means to be images.
pub(super) fn is_clutter(name: &str) -> bool {
    name.starts_with('.') || ["Thumbs.db", "desktop.ini"].contains(&name)
}

/// Names of the folders right below, sorted; links to folders count.
pub(super) fn subfolders(path: &Path) -> Result<Vec<String>, DataError> {
    let failed = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !is_clutter(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// `test/` or else `val/`, the first that holds a folder named like a class: some data sets
/// ship a `test/` without labels.
fn test_folder(root: &Path, labels: &HashMap<&str, u32>) -> Result<PathBuf, DataError> {
    let mut present = Vec::new();
    for folder in ["test", "val"].map(|name| root.join(name)) {
        if !folder.is_dir() {
            continue;
        }
        let mut classes = subfolders(&folder)?.into_iter();
        if classes.any(|class| labels.contains_key(class.as_str())) {
            return Ok(folder);
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
