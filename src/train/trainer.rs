//! What all phases of a run share: device, data, network, folder, log.

use super::checkpoint::{Checkpoint, CheckpointError};
use super::config::ConfigError;
use super::forecast::{self, Cut, Forecast, ForecastError, Shape, Shortage};
use super::interrupt::Interrupt;
use super::metrics::{MetricsError, MetricsLog};
use super::model_file::{ModelFileError, Sites};
use super::phase::logged_before;
use super::program::{EvalProgram, Evaluation, Variation};
use super::run_folder::{Mark, Phase, RunFolder, RunFolderError};
use super::settings::Settings;
use crate::data::augment::Flip;
use crate::data::{self, Dataset, Normalization, Source, Split, loader};
use crate::gpu::{Gpu, GpuError};
use crate::graph::{Activations, Arenas, Layout, Loaded, Model, Network, Tensors};
use crate::kernels::Compiler;
use crate::kernels::tuning::Tuner;
use crate::models::{ModelError, ModelSpec};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a run ends without a result.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The images.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    /// The architecture.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The run folder.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A model within a checkpoint.
    #[error(transparent)]
    ModelFile(#[from] ModelFileError),
    /// The log.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A value that is infinite or not a number.
    #[error(
        "training went astray: {what} at step {step} of the {phase} phase is not finite\n\
         {checkpoint}; begin a new run with a lower learning rate, --set {phase}.rate=… (now {rate})"
    )]
    NotFinite {
        /// Layer and direction.
        what: String,
        /// Step within the phase.
        step: u32,
        /// Phase.
        phase: Phase,
        /// Where the last good checkpoint is.
        checkpoint: String,
        /// The phase's learning rate.
        rate: f32,
    },
    /// More memory than there is.
    #[error("{0}")]
    Shortage(Box<Shortage>),
    /// Settings that do not fit the data or each other.
    #[error("{0}")]
    Unusable(String),
}

impl From<ForecastError> for TrainError {
    fn from(error: ForecastError) -> Self {
        match error {
            ForecastError::Gpu(error) => TrainError::Gpu(error),
            ForecastError::Shortage(shortage) => TrainError::Shortage(shortage),
        }
    }
}

/// What all phases of a run share.
pub struct Trainer<'g> {
    /// Compiles kernels, and knows the device.
    pub compiler: Compiler<'g>,
    /// All settings.
    pub settings: Settings,
    /// What the network is built from.
    pub spec: ModelSpec,
    /// The graph.
    pub network: Network,
    /// Where its tensors lie.
    pub layout: Layout,
    /// The data set's name.
    pub dataset: String,
    /// Class names.
    pub classes: Vec<String>,
    /// How input values are scaled.
    pub pixels: Normalization,
    /// How a batch goes through the network.
    pub cut: Cut,
    /// All training images, held-out ones among them.
    pub images: Arc<Source>,
    /// Indices of those that are trained on.
    pub train: Vec<u32>,
    /// Indices of those that are held out for choices.
    pub validation: Vec<u32>,
    /// The test images, on the host until the very end.
    pub test: Split,
    /// Where the run writes.
    pub folder: RunFolder,
    /// Scalars over time.
    pub log: MetricsLog,
    /// Whether somebody wants the run to stop.
    pub interrupt: Interrupt,
    /// Whether to draw progress bars.
    pub progress: bool,
    /// Training speed of the phases that are over, in images per second.
    pub speeds: BTreeMap<Phase, f64>,
    /// The last checkpoint that this run wrote or went on from.
    pub last_checkpoint: Option<PathBuf>,
    /// Seconds of earlier processes of this run.
    pub earlier: Duration,
    /// When this process began.
    pub begun: Instant,
}

impl<'g> Trainer<'g> {
    /// Opens the data, builds the network, checks that the phases of `shapes` will fit, and
    /// prepares the run folder. A resumed folder keeps its log up to the checkpoint that it goes
    /// on from.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn new(
        gpu: &'g Gpu,
        settings: Settings,
        folder: RunFolder,
        at: Option<&(Mark, Checkpoint)>,
        shapes: &[Shape],
        progress: bool,
    ) -> Result<Self, TrainError> {
        let begun = Instant::now();
        let preset =
            crate::kernels::Preset::parse(&settings.kernels, gpu).map_err(TrainError::Unusable)?;
        let dataset = open_data(&settings, progress)?;
        for problem in &dataset.problems {
            log::warn!("{problem}");
        }
        let (train, validation) = split(&settings, &dataset)?;
        let spec = ModelSpec {
            name: settings.model.clone(),
            width: settings.width,
            input: dataset.train.size(),
            classes: dataset.classes.len(),
        };
        let network = spec.build()?;
        let layout = Layout::new(&network);
        let batch = settings.batch.min(train.len());
        let cut = forecast::cut(&settings, &network, batch, gpu.report.max_binding_bytes)?;
        let planner = Gpu::planner(&gpu.report);
        let forecast = || Forecast {
            compiler: Compiler::new(&planner, preset),
            network: &network,
            shapes,
            resident: resident(&dataset.train),
            limit: settings.memory_limit(),
        };
        forecast().check(cut)?;
        let images = Source::new(gpu, &dataset.train, batch)
            .map_err(|error| forecast().explain(cut, error))?;
        let log = match at {
            Some((mark, checkpoint)) => {
                MetricsLog::resume(&folder, logged_before(checkpoint, *mark))?
            }
            None => MetricsLog::create(&folder)?,
        };
        Ok(Self {
            compiler: Compiler::new(gpu, preset)
                .watched(compile_bar(progress))
                .tuned(settings.tune.then(|| Tuner::where_it_pays(gpu)).flatten()),
            spec,
            network,
            layout,
            pixels: dataset.normalization,
            images: Arc::new(images),
            dataset: dataset.name,
            classes: dataset.classes,
            train,
            validation,
            test: dataset.test,
            cut,
            folder,
            log,
            interrupt: Interrupt::install(),
            progress,
            speeds: BTreeMap::new(),
            last_checkpoint: None,
            earlier: Duration::ZERO,
            begun,
            settings,
        })
    }

    /// The device.
    pub fn gpu(&self) -> &'g Gpu {
        self.compiler.gpu
    }

    /// Images of a step: the setting, or all there are.
    pub fn batch(&self) -> usize {
        self.cut.batch
    }

    /// What it means that an allocation of a phase failed.
    pub fn explain(&self, shape: Shape, error: GpuError) -> TrainError {
        let planner = Gpu::planner(&self.gpu().report);
        let forecast = Forecast {
            compiler: Compiler::new(&planner, self.compiler.preset),
            network: &self.network,
            shapes: &[shape],
            resident: match &*self.images {
                Source::Resident(images) => Some(images.len),
                Source::Streamed { .. } => None,
            },
            limit: None,
        };
        forecast.explain(self.cut, error).into()
    }

    /// Whole batches of an epoch; what is left over takes part in another epoch's order.
    pub fn steps_per_epoch(&self) -> u64 {
        (self.train.len() / self.batch()) as u64
    }

    /// Seconds since the run began, over all its processes.
    pub fn wall_seconds(&self) -> f64 {
        (self.earlier + self.begun.elapsed()).as_secs_f64()
    }

    /// How training images are varied.
    fn variation(&self) -> Variation {
        let augment = &self.settings.augment;
        let side = self.spec.input.0.min(self.spec.input.1) as u32;
        Variation {
            pad: u32::try_from(augment.pad).unwrap_or(side / 8),
            flip: augment.flip,
            cutout: augment.cutout,
        }
    }

    /// What of it a step does: all, for images that lie on the device.
    pub fn variation_on_device(&self) -> Variation {
        match *self.images {
            Source::Resident(_) => self.variation(),
            Source::Streamed { .. } => Variation::NONE,
        }
    }

    /// What of it is done before images are uploaded for a step of `epoch`.
    pub fn variation_on_host(&self, epoch: u32) -> Option<loader::Variation> {
        let Variation { pad, flip, .. } = self.variation();
        match *self.images {
            Source::Resident(_) => None,
            Source::Streamed { .. } => Some(loader::Variation {
                seed: self.settings.seed,
                epoch,
                pad,
                flip: match (flip, self.settings.augment.alternate) {
                    (false, _) => Flip::Never,
                    (true, false) => Flip::Random,
                    (true, true) => Flip::Alternating,
                },
            }),
        }
    }

    /// A network on the device.
    pub fn loaded<'a>(&'a self, arenas: &'a Arenas) -> Loaded<'a> {
        Loaded {
            network: &self.network,
            layout: &self.layout,
            arenas,
        }
    }

    /// The model with the contents `tensors`.
    pub fn model(&self, tensors: Tensors) -> Model {
        Model {
            network: self.network.clone(),
            layout: self.layout.clone(),
            tensors,
            mean: self.pixels.mean,
            std: self.pixels.std,
            classes: self.classes.clone(),
        }
    }

    /// A checkpoint of the network alone, without the state of its training.
    pub fn model_checkpoint(&self, tensors: Tensors, sites: Sites) -> Checkpoint {
        let (tensors, metadata) = super::model_file::pack(&self.model(tensors), &self.spec, sites);
        Checkpoint::new(tensors, metadata)
    }

    /// The tensors of a checkpoint of this very network.
    ///
    /// # Errors
    /// As [`Trainer::model_of`].
    pub fn tensors_of(&self, checkpoint: Checkpoint) -> Result<Tensors, TrainError> {
        Ok(self.model_of(checkpoint)?.tensors)
    }

    /// The model of a checkpoint of this very network.
    ///
    /// # Errors
    /// [`TrainError::ModelFile`], or [`TrainError::Unusable`] when it is another network.
    pub fn model_of(&self, checkpoint: Checkpoint) -> Result<Model, TrainError> {
        let file = checkpoint.origin().display().to_string();
        let (model, spec, _, _) = super::model_file::unpack(checkpoint)?;
        let mismatch = |what: &str, has: String, wants: String| {
            Err(TrainError::Unusable(format!(
                "{file} belongs to another model: its {what} is {has}, this run's is {wants}"
            )))
        };
        if spec.name != self.spec.name || spec.width != self.spec.width {
            let text = |spec: &ModelSpec| format!("{} of width {}", spec.name, spec.width);
            return mismatch("network", text(&spec), text(&self.spec));
        }
        if spec.input != self.spec.input {
            let text = |(h, w): (usize, usize)| format!("{h}×{w}");
            return mismatch("image size", text(spec.input), text(self.spec.input));
        }
        if spec.classes != self.spec.classes {
            let count = spec.classes.to_string();
            return mismatch("number of classes", count, self.spec.classes.to_string());
        }
        Ok(model)
    }

    /// Evaluates `tensors` on the images held out of the training set.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn validate(&self, tensors: &Tensors, sites: Sites) -> Result<Evaluation, TrainError> {
        let gpu = self.gpu();
        let arenas = Arenas::upload(gpu, tensors)?;
        let program = EvalProgram::compile(
            &self.compiler,
            self.loaded(&arenas),
            evaluated(sites),
            self.images.on_device(),
            self.pixels,
            self.evaluation_batch(),
            &[],
        )?;
        program.evaluate_all(gpu, &self.images, &self.validation)
    }

    /// Evaluates `tensors` on the test images: the one time they are read.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn test(&self, tensors: &Tensors, sites: Sites) -> Result<Evaluation, TrainError> {
        let model = self.model(tensors.clone());
        let batch = self.evaluation_batch();
        evaluate(&self.compiler, &model, sites, &self.test, batch)
    }

    /// Images that are evaluated at a time: those of a part of a training batch.
    pub fn evaluation_batch(&self) -> usize {
        self.cut.batch / self.cut.parts
    }
}

/// Images of a split that stay on the device.
fn resident(split: &Split) -> Option<usize> {
    matches!(split, Split::Images(_)).then(|| split.len())
}

/// Draws how far the compilation of shaders has come, where it takes long enough to be seen.
fn compile_bar(visible: bool) -> impl Fn(usize, usize) + Send + Sync + 'static {
    let bar = ProgressBar::with_draw_target(None, draw_target(visible));
    if let Ok(style) = ProgressStyle::with_template("{prefix:>8} {wide_bar} {pos}/{len} shaders") {
        bar.set_style(style);
    }
    bar.set_prefix("compile");
    move |done, total| {
        if done < total {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        } else {
            bar.finish_and_clear();
            bar.reset();
        }
    }
}

/// Where progress bars go.
pub(super) fn draw_target(visible: bool) -> ProgressDrawTarget {
    match visible {
        true => ProgressDrawTarget::stderr_with_hz(4),
        false => ProgressDrawTarget::hidden(),
    }
}

/// What evaluation makes of the sites.
pub fn evaluated(sites: Sites) -> Activations {
    match sites {
        Sites::Relu => Activations::Relu,
        Sites::Gate | Sites::Slopes => Activations::Gate {
            fit: None,
            degree: 0,
            slopes: sites == Sites::Slopes,
        },
    }
}

/// Evaluates a model on all of `images`.
///
/// # Errors
/// [`TrainError`].
pub fn evaluate(
    compiler: &Compiler,
    model: &Model,
    sites: Sites,
    images: &Split,
    batch: usize,
) -> Result<Evaluation, TrainError> {
    let indices: Vec<u32> = (0..images.len() as u32).collect();
    let (program, source) = evaluation(compiler, model, sites, images, batch)?;
    program.evaluate_all(compiler.gpu, &source, &indices)
}

/// The evaluation of a model on `images`, ready to run on their source.
///
/// # Errors
/// [`GpuError`].
pub fn evaluation(
    compiler: &Compiler,
    model: &Model,
    sites: Sites,
    images: &Split,
    batch: usize,
) -> Result<(EvalProgram, Source), GpuError> {
    let gpu = compiler.gpu;
    let arenas = Arenas::upload(gpu, &model.tensors)?;
    let source = Source::new(gpu, images, batch.min(images.len()))?;
    let loaded = Loaded {
        network: &model.network,
        layout: &model.layout,
        arenas: &arenas,
    };
    let pixels = Normalization {
        mean: model.mean,
        std: model.std,
    };
    let on_device = source.on_device();
    let program = EvalProgram::compile(
        compiler,
        loaded,
        evaluated(sites),
        on_device,
        pixels,
        batch,
        &[],
    )?;
    Ok((program, source))
}

/// Opens the data set that the settings name.
///
/// # Errors
/// [`crate::data::DataError`], and [`TrainError::Unusable`] for settings that streamed images
/// cannot have.
pub fn open_data(settings: &Settings, progress: bool) -> Result<Dataset<Split>, TrainError> {
    let options = data::OpenOptions {
        size: (settings.image_size > 0).then_some(settings.image_size),
        progress,
        crop: settings.augment.crop,
        placement: settings.placement,
        resident_bytes: (settings.resident_gib * f64::from(1u32 << 30)) as u64,
        ..Default::default()
    };
    let dataset = data::open_for_training(&settings.data, &options)?;
    if matches!(dataset.train, Split::Files(_)) && settings.augment.cutout > 0 {
        return Err(TrainError::Unusable(
            "augment.cutout needs images on the device: set it to 0, or force --resident".into(),
        ));
    }
    Ok(dataset)
}

/// Indices of the images to train on and of those held out: the same for the same settings.
///
/// # Errors
/// [`TrainError::Unusable`] when too few images are left.
pub fn split(
    settings: &Settings,
    dataset: &Dataset<Split>,
) -> Result<(Vec<u32>, Vec<u32>), TrainError> {
    let classes = dataset.classes.len();
    let labels = dataset.train.labels();
    let (share, seed) = (settings.validation, u64::from(settings.seed));
    let (train, validation) = if settings.train_images == 0 {
        data::holdout(labels, classes, share, seed)
    } else {
        // The held-out images come on top of those asked for, where there are enough.
        let wanted = (settings.train_images as f64 / (1.0 - share)).round() as usize;
        let drawn = data::stratified_subset(labels, classes, wanted, seed);
        let drawn_labels: Vec<u32> = drawn.iter().map(|&i| labels[i as usize]).collect();
        let (train, validation) = data::holdout(&drawn_labels, classes, share, seed);
        let back = |part: Vec<u32>| part.into_iter().map(|i| drawn[i as usize]).collect();
        (back(train), back(validation))
    };
    if train.len() < 2 || validation.is_empty() {
        return Err(TrainError::Unusable(format!(
            "too few training images: {} to train on and {} held out for validation; \
             use more (--train-images), or another share --set validation=… (now {share})",
            train.len(),
            validation.len()
        )));
    }
    Ok((train, validation))
}
