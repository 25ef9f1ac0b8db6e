//! Images by path or by name: readers, splits, and the built-in generator.
//!
//! [`open`] takes `builtin` or a folder, recognises what lies there, and returns a
//! [`Dataset`]: byte images in memory, ready to be uploaded once and augmented on the device.
//! [`open_for_training`] leaves in their files the images that are too many for that, or that
//! are to be cut anew every epoch. In reading order:
//!
//! - [`builtin`]: ten classes drawn by the program.
//! - `cifar`: the CIFAR-10 and CIFAR-100 binary versions.
//! - `scan`: what lies in a folder of images, one folder per class; `tiny`: the same for the
//!   layout of Tiny-ImageNet.
//! - `tree`: such images decoded into memory, kept as one packed file (`packed`).
//! - [`Files`]: such images left where they are; `loader`: batches of them, decoded ahead of
//!   the device; [`augment`]: how they are varied; `decode`: from a file to bytes.
//! - [`Normalization`]: what the network's input is scaled by.
//! - [`split`]: stratified, seeded hold-outs and subsets.
//! - [`resident`]: the data set, or a batch of it, in device memory.
//! - [`fetch`](mod@fetch): downloads.
//! - [`info()`] and [`contact_sheet()`]: looking at a data set.

pub mod augment;
pub mod builtin;
mod cifar;
pub mod contact_sheet;
mod decode;
pub mod fetch;
mod files;
pub mod info;
pub mod loader;
mod normalization;
mod packed;
pub mod resident;
mod scan;
pub mod split;
mod stream;
mod tiny;
mod tree;

pub use contact_sheet::contact_sheet;
pub use files::Files;
pub use info::{Info, info};
pub use loader::{Batch, Loader};
pub use normalization::Normalization;
pub use resident::{Resident, Source};
pub use split::{holdout, stratified_subset};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

    /// Whether there is none.
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

/// A data set: in memory, unless `S` says otherwise.
#[derive(Clone, Debug)]
pub struct Dataset<S = Images> {
    /// Short name: `builtin`, `cifar10`, `cifar100`, or the tree's folder name.
    pub name: String,
    /// Where it comes from.
    pub kind: Kind,
    /// Class names; a label is an index into this list.
    pub classes: Vec<String>,
    /// What networks are trained on; validation images are split off it.
    pub train: S,
    /// What the result is tested on, once.
    pub test: S,
    /// What the network's input is normalised with.
    pub normalization: Normalization,
    /// What is odd about the files but did not keep them from being used, one sentence each.
    pub problems: Vec<String>,
}

impl<S> Dataset<S> {
    /// The same data set with its images held in another way.
    fn map<T>(self, hold: impl Fn(S) -> T) -> Dataset<T> {
        Dataset {
            name: self.name,
            kind: self.kind,
            classes: self.classes,
            train: hold(self.train),
            test: hold(self.test),
            normalization: self.normalization,
            problems: self.problems,
        }
    }
}

/// Images in memory, or in their files.
#[derive(Clone, Debug)]
pub enum Split {
    /// In memory.
    Images(Images),
    /// In their files.
    Files(Arc<Files>),
}

impl Split {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels().is_empty()
    }

    /// One class index per image.
    pub fn labels(&self) -> &[u32] {
        match self {
            Split::Images(images) => &images.labels,
            Split::Files(files) => &files.labels,
        }
    }

    /// Height and width in pixels.
    pub fn size(&self) -> (usize, usize) {
        match self {
            Split::Images(images) => (images.height, images.width),
            Split::Files(files) => (files.height, files.width),
        }
    }

    /// The images of these indices, in this order. Panics when there is no such image.
    pub fn subset(&self, indices: &[u32]) -> Self {
        match self {
            Split::Images(images) => Split::Images(images.subset(indices)),
            Split::Files(files) => Split::Files(Arc::new(files.subset(indices))),
        }
    }
}

/// What training sees of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    /// All of it, moved by a few pixels.
    #[default]
    Shift,
    /// A random rectangle of the picture, scaled; in evaluation its middle: for ImageNet.
    Resized,
}

/// Where training images are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// On the device if they fit, else in their files.
    #[default]
    Auto,
    /// On the device, uploaded once.
    Resident,
    /// In their files, decoded batch by batch.
    Stream,
}

/// Where a data set comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The program draws it.
    Builtin,
    /// CIFAR-10, binary version.
    Cifar10,
    /// CIFAR-100, binary version.
    Cifar100,
    /// Tiny-ImageNet-200.
    TinyImagenet,
    /// One folder for each class.
    Tree,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Self::Builtin => "built-in generator",
            Self::Cifar10 => "CIFAR-10 binary version",
            Self::Cifar100 => "CIFAR-100 binary version",
            Self::TinyImagenet => "Tiny-ImageNet-200",
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
    /// What training sees of an image; [`Crop::Resized`] needs the pictures in their files.
    pub crop: Crop,
    /// Where training images are kept.
    pub placement: Placement,
    /// So many bytes of training images may be kept on the device without being asked for.
    pub resident_bytes: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            size: None,
            cache: true,
            cache_dir: None,
            progress: true,
            crop: Crop::Shift,
            placement: Placement::Auto,
            resident_bytes: 4 << 30,
        }
    }
}

/// Why a data set cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what variants and fields are")]
pub enum DataError {
    #[error("{}: no such file or folder; name a folder of images, or `builtin`", .path.display())]
    NotFound { path: PathBuf },
    #[error("{}: is a file; if it is an archive, unpack it and name the folder", .path.display())]
    NotAFolder { path: PathBuf },
    #[error(
        "{}: not recognised as a data set; it should hold CIFAR-10 (data_batch_1.bin …) or \
         CIFAR-100 (train.bin, test.bin) binary files, Tiny-ImageNet (wnids.txt …), or the folders \
         train/CLASS and test/CLASS",
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
    #[error("{}: line {line}: {reason}; unpack the archive again", .path.display())]
    Annotation {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error(
        "{}: pictures of any size are cropped at random, so say how large the images shall be, for \
         example --image-size 224",
        .root.display()
    )]
    NoSize { root: PathBuf },
    #[error(
        "{data}: only images in files of their own (train/CLASS/*) can be streamed or cropped out \
         of larger pictures; leave out --stream and augment.crop = resized"
    )]
    NotFiles { data: String },
    #[error(
        "random crops of pictures need the files: leave out --resident, or set augment.crop=shift"
    )]
    ResidentCrop,
    #[error(
        "none of a batch's {images} files is a readable image; remove them, or use a larger batch"
    )]
    NothingReadable { images: usize },
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

/// Opens a data set and decides where its images stay: in memory, to be uploaded once, or in
/// their files.
///
/// No portable interface tells how much memory an adapter has, so the rule is a plain one:
/// training images stay in their files when they are cropped at random out of larger pictures,
/// when they would take more than [`OpenOptions::resident_bytes`], or when asked for.
pub fn open_for_training(spec: &str, options: &OpenOptions) -> Result<Dataset<Split>, DataError> {
    let is_builtin = spec == "builtin" || spec.starts_with("builtin:");
    let wants_files = options.placement == Placement::Stream || options.crop == Crop::Resized;
    if options.crop == Crop::Resized && options.placement == Placement::Resident {
        return Err(DataError::ResidentCrop);
    }
    if !is_builtin && let Found::Scan(scan) = look(Path::new(spec), options)? {
        let too_many = options.placement == Placement::Auto
            && tree::training_bytes(&scan, options.size) > u128::from(options.resident_bytes);
        return Ok(if wants_files || too_many {
            files::list(*scan, options)?.map(|files| Split::Files(Arc::new(files)))
        } else {
            tree::read(*scan, options)?.map(Split::Images)
        });
    }
    if wants_files {
        return Err(DataError::NotFiles {
            data: spec.to_owned(),
        });
    }
    Ok(open(spec, options)?.map(Split::Images))
}

fn open_folder(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    match look(path, options)? {
        Found::Cifar(archive) => archive.read(options),
        Found::Scan(scan) => tree::read(*scan, options),
    }
}

/// What a folder was recognised as.
enum Found {
    Cifar(cifar::Archive),
    Scan(Box<scan::Scan>),
}

fn look(path: &Path, options: &OpenOptions) -> Result<Found, DataError> {
    if let Some(size) = options.size.filter(|size| !SIZES.contains(size)) {
        return Err(DataError::SizeOutOfRange { size });
    }
    let owned = || path.to_owned();
    if !path.exists() {
        return Err(DataError::NotFound { path: owned() });
    }
    if !path.is_dir() {
        return Err(DataError::NotAFolder { path: owned() });
    }
    if let Some(archive) = cifar::recognise(path) {
        return Ok(Found::Cifar(archive));
    }
    if cifar::is_pickled(path) {
        return Err(DataError::PickledCifar { path: owned() });
    }
    let scan = if let Some(folder) = tiny::recognise(path) {
        Some(tiny::scan(&folder)?)
    } else if path.join("train").is_dir() {
        Some(scan::Scan::new(path)?)
    } else {
        None
    };
    if let Some(scan) = scan {
        return Ok(Found::Scan(Box::new(scan)));
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
