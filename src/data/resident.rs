//! Images in device memory, bytes and labels: a whole data set, uploaded once, or the batch of
//! a step, overwritten for the next.

use super::files::Files;
use super::images::Images;
use super::split::Split;
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
    /// Uploads all images.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`] where memory runs out.
    pub fn upload(gpu: &Gpu, images: &Images) -> Result<Self, GpuError> {
        let place = Self::place(gpu, (images.height, images.width), images.len())?;
        place.write(gpu, &images.pixels, &images.labels);
        Ok(place)
    }

    /// A place for `len` images of `size`, height first. Buffers are cut at whole images and
    /// stay below what the adapter can bind.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`] where memory runs out.
    pub fn place(gpu: &Gpu, size: (usize, usize), len: usize) -> Result<Self, GpuError> {
        let (height, width) = size;
        let bytes = 3 * height * width;
        let limit = CHUNK_BYTES.min(gpu.report.max_binding_bytes) as usize;
        // A chunk of a multiple of four images is a whole number of words.
        let per_chunk = (limit / bytes / 4 * 4).max(1);
        let chunks = (0..len)
            .step_by(per_chunk)
            .map(|first| {
                let images = first as u32..len.min(first + per_chunk) as u32;
                let buffer = gpu.allocate("images", (images.len() * bytes) as u64)?;
                Ok((images, buffer))
            })
            .collect::<Result<_, GpuError>>()?;
        Ok(Self {
            chunks,
            labels: gpu.allocate("labels", 4 * len as u64)?,
            len,
            height,
            width,
        })
    }

    /// The labels, as kernels bind them.
    pub fn labels(&self) -> View {
        self.labels.view()
    }

    /// Writes images over the first ones; it happens before the next submitted tape.
    ///
    /// # Panics
    /// When there are more: a defect of the caller.
    pub fn write(&self, gpu: &Gpu, pixels: &[u8], labels: &[u32]) {
        let bytes = 3 * self.height * self.width;
        let mut rest = pixels;
        for (images, buffer) in &self.chunks {
            let (now, later) = rest.split_at(rest.len().min(images.len() * bytes));
            gpu.write(&buffer.view(), now);
            rest = later;
        }
        assert!(
            rest.is_empty(),
            "more images than their place on the device holds"
        );
        gpu.write(&self.labels.view(), labels);
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
            Split::Files(files) => Source::Streamed {
                files: Arc::clone(files),
                window: Resident::place(gpu, split.size(), batch)?,
            },
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
