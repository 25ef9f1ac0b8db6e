//! `autorep presets`

use super::End;
use super::common::{AdapterArgs, note};
use crate::data::builtin;
use crate::gpu::{AdapterClass, Gpu};
use crate::graph::{Layout, Network};
use crate::kernels::tuning::Tuner;
use crate::kernels::{Compiler, Preset as Kernels};
use crate::models::ModelSpec;
use crate::profile::Effort;
use crate::profile::report::Measured;
use crate::profile::step::{Phase, Step, StepSpec};
use crate::train::config::Layers;
use crate::train::presets::{About, PRESETS, Preset, find};
use crate::train::program::Normalization;
use crate::train::settings::Settings;
use anyhow::{Context, Result};
use serde::Serialize;
use std::io::{Write, stdout};
use std::time::Duration;

/// Arguments of `autorep presets`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print this preset's settings.
    name: Option<String>,
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

fn entry(preset: &'static Preset) -> Result<Entry> {
    let broken = || format!("the preset {} is damaged", preset.name);
    let about = preset.about().with_context(broken)?;
    let mut layers = Layers::default();
    layers.preset(preset).with_context(broken)?;
    let settings = layers.finish().with_context(broken)?;
    let spec = ModelSpec {
        name: settings.model.clone(),
        width: settings.width,
        input: (about.side, about.side),
        classes: about.classes,
    };
    let flops = flops(&settings, &about, &spec.build().with_context(broken)?);
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
    let images = about.images as f64 * (1.0 - settings.validation);
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
    let compiler =
        Compiler::new(&gpu, Kernels::for_adapter(&gpu)).tuned(Tuner::where_it_pays(&gpu));
    let step = Step::compile(
        &compiler,
        &StepSpec {
            network: &network,
            phase: Phase::Teacher,
            batch,
            micro_batches: 1,
            recompute: false,
            images: &images.train,
            pixels: Normalization {
                mean: images.mean,
                std: images.std,
            },
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
