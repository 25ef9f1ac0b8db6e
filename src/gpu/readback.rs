//! Copies to the host that the device makes while it goes on working.

use super::buffer::{Buffer, Contents};
use super::{Gpu, GpuError, View};
use std::sync::mpsc::{Receiver, channel};

/// A copy of a view under way to the host.
pub struct Readback {
    staging: Buffer,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Gpu {
    /// Queues a copy of `view` to the host behind everything submitted so far.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`] where memory runs out.
    pub fn start_read(&self, view: &View) -> Result<Readback, GpuError> {
        let staging = self.allocate_for("read-back", view.bytes, Contents::Staging)?;
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&view.buffer, view.offset, &staging.inner, 0, view.bytes);
        let submission = self.submit([encoder.finish()]);
        let (sender, mapped) = channel();
        staging
            .inner
            .map_async(wgpu::MapMode::Read, .., move |result| {
                // Nobody listens any more when the read-back was dropped: nothing is lost then.
                let _ = sender.send(result);
            });
        Ok(Readback {
            staging,
            submission,
            mapped,
        })
    }

    /// Copies a view to the host and waits for it; zeros where nothing is held. For tests, checkpoints and evaluation:
    /// never called inside a step.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone, [`GpuError::OutOfMemory`] where memory runs out.
    pub fn read<T: bytemuck::Pod>(&self, view: &View) -> Result<Vec<T>, GpuError> {
        if self.is_hollow() {
            return Ok(vec![T::zeroed(); view.bytes as usize / size_of::<T>()]);
        }
        self.start_read(view)?.finish(self)
    }
}

impl Readback {
    /// Waits for the copy, and for nothing submitted after it.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn finish<T: bytemuck::Pod>(self, gpu: &Gpu) -> Result<Vec<T>, GpuError> {
        let lost = |reason: String| GpuError::Lost {
            adapter: gpu.report.name.clone(),
            reason,
        };
        gpu.poll(wgpu::PollType::Wait {
            submission_index: Some(self.submission),
            timeout: None,
        })?;
        gpu.check()?;
        self.mapped
            .recv()
            .map_err(|error| lost(error.to_string()))?
            .map_err(|error| lost(error.to_string()))?;
        let mapped = self
            .staging
            .inner
            .get_mapped_range(..)
            .map_err(|error| lost(error.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&mapped))
    }
}
