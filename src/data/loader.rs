//! Batches from files, decoded on all cores ahead of the device.
//!
//! A thread walks through the order of an epoch, has each batch decoded by the thread pool and
//! lays it in a short queue; where the queue is full it waits. So memory is bounded by
//! [`AHEAD`] + 2 batches, and the same batches come out whatever the number of cores and
//! wherever in the epoch one begins: an image's variation depends on seed, epoch and image only.
//!
//! The place of a file that cannot be read goes, while training, to the next readable image of
//! the same batch: a batch stays full, and is still a function of its indices. In evaluation it
//! is left out, so that no image counts twice.

use super::augment::{Flip, mirror, shift};
use super::error::DataError;
use super::files::Files;
use super::options::Crop;
use fast_image_resize::Resizer;
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// Batches that wait, decoded, for the device.
pub const AHEAD: usize = 3;

/// How training images are varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variation {
    /// Of everything random.
    pub seed: u32,
    /// The epoch.
    pub epoch: u32,
    /// Pixels that an image is moved by at the most, with [`Crop::Shift`].
    pub pad: u32,
    /// When images are mirrored.
    pub flip: Flip,
}

/// Images of one step, in host memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// N×3×H×W bytes.
    pub pixels: Vec<u8>,
    /// Their classes.
    pub labels: Vec<u32>,
}

/// Batches in order, made in the background.
pub struct Loader {
    batches: Receiver<Result<Batch, DataError>>,
    spare: Sender<Vec<u8>>,
}

impl Loader {
    /// Begins to decode the images of `order`, `batch` at a time (the last may be smaller): for
    /// training with a variation, for evaluation without.
    pub fn start(
        files: Arc<Files>,
        order: Vec<u32>,
        batch: usize,
        variation: Option<Variation>,
    ) -> Self {
        let (sender, batches) = sync_channel(AHEAD);
        let (spare, returned) = channel();
        // Ends by itself once nobody receives any more.
        thread::spawn(move || work(&files, &order, batch, variation, &sender, &returned));
        Self { batches, spare }
    }

    /// Takes the memory of a batch back, to be used again.
    pub fn recycle(&mut self, batch: Batch) {
        // Nobody needs it when the last batch is made.
        let _ = self.spare.send(batch.pixels);
    }
}

/// Waits for each batch. [`DataError::TooManyBroken`] is the last item when it comes.
impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The channel closes when the thread has come to its end.
        self.batches.recv().ok()
    }
}

fn work(
    files: &Files,
    order: &[u32],
    batch: usize,
    variation: Option<Variation>,
    sender: &SyncSender<Result<Batch, DataError>>,
    returned: &Receiver<Vec<u8>>,
) {
    for indices in order.chunks(batch.max(1)) {
        let mut pixels = returned.try_recv().unwrap_or_default();
        pixels.resize(indices.len() * files.image_bytes(), 0);
        let made = make(files, indices, variation, pixels);
        let failed = made.is_err();
        if sender.send(made).is_err() || failed {
            return;
        }
    }
}

/// Decodes the images of `indices` into `pixels`.
fn make(
    files: &Files,
    indices: &[u32],
    variation: Option<Variation>,
    mut pixels: Vec<u8>,
) -> Result<Batch, DataError> {
    let bytes = files.image_bytes();
    let failures: Vec<Option<String>> = pixels
        .par_chunks_exact_mut(bytes)
        .zip(indices)
        .map_init(Resizer::new, |resizer, (out, &index)| {
            one(files, index, variation, resizer, out).err()
        })
        .collect();
    let mut labels: Vec<u32> = indices
        .iter()
        .map(|&index| files.labels[index as usize])
        .collect();
    if failures.iter().all(Option::is_none) {
        return Ok(Batch { pixels, labels });
    }
    let good: Vec<usize> = (0..indices.len())
        .filter(|&n| failures[n].is_none())
        .collect();
    for (&index, failure) in indices.iter().zip(failures) {
        failure.map_or(Ok(()), |reason| files.report(index, reason))?;
    }
    let sources: Vec<usize> = match variation {
        None => good,
        Some(_) => {
            let first = good.first().copied().ok_or(DataError::NothingReadable {
                images: indices.len(),
            })?;
            let next = |n| good.iter().copied().find(|&m| m >= n).unwrap_or(first);
            (0..indices.len()).map(next).collect()
        }
    };
    // A source is never before its place but for those that wrap around to the first, which
    // is in its place by then.
    for (n, &m) in sources.iter().enumerate() {
        pixels.copy_within(m * bytes..(m + 1) * bytes, n * bytes);
        labels[n] = labels[m];
    }
    pixels.truncate(sources.len() * bytes);
    labels.truncate(sources.len());
    Ok(Batch { pixels, labels })
}

/// Decodes and varies one image.
fn one(
    files: &Files,
    index: u32,
    variation: Option<Variation>,
    resizer: &mut Resizer,
    out: &mut [u8],
) -> Result<(), String> {
    let random = variation.map(|v| (v.seed, v.epoch));
    files.decode(index, random, resizer, out)?;
    let Some(Variation {
        seed,
        epoch,
        pad,
        flip,
    }) = variation
    else {
        return Ok(());
    };
    if files.crop == Crop::Shift && pad > 0 {
        let size = (files.height, files.width);
        shift(out, size, pad, (seed, epoch, index));
    }
    if flip.mirrors(seed, epoch, index) {
        mirror(out, files.width);
    }
    Ok(())
}
