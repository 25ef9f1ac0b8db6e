//! A data set in device memory: bytes and labels, uploaded once.

use super::Images;
use crate::gpu::{Buffer, Gpu, GpuError, View};
use std::ops::Range;

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
}
