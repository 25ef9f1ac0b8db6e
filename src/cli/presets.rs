//! `autorep presets`

use super::common::{AdapterArgs, note};
use super::end::End;
use crate::data::builtin;
use crate::gpu::{AdapterClass, AdapterReport, Gpu};
use crate::graph::{Layout, Network};
use crate::kernels::compile::tuning::Tuner;
use crate::kernels::{Compiler, Tiling};
use crate::models::ModelSpec;
use crate::profile::Effort;
use crate::profile::report::Measured;
use crate::profile::step::{Phase, Step, StepSpec};
use crate::profile::text::{Look, phases};
use crate::search::phases::Plan;
use crate::settings::Settings;
use crate::settings::layers::Layers;
use crate::settings::presets::{About, PRESETS, Preset, find};
use crate::train::forecast::Cut;
use anyhow::{Context, Result};
use serde::Serialize;
use std::io::{Write, stdout};
use std::time::Duration;

/// Arguments of `autorep presets`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print this preset's settings.
    name: Option<String>,
    /// Print the device memory that the presets take, or the one that is named, as planned for a
    /// GPU: needs no adapter, and no memory.
    #[arg(long)]
    plan: bool,
    /// With --plan: say what would fit into so much memory.
    #[arg(long, value_name = "GIB", requires = "plan")]
    memory_gib: Option<f64>,
    /// Do not measure how fast the adapter is.
    #[arg(long)]
    no_time: bool,
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adapter: AdapterArgs,
}

/// A line of the list.
#[derive(Debug, Serialize)]
struct Entry {
    name: &'static str,
    #[serde(flatten)]
    about: About,
    model: String,
    budget: String,
    /// Passes over the images: teacher, search, finish.
    epochs: [usize; 3],
    /// Floating-point operations of all training steps.
    flops: f64,
    /// Rough estimate of what they take here.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_hours: Option<f64>,
}

pub(super) fn run(args: Args) -> Result<End> {
    if args.plan {
        return plan(&args);
    }
    if let Some(name) = &args.name {
        write!(stdout(), "{}", find(name)?.text)?;
        return Ok(End::Done);
    }
    let mut entries = PRESETS.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let rate = match args.no_time {
        true => None,
        false => measured(&args.adapter)?,
    };
    if let Some(Rate { flops, .. }) = rate {
        for entry in &mut entries {
            entry.estimated_hours = Some(entry.flops / flops / 3600.0);
        }
    }
    let mut out = stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&entries)?)?;
        return Ok(End::Done);
    }
    for entry in &entries {
        writeln!(out, "{}\n    {}", entry.name, entry.about.summary)?;
        writeln!(out, "    others report {}", entry.about.reaches)?;
        let [teacher, search, finish] = entry.epochs;
        let roughly = match entry.estimated_hours {
            Some(hours) => format!(", roughly {}", duration(hours)),
            None => String::new(),
        };
        writeln!(out, "    {teacher} + {search} + {finish} epochs{roughly}\n")?;
    }
    writeln!(out, "autorep search --preset NAME --data FOLDER --out RUN")?;
    if let Some(Rate { flops, what }) = rate {
        writeln!(
            out,
            "\nTimes are estimates: every network's operations at the {:.3} TFLOP/s that a training \
             step\nof {what} reaches on this adapter now. Networks of depthwise\nconvolutions \
             (EfficientNet) take longer, as they wait for memory; a teacher that is\ngiven takes no \
             time.",
            flops / 1e12
        )?;
    }
    Ok(End::Done)
}

/// A preset read, and its network.
struct Read {
    about: About,
    settings: Settings,
    network: Network,
}

fn read(preset: &Preset) -> Result<Read> {
    let read = || -> Result<Read> {
        let about = preset.about()?;
        let mut layers = Layers::default();
        layers.preset(preset)?;
        let settings = layers.finish()?;
        let spec = ModelSpec {
            name: settings.model.clone(),
            width: settings.width,
            input: (about.side, about.side),
            classes: about.classes,
        };
        Ok(Read {
            network: spec.build()?,
            about,
            settings,
        })
    };
    read().with_context(|| format!("the preset {} is damaged", preset.name))
}

/// The memory of a preset's phases.
#[derive(Debug, Serialize)]
struct Planned {
    name: &'static str,
    model: String,
    image_size: usize,
    #[serde(flatten)]
    plan: Plan,
}

/// Prints the memory that presets take.
fn plan(args: &Args) -> Result<End> {
    let chosen = match &args.name {
        Some(name) => vec![find(name)?],
        None => PRESETS.iter().collect(),
    };
    let mut out = stdout().lock();
    let mut list = Vec::new();
    for preset in chosen {
        let Read {
            about,
            mut settings,
            network,
        } = read(preset)?;
        settings.memory_gib = args.memory_gib.unwrap_or(settings.memory_gib);
        settings.validate()?;
        let gpu = Gpu::planner(&AdapterReport::typical());
        let plan = Plan::of(
            &gpu,
            about.images,
            (about.side, about.side),
            &settings,
            &network,
        )?;
        let planned = Planned {
            name: preset.name,
            model: settings.model,
            image_size: about.side,
            plan,
        };
        if args.json {
            list.push(planned);
        } else {
            write!(out, "{}", planned.text(Look::of_stdout()))?;
        }
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
    }
    Ok(End::Done)
}

impl Planned {
    fn text(&self, look: Look) -> String {
        let Cut { batch, parts, .. } = self.plan.cut;
        let in_parts = match parts {
            1 => String::new(),
            _ => format!(" in {parts} parts"),
        };
        let mut text = look.title(self.name);
        text += &format!(
            "\n{}, batch {batch}{in_parts}, {side}×{side}, {}\n\n",
            self.model,
            match self.plan.resident {
                Some(images) => format!("{images} images on the device"),
                None => "images streamed".to_owned(),
            },
            side = self.image_size,
        );
        text += &phases(look, &self.plan.phases);
        if let Some(shortage) = &self.plan.shortage {
            text += &format!("\n{shortage}\n");
        }
        text + "\n"
    }
}

fn entry(preset: &'static Preset) -> Result<Entry> {
    let Read {
        about,
        settings,
        network,
    } = read(preset)?;
    let flops = flops(&settings, &about, &network);
    Ok(Entry {
        name: preset.name,
        model: settings.model,
        budget: settings.search.budget,
        epochs: [
            settings.teacher.epochs,
            settings.search.epochs,
            settings.finish.epochs,
        ],
        about,
        flops,
        estimated_hours: None,
    })
}

/// Multiplications of a forward pass of one image, in convolutions and linear layers.
fn multiplications(network: &Network) -> f64 {
    let layout = Layout::new(network);
    let weights = layout
        .params
        .slots
        .iter()
        .filter(|slot| slot.shape.len() > 1);
    weights
        .filter_map(|slot| {
            let name = slot.name.strip_suffix(".weight")?;
            let node = network.nodes.iter().find(|node| node.name == name)?;
            // Every weight meets every output position of its channel.
            Some(slot.len() as f64 * node.shape.plane() as f64)
        })
        .sum()
}

/// Operations of all training steps: two a multiplication, three passes while training
/// (forward, gradient of the input, gradient of the weights), one for a teacher beside it.
fn flops(settings: &Settings, about: &About, network: &Network) -> f64 {
    let images = about.images as f64 * settings.trained_share();
    let (teacher, gated) = (
        settings.teacher.epochs,
        settings.search.epochs + settings.finish.epochs,
    );
    let passes = 3.0 * teacher as f64 + 4.0 * gated as f64;
    2.0 * multiplications(network) * images * passes
}

/// How fast training goes.
struct Rate {
    /// Operations a second, counted as [`flops`] counts them.
    flops: f64,
    /// What was timed.
    what: String,
}

/// Times a few training steps; `None`, with a word about it, where there is no adapter.
fn measured(adapter: &AdapterArgs) -> Result<Option<Rate>> {
    let chosen = adapter.adapter.is_some() || adapter.backend.is_some();
    let gpu = match Gpu::open(&adapter.choice()) {
        Ok(gpu) => gpu,
        Err(error) if !chosen => {
            note(format_args!("no times: {error}"));
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let (model, batch) = match gpu.class() {
        AdapterClass::Software => ("resnet8", 32),
        AdapterClass::Integrated => ("resnet18", 32),
        AdapterClass::Discrete => ("resnet18", 256),
    };
    note(format_args!(
        "timing a training step of {model} on {}",
        gpu.report.name
    ));
    let spec = ModelSpec {
        name: model.into(),
        width: 1.0,
        input: (32, 32),
        classes: 10,
    };
    let network = spec.build()?;
    let images = builtin::generate(builtin::Spec {
        train: batch,
        test: 10,
        size: 32,
        seed: 0,
    })?;
    let compiler = Compiler::new(&gpu, Tiling::for_adapter(&gpu)).tuned(Tuner::where_it_pays(&gpu));
    let step = Step::compile(
        &compiler,
        &StepSpec {
            network: &network,
            phase: Phase::Teacher,
            batch,
            micro_batches: 1,
            recompute: false,
            images: &images.train,
            pixels: images.normalization,
        },
    )?;
    let effort = Effort {
        samples: 3,
        budget: Duration::from_secs(1),
    };
    let seconds = Measured::take(&gpu, &step, effort)?.step.median;
    Ok(Some(Rate {
        flops: 6.0 * multiplications(&network) * batch as f64 / seconds,
        what: format!("{model} with {batch} images of 32×32"),
    }))
}

/// Hours as people say them.
fn duration(hours: f64) -> String {
    match hours {
        h if h < 1.0 => format!("{:.0} min", (60.0 * h).max(1.0)),
        h if h < 48.0 => format!("{h:.1} h"),
        h => format!("{:.0} days", h / 24.0),
    }
}
