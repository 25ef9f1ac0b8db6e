//! The images of a run: the data set that the settings name, and which of its images are trained
//! on.

use super::error::TrainError;
use crate::data::{self, Dataset, Split};
use crate::run::checkpoint::{Checkpoint, CheckpointError};
use crate::settings::Settings;
use std::collections::BTreeMap;

/// Opens the data set that the settings name.
///
/// # Errors
/// [`crate::data::DataError`], and [`TrainError::Unusable`] for settings that streamed images
/// cannot have.
pub fn open_data(settings: &Settings, progress: bool) -> Result<Dataset<Split>, TrainError> {
    let options = data::OpenOptions {
        size: (settings.image_size > 0).then_some(settings.image_size),
        progress,
        crop: settings.augment.crop,
        placement: settings.placement,
        resident_bytes: (settings.resident_gib * f64::from(1u32 << 30)) as u64,
        ..Default::default()
    };
    let dataset = data::open_for_training(&settings.data, &options)?;
    if matches!(dataset.train, Split::Files(_)) && settings.augment.cutout > 0 {
        return Err(TrainError::Unusable(
            "augment.cutout needs images on the device: set it to 0, or force --resident".into(),
        ));
    }
    Ok(dataset)
}

/// Which of the training images are trained on, and which are held out for every choice that the
/// program makes. Checkpoints carry it, for whoever goes on from one: images that a teacher was
/// trained on say nothing of what its students have learnt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Division {
    /// Seed of the draw.
    pub seed: u32,
    /// Share that is held out.
    pub validation: f64,
    /// Images to train on; 0: all.
    pub train_images: usize,
    /// Training images of the data set, held out or not.
    pub images: usize,
    /// Whether no network of the line that leads here was trained on what is held out: a teacher
    /// that was made elsewhere may not say.
    pub known: bool,
}

/// Names of a division's values in the metadata of a checkpoint.
const ENTRIES: [&str; 5] = [
    "split_seed",
    "split_validation",
    "split_train_images",
    "split_images",
    "split_known",
];

impl Division {
    /// As the settings ask for.
    pub fn new(settings: &Settings, dataset: &Dataset<Split>) -> Self {
        Self {
            seed: settings.seed,
            validation: settings.validation,
            train_images: settings.train_images,
            images: dataset.train.len(),
            known: settings.teacher.from.as_os_str().is_empty(),
        }
    }

    /// Adds it to the metadata of a checkpoint.
    pub fn write(&self, metadata: &mut BTreeMap<String, String>) {
        let values = [
            self.seed.to_string(),
            self.validation.to_string(),
            self.train_images.to_string(),
            self.images.to_string(),
            self.known.to_string(),
        ];
        metadata.extend(ENTRIES.map(str::to_owned).into_iter().zip(values));
    }

    /// That of a checkpoint; `None` where it says none, as an imported network.
    ///
    /// # Errors
    /// [`CheckpointError`] where it cannot be read.
    pub fn read(checkpoint: &Checkpoint) -> Result<Option<Self>, CheckpointError> {
        if !checkpoint.metadata.contains_key(ENTRIES[0]) {
            return Ok(None);
        }
        Ok(Some(Self {
            seed: checkpoint.entry(ENTRIES[0])?,
            validation: checkpoint.entry(ENTRIES[1])?,
            train_images: checkpoint.entry(ENTRIES[2])?,
            images: checkpoint.entry(ENTRIES[3])?,
            known: checkpoint.entry(ENTRIES[4])?,
        }))
    }

    /// The same division, for a run with these settings that goes on from it; `None` on another data
    /// set.
    ///
    /// # Errors
    /// [`TrainError::Unusable`] where the settings want another.
    pub fn continued(
        self,
        settings: &Settings,
        dataset: &Dataset<Split>,
    ) -> Result<Option<Self>, TrainError> {
        if self.images != dataset.train.len() {
            return Ok(None);
        }
        let wanted = settings.train_images;
        if wanted != 0 && wanted != self.train_images {
            return Err(TrainError::Unusable(format!(
                "--train-images {wanted}: the given network was trained on {}, and what is held out \
                 is what it has not seen; leave it out",
                match self.train_images {
                    0 => "all that there are".to_owned(),
                    count => count.to_string(),
                }
            )));
        }
        Ok(Some(self))
    }

    /// Indices of the images to train on and of those held out.
    ///
    /// # Errors
    /// [`TrainError::Unusable`] when too few images are left.
    pub fn indices(&self, dataset: &Dataset<Split>) -> Result<(Vec<u32>, Vec<u32>), TrainError> {
        let classes = dataset.classes.len();
        let labels = dataset.train.labels();
        let (share, seed) = (self.validation, u64::from(self.seed));
        let (train, validation) = if self.train_images == 0 {
            data::holdout(labels, classes, share, seed)
        } else {
            // The held-out images come on top of those asked for, where there are enough.
            let wanted = (self.train_images as f64 / (1.0 - share)).round() as usize;
            let drawn = data::stratified_subset(labels, classes, wanted, seed);
            let drawn_labels: Vec<u32> = drawn.iter().map(|&i| labels[i as usize]).collect();
            let (train, validation) = data::holdout(&drawn_labels, classes, share, seed);
            let back = |part: Vec<u32>| part.into_iter().map(|i| drawn[i as usize]).collect();
            (back(train), back(validation))
        };
        if train.len() < 2 || validation.is_empty() {
            return Err(TrainError::Unusable(format!(
                "too few training images: {} to train on and {} held out for validation; \
                 use more (--train-images), or another share --set validation=… (now {share})",
                train.len(),
                validation.len()
            )));
        }
        Ok((train, validation))
    }
}
