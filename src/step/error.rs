//! Why a step cannot be taken.

use crate::data::DataError;
use crate::gpu::GpuError;

/// Why a step cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The images: too many of an epoch cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// More steps than an epoch has images for.
    #[error("the images of an epoch ran out")]
    RanOut,
}
