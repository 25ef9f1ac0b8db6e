//! `autorep import`

use super::common::{IMPORT, note};
use super::end::End;
use crate::data::Normalization;
use crate::files::write_atomic;
use crate::graph::{Layout, Model};
use crate::models::{Benchmark, ModelSpec, architecture};
use crate::run::checkpoint::Checkpoint;
use crate::run::folder::RunFolder;
use crate::run::foreign_weights::{ImportOptions, Imported, import};
use crate::run::model_file::{Sites, pack};
use crate::run::store::TEACHER;
use crate::settings::Settings;
use crate::settings::layers::Layers;
use crate::train::images::open_data;
use anyhow::{Context, Result, bail, ensure};
use std::io::{Write, stdout};
use std::path::PathBuf;
use toml::Value;

/// Arguments of `autorep import`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A state_dict of torchvision, timm or the like, saved as safetensors.
    file: PathBuf,
    /// Architecture of the weights, as `autorep train --model` names it.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// Run folder to write: a teacher for --teacher, and for eval and export.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Multiplier of the architecture's channel counts.
    #[arg(
        long,
        value_name = "FACTOR",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    width: f64,
    /// The images it is meant for: gives their size, their normalisation, and names to the
    /// classes.
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Side of the images; without it and --data: 224, or 32 for the CIFAR networks.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    image_size: Option<u32>,
    /// Mean of the training pixels per colour, of values in 0…1; ImageNet's or CIFAR-10's
    /// without it and --data.
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', num_args = 1)]
    mean: Vec<f32>,
    /// Their standard deviation.
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', num_args = 1)]
    std: Vec<f32>,
    /// Any setting of the images, as `--set augment.crop=resized` for ImageNet.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Let tensors that the file lacks have their values from before training.
    #[arg(long)]
    partial: bool,
    /// Pass over tensors of the network's own layers that the network does not have.
    #[arg(long)]
    drop_unused: bool,
    /// What stands before the names of the network's tensors, where a file holds several networks
    /// [default: found]
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
}

/// What a network was trained on.
struct Source {
    size: (usize, usize),
    pixels: Normalization,
    /// Class names, where they are known.
    classes: Option<Vec<String>>,
}

pub(super) fn run(args: Args) -> Result<End> {
    let file = Checkpoint::import(&args.file)?;
    let is_timm = file
        .tensors
        .iter()
        .any(|(name, _)| name.contains("conv_dw"));
    let settings = settings(&args)?;
    let source = source(&args, &settings)?;
    let spec = ModelSpec {
        name: args.model.clone(),
        width: args.width,
        input: source.size,
        classes: 1,
    };
    let options = ImportOptions {
        prefix: args.prefix.clone(),
        drop_unused: args.drop_unused,
        partial: args.partial,
        seed: 0,
    };
    let (spec, imported) = import(file, spec, &options)?;
    report(&args, &imported)?;
    if is_timm {
        note(format_args!(
            "timm's efficientnet_* and tf_efficientnet_* have the same names, and the latter pad \
             otherwise and add another epsilon to variances: no file tells them apart. Those without \
             `tf_` are computed right here; see what `autorep eval` says"
        ));
    }
    let network = spec.build()?;
    let classes = match source.classes {
        None => (0..spec.classes).map(|class| class.to_string()).collect(),
        Some(names) => {
            ensure!(
                names.len() == spec.classes,
                "{} has {} classes, the network of {} knows {}: it was trained on other images",
                args.data.as_deref().unwrap_or_default(),
                names.len(),
                args.file.display(),
                spec.classes
            );
            names
        }
    };
    let model = Model {
        layout: Layout::new(&network),
        network,
        tensors: imported.tensors.clone(),
        mean: source.pixels.mean,
        std: source.pixels.std,
        classes,
    };
    let folder = RunFolder::create(&args.out, false)?;
    let config = toml::to_string(&settings).context("the settings have no TOML form")?;
    folder.write_config(&config)?;
    let (tensors, metadata) = pack(&model, &spec, Sites::Relu);
    let checkpoint = Checkpoint::new(tensors, metadata);
    let path = folder.checkpoints().save_as(TEACHER, &checkpoint)?;
    let record = serde_json::json!({
        "file": args.file,
        "model": spec.name,
        "used": imported.used,
        "missing": imported.missing,
        "unused": imported.unused,
    });
    let record = serde_json::to_vec_pretty(&record)?;
    write_atomic(&folder.path().join(IMPORT), &record)?;
    writeln!(
        stdout(),
        "{} of {} classes for {}×{} images, {} ReLUs: written to {}",
        spec.name,
        spec.classes,
        spec.input.0,
        spec.input.1,
        model.network.relu_total(),
        path.display()
    )?;
    Ok(End::Done)
}

/// Says what became of the tensors; an error when some are missing that must not be.
fn report(args: &Args, imported: &Imported) -> Result<()> {
    let list = |names: &[String]| names.join(", ");
    let Imported {
        used,
        missing,
        unused,
        ..
    } = imported;
    note(format_args!(
        "{}: {used} tensors taken, {} missing, {} unused",
        args.file.display(),
        missing.len(),
        unused.len()
    ));
    if !unused.is_empty() {
        note(format_args!(
            "unused, {} does not have them: {}",
            args.model,
            list(unused)
        ));
    }
    if missing.is_empty() {
        return Ok(());
    }
    note(format_args!(
        "missing, {} wants them: {}",
        args.model,
        list(missing)
    ));
    if args.partial {
        return Ok(());
    }
    bail!(
        "{} lacks {} of the {} tensors of {}, the first of them `{}`: choose the --model it was \
         saved from, or let them be untrained with --partial",
        args.file.display(),
        missing.len(),
        used + missing.len(),
        args.model,
        missing[0]
    )
}

fn source(args: &Args, settings: &Settings) -> Result<Source> {
    let size = args.image_size.map(|n| (n as usize, n as usize));
    if let Some((side, _)) = size {
        ensure!(
            (1..=4096).contains(&side),
            "--image-size {side}: must lie in 1…4096"
        );
    }
    let benchmark = architecture(&args.model)?.benchmark;
    let side = benchmark.side();
    let mut source = Source {
        size: size.unwrap_or((side, side)),
        pixels: match benchmark {
            Benchmark::Cifar10 => Normalization::CIFAR10,
            Benchmark::ImageNet => Normalization::IMAGENET,
        },
        classes: None,
    };
    if args.data.is_some() {
        let data = open_data(settings, true)?;
        source = Source {
            size: data.train.size(),
            pixels: data.normalization,
            classes: Some(data.classes),
        };
    }
    let triple = |name: &str, values: &[f32], default: [f32; 3]| match values {
        [] => Ok(default),
        &[r, g, b] if values.iter().all(|v| v.is_finite()) => Ok([r, g, b]),
        _ => bail!("--{name} {values:?}: give three numbers, as --{name} 0.5,0.5,0.5"),
    };
    source.pixels.mean = triple("mean", &args.mean, source.pixels.mean)?;
    source.pixels.std = triple("std", &args.std, source.pixels.std)?;
    ensure!(
        source.pixels.std.iter().all(|&s| s > 0.0),
        "--std {:?}: all three must be above zero",
        source.pixels.std
    );
    Ok(source)
}

/// The run's settings: what eval needs in order to find the images.
fn settings(args: &Args) -> Result<Settings> {
    let mut layers = Layers::default();
    for text in &args.sets {
        layers.set(text)?;
    }
    let mut put = |key: &str, value: Value| layers.put("the command line", key, value);
    put("model", Value::String(args.model.clone()))?;
    put("width", Value::Float(args.width))?;
    if let Some(data) = &args.data {
        put("data", Value::String(data.clone()))?;
    }
    if let Some(size) = args.image_size {
        put("image-size", Value::Integer(size.into()))?;
    }
    Ok(layers.finish()?)
}
