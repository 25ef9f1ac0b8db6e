//! Images by path or by name: readers, splits, and the built-in generator.
//!
//! [`open`] takes `builtin` or a folder, recognises what lies there, and returns a
//! [`Dataset`]: byte images in memory, ready to be uploaded once and augmented on the device.
//! In reading order:
//!
//! - [`builtin`]: ten classes drawn by the program.
//! - `cifar`: the CIFAR-10 and CIFAR-100 binary versions.
//! - `tree`: one folder per class, any image format, kept as one packed file (`packed`).
//! - [`split`]: stratified, seeded hold-outs and subsets.
//! - [`resident`]: the data set in device memory.
//! - [`info()`] and [`contact_sheet()`]: looking at a data set.

pub mod builtin;
mod cifar;
pub mod contact_sheet;
pub mod info;
mod packed;
pub mod resident;
pub mod split;
mod stream;
mod tree;

pub use contact_sheet::contact_sheet;
pub use info::{Info, info};
pub use resident::Resident;
pub use split::{holdout, stratified_subset};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// Images of one size with their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// In pixels.
    pub height: usize,
    /// In pixels.
    pub width: usize,
    /// N×3×H×W bytes: per image a red, a green and a blue plane, row by row.
    pub pixels: Vec<u8>,
    /// One class index per image.
    pub labels: Vec<u32>,
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Bytes of one image, `3 · height · width`.
    pub fn image_bytes(&self) -> usize {
        3 * self.height * self.width
    }

    /// The three planes of image `index`. Panics when there is no such image.
    pub fn image(&self, index: usize) -> &[u8] {
        let bytes = self.image_bytes();
        &self.pixels[index * bytes..][..bytes]
    }

    /// Copies the images of these indices, in this order. Panics when there is no such image.
    pub fn subset(&self, indices: &[u32]) -> Self {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_bytes());
        for &index in indices {
            pixels.extend_from_slice(self.image(index as usize));
        }
        Self {
            height: self.height,
            width: self.width,
            pixels,
            labels: indices
                .iter()
                .map(|&index| self.labels[index as usize])
                .collect(),
        }
    }

    /// Images per class.
    pub fn class_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            counts[label as usize] += 1;
        }
        counts
    }
}

/// A data set in memory.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Short name: `builtin`, `cifar10`, `cifar100`, or the tree's folder name.
    pub name: String,
    pub kind: Kind,
    /// Class names; a label is an index into this list.
    pub classes: Vec<String>,
    pub train: Images,
    pub test: Images,
    /// Per channel, of pixels in `0.0..=1.0`: what the network's input is normalised with.
    pub mean: [f32; 3],
    /// Per channel, of pixels in `0.0..=1.0`; never below 1/255.
    pub std: [f32; 3],
    /// What is odd about the files but did not keep them from being used, one sentence each.
    pub problems: Vec<String>,
}

/// Where a data set comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Builtin,
    Cifar10,
    Cifar100,
    Tree,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Self::Builtin => "built-in generator",
            Self::Cifar10 => "CIFAR-10 binary version",
            Self::Cifar100 => "CIFAR-100 binary version",
            Self::Tree => "one folder per class",
        })
    }
}

/// How to open a data set.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Scale the images of a tree to `size × size` (the shorter side fitted, the longer one
    /// cropped in the middle), or draw the built-in images that large. Without it a tree's
    /// images must all be of one size.
    pub size: Option<u32>,
    /// Keep the decoded images of a tree in one packed file, and use it while it is current.
    pub cache: bool,
    /// Where the packed file goes when the tree itself cannot be written to; the user's
    /// cache folder if `None`.
    pub cache_dir: Option<PathBuf>,
    /// Show a progress bar while decoding, where standard error is a terminal.
    pub progress: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            size: None,
            cache: true,
            cache_dir: None,
            progress: true,
        }
    }
}

/// Why a data set cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("{}: no such file or folder; name a folder of images, or `builtin`", .path.display())]
    NotFound { path: PathBuf },
    #[error("{}: is a file; if it is an archive, unpack it and name the folder", .path.display())]
    NotAFolder { path: PathBuf },
    #[error(
        "{}: not recognised as a data set; it should hold CIFAR-10 (data_batch_1.bin …) or \
         CIFAR-100 (train.bin, test.bin) binary files, or the folders train/CLASS and test/CLASS",
        .path.display()
    )]
    Unrecognised { path: PathBuf },
    #[error(
        "{}: this is the Python (pickle) version of CIFAR; fetch the \"binary version\" from the \
         same page instead",
        .path.display()
    )]
    PickledCifar { path: PathBuf },
    #[error("{}: cannot be read ({source}); check that it is there and readable", .path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: is missing; unpack the {kind} archive again", .path.display())]
    MissingFile { path: PathBuf, kind: Kind },
    #[error(
        "{}: {bytes} bytes are no whole number of {record}-byte records, so the file is cut short \
         or not of this kind; fetch it again",
        .path.display()
    )]
    Truncated {
        path: PathBuf,
        bytes: u64,
        record: usize,
    },
    #[error(
        "{}: record {record} has label {label}, but there are {classes} classes; the file is \
         damaged or not of this kind; fetch it again",
        .path.display()
    )]
    LabelOutOfRange {
        path: PathBuf,
        record: usize,
        label: u32,
        classes: usize,
    },
    #[error(
        "{}: lists {found} class names, not {expected}; unpack the archive again",
        .path.display()
    )]
    ClassNames {
        path: PathBuf,
        found: usize,
        expected: usize,
    },
    #[error("{}: CIFAR images are 32×32, not {size}×{size}; leave out --image-size", .path.display())]
    FixedSize { path: PathBuf, size: u32 },
    #[error("--image-size {size}: must lie in {low}..={high}", low = SIZES.start(), high = SIZES.end())]
    SizeOutOfRange { size: u32 },
    #[error(
        "{}: {images} images of {width}×{height} would take {} GiB, more than the {} GiB a data \
         set may; pass a smaller --image-size or fewer images",
        .path.display(), .bytes >> 30, MOST_BYTES >> 30
    )]
    TooLarge {
        path: PathBuf,
        images: usize,
        height: usize,
        width: usize,
        bytes: u128,
    },
    #[error(
        "{}: no test split; beside train/ there must be a folder test/ or val/ with the same class \
         folders (moving a tenth of the training images there will do)",
        .root.display()
    )]
    NoTestSplit { root: PathBuf },
    #[error("{}: holds no class folders; put each class's images in a folder of its own", .path.display())]
    NoClasses { path: PathBuf },
    #[error("{}: a class folder without a single readable image; fill it or remove it", .path.display())]
    EmptyClass { path: PathBuf },
    #[error("{}: no class of that name in {}; add it there or remove it here", .path.display(), .train.display())]
    UnknownClass { path: PathBuf, train: PathBuf },
    #[error(
        "{}: {broken} of {files} files are not readable images, which is more than 1 %; remove or \
         replace them: {examples}",
        .root.display()
    )]
    TooManyBroken {
        root: PathBuf,
        broken: usize,
        files: usize,
        examples: String,
    },
    #[error(
        "{}: is {}×{}, but {} is {}×{}; pass --image-size to scale all images to one size",
        .other.display(), .other_size.0, .other_size.1, .first.display(), .first_size.0, .first_size.1
    )]
    MixedSizes {
        first: PathBuf,
        first_size: (u32, u32),
        other: PathBuf,
        other_size: (u32, u32),
    },
    #[error(
        "builtin: `{pair}` is not understood; write for example \
         builtin:train=4096,test=1024,size=16,seed=0"
    )]
    BuiltinSpec { pair: String },
    #[error("builtin: {key}={value} must lie in {low}..={high}")]
    BuiltinRange {
        key: &'static str,
        value: usize,
        low: usize,
        high: usize,
    },
}

/// Opens a data set.
///
/// `spec` is `builtin`, optionally with `builtin:train=4000,test=1000,size=16,seed=7`, or the
/// path of a folder whose kind is recognised from what lies in it. (A folder that happens to
/// be called `builtin` is reached as `./builtin`.)
pub fn open(spec: &str, options: &OpenOptions) -> Result<Dataset, DataError> {
    if let Some(size) = options.size.filter(|size| !SIZES.contains(size)) {
        return Err(DataError::SizeOutOfRange { size });
    }
    match spec.strip_prefix("builtin") {
        Some("") => builtin::open("", options),
        Some(rest) if rest.starts_with(':') => builtin::open(&rest[1..], options),
        _ => open_folder(Path::new(spec), options),
    }
}

fn open_folder(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    let owned = || path.to_owned();
    if !path.exists() {
        return Err(DataError::NotFound { path: owned() });
    }
    if !path.is_dir() {
        return Err(DataError::NotAFolder { path: owned() });
    }
    if let Some(archive) = cifar::recognise(path) {
        return archive.read(options);
    }
    if cifar::is_pickled(path) {
        return Err(DataError::PickledCifar { path: owned() });
    }
    if path.join("train").is_dir() {
        return tree::read(path, options);
    }
    Err(DataError::Unrecognised { path: owned() })
}

/// Heights and widths that make sense for the networks here.
const SIZES: std::ops::RangeInclusive<u32> = 8..=1024;

/// A data set lies in memory as a whole; one larger than this is a slip, or needs scaling.
const MOST_BYTES: u128 = 32 << 30;

/// Refuses data sets that would not fit, before anything is allocated.
fn check_bytes(path: &Path, images: usize, height: usize, width: usize) -> Result<(), DataError> {
    let bytes = 3 * images as u128 * height as u128 * width as u128;
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(DataError::TooLarge {
        path: path.to_owned(),
        images,
        height,
        width,
        bytes,
    })
}

/// Mean and standard deviation per channel of pixels in `0.0..=1.0`.
///
/// Sums of bytes and of their squares are integers, so the result is exact and the same
/// whatever the order. A channel without spread gets the width of one grey step, so that
/// dividing by it stays harmless.
fn channel_statistics(images: &Images) -> ([f32; 3], [f32; 3]) {
    let plane = (images.height * images.width).max(1);
    let mut sums = [(0u64, 0u64); 3];
    for (at, pixels) in images.pixels.chunks_exact(plane).enumerate() {
        let (sum, squares) = &mut sums[at % 3];
        for &pixel in pixels {
            *sum += u64::from(pixel);
            *squares += u64::from(pixel) * u64::from(pixel);
        }
    }
    let count = (images.len() * plane).max(1) as f64;
    let mean = sums.map(|(sum, _)| sum as f64 / count);
    let moments = sums.map(|(sum, squares)| {
        let mean = sum as f64 / count;
        (squares as f64 / count - mean * mean).max(0.0).sqrt()
    });
    (
        mean.map(|mean| (mean / 255.0) as f32),
        moments.map(|std| (std.max(1.0) / 255.0) as f32),
    )
}
