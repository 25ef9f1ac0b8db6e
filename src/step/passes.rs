//! The passes over a batch: its images are gathered, the teacher and the network look at them, the
//! loss compares, and gradients flow back; once for every micro-batch.

use super::account::{Memory, Pass};
use super::assembler::Assembler;
use super::spec::TrainSpec;
use super::wiring::Wiring;
use crate::gpu::{Buffer, GpuError, View};
use crate::graph::{Activations, Mode, PlannedDispatch, Ports};
use crate::graph::{Gradients, Plan};
use crate::kernels::{Compiler, add, loss};

/// The passes over a batch, compiled.
pub(super) struct Passes {
    /// The dispatches of each micro-batch.
    pub(super) parts: Vec<Vec<(Pass, PlannedDispatch)>>,
    /// Where the gradients of the whole batch are, once all parts are done.
    pub(super) summed: Gradients,
    /// Buffers that hold nothing between steps.
    pub(super) idle: Vec<Buffer>,
}

/// A compiled teacher.
struct Teacher {
    /// Where its logits are.
    logits: View,
    /// Its activations: once it has spoken, they are nobody's.
    lent: Vec<Buffer>,
}

impl Passes {
    /// Compiles the passes of `spec`, and adds what they take to `memory`.
    pub(super) fn compile(
        compiler: &Compiler,
        spec: &TrainSpec,
        wiring: &Wiring,
        memory: &mut Memory,
    ) -> Result<Self, GpuError> {
        let gpu = compiler.gpu;
        let (layout, searches) = (spec.student.layout, spec.search.is_some());
        let gradients = Gradients::zeroed(gpu, layout)?;
        memory.gradients(layout, &gradients, searches);

        let mut forward = Assembler::new(gpu);
        forward.images(compiler, wiring, spec.micro_batch(), &spec.gather())?;
        let teacher = compile_teacher(compiler, spec, wiring, &mut forward, memory)?;
        let (teacher_logits, lent) = match teacher {
            Some(Teacher { logits, lent }) => (Some(logits), lent),
            None => (None, Vec::new()),
        };
        let ports = &Ports {
            lent,
            ..wiring.ports.clone()
        };
        let mode = Mode {
            batch: spec.micro_batch(),
            training: true,
            activations: spec.activations,
            recompute: spec.recompute,
        };
        let plan = Plan::compile(compiler, spec.student, Some(&gradients), ports, mode)?;
        forward.plan(Pass::Forward, &plan.forward);
        memory.activations(&plan);
        memory.activations.add(forward.scratch);

        // The optimiser's gradients: those of the one backward pass, or their sum over several.
        let summed = match spec.micro_batches {
            1 => gradients.clone(),
            _ => {
                memory.gradients(layout, &gradients, searches);
                Gradients::zeroed(gpu, layout)?
            }
        };
        let loss_spec = loss::Spec {
            batch: spec.micro_batch(),
            classes: spec.student.network.classes(),
            distill: teacher_logits.is_some(),
            gradient: true,
        };
        let loss_recipe = loss::loss(compiler, &loss_spec)?;
        let mut parts = Vec::with_capacity(spec.micro_batches);
        for index in 0..spec.micro_batches {
            let mut arguments = vec![ports.step.clone(), ports.logits.clone()];
            arguments.extend(teacher_logits.clone());
            arguments.extend([
                spec.images.labels(),
                wiring.order.view(),
                ports.logit_gradient.clone(),
                wiring.samples_of(index),
            ]);
            let mut part = Assembler::new(gpu);
            part.dispatches.clone_from(&forward.dispatches);
            part.recipe(Pass::Loss, loss_recipe.clone(), &arguments, "loss")?;
            part.plan(Pass::Backward, &plan.backward);
            if spec.micro_batches > 1 {
                sum(compiler, spec, &mut part, index, [&gradients, &summed])?;
            }
            parts.push(part.dispatches);
        }
        Ok(Self {
            parts,
            summed,
            idle: plan.buffers,
        })
    }
}

/// Compiles the teacher's look at a batch, where there is a teacher.
fn compile_teacher(
    compiler: &Compiler,
    spec: &TrainSpec,
    wiring: &Wiring,
    forward: &mut Assembler,
    memory: &mut Memory,
) -> Result<Option<Teacher>, GpuError> {
    let Some(teacher) = spec.teacher else {
        return Ok(None);
    };
    memory.network(&teacher, false, false);
    let bytes = wiring.ports.logits.bytes;
    let logits = compiler.gpu.allocate("teacher logits", bytes)?.view();
    memory.activations.add(bytes);
    let ports = Ports {
        logits: logits.clone(),
        ..wiring.ports.clone()
    };
    let mode = Mode {
        batch: spec.micro_batch(),
        training: false,
        activations: Activations::Relu,
        recompute: false,
    };
    let plan = Plan::compile(compiler, teacher, None, &ports, mode)?;
    forward.plan(Pass::Teacher, &plan.forward);
    memory.activations(&plan);
    Ok(Some(Teacher {
        logits,
        lent: plan.buffers,
    }))
}

/// Adds the gradients `own` of micro-batch `index` to the sum; the first begins it.
fn sum(
    compiler: &Compiler,
    spec: &TrainSpec,
    part: &mut Assembler,
    index: usize,
    [own, sum]: [&Gradients; 2],
) -> Result<(), GpuError> {
    let layout = spec.student.layout;
    let mut arenas = vec![(&own.params, &sum.params, layout.params.len)];
    if spec.search.is_some() {
        arenas.push((&own.mask, &sum.mask, layout.elements));
    }
    for (own, sum, length) in arenas {
        let recipe = match index {
            0 => add::copy(compiler, length)?,
            _ => add::add(compiler, length)?,
        };
        let arguments = [sum.view(), own.view()];
        part.recipe(Pass::Backward, recipe, &arguments, "sum of gradients")?;
    }
    Ok(())
}
