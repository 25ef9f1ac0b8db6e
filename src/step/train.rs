//! A training step, compiled once: `carried` memory, then the
//! `passes` over a batch, then the `update`.

use super::account::{Memory, Work};
use super::assembler::tape;
use super::carried::Carried;
use super::passes::Passes;
use super::spec::TrainSpec;
use super::update::Update;
use super::wiring::{Extent, Wiring};
use crate::gpu::{Buffer, Gpu, GpuError, Readback, Tape, Timing, View};
use crate::graph::Activations;
use crate::kernels::Compiler;
use crate::kernels::metrics::Record;
use crate::kernels::step::StepScalars;
use std::collections::VecDeque;

/// A compiled training step.
///
/// With M micro-batches a step runs the network forward and backward M times and adds up the
/// gradients of the loss's mean over the whole batch; then it updates parameters and scores
/// once. Batch norm sees a micro-batch at a time: its training statistics and gradients are
/// those of the micro-batch (as in data-parallel training without synchronised batch norm), and
/// running statistics and moments move M times by 1 − (1 − momentum)^(1/M), which is as far as
/// one batch moves them. Everything else (loss, gradients of what follows the norms, clipping,
/// scores) is as if the batch were whole.
pub struct TrainProgram {
    /// One tape with one micro-batch; else a tape for each of them and one for the update.
    tapes: Vec<Tape>,
    micro_batches: usize,
    /// Whether polynomials follow the part of a batch that they are about to see.
    refits_ahead: bool,
    wiring: Wiring,
    /// What goes into checkpoints beside the network.
    pub carried: Carried,
    pending: VecDeque<(std::ops::Range<u32>, Readback)>,
    /// Steps whose records have not been asked for yet start here.
    unread: u32,
    /// Every dispatch of a step, in order.
    pub work: Vec<Work>,
    /// The memory that a step was planned to take.
    pub memory: Memory,
    /// Buffers that hold nothing between steps.
    pub idle: Vec<Buffer>,
}

impl TrainProgram {
    /// Compiles a step. The student's arenas hold the parameters to start from.
    ///
    /// # Errors
    /// [`GpuError`] where a buffer is larger than the adapter allows, memory runs out, or the
    /// driver refuses a kernel.
    pub fn compile(compiler: &Compiler, spec: &TrainSpec) -> Result<Self, GpuError> {
        let gpu = compiler.gpu;
        let extent = Extent {
            batch: spec.micro_batch(),
            micro_batches: spec.micro_batches,
            images: spec.images.len,
            sites: spec.counted_sites(),
        };
        let wiring = Wiring::new(gpu, spec.student.network, &extent)?;
        let mut memory = wiring.memory(spec.images);
        let gated = spec.activations != Activations::Relu;
        memory.network(&spec.student, gated, spec.search.is_some());

        let carried = Carried::new(gpu, spec)?;
        carried.account(spec, &mut memory);
        let passes = Passes::compile(compiler, spec, &wiring, &mut memory)?;
        let update = Update::compile(compiler, spec, &wiring, &carried, &passes.summed)?;
        memory.activations.add(update.scratch);
        memory.textures(compiler);

        let parts = &passes.parts;
        let update = &update.dispatches;
        let work = parts.iter().flatten().chain(update);
        let work = work.map(Work::of).collect();
        let tapes = match parts.as_slice() {
            [whole] => vec![tape(gpu, whole.iter().chain(update))],
            parts => {
                let parts = parts.iter().map(|part| tape(gpu, part));
                parts.chain([tape(gpu, update)]).collect()
            }
        };
        compiler.prepare(&tapes)?;
        Ok(Self {
            tapes,
            micro_batches: spec.micro_batches,
            refits_ahead: spec.activations.refits_ahead(),
            wiring,
            carried,
            pending: VecDeque::new(),
            unread: 0,
            work,
            memory,
            idle: passes.idle,
        })
    }

    /// The dispatches of a step, in order: of a tape for each part of a batch and one for the update,
    /// or of one for all.
    pub fn tapes(&self) -> &[Tape] {
        &self.tapes
    }

    /// Tells where the next step is in its phase, after a checkpoint was loaded.
    pub fn start_at(&mut self, step: u32) {
        self.unread = step;
    }

    /// The images of the coming epoch, in order, of those on the device.
    pub fn set_order(&self, gpu: &Gpu, order: &[u32]) {
        gpu.write(&self.order(), order);
    }

    /// Where a step reads from which images it is made of, see [`Feed`](super::feed::Feed).
    pub fn order(&self) -> View {
        self.wiring.order.view()
    }

    /// Where a step reads its scalars.
    pub fn scalars(&self) -> View {
        self.wiring.step.view()
    }

    /// Where a step leaves its record, and the words of a row there: see `shaders/metrics.wgsl`.
    pub fn ring(&self) -> (View, usize) {
        (self.wiring.ring.view(), self.wiring.words)
    }

    /// Submits one step; does not wait.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn step(&self, gpu: &Gpu, scalars: &StepScalars) -> Result<(), GpuError> {
        for (index, tape) in self.tapes.iter().enumerate() {
            self.write_scalars(gpu, scalars, index);
            tape.submit(gpu)?;
        }
        Ok(())
    }

    /// Asks for the records of all steps before `next` that were not asked for, and returns
    /// those that were asked for the time before, for which it waits: so the device always has
    /// work, and never more than two such spans of it.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn exchange_records(&mut self, gpu: &Gpu, next: u32) -> Result<Vec<Record>, GpuError> {
        let readback = gpu.start_read(&self.wiring.ring.view())?;
        self.pending.push_back((self.unread..next, readback));
        self.unread = next;
        if self.pending.len() > 1 {
            self.oldest_records(gpu)
        } else {
            Ok(Vec::new())
        }
    }

    fn oldest_records(&mut self, gpu: &Gpu) -> Result<Vec<Record>, GpuError> {
        let Some((steps, readback)) = self.pending.pop_front() else {
            return Ok(Vec::new());
        };
        self.wiring.records(gpu, &readback.finish(gpu)?, steps)
    }

    /// All records of steps before `next` that were not returned yet; waits for them.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn drain_records(&mut self, gpu: &Gpu, next: u32) -> Result<Vec<Record>, GpuError> {
        let mut records = self.exchange_records(gpu, next)?;
        while !self.pending.is_empty() {
            records.extend(self.oldest_records(gpu)?);
        }
        Ok(records)
    }

    /// Takes a step and times every dispatch of it, in the order of [`TrainProgram::work`]; see
    /// [`Tape::time`].
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn time(&self, gpu: &Gpu, scalars: &StepScalars) -> Result<Timing, GpuError> {
        let mut timing = Timing::default();
        for (index, tape) in self.tapes.iter().enumerate() {
            self.write_scalars(gpu, scalars, index);
            timing.append(tape.time(gpu)?);
        }
        Ok(timing)
    }

    /// Writes the scalars of a step as its n-th tape wants them.
    fn write_scalars(&self, gpu: &Gpu, scalars: &StepScalars, tape: usize) {
        let scalars = match tape < self.micro_batches {
            true => micro_batch(scalars, tape, self.micro_batches, self.refits_ahead),
            false => *scalars,
        };
        gpu.write(&self.wiring.step.view(), &[scalars]);
    }
}

/// The scalars of micro-batch `index` of `count`.
fn micro_batch(step: &StepScalars, index: usize, count: usize, refits_ahead: bool) -> StepScalars {
    if count == 1 {
        return *step;
    }
    let images = step.count / count as u32;
    let share = 1.0 / count as f32;
    // Moments start anew with the first part. Polynomials are refitted behind the last, for all
    // parts to see the same; those that follow what they are about to see, ahead of each.
    let (refit, anew) = (step.refit & 1, step.refit & 2);
    let refits = refits_ahead || index + 1 == count;
    StepScalars {
        first: step.first + index as u32 * images,
        count: images,
        // The loss is a mean over the part.
        ce_weight: step.ce_weight * share,
        kd_weight: step.kd_weight * share,
        range_weight: step.range_weight * share,
        momentum: 1.0 - (1.0 - step.momentum).powf(share),
        refit: u32::from(refits) * refit + u32::from(index == 0) * anew,
        ..*step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_batch_refit_once_behind_it_or_each_ahead() {
        let step = StepScalars {
            refit: 3,
            count: 96,
            ..Default::default()
        };
        let refits = |ahead| [0, 1, 2].map(|part| micro_batch(&step, part, 3, ahead).refit);
        assert_eq!(refits(false), [2, 0, 1]);
        assert_eq!(refits(true), [3, 1, 1]);
        assert_eq!(micro_batch(&step, 0, 1, false), step);
        assert_eq!(micro_batch(&step, 1, 3, false).first, 32);
    }
}
