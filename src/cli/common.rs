//! Options that several subcommands share, and how a run is opened.

use super::notes;
pub use super::notes::note;
use crate::gpu::{AdapterChoice, Gpu};
use crate::kernels::Tiling;
use crate::models;
use crate::run::checkpoint::Checkpoint;
use crate::run::folder::{RunFolder, RunFolderError};
use crate::run::mark::{Mark, Phase};
use crate::run::store::{RESULT, TEACHER};
use crate::run::summary::Summary;
use crate::search::methods;
use crate::search::phases::footprints;
use crate::search::pipeline::{self, RunError};
use crate::settings::Settings;
use crate::settings::layers::Layers;
use crate::settings::presets;
use crate::train::circumstances::Circumstances;
use crate::train::interrupt::Interrupt;
use crate::train::{TrainError, Trainer};
use anyhow::{Context, Result, bail};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Value;

/// What `autorep import` writes about itself into the run folder.
pub const IMPORT: &str = "import.json";

/// Which adapter.
#[derive(clap::Args, Debug, Default)]
pub struct AdapterArgs {
    /// Adapter: a part of its name, or its number in `autorep devices`.
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Backends to look on: vulkan, metal, dx12 (comma-separated).
    #[arg(long, value_name = "LIST")]
    pub backend: Option<String>,
}

impl AdapterArgs {
    /// What was chosen.
    pub fn choice(&self) -> AdapterChoice {
        AdapterChoice {
            adapter: self.adapter.clone(),
            backend: self.backend.clone(),
        }
    }

    /// Opens the adapter, and says which it is.
    pub fn open(&self, preset: &str) -> Result<Gpu> {
        let gpu = Gpu::open(&self.choice())?;
        let report = &gpu.report;
        let preset = Tiling::parse(preset, &gpu).map_err(anyhow::Error::msg)?;
        note(format_args!(
            "adapter: {} ({}, {}), kernel preset {preset}",
            report.name, report.backend, report.driver
        ));
        Ok(gpu)
    }
}

fn architecture_help() -> String {
    format!(
        "Architecture: {} (…_avgpool: no max-pool in the stem)",
        models::names()
    )
}

/// Options of commands that train.
#[derive(clap::Args, Debug)]
pub struct RunArgs {
    /// Images: `builtin`, or a folder (CIFAR binary version, or train/CLASS and test/CLASS).
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,
    #[arg(long, value_name = "NAME", help = architecture_help())]
    pub model: Option<String>,
    /// Multiplier of the architecture's channel counts.
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    pub width: Option<f64>,
    /// Folder to write to.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Continue the run in --out, or begin it when there is none.
    #[arg(long)]
    pub resume: bool,
    /// With --resume: go on although settings in config.toml of the run were changed since.
    #[arg(long, requires = "resume")]
    pub accept_changes: bool,
    /// Where another process writes to --out, wait until it ends, and do what is left then.
    #[arg(long, requires = "resume")]
    pub wait: bool,
    /// Keep what is said on the way in this file, too, behind what is there.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Settings that reproduce a known result; `autorep presets` lists them. A file, --set and
    /// other options override it.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Settings from a TOML file; options override it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Any setting, as `--set search.lambda=200`; config.toml of a run lists all.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Seed of everything random.
    #[arg(long, allow_negative_numbers = true)]
    pub seed: Option<u32>,
    /// Images of a training step.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub batch: Option<usize>,
    /// Take a batch in N parts, to save memory; batch norm sees one part at a time.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub micro_batches: Option<usize>,
    /// Device memory that the run may take: one that needs more is refused before it begins.
    #[arg(long, value_name = "GIB", allow_negative_numbers = true)]
    pub memory_gib: Option<f64>,
    /// Scale images to N×N.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub image_size: Option<u32>,
    /// Decode training images from their files, batch by batch; without this or --resident, where
    /// they take more than `resident-gib` or are cropped out of larger pictures.
    #[arg(long, conflicts_with = "resident")]
    pub stream: bool,
    /// Keep all training images on the device.
    #[arg(long)]
    pub resident: bool,
    /// Use at most N training images.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub train_images: Option<usize>,
    /// Train on all images, those held out among them, and take what the last epoch leaves: for a last
    /// run, when all choices have been made.
    #[arg(long = "final")]
    pub all_images: bool,
    /// Passes over the images while training the teacher.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub teacher_epochs: Option<usize>,
    /// How kernels are tiled: auto, cpu, portable, large.
    #[arg(long, value_name = "NAME")]
    pub kernels: Option<String>,
    /// Print the summary as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub adapter: AdapterArgs,
}

impl RunArgs {
    /// Begins to keep what is said where that was asked for.
    pub fn keep_log(&self) -> Result<()> {
        self.log.as_deref().map_or(Ok(()), notes::keep_in)
    }

    /// The settings: defaults, preset, file, `--set`, options, each over the one before.
    /// `more` are the command's own options.
    pub fn settings(&self, more: &[(&str, Option<Value>)]) -> Result<Settings> {
        let mut layers = Layers::default();
        self.lay(&mut layers, more)?;
        let settings = layers.finish()?;
        methods::find(&settings.search.method)?;
        let Some(stored) = self.stored()? else {
            // Else a slip in --out would begin a run of all defaults.
            if self.resume && !self.says_what_to_do() {
                bail!(
                    "{} holds no run that could be resumed: name the run's folder, or say what to begin \
                     (--data, --preset or --config)",
                    self.out.display()
                );
            }
            return Ok(settings);
        };
        // What the folder says counts; options may only repeat it.
        let mut layers = Layers::default();
        layers.file("config.toml of the run", &stored)?;
        let before = layers.clone().finish()?;
        self.lay(&mut layers, more)?;
        let after = layers.finish()?;
        if before != after {
            bail!(
                "the run in {} was begun with other settings: resume it without changing them \
                 (--resume --out {0} is enough), or begin a new run in another --out",
                self.out.display()
            );
        }
        Ok(before)
    }

    fn lay(&self, layers: &mut Layers, more: &[(&str, Option<Value>)]) -> Result<()> {
        if let Some(name) = &self.preset {
            layers.preset(presets::find(name)?)?;
        }
        if let Some(path) = &self.config {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("--config {}: cannot be read", path.display()))?;
            layers.file(&path.display().to_string(), &text)?;
        }
        for text in &self.sets {
            layers.set(text)?;
        }
        let text = |value: &Option<String>| value.clone().map(Value::String);
        for (option, value) in [
            ("--batch", self.batch),
            ("--micro-batches", self.micro_batches),
            ("--train-images", self.train_images),
            ("--teacher-epochs", self.teacher_epochs),
        ] {
            if let Some(value) = value.filter(|&value| i64::try_from(value).is_err()) {
                bail!("{option} {value}: is far too large");
            }
        }
        let number = |value: Option<usize>| value.map(|n| Value::Integer(n as i64));
        let placement = match (self.stream, self.resident) {
            (true, _) => Some("stream"),
            (_, true) => Some("resident"),
            _ => None,
        };
        let own = [
            ("data", text(&self.data)),
            ("model", text(&self.model)),
            ("width", self.width.map(Value::Float)),
            ("seed", self.seed.map(|n| Value::Integer(n.into()))),
            ("batch", number(self.batch)),
            ("micro-batches", number(self.micro_batches)),
            ("memory-gib", self.memory_gib.map(Value::Float)),
            (
                "image-size",
                self.image_size.map(|n| Value::Integer(n.into())),
            ),
            ("train-images", number(self.train_images)),
            ("teacher.epochs", number(self.teacher_epochs)),
            (
                "all-images",
                self.all_images.then_some(Value::Boolean(true)),
            ),
            ("placement", placement.map(Value::from)),
            ("kernels", text(&self.kernels)),
        ];
        for (key, value) in own.iter().chain(more) {
            if let Some(value) = value {
                layers.put("the command line", key, value.clone())?;
            }
        }
        Ok(())
    }

    /// The settings of the run in the folder, when it is to be continued.
    fn stored(&self) -> Result<Option<String>> {
        if !self.resume || !RunFolder::holds_run(&self.out)? {
            return Ok(None);
        }
        Ok(RunFolder::open(&self.out)?.read_config()?)
    }

    /// Whether options say on what to run.
    fn says_what_to_do(&self) -> bool {
        let sets_data = |text: &String| text.trim_start().starts_with("data");
        self.data.is_some()
            || self.preset.is_some()
            || self.config.is_some()
            || self.sets.iter().any(sets_data)
    }

    /// Whether progress bars are drawn.
    pub fn progress(&self) -> bool {
        std::io::stderr().is_terminal()
    }
}

/// What became of the attempt to begin a run, or to go on with one.
pub enum Begun<'g> {
    /// There is something to do, from the checkpoint on.
    Ready(Box<Trainer<'g>>, Option<(Mark, Checkpoint)>),
    /// Another process has done it meanwhile.
    Complete(Box<Summary>),
    /// Somebody asked to stop before it was this process's turn.
    Interrupted,
}

/// Opens the run folder, waiting for it where that was asked for. `None` when interrupted.
fn claim(args: &RunArgs, out: &Path) -> Result<Option<RunFolder>> {
    const LOOK: Duration = Duration::from_millis(500);
    let mut waiting = None;
    loop {
        match RunFolder::create(out, args.resume) {
            Err(RunFolderError::Busy { .. }) if args.wait => {}
            folder => return Ok(Some(folder?)),
        }
        let interrupt = *waiting.get_or_insert_with(|| {
            note(format_args!(
                "another process is writing to {}; waiting until it ends",
                out.display()
            ));
            Interrupt::install()
        });
        if interrupt.requested() {
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

/// Opens the run folder and all that a run needs, of which `last` is the last phase; the
/// checkpoint is where to go on. A run that is new must pass `check`.
pub fn begin<'g>(
    gpu: &'g Gpu,
    settings: Settings,
    args: &RunArgs,
    out: &Path,
    last: Phase,
    check: impl Fn(&Trainer) -> Result<(), RunError>,
) -> Result<Begun<'g>> {
    let existed = out.exists();
    let Some(folder) = claim(args, out)? else {
        return Ok(Begun::Interrupted);
    };
    let method = match last {
        Phase::Teacher => "teacher",
        _ => &settings.search.method,
    };
    // Asked once more, now that nobody else can end it.
    if let Some(summary) = finished(args, out, method)? {
        return Ok(Begun::Complete(Box::new(summary)));
    }
    let resumed = folder.resumed();
    let checkpoint = folder.checkpoints().latest()?;
    if let Some((mark, _)) = &checkpoint {
        if mark.phase > last {
            bail!(
                "the run in {} is a search: continue it with `autorep search --resume`, or train \
                 in another --out",
                out.display()
            );
        }
        note(format_args!("resuming at {mark}"));
    }
    if let Some((_, checkpoint)) = &checkpoint {
        go_on_under(gpu, &settings, checkpoint, args)?;
    }
    let text = toml::to_string(&settings).context("the settings have no TOML form")?;
    // First of all: by it others tell, and this one if it is killed from here on, that this is a run.
    folder.write_config(&text)?;
    let (footprints, at) = (footprints(&settings, last), checkpoint.as_ref());
    let made = pipeline::division(&settings, at)
        .and_then(|division| {
            let (footprints, progress) = (&footprints, args.progress());
            let trainer = Trainer::new(gpu, settings, folder, at, division, footprints, progress);
            Ok(trainer?)
        })
        .and_then(|trainer| {
            if checkpoint.is_none() {
                check(&trainer)?;
            }
            Ok(trainer)
        });
    let trainer = match made {
        Ok(trainer) => trainer,
        Err(error) => {
            // A run that cannot begin (no such data, a network that does not fit) leaves no
            // folder that a second try would be refused for.
            if !resumed {
                remove_empty_run(out, existed);
            }
            return Err(error.into());
        }
    };
    Ok(Begun::Ready(Box::new(trainer), checkpoint))
}

/// Refuses to go on under other settings than those of the checkpoint, unless that is wanted; tells of
/// what else has changed.
fn go_on_under(
    gpu: &Gpu,
    settings: &Settings,
    checkpoint: &Checkpoint,
    args: &RunArgs,
) -> Result<()> {
    let tiling = Tiling::parse(&settings.kernels, gpu).map_err(anyhow::Error::msg)?;
    let changes = Circumstances::new(gpu, settings, tiling).since(checkpoint);
    if !changes.settings.is_empty() && !args.accept_changes {
        bail!(
            "config.toml of {} was changed since {} was written: {}. Put it back, or go on with what it says \
             now by --accept-changes",
            args.out.display(),
            checkpoint.origin().display(),
            changes.settings.join(", ")
        );
    }
    for change in changes.settings.iter().chain(&changes.machine) {
        log::warn!("changed since the checkpoint was written: {change}");
    }
    if !changes.machine.is_empty() {
        log::warn!("so this run will not end with the very bits that it would have had");
    }
    Ok(())
}

/// Hands on why a run ended, and removes its folder if that was for want of memory before
/// anything happened: a second try begins anew, with other settings.
pub fn undone(out: &Path, error: RunError) -> anyhow::Error {
    if let RunError::Train(cause) = &error
        && matches!(**cause, TrainError::Shortage(_))
    {
        remove_empty_run(out, false);
    }
    error.into()
}

/// Removes what was made of a run folder in which nothing has happened yet, and the folder
/// itself unless it was there before.
fn remove_empty_run(out: &Path, keep_folder: bool) {
    // Goes only if it is empty, as it must be; else somebody is at work here.
    if std::fs::remove_dir(out.join("checkpoints")).is_err() {
        return;
    }
    for entry in std::fs::read_dir(out).into_iter().flatten().flatten() {
        let _ = std::fs::remove_file(entry.path());
    }
    if !keep_folder {
        let _ = std::fs::remove_dir(out);
    }
}

/// The summary of the run in `out`, if it has come to its end and is to be resumed: there is
/// nothing left to do then. `method` is what its summary must say.
pub fn finished(args: &RunArgs, out: &Path, method: &str) -> Result<Option<Summary>> {
    if !args.resume || !RunFolder::is_finished(out) {
        return Ok(None);
    }
    let summary: Summary = RunFolder::open(out)?.read_summary()?;
    if summary.method != method {
        bail!(
            "the run in {} is over, and its method is `{}`, not `{method}`: choose another --out{}",
            out.display(),
            summary.method,
            match method {
                "teacher" => String::new(),
                _ => format!(", and search from it with --teacher {}", out.display()),
            }
        );
    }
    note(format_args!("{}: this run is complete", out.display()));
    Ok(Some(summary))
}

/// The network of a run, or of a checkpoint named directly: a search's result, else a teacher.
pub fn load_result(path: &Path) -> Result<Checkpoint> {
    if path.is_file() {
        return Ok(Checkpoint::load(path)?);
    }
    // Says what is wrong when this is no run folder.
    let folder = RunFolder::open(path)?;
    let store = folder.checkpoints();
    if store.path(RESULT).is_file() {
        return Ok(store.load(RESULT)?);
    }
    // A search has a teacher long before it has a result; an import has nothing else.
    if RunFolder::is_finished(path) || path.join(IMPORT).is_file() {
        return Ok(store.load(TEACHER)?);
    }
    let teacher = store.path(TEACHER);
    bail!(
        "{}: this run has no result yet; let it finish with --resume{}",
        path.display(),
        match teacher.is_file() {
            true => format!(", or name its teacher, {}", teacher.display()),
            false => String::new(),
        }
    )
}

/// A share as a percentage with two decimals.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// The settings of the run that a folder, or a checkpoint within one, belongs to, on other images where
/// `data` names some.
///
/// # Errors
/// Where the run's settings cannot be read, or are not there and `data` says nothing in their place.
pub(super) fn settings_of(path: &Path, data: Option<String>) -> Result<Settings> {
    let folder = match path.is_dir() {
        true => Some(path),
        false => path.parent().and_then(Path::parent),
    };
    let folder = folder.filter(|folder| RunFolder::holds_run(folder).unwrap_or(false));
    let text = match folder {
        Some(folder) => RunFolder::open(folder)?.read_config()?,
        None => None,
    };
    let mut layers = Layers::default();
    match (folder, text) {
        (_, Some(text)) => layers.file("config.toml of the run", &text)?,
        (Some(folder), None) if data.is_none() => bail!(
            "{}: config.toml is missing, which says what the network was trained on; name the images \
             with --data",
            folder.display()
        ),
        _ => {}
    }
    if let Some(data) = data {
        layers.put("the command line", "data", Value::String(data))?;
    }
    Ok(layers.finish()?)
}
