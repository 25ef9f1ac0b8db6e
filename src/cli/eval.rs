//! `autorep eval`

use super::common::{AdapterArgs, load_result, percent, settings_of};
use super::end::End;
use super::fixed_point::Report;
use crate::data::{classes, evenly};
use crate::kernels::{Compiler, Tiling, metrics};
use crate::private::{FixedPoint, Truncation};
use crate::run::checkpoint::Checkpoint;
use crate::run::model_file::{self, Unpacked};
use crate::settings::MOST_BATCH;
use crate::step::evaluate::evaluation;
use crate::tensor_file::Tensor;
use crate::train::health;
use crate::train::images::{Division, open_data};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::PathBuf;

/// Arguments of `autorep eval`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A run folder, or a checkpoint.
    run: PathBuf,
    /// Images; the run's own without it.
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Which images.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// Images of a batch.
    #[arg(long, default_value_t = 256, value_name = "N")]
    batch: usize,
    /// How kernels are tiled: auto, cpu, portable, large.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    kernels: String,
    /// Also write the logits, [images, classes] in the images' order, as safetensors.
    #[arg(long, value_name = "FILE", conflicts_with = "fixed_point")]
    logits: Option<PathBuf>,
    /// Evaluate as an engine of private inference would, with so many fractional bits (CrypTen's
    /// default is 16, SPU's 18), on the host, and tell how large numbers grow.
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(4..=30))]
    fixed_point: Option<u32>,
    /// With --fixed-point: bits of a number in all, 32 or 64.
    #[arg(
        long,
        value_name = "BITS",
        default_value = "64",
        requires = "fixed_point"
    )]
    ring: Ring,
    /// With --fixed-point: whose rounding [default: crypten at up to 16 bits, spu beyond]
    #[arg(long, value_enum, requires = "fixed_point")]
    engine: Option<Engine>,
    /// With --fixed-point: so many images, evenly over the split.
    #[arg(long, value_name = "N", default_value = "200", requires = "fixed_point",
        value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adapter: AdapterArgs,
}

/// Which part of the data.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Split {
    /// The test images.
    Test,
    /// The images held out of the training set.
    Val,
    /// The images that were trained on, as they are.
    Train,
}

/// Bits of an engine's number.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Ring {
    /// 32.
    #[value(name = "32")]
    Narrow,
    /// 64.
    #[value(name = "64")]
    Wide,
}

/// Whose fixed point.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Engine {
    /// Each party shifts its share: now and then that is off by far.
    Crypten,
    /// With a random carry: off by less than a unit in the last place.
    Spu,
}

impl Args {
    /// The fixed point that is asked for.
    fn numbers(&self) -> Option<FixedPoint> {
        let bits = self.fixed_point?;
        let engine = self.engine.unwrap_or(match bits {
            ..=16 => Engine::Crypten,
            _ => Engine::Spu,
        });
        Some(FixedPoint {
            bits,
            ring: match self.ring {
                Ring::Narrow => 32,
                Ring::Wide => 64,
            },
            truncation: match engine {
                Engine::Crypten => Truncation::Shares,
                Engine::Spu => Truncation::Carry,
            },
        })
    }
}

pub(super) fn run(args: Args) -> Result<End> {
    if !(1..=MOST_BATCH).contains(&args.batch) {
        bail!("--batch {}: must lie in 1…65535", args.batch);
    }
    let numbers = args.numbers();
    let checkpoint = load_result(&args.run)?;
    let division = Division::read(&checkpoint)?;
    let Unpacked {
        model, spec, sites, ..
    } = model_file::unpack(checkpoint)?;
    let settings = settings_of(&args.run, args.data)?;
    let dataset = open_data(&settings, true)?;
    let size = dataset.test.size();
    if size != spec.input {
        bail!(
            "the network takes {}×{} images, {} has {}×{} ones: the data set is another",
            spec.input.0,
            spec.input.1,
            dataset.name,
            size.0,
            size.1
        );
    }
    if dataset.classes.len() != spec.classes {
        bail!(
            "the network knows {} classes, {} has {}: the data set is another",
            spec.classes,
            dataset.name,
            dataset.classes.len()
        );
    }
    if let Some(difference) = classes::difference(&model.classes, &dataset.classes) {
        bail!(
            "the network was trained on other classes than those of {}: {difference}; the data set is \
             another",
            dataset.name
        );
    }
    let division = division.unwrap_or_else(|| Division::new(&settings, &dataset));
    let images = match args.split {
        Split::Test => dataset.test.clone(),
        Split::Val => dataset.train.subset(&division.indices(&dataset)?.1),
        Split::Train => dataset.train.subset(&division.indices(&dataset)?.0),
    };
    if let Some(numbers) = numbers {
        let some = evenly(images.len(), args.count as usize);
        let images = images.subset(&some).load()?;
        let report = Report::new(&model, numbers, &dataset.name, &images)?;
        report.print(args.json)?;
        return Ok(End::Done);
    }
    let gpu = args.adapter.open(&args.kernels)?;
    let preset = Tiling::parse(&args.kernels, &gpu).map_err(anyhow::Error::msg)?;
    let compiler = Compiler::new(&gpu, preset);
    let batch = args.batch.min(images.len());
    let (program, source) = evaluation(&compiler, &model, sites.evaluated(), &images, batch)?;
    let indices: Vec<u32> = (0..images.len() as u32).collect();
    let result = program.evaluate_all(&gpu, &source, &indices)?;
    if !result.loss.is_finite() {
        bail!(
            "the loss is not finite, since {} is not: the network is of no use; take an earlier \
             checkpoint, or train again with a lower learning rate",
            health::culprit(&model)
        );
    }
    if let Some(path) = &args.logits {
        let logits = program.logits(&gpu, &source, &indices)?;
        let shape = [images.len(), spec.classes];
        if logits.len() != images.len() * spec.classes {
            bail!(
                "--logits: some images of {} cannot be read, and the rows would not be theirs; \
                 remove those files",
                dataset.name
            );
        }
        let tensors = vec![
            ("logits".to_owned(), Tensor::f32(shape, logits)),
            (
                "labels".to_owned(),
                Tensor::u32([images.len()], images.labels().to_vec()),
            ),
        ];
        Checkpoint::new(tensors, BTreeMap::new()).save(path)?;
    }
    let kept: usize = model.tensors.kept(&model.layout).iter().sum();
    if args.json {
        let json = serde_json::json!({
            "model": spec.name,
            "dataset": dataset.name,
            "relu_total": model.network.relu_total(),
            "relu_count": kept,
            "images": result.images,
            "loss": result.loss,
            "top1": result.top1,
            "top5": result.top5,
            "astray": result.astray,
        });
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&json)?)?;
    } else {
        let astray = match result.astray {
            0 => String::new(),
            astray => format!(
                "; {astray} of them astray: their loss is above {:.0} or not finite, and left out",
                metrics::ASTRAY
            ),
        };
        writeln!(
            stdout(),
            "{} with {kept} of {} ReLUs on {} images of {}: top-1 {}, top-5 {}, loss {:.4}{astray}",
            spec.name,
            model.network.relu_total(),
            result.images,
            dataset.name,
            percent(result.top1),
            percent(result.top5),
            result.loss
        )?;
    }
    Ok(End::Done)
}
