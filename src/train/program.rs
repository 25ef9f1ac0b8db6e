//! The two things a device is asked to do again and again: a training step and an evaluation.
//! Everything a step needs is compiled, allocated and bound here, once.

use super::account::{Memory, Pass, Work};
use super::feed::Feed;
use super::settings::Optimizer;
use super::trainer::TrainError;
use crate::data::{Normalization, Resident, Source};
use crate::gpu::{AdapterClass, Buffer, Gpu, GpuError, Readback, Tape, Timing, View};
use crate::graph::{
    Activations, Arenas, Gradients, Layout, Loaded, Mode, Network, Plan, PlannedDispatch, Ports,
};
use crate::kernels::indicator::Rule;
use crate::kernels::metrics::{Prices, ROWS, Record, row_words};
use crate::kernels::step::StepScalars;
use crate::kernels::{
    Compiler, Cost, Recipe, add, augment, dapa, indicator, loss, metrics, optimizer, squares,
};
use std::collections::VecDeque;

/// How images of a training step are varied; see `kernels::augment`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variation {
    /// Black pixels around the image before a random crop.
    pub pad: u32,
    /// Mirror every other image.
    pub flip: bool,
    /// Side of a square hole.
    pub cutout: u32,
}

impl Variation {
    /// Images as they are.
    pub const NONE: Self = Self {
        pad: 0,
        flip: false,
        cutout: 0,
    };
}

/// The memory between the parts of a step.
struct Wiring {
    ports: Ports,
    step: Buffer,
    order: Buffer,
    /// What is recorded of each sample: a part of it for every micro-batch.
    samples: Buffer,
    /// Rows of a micro-batch's part, of which those past its images stay zero: a part must
    /// begin where a binding may.
    sample_rows: usize,
    ring: Buffer,
    words: usize,
}

impl Wiring {
    fn new(
        gpu: &Gpu,
        network: &Network,
        batch: usize,
        micro_batches: usize,
        images: usize,
        sites: usize,
    ) -> Result<Self, GpuError> {
        let logits = 4 * (batch * network.classes()) as u64;
        let input = 4 * (batch * network.node(network.input()).shape.len()) as u64;
        let step = gpu.allocate_uniform("step scalars", size_of::<StepScalars>() as u64)?;
        let words = row_words(sites);
        let sample_rows = batch.next_multiple_of(View::ALIGNMENT as usize / 16);
        let samples = vec![0f32; 4 * sample_rows * micro_batches];
        Ok(Self {
            ports: Ports {
                input: gpu.allocate("input", input)?.view(),
                logits: gpu.allocate("logits", logits)?.view(),
                logit_gradient: gpu.allocate("logit gradient", logits)?.view(),
                step: step.view(),
                health: gpu.upload("health", &[u32::MAX, 0])?.view(),
                lent: Vec::new(),
            },
            step,
            order: gpu.allocate("order", 4 * images as u64)?,
            samples: gpu.upload("samples", &samples)?,
            sample_rows,
            ring: gpu.upload("metrics ring", &vec![0u32; ROWS * words])?,
            words,
        })
    }

    /// What the wiring and the data set take.
    fn memory(&self, images: &Resident) -> Memory {
        let mut memory = Memory::default();
        let ports = &self.ports;
        for view in [&ports.input, &ports.logits, &ports.logit_gradient] {
            memory.activations.add(view.bytes);
        }
        for (_, buffer) in &images.chunks {
            memory.dataset.add(buffer.bytes());
        }
        memory.dataset.add(images.labels.bytes());
        memory.dataset.add(self.order.bytes());
        // The ring is there thrice: two copies of it may be on their way to the host.
        let staging = [
            self.step.bytes(),
            self.samples.bytes(),
            3 * self.ring.bytes(),
        ];
        memory.staging.add(staging.iter().sum());
        memory
    }

    /// Where the loss of a micro-batch's samples is recorded.
    fn samples_of(&self, micro_batch: usize) -> View {
        let bytes = 16 * self.sample_rows as u64;
        self.samples.range(micro_batch as u64 * bytes, bytes)
    }

    fn records(&self, words: &[u32], steps: std::ops::Range<u32>) -> Vec<Record> {
        steps
            .map(|step| {
                let row = step as usize % ROWS * self.words;
                Record::from_words(&words[row..row + self.words])
            })
            .collect()
    }
}

/// Collects dispatches, each with the part of the step that it belongs to.
struct Assembler<'a> {
    gpu: &'a Gpu,
    dispatches: Vec<(Pass, PlannedDispatch)>,
    /// Bytes of scratch memory.
    scratch: u64,
}

impl<'a> Assembler<'a> {
    fn new(gpu: &'a Gpu) -> Self {
        Self {
            gpu,
            dispatches: Vec::new(),
            scratch: 0,
        }
    }

    fn plan(&mut self, pass: Pass, dispatches: &[PlannedDispatch]) {
        let planned = dispatches.iter().cloned();
        self.dispatches
            .extend(planned.map(|planned| (pass, planned)));
    }

    fn recipe(
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
    fn images(
        &mut self,
        compiler: &Compiler,
        wiring: &Wiring,
        images: &Resident,
        batch: usize,
        pixels: Normalization,
        variation: Variation,
    ) -> Result<(), GpuError> {
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
fn tape<'d>(gpu: &Gpu, dispatches: impl IntoIterator<Item = &'d (Pass, PlannedDispatch)>) -> Tape {
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

/// What a training step consists of.
pub struct TrainSpec<'a> {
    /// The network that is trained.
    pub student: Loaded<'a>,
    /// A network to distil from.
    pub teacher: Option<Loaded<'a>>,
    /// What the student's activation sites do.
    pub activations: Activations,
    /// Images of a step, a multiple of `micro_batches`.
    pub batch: usize,
    /// Parts of a batch that go through the network one after the other, so that only one
    /// part's activations are in memory; see [`TrainProgram`].
    pub micro_batches: usize,
    /// Whether the backward pass computes activations again instead of keeping them.
    pub recompute: bool,
    /// The data set.
    pub images: &'a Resident,
    /// How input values are scaled.
    pub pixels: Normalization,
    /// How images are varied.
    pub variation: Variation,
    /// Update rule of the parameters.
    pub optimizer: Optimizer,
    /// How scores are trained, for masks to follow them; `None` leaves masks as they are.
    pub search: Option<&'a Scoring>,
    /// Channels of which some may be lines: they stay lines. A search decides about its own.
    pub lines: &'a [squares::Group],
    /// Whether Lookahead's slow weights exist.
    pub lookahead: bool,
    /// Whether averaged weights exist.
    pub averaging: bool,
}

/// How a search trains the scores of ReLUs, and of squares where they have a price.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoring {
    /// How masks follow scores.
    pub rule: Rule,
    /// Runs of elements (first, number) in the score arena that are kept or dropped together;
    /// none: every element by itself.
    pub groups: Vec<[u32; 2]>,
    /// What ReLUs and squares cost.
    pub prices: Prices,
    /// Squares that may be dropped.
    pub squares: Option<SquareScoring>,
}

/// How a search trains the scores of squares.
#[derive(Debug, Clone, PartialEq)]
pub struct SquareScoring {
    /// Channels that keep or lose their squares together.
    pub groups: Vec<squares::Group>,
    /// The scores to begin with, by group.
    pub scores: Vec<f32>,
    /// What a channel that regains its square begins with.
    pub fit: dapa::Fit,
}

/// The paper's: a score for every element, the number of ReLUs as the cost.
pub static AUTOREP: Scoring = Scoring {
    rule: Rule::Hysteresis,
    groups: Vec::new(),
    prices: Prices::COUNT,
    squares: None,
};

impl Scoring {
    /// ReLUs and squares of each site when a search begins: all ReLUs are there.
    fn start(layout: &Layout) -> Vec<(usize, usize)> {
        layout
            .sites
            .iter()
            .map(|site| (site.shape.len(), 0))
            .collect()
    }
}

/// Name of the buffer with scores of squares: vec4 (score, Adam's moments, 1 where there is a
/// square) by group.
pub const SQUARES: &str = "squares";
/// Name of the buffer with the ledger, see [`Prices::ledger`].
const LEDGER: &str = "ledger";
/// The threshold that searches by importance begin with: loss for the full cost. It moves by shares
/// of itself, and finds its level from wherever it is in some dozens of steps.
const THRESHOLD: f32 = 1e-4;

/// What training carries from step to step beside the network itself. All are f32 arenas with
/// the network's layout; a checkpoint holds every one that exists.
pub struct Carried {
    /// Names and buffers, in a fixed order.
    pub buffers: Vec<(&'static str, Buffer)>,
}

impl Carried {
    /// The buffer of that name, where it exists.
    pub fn get(&self, name: &str) -> Option<&Buffer> {
        let mut buffers = self.buffers.iter();
        buffers.find(|(n, _)| *n == name).map(|(_, buffer)| buffer)
    }
}

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
    wiring: Wiring,
    /// What goes into checkpoints beside the network.
    pub carried: Carried,
    /// The averaged network, where the spec asked for one.
    pub averaged: Option<Arenas>,
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
    /// [`GpuError`].
    pub fn compile(compiler: &Compiler, spec: &TrainSpec) -> Result<Self, GpuError> {
        let gpu = compiler.gpu;
        let Loaded {
            network,
            layout,
            arenas,
        } = spec.student;
        let sites = spec.search.map_or(0, |_| layout.sites.len());
        let searches = spec.search.is_some();
        let micro_batches = spec.micro_batches;
        let batch = spec.batch / micro_batches;
        debug_assert_eq!(batch * micro_batches, spec.batch);
        let wiring = Wiring::new(gpu, network, batch, micro_batches, spec.images.len, sites)?;
        let gradients = Gradients::zeroed(gpu, layout)?;
        let gated = spec.activations != Activations::Relu;
        let mut memory = wiring.memory(spec.images);
        memory.network(&spec.student, gated, searches);
        if let Some(teacher) = &spec.teacher {
            memory.network(teacher, false, false);
            memory.activations.add(wiring.ports.logits.bytes);
        }
        memory.gradients(layout, &gradients, searches);
        let zeros = |what: &str, len: usize| gpu.upload(what, &vec![0f32; len.max(1)]);
        let params = layout.params.len;

        let mut buffers = vec![("first-moment", zeros("first moment", params)?)];
        if spec.optimizer != Optimizer::Sgd {
            buffers.push(("second-moment", zeros("second moment", params)?));
        }
        if let Some(search) = spec.search {
            let moments = ["score-first-moment", "score-second-moment"];
            // Importance is an average of squares only.
            let first = usize::from(search.rule == Rule::Importance);
            for name in &moments[first..] {
                buffers.push((name, zeros("score moment", layout.elements)?));
            }
            let ledger = search.prices.ledger(&Scoring::start(layout), THRESHOLD);
            buffers.push((LEDGER, gpu.upload("ledger", &ledger)?));
            if let Some(squares) = &search.squares {
                let states = squares.scores.iter().map(|&score| [score, 0.0, 0.0, 1.0]);
                let states: Vec<[f32; 4]> = states.collect();
                buffers.push((SQUARES, gpu.upload("scores of squares", &states)?));
            }
        }
        let start = |arena: &Buffer| -> Result<Vec<f32>, GpuError> { gpu.read(&arena.view()) };
        if spec.lookahead {
            buffers.push(("slow", gpu.upload("slow weights", &start(&arenas.params)?)?));
        }
        let averaged = match spec.averaging {
            false => None,
            true => Some(Arenas {
                params: gpu.upload("averaged weights", &start(&arenas.params)?)?,
                state: gpu.upload("averaged statistics", &start(&arenas.state)?)?,
                ..arenas.clone()
            }),
        };
        if let Some(averaged) = &averaged {
            buffers.push(("averaged", averaged.params.clone()));
            buffers.push(("averaged-state", averaged.state.clone()));
        }
        let carried = Carried { buffers };
        for (name, buffer) in &carried.buffers {
            let elements = match *name {
                "averaged-state" => layout.state.elements(),
                SQUARES | LEDGER => buffer.bytes() as usize / 4,
                name if name.starts_with("score") => network.relu_total(),
                _ => layout.params.elements(),
            };
            memory
                .optimizer
                .add_padded(buffer.bytes(), 4 * elements as u64);
        }

        let mut forward = Assembler::new(gpu);
        forward.images(
            compiler,
            &wiring,
            spec.images,
            batch,
            spec.pixels,
            spec.variation,
        )?;
        let ports = &wiring.ports;
        let (mut teacher_logits, mut lent) = (None, Vec::new());
        if let Some(teacher) = spec.teacher {
            let logits = gpu.allocate("teacher logits", ports.logits.bytes)?.view();
            let ports = Ports {
                logits: logits.clone(),
                ..ports.clone()
            };
            let mode = Mode {
                batch,
                training: false,
                activations: Activations::Relu,
                recompute: false,
            };
            let plan = Plan::compile(compiler, teacher, None, &ports, mode)?;
            forward.plan(Pass::Teacher, &plan.forward);
            memory.activations(&plan);
            teacher_logits = Some(logits);
            // Once the teacher has spoken its activations are nobody's.
            lent = plan.buffers;
        }
        let ports = &Ports {
            lent,
            ..ports.clone()
        };
        let mode = Mode {
            batch,
            training: true,
            activations: spec.activations,
            recompute: spec.recompute,
        };
        let plan = Plan::compile(compiler, spec.student, Some(&gradients), ports, mode)?;
        forward.plan(Pass::Forward, &plan.forward);
        memory.activations(&plan);
        let loss_spec = loss::Spec {
            batch,
            classes: network.classes(),
            distill: teacher_logits.is_some(),
            gradient: true,
        };
        let loss_recipe = loss::loss(compiler, &loss_spec)?;
        // The optimiser's gradients: those of the one backward pass, or their sum over several.
        let summed = match micro_batches {
            1 => gradients.clone(),
            _ => {
                memory.gradients(layout, &gradients, searches);
                Gradients::zeroed(gpu, layout)?
            }
        };
        let mut parts = Vec::with_capacity(micro_batches);
        for index in 0..micro_batches {
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
            if micro_batches > 1 {
                let mut arenas = vec![(&gradients.params, &summed.params, params)];
                if searches {
                    arenas.push((&gradients.mask, &summed.mask, layout.elements));
                }
                for (own, sum, length) in arenas {
                    let recipe = match index {
                        0 => add::copy(compiler, length)?,
                        _ => add::add(compiler, length)?,
                    };
                    let arguments = [sum.view(), own.view()];
                    part.recipe(Pass::Backward, recipe, &arguments, "sum of gradients")?;
                }
            }
            parts.push(part.dispatches);
        }

        let mut step = Assembler::new(gpu);
        let clip = gpu.allocate("gradient norm", 16)?.view();
        let kinds = gpu.upload("parameter groups", &layout.kind_table())?.view();
        let (p, g) = (arenas.params.view(), summed.params.view());
        let recipe = optimizer::gradient_norm(compiler, params)?;
        let arguments = [ports.step.clone(), g.clone(), clip.clone()];
        step.recipe(Pass::Update, recipe, &arguments, "norm")?;
        let recipe = match spec.optimizer {
            Optimizer::Sgd => optimizer::sgd(compiler, params, true)?,
            Optimizer::Adam => optimizer::adam(compiler, params, false)?,
            Optimizer::Adamw => optimizer::adam(compiler, params, true)?,
        };
        let mut arguments = vec![ports.step.clone(), p.clone(), g];
        for name in ["first-moment", "second-moment"] {
            arguments.extend(carried.get(name).map(Buffer::view));
        }
        arguments.extend([kinds, clip.clone()]);
        step.recipe(Pass::Update, recipe, &arguments, "parameters")?;
        if let Some(slow) = carried.get("slow") {
            let recipe = optimizer::lookahead(compiler, params)?;
            let arguments = [ports.step.clone(), p.clone(), slow.view()];
            step.recipe(Pass::Update, recipe, &arguments, "slow weights")?;
        }
        let mut record = vec![
            ports.step.clone(),
            wiring.samples.view(),
            wiring.ring.view(),
            clip,
            ports.health.clone(),
        ];
        if let Some(search) = spec.search {
            let own = |name| carried.get(name).map(Buffer::view).into_iter();
            let counts = gpu.upload("counts", &vec![0u32; 2 * sites.max(1)])?.view();
            let ledger: Vec<View> = own(LEDGER).collect();
            if !search.groups.is_empty() {
                let table = gpu.upload("groups", &search.groups)?.view();
                let elements = search.groups.iter().map(|g| g[1] as usize).sum();
                let recipe =
                    indicator::share(compiler, search.groups.len(), elements, search.rule)?;
                let arguments = [table, summed.mask.view()];
                step.recipe(Pass::Update, recipe, &arguments, "scores")?;
            }
            let mut arguments = vec![
                ports.step.clone(),
                arenas.scores.view(),
                arenas.mask.view(),
                summed.mask.view(),
            ];
            arguments.extend(own("score-first-moment"));
            arguments.extend(own("score-second-moment"));
            arguments.push(gpu.upload("sites", &layout.site_table())?.view());
            arguments.push(counts.clone());
            arguments.extend(ledger.clone());
            let recipe = indicator::update(compiler, layout.elements, search.rule)?;
            step.recipe(Pass::Update, recipe, &arguments, "scores")?;
            if let Some(squares) = &search.squares {
                let mut arguments = vec![
                    ports.step.clone(),
                    p.clone(),
                    summed.params.view(),
                    arenas.state.view(),
                    arenas.mask.view(),
                    gpu.upload("groups of squares", &squares.groups)?.view(),
                ];
                arguments.extend(own(SQUARES));
                arguments.push(counts.clone());
                arguments.extend(ledger.clone());
                let recipe =
                    squares::update(compiler, &squares.groups, sites, squares.fit, search.rule)?;
                step.recipe(Pass::Update, recipe, &arguments, "squares")?;
            }
            record.push(counts);
            record.extend(ledger);
        } else if !spec.lines.is_empty() {
            let table = gpu.upload("groups of squares", spec.lines)?.view();
            let recipe = squares::hold(compiler, spec.lines)?;
            step.recipe(Pass::Update, recipe, &[p.clone(), table], "squares")?;
        }
        if let Some(averaged) = &averaged {
            for (from, to, len) in [
                (&arenas.params, &averaged.params, params),
                (&arenas.state, &averaged.state, layout.state.len),
            ] {
                let recipe = optimizer::average(compiler, len)?;
                let arguments = [ports.step.clone(), from.view(), to.view()];
                step.recipe(Pass::Update, recipe, &arguments, "averaged weights")?;
            }
        }
        let rows = wiring.sample_rows * micro_batches;
        let prices = spec.search.map_or(Prices::COUNT, |search| search.prices);
        let recipe = metrics::record(compiler, rows, true, sites, prices)?;
        step.recipe(Pass::Update, recipe, &record, "record")?;
        let scratch = [&forward, &step].map(|part| part.scratch);
        memory.activations.add(scratch.iter().sum());
        memory.textures(compiler);
        let work = parts.iter().flatten().chain(&step.dispatches);
        let work = work.map(Work::of).collect();
        let tapes = match parts.as_slice() {
            [whole] => vec![tape(gpu, whole.iter().chain(&step.dispatches))],
            parts => {
                let parts = parts.iter().map(|part| tape(gpu, part));
                parts.chain([tape(gpu, &step.dispatches)]).collect()
            }
        };
        compiler.prepare(&tapes)?;
        Ok(Self {
            tapes,
            micro_batches,
            wiring,
            carried,
            averaged,
            pending: VecDeque::new(),
            unread: 0,
            work,
            memory,
            idle: plan.buffers,
        })
    }

    /// Tells where the next step is in its phase, after a checkpoint was loaded.
    pub fn start_at(&mut self, step: u32) {
        self.unread = step;
    }

    /// The images of the coming epoch, in order, of those on the device.
    pub fn set_order(&self, gpu: &Gpu, order: &[u32]) {
        gpu.write(&self.order(), order);
    }

    /// Where a step reads from which images it is made of, see [`Feed::begin`].
    pub fn order(&self) -> View {
        self.wiring.order.view()
    }

    /// Submits one step; does not wait.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
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
    /// [`GpuError::Lost`].
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
        Ok(self.wiring.records(&readback.finish(gpu)?, steps))
    }

    /// All records of steps before `next` that were not returned yet; waits for them.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub fn drain_records(&mut self, gpu: &Gpu, next: u32) -> Result<Vec<Record>, GpuError> {
        let mut records = self.exchange_records(gpu, next)?;
        while !self.pending.is_empty() {
            records.extend(self.oldest_records(gpu)?);
        }
        Ok(records)
    }

    /// Steps that may pass between two calls of [`TrainProgram::exchange_records`], so that no
    /// row of the ring is overwritten before it is read.
    pub const MOST_UNREAD: u32 = ROWS as u32 / 4;

    /// Takes a step and times every dispatch of it, in the order of [`TrainProgram::work`]; see
    /// [`Tape::time`].
    ///
    /// # Errors
    /// [`GpuError::Lost`].
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
            true => micro_batch(scalars, tape, self.micro_batches),
            false => *scalars,
        };
        gpu.write(&self.wiring.step.view(), &[scalars]);
    }
}

/// The scalars of micro-batch `index` of `count`.
fn micro_batch(step: &StepScalars, index: usize, count: usize) -> StepScalars {
    if count == 1 {
        return *step;
    }
    let images = step.count / count as u32;
    let share = 1.0 / count as f32;
    // Polynomials are refitted behind the last part, moments start anew with the first.
    let (refit, anew) = (step.refit & 1, step.refit & 2);
    StepScalars {
        first: step.first + index as u32 * images,
        count: images,
        // The loss is a mean over the part.
        ce_weight: step.ce_weight * share,
        kd_weight: step.kd_weight * share,
        momentum: 1.0 - (1.0 - step.momentum).powf(share),
        refit: u32::from(index + 1 == count) * refit + u32::from(index == 0) * anew,
        ..*step
    }
}

/// Means over a set of images.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Evaluation {
    /// Mean cross-entropy.
    pub loss: f64,
    /// Share of images whose label came first.
    pub top1: f64,
    /// Share of images whose label was among the first five.
    pub top5: f64,
    /// Number of images.
    pub images: usize,
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
    /// Compiles the evaluation of `model` on `images` in batches of at most `batch`. Buffers
    /// that are lent hold nothing between its batches: those of a training step that waits.
    ///
    /// # Errors
    /// [`GpuError`].
    pub fn compile(
        compiler: &Compiler,
        model: Loaded,
        activations: Activations,
        images: &Resident,
        pixels: Normalization,
        batch: usize,
        lent: &[Buffer],
    ) -> Result<Self, GpuError> {
        let gpu = compiler.gpu;
        let batch = batch.min(images.len).max(1);
        let network = model.network;
        let wiring = Wiring::new(gpu, network, batch, 1, images.len, 0)?;
        let mode = Mode {
            batch,
            training: false,
            activations,
            recompute: false,
        };
        let ports = &wiring.ports;
        let place = &Ports {
            lent: lent.to_vec(),
            ..ports.clone()
        };
        let plan = Plan::compile(compiler, model, None, place, mode)?;
        let mut memory = wiring.memory(images);
        memory.network(&model, activations != Activations::Relu, false);
        memory.activations(&plan);
        let mut step = Assembler::new(gpu);
        step.images(compiler, &wiring, images, batch, pixels, Variation::NONE)?;
        step.plan(Pass::Forward, &plan.forward);
        let spec = loss::Spec {
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
        let recipe = loss::loss(compiler, &spec)?;
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
    /// [`GpuError::Lost`].
    pub fn step(&self, gpu: &Gpu, scalars: &StepScalars) -> Result<(), GpuError> {
        gpu.write(&self.wiring.step.view(), &[*scalars]);
        self.tape.submit(gpu)
    }

    /// Evaluates a batch and times every dispatch of it, in the order of [`EvalProgram::work`].
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub fn time(&self, gpu: &Gpu, scalars: &StepScalars) -> Result<Timing, GpuError> {
        gpu.write(&self.wiring.step.view(), &[*scalars]);
        self.tape.time(gpu)
    }

    /// Evaluates the images of `indices`, those of `source` that the evaluation was compiled
    /// for; waits for the result. `go_on` is asked every few batches; `None` is returned once
    /// it says no.
    ///
    /// # Errors
    /// [`TrainError`] when the device is lost or too many files are no images.
    pub fn evaluate(
        &self,
        gpu: &Gpu,
        source: &Source,
        indices: &[u32],
        go_on: impl Fn() -> bool,
    ) -> Result<Option<Evaluation>, TrainError> {
        let order = self.wiring.order.view();
        let mut feed = Feed::begin(gpu, source, indices, &order, 0, self.batch, None);
        let mut sums = [0f64; 3];
        let mut images = 0;
        let batches = indices.len().div_ceil(self.batch) as u32;
        let mut first = 0;
        while first < batches {
            if !go_on() {
                return Ok(None);
            }
            let last = (first + TrainProgram::MOST_UNREAD).min(batches);
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
            for record in self.wiring.records(&words, first..last) {
                for (sum, part) in sums.iter_mut().zip([record.ce, record.top1, record.top5]) {
                    *sum += f64::from(part);
                }
            }
            first = last;
        }
        let [loss, top1, top5] = sums.map(|sum| sum / images.max(1) as f64);
        Ok(Some(Evaluation {
            loss,
            top1,
            top5,
            images,
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
    ) -> Result<Vec<f32>, TrainError> {
        let order = self.wiring.order.view();
        let mut feed = Feed::begin(gpu, source, indices, &order, 0, self.batch, None);
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
    ) -> Result<Evaluation, TrainError> {
        let result = self.evaluate(gpu, source, indices, || true)?;
        Ok(result.unwrap_or_default())
    }
}
