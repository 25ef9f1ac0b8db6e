//! The images of a run: the data set that the settings name, and which of its images are trained
//! on.

use super::error::TrainError;
use crate::data::{self, Dataset, Split};
use crate::settings::Settings;

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

/// Indices of the images to train on and of those held out: the same for the same settings.
///
/// # Errors
/// [`TrainError::Unusable`] when too few images are left.
pub fn split(
    settings: &Settings,
    dataset: &Dataset<Split>,
) -> Result<(Vec<u32>, Vec<u32>), TrainError> {
    let classes = dataset.classes.len();
    let labels = dataset.train.labels();
    let (share, seed) = (settings.validation, u64::from(settings.seed));
    let (train, validation) = if settings.train_images == 0 {
        data::holdout(labels, classes, share, seed)
    } else {
        // The held-out images come on top of those asked for, where there are enough.
        let wanted = (settings.train_images as f64 / (1.0 - share)).round() as usize;
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
