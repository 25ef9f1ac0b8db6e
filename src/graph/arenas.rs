//! A network's arenas on the device.

use super::layout::{Layout, Slot};
use super::tensors::Tensors;
use crate::gpu::{Buffer, Gpu, GpuError, View};

/// What a forward pass reads: parameters, running statistics, masks.
#[derive(Debug, Clone)]
pub struct Arenas {
    /// f32, laid out by [`Layout::params`].
    pub params: Buffer,
    /// f32, laid out by [`Layout::state`].
    pub state: Buffer,
    /// f32, laid out by [`Layout::sites`].
    pub mask: Buffer,
    /// f32, laid out by [`Layout::sites`].
    pub scores: Buffer,
}

/// What a backward pass writes.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// f32, laid out by [`Layout::params`].
    pub params: Buffer,
    /// f32, laid out by [`Layout::sites`].
    pub mask: Buffer,
}

/// The part of an arena where a tensor lies.
pub(super) fn slot(arena: &Buffer, slot: &Slot) -> View {
    arena.range(4 * slot.offset as u64, 4 * slot.len() as u64)
}

impl Arenas {
    /// Allocates the arenas and fills them with `tensors`.
    ///
    /// # Errors
    /// When an arena is larger than the adapter allows, or finds no memory.
    pub fn upload(gpu: &Gpu, tensors: &Tensors) -> Result<Self, GpuError> {
        Ok(Self {
            params: gpu.upload("parameters", &tensors.params)?,
            state: gpu.upload("running statistics", &tensors.state)?,
            mask: gpu.upload("masks", &tensors.mask)?,
            scores: gpu.upload("scores", &tensors.scores)?,
        })
    }

    /// Allocates the arenas and writes nothing: for a plan.
    ///
    /// # Errors
    /// When an arena is larger than the adapter allows, or finds no memory.
    pub fn place(gpu: &Gpu, layout: &Layout) -> Result<Self, GpuError> {
        let f32s = |what: &str, len: usize| gpu.allocate(what, 4 * len as u64);
        Ok(Self {
            params: f32s("parameters", layout.params.len)?,
            state: f32s("running statistics", layout.state.len)?,
            mask: f32s("masks", layout.elements)?,
            scores: f32s("scores", layout.elements)?,
        })
    }

    /// Overwrites the arenas with `tensors` before the next step.
    pub fn write(&self, gpu: &Gpu, tensors: &Tensors) {
        gpu.write(&self.params.view(), &tensors.params);
        gpu.write(&self.state.view(), &tensors.state);
        gpu.write(&self.mask.view(), &tensors.mask);
        gpu.write(&self.scores.view(), &tensors.scores);
    }

    /// Copies the arenas to the host; waits for the device.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn download(&self, gpu: &Gpu, layout: &Layout) -> Result<Tensors, GpuError> {
        let read = |buffer: &Buffer, len: usize| -> Result<Vec<f32>, GpuError> {
            let mut values: Vec<f32> = gpu.read(&buffer.view())?;
            values.truncate(len);
            Ok(values)
        };
        Ok(Tensors {
            params: read(&self.params, layout.params.len)?,
            state: read(&self.state, layout.state.len)?,
            scores: read(&self.scores, layout.elements)?,
            mask: read(&self.mask, layout.elements)?,
        })
    }
}

impl Gradients {
    /// Allocates zeroed gradient arenas: padding is never written and must stay zero.
    ///
    /// # Errors
    /// When an arena is larger than the adapter allows, or finds no memory.
    pub fn zeroed(gpu: &Gpu, layout: &Layout) -> Result<Self, GpuError> {
        Ok(Self {
            params: gpu.upload("gradients", &vec![0f32; layout.params.len])?,
            mask: gpu.upload("mask gradients", &vec![0f32; layout.elements])?,
        })
    }
}
