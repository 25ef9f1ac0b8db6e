//! Images in device memory, bytes and labels: a whole data set, uploaded once, or the batch of
//! a step, overwritten for the next.

use super::{Batch, Files, Images, Split};
use crate::gpu::{Buffer, Gpu, GpuError, View};
use std::ops::Range;
use std::sync::Arc;

/// Images as bytes on the device, cut into buffers that a kernel can bind.
pub struct Resident {
    /// The images of each buffer.
    pub chunks: Vec<(Range<u32>, Buffer)>,
    /// Label of every image, u32.
    pub labels: Buffer,
    /// Number of images.
    pub len: usize,
    /// Height of an image in pixels.
    pub height: usize,
    /// Width of an image in pixels.
    pub width: usize,
}

/// Bytes of one buffer at the most: what every adapter can bind.
const CHUNK_BYTES: u64 = 128 << 20;

impl Resident {
    /// Uploads all images. Buffers are cut at whole images and stay below what the adapter can
    /// bind.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`].
    pub fn upload(gpu: &Gpu, images: &Images) -> Result<Self, GpuError> {
        let bytes = images.image_bytes();
        let limit = CHUNK_BYTES.min(gpu.report.max_binding_bytes) as usize;
        // A chunk of a multiple of four images is a whole number of words.
        let per_chunk = (limit / bytes / 4 * 4).max(1);
        let chunks = images
            .pixels
            .chunks(per_chunk * bytes)
            .enumerate()
            .map(|(index, pixels)| {
                let first = (index * per_chunk) as u32;
                let buffer = gpu.upload("images", pixels)?;
                Ok((first..first + (pixels.len() / bytes) as u32, buffer))
            })
            .collect::<Result<_, GpuError>>()?;
        Ok(Self {
            chunks,
            labels: gpu.upload("labels", &images.labels)?,
            len: images.len(),
            height: images.height,
            width: images.width,
        })
    }

    /// The labels, as kernels bind them.
    pub fn labels(&self) -> View {
        self.labels.view()
    }

    /// Writes a batch over the first images; it happens before the next submitted tape.
    ///
    /// # Panics
    /// When the batch has more images: a defect of the caller.
    pub fn overwrite(&self, gpu: &Gpu, batch: &Batch) {
        let bytes = 3 * self.height * self.width;
        let mut rest = &batch.pixels[..];
        for (images, buffer) in &self.chunks {
            let (now, later) = rest.split_at(rest.len().min(images.len() * bytes));
            gpu.write(&buffer.view(), now);
            rest = later;
        }
        assert!(
            rest.is_empty(),
            "a batch larger than its place on the device"
        );
        gpu.write(&self.labels.view(), &batch.labels);
    }
}

/// Where the images of a program come from.
pub enum Source {
    /// All lie on the device.
    Resident(Resident),
    /// They are decoded from their files, and one batch at a time lies on the device.
    Streamed {
        /// The files.
        files: Arc<Files>,
        /// The place of a batch.
        window: Resident,
    },
}

impl Source {
    /// Uploads images, or makes a place for `batch` of them.
    ///
    /// # Errors
    /// As [`Resident::upload`].
    pub fn new(gpu: &Gpu, split: &Split, batch: usize) -> Result<Self, GpuError> {
        Ok(match split {
            Split::Images(images) => Source::Resident(Resident::upload(gpu, images)?),
            Split::Files(files) => {
                let blank = Images {
                    height: files.height,
                    width: files.width,
                    pixels: vec![0; batch * files.image_bytes()],
                    labels: vec![0; batch],
                };
                Source::Streamed {
                    files: Arc::clone(files),
                    window: Resident::upload(gpu, &blank)?,
                }
            }
        })
    }

    /// The images that kernels read: of the whole data set, or of one batch.
    pub fn on_device(&self) -> &Resident {
        match self {
            Source::Resident(images) => images,
            Source::Streamed { window, .. } => window,
        }
    }
}
