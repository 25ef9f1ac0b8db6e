//! burn's side of `benches/peers/compare`: whole training steps and single convolutions on
//! burn's wgpu backend.
//!
//! `burn-peer [--model NAME]... [--conv C,K,SIZE,KERNEL,STRIDE]... [--batch N] [--size N]
//! [--seconds S] [--rounds N]`
//!
//! One JSON object a line; `benches/peers/README.md` says what its keys mean. The first step,
//! which compiles and autotunes, is `ready_s`; what counts is the best of several rounds.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, DeviceKind, Distribution, Int, Tensor};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

const CLASSES: usize = 10;

struct Options {
    models: Vec<String>,
    convolutions: Vec<[usize; 5]>,
    batch: usize,
    size: usize,
    seconds: f64,
    rounds: u32,
}

fn options() -> Result<Options, Failure> {
    let mut options = Options {
        models: Vec::new(),
        convolutions: Vec::new(),
        batch: 32,
        size: 32,
        seconds: 1.0,
        rounds: 3,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--model" => options.models.push(value()?),
            "--conv" => options.convolutions.push(shape(&value()?)?),
            "--batch" => options.batch = value()?.parse()?,
            "--size" => options.size = value()?.parse()?,
            "--seconds" => options.seconds = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse::<u32>()?.max(1),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(options)
}

/// C,K,SIZE,KERNEL,STRIDE as five numbers.
fn shape(text: &str) -> Result<[usize; 5], Failure> {
    let numbers = text
        .split(',')
        .map(str::parse)
        .collect::<Result<Vec<usize>, _>>()?;
    numbers
        .try_into()
        .map_err(|_| format!("{text} is not C,K,SIZE,KERNEL,STRIDE").into())
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    for &convolution in &options.convolutions {
        print(&device, conv(&options, convolution, &device)?);
    }
    for model in &options.models {
        print(&device, step(&options, model, &device)?);
    }
    Ok(())
}

/// Adds what is the same for every line, and prints it.
fn print(device: &Device, mut line: Value) {
    let adapter = device.identity().map(|identity| identity.name);
    line["peer"] = "burn".into();
    line["variant"] = match (cfg!(feature = "autotune"), cfg!(feature = "fusion")) {
        (true, true) => "wgpu, autotune, fusion",
        (true, false) => "wgpu, autotune",
        (false, true) => "wgpu, fusion",
        (false, false) => "wgpu",
    }
    .into();
    line["adapter"] = adapter.into();
    println!("{line}");
}

/// A training step: forward, cross-entropy, backward, SGD with momentum and weight decay.
fn step(options: &Options, model: &str, device: &Device) -> Result<Value, Failure> {
    let device = device.clone().autodiff();
    let Options { batch, size, .. } = *options;
    let network = match model {
        "resnet8" => ResNet::new(&[16, 32, 64], 1, &device),
        "resnet20" => ResNet::new(&[16, 32, 64], 3, &device),
        "resnet18" => ResNet::new(&[64, 128, 256, 512], 2, &device),
        _ => return Err(format!("there is no model {model} here").into()),
    };
    let momentum = MomentumConfig::new()
        .with_dampening(0.0)
        .with_nesterov(true);
    let mut optimizer = SgdConfig::new()
        .with_momentum(Some(momentum))
        .with_weight_decay(Some(WeightDecayConfig::new(5e-4)))
        .init();
    let normal = Distribution::Normal(0.0, 1.0);
    let images = Tensor::<4>::random([batch, 3, size, size], normal, &device);
    let labels: Vec<i32> = (0..batch).map(|image| (image % CLASSES) as i32).collect();
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
    let entropy = CrossEntropyLossConfig::new().init(&device);

    let start = (network, Tensor::<1>::zeros([1], &device));
    let (times, (_, loss)) = times(options, &device, start, |(network, _)| {
        let logits = network.forward(images.clone());
        let loss = entropy.forward(logits, labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        (optimizer.step(1e-3, network, gradients), loss)
    })?;
    Ok(json!({
        "kind": "step", "phase": "teacher", "model": model, "batch": batch, "size": size,
        "step_ms": milliseconds(times.clock), "step_cpu_ms": times.processor.map(milliseconds),
        "images_per_second": batch as f64 / times.clock.as_secs_f64(),
        "ready_s": times.ready.as_secs_f64(), "loss": loss.into_scalar::<f32>(),
    }))
}

/// A convolution's forward pass, without automatic differentiation.
fn conv(options: &Options, shape: [usize; 5], device: &Device) -> Result<Value, Failure> {
    let [inputs, outputs, size, kernel, stride] = shape;
    let normal = Distribution::Normal(0.0, 1.0);
    let x = Tensor::<4>::random([options.batch, inputs, size, size], normal, device);
    let layer = convolution(inputs, outputs, kernel, stride, device);
    let (times, y) = times(options, device, x.clone(), |_| layer.forward(x.clone()))?;
    let products = y.dims().iter().product::<usize>() * inputs * kernel * kernel;
    Ok(json!({
        "kind": "conv", "pass": "forward", "shape": shape, "batch": options.batch,
        "ms": milliseconds(times.clock), "cpu_ms": times.processor.map(milliseconds),
        "gflops": 2.0 * products as f64 / times.clock.as_secs_f64() / 1e9, "ready_s": times.ready.as_secs_f64(),
    }))
}

struct Times {
    /// The first run, which compiles and tunes.
    ready: Duration,
    /// A run of the best round, by the clock.
    clock: Duration,
    /// A run of the best round by processor time divided by the cores, on a software adapter.
    processor: Option<Duration>,
}

/// Times `run`, which takes what the run before it returned.
fn times<State>(
    options: &Options,
    device: &Device,
    state: State,
    mut run: impl FnMut(State) -> State,
) -> Result<(Times, State), Failure> {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get()) as u32;
    let mut repeat = |mut state: State, count: u32| {
        let (start, processor) = (Instant::now(), processor_time());
        for _ in 0..count {
            state = run(state);
        }
        device.sync()?;
        let processor = (processor_time() - processor) / cores;
        Ok::<_, Failure>((state, start.elapsed() / count, processor / count))
    };
    let (state, ready, _) = repeat(state, 1)?;
    let (mut state, once, _) = repeat(state, 1)?;
    let count = (options.seconds / once.as_secs_f64())
        .ceil()
        .clamp(1.0, 1e4) as u32;
    let (mut clock, mut processor) = (Duration::MAX, Duration::MAX);
    for _ in 0..options.rounds {
        let (next, by_clock, by_processor) = repeat(state, count)?;
        state = next;
        clock = clock.min(by_clock);
        processor = processor.min(by_processor);
    }
    let software = device.identity().is_some_and(|it| it.physical.is_none());
    let times = Times {
        ready,
        clock,
        processor: software.then_some(processor),
    };
    Ok((times, state))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
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

/// Basic blocks, a 3×3 stem without ReLU: as src/models/resnet.rs of the main crate.
#[derive(Module, Debug)]
struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    blocks: Vec<Block>,
    pool: AdaptiveAvgPool2d,
    fc: Linear,
}

impl ResNet {
    fn new(widths: &[usize], blocks: usize, device: &Device) -> Self {
        let mut channels = widths[0];
        let mut all = Vec::new();
        for (stage, &width) in widths.iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                all.push(Block::new(channels, width, stride, device));
                channels = width;
            }
        }
        Self {
            conv1: convolution(3, widths[0], 3, 1, device),
            bn1: BatchNormConfig::new(widths[0]).init(device),
            blocks: all,
            pool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            fc: LinearConfig::new(channels, CLASSES).init(device),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let stem = self.bn1.forward(self.conv1.forward(images));
        let x = self.blocks.iter().fold(stem, |x, block| block.forward(x));
        self.fc.forward(self.pool.forward(x).flatten(1, 3))
    }
}

#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    /// Where the shape changes.
    shortcut: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    fn new(inputs: usize, outputs: usize, stride: usize, device: &Device) -> Self {
        let norm = || BatchNormConfig::new(outputs).init(device);
        let changes = stride != 1 || inputs != outputs;
        Self {
            conv1: convolution(inputs, outputs, 3, stride, device),
            bn1: norm(),
            conv2: convolution(outputs, outputs, 3, 1, device),
            bn2: norm(),
            shortcut: changes.then(|| (convolution(inputs, outputs, 1, stride, device), norm())),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.shortcut {
            Some((conv, norm)) => norm.forward(conv.forward(x.clone())),
            None => x.clone(),
        };
        let x = relu(self.bn1.forward(self.conv1.forward(x)));
        let x = self.bn2.forward(self.conv2.forward(x));
        relu(x + shortcut)
    }
}

fn convolution(
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    device: &Device,
) -> Conv2d {
    let half = kernel / 2;
    Conv2dConfig::new([inputs, outputs], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(half, half, half, half))
        .with_bias(false)
        .init(device)
}
