//! The CIFAR-10 and CIFAR-100 binary versions (Krizhevsky, 2009).
//!
//! A file is a run of records without a header: one label byte (CIFAR-10) or a coarse and a
//! fine one (CIFAR-100, of which the fine is used), then 3×32×32 pixel bytes, planes of red,
//! green and blue: just as [`Images`] keeps them.

use super::dataset::{Dataset, Kind};
use super::error::{DataError, check_bytes};
use super::images::{Images, digest};
use super::normalization::Normalization;
use super::options::OpenOptions;
use std::fs;
use std::path::{Path, PathBuf};

const SIDE: usize = 32;
const PIXELS: usize = 3 * SIDE * SIDE;

/// What tells the two versions apart.
struct Format {
    kind: Kind,
    name: &'static str,
    /// The folder that the official archive unpacks to.
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static str,
    class_names: &'static str,
    classes: usize,
    /// Bytes before the pixels; the last of them is the label.
    label_bytes: usize,
    /// Records per file of the official archive.
    train_records: usize,
    test_records: usize,
    normalization: Normalization,
}

/// CIFAR-10's classes in label order, which is alphabetical.
pub(super) const CIFAR10_CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

const FORMATS: [Format; 2] = [
    Format {
        kind: Kind::Cifar10,
        name: "cifar10",
        folder: "cifar-10-batches-bin",
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        class_names: "batches.meta.txt",
        classes: 10,
        label_bytes: 1,
        train_records: 10_000,
        test_records: 10_000,
        normalization: Normalization::CIFAR10,
    },
    Format {
        kind: Kind::Cifar100,
        name: "cifar100",
        folder: "cifar-100-binary",
        train: &["train.bin"],
        test: "test.bin",
        class_names: "fine_label_names.txt",
        classes: 100,
        label_bytes: 2,
        train_records: 50_000,
        test_records: 10_000,
        normalization: Normalization::CIFAR100,
    },
];

/// A folder found to hold one of the two.
pub(super) struct Archive {
    folder: PathBuf,
    format: &'static Format,
}

/// Looks for either version in `path` itself and in the folder its archive unpacks to. One
/// file of pixels is enough to be recognised, so that a missing one can be named.
pub(super) fn recognise(path: &Path) -> Option<Archive> {
    FORMATS.iter().find_map(|format| {
        [path.to_owned(), path.join(format.folder)]
            .into_iter()
            .find(|folder| {
                let mut files = format.train.iter().chain([&format.test]);
                files.any(|file| folder.join(file).is_file())
            })
            .map(|folder| Archive { folder, format })
    })
}

/// Whether this is the Python version, which people fetch by mistake.
pub(super) fn is_pickled(path: &Path) -> bool {
    [
        path.to_owned(),
        path.join("cifar-10-batches-py"),
        path.join("cifar-100-python"),
    ]
    .iter()
    .any(|folder| {
        let both = |a: &str, b: &str| folder.join(a).is_file() && folder.join(b).is_file();
        both("data_batch_1", "test_batch") || both("train", "meta")
    })
}

impl Archive {
    pub fn read(&self, options: &OpenOptions) -> Result<Dataset, DataError> {
        let format = self.format;
        if let Some(size) = options.size.filter(|&size| size as usize != SIDE) {
            let path = self.folder.clone();
            return Err(DataError::FixedSize { path, size });
        }
        let classes = self.class_names()?;
        let mut problems = Vec::new();
        let mut train = empty();
        for file in format.train {
            self.append(file, format.train_records, &mut train, &mut problems)?;
        }
        let mut test = empty();
        self.append(format.test, format.test_records, &mut test, &mut problems)?;
        Ok(Dataset {
            digest: digest(&train, &test),
            name: format.name.to_owned(),
            kind: format.kind,
            classes,
            train,
            test,
            normalization: format.normalization,
            problems,
        })
    }

    fn file(&self, name: &str) -> Result<PathBuf, DataError> {
        let path = self.folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        let kind = self.format.kind;
        Err(DataError::MissingFile { path, kind })
    }

    fn class_names(&self) -> Result<Vec<String>, DataError> {
        let path = self.file(self.format.class_names)?;
        let bytes = fs::read(&path).map_err(|source| io(&path, source))?;
        let names: Vec<String> = String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        if names.len() == self.format.classes {
            return Ok(names);
        }
        Err(DataError::ClassNames {
            path,
            found: names.len(),
            expected: self.format.classes,
        })
    }

    /// Appends the records of one file to `images`.
    fn append(
        &self,
        name: &str,
        expected: usize,
        images: &mut Images,
        problems: &mut Vec<String>,
    ) -> Result<(), DataError> {
        let path = self.file(name)?;
        let record = self.format.label_bytes + PIXELS;
        let bytes = fs::metadata(&path)
            .map_err(|source| io(&path, source))?
            .len();
        if bytes == 0 || bytes % record as u64 != 0 {
            return Err(DataError::Truncated {
                path,
                bytes,
                record,
            });
        }
        check_bytes(&path, (bytes / record as u64) as usize, SIDE, SIDE)?;

        let content = fs::read(&path).map_err(|source| io(&path, source))?;
        let records = content.len() / record;
        for (at, record) in content.chunks_exact(record).enumerate() {
            let (labels, pixels) = record.split_at(self.format.label_bytes);
            let label = u32::from(labels[self.format.label_bytes - 1]);
            if label as usize >= self.format.classes {
                return Err(DataError::LabelOutOfRange {
                    path,
                    record: at,
                    label,
                    classes: self.format.classes,
                });
            }
            images.labels.push(label);
            images.pixels.extend_from_slice(pixels);
        }
        if records != expected {
            problems.push(format!(
                "{name} holds {records} images, not the usual {expected}"
            ));
        }
        Ok(())
    }
}

fn empty() -> Images {
    Images {
        height: SIDE,
        width: SIDE,
        ..Images::default()
    }
}

fn io(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io {
        path: path.to_owned(),
        source,
    }
}
