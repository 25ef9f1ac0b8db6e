//! The images of one purpose: training, validation, test. Where they are, and which they are:
//! stratified, seeded hold-outs and subsets.

use super::error::DataError;
use super::files::Files;
use super::images::Images;
use super::stream::Stream;
use std::sync::Arc;

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

    /// The images themselves, all of them in memory. Those that cannot be read are left out.
    ///
    /// # Errors
    /// [`DataError::TooManyBroken`] once there are more than one in a hundred of those.
    pub fn load(&self) -> Result<Images, DataError> {
        match self {
            Split::Images(images) => Ok(images.clone()),
            Split::Files(files) => {
                let indices: Vec<u32> = (0..files.len() as u32).collect();
                files.load(&indices)
            }
        }
    }
}

/// Separates the streams of this file from all others.
const PURPOSE: u64 = 0x5711;

/// Splits image indices into `(train, validation)`, both ascending.
///
/// From every class the nearest whole number to `fraction` of its images is held out, but of
/// a class with two images or more at least one lands on either side; a single image stays in
/// the training part. Labels must be below `classes`; images with others are in neither part.
pub fn holdout(labels: &[u32], classes: usize, fraction: f64, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let (mut train, mut validation) = (Vec::new(), Vec::new());
    for members in shuffled_classes(labels, classes, seed) {
        let held_out = match members.len() {
            0 | 1 => 0,
            // A float too large for, or unknown to, an integer saturates, then is clamped.
            count => ((count as f64 * fraction).round() as usize).clamp(1, count - 1),
        };
        validation.extend_from_slice(&members[..held_out]);
        train.extend_from_slice(&members[held_out..]);
    }
    train.sort_unstable();
    validation.sort_unstable();
    (train, validation)
}

/// At most `count` indices of `images` images, ascending, evenly over all of them.
pub fn evenly(images: usize, count: usize) -> Vec<u32> {
    let count = images.min(count);
    let place = |index: usize| (index * images / count.max(1)) as u32;
    (0..count).map(place).collect()
}

/// At most `count` image indices, ascending, each class in proportion.
///
/// Subsets of one seed are nested: a smaller one lies within a larger one. From `classes`
/// images on, every class that has any is present.
pub fn stratified_subset(labels: &[u32], classes: usize, count: usize, seed: u64) -> Vec<u32> {
    // The r-th of a class's n images gets the rank r/n. In the order of ranks every class
    // is used up at the same pace, and all begin at zero.
    let mut ranked: Vec<(f64, u32)> = shuffled_classes(labels, classes, seed)
        .iter()
        .flat_map(|members| {
            let total = members.len() as f64;
            members
                .iter()
                .enumerate()
                .map(move |(rank, &index)| (rank as f64 / total, index))
        })
        .collect();
    // Stable: equal ranks stay in class order.
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut subset: Vec<u32> = ranked
        .into_iter()
        .take(count)
        .map(|(_, index)| index)
        .collect();
    subset.sort_unstable();
    subset
}

/// The image indices of each class, in an order that depends on the seed and the class alone.
fn shuffled_classes(labels: &[u32], classes: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); classes];
    for (index, &label) in labels.iter().enumerate() {
        if let Some(class) = members.get_mut(label as usize) {
            class.push(index as u32);
        }
    }
    for (class, indices) in members.iter_mut().enumerate() {
        Stream::new(seed, PURPOSE, class as u64).shuffle(indices);
    }
    members
}
