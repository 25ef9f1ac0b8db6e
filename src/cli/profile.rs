//! `autorep profile`

use super::common::{AdapterArgs, note};
use super::end::End;
use crate::data::{self, OpenOptions};
use crate::files::write_atomic;
use crate::gpu::{AdapterReport, Gpu, MAX_GRID};
use crate::kernels::compile::tuning::Tuner;
use crate::kernels::gate::{self, Activation, Residual};
use crate::kernels::{Compiler, Tiling, conv2d, plane};
use crate::models::ModelSpec;
use crate::profile::report::{Measured, Subject, timeline};
use crate::profile::step::{Phase, Step, StepSpec};
use crate::profile::suite::{self, Case};
use crate::profile::text::{self, Look};
use crate::profile::trace::trace;
use crate::profile::{Effort, Profile, Roofline};
use crate::settings::MOST_BATCH;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `autorep profile`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Architecture, as `autorep train` takes it.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Multiplier of the architecture's channel counts.
    #[arg(
        long,
        value_name = "FACTOR",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    width: f64,
    /// Images of a step.
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch: usize,
    /// Take a batch in N parts, as `autorep train` does.
    #[arg(long, value_name = "N", default_value_t = 1)]
    micro_batches: usize,
    /// Compute activations again in the backward pass instead of keeping them.
    #[arg(long)]
    recompute: bool,
    /// Only show the memory that a step takes, as planned for a GPU: needs no adapter, and no
    /// memory.
    #[arg(long, conflicts_with_all = ["trace", "json", "kernel", "compare", "adapter", "backend"])]
    plan: bool,
    /// What is done again and again.
    #[arg(long, value_enum, default_value = "teacher")]
    phase: Phase,
    /// Images: `builtin`, or a folder.
    #[arg(long, value_name = "PATH", default_value = "builtin")]
    data: String,
    /// Scale images to N×N.
    #[arg(long, value_name = "N")]
    image_size: Option<u32>,
    /// Write the profile as JSON; `-` is standard output, and takes the text's place.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a timeline for Perfetto (ui.perfetto.dev) or Chrome's about:tracing.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Show every layer, not only the longest.
    #[arg(long)]
    all: bool,
    /// Rounds to measure; fewer when they take long, but at least 3.
    #[arg(long, value_name = "N", default_value_t = 15)]
    rounds: usize,
    /// Measure the adapter's peak and bandwidth anew, whatever the cache says.
    #[arg(long)]
    no_cache: bool,
    /// Use the kernel variants that the rules choose, without timing others.
    #[arg(long)]
    no_tune: bool,
    /// Instead of a step: one kernel (conv2d, gate, batch_norm) under every preset that the
    /// adapter can run.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["model", "trace", "json", "compare"])]
    kernel: Option<String>,
    /// Its shape: c=64,h=32 and, where they are not n=BATCH, w=h, k=c, r=3, stride=1,
    /// padding=r/2, those as well.
    #[arg(long, value_name = "SHAPE", requires = "kernel")]
    shape: Option<String>,
    /// Instead of measuring: what changed between two profiles that --json wrote.
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"], conflicts_with_all = ["model", "trace", "json"])]
    compare: Option<Vec<PathBuf>>,
    /// Kernel preset: auto, cpu, portable, large.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    preset: String,
    #[command(flatten)]
    adapter: AdapterArgs,
}

pub(super) fn run(args: Args) -> Result<End> {
    if let Some(files) = &args.compare {
        compare(files)?;
    } else if let Some(kernel) = &args.kernel {
        profile_kernel(&args, kernel)?;
    } else if let Some(model) = &args.model {
        profile_step(&args, model)?;
    } else {
        bail!(
            "what to profile? A step of a network (--model resnet18), or one kernel \
             (--kernel conv2d --shape c=64,h=32)"
        );
    }
    Ok(End::Done)
}

impl Args {
    fn effort(&self) -> Effort {
        Effort {
            samples: self.rounds,
            budget: Duration::from_secs(20),
        }
    }

    fn open(&self) -> Result<(Gpu, Tiling)> {
        if !(1..=MOST_BATCH).contains(&self.batch) {
            bail!("--batch {}: must lie in 1…65535", self.batch);
        }
        if self.plan {
            let gpu = Gpu::planner(&AdapterReport::typical());
            let preset = Tiling::parse(&self.preset, &gpu).map_err(anyhow::Error::msg)?;
            return Ok((gpu, preset));
        }
        let gpu = self.adapter.open(&self.preset)?;
        let preset = Tiling::parse(&self.preset, &gpu).map_err(anyhow::Error::msg)?;
        Ok((gpu, preset))
    }

    /// What chooses among variants of kernels: as in a run.
    fn tuner(&self, gpu: &Gpu) -> Option<Tuner> {
        (!self.plan && !self.no_tune)
            .then(|| Tuner::where_it_pays(gpu))
            .flatten()
    }

    /// The adapter's roofs, with a word on where they come from.
    fn roofline(&self, compiler: &Compiler) -> Result<Roofline> {
        let (roofline, now) = Roofline::of(compiler, self.no_cache)?;
        let origin = match now {
            true => "measured now",
            false => "measured earlier; --no-cache measures anew",
        };
        note(format_args!(
            "roofline: {} ({origin})",
            text::roofs(&roofline)
        ));
        Ok(roofline)
    }
}

fn profile_step(args: &Args, model: &str) -> Result<()> {
    let (gpu, preset) = args.open()?;
    let options = OpenOptions {
        size: args.image_size,
        progress: std::io::stderr().is_terminal(),
        ..Default::default()
    };
    let dataset = data::open(&args.data, &options)?;
    let images = match args.phase {
        Phase::Eval => &dataset.test,
        Phase::Teacher | Phase::Search => &dataset.train,
    };
    if images.len() < args.batch {
        bail!(
            "--batch {}: {} has only {} images for it",
            args.batch,
            dataset.name,
            images.len()
        );
    }
    let parts = args.micro_batches;
    if parts == 0 || !args.batch.is_multiple_of(parts) {
        bail!(
            "--micro-batches {parts}: must divide the batch of {}",
            args.batch
        );
    }
    if parts > 1 && args.phase == Phase::Eval {
        bail!("--micro-batches {parts}: an evaluation takes its batches whole");
    }
    let spec = ModelSpec {
        name: model.to_owned(),
        width: args.width,
        input: (images.height, images.width),
        classes: dataset.classes.len(),
    };
    let network = spec.build()?;
    let compiler = Compiler::new(&gpu, preset).tuned(args.tuner(&gpu));
    let spec_of_step = StepSpec {
        network: &network,
        phase: args.phase,
        batch: args.batch,
        micro_batches: parts,
        recompute: args.recompute,
        images,
        pixels: dataset.normalization,
    };
    if args.plan {
        let step = Step::compile(&compiler, &spec_of_step)?;
        write!(
            stdout(),
            "{}",
            text::memory(Look::of_stdout(), step.memory())
        )?;
        return Ok(());
    }
    let roofline = args.roofline(&compiler)?;
    let step = Step::compile(&compiler, &spec_of_step)?;
    let measured = Measured::take(&gpu, &step, args.effort())?;
    let report = &gpu.report;
    let subject = Subject {
        model: spec.name,
        width: spec.width,
        image_size: spec.input,
        classes: spec.classes,
        data: dataset.name.clone(),
        phase: args.phase,
        batch: args.batch,
        micro_batches: parts,
        recompute: args.recompute,
        adapter: format!("{} ({}, {})", report.name, report.backend, report.driver),
        preset: preset.to_string(),
    };
    let title = format!(
        "{} {} batch {}",
        subject.model, subject.phase, subject.batch
    );
    let profile_with = |roofline| {
        let (subject, memory) = (subject.clone(), step.memory().clone());
        Profile::new(subject, roofline, memory, step.work(), &measured)
    };
    let mut profile = profile_with(roofline);
    if profile.beats_roofline() {
        note(format_args!(
            "the step is faster than these roofs: the machine was busy when they were measured, which is done once more"
        ));
        profile = profile_with(roofline.raised(&compiler)?);
    }
    if let Some(path) = &args.trace
        && let Some(timing) = measured.timings.last()
    {
        let trace = trace(&title, timeline(step.work(), timing));
        write_atomic(path, &serde_json::to_vec(&trace)?)?;
    }
    match &args.json {
        Some(path) if path == Path::new("-") => {
            return Ok(writeln!(
                stdout(),
                "{}",
                serde_json::to_string_pretty(&profile)?
            )?);
        }
        Some(path) => write_atomic(path, &serde_json::to_vec_pretty(&profile)?)?,
        None => {}
    }
    let text = text::profile(Look::of_stdout(), &profile, args.all);
    write!(stdout(), "{text}")?;
    Ok(())
}

fn compare(files: &[PathBuf]) -> Result<()> {
    let [before, after] = files else {
        bail!("--compare wants two files");
    };
    let read = |path: &PathBuf| -> Result<Profile> {
        let text =
            std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
        serde_json::from_slice(&text).with_context(|| {
            let name = path.display();
            format!("{name}: is no profile of this version of `autorep profile --json`")
        })
    };
    let (before, after) = (read(before)?, read(after)?);
    let text = text::comparison(Look::of_stdout(), &before, &after);
    write!(stdout(), "{text}")?;
    Ok(())
}

fn profile_kernel(args: &Args, kernel: &str) -> Result<()> {
    let cases = cases(kernel, args.shape.as_deref().unwrap_or(""), args.batch)?;
    let (gpu, preset) = args.open()?;
    let compiler = Compiler::new(&gpu, preset);
    let roofline = args.roofline(&compiler)?;
    let mut presets = vec![Tiling::Portable, Tiling::Large];
    presets.extend(Tiling::parse("cpu", &gpu));
    let look = Look::of_stdout();
    let mut out = stdout();
    writeln!(out, "{}", text::row_head(look))?;
    for case in &cases {
        for &preset in &presets {
            let compiler = compiler.with_tiling(preset);
            let mut row = case.measure(&compiler, &roofline, args.effort())?;
            row.layer = preset.to_string();
            writeln!(out, "{}", text::row(look, &row, None))?;
            if row.stages.len() > 1 {
                for (kernel, seconds) in &row.stages {
                    writeln!(out, "{}", text::stage(look, kernel, *seconds))?;
                }
            }
        }
    }
    Ok(())
}

/// The cases of a kernel family on a shape.
fn cases(kernel: &str, shape: &str, batch: usize) -> Result<Vec<Case>> {
    const FAMILIES: &str = "choose among conv2d, gate, batch_norm";
    let keys: &[&str] = match kernel {
        "conv2d" => &["n", "c", "k", "h", "w", "r", "stride", "padding"],
        "gate" | "batch_norm" => &["n", "c", "h", "w"],
        other => bail!("--kernel {other}: there is no such family here; {FAMILIES}"),
    };
    let shape = Shape::parse(shape, keys)?;
    let n = shape.get("n", batch);
    let c = shape.wanted("c")?;
    let h = shape.wanted("h")?;
    let w = shape.get("w", h);
    let plane = plane::Shape {
        batch: n,
        channels: c,
        pixels: h * w,
    };
    Ok(match kernel {
        "conv2d" => {
            let r = shape.get("r", 3);
            let shape = conv2d::Shape {
                batch: n,
                in_channels: c,
                out_channels: shape.get("k", c),
                height: h,
                width: w,
                kernel: r,
                stride: shape.get("stride", 1),
                padding: shape.get("padding", r / 2),
            };
            if !(1..=2).contains(&shape.stride) {
                bail!("--shape stride={}: must be 1 or 2", shape.stride);
            }
            if h.min(w) + 2 * shape.padding < r {
                bail!("--shape: an {h}×{w} image is smaller than the {r}×{r} kernel");
            }
            suite::convolution("conv2d", "", shape, true)
        }
        "gate" => [Residual::None, Residual::Plain, Residual::Normalized]
            .into_iter()
            .flat_map(|residual| {
                let spec = gate::Spec {
                    shape: plane,
                    normalized: true,
                    residual,
                    activation: Activation::Gate,
                    bounded: false,
                };
                suite::gate_passes("gate", "", spec)
            })
            .collect(),
        _ => suite::norm_passes("batch_norm", "", plane),
    })
}

/// `key=value` pairs of `--shape`.
struct Shape(BTreeMap<String, usize>);

impl Shape {
    fn parse(text: &str, keys: &[&str]) -> Result<Self> {
        let mut pairs = BTreeMap::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                bail!("--shape: `{pair}` is no KEY=NUMBER; for example c=64,h=32");
            };
            if !keys.contains(&key) {
                bail!(
                    "--shape: there is no `{key}` here; there are {}",
                    keys.join(", ")
                );
            }
            let value: usize = match value.parse() {
                Ok(value) if value <= MAX_GRID as usize && (value > 0 || key == "padding") => value,
                _ => bail!("--shape {pair}: must be a whole number from 1 to 65535"),
            };
            pairs.insert(key.to_owned(), value);
        }
        Ok(Self(pairs))
    }

    fn get(&self, key: &str, otherwise: usize) -> usize {
        self.0.get(key).copied().unwrap_or(otherwise)
    }

    fn wanted(&self, key: &str) -> Result<usize> {
        let value = self.0.get(key).copied();
        value.with_context(|| format!("--shape wants {key}=…, as in --shape c=64,h=32"))
    }
}
