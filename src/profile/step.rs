//! A step of training, search or evaluation, compiled as a run would compile it.

use crate::data::{Images, Normalization, Resident};
use crate::gpu::{Gpu, GpuError, Timing};
use crate::graph::{Activations, Arenas, Layout, Loaded, Network, Tensors};
use crate::kernels::Compiler;
use crate::kernels::dapa::{Fit, Form};
use crate::kernels::step::StepScalars;
use crate::run::model_file::Sites;
use crate::settings::Settings;
use crate::step::account::{Memory, Work};
use crate::step::{AUTOREP, EvalProgram, EvalSpec, TrainProgram, TrainSpec, Variation};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is done again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// A training step of the all-ReLU network.
    Teacher,
    /// A search step: the teacher's forward pass, the gated network's forward and backward pass,
    /// the update of parameters and scores.
    Search,
    /// A batch of an evaluation of the gated network.
    Eval,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::Teacher => "teacher",
            Phase::Search => "search",
            Phase::Eval => "eval",
        })
    }
}

/// What a step is compiled from.
pub struct StepSpec<'a> {
    /// The network; its parameters are initial ones.
    pub network: &'a Network,
    /// The phase, with its default settings.
    pub phase: Phase,
    /// Images of a step, at most as many as there are.
    pub batch: usize,
    /// Parts in which a batch is taken; 1 in an evaluation.
    pub micro_batches: usize,
    /// Whether a training step computes activations again instead of keeping them.
    pub recompute: bool,
    /// The data set.
    pub images: &'a Images,
    /// How input values are scaled.
    pub pixels: Normalization,
}

/// A compiled step that can be taken any number of times.
pub struct Step {
    program: Program,
    scalars: StepScalars,
    /// Images of a step.
    pub batch: usize,
}

enum Program {
    Train(Box<TrainProgram>),
    Eval(Box<EvalProgram>),
}

impl Step {
    /// Uploads the data set and compiles the step.
    ///
    /// # Errors
    /// [`GpuError`] where memory runs out, a shader is refused or the device is gone.
    pub fn compile(compiler: &Compiler, spec: &StepSpec) -> Result<Self, GpuError> {
        let gpu = compiler.gpu;
        let layout = Layout::new(spec.network);
        let tensors = Tensors::initial(&layout, 0);
        let images = Resident::upload(gpu, spec.images)?;
        let arenas = Arenas::upload(gpu, &tensors)?;
        let student = Loaded {
            network: spec.network,
            layout: &layout,
            arenas: &arenas,
        };
        let order: Vec<u32> = (0..spec.images.len() as u32).collect();
        let program = if spec.phase == Phase::Eval {
            let spec = EvalSpec {
                model: student,
                activations: Sites::Gate.evaluated(),
                images: &images,
                pixels: spec.pixels,
                batch: spec.batch,
                lent: &[],
            };
            let program = EvalProgram::compile(compiler, &spec)?;
            program.set_order(gpu, &order);
            Program::Eval(Box::new(program))
        } else {
            let program = train(compiler, spec, student, &tensors, &images)?;
            program.set_order(gpu, &order);
            Program::Train(Box::new(program))
        };
        Ok(Self {
            program,
            scalars: StepScalars {
                // Small enough that parameters hardly move, however often the step is taken.
                rate: [1e-6; 4],
                score_rate: 1e-6,
                count: spec.batch as u32,
                augment: 1,
                kd_weight: 1.0,
                refit: 1,
                ..Default::default()
            },
            batch: spec.batch,
        })
    }

    /// Submits a step; does not wait.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn submit(&self, gpu: &Gpu) -> Result<(), GpuError> {
        match &self.program {
            Program::Train(program) => program.step(gpu, &self.scalars),
            Program::Eval(program) => program.step(gpu, &self.scalars),
        }
    }

    /// Takes a step and times its dispatches.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn time(&self, gpu: &Gpu) -> Result<Timing, GpuError> {
        match &self.program {
            Program::Train(program) => program.time(gpu, &self.scalars),
            Program::Eval(program) => program.time(gpu, &self.scalars),
        }
    }

    /// The dispatches of a step, in order.
    pub fn work(&self) -> &[Work] {
        match &self.program {
            Program::Train(program) => &program.work,
            Program::Eval(program) => &program.work,
        }
    }

    /// The memory of a step.
    pub fn memory(&self) -> &Memory {
        match &self.program {
            Program::Train(program) => &program.memory,
            Program::Eval(program) => &program.memory,
        }
    }
}

fn train(
    compiler: &Compiler,
    spec: &StepSpec,
    student: Loaded,
    tensors: &Tensors,
    images: &Resident,
) -> Result<TrainProgram, GpuError> {
    let settings = Settings::default();
    let search = spec.phase == Phase::Search;
    let teacher = match search {
        true => Some(Arenas::upload(compiler.gpu, tensors)?),
        false => None,
    };
    let fit = Fit {
        degree: settings.search.degree,
        // As a search with its defaults has it.
        form: Form::Hermite,
    };
    let side = images.height.min(images.width) as u32;
    let spec = TrainSpec {
        student,
        teacher: teacher.as_ref().map(|arenas| Loaded { arenas, ..student }),
        activations: match search {
            false => Activations::Relu,
            true => Activations::Gate {
                fit: Some(fit),
                degree: fit.degree,
                slopes: false,
            },
        },
        batch: spec.batch,
        micro_batches: spec.micro_batches,
        recompute: spec.recompute,
        images,
        pixels: spec.pixels,
        variation: Variation {
            pad: side / 8,
            flip: settings.augment.flip,
            cutout: settings.augment.cutout,
        },
        optimizer: match search {
            false => settings.teacher.descent.optimizer,
            true => settings.search.descent.optimizer,
        },
        search: search.then_some(&AUTOREP),
        lines: &[],
        lookahead: false,
        averaging: false,
    };
    TrainProgram::compile(compiler, &spec)
}
