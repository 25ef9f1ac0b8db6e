//! Times the convolutions of ResNet-8 and ResNet-18 (32×32 images) on the default adapter.
//!
//! `cargo bench --bench conv2d -- [--quick] [--batch N] [--preset NAME] [--adapter NAME] [FILTER]`
//!
//! Each line is the best of several runs; a run replays the pass often enough to hide the
//! submission. `compile` is how much longer the first run took, pipelines included: drivers
//! compile late. `CPU` is GFLOP per second of processor time of all threads, times the number
//! of cores: on a software adapter, what an idle machine would reach (Linux only).

use autorep::gpu::{AdapterChoice, Gpu, GpuError, Tape, View};
use autorep::kernels::conv2d::{self, Shape};
use autorep::kernels::{Compiler, Preset, Recipe};
use std::time::{Duration, Instant};

/// Layer, C, K, H = W, R, stride.
const LAYERS: &[(&str, usize, usize, usize, usize, usize)] = &[
    ("resnet8 stem", 3, 16, 32, 3, 1),
    ("resnet8 block 1", 16, 16, 32, 3, 1),
    ("resnet8 block 2 down", 16, 32, 32, 3, 2),
    ("resnet8 block 2 shortcut", 16, 32, 32, 1, 2),
    ("resnet8 block 2", 32, 32, 16, 3, 1),
    ("resnet8 block 3 down", 32, 64, 16, 3, 2),
    ("resnet8 block 3 shortcut", 32, 64, 16, 1, 2),
    ("resnet8 block 3", 64, 64, 8, 3, 1),
    ("resnet18 stem", 3, 64, 32, 3, 1),
    ("resnet18 stage 1", 64, 64, 32, 3, 1),
    ("resnet18 stage 2 down", 64, 128, 32, 3, 2),
    ("resnet18 stage 2 shortcut", 64, 128, 32, 1, 2),
    ("resnet18 stage 2", 128, 128, 16, 3, 1),
    ("resnet18 stage 3 down", 128, 256, 16, 3, 2),
    ("resnet18 stage 3 shortcut", 128, 256, 16, 1, 2),
    ("resnet18 stage 3", 256, 256, 8, 3, 1),
    ("resnet18 stage 4 down", 256, 512, 8, 3, 2),
    ("resnet18 stage 4 shortcut", 256, 512, 8, 1, 2),
    ("resnet18 stage 4", 512, 512, 4, 3, 1),
];

struct Options {
    quick: bool,
    batch: usize,
    preset: String,
    adapter: Option<String>,
    filter: String,
}

fn options() -> Result<Options, Box<dyn std::error::Error>> {
    let mut options = Options {
        quick: false,
        batch: 32,
        preset: "auto".to_owned(),
        adapter: None,
        filter: String::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => {}
            "--quick" => options.quick = true,
            "--batch" => options.batch = value()?.parse()?,
            "--preset" => options.preset = value()?,
            "--adapter" => options.adapter = Some(value()?),
            _ => options.filter = argument,
        }
    }
    Ok(options)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options()?;
    let gpu = Gpu::open(&AdapterChoice {
        adapter: options.adapter.clone(),
        backend: None,
    })?;
    let compiler = Compiler::new(&gpu, Preset::parse(&options.preset, &gpu)?);
    println!("{}, preset {}", gpu.report.name, compiler.preset);
    println!(
        "{:<26} {:<22} {:<8} {:>9} {:>9} {:>9} {:>11}",
        "layer", "shape", "pass", "ms", "GFLOP/s", "CPU", "compile ms"
    );
    for &(layer, c, k, size, kernel, stride) in LAYERS {
        let shape = Shape {
            batch: options.batch,
            in_channels: c,
            out_channels: k,
            height: size,
            width: size,
            kernel,
            stride,
            padding: kernel / 2,
        };
        let (x, w, y) = (shape.input_len(), shape.weight_len(), shape.output_len());
        type Build = fn(&Compiler, &Shape) -> Result<Recipe, GpuError>;
        let passes: [(&str, Build, [usize; 3]); 3] = [
            ("forward", conv2d::forward, [x, w, y]),
            ("data", |c, s| conv2d::data_gradient(c, s, false), [y, w, x]),
            ("weight", conv2d::weight_gradient, [x, y, w]),
        ];
        for (pass, build, lengths) in passes {
            let needless = pass == "data" && c == 3;
            if needless || !format!("{layer} {pass}").contains(&options.filter) {
                continue;
            }
            let start = Instant::now();
            let recipe = build(&compiler, &shape)?;
            let build = start.elapsed();
            let times = times(&gpu, &recipe, &lengths, options.quick)?;
            let rate = |time: Duration| shape.cost().flops / time.as_secs_f64() / 1e9;
            println!(
                "{:<26} {:<22} {:<8} {:>9.3} {:>9.1} {:>9.1} {:>11.0}",
                layer,
                format!("{c}→{k} {size}² {kernel}×{kernel}/{stride}"),
                pass,
                times.best.as_secs_f64() * 1e3,
                rate(times.best),
                rate(times.processor),
                (build + times.first.saturating_sub(times.best)).as_secs_f64() * 1e3,
            );
        }
    }
    Ok(())
}

struct Times {
    /// The first run, which may compile.
    first: Duration,
    /// The best run by the clock.
    best: Duration,
    /// The best run by processor time, divided by the cores; zero where it is not known.
    processor: Duration,
}

/// Times of one pass.
fn times(gpu: &Gpu, recipe: &Recipe, lengths: &[usize], quick: bool) -> Result<Times, GpuError> {
    let arguments = lengths
        .iter()
        .map(|&length| Ok(gpu.upload("argument", &vec![0.5f32; length])?.view()))
        .collect::<Result<Vec<View>, GpuError>>()?;
    let scratch = recipe
        .scratch
        .iter()
        .map(|&bytes| Ok(gpu.allocate("scratch", bytes)?.view()))
        .collect::<Result<Vec<View>, GpuError>>()?;
    let dispatches = recipe.bind(gpu, &arguments, &scratch, "bench")?;
    let run = |repeats: u32| {
        let mut tape = Tape::new();
        for dispatch in (0..repeats).flat_map(|_| &dispatches) {
            tape.push(dispatch.clone());
        }
        gpu.wait()?;
        let (start, processor) = (Instant::now(), processor_time());
        tape.submit(gpu)?;
        gpu.wait()?;
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get()) as u32;
        let processor = (processor_time() - processor) / cores;
        Ok::<_, GpuError>((start.elapsed() / repeats, processor / repeats))
    };
    let (runs, repeats) = if quick { (2, 2) } else { (5, 10) };
    let (first, _) = run(1)?;
    let mut times = Times {
        first,
        best: Duration::MAX,
        processor: Duration::MAX,
    };
    for _ in 0..runs {
        let (clock, processor) = run(repeats)?;
        times.best = times.best.min(clock);
        times.processor = times.processor.min(processor);
    }
    Ok(times)
}

/// Processor time of all threads of this process so far, zero where it is not known.
fn processor_time() -> Duration {
    let nanoseconds = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(nanoseconds)
}
