//! A whole run: teacher (or a given one), search, finish, and what is written about it.

use super::choice::Choice;
use super::indicator;
use super::objective::{Objective, ObjectiveError};
use super::strategy::{Finishing, Searching, Task, strategy};
use crate::data::Normalization;
use crate::graph::{Activations, Arenas, Tensors};
use crate::kernels::metrics::Prices;
use crate::run::checkpoint::Checkpoint;
use crate::run::mark::{Mark, Phase};
use crate::run::model_file::Sites;
use crate::run::store::{CheckpointStore, RESULT, TEACHER};
use crate::run::summary::{Accuracy, SiteSummary, Spent, Summary};
use crate::settings::{Method, Search, Settings};
use crate::step::Evaluation;
use crate::train::phase::{self, PhaseEnd, PhaseResult, Resume};
use crate::train::spec::{PhaseSpec, Supervised};
use crate::train::{TrainError, Trainer};
use std::path::Path;

/// Why a run ends without a result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Training.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// The budget, or its prices.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// Settings that do not go together.
    #[error("{0}")]
    Method(&'static str),
}

macro_rules! through_train_error {
    ($($error:ty),*) => {$(
        impl From<$error> for RunError {
            fn from(error: $error) -> Self {
                RunError::Train(Box::new(error.into()))
            }
        }
    )*};
}
through_train_error!(
    TrainError,
    crate::gpu::GpuError,
    crate::run::checkpoint::CheckpointError,
    crate::run::folder::RunFolderError
);

/// How a run ended.
pub enum RunEnd {
    /// With a result, written to `summary.json`.
    Done(Box<Summary>),
    /// Somebody asked to stop; `--resume` goes on.
    Interrupted,
}

/// What a teacher phase leaves.
struct TeacherEnd {
    tensors: Tensors,
    validation: f64,
}

/// Checks what can be known before a run begins: that the budget and a given teacher fit the
/// network.
///
/// # Errors
/// [`RunError`].
pub fn check(trainer: &Trainer) -> Result<(), RunError> {
    let objective = Objective::new(&trainer.settings.search, &trainer.layout)?;
    fits_method(&trainer.settings, &objective)?;
    let given = &trainer.settings.teacher.from;
    if !given.as_os_str().is_empty() {
        trainer.tensors_of(Checkpoint::load(&teacher_file(given))?)?;
    }
    Ok(())
}

/// Whether the method can spend the objective.
fn fits_method(settings: &Settings, objective: &Objective) -> Result<(), RunError> {
    let all_or_none = objective.budget == 0.0 || objective.budget == objective.full;
    if settings.search.method == Method::None && !all_or_none {
        return Err(RunError::Method(NONE));
    }
    fits_prices(&settings.search, &objective.prices)
}

const NONE: &str =
    "method none keeps all ReLUs or no ReLU: give it --cost relu and --budget 100% or 0";

/// Whether a method can search at such prices: what can be said without a network.
///
/// # Errors
/// [`RunError::Method`].
pub fn fits_prices(search: &Search, prices: &Prices) -> Result<(), RunError> {
    match search.method {
        Method::None if search.cost != "relu" => Err(RunError::Method(NONE)),
        Method::Autopoly if prices.has_squares() => Err(RunError::Method(
            "method autopoly cannot choose among squares: search at a protocol's prices with \
             --method autorep or fisher",
        )),
        _ if prices.has_squares() && search.lookahead_every > 0 => Err(RunError::Method(
            "slow weights would bring dropped squares back by half: where squares have a price, \
             search with search.lookahead-every=0",
        )),
        _ => Ok(()),
    }
}

/// Trains a teacher, and nothing else.
///
/// # Errors
/// [`RunError`].
pub fn train(
    trainer: &mut Trainer,
    resume: Option<(Mark, Checkpoint)>,
) -> Result<RunEnd, RunError> {
    let Some(teacher) = teacher(trainer, resume)? else {
        return Ok(RunEnd::Interrupted);
    };
    let test = trainer.test(&teacher.tensors, Sites::Relu)?;
    let accuracy = accuracy(teacher.validation, test);
    let total = trainer.network.relu_total();
    let mut summary = summary(trainer, &teacher.tensors, total, accuracy, accuracy);
    summary.method = "teacher".into();
    trainer.folder.write_summary(&summary)?;
    Ok(RunEnd::Done(Box::new(summary)))
}

/// Searches: teacher, search, finish.
///
/// # Errors
/// [`RunError`].
pub fn search(
    trainer: &mut Trainer,
    resume: Option<(Mark, Checkpoint)>,
) -> Result<RunEnd, RunError> {
    let settings = trainer.settings.clone();
    let objective = Objective::new(&settings.search, &trainer.layout)?;
    fits_method(&settings, &objective)?;

    let (at_teacher, later) = match resume {
        Some((mark, checkpoint)) if mark.phase == Phase::Teacher => {
            (Some((mark, checkpoint)), None)
        }
        later => (None, later),
    };
    let teacher = if later.is_some() {
        let path = trainer.folder.checkpoints().path(TEACHER);
        load_teacher(trainer, &path)?
    } else {
        match teacher(trainer, at_teacher)? {
            Some(teacher) => teacher,
            None => return Ok(RunEnd::Interrupted),
        }
    };
    let (at_search, at_finish) = match later {
        Some((mark, checkpoint)) if mark.phase == Phase::Search => (Some(checkpoint), None),
        Some((_, checkpoint)) => (None, Some(checkpoint)),
        None => (None, None),
    };
    let gpu = trainer.gpu();
    let teacher_arenas = Arenas::upload(gpu, &teacher.tensors)?;
    let distils = settings.search.distill > 0.0;
    let teacher_arenas = distils.then_some(&teacher_arenas);
    let per_epoch = trainer.steps_per_epoch();
    let teacher_steps = match settings.teacher.from.as_os_str().is_empty() {
        true => per_epoch * settings.teacher.epochs as u64,
        false => 0,
    };
    let search_steps = per_epoch * settings.search.epochs as u64;
    let strategy = strategy(Task {
        settings: settings.search.clone(),
        objective: objective.clone(),
        score_rate: match settings.search.score_rate {
            0.0 => indicator::default_rate(search_steps),
            rate => rate,
        },
    });
    let choice = Choice::new(trainer, &*strategy, &objective);
    let mut start = teacher.tensors.clone();
    strategy.begin(&mut start, &trainer.layout, settings.seed);
    indicator::share(&mut start, &choice.runs);
    let student = Arenas::upload(gpu, &start)?;

    if at_finish.is_none() {
        let spec = PhaseSpec {
            phase: Phase::Search,
            epochs: settings.search.epochs,
            steps_before: teacher_steps,
            descent: &settings.search.descent,
            policy: &Searching(&*strategy),
            activations: strategy.searching(),
            teacher: teacher_arenas,
            search: choice.scoring.as_ref(),
            lines: &[],
            lookahead: settings.search.lookahead_every > 0,
            average_epochs: 0.0,
            keep_best: false,
        };
        let resume = at_search.map(|c| Resume::read(trainer, c)).transpose()?;
        let Some(result) = done(phase::run(trainer, &spec, &student, resume)?) else {
            return Ok(RunEnd::Interrupted);
        };
        let mut tensors = result.tensors;
        strategy.decide(&mut tensors);
        choice.settle(&trainer.layout, &objective, &mut tensors, &result.squares);
        student.write(gpu, &tensors);
    }

    let spec = PhaseSpec {
        phase: Phase::Finish,
        epochs: settings.finish.epochs,
        steps_before: teacher_steps + search_steps,
        descent: &settings.finish.descent,
        policy: &Finishing(&*strategy),
        activations: strategy.finishing(),
        teacher: teacher_arenas,
        search: None,
        lines: choice.squares(),
        lookahead: false,
        average_epochs: settings.finish.average_epochs,
        keep_best: true,
    };
    let resume = at_finish.map(|c| Resume::read(trainer, c)).transpose()?;
    let Some(PhaseResult {
        mut tensors,
        validation,
        ..
    }) = done(phase::run(trainer, &spec, &student, resume)?)
    else {
        return Ok(RunEnd::Interrupted);
    };
    choice.clear_marks(&mut tensors);
    let checkpoint = trainer.model_checkpoint(tensors.clone(), Sites::Gate);
    trainer.folder.checkpoints().save_as(RESULT, &checkpoint)?;

    let teacher_test = trainer.test(&teacher.tensors, Sites::Relu)?;
    let test = trainer.test(&tensors, Sites::Gate)?;
    let mut summary = summary(
        trainer,
        &tensors,
        match settings.search.cost.as_str() {
            "relu" => objective.budget as usize,
            _ => trainer.network.relu_total(),
        },
        accuracy(teacher.validation, teacher_test),
        accuracy(validation.top1, test),
    );
    summary.method = settings.search.method.to_string();
    summary.granularity = Some(settings.search.granularity);
    if let Method::Autorep | Method::Fisher | Method::None = settings.search.method {
        summary.polynomial = Some(settings.search.polynomial);
    }
    if settings.search.method != Method::Snl {
        summary.degree = Some(settings.search.degree);
    }
    let sites = summary.sites.iter().map(|site| (site.kept, site.squares));
    summary.spent = Some(Spent {
        given: settings.search.budget.clone(),
        budget: objective.budget,
        cost: objective.prices.cost(sites),
    });
    summary.cost = Some(settings.search.cost.clone());
    trainer.folder.write_summary(&summary)?;
    Ok(RunEnd::Done(Box::new(summary)))
}

fn done(end: PhaseEnd) -> Option<PhaseResult> {
    match end {
        PhaseEnd::Done(result) => Some(result),
        PhaseEnd::Interrupted => None,
    }
}

fn accuracy(val_top1: f64, test: Evaluation) -> Accuracy {
    Accuracy {
        val_top1,
        test_top1: test.top1,
        test_top5: test.top5,
    }
}

/// The teacher: given, or trained here. `None` when interrupted.
fn teacher(
    trainer: &mut Trainer,
    resume: Option<(Mark, Checkpoint)>,
) -> Result<Option<TeacherEnd>, RunError> {
    let settings = trainer.settings.clone();
    let store = trainer.folder.checkpoints();
    let end = if settings.teacher.from.as_os_str().is_empty() {
        let start = Tensors::initial(&trainer.layout, settings.seed);
        let student = Arenas::upload(trainer.gpu(), &start)?;
        let policy = Supervised {
            smoothing: settings.teacher.smoothing,
        };
        let spec = PhaseSpec {
            phase: Phase::Teacher,
            epochs: settings.teacher.epochs,
            steps_before: 0,
            descent: &settings.teacher.descent,
            policy: &policy,
            activations: Activations::Relu,
            teacher: None,
            search: None,
            lines: &[],
            lookahead: false,
            average_epochs: 0.0,
            keep_best: true,
        };
        let resume = resume.map(|(_, c)| Resume::read(trainer, c)).transpose()?;
        let Some(result) = done(phase::run(trainer, &spec, &student, resume)?) else {
            return Ok(None);
        };
        TeacherEnd {
            tensors: result.tensors,
            validation: result.validation.top1,
        }
    } else {
        load_teacher(trainer, &teacher_file(&settings.teacher.from))?
    };
    // The run stands on its own from here on, whatever becomes of the given teacher.
    let checkpoint = trainer.model_checkpoint(end.tensors.clone(), Sites::Relu);
    trainer.last_checkpoint = Some(store.save_as(TEACHER, &checkpoint)?);
    Ok(Some(end))
}

/// The checkpoint that a path given as teacher means: a file, or a run's teacher.
pub fn teacher_file(path: &Path) -> std::path::PathBuf {
    if path.is_dir() {
        CheckpointStore::new(path.join("checkpoints")).path(TEACHER)
    } else {
        path.to_owned()
    }
}

fn load_teacher(trainer: &mut Trainer, path: &Path) -> Result<TeacherEnd, RunError> {
    let model = trainer.model_of(Checkpoint::load(path)?)?;
    // Its weights, and so the student's, are those for pixels scaled as it knows them.
    trainer.pixels = Normalization {
        mean: model.mean,
        std: model.std,
    };
    let mut tensors = model.tensors;
    // A given network may have lost ReLUs already; as a teacher it has all of them.
    for site in &trainer.layout.sites {
        tensors.mask[site.range()].fill(1.0);
    }
    Ok(TeacherEnd {
        validation: trainer.validate(&tensors, Sites::Relu)?.top1,
        tensors,
    })
}

fn summary(
    trainer: &Trainer,
    tensors: &Tensors,
    budget: usize,
    teacher: Accuracy,
    result: Accuracy,
) -> Summary {
    let settings: &Settings = &trainer.settings;
    let kept = tensors.kept(&trainer.layout);
    let squares = tensors.squares(&trainer.layout);
    let report = &trainer.gpu().report;
    let sites = trainer.layout.sites.iter().zip(kept.iter().zip(squares));
    Summary {
        method: String::new(),
        granularity: None,
        cost: None,
        spent: None,
        polynomial: None,
        degree: None,
        model: trainer.spec.name.clone(),
        width: trainer.spec.width,
        dataset: trainer.dataset.clone(),
        images: [
            trainer.train.len(),
            trainer.validation.len(),
            trainer.test.len(),
        ],
        seed: settings.seed,
        adapter: format!("{} ({})", report.name, report.driver),
        preset: trainer.compiler.tiling.to_string(),
        relu_total: trainer.network.relu_total(),
        relu_budget: budget,
        relu_count: kept.iter().sum(),
        sites: sites
            .map(|(site, (&kept, squares))| SiteSummary {
                name: site.name.clone(),
                total: site.shape.len(),
                kept,
                squares,
            })
            .collect(),
        teacher,
        result,
        images_per_second: trainer
            .speeds
            .iter()
            .map(|(phase, &speed)| (phase.to_string(), speed))
            .collect(),
        wall_seconds: trainer.wall_seconds(),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}
