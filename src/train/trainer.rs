//! What all phases of a run share: device, data, network, folder, log.

use super::error::TrainError;
use super::forecast::{self, Cut, Footprint, Forecast};
use super::health;
use super::images::{Division, open_data};
use super::interrupt::Interrupt;
use super::progress::compile_bar;
use super::standing::logged_before;
use crate::data::augment::Flip;
use crate::data::{Normalization, Source, Split, classes, loader};
use crate::gpu::{Gpu, GpuError};
use crate::graph::{Arenas, Layout, Loaded, Model, Network, Tensors};
use crate::kernels::Compiler;
use crate::kernels::compile::tuning::Tuner;
use crate::models::ModelSpec;
use crate::run::checkpoint::{Checkpoint, Unpack};
use crate::run::folder::RunFolder;
use crate::run::mark::{Mark, Phase};
use crate::run::metrics::MetricsLog;
use crate::run::model_file::{self, Sites, Unpacked};
use crate::settings::Settings;
use crate::step::evaluate::evaluation;
use crate::step::{EvalProgram, EvalSpec, Evaluation, Variation};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a checkpoint says which images it was trained on.
const DATA_DIGEST: &str = "data_digest";

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
    /// Which of them are trained on.
    pub division: Division,
    /// What tells the images from others, see [`Dataset`](crate::data::Dataset).
    data_digest: String,
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
    /// Opens the data, builds the network, checks that the phases of `footprints` will fit, and
    /// prepares the run folder. A resumed folder keeps its log up to the checkpoint that it goes
    /// on from. `division` is that of the network that is trained on.
    ///
    /// # Errors
    /// [`TrainError`] where data, network or folder are not what the settings ask for.
    pub fn new(
        gpu: &'g Gpu,
        settings: Settings,
        folder: RunFolder,
        at: Option<&(Mark, Checkpoint)>,
        division: Option<Division>,
        footprints: &[Footprint],
        progress: bool,
    ) -> Result<Self, TrainError> {
        let begun = Instant::now();
        let preset =
            crate::kernels::Tiling::parse(&settings.kernels, gpu).map_err(TrainError::Unusable)?;
        let dataset = open_data(&settings, progress)?;
        for problem in &dataset.problems {
            log::warn!("{problem}");
        }
        let data_digest = dataset.digest.clone();
        if let Some((_, checkpoint)) = at
            && let Some(begun_with) = checkpoint.metadata.get(DATA_DIGEST)
            && *begun_with != data_digest
        {
            return Err(TrainError::Unusable(format!(
                "the images of {} are not those that this run was begun with: some were added, removed, \
                 replaced or moved to another class; restore them, or begin another run, from this \
                 one's teacher with --teacher",
                dataset.name
            )));
        }
        let continued = match division {
            Some(division) => division.continued(&settings, &dataset)?,
            None => None,
        };
        let mut division = continued.unwrap_or_else(|| Division::new(&settings, &dataset));
        let (mut train, validation) = division.indices(&dataset)?;
        if settings.all_images {
            log::warn!(
                "all images are trained on, those that are called validation among them: their accuracy says \
                 little, and nothing is chosen by it"
            );
            train.extend(&validation);
            train.sort_unstable();
            division.known = false;
        }
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
            footprints,
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
            division,
            data_digest,
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
    pub fn explain(&self, footprint: Footprint, error: GpuError) -> TrainError {
        let planner = Gpu::planner(&self.gpu().report);
        let forecast = Forecast {
            compiler: Compiler::new(&planner, self.compiler.tiling),
            network: &self.network,
            footprints: &[footprint],
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
        let (tensors, mut metadata) = model_file::pack(&self.model(tensors), &self.spec, sites);
        self.division.write(&mut metadata);
        metadata.insert(DATA_DIGEST.to_owned(), self.data_digest.clone());
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
        Ok(self.unpacked(checkpoint)?.0)
    }

    /// The same, with the tensors of the checkpoint that belong to its training.
    pub(super) fn unpacked(&self, checkpoint: Checkpoint) -> Result<(Model, Unpack), TrainError> {
        let file = checkpoint.origin().display().to_string();
        let Unpacked {
            model, spec, rest, ..
        } = model_file::unpack(checkpoint)?;
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
        if let Some(difference) = classes::difference(&model.classes, &self.classes) {
            return Err(TrainError::Unusable(format!(
                "{file} was trained on other classes than those of {}: {difference}; name the data set \
                 that it was trained on",
                self.dataset
            )));
        }
        Ok((model, rest))
    }

    /// Evaluates `tensors` on the images held out of the training set.
    ///
    /// # Errors
    /// [`TrainError`] when the device is gone, or an image cannot be read.
    pub fn validate(&self, tensors: &Tensors, sites: Sites) -> Result<Evaluation, TrainError> {
        let gpu = self.gpu();
        let arenas = Arenas::upload(gpu, tensors)?;
        let spec = EvalSpec {
            model: self.loaded(&arenas),
            activations: sites.evaluated(),
            images: self.images.on_device(),
            pixels: self.pixels,
            batch: self.evaluation_batch(),
            lent: &[],
        };
        let program = EvalProgram::compile(&self.compiler, &spec)?;
        Ok(program.evaluate_all(gpu, &self.images, &self.validation)?)
    }

    /// Evaluates `tensors` on the test images: the one time they are read.
    ///
    /// # Errors
    /// [`TrainError`] when the device is gone, or an image cannot be read.
    pub fn test(&self, tensors: &Tensors, sites: Sites) -> Result<Evaluation, TrainError> {
        let model = self.model(tensors.clone());
        let (sites, batch) = (sites.evaluated(), self.evaluation_batch());
        let indices: Vec<u32> = (0..self.test.len() as u32).collect();
        let (program, source) = evaluation(&self.compiler, &model, sites, &self.test, batch)?;
        let result = program.evaluate_all(self.gpu(), &source, &indices)?;
        self.worth("the network on the test images", &model, result)
    }

    /// `result`, unless it is worth nothing: where the loss is not finite accuracies mean nothing.
    ///
    /// # Errors
    /// [`TrainError::Worthless`].
    pub fn worth(
        &self,
        which: &str,
        model: &Model,
        result: Evaluation,
    ) -> Result<Evaluation, TrainError> {
        if result.astray > 0 {
            log::warn!(
                "{which}: {} of {} images run astray, their loss beyond all bounds; a larger \
                 --set search.range-penalty=… may hold them",
                result.astray,
                result.images
            );
        }
        match result.loss.is_finite() {
            true => Ok(result),
            false => Err(TrainError::Worthless {
                which: which.to_owned(),
                culprit: health::culprit(model),
                advice: "begin a new run with a lower learning rate".into(),
            }),
        }
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
