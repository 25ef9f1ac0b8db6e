//! From a name or a folder to a data set.

use super::dataset::Dataset;
use super::error::{DataError, SIZES};
use super::options::{Crop, OpenOptions, Placement};
use super::split::Split;
use super::{builtin, cifar, files, scan, tiny, tree};
use std::path::Path;
use std::sync::Arc;

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
