//! Times whole training steps: a teacher's (plain SGD) and a search's (teacher forward, gated
//! forward and backward, scores).
//!
//! `cargo bench --bench step -- [--model NAME] [--batch N] [--size N] [--preset NAME]
//! [--adapter NAME] [--steps N]`
//!
//! Prints images per second of the best of three runs. `autorep profile` shows where the time
//! goes.

use autorep::data::{Resident, builtin};
use autorep::gpu::{AdapterChoice, Gpu};
use autorep::graph::plan::Activations;
use autorep::graph::{Arenas, Layout, Tensors};
use autorep::kernels::dapa::Fit;
use autorep::kernels::step::StepScalars;
use autorep::kernels::{Compiler, Preset};
use autorep::models::ModelSpec;
use autorep::train::program::{Loaded, Normalization, TrainProgram, TrainSpec, Variation};
use autorep::train::settings::Optimizer;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

struct Options {
    model: String,
    batch: usize,
    size: usize,
    preset: String,
    adapter: Option<String>,
    steps: u32,
}

fn options() -> Result<Options, Failure> {
    let mut options = Options {
        model: "resnet8".into(),
        batch: 128,
        size: 32,
        preset: "auto".into(),
        adapter: None,
        steps: 10,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => {}
            "--model" => options.model = value()?,
            "--batch" => options.batch = value()?.parse()?,
            "--size" => options.size = value()?.parse()?,
            "--preset" => options.preset = value()?,
            "--adapter" => options.adapter = Some(value()?),
            "--steps" => options.steps = value()?.parse()?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(options)
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    let gpu = Gpu::open(&AdapterChoice {
        adapter: options.adapter.clone(),
        backend: None,
    })?;
    let preset = Preset::parse(&options.preset, &gpu)?;
    println!(
        "{} ({}), preset {preset}",
        gpu.report.name, gpu.report.driver
    );
    let compiler = Compiler::new(&gpu, preset);
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
        official: None,
        limit: 2.0,
    };
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
                    },
                },
                batch: options.batch,
                micro_batches: 1,
                recompute: false,
                images: &images,
                pixels: Normalization {
                    mean: [0.5; 3],
                    std: [0.25; 3],
                },
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
                search,
                lookahead: false,
                averaging: false,
            },
        )?;
        let order: Vec<u32> = (0..options.batch as u32).collect();
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
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let begun = Instant::now();
            for _ in 0..options.steps {
                program.step(&gpu, &scalars)?;
            }
            gpu.wait()?;
            best = best.min(begun.elapsed() / options.steps);
        }
        println!(
            "{} {} batch {}: {:.1} ms a step, {:.0} images/s; ready after {:.1} s; activations {} MiB",
            options.model,
            if search { "search" } else { "teacher" },
            options.batch,
            best.as_secs_f64() * 1e3,
            options.batch as f64 / best.as_secs_f64(),
            ready.as_secs_f64(),
            program.memory.activations.planned >> 20,
        );
    }
    Ok(())
}
