//! Moments in the queue that the host can wait for.

use super::{Gpu, GpuError};

/// The end of everything submitted before a moment.
pub struct Fence(wgpu::SubmissionIndex);

impl Gpu {
    /// Marks the end of everything submitted so far; does not wait.
    pub fn fence(&self) -> Fence {
        Fence(self.submit([]))
    }

    /// Waits until the device has passed `fence`, and for nothing submitted after it.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn wait_for(&self, fence: &Fence) -> Result<(), GpuError> {
        self.poll(wgpu::PollType::Wait {
            submission_index: Some(fence.0.clone()),
            timeout: None,
        })?;
        self.check()
    }
}
