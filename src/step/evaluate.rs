//! An evaluation, compiled once.

use super::account::{Memory, Pass, Work};
use super::assembler::{Assembler, tape};
use super::error::StepError;
use super::feed::{Epoch, Feed};
use super::spec::{EvalSpec, Gather, Variation};
use super::wiring::{Extent, MOST_UNREAD, Wiring};
use crate::data::{Normalization, Source, Split};
use crate::gpu::{Gpu, GpuError, Tape, Timing};
use crate::graph::{Activations, Mode, Ports};
use crate::graph::{Arenas, Loaded, Model, Plan};
use crate::kernels::metrics::Prices;
use crate::kernels::step::StepScalars;
use crate::kernels::{Compiler, loss, metrics};

/// Means over a set of images.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Evaluation {
    /// Mean cross-entropy of the images that are not astray; not a number where all are.
    pub loss: f64,
    /// Share of images whose label came first.
    pub top1: f64,
    /// Share of images whose label was among the first five.
    pub top5: f64,
    /// Number of images.
    pub images: usize,
    /// Images that ran out of bounds: their cross-entropy is not finite, or above
    /// [`metrics::ASTRAY`]. Squares do that to what lies far from all that was trained on. They
    /// count as any others in the shares above, and are left out of the loss.
    pub astray: usize,
}

/// A compiled evaluation.
pub struct EvalProgram {
    tape: Tape,
    wiring: Wiring,
    batch: usize,
    /// Every dispatch of a batch, in order.
    pub work: Vec<Work>,
    /// The memory that a batch was planned to take.
    pub memory: Memory,
}

impl EvalProgram {
    /// Compiles the evaluation of `spec`.
    ///
    /// # Errors
    /// [`GpuError`] where a buffer is larger than the adapter allows, memory runs out, or the
    /// driver refuses a kernel.
    pub fn compile(compiler: &Compiler, spec: &EvalSpec) -> Result<Self, GpuError> {
        let (gpu, images) = (compiler.gpu, spec.images);
        let batch = spec.batch.min(images.len).max(1);
        let network = spec.model.network;
        let extent = Extent {
            batch,
            micro_batches: 1,
            images: images.len,
            sites: 0,
        };
        let wiring = Wiring::new(gpu, network, &extent)?;
        let mode = Mode {
            batch,
            training: false,
            activations: spec.activations,
            recompute: false,
        };
        let ports = &wiring.ports;
        let place = &Ports {
            lent: spec.lent.to_vec(),
            ..ports.clone()
        };
        let plan = Plan::compile(compiler, spec.model, None, place, mode)?;
        let mut memory = wiring.memory(images);
        memory.network(&spec.model, spec.activations != Activations::Relu, false);
        memory.activations(&plan);
        let mut step = Assembler::new(gpu);
        let gather = Gather {
            images,
            pixels: spec.pixels,
            variation: Variation::NONE,
        };
        step.images(compiler, &wiring, batch, &gather)?;
        step.plan(Pass::Forward, &plan.forward);
        let loss_spec = loss::Spec {
            batch,
            classes: network.classes(),
            distill: false,
            gradient: false,
        };
        let arguments = [
            ports.step.clone(),
            ports.logits.clone(),
            images.labels(),
            wiring.order.view(),
            wiring.samples_of(0),
        ];
        let recipe = loss::loss(compiler, &loss_spec)?;
        step.recipe(Pass::Loss, recipe, &arguments, "loss")?;
        let recipe = metrics::record(compiler, wiring.sample_rows, false, 0, Prices::COUNT)?;
        let arguments = [
            ports.step.clone(),
            wiring.samples.view(),
            wiring.ring.view(),
        ];
        step.recipe(Pass::Update, recipe, &arguments, "record")?;
        memory.activations.add(step.scratch);
        memory.textures(compiler);
        let tape = tape(gpu, &step.dispatches);
        compiler.prepare(std::slice::from_ref(&tape))?;
        Ok(Self {
            tape,
            wiring,
            batch,
            work: step.dispatches.iter().map(Work::of).collect(),
            memory,
        })
    }

    /// The images to evaluate, in order.
    pub fn set_order(&self, gpu: &Gpu, order: &[u32]) {
        gpu.write(&self.wiring.order.view(), order);
    }

    /// Submits one batch; does not wait.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn step(&self, gpu: &Gpu, scalars: &StepScalars) -> Result<(), GpuError> {
        gpu.write(&self.wiring.step.view(), &[*scalars]);
        self.tape.submit(gpu)
    }

    /// Evaluates a batch and times every dispatch of it, in the order of [`EvalProgram::work`].
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn time(&self, gpu: &Gpu, scalars: &StepScalars) -> Result<Timing, GpuError> {
        gpu.write(&self.wiring.step.view(), &[*scalars]);
        self.tape.time(gpu)
    }

    /// Evaluates the images of `indices`, those of `source` that the evaluation was compiled
    /// for; waits for the result. `go_on` is asked every few batches; `None` is returned once
    /// it says no.
    ///
    /// # Errors
    /// [`StepError`] when the device is lost, or too many files are no images.
    pub fn evaluate(
        &self,
        gpu: &Gpu,
        source: &Source,
        indices: &[u32],
        go_on: impl Fn() -> bool,
    ) -> Result<Option<Evaluation>, StepError> {
        let order = self.wiring.order.view();
        let epoch = Epoch {
            order: indices,
            first: 0,
            batch: self.batch,
            variation: None,
        };
        let mut feed = Feed::begin(gpu, source, &order, &epoch);
        self.wiring.forget_records(gpu);
        let mut sums = [0f64; 3];
        let (mut images, mut astray) = (0, 0);
        let batches = indices.len().div_ceil(self.batch) as u32;
        let mut first = 0;
        while first < batches {
            if !go_on() {
                return Ok(None);
            }
            let last = (first + MOST_UNREAD).min(batches);
            for index in first..last {
                let begin = index as usize * self.batch;
                let mut scalars = StepScalars {
                    step: index,
                    first: begin as u32,
                    count: (indices.len() - begin).min(self.batch) as u32,
                    ..Default::default()
                };
                feed.next(gpu, &mut scalars)?;
                images += scalars.count as usize;
                self.step(gpu, &scalars)?;
            }
            let words = gpu.read(&self.wiring.ring.view())?;
            for record in self.wiring.records(gpu, &words, first..last)? {
                for (sum, part) in sums.iter_mut().zip([record.ce, record.top1, record.top5]) {
                    *sum += f64::from(part);
                }
                astray += record.astray as usize;
            }
            first = last;
        }
        let [_, top1, top5] = sums.map(|sum| sum / images.max(1) as f64);
        let loss = match images - astray {
            0 if images > 0 => f64::NAN,
            within => sums[0] / within.max(1) as f64,
        };
        Ok(Some(Evaluation {
            loss,
            top1,
            top5,
            images,
            astray,
        }))
    }

    /// Logits of the images of `indices`, [images, classes]; waits for each batch. Images that
    /// cannot be read are left out.
    ///
    /// # Errors
    /// As [`EvalProgram::evaluate`].
    pub fn logits(
        &self,
        gpu: &Gpu,
        source: &Source,
        indices: &[u32],
    ) -> Result<Vec<f32>, StepError> {
        let order = self.wiring.order.view();
        let epoch = Epoch {
            order: indices,
            first: 0,
            batch: self.batch,
            variation: None,
        };
        let mut feed = Feed::begin(gpu, source, &order, &epoch);
        let mut logits = Vec::new();
        for (index, part) in indices.chunks(self.batch).enumerate() {
            let mut scalars = StepScalars {
                first: (index * self.batch) as u32,
                count: part.len() as u32,
                ..Default::default()
            };
            feed.next(gpu, &mut scalars)?;
            self.step(gpu, &scalars)?;
            let rows: Vec<f32> = gpu.read(&self.wiring.ports.logits)?;
            let classes = rows.len() / self.batch;
            logits.extend_from_slice(&rows[..scalars.count as usize * classes]);
        }
        Ok(logits)
    }

    /// [`EvalProgram::evaluate`] without interruption.
    ///
    /// # Errors
    /// As [`EvalProgram::evaluate`].
    pub fn evaluate_all(
        &self,
        gpu: &Gpu,
        source: &Source,
        indices: &[u32],
    ) -> Result<Evaluation, StepError> {
        let result = self.evaluate(gpu, source, indices, || true)?;
        Ok(result.unwrap_or_default())
    }
}

/// The evaluation of a whole model on `images`, ready to run on their source.
///
/// # Errors
/// As [`EvalProgram::compile`].
pub fn evaluation(
    compiler: &Compiler,
    model: &Model,
    activations: Activations,
    images: &Split,
    batch: usize,
) -> Result<(EvalProgram, Source), GpuError> {
    let gpu = compiler.gpu;
    let arenas = Arenas::upload(gpu, &model.tensors)?;
    let source = Source::new(gpu, images, batch.min(images.len()))?;
    let spec = EvalSpec {
        model: Loaded {
            network: &model.network,
            layout: &model.layout,
            arenas: &arenas,
        },
        activations,
        images: source.on_device(),
        pixels: Normalization {
            mean: model.mean,
            std: model.std,
        },
        batch,
        lent: &[],
    };
    let program = EvalProgram::compile(compiler, &spec)?;
    Ok((program, source))
}
