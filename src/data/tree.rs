//! Image trees: `train/CLASS/*` beside `test/CLASS/*` or `val/CLASS/*`.
//!
//! The folders of `train/` are the classes, in order of name. Whatever lies below a class
//! folder belongs to the class, however deep; hidden files and the thumbnails that desktops
//! leave behind do not count. A file's format is told by its content, not its name. Grey,
//! palette and 16-bit images become 8-bit RGB; transparency and EXIF rotation are ignored,
//! as PyTorch's `ImageFolder` does.
//!
//! Files that are no readable images are left out and reported: one is always forgiven, more
//! only up to one in a hundred.

use super::cifar::{CIFAR10_CLASSES, CIFAR10_MEAN, CIFAR10_STD};
use super::packed::{self, Packed};
use super::{DataError, Dataset, Images, Kind, OpenOptions, channel_statistics, check_bytes};
use image::{DynamicImage, ImageReader, RgbImage, imageops::FilterType};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use std::collections::HashMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use walkdir::WalkDir;

/// One in so many files may be broken.
const FILES_PER_BROKEN: usize = 100;
/// So many broken files are named.
const NAMED: usize = 3;

/// Reads the tree at `root`, from its packed file when that is current.
pub(super) fn read(root: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    let scan = Scan::new(root)?;
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

    let (mean, std) = if packed.classes == CIFAR10_CLASSES {
        (CIFAR10_MEAN, CIFAR10_STD)
    } else {
        channel_statistics(&packed.train)
    };
    Ok(Dataset {
        name: name(root),
        kind: Kind::Tree,
        classes: packed.classes,
        train: packed.train,
        test: packed.test,
        mean,
        std,
        problems: packed.problems,
    })
}

/// The last part of the path, also for `.` and the like.
fn name(root: &Path) -> String {
    let path = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    path.file_name()
        .map_or("images".into(), |name| name.to_string_lossy().into_owned())
}

// ---- What is there -------------------------------------------------------------------

/// All files of a tree, in a fixed order, unopened.
struct Scan {
    root: PathBuf,
    classes: Vec<String>,
    train: Split,
    test: Split,
}

/// `train/`, `test/` or `val/`.
struct Split {
    folder: PathBuf,
    files: Vec<File>,
}

struct File {
    path: PathBuf,
    label: u32,
    bytes: u64,
    /// Last change, in nanoseconds since 1970.
    changed: u128,
}

impl Scan {
    fn new(root: &Path) -> Result<Self, DataError> {
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
            train: Split::new(train, &classes)?,
            test: Split::new(test, &classes)?,
            classes,
        })
    }

    /// Changes when a file is added, removed, renamed, or written to. FNV-1a.
    fn fingerprint(&self) -> u64 {
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

    fn files(&self) -> impl Iterator<Item = &File> {
        self.train.files.iter().chain(&self.test.files)
    }
}

impl Split {
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

/// Appends the files below a class folder, in order of name.
fn list(folder: &Path, label: u32, files: &mut Vec<File>) -> Result<(), DataError> {
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
        let changed = about
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        files.push(File {
            path: entry.into_path(),
            label,
            bytes: about.len(),
            changed: changed.map_or(0, |time| time.as_nanos()),
        });
    }
    Ok(())
}

/// Files that nobody means to be images.
fn is_clutter(name: &str) -> bool {
    name.starts_with('.') || ["Thumbs.db", "desktop.ini"].contains(&name)
}

/// Names of the folders right below, sorted; links to folders count.
fn subfolders(path: &Path) -> Result<Vec<String>, DataError> {
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
        let examples = examples(scan, &broken);
        if broken.len() > (count / FILES_PER_BROKEN).max(1) {
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

/// A file that was left out, and why.
struct Broken {
    path: PathBuf,
    reason: String,
}

fn decode_split(
    split: &Split,
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
        .map(|(out, file)| {
            let decoded = decode_file(&file.path, width, height);
            bar.inc(1);
            decoded.map(|image| to_planes(&image, out)).err()
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

/// The image in a file, scaled and cropped where it is of another size.
fn decode_file(path: &Path, width: u32, height: u32) -> Result<RgbImage, String> {
    let image = reader(path)
        .map_err(|error| error.to_string())?
        .decode()
        .map_err(|error| error.to_string())?;
    if (image.width(), image.height()) == (width, height) {
        return Ok(image.into_rgb8());
    }
    // Colours first: scaling a palette or transparency would blend what is not a colour.
    let image = DynamicImage::from(image.into_rgb8());
    Ok(image
        .resize_to_fill(width, height, FilterType::Triangle)
        .into_rgb8())
}

/// Looks at the content, since names lie.
fn reader(path: &Path) -> io::Result<ImageReader<io::BufReader<fs::File>>> {
    ImageReader::open(path)?.with_guessed_format()
}

/// Pixel by pixel to plane by plane.
fn to_planes(image: &RgbImage, out: &mut [u8]) {
    let plane = out.len() / 3;
    for (at, pixel) in image.pixels().enumerate() {
        for (channel, value) in pixel.0.into_iter().enumerate() {
            out[channel * plane + at] = value;
        }
    }
}

/// The one size, width first, that all readable images have, judged by their headers.
fn common_size(scan: &Scan) -> Result<(u32, u32), DataError> {
    let sized = |file: &File| {
        Some((
            reader(&file.path).ok()?.into_dimensions().ok()?,
            file.path.clone(),
        ))
    };
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
        let lacking = |split: &Split| {
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

/// The first few broken files, by their place in the tree.
fn examples(scan: &Scan, broken: &[Broken]) -> String {
    let named = broken.iter().take(NAMED).map(|Broken { path, reason }| {
        let path = path.strip_prefix(&scan.root).unwrap_or(path);
        format!("{} ({reason})", path.display())
    });
    let more = (broken.len() > NAMED).then(|| format!("and {} more", broken.len() - NAMED));
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
