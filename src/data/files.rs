//! Images that stay in their files until a batch needs them: for data sets too large for
//! memory, and for crops that want the whole picture.

use super::dataset::Dataset;
use super::decode::Part;
use super::error::DataError;
use super::images::Images;
use super::normalization::Normalization;
use super::options::{Crop, OpenOptions};
use super::scan::{self, Scan};
use super::{decode, tree};
use fast_image_resize::Resizer;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many images stand for all where mean and standard deviation are to be measured.
const MEASURED: usize = 2000;
/// So many broken files are named one by one in the log.
const LOGGED: usize = 20;

/// A list of image files with their labels.
#[derive(Clone, Debug)]
pub struct Files {
    /// Of the images that batches are made of, in pixels.
    pub height: usize,
    /// Likewise.
    pub width: usize,
    /// One class index per image.
    pub labels: Vec<u32>,
    /// How an image is cut out of a picture.
    pub crop: Crop,
    paths: Vec<PathBuf>,
    /// Of the data set, for messages.
    root: PathBuf,
    /// Files of the whole list, where this is a subset of it.
    total: usize,
    broken: Arc<Mutex<BTreeMap<PathBuf, String>>>,
}

/// Lists the images of a scan without opening them, but for the few that are measured.
pub(super) fn list(scan: Scan, options: &OpenOptions) -> Result<Dataset<Files>, DataError> {
    let (width, height) = match (options.size, options.crop) {
        (Some(size), _) => (size, size),
        (None, Crop::Shift) => tree::common_size(&scan)?,
        (None, Crop::Resized) => return Err(DataError::NoSize { root: scan.root }),
    };
    let usual = tree::usual_normalization(&scan);
    let files = |part: scan::Part| Files {
        total: part.files.len(),
        height: height as usize,
        width: width as usize,
        labels: part.files.iter().map(|file| file.label).collect(),
        crop: options.crop,
        paths: part.files.into_iter().map(|file| file.path).collect(),
        root: scan.root.clone(),
        broken: Arc::default(),
    };
    let digest = scan.digest();
    let (train, test) = (files(scan.train), files(scan.test));
    if train.is_empty() || test.is_empty() {
        return Err(DataError::NoClasses { path: scan.root });
    }
    let normalization = match usual {
        Some(usual) => usual,
        None => train.measure()?,
    };
    Ok(Dataset {
        digest,
        name: tree::name(&scan.root),
        kind: scan.kind,
        classes: scan.classes,
        train,
        test,
        normalization,
        problems: scan.problems,
    })
}

impl Files {
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

    /// The files of these indices, in this order. Panics when there is no such image.
    pub fn subset(&self, indices: &[u32]) -> Self {
        let at = |&index: &u32| index as usize;
        Self {
            labels: indices.iter().map(|i| self.labels[at(i)]).collect(),
            paths: indices.iter().map(|i| self.paths[at(i)].clone()).collect(),
            root: self.root.clone(),
            broken: Arc::clone(&self.broken),
            ..*self
        }
    }

    /// Files found to be no readable images so far, each with the reason. Subsets share them.
    pub fn broken(&self) -> BTreeMap<PathBuf, String> {
        self.tally().clone()
    }

    /// Decodes image `index` into `out`: for evaluation, or cut at random for training.
    pub(super) fn decode(
        &self,
        index: u32,
        random: Option<(u32, u32)>,
        resizer: &mut Resizer,
        out: &mut [u8],
    ) -> Result<(), String> {
        let part = match (self.crop, random) {
            (Crop::Shift, _) => Part::Fill,
            (Crop::Resized, None) => Part::Middle,
            (Crop::Resized, Some((seed, epoch))) => Part::Random {
                seed,
                epoch,
                image: index,
            },
        };
        let size = (self.height as u32, self.width as u32);
        decode::decode(&self.paths[index as usize], part, size, resizer, out)
    }

    /// Counts and names a broken file.
    ///
    /// # Errors
    /// [`DataError::TooManyBroken`] once there are more than one in a hundred.
    pub(super) fn report(&self, index: u32, reason: String) -> Result<(), DataError> {
        let path: &Path = &self.paths[index as usize];
        let mut broken = self.tally();
        let text = format!("{}: {reason}; the file is skipped", path.display());
        if broken.insert(path.to_owned(), reason).is_none() {
            match broken.len() {
                count if count < LOGGED => log::warn!("{text}"),
                LOGGED => log::warn!("{text}; further ones are counted, and named with -v"),
                _ => log::debug!("{text}"),
            }
        }
        if broken.len() <= tree::most_broken(self.total) {
            return Ok(());
        }
        let named = broken.iter().map(|(path, reason)| (&**path, &**reason));
        Err(DataError::TooManyBroken {
            root: self.root.clone(),
            broken: broken.len(),
            files: self.total,
            examples: tree::examples(&self.root, named),
        })
    }

    fn tally(&self) -> MutexGuard<'_, BTreeMap<PathBuf, String>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes the images of these indices as evaluation sees them. What cannot be read is left out,
    /// counted and named.
    ///
    /// # Errors
    /// [`DataError::TooManyBroken`] once there are more than one in a hundred.
    pub fn load(&self, indices: &[u32]) -> Result<Images, DataError> {
        let mut pixels = vec![0; indices.len() * self.image_bytes()];
        let failures: Vec<Option<String>> = pixels
            .par_chunks_exact_mut(self.image_bytes())
            .zip(indices)
            .map_init(Resizer::new, |resizer, (out, &index)| {
                self.decode(index, None, resizer, out).err()
            })
            .collect();
        let mut images = Images {
            height: self.height,
            width: self.width,
            labels: Vec::with_capacity(indices.len()),
            pixels: Vec::with_capacity(pixels.len()),
        };
        let decoded = pixels.chunks_exact(self.image_bytes()).zip(indices);
        for ((image, &index), failure) in decoded.zip(failures) {
            match failure {
                None => {
                    images.pixels.extend_from_slice(image);
                    images.labels.push(self.labels[index as usize]);
                }
                Some(reason) => self.report(index, reason)?,
            }
        }
        Ok(images)
    }

    /// The normalisation of evenly spaced images as evaluation sees them.
    fn measure(&self) -> Result<Normalization, DataError> {
        let step = self.len().div_ceil(MEASURED).max(1);
        let indices: Vec<u32> = (0..self.len()).step_by(step).map(|i| i as u32).collect();
        Ok(Normalization::of(&self.load(&indices)?))
    }
}
