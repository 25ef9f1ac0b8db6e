//! One phase: epochs of steps, validation, checkpoints, and going on where one was left.

use super::circumstances::Circumstances;
use super::error::TrainError;
use super::health::{self, SiteHealth};
use super::journal;
use super::progress::phase_bar;
use super::schedule::shuffled;
use super::spec::PhaseSpec;
use super::standing::{Saved, Standing, Sums};
use super::trainer::Trainer;
use crate::gpu::Gpu;
use crate::graph::{Arenas, Tensors};
use crate::kernels::metrics::Record;
use crate::run::checkpoint::{Checkpoint, Unpack};
use crate::run::mark::{Mark, Phase};
use crate::run::metrics::Record as LogRecord;
use crate::run::store::CheckpointStore;
use crate::step::carried::SQUARES;
use crate::step::feed::{Epoch, Feed};
use crate::step::{EvalProgram, EvalSpec, Evaluation, MOST_UNREAD, TrainProgram, TrainSpec};
use crate::tensor_file::Tensor;
use indicatif::ProgressBar;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a phase ended.
pub enum PhaseEnd {
    /// All steps were taken.
    Done(PhaseResult),
    /// Somebody asked to stop; a checkpoint was written.
    Interrupted,
}

/// What a phase leaves.
#[derive(Debug, Clone)]
pub struct PhaseResult {
    /// The network.
    pub tensors: Tensors,
    /// Its validation accuracy.
    pub validation: Evaluation,
    /// Score, Adam's moments, and 1 where there is a square, for each group of squares of a
    /// search that chooses among them.
    pub squares: Vec<[f32; 4]>,
}

/// A checkpoint taken apart for the phase that it interrupts.
pub struct Resume {
    /// The network.
    pub tensors: Tensors,
    rest: Unpack,
    standing: Standing,
}

impl Resume {
    /// Reads what [`run`] wrote, and tells the trainer of the phases before.
    ///
    /// # Errors
    /// [`TrainError`] when the checkpoint is damaged or of another network.
    pub fn read(trainer: &mut Trainer, checkpoint: Checkpoint) -> Result<Self, TrainError> {
        let saved = Saved::read(&checkpoint)?;
        trainer.speeds.extend(saved.speeds);
        trainer.earlier = Duration::try_from_secs_f64(saved.wall_seconds).unwrap_or_default();
        trainer.last_checkpoint = Some(checkpoint.origin().to_owned());
        // Says which model it is if it is not this one.
        let (model, rest) = trainer.unpacked(checkpoint)?;
        Ok(Self {
            tensors: model.tensors,
            rest,
            standing: saved.standing,
        })
    }

    /// Puts everything back on the device where it was; what is left is where the phase stands.
    fn restore(
        mut self,
        gpu: &Gpu,
        student: &Arenas,
        program: &TrainProgram,
    ) -> Result<Standing, TrainError> {
        for (name, buffer) in &program.carried.buffers {
            let length = buffer.bytes() as usize / 4;
            let values = self.rest.f32(&carried_name(name), &[length])?;
            gpu.write(&buffer.view(), &values);
        }
        student.write(gpu, &self.tensors);
        Ok(self.standing)
    }
}

/// Where a checkpoint keeps what training carries under `name`.
fn carried_name(name: &str) -> String {
    format!("optimizer.{name}")
}

/// A phase under way.
struct Run<'t, 'g, 's> {
    trainer: &'t mut Trainer<'g>,
    spec: &'s PhaseSpec<'s>,
    student: &'s Arenas,
    program: TrainProgram,
    /// Evaluates the network that would be kept.
    validation: EvalProgram,
    /// The network that would be kept: the student, or its average.
    candidate: Arenas,
    standing: Standing,
    steps: u64,
    bar: ProgressBar,
}

/// Runs a phase on the network in `student`, from its beginning or from `resume`.
///
/// # Errors
/// [`TrainError`] when the device is lost or too small, an image or a file cannot be read or
/// written, or a value is not finite.
pub fn run(
    trainer: &mut Trainer,
    spec: &PhaseSpec,
    student: &Arenas,
    resume: Option<Resume>,
) -> Result<PhaseEnd, TrainError> {
    Run::begin(trainer, spec, student, resume)?.finish()
}

/// Name of the checkpoint with the best validation accuracy of a phase.
pub fn best_name(phase: Phase) -> String {
    format!("{phase}-{}", CheckpointStore::BEST)
}

impl<'t, 'g, 's> Run<'t, 'g, 's> {
    /// Compiles the programs of a phase, and puts everything where it was.
    fn begin(
        trainer: &'t mut Trainer<'g>,
        spec: &'s PhaseSpec<'s>,
        student: &'s Arenas,
        resume: Option<Resume>,
    ) -> Result<Self, TrainError> {
        let gpu = trainer.gpu();
        let steps = trainer.steps_per_epoch() * spec.epochs as u64;
        let micro_batches = trainer.cut.parts;
        if micro_batches > 1 {
            log::info!(
                "a batch of {} images is taken in {micro_batches} parts; batch norm sees one at a \
                 time",
                trainer.batch()
            );
        }
        let explain = |error| trainer.explain(spec.footprint(), error);
        let train_spec = TrainSpec {
            student: trainer.loaded(student),
            teacher: spec.teacher.map(|arenas| trainer.loaded(arenas)),
            activations: spec.activations,
            batch: trainer.batch(),
            micro_batches,
            recompute: trainer.settings.recompute,
            images: trainer.images.on_device(),
            pixels: trainer.pixels,
            variation: trainer.variation_on_device(),
            optimizer: spec.descent.optimizer,
            search: spec.search,
            lines: spec.lines,
            lookahead: spec.lookahead,
            averaging: spec.average_epochs > 0.0,
        };
        let mut program = TrainProgram::compile(&trainer.compiler, &train_spec).map_err(explain)?;
        let standing = match resume {
            None => Standing {
                kept: trainer.network.relu_total() as u32,
                ..Default::default()
            },
            Some(resume) => resume.restore(gpu, student, &program)?,
        };
        program.start_at(standing.step as u32);
        let averaged = program.carried.averaged.as_ref();
        let candidate = averaged.unwrap_or(student).clone();
        let eval_spec = EvalSpec {
            model: trainer.loaded(&candidate),
            activations: spec.activations.evaluated(),
            images: trainer.images.on_device(),
            pixels: trainer.pixels,
            batch: trainer.evaluation_batch(),
            lent: &program.idle,
        };
        let validation = EvalProgram::compile(&trainer.compiler, &eval_spec).map_err(explain)?;
        let bar = phase_bar(trainer.progress, spec.phase, steps);
        bar.set_position(standing.step);
        bar.reset_eta();
        Ok(Self {
            trainer,
            spec,
            student,
            program,
            validation,
            candidate,
            standing,
            steps,
            bar,
        })
    }

    /// Takes the epochs that are left.
    fn finish(mut self) -> Result<PhaseEnd, TrainError> {
        let gpu = self.trainer.gpu();
        let steps_per_epoch = self.trainer.steps_per_epoch();
        // An average has nothing to say before its first step.
        let is_start = self.standing.step == 0 && self.standing.best.is_none();
        if self.spec.start_counts && is_start && self.spec.average_epochs == 0.0 {
            match self.validate()? {
                Some(result) => self.keep(result)?,
                None => {
                    self.save()?;
                    return Ok(self.interrupted());
                }
            }
        }
        let mut last = None;
        loop {
            // An interrupt may have come between an epoch's last step and its validation.
            let awaits_validation =
                self.standing.sums.begun() && self.standing.step.is_multiple_of(steps_per_epoch);
            if self.standing.step >= self.steps && !awaits_validation {
                break;
            }
            let epoch = (self.standing.step - u64::from(awaits_validation)) / steps_per_epoch;
            if !awaits_validation && !self.epoch(epoch, steps_per_epoch)? {
                return Ok(self.interrupted());
            }
            let Some(result) = self.validate()? else {
                self.save()?;
                return Ok(self.interrupted());
            };
            self.end_epoch(epoch, steps_per_epoch, result)?;
            last = Some(result);
        }
        self.bar.finish_and_clear();
        let result = match last {
            Some(result) => result,
            // Resumed behind the last step, or a phase of no steps.
            None => {
                let (images, held_out) = (&self.trainer.images, &self.trainer.validation);
                self.validation.evaluate_all(gpu, images, held_out)?
            }
        };
        let (tensors, validation) = match (self.spec.keep_best, self.standing.best) {
            (true, Some(best)) => {
                let store = self.trainer.folder.checkpoints();
                let checkpoint = store.load(best_name(self.spec.phase))?;
                (self.trainer.tensors_of(checkpoint)?, best)
            }
            _ => (self.candidate.download(gpu, &self.trainer.layout)?, result),
        };
        let images = self.standing.step as f64 * self.trainer.batch() as f64;
        let speed = images / self.standing.seconds.max(1e-9);
        self.trainer.speeds.insert(self.spec.phase, speed);
        let squares = self.program.carried.get(SQUARES);
        Ok(PhaseEnd::Done(PhaseResult {
            tensors,
            validation,
            squares: match squares {
                Some(buffer) => gpu.read(&buffer.view())?,
                None => Vec::new(),
            },
        }))
    }

    fn interrupted(&self) -> PhaseEnd {
        self.bar.abandon_with_message("interrupted");
        PhaseEnd::Interrupted
    }

    /// Evaluates on the images held out of the training set; `None` when interrupted.
    fn validate(&self) -> Result<Option<Evaluation>, TrainError> {
        let trainer = &self.trainer;
        let (images, held_out, interrupt) =
            (&trainer.images, &trainer.validation, trainer.interrupt);
        let go_on = || !interrupt.requested();
        Ok(self
            .validation
            .evaluate(trainer.gpu(), images, held_out, go_on)?)
    }

    /// Takes the rest of an epoch's steps; `false` when interrupted.
    fn epoch(&mut self, epoch: u64, per_epoch: u64) -> Result<bool, TrainError> {
        let gpu = self.trainer.gpu();
        let key = self.spec.epoch_key(epoch);
        let order = shuffled(&self.trainer.train, self.trainer.settings.seed, key);
        let batch = self.trainer.batch();
        let first = (self.standing.step - epoch * per_epoch) as usize * batch;
        // What is left over of a whole number of batches is not decoded.
        let order = &order[..per_epoch as usize * batch];
        let images = Arc::clone(&self.trainer.images);
        let variation = self.trainer.variation_on_host(key);
        let epoch_images = Epoch {
            order,
            first,
            batch,
            variation,
        };
        let mut feed = Feed::begin(gpu, &images, &self.program.order(), &epoch_images);
        let end = (epoch + 1) * per_epoch;
        let checkpoint_every = 60.0 * self.trainer.settings.checkpoint_minutes;
        let mut checkpointed = Instant::now();
        let before = self.standing.seconds;
        let begun = Instant::now();
        let mut exchanged = Instant::now();
        let mut unread = 0;
        let mut span = 1;
        while self.standing.step < end {
            let mut scalars = self
                .spec
                .scalars(self.trainer, self.standing.step, self.steps);
            feed.next(gpu, &mut scalars)?;
            self.program.step(gpu, &scalars)?;
            self.standing.step += 1;
            self.standing.seconds = before + begun.elapsed().as_secs_f64();
            unread += 1;
            if unread >= span {
                let records = self
                    .program
                    .exchange_records(gpu, self.standing.step as u32)?;
                self.digest(&records)?;
                // Read about twice a second: often enough to watch, seldom enough to be free.
                let seconds = exchanged.elapsed().as_secs_f64();
                let fitting = f64::from(unread) * 0.5 / seconds.max(1e-6);
                span = (fitting as u32).clamp(1, MOST_UNREAD);
                exchanged = Instant::now();
                unread = 0;
            }
            let stop = self.trainer.interrupt.requested();
            if stop || checkpointed.elapsed().as_secs_f64() > checkpoint_every {
                self.save()?;
                checkpointed = Instant::now();
                if stop {
                    return Ok(false);
                }
            }
        }
        let records = self.program.drain_records(gpu, self.standing.step as u32)?;
        self.standing.seconds = before + begun.elapsed().as_secs_f64();
        self.digest(&records)?;
        Ok(true)
    }

    /// Takes in the records of steps.
    fn digest(&mut self, records: &[Record]) -> Result<(), TrainError> {
        // Twenty points an epoch make a curve.
        let every = (self.trainer.steps_per_epoch() / 20).max(1);
        for record in records {
            self.check(record)?;
            let sums = &mut self.standing.sums;
            sums.ce += f64::from(record.ce);
            sums.kd += f64::from(record.kd);
            sums.hits += f64::from(record.top1);
            sums.images += f64::from(record.count).max(1.0);
            if self.spec.search.is_some() {
                self.standing.kept = record.kept;
            }
            let step = u64::from(record.step);
            if (step + 1).is_multiple_of(every) {
                let scalars = self.spec.scalars(self.trainer, step, self.steps);
                let sites = &self.trainer.layout.sites;
                self.log(step + 1, journal::step(self.spec, record, &scalars, sites))?;
            }
            self.bar.set_position(step + 1);
            self.bar
                .set_message(journal::so_far(self.spec, &self.standing));
        }
        Ok(())
    }

    /// Stops the run at the first value that is not finite.
    fn check(&self, record: &Record) -> Result<(), TrainError> {
        match journal::not_finite(record, &self.trainer.network) {
            None => Ok(()),
            Some(what) => Err(TrainError::NotFinite {
                what,
                step: record.step,
                phase: self.spec.phase,
                checkpoint: self.last_good(),
                rate: self.spec.descent.rate,
            }),
        }
    }

    fn last_good(&self) -> String {
        match &self.trainer.last_checkpoint {
            Some(path) => format!("the last good checkpoint is {}", path.display()),
            None => "there is no checkpoint yet".to_owned(),
        }
    }

    /// What the activation sites are given.
    fn site_health(&self) -> Result<Vec<SiteHealth>, TrainError> {
        let state: Vec<f32> = self.trainer.gpu().read(&self.student.state.view())?;
        let activations = &self.spec.activations;
        Ok(health::sites(&self.trainer.layout, &state, activations))
    }

    /// Stops a run that has blown up, warns of one that is about to.
    fn examine(
        &self,
        epoch: u64,
        sites: &[SiteHealth],
        result: &Evaluation,
    ) -> Result<(), TrainError> {
        if !result.loss.is_finite() {
            let gpu = self.trainer.gpu();
            let tensors = self.candidate.download(gpu, &self.trainer.layout)?;
            return Err(TrainError::Worthless {
                which: format!(
                    "the network after epoch {} of the {} phase, on the held-out images,",
                    epoch + 1,
                    self.spec.phase
                ),
                culprit: health::culprit(&self.trainer.model(tensors)),
                advice: format!(
                    "{}; begin a new run with a lower learning rate, --set {}.rate=… (now {})",
                    self.last_good(),
                    self.spec.phase,
                    self.spec.descent.rate
                ),
            });
        }
        let Some(teacher) = self.spec.teacher_top1 else {
            return Ok(());
        };
        let sums = &self.standing.sums;
        let trained_ce = sums.ce / sums.images;
        if health::has_collapsed(result, trained_ce, teacher, self.trainer.network.classes()) {
            return Err(TrainError::Collapsed {
                phase: self.spec.phase,
                epoch: epoch + 1,
                top1: 100.0 * result.top1,
                teacher: 100.0 * teacher,
                site: match health::runaway(sites).or(health::widest(sites)) {
                    Some(site) => format!(
                        "; the inputs of {} spread {:.3e}, {:.1} times as wide as those of the site \
                         before",
                        site.site, site.spread, site.gain
                    ),
                    None => String::new(),
                },
                advice: health::advice(&self.spec.activations),
                checkpoint: self.last_good(),
                rate: self.spec.descent.rate,
            });
        }
        if let Some(site) = health::runaway(sites) {
            log::warn!(
                "the inputs of {} spread {:.1}, {:.0} times as wide as those of the site before: the \
                 polynomials before it let outliers grow. What may help: {}",
                site.site,
                site.spread,
                site.gain,
                health::advice(&self.spec.activations)
            );
        }
        Ok(())
    }

    /// Logs values as of `step` of the phase.
    fn log(&mut self, step: u64, values: Vec<(String, f64)>) -> Result<(), TrainError> {
        let mark = Mark::new(self.spec.phase, self.spec.steps_before + step);
        let wall = self.trainer.wall_seconds();
        let record = LogRecord::new(mark, values).at(wall);
        Ok(self.trainer.log.log(&record)?)
    }

    /// Logs an epoch, keeps it if it is the best, and checkpoints.
    fn end_epoch(
        &mut self,
        epoch: u64,
        per_epoch: u64,
        result: Evaluation,
    ) -> Result<(), TrainError> {
        let sites = self.site_health()?;
        // One record of the epoch, for a run that is resumed to know whether it stands behind it.
        let mut values = journal::epoch(self.spec, epoch, &self.standing.sums, &result);
        values.extend(journal::sites(&sites));
        self.log((epoch + 1) * per_epoch, values)?;
        self.examine(epoch, &sites, &result)?;
        self.say(&journal::epoch_line(
            self.spec,
            epoch,
            &self.standing,
            &result,
        ));
        let better = self.standing.best.is_none_or(|best| {
            // Equal accuracy: the smaller loss.
            (result.top1, -result.loss) > (best.top1, -best.loss)
        });
        self.standing.sums = Sums::default();
        if better && self.spec.keep_best {
            self.keep(result)?;
        }
        self.save()
    }

    /// Keeps the network as the phase's best.
    fn keep(&mut self, result: Evaluation) -> Result<(), TrainError> {
        self.standing.best = Some(result);
        let gpu = self.trainer.gpu();
        let tensors = self.candidate.download(gpu, &self.trainer.layout)?;
        let checkpoint = self.trainer.model_checkpoint(tensors, self.spec.sites());
        // Before the rolling checkpoint that speaks of it: a kill in between must not leave
        // a score without its network.
        let store = self.trainer.folder.checkpoints();
        store.save_as(&best_name(self.spec.phase), &checkpoint)?;
        Ok(())
    }

    /// A line for the user, above the progress bar where there is one.
    fn say(&self, line: &str) {
        if self.trainer.progress {
            self.bar.println(line);
        } else {
            log::info!("{line}");
        }
    }

    /// Writes a rolling checkpoint of all there is.
    fn save(&mut self) -> Result<(), TrainError> {
        let gpu = self.trainer.gpu();
        let records = self.program.drain_records(gpu, self.standing.step as u32)?;
        self.digest(&records)?;
        let tensors = self.student.download(gpu, &self.trainer.layout)?;
        let mut checkpoint = self.trainer.model_checkpoint(tensors, self.spec.sites());
        for (name, buffer) in &self.program.carried.buffers {
            let values: Vec<f32> = gpu.read(&buffer.view())?;
            let tensor = Tensor::f32(vec![values.len()], values);
            checkpoint.tensors.push((carried_name(name), tensor));
        }
        let saved = Saved {
            standing: self.standing,
            wall_seconds: self.trainer.wall_seconds(),
            speeds: self.trainer.speeds.clone(),
        };
        saved.write(&mut checkpoint.metadata);
        let tiling = self.trainer.compiler.tiling;
        let circumstances = Circumstances::new(gpu, &self.trainer.settings, tiling);
        circumstances.write(&mut checkpoint.metadata);
        self.trainer.log.sync()?;
        let mark = Mark::new(self.spec.phase, self.spec.steps_before + self.standing.step);
        let path = self.trainer.folder.checkpoints().save(mark, &checkpoint)?;
        self.trainer.last_checkpoint = Some(path);
        Ok(())
    }
}
