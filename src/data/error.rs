//! What is wrong with a data set, and how large one may be.

use super::dataset::Kind;
use std::path::{Path, PathBuf};

/// Why a data set cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what variants and fields are")]
pub enum DataError {
    #[error(
        "{}: no such file or folder{}; name a folder of images, or `builtin`",
        .path.display(), looked_in(.path)
    )]
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
    #[error(
        "{}: a link to what is not there; mount the disk that it leads to, or remove it, or the class \
         would be missing",
        .path.display()
    )]
    LostClass { path: PathBuf },
    #[error(
        "{}: the name of a class folder is not UTF-8; rename it (convmv -f latin1 -t utf8 does many \
         at once)",
        .path.display()
    )]
    ClassName { path: PathBuf },
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

/// Where a relative path was looked for, as a clause.
fn looked_in(path: &Path) -> String {
    match (path.is_relative(), std::env::current_dir()) {
        (true, Ok(folder)) => format!(" below {}, where the program runs", folder.display()),
        _ => String::new(),
    }
}

/// Heights and widths that make sense for the networks here.
pub(super) const SIZES: std::ops::RangeInclusive<u32> = 8..=1024;

/// A data set lies in memory as a whole; one larger than this is a slip, or needs scaling.
const MOST_BYTES: u128 = 32 << 30;

/// Refuses data sets that would not fit, before anything is allocated.
pub(super) fn check_bytes(
    path: &Path,
    images: usize,
    height: usize,
    width: usize,
) -> Result<(), DataError> {
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
