//! One phase: epochs of steps, validation, checkpoints, and going on where one was left.

use super::checkpoint::{Checkpoint, CheckpointStore, Tensor, Unpack};
use super::feed::Feed;
use super::forecast::Shape;
use super::metrics::Record as LogRecord;
use super::model_file::Sites;
use super::program::{EvalProgram, Evaluation, SQUARES, Scoring, TrainProgram, TrainSpec};
use super::run_folder::{Mark, Phase};
use super::schedule::{rate, shuffled};
use super::settings::Descent;
use super::trainer::{TrainError, Trainer, draw_target};
use crate::graph::{Activations, Arenas, Tensors};
use crate::kernels::metrics::{Prices, Record};
use crate::kernels::squares::Group;
use crate::kernels::step::StepScalars;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sets the scalars of a step that belong to the method, not to the optimiser.
pub trait Policy {
    /// Called before step `step` of `steps`; rates and bias corrections are set already.
    fn scalars(&self, step: u64, steps: u64, scalars: &mut StepScalars);
}

/// What a phase is.
pub struct PhaseSpec<'a> {
    /// Its name.
    pub phase: Phase,
    /// Passes over the training images.
    pub epochs: usize,
    /// Steps of the run before this phase.
    pub steps_before: u64,
    /// Optimiser and rates.
    pub descent: &'a Descent,
    /// The rest of a step's scalars.
    pub policy: &'a dyn Policy,
    /// What the activation sites do.
    pub activations: Activations,
    /// The network to distil from.
    pub teacher: Option<&'a Arenas>,
    /// How scores are trained, for masks to follow them; `None` leaves masks as they are.
    pub search: Option<&'a Scoring>,
    /// Channels of which some are lines, and stay so.
    pub lines: &'a [Group],
    /// Whether Lookahead's slow weights exist.
    pub lookahead: bool,
    /// Time constant of the averaged weights in epochs; 0: none.
    pub average_epochs: f64,
    /// Whether the epoch with the best validation accuracy is the result (else the last).
    pub keep_best: bool,
}

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

/// Where a phase stands between two steps: all of it is in every checkpoint.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    /// Steps taken.
    step: u64,
    /// Sums over the epoch so far: cross-entropy, distillation, hits, images.
    sums: [f64; 4],
    /// ReLUs kept.
    kept: u32,
    /// The best validation so far.
    best: Option<Evaluation>,
    /// Seconds of training, over all processes of the run.
    seconds: f64,
}

/// A checkpoint taken apart for the phase that it interrupts.
pub struct Resume {
    /// The network.
    pub tensors: Tensors,
    rest: Unpack,
    standing: Standing,
}

impl Resume {
    /// Reads what [`run`] wrote.
    ///
    /// # Errors
    /// [`TrainError`] when the checkpoint is damaged or of another network.
    pub fn read(trainer: &mut Trainer, checkpoint: Checkpoint) -> Result<Self, TrainError> {
        let bits = |key: &str| -> Result<f64, TrainError> {
            Ok(f64::from_bits(checkpoint.entry::<u64>(key)?))
        };
        let standing = Standing {
            step: checkpoint.entry("step")?,
            sums: [bits("sum0")?, bits("sum1")?, bits("sum2")?, bits("sum3")?],
            kept: checkpoint.entry("kept")?,
            best: match checkpoint.entry::<usize>("best_images")? {
                0 => None,
                images => Some(Evaluation {
                    loss: bits("best_loss")?,
                    top1: bits("best_top1")?,
                    top5: bits("best_top5")?,
                    images,
                }),
            },
            seconds: bits("training_seconds")?,
        };
        for phase in Phase::ALL {
            let key = speed_key(phase);
            if checkpoint.metadata.contains_key(&key) {
                trainer.speeds.insert(phase, bits(&key)?);
            }
        }
        trainer.earlier = Duration::try_from_secs_f64(bits("wall_seconds")?).unwrap_or_default();
        let (model, _, _, rest) = super::model_file::unpack(checkpoint.clone())?;
        trainer.last_checkpoint = Some(checkpoint.origin().to_owned());
        // Says which model it is if it is not this one.
        trainer.tensors_of(checkpoint)?;
        Ok(Self {
            tensors: model.tensors,
            rest,
            standing,
        })
    }
}

/// Whether a record was in the log when `checkpoint` was taken at `mark`.
///
/// A checkpoint may lie between an epoch's last step and its validation: the epoch's record
/// bears the same mark, but was written later.
pub fn logged_before(checkpoint: &Checkpoint, mark: Mark) -> impl Fn(&LogRecord) -> bool {
    let sum: Option<u64> = checkpoint.entry("sum3").ok();
    let within_epoch = sum.is_some_and(|bits| f64::from_bits(bits) > 0.0);
    move |record| {
        let validated = record.scalars.contains_key("val_top1");
        record.mark() < mark || record.mark() == mark && !(within_epoch && validated)
    }
}

/// Where a checkpoint keeps the speed of a phase that is over.
fn speed_key(phase: Phase) -> String {
    format!("speed_{phase}")
}

/// A phase under way.
struct Run<'t, 'g, 's> {
    trainer: &'t mut Trainer<'g>,
    spec: &'s PhaseSpec<'s>,
    student: &'s Arenas,
    program: TrainProgram,
    standing: Standing,
    steps: u64,
    bar: ProgressBar,
}

/// Runs a phase on the network in `student`, from its beginning or from `resume`.
///
/// # Errors
/// [`TrainError`].
pub fn run(
    trainer: &mut Trainer,
    spec: &PhaseSpec,
    student: &Arenas,
    resume: Option<Resume>,
) -> Result<PhaseEnd, TrainError> {
    let gpu = trainer.gpu();
    let steps_per_epoch = trainer.steps_per_epoch();
    let steps = steps_per_epoch * spec.epochs as u64;
    let micro_batches = trainer.cut.parts;
    if micro_batches > 1 {
        log::info!(
            "a batch of {} images is taken in {micro_batches} parts; batch norm sees one at a time",
            trainer.batch()
        );
    }
    let mut program = TrainProgram::compile(
        &trainer.compiler,
        &TrainSpec {
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
        },
    )
    .map_err(|error| trainer.explain(spec.shape(), error))?;
    let standing = match resume {
        None => Standing {
            kept: trainer.network.relu_total() as u32,
            ..Default::default()
        },
        Some(mut resume) => {
            for (name, buffer) in &program.carried.buffers {
                let name = format!("optimizer.{name}");
                let length = buffer.bytes() as usize / 4;
                gpu.write(&buffer.view(), &resume.rest.f32(&name, &[length])?);
            }
            student.write(gpu, &resume.tensors);
            resume.standing
        }
    };
    program.start_at(standing.step as u32);
    let evaluated_arenas = program.averaged.clone().unwrap_or_else(|| student.clone());
    let validation = EvalProgram::compile(
        &trainer.compiler,
        trainer.loaded(&evaluated_arenas),
        spec.activations.evaluated(),
        trainer.images.on_device(),
        trainer.pixels,
        trainer.evaluation_batch(),
        &program.idle,
    )
    .map_err(|error| trainer.explain(spec.shape(), error))?;
    let bar = progress_bar(trainer.progress, spec.phase, steps);
    bar.set_position(standing.step);
    bar.reset_eta();
    let mut run = Run {
        trainer,
        spec,
        student,
        program,
        standing,
        steps,
        bar,
    };

    let mut last = None;
    loop {
        // An interrupt may have come between an epoch's last step and its validation.
        let stepped = run.standing.sums[3] > 0.0;
        let awaits_validation = stepped && run.standing.step.is_multiple_of(steps_per_epoch);
        if run.standing.step >= steps && !awaits_validation {
            break;
        }
        let epoch = (run.standing.step - u64::from(awaits_validation)) / steps_per_epoch;
        if !awaits_validation && !run.epoch(epoch, steps_per_epoch)? {
            run.bar.abandon_with_message("interrupted");
            return Ok(PhaseEnd::Interrupted);
        }
        let (images, indices) = (&run.trainer.images, &run.trainer.validation);
        let interrupt = run.trainer.interrupt;
        let result = validation.evaluate(gpu, images, indices, || !interrupt.requested())?;
        let Some(result) = result else {
            run.save()?;
            run.bar.abandon_with_message("interrupted");
            return Ok(PhaseEnd::Interrupted);
        };
        run.end_epoch(epoch, steps_per_epoch, result, &evaluated_arenas)?;
        last = Some(result);
    }
    run.bar.finish_and_clear();
    let result = match last {
        Some(result) => result,
        // Resumed behind the last step, or a phase of no steps.
        None => validation.evaluate_all(gpu, &run.trainer.images, &run.trainer.validation)?,
    };
    let (tensors, validation) = match (spec.keep_best, run.standing.best) {
        (true, Some(best)) => {
            let store = run.trainer.folder.checkpoints();
            let checkpoint = store.load(best_name(spec.phase))?;
            (run.trainer.tensors_of(checkpoint)?, best)
        }
        _ => (evaluated_arenas.download(gpu, &run.trainer.layout)?, result),
    };
    let images = run.standing.step as f64 * run.trainer.batch() as f64;
    let speed = images / run.standing.seconds.max(1e-9);
    run.trainer.speeds.insert(spec.phase, speed);
    let squares = run.program.carried.get(SQUARES);
    Ok(PhaseEnd::Done(PhaseResult {
        tensors,
        validation,
        squares: match squares {
            Some(buffer) => gpu.read(&buffer.view())?,
            None => Vec::new(),
        },
    }))
}

/// Name of the checkpoint with the best validation accuracy of a phase.
pub fn best_name(phase: Phase) -> String {
    format!("{phase}-{}", CheckpointStore::BEST)
}

impl PhaseSpec<'_> {
    /// What the sites of this phase's checkpoints do.
    fn sites(&self) -> Sites {
        match self.activations {
            Activations::Relu => Sites::Relu,
            Activations::Gate { slopes: false, .. } => Sites::Gate,
            Activations::Gate { slopes: true, .. } => Sites::Slopes,
        }
    }

    /// What decides how much memory it takes.
    fn shape(&self) -> Shape {
        Shape {
            phase: self.phase,
            activations: self.activations,
            optimizer: self.descent.optimizer,
            distil: self.teacher.is_some(),
            search: self.search.is_some(),
            lookahead: self.lookahead,
            averaging: self.average_epochs > 0.0,
        }
    }

    /// The scalars of step `step`.
    fn scalars(&self, trainer: &Trainer, step: u64, steps: u64) -> StepScalars {
        let per_epoch = trainer.steps_per_epoch().max(1);
        let descent = self.descent;
        let lr = rate(descent, step, steps);
        // Adam's corrections; 1 − βᵗ is 1 in f32 long before the power underflows.
        let beta2 = 0.999f32;
        let powers = |beta: f32| (1.0 - f64::from(beta).powf(step as f64 + 1.0)) as f32;
        let mut scalars = StepScalars {
            rate: [lr; 4],
            // Scales, shifts and polynomials are not pulled towards zero.
            decay: [descent.decay, 0.0, 0.0, 0.0],
            step: step as u32,
            seed: trainer.settings.seed,
            epoch: ((self.steps_before + step) / per_epoch) as u32,
            first: ((step % per_epoch) * trainer.batch() as u64) as u32,
            count: trainer.batch() as u32,
            augment: 1 + u32::from(trainer.settings.augment.alternate),
            beta1: descent.momentum,
            beta2,
            correction1: powers(descent.momentum),
            correction2: powers(beta2),
            clip: trainer.settings.clip,
            ..Default::default()
        };
        if self.average_epochs > 0.0 {
            // The mean of the first steps, then an exponential average.
            let window = (self.average_epochs * per_epoch as f64).max(1.0);
            scalars.averaging = (1.0 / window).max(1.0 / (step as f64 + 1.0)) as f32;
        }
        self.policy.scalars(step, steps, &mut scalars);
        scalars
    }
}

impl Run<'_, '_, '_> {
    /// Takes the rest of an epoch's steps; `false` when interrupted.
    fn epoch(&mut self, epoch: u64, per_epoch: u64) -> Result<bool, TrainError> {
        let gpu = self.trainer.gpu();
        let key = ((self.spec.steps_before + epoch * per_epoch) / per_epoch.max(1)) as u32;
        let order = shuffled(&self.trainer.train, self.trainer.settings.seed, key);
        let batch = self.trainer.batch();
        let first = (self.standing.step - epoch * per_epoch) as usize * batch;
        // What is left over of a whole number of batches is not decoded.
        let order = &order[..per_epoch as usize * batch];
        let images = Arc::clone(&self.trainer.images);
        let variation = self.trainer.variation_on_host(key);
        let order_view = self.program.order();
        let mut feed = Feed::begin(gpu, &images, order, &order_view, first, batch, variation);
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
                span = (fitting as u32).clamp(1, TrainProgram::MOST_UNREAD);
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
        for record in records {
            self.check(record)?;
            let images = f64::from(record.count).max(1.0);
            let parts = [record.ce, record.kd, record.top1].map(f64::from);
            for (sum, part) in self.standing.sums.iter_mut().zip(parts) {
                *sum += part;
            }
            self.standing.sums[3] += images;
            if self.spec.search.is_some() {
                self.standing.kept = record.kept;
            }
            // Twenty points an epoch make a curve.
            let every = (self.trainer.steps_per_epoch() / 20).max(1);
            if (u64::from(record.step) + 1).is_multiple_of(every) {
                let step = u64::from(record.step);
                let scalars = self.spec.scalars(self.trainer, step, self.steps);
                let mut values = vec![
                    ("loss_ce".to_owned(), f64::from(record.ce) / images),
                    ("top1".to_owned(), f64::from(record.top1) / images),
                    ("rate".to_owned(), f64::from(scalars.rate[0])),
                    ("gradient_norm".to_owned(), f64::from(record.gradient_norm)),
                ];
                if self.spec.teacher.is_some() {
                    values.push(("loss_kd".to_owned(), f64::from(record.kd) / images));
                }
                if let Some(search) = self.spec.search {
                    values.push(("relu_count".to_owned(), f64::from(record.kept)));
                    if search.prices == Prices::COUNT {
                        values.push(("relu_target".to_owned(), f64::from(scalars.budget)));
                    } else {
                        values.push(("cost".to_owned(), f64::from(record.cost)));
                        values.push(("cost_target".to_owned(), f64::from(scalars.budget)));
                    }
                    if search.squares.is_some() {
                        values.push(("square_count".to_owned(), f64::from(record.squares)));
                    }
                    for (site, &kept) in self.trainer.layout.sites.iter().zip(&record.sites) {
                        values.push((format!("kept/{}", site.name), f64::from(kept)));
                    }
                }
                let mark = Mark::new(self.spec.phase, self.spec.steps_before + step + 1);
                let wall = self.trainer.wall_seconds();
                self.trainer
                    .log
                    .log(&LogRecord::new(mark, values).at(wall))?;
            }
            self.bar.set_position(u64::from(record.step) + 1);
            let [ce, _, hits, images] = self.standing.sums;
            let mut message = format!(
                "loss {:.3}, top-1 {:.1} %",
                ce / images,
                100.0 * hits / images
            );
            if self.spec.search.is_some() {
                message += &format!(", {} ReLUs", record.kept);
            }
            self.bar.set_message(message);
        }
        Ok(())
    }

    /// Stops the run at the first value that is not finite.
    fn check(&self, record: &Record) -> Result<(), TrainError> {
        let layer = |index: u32| {
            let node = self.trainer.network.nodes.get(index as usize);
            node.map_or("an unknown layer", |node| node.name.as_str())
                .to_owned()
        };
        let what = if let Some(index) = record.bad_forward {
            format!("the activation of layer `{}`", layer(index))
        } else if !(record.ce + record.kd).is_finite() {
            "the loss".to_owned()
        } else if let Some(index) = record.bad_backward {
            format!("the gradient of layer `{}`", layer(index))
        } else if !record.gradient_norm.is_finite() {
            "the gradient norm".to_owned()
        } else {
            return Ok(());
        };
        Err(TrainError::NotFinite {
            what,
            step: record.step,
            phase: self.spec.phase,
            checkpoint: match &self.trainer.last_checkpoint {
                Some(path) => format!("the last good checkpoint is {}", path.display()),
                None => "there is no checkpoint yet".to_owned(),
            },
            rate: self.spec.descent.rate,
        })
    }

    /// Logs an epoch, keeps it if it is the best, and checkpoints.
    fn end_epoch(
        &mut self,
        epoch: u64,
        per_epoch: u64,
        result: Evaluation,
        arenas: &Arenas,
    ) -> Result<(), TrainError> {
        let [ce, kd, hits, images] = self.standing.sums;
        let mut values = vec![
            ("epoch".to_owned(), epoch as f64 + 1.0),
            ("epoch_loss_ce".to_owned(), ce / images),
            ("epoch_top1".to_owned(), hits / images),
            ("val_loss".to_owned(), result.loss),
            ("val_top1".to_owned(), result.top1),
            ("val_top5".to_owned(), result.top5),
        ];
        if self.spec.teacher.is_some() {
            values.push(("epoch_loss_kd".to_owned(), kd / images));
        }
        let done = (epoch + 1) * per_epoch;
        let mark = Mark::new(self.spec.phase, self.spec.steps_before + done);
        let wall = self.trainer.wall_seconds();
        self.trainer
            .log
            .log(&LogRecord::new(mark, values).at(wall))?;
        self.say(&format!(
            "{} {}/{}: loss {:.4}, top-1 {:.2} %, validation {:.2} %{}",
            self.spec.phase,
            epoch + 1,
            self.spec.epochs,
            (ce + kd) / images,
            100.0 * hits / images,
            100.0 * result.top1,
            match self.spec.search {
                Some(_) => format!(", {} ReLUs", self.standing.kept),
                None => String::new(),
            }
        ));
        let better = self.standing.best.is_none_or(|best| {
            // Equal accuracy: the smaller loss.
            (result.top1, -result.loss) > (best.top1, -best.loss)
        });
        self.standing.sums = Default::default();
        if better && self.spec.keep_best {
            self.standing.best = Some(result);
            let tensors = arenas.download(self.trainer.gpu(), &self.trainer.layout)?;
            let checkpoint = self.trainer.model_checkpoint(tensors, self.spec.sites());
            // Before the rolling checkpoint that speaks of it: a kill in between must not leave
            // a score without its network.
            let store = self.trainer.folder.checkpoints();
            store.save_as(&best_name(self.spec.phase), &checkpoint)?;
        }
        self.save()
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
            checkpoint
                .tensors
                .push((format!("optimizer.{name}"), tensor));
        }
        let Standing {
            step,
            sums,
            kept,
            best,
            seconds,
        } = self.standing;
        let best = best.unwrap_or_default();
        let metadata = &mut checkpoint.metadata;
        let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
        put("step", step.to_string());
        put("kept", kept.to_string());
        put("best_images", best.images.to_string());
        for (key, value) in [
            ("sum0", sums[0]),
            ("sum1", sums[1]),
            ("sum2", sums[2]),
            ("sum3", sums[3]),
            ("best_loss", best.loss),
            ("best_top1", best.top1),
            ("best_top5", best.top5),
            ("training_seconds", seconds),
            ("wall_seconds", self.trainer.wall_seconds()),
        ] {
            // As bits: a resumed run must not differ in the last place.
            put(key, value.to_bits().to_string());
        }
        for (&phase, speed) in &self.trainer.speeds {
            put(&speed_key(phase), speed.to_bits().to_string());
        }
        self.trainer.log.sync()?;
        let mark = Mark::new(self.spec.phase, self.spec.steps_before + step);
        let path = self.trainer.folder.checkpoints().save(mark, &checkpoint)?;
        self.trainer.last_checkpoint = Some(path);
        Ok(())
    }
}

fn progress_bar(visible: bool, phase: Phase, steps: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps), draw_target(visible));
    let template = "{prefix:>8} {wide_bar} {pos}/{len} steps, {eta} left, {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(phase.to_string());
    bar
}

/// The policy of a phase that needs nothing but its optimiser.
pub struct Supervised {
    /// Label smoothing.
    pub smoothing: f32,
}

impl Policy for Supervised {
    fn scalars(&self, _: u64, _: u64, scalars: &mut StepScalars) {
        scalars.smoothing = self.smoothing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_before_a_validation_does_not_know_its_record() {
        let mark = Mark::new(Phase::Search, 40);
        let record =
            |step, name: &str| LogRecord::new(Mark::new(Phase::Search, step), [(name, 0.5)]);
        for (images, knows_validation) in [(0.0f64, true), (128.0, false)] {
            let sum = ("sum3".to_owned(), images.to_bits().to_string());
            let checkpoint = Checkpoint::new(Vec::new(), [sum].into());
            let logged = logged_before(&checkpoint, mark);
            assert!(logged(&record(20, "val_top1")));
            assert!(logged(&record(40, "loss_ce")));
            assert_eq!(logged(&record(40, "val_top1")), knows_validation);
            assert!(!logged(&record(41, "loss_ce")));
        }
    }
}
