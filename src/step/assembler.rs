//! Dispatches are collected, and laid on tapes that no watchdog kills.

use super::account::Pass;
use super::spec::Gather;
use super::wiring::Wiring;
use crate::gpu::{AdapterClass, Gpu, GpuError, Tape, View};
use crate::graph::PlannedDispatch;
use crate::kernels::{Compiler, Cost, Recipe, augment};

/// Collects dispatches, each with the part of the step that it belongs to.
pub(super) struct Assembler<'a> {
    gpu: &'a Gpu,
    /// What was collected, in order.
    pub(super) dispatches: Vec<(Pass, PlannedDispatch)>,
    /// Bytes of scratch memory.
    pub(super) scratch: u64,
}

impl<'a> Assembler<'a> {
    /// Nothing yet.
    pub(super) fn new(gpu: &'a Gpu) -> Self {
        Self {
            gpu,
            dispatches: Vec::new(),
            scratch: 0,
        }
    }

    /// Adds the dispatches of a plan.
    pub(super) fn plan(&mut self, pass: Pass, dispatches: &[PlannedDispatch]) {
        let planned = dispatches.iter().cloned();
        self.dispatches
            .extend(planned.map(|planned| (pass, planned)));
    }

    /// Binds a recipe on behalf of `owner`, with scratch memory of its own.
    pub(super) fn recipe(
        &mut self,
        pass: Pass,
        recipe: Recipe,
        arguments: &[View],
        owner: &str,
    ) -> Result<(), GpuError> {
        self.scratch += recipe.scratch.iter().sum::<u64>();
        let scratch = recipe
            .scratch
            .iter()
            .map(|&bytes| Ok(self.gpu.allocate("scratch", bytes)?.view()))
            .collect::<Result<Vec<_>, GpuError>>()?;
        let dispatches = recipe.bind(self.gpu, arguments, &scratch, owner)?;
        let planned = PlannedDispatch::of(&recipe, dispatches);
        self.dispatches
            .extend(planned.map(|planned| (pass, planned)));
        Ok(())
    }

    /// Gathers a batch from the resident images.
    pub(super) fn images(
        &mut self,
        compiler: &Compiler,
        wiring: &Wiring,
        batch: usize,
        gather: &Gather,
    ) -> Result<(), GpuError> {
        let Gather {
            images,
            pixels,
            variation,
        } = gather;
        for (index, (chunk, buffer)) in images.chunks.iter().enumerate() {
            let spec = augment::Spec {
                batch,
                height: images.height,
                width: images.width,
                chunk: chunk.clone(),
                first_chunk: index == 0,
                mean: pixels.mean,
                std: pixels.std,
                pad: variation.pad,
                flip: variation.flip,
                cutout: variation.cutout,
            };
            let arguments = [
                wiring.ports.step.clone(),
                wiring.order.view(),
                buffer.view(),
                wiring.ports.input.clone(),
            ];
            let mut recipe = augment::augment(compiler, &spec)?;
            // The share of a batch that the buffer is expected to hold.
            let share = chunk.len() as f64 / images.len as f64;
            for (kernel, _) in &mut recipe.stages {
                kernel.cost = kernel.cost * share;
            }
            self.recipe(Pass::Images, recipe, &arguments, "images")?;
        }
        Ok(())
    }
}

/// Longest submission, in seconds by [`estimate`].
const SUBMISSION_SECONDS: f64 = 0.25;

/// A pessimistic guess of a dispatch's seconds: a slow adapter of the class at a low share of
/// its peak. Software adapters have no watchdog.
fn estimate(class: AdapterClass, cost: Cost) -> f64 {
    let (flops, bytes) = match class {
        AdapterClass::Software => return 0.0,
        AdapterClass::Integrated => (100e9, 15e9),
        AdapterClass::Discrete => (1e12, 100e9),
    };
    (cost.flops / flops).max(cost.bytes / bytes)
}

/// A tape of all dispatches, cut where a submission would last too long for the watchdogs of
/// desktop GPUs, which kill work after a second or two.
pub(super) fn tape<'d>(
    gpu: &Gpu,
    dispatches: impl IntoIterator<Item = &'d (Pass, PlannedDispatch)>,
) -> Tape {
    let mut tape = Tape::new();
    let mut seconds = 0.0;
    for (_, planned) in dispatches {
        let own = estimate(gpu.class(), planned.cost);
        if seconds + own > SUBMISSION_SECONDS {
            tape.split();
            seconds = 0.0;
        }
        seconds += own;
        tape.push(planned.dispatch.clone());
    }
    tape
}
