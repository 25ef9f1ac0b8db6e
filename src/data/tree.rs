//! Image trees in memory: every file of a [`Scan`], decoded once and kept as one packed file.
//!
//! A file's format is told by its content, not its name. Grey,
//! palette and 16-bit images become 8-bit RGB; transparency and EXIF rotation are ignored,
//! as PyTorch's `ImageFolder` does.
//!
//! Files that are no readable images are left out and reported: one is always forgiven, more
//! only up to one in a hundred.

use super::cifar::CIFAR10_CLASSES;
use super::dataset::{Dataset, Kind};
use super::decode;
use super::error::{DataError, check_bytes};
use super::images::Images;
use super::normalization::Normalization;
use super::options::OpenOptions;
use super::packed::{self, Packed};
use super::picture;
use super::scan::{File, Part, Scan};
use fast_image_resize::Resizer;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use std::env;
use std::path::{Path, PathBuf};

/// One in so many files may be broken.
const FILES_PER_BROKEN: usize = 100;
/// So many broken files are named.
const NAMED: usize = 3;

/// Reads a tree, from its packed file when that is current.
pub(super) fn read(scan: Scan, options: &OpenOptions) -> Result<Dataset, DataError> {
    let root = &scan.root;
    let packed = match options.cache {
        false => decode(&scan, options)?,
        true => {
            let fingerprint = scan.fingerprint();
            let places = places(root, options);
            let found = places
                .iter()
                .find_map(|place| packed::load(place, fingerprint));
            match found {
                Some(packed) => packed,
                None => {
                    let packed = decode(&scan, options)?;
                    keep(&places, fingerprint, &packed);
                    packed
                }
            }
        }
    };

    let normalization =
        usual_normalization(&scan).unwrap_or_else(|| Normalization::of(&packed.train));
    Ok(Dataset {
        digest: scan.digest(),
        name: name(root),
        kind: scan.kind,
        classes: scan.classes,
        train: packed.train,
        test: packed.test,
        normalization,
        problems: scan.problems.into_iter().chain(packed.problems).collect(),
    })
}

/// The usual constants of well-known data sets, by which published networks were trained.
pub(super) fn usual_normalization(scan: &Scan) -> Option<Normalization> {
    let classes = &scan.classes;
    // ImageNet's folders are WordNet ids, as n01440764.
    let is_wnid = |name: &String| {
        let digits = name.strip_prefix('n').unwrap_or_default();
        digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if scan.kind == Kind::TinyImagenet {
        Some(Normalization::TINY_IMAGENET)
    } else if classes == &CIFAR10_CLASSES {
        Some(Normalization::CIFAR10)
    } else if classes.iter().all(is_wnid) {
        Some(Normalization::IMAGENET)
    } else {
        None
    }
}

/// Bytes of the training images in memory, as large as the first readable one if no size is
/// given.
pub(super) fn training_bytes(scan: &Scan, size: Option<u32>) -> u128 {
    let first = || scan.files().find_map(sized);
    let (width, height) = match size {
        Some(size) => (size, size),
        None => first().map_or((0, 0), |(size, _)| size),
    };
    3 * u128::from(width) * u128::from(height) * scan.train.files.len() as u128
}

/// The last part of the path, also for `.` and the like.
pub(super) fn name(root: &Path) -> String {
    let path = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    path.file_name()
        .map_or("images".into(), |name| name.to_string_lossy().into_owned())
}

// ---- The packed file -----------------------------------------------------------------

/// Where a packed file may lie, best first: in the tree, else in the user's cache folder
/// under a name made from the tree's full path.
fn places(root: &Path, options: &OpenOptions) -> Vec<PathBuf> {
    let size = options
        .size
        .map_or("as-is".to_owned(), |size| size.to_string());
    let mut places = vec![root.join(format!(".autorep-cache-{size}.bin"))];
    if let Some(folder) = options.cache_dir.clone().or_else(user_cache) {
        let full = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let key = crc32c::crc32c(full.as_os_str().as_encoded_bytes());
        places.push(folder.join(format!("{}-{key:08x}-{size}.bin", name(root))));
    }
    places
}

/// The folder that the platform sets aside for such files.
fn user_cache() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let base = if cfg!(windows) {
        PathBuf::from(set("LOCALAPPDATA")?)
    } else if cfg!(target_os = "macos") {
        Path::new(&set("HOME")?).join("Library/Caches")
    } else {
        set("XDG_CACHE_HOME").map_or_else(
            || set("HOME").map(|home| Path::new(&home).join(".cache")),
            |path| Some(PathBuf::from(path)),
        )?
    };
    Some(base.join("autorep"))
}

/// Stores the images in the first place that takes them. Going without is no failure: the
/// tree is then decoded again next time.
fn keep(places: &[PathBuf], fingerprint: u64, packed: &Packed) {
    for place in places {
        match packed::store(place, fingerprint, packed) {
            Ok(()) => return,
            Err(error) => log::info!("{}: {error}", place.display()),
        }
    }
    log::warn!("nowhere to keep the decoded images; they will be decoded again next time");
}

// ---- Decoding ------------------------------------------------------------------------

/// Decodes a whole tree on all cores.
fn decode(scan: &Scan, options: &OpenOptions) -> Result<Packed, DataError> {
    let (width, height) = match options.size {
        Some(size) => (size, size),
        None => common_size(scan)?,
    };
    let count = scan.train.files.len() + scan.test.files.len();
    check_bytes(&scan.root, count, height as usize, width as usize)?;

    let bar = progress_bar(count, options);
    let mut broken = Vec::new();
    let mut read = |split| decode_split(split, width, height, &bar, &mut broken);
    let (train, test) = (read(&scan.train), read(&scan.test));
    bar.finish_and_clear();

    let mut problems = Vec::new();
    if !broken.is_empty() {
        let named = broken
            .iter()
            .map(|Broken { path, reason }| (path.as_path(), &**reason));
        let examples = examples(&scan.root, named);
        if broken.len() > most_broken(count) {
            return Err(DataError::TooManyBroken {
                root: scan.root.clone(),
                broken: broken.len(),
                files: count,
                examples,
            });
        }
        problems.push(match broken.len() {
            1 => format!("1 file is no readable image and was left out: {examples}"),
            many => format!("{many} files are no readable images and were left out: {examples}"),
        });
    }
    check_classes(scan, &train, &test, &mut problems)?;
    Ok(Packed {
        classes: scan.classes.clone(),
        train,
        test,
        problems,
    })
}

/// So many files of `count` may be broken.
pub(super) fn most_broken(count: usize) -> usize {
    (count / FILES_PER_BROKEN).max(1)
}

/// A file that was left out, and why.
struct Broken {
    path: PathBuf,
    reason: String,
}

fn decode_split(
    split: &Part,
    width: u32,
    height: u32,
    bar: &ProgressBar,
    broken: &mut Vec<Broken>,
) -> Images {
    let (width_, height_) = (width as usize, height as usize);
    let bytes = 3 * height_ * width_;
    let mut pixels = vec![0; split.files.len() * bytes];
    let failures: Vec<Option<String>> = pixels
        .par_chunks_exact_mut(bytes)
        .zip(&split.files)
        .map_init(Resizer::new, |resizer, (out, file)| {
            let fill = decode::Part::Fill;
            let decoded = decode::decode(&file.path, fill, (height, width), resizer, out);
            bar.inc(1);
            decoded.err()
        })
        .collect();

    // Close the gaps that broken files have left.
    let mut labels = Vec::with_capacity(split.files.len());
    for (at, (file, failure)) in split.files.iter().zip(failures).enumerate() {
        match failure {
            None => {
                pixels.copy_within(at * bytes..(at + 1) * bytes, labels.len() * bytes);
                labels.push(file.label);
            }
            Some(reason) => broken.push(Broken {
                path: file.path.clone(),
                reason,
            }),
        }
    }
    pixels.truncate(labels.len() * bytes);
    Images {
        height: height_,
        width: width_,
        pixels,
        labels,
    }
}

/// The size, width first, of a readable image, by its header.
fn sized(file: &File) -> Option<((u32, u32), PathBuf)> {
    let size = picture::size(&file.path).ok()?;
    Some((size, file.path.clone()))
}

/// The one size, width first, that all readable images have, judged by their headers.
pub(super) fn common_size(scan: &Scan) -> Result<(u32, u32), DataError> {
    let empty = || DataError::EmptyClass {
        path: scan.train.folder.clone(),
    };
    let (size, first) = scan.files().find_map(sized).ok_or_else(empty)?;
    let files: Vec<&File> = scan.files().collect();
    let other = files
        .into_par_iter()
        .filter_map(sized)
        .find_first(|(other, _)| *other != size);
    match other {
        None => Ok(size),
        Some((other_size, other)) => Err(DataError::MixedSizes {
            first,
            first_size: size,
            other,
            other_size,
        }),
    }
}

/// Every class must have training images; one without test images is only odd.
fn check_classes(
    scan: &Scan,
    train: &Images,
    test: &Images,
    problems: &mut Vec<String>,
) -> Result<(), DataError> {
    let counts = |images: &Images| images.class_counts(scan.classes.len());
    let classes = scan.classes.iter().zip(counts(train)).zip(counts(test));
    for ((class, train), test) in classes {
        let lacking = |split: &Part| {
            Err(DataError::EmptyClass {
                path: split.folder.join(class),
            })
        };
        if train == 0 {
            return lacking(&scan.train);
        }
        if test == 0 && scan.test.folder.join(class).is_dir() {
            return lacking(&scan.test);
        }
        if test == 0 {
            problems.push(format!("class {class} has no test images"));
        }
    }
    Ok(())
}

/// The first few broken files, by their place in the tree, each with its reason.
pub(super) fn examples<'a>(
    root: &Path,
    broken: impl ExactSizeIterator<Item = (&'a Path, &'a str)>,
) -> String {
    let more = broken.len().saturating_sub(NAMED);
    let named = broken.take(NAMED).map(|(path, reason)| {
        let path = path.strip_prefix(root).unwrap_or(path);
        format!("{} ({reason})", path.display())
    });
    let more = (more > 0).then(|| format!("and {more} more"));
    named.chain(more).collect::<Vec<_>>().join(", ")
}

/// On standard error, and only where that is a terminal.
fn progress_bar(count: usize, options: &OpenOptions) -> ProgressBar {
    if !options.progress {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("reading images {wide_bar} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(count as u64).with_style(style)
}
