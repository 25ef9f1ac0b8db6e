//! Times whole steps: a teacher's forward pass alone (as evaluation runs it), its training step
//! (plain SGD), and a search's (teacher forward, gated forward and backward, scores).
//!
//! `cargo bench --bench step -- --help` lists the options.
//!
//! Prints images per second of the best of three runs, and on a software adapter the processor
//! time of a step divided by the cores, which is what it would take on an idle machine.
//! `autorep profile` shows where the time goes.

use autorep::cli::AdapterArgs;
use autorep::data::{Normalization, Resident, builtin};
use autorep::gpu::{AdapterClass, Gpu};
use autorep::graph::Activations;
use autorep::graph::{Arenas, Layout, Loaded, Tensors};
use autorep::kernels::compile::tuning::Tuner;
use autorep::kernels::dapa::{Fit, Form};
use autorep::kernels::step::StepScalars;
use autorep::kernels::{Compiler, Tiling};
use autorep::models::ModelSpec;
use autorep::profile::measure::processor_time;
use autorep::settings::Optimizer;
use autorep::step::{AUTOREP, EvalProgram, EvalSpec, TrainProgram, TrainSpec, Variation};
use clap::{Parser, value_parser};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

/// Times whole steps of a network.
#[derive(Parser)]
#[command(name = "cargo bench --bench step --", max_term_width = 100)]
struct Options {
    /// The network.
    #[arg(long, value_name = "NAME", default_value = "resnet8")]
    model: String,
    /// Images of a step.
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch: usize,
    /// Height and width of the images.
    #[arg(long, value_name = "N", default_value_t = 32)]
    size: usize,
    /// How kernels are tiled: auto, cpu, portable, large.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    preset: String,
    #[command(flatten)]
    adapter: AdapterArgs,
    /// Steps of each of the three runs.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u32).range(1..))]
    steps: u32,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let gpu = Gpu::open(&options.adapter.choice())?;
    let preset = Tiling::parse(&options.preset, &gpu)?;
    println!(
        "{} ({}), preset {preset}",
        gpu.report.name, gpu.report.driver
    );
    let compiler = Compiler::new(&gpu, preset).tuned(Tuner::where_it_pays(&gpu));
    let spec = ModelSpec {
        name: options.model.clone(),
        width: 1.0,
        input: (options.size, options.size),
        classes: 10,
    };
    let network = spec.build()?;
    let layout = Layout::new(&network);
    let tensors = Tensors::initial(&layout, 0);
    let images = builtin::generate(builtin::Spec {
        train: options.batch,
        test: 16,
        size: options.size,
        ..Default::default()
    })?;
    let images = Resident::upload(&gpu, &images.train)?;
    let fit = Fit {
        degree: 2,
        form: Form::Exact { limit: 2.0 },
    };
    let pixels = Normalization {
        mean: [0.5; 3],
        std: [0.25; 3],
    };
    let order: Vec<u32> = (0..options.batch as u32).collect();

    let begun = Instant::now();
    let arenas = Arenas::upload(&gpu, &tensors)?;
    let loaded = Loaded {
        network: &network,
        layout: &layout,
        arenas: &arenas,
    };
    let spec = EvalSpec {
        model: loaded,
        activations: Activations::Relu,
        images: &images,
        pixels,
        batch: options.batch,
        lent: &[],
    };
    let program = EvalProgram::compile(&compiler, &spec)?;
    program.set_order(&gpu, &order);
    let scalars = StepScalars {
        count: options.batch as u32,
        ..Default::default()
    };
    program.step(&gpu, &scalars)?;
    gpu.wait()?;
    let ready = begun.elapsed();
    let times = best_of_three(&gpu, options.steps, || Ok(program.step(&gpu, &scalars)?))?;
    report(&gpu, &options, "forward", times, ready);

    for search in [false, true] {
        let arenas = Arenas::upload(&gpu, &tensors)?;
        let teacher = Arenas::upload(&gpu, &tensors)?;
        let loaded = |arenas| Loaded {
            network: &network,
            layout: &layout,
            arenas,
        };
        let begun = Instant::now();
        let program = TrainProgram::compile(
            &compiler,
            &TrainSpec {
                student: loaded(&arenas),
                teacher: search.then(|| loaded(&teacher)),
                activations: match search {
                    false => Activations::Relu,
                    true => Activations::Gate {
                        fit: Some(fit),
                        degree: 2,
                        slopes: false,
                    },
                },
                batch: options.batch,
                micro_batches: 1,
                recompute: false,
                images: &images,
                pixels,
                variation: Variation {
                    pad: 4,
                    flip: true,
                    cutout: 0,
                },
                optimizer: if search {
                    Optimizer::Adam
                } else {
                    Optimizer::Sgd
                },
                search: search.then_some(&AUTOREP),
                lines: &[],
                lookahead: false,
                averaging: false,
            },
        )?;
        program.set_order(&gpu, &order);
        let scalars = StepScalars {
            rate: [1e-4; 4],
            count: options.batch as u32,
            augment: 1,
            kd_weight: 1.0,
            score_rate: 1e-3,
            refit: 1,
            ..Default::default()
        };
        program.step(&gpu, &scalars)?;
        gpu.wait()?;
        let ready = begun.elapsed();
        let times = best_of_three(&gpu, options.steps, || Ok(program.step(&gpu, &scalars)?))?;
        let phase = if search { "search" } else { "teacher" };
        report(&gpu, &options, phase, times, ready);
        let planned = program.memory.activations.planned >> 20;
        println!("  activations {planned} MiB");
    }
    Ok(())
}

/// A step of the best of three runs: (by the clock, by processor time where it is known).
fn best_of_three(
    gpu: &Gpu,
    steps: u32,
    step: impl Fn() -> Result<(), Failure>,
) -> Result<(Duration, Option<Duration>), Failure> {
    let (mut clock, mut processor) = (Duration::MAX, None);
    for _ in 0..3 {
        let (begun, before) = (Instant::now(), processor_time());
        for _ in 0..steps {
            step()?;
        }
        gpu.wait()?;
        clock = clock.min(begun.elapsed() / steps);
        if let (Some(before), Some(after)) = (before, processor_time()) {
            let spent = after.saturating_sub(before) / steps;
            processor = Some(processor.map_or(spent, |best: Duration| best.min(spent)));
        }
    }
    Ok((clock, processor))
}

fn report(
    gpu: &Gpu,
    options: &Options,
    phase: &str,
    (clock, processor): (Duration, Option<Duration>),
    ready: Duration,
) {
    print!(
        "{} {phase} batch {}: {:.2} ms a step, {:.0} images/s",
        options.model,
        options.batch,
        clock.as_secs_f64() * 1e3,
        options.batch as f64 / clock.as_secs_f64(),
    );
    if gpu.report.class == AdapterClass::Software
        && let Some(processor) = processor
    {
        print!("; processor {:.2} ms", processor.as_secs_f64() * 1e3);
    }
    println!("; ready after {:.1} s", ready.as_secs_f64());
}
