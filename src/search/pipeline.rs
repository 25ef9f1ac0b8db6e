//! A whole run: teacher (or a given one), search, finish, and what is written about it.

use super::agreement;
use super::choice::Choice;
use super::indicator;
use super::methods::{self, Method, Polynomials, UnknownMethod};
use super::objective::{Objective, ObjectiveError};
use super::strategy::{Finishing, Searching, Strategy, Task};
use crate::data::{Normalization, evenly};
use crate::graph::{Activations, Arenas, Tensors};
use crate::kernels::metrics::Prices;
use crate::private::{Real, SiteRange, evaluate, fold, site_ranges};
use crate::run::checkpoint::Checkpoint;
use crate::run::mark::{Mark, Phase};
use crate::run::model_file::Sites;
use crate::run::store::{CheckpointStore, RESULT, TEACHER};
use crate::run::summary::{Accuracy, SearchEnd, SiteSummary, Spent, Summary, TeacherSplit};
use crate::settings::{Search, Settings};
use crate::step::Evaluation;
use crate::train::images::Division;
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
    /// No method of that name.
    #[error(transparent)]
    Method(#[from] UnknownMethod),
    /// Settings that do not go together.
    #[error("{0}")]
    Discord(String),
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
/// [`RunError`] where the budget or a given teacher does not fit the network.
pub fn check(trainer: &Trainer) -> Result<(), RunError> {
    let objective = Objective::new(&trainer.settings.search, &trainer.layout)?;
    fits_method(&trainer.settings, &objective)?;
    let given = &trainer.settings.teacher.from;
    if !given.as_os_str().is_empty() {
        trainer.tensors_of(Checkpoint::load(&CheckpointStore::teacher_of(given))?)?;
    }
    Ok(())
}

/// Which images are trained on and which are held out, where a checkpoint says it: that which a run
/// goes on from, or a given teacher.
///
/// # Errors
/// [`RunError`] where the teacher cannot be read.
pub fn division(
    settings: &Settings,
    at: Option<&(Mark, Checkpoint)>,
) -> Result<Option<Division>, RunError> {
    let given = &settings.teacher.from;
    Ok(match at {
        Some((_, checkpoint)) => Division::read(checkpoint)?,
        None if given.as_os_str().is_empty() => None,
        None => Division::read(&Checkpoint::load(&CheckpointStore::teacher_of(given))?)?,
    })
}

/// Whether the method can spend the objective.
fn fits_method(settings: &Settings, objective: &Objective) -> Result<(), RunError> {
    let method = methods::find(&settings.search.method)?;
    let all_or_none = objective.budget == 0.0 || objective.budget == objective.full;
    if !method.searches && !all_or_none {
        return Err(RunError::all_or_none(method));
    }
    fits_prices(&settings.search, &objective.prices)
}

/// Whether a method can search at such prices: what can be said without a network.
///
/// # Errors
/// [`RunError`] where it cannot, with what would do.
pub fn fits_prices(search: &Search, prices: &Prices) -> Result<(), RunError> {
    let method = methods::find(&search.method)?;
    if !method.searches && search.cost != "relu" {
        return Err(RunError::all_or_none(method));
    }
    if !prices.has_squares() {
        return Ok(());
    }
    if !method.chooses_squares {
        let able = methods::METHODS
            .iter()
            .filter(|other| other.chooses_squares);
        let able: Vec<&str> = able.map(|other| other.name).collect();
        return Err(RunError::Discord(format!(
            "method {} cannot choose among squares: search at a protocol's prices with --method {}",
            method.name,
            able.join(" or ")
        )));
    }
    if search.lookahead_every > 0 {
        return Err(RunError::Discord(
            "slow weights would bring dropped squares back by half: where squares have a price, \
             search with search.lookahead-every=0"
                .into(),
        ));
    }
    Ok(())
}

impl RunError {
    fn all_or_none(method: &Method) -> Self {
        RunError::Discord(format!(
            "method {} keeps all ReLUs or no ReLU: give it --cost relu and --budget 100% or 0",
            method.name
        ))
    }
}

/// Trains a teacher, and nothing else.
///
/// # Errors
/// [`RunError`] where the phase ends badly.
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
/// [`RunError`] where settings do not go together, or a phase ends badly.
pub fn search(
    trainer: &mut Trainer,
    resume: Option<(Mark, Checkpoint)>,
) -> Result<RunEnd, RunError> {
    let settings = trainer.settings.clone();
    let method = methods::find(&settings.search.method)?;
    let objective = Objective::new(&settings.search, &trainer.layout)?;
    fits_method(&settings, &objective)?;

    let mut at = ResumeAt::new(resume);
    let Some(teacher) = teacher_of(trainer, &mut at)? else {
        return Ok(RunEnd::Interrupted);
    };
    let distils = settings.search.distill > 0.0;
    let arenas = match distils {
        true => Some(Arenas::upload(trainer.gpu(), &teacher.tensors)?),
        false => None,
    };
    let steps = Steps::of(trainer);
    let strategy = method.strategy(Task {
        settings: settings.search.clone(),
        full: objective.full,
        budget: objective.budget,
    });
    let course = Course {
        choice: Choice::new(trainer, method, &*strategy, &objective),
        strategy: &*strategy,
        objective,
        teacher: arenas,
        teacher_top1: teacher.validation,
        steps,
    };
    let mut start = teacher.tensors.clone();
    strategy.begin(&mut start, &trainer.layout, settings.seed);
    indicator::share(&mut start, &course.choice.runs);
    let student = Arenas::upload(trainer.gpu(), &start)?;
    if at.finish.is_none() && !course.search(trainer, &student, at.search)? {
        return Ok(RunEnd::Interrupted);
    }
    let Some(result) = course.finish(trainer, &student, at.finish)? else {
        return Ok(RunEnd::Interrupted);
    };
    let checkpoint = trainer.model_checkpoint(result.tensors.clone(), Sites::Gate);
    trainer.folder.checkpoints().save_as(RESULT, &checkpoint)?;
    let mut summary = summary_of_search(trainer, method, &course.objective, &teacher, &result)?;
    if course.choice.scoring.is_some() {
        summary.granularity = Some(course.choice.granularity);
        summary.search_end = trainer.folder.read_search_end()?;
        summary.start_agreement = Some(start_agreement(trainer, &start, &result.tensors));
    }
    trainer.folder.write_summary(&summary)?;
    Ok(RunEnd::Done(Box::new(summary)))
}

/// Where a run goes on: at most one of the three.
struct ResumeAt {
    teacher: Option<(Mark, Checkpoint)>,
    search: Option<Checkpoint>,
    finish: Option<Checkpoint>,
}

impl ResumeAt {
    fn new(resume: Option<(Mark, Checkpoint)>) -> Self {
        let mut at = Self {
            teacher: None,
            search: None,
            finish: None,
        };
        match resume {
            None => {}
            Some((mark, checkpoint)) => match mark.phase {
                Phase::Teacher => at.teacher = Some((mark, checkpoint)),
                Phase::Search => at.search = Some(checkpoint),
                Phase::Finish => at.finish = Some(checkpoint),
            },
        }
        at
    }
}

/// The teacher of a search that may have had it already. `None` when interrupted.
fn teacher_of(trainer: &mut Trainer, at: &mut ResumeAt) -> Result<Option<TeacherEnd>, RunError> {
    if at.search.is_none() && at.finish.is_none() {
        return teacher(trainer, at.teacher.take());
    }
    let path = trainer.folder.checkpoints().path(TEACHER);
    Ok(Some(load_teacher(trainer, &path)?))
}

/// Steps of the phases.
struct Steps {
    teacher: u64,
    search: u64,
}

impl Steps {
    fn of(trainer: &Trainer) -> Self {
        let settings = &trainer.settings;
        let per_epoch = trainer.steps_per_epoch();
        Self {
            teacher: match settings.teacher.from.as_os_str().is_empty() {
                true => per_epoch * settings.teacher.epochs as u64,
                false => 0,
            },
            search: per_epoch * settings.search.epochs as u64,
        }
    }
}

/// What search and finish share.
struct Course<'a> {
    strategy: &'a dyn Strategy,
    objective: Objective,
    choice: Choice,
    /// Whom the student listens to.
    teacher: Option<Arenas>,
    /// What it knows: its validation accuracy, 0 to 1.
    teacher_top1: f64,
    steps: Steps,
}

impl Course<'_> {
    /// Searches, and brings what the search chose within the budget. `false` when interrupted.
    fn search(
        &self,
        trainer: &mut Trainer,
        student: &Arenas,
        resume: Option<Checkpoint>,
    ) -> Result<bool, RunError> {
        let settings = trainer.settings.search.clone();
        let spec = PhaseSpec {
            phase: Phase::Search,
            epochs: settings.epochs,
            steps_before: self.steps.teacher,
            descent: &settings.descent,
            policy: &Searching(self.strategy),
            activations: self.strategy.searching(),
            teacher: self.teacher.as_ref(),
            teacher_top1: Some(self.teacher_top1),
            search: self.choice.scoring.as_ref(),
            lines: &[],
            lookahead: settings.lookahead_every > 0,
            average_epochs: 0.0,
            keep_best: false,
            start_counts: false,
        };
        let resume = resume.map(|c| Resume::read(trainer, c)).transpose()?;
        let Some(result) = done(phase::run(trainer, &spec, student, resume)?) else {
            return Ok(false);
        };
        let mut tensors = result.tensors;
        self.strategy.decide(&mut tensors);
        let (layout, squares) = (&trainer.layout, &result.squares);
        let (relu_count, cost) = self.choice.end(layout, &self.objective, &tensors, squares);
        let (tensors, settled) = self.settle(trainer, &tensors, squares)?;
        trainer.folder.write_search_end(&SearchEnd {
            relu_count,
            cost,
            val_top1: result.validation.top1,
            settled_val_top1: settled.top1,
        })?;
        student.write(trainer.gpu(), &tensors);
        Ok(true)
    }

    /// Brings what the search chose within the budget. What is left of the budget may be spent, or
    /// better not, where squares come back that all behind them has learnt to do without: the
    /// held-out images decide.
    fn settle(
        &self,
        trainer: &Trainer,
        tensors: &Tensors,
        squares: &[[f32; 4]],
    ) -> Result<(Tensors, Evaluation), RunError> {
        let settled = |spend| -> Result<(Tensors, Evaluation), RunError> {
            let mut tensors = tensors.clone();
            let layout = &trainer.layout;
            self.choice
                .settle(layout, &self.objective, &mut tensors, squares, spend);
            let validation = trainer.validate(&tensors, Sites::Gate)?;
            Ok((tensors, validation))
        };
        let spent = settled(true)?;
        if squares.is_empty() {
            return Ok(spent);
        }
        let kept = settled(false)?;
        Ok(match spent.1.top1 >= kept.1.top1 {
            true => spent,
            false => kept,
        })
    }

    /// Trains what is left with fixed masks. `None` when interrupted.
    fn finish(
        &self,
        trainer: &mut Trainer,
        student: &Arenas,
        resume: Option<Checkpoint>,
    ) -> Result<Option<PhaseResult>, RunError> {
        let settings = trainer.settings.finish.clone();
        let spec = PhaseSpec {
            phase: Phase::Finish,
            epochs: settings.epochs,
            steps_before: self.steps.teacher + self.steps.search,
            descent: &settings.descent,
            policy: &Finishing(self.strategy),
            activations: self.strategy.finishing(),
            teacher: self.teacher.as_ref(),
            teacher_top1: Some(self.teacher_top1),
            search: None,
            lines: self.choice.squares(),
            lookahead: false,
            average_epochs: settings.average_epochs,
            keep_best: !trainer.settings.all_images,
            start_counts: !trainer.settings.all_images,
        };
        let resume = resume.map(|c| Resume::read(trainer, c)).transpose()?;
        let result = done(phase::run(trainer, &spec, student, resume)?);
        Ok(result.map(|mut result| {
            self.choice.clear_marks(&mut result.tensors);
            result
        }))
    }
}

/// What there is to say of a search that has come to its end: it is tested here, and only here.
fn summary_of_search(
    trainer: &Trainer,
    method: &Method,
    objective: &Objective,
    teacher: &TeacherEnd,
    result: &PhaseResult,
) -> Result<Summary, RunError> {
    let settings = &trainer.settings.search;
    let teacher_test = trainer.test(&teacher.tensors, Sites::Relu)?;
    let test = trainer.test(&result.tensors, Sites::Gate)?;
    let mut summary = summary(
        trainer,
        &result.tensors,
        match settings.cost.as_str() {
            "relu" => objective.budget as usize,
            _ => trainer.network.relu_total(),
        },
        accuracy(teacher.validation, teacher_test),
        accuracy(result.validation.top1, test),
    );
    summary.method = method.name.into();
    summary.granularity = Some(settings.granularity);
    summary.polynomial = (method.polynomials == Polynomials::Fitted).then_some(settings.polynomial);
    summary.degree = (method.polynomials != Polynomials::Identity).then_some(settings.degree);
    let sites = summary.sites.iter().map(|site| (site.kept, site.squares));
    summary.spent = Some(Spent {
        given: settings.budget.clone(),
        budget: objective.budget,
        cost: objective.prices.cost(sites),
    });
    summary.cost = Some(settings.cost.clone());
    Ok(summary)
}

/// Whether the final scores are ordered as those that the search began with.
fn start_agreement(trainer: &Trainer, start: &Tensors, end: &Tensors) -> f64 {
    let of = |tensors: &Tensors| -> Vec<f32> {
        let sites = trainer.layout.sites.iter();
        sites
            .flat_map(|site| tensors.scores[site.range()].iter().copied())
            .collect()
    };
    agreement::rank_correlation(&of(start), &of(end))
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
            teacher_top1: None,
            search: None,
            lines: &[],
            lookahead: false,
            average_epochs: 0.0,
            keep_best: !trainer.settings.all_images,
            start_counts: false,
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
        load_teacher(
            trainer,
            &CheckpointStore::teacher_of(&settings.teacher.from),
        )?
    };
    // The run stands on its own from here on, whatever becomes of the given teacher.
    let checkpoint = trainer.model_checkpoint(end.tensors.clone(), Sites::Relu);
    trainer.last_checkpoint = Some(store.save_as(TEACHER, &checkpoint)?);
    Ok(Some(end))
}

fn load_teacher(trainer: &mut Trainer, path: &Path) -> Result<TeacherEnd, RunError> {
    let model = trainer.model_of(Checkpoint::load(path)?)?;
    // Its weights, and so the student's, are those for pixels scaled as it knows them.
    trainer.pixels = Normalization {
        mean: model.mean,
        std: model.std,
    };
    if !trainer.division.known && !trainer.settings.all_images {
        log::warn!(
            "{} does not say which of these images it was trained on: it may know those that are \
             held out here, and the accuracy on them says little. Compare by the test images",
            path.display()
        );
    }
    let mut tensors = model.tensors;
    // A given network may have lost ReLUs already; as a teacher it has all of them.
    for site in &trainer.layout.sites {
        tensors.mask[site.range()].fill(1.0);
    }
    let result = trainer.validate(&tensors, Sites::Relu)?;
    let which = format!("{} on the held-out images", path.display());
    let result = trainer.worth(&which, &trainer.model(tensors.clone()), result)?;
    Ok(TeacherEnd {
        validation: result.top1,
        tensors,
    })
}

/// How large numbers grow from site to site, on a few test images; nothing where there is no such form of
/// the network, or no such image.
fn ranges(trainer: &Trainer, tensors: &Tensors) -> Vec<SiteRange> {
    /// They are computed on the host, one by one.
    const IMAGES: usize = 4;
    let some = evenly(trainer.test.len(), IMAGES);
    let images = trainer.test.subset(&some).load();
    match (fold(&trainer.model(tensors.clone())), images) {
        (Ok(folded), Ok(images)) if !images.is_empty() => {
            site_ranges(&folded, &evaluate(&folded, &Real, &images.unit()))
        }
        _ => Vec::new(),
    }
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
    let ranges = ranges(trainer, tensors);
    let of_site = |index: usize| ranges.get(index);
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
        all_images: settings.all_images,
        split_seed: trainer.division.seed,
        teacher_split: match trainer.division.known {
            true => TeacherSplit::Same,
            false => TeacherSplit::Unknown,
        },
        search_end: None,
        start_agreement: None,
        relu_total: trainer.network.relu_total(),
        relu_budget: budget,
        relu_count: kept.iter().sum(),
        sites: sites
            .enumerate()
            .map(|(index, (site, (&kept, squares)))| SiteSummary {
                name: site.name.clone(),
                total: site.shape.len(),
                kept,
                squares,
                largest_input: of_site(index).map(|range| range.input),
                largest_product: of_site(index).map(|range| range.product),
                farthest: of_site(index).map(|range| range.farthest),
                beyond: of_site(index).map(|range| range.beyond),
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
