//! Single kernels on the shapes of networks: what `cargo bench` times, and
//! `autorep profile --kernel`.

use super::measure::{Effort, processor_time, timings};
use super::roofline::Roofline;
use super::statistics::{Statistics, ratio};
use crate::gpu::{Gpu, GpuError, Tape, Timing, View};
use crate::graph::{Layout, Network, NodeId, Op};
use crate::kernels::batch_norm::NormSlot;
use crate::kernels::gate::{Activation, Residual};
use crate::kernels::indicator::Rule;
use crate::kernels::metrics::Prices;
use crate::kernels::step::StepScalars;
use crate::kernels::{
    Compiler, Cost, Recipe, add, augment, batch_norm, conv2d, gate, indicator, optimizer, plane,
    threshold,
};
use crate::models::{ModelError, ModelSpec};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// A recipe on one shape.
pub struct Case {
    /// Network, or kind of kernel.
    pub group: String,
    /// First layer of this shape, and how many there are.
    pub layer: String,
    /// The shape.
    pub shape: String,
    /// What is computed: `forward`, `data`, `weight`, …
    pub pass: &'static str,
    arguments: Vec<Argument>,
    /// Arguments, all of floats, that the kernels before have just written or read in a step,
    /// the last one last.
    fresh: &'static [usize],
    build: Box<Build>,
}

type Build = dyn Fn(&Compiler) -> Result<Recipe, GpuError>;

/// What a recipe is run on. The values do not matter for the time, as long as they are ordinary
/// numbers.
#[derive(Clone)]
enum Argument {
    Floats(usize),
    Words(Vec<u32>),
    Scalars(StepScalars),
}

use Argument::{Floats, Scalars, Words};

impl Argument {
    fn bytes(&self) -> u64 {
        match self {
            Floats(length) => 4 * *length as u64,
            Words(words) => 4 * words.len() as u64,
            Scalars(_) => size_of::<StepScalars>() as u64,
        }
    }

    fn upload(&self, gpu: &Gpu) -> Result<View, GpuError> {
        let buffer = match self {
            Floats(length) => gpu.upload("argument", &vec![0.5f32; *length])?,
            Words(words) => gpu.upload("argument", words)?,
            Scalars(scalars) => {
                let buffer = gpu.allocate_uniform("argument", self.bytes())?;
                gpu.write(&buffer.view(), &[*scalars]);
                buffer
            }
        };
        Ok(buffer.view())
    }
}

/// What was measured of a case; what `cargo bench -- --save` keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Network, or kind of kernel.
    pub group: String,
    /// First layer of this shape, and how many there are.
    pub layer: String,
    /// The shape.
    pub shape: String,
    /// What is computed.
    pub pass: String,
    /// Kernels of the recipe with the median seconds of each.
    pub stages: Vec<(String, f64)>,
    /// Seconds of all of them together.
    pub time: Statistics,
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes that must be moved.
    pub bytes: f64,
    /// Least seconds by the roofline.
    pub floor_seconds: f64,
    /// Processor time divided by the number of cores, where it is known.
    pub processor_seconds: Option<f64>,
    /// Seconds that the first run took longer than the others, pipelines included.
    pub compile_seconds: f64,
}

impl Row {
    /// What tells this case from the others.
    pub fn name(&self) -> String {
        name([&self.group, &self.layer, &self.shape, &self.pass])
    }

    /// Share of what the adapter can do.
    pub fn roofline(&self) -> f64 {
        ratio(self.floor_seconds, self.time.median)
    }
}

fn name(parts: [&str; 4]) -> String {
    parts.join(" ")
}

/// Bytes that the argument sets of a case take together at the least: more than caches hold, so
/// that operands come from where they come from within a step, all but the fresh ones.
const BEYOND_CACHES: u64 = 96 << 20;
/// Most argument sets.
const MOST_SETS: u64 = 8;

impl Case {
    /// What tells this case from the others.
    pub fn name(&self) -> String {
        name([&self.group, &self.layer, &self.shape, self.pass])
    }

    /// Times the case. Its runs take turns over several sets of arguments; what is fresh in a
    /// step is copied to its place before each.
    ///
    /// # Errors
    /// [`GpuError`] where memory runs out, a shader is refused or the device is gone.
    pub fn measure(
        &self,
        compiler: &Compiler,
        roofline: &Roofline,
        effort: Effort,
    ) -> Result<Row, GpuError> {
        let gpu = compiler.gpu;
        let begun = Instant::now();
        let recipe = (self.build)(compiler)?;
        let building = begun.elapsed();

        let turns = self.turns(compiler, &recipe)?;
        let mut endless = turns.iter().cycle();
        let mut next = || endless.next().unwrap_or(&turns[0]);

        gpu.wait()?;
        let begun = Instant::now();
        next().timed.submit(gpu)?;
        gpu.wait()?;
        let first = building + begun.elapsed();
        next().time(gpu)?;
        let timings = timings(effort, || next().time(gpu))?;
        let time = timings.total();
        let processor_seconds = processor_seconds(gpu, &turns, time.median)?;
        let names = recipe
            .stages
            .iter()
            .map(|(kernel, _)| kernel.pipeline.name().to_owned());
        let medians = timings.dispatches().into_iter().map(|time| time.median);
        let cost: Cost = recipe.costs().sum();
        Ok(Row {
            group: self.group.clone(),
            layer: self.layer.clone(),
            shape: self.shape.clone(),
            pass: self.pass.to_owned(),
            stages: names.zip(medians).collect(),
            time,
            flops: cost.flops,
            bytes: cost.bytes,
            floor_seconds: recipe.costs().map(|cost| roofline.floor(cost)).sum(),
            processor_seconds,
            compile_seconds: (first.as_secs_f64() - time.median).max(0.0),
        })
    }

    /// As many sets of arguments as are larger than caches.
    fn turns(&self, compiler: &Compiler, recipe: &Recipe) -> Result<Vec<Turn>, GpuError> {
        let gpu = compiler.gpu;
        let bytes: u64 = self.arguments.iter().map(Argument::bytes).sum();
        let sets = BEYOND_CACHES.div_ceil(bytes.max(1)).clamp(1, MOST_SETS);
        let scratch = recipe
            .scratch
            .iter()
            .map(|&bytes| Ok(gpu.allocate("scratch", bytes)?.view()))
            .collect::<Result<Vec<View>, GpuError>>()?;
        let mut turns: Vec<Turn> = (0..sets).map(|_| Turn::default()).collect();
        let lengths = self
            .fresh
            .iter()
            .map(|&index| self.arguments[index].bytes() / 4);
        let lengths: Vec<usize> = lengths.map(|length| length as usize).collect();
        let source = Floats(lengths.iter().copied().max().unwrap_or(1)).upload(gpu)?;
        for turn in &mut turns {
            let arguments = self.arguments.iter().map(|argument| argument.upload(gpu));
            let arguments = arguments.collect::<Result<Vec<View>, GpuError>>()?;
            for (&index, &length) in self.fresh.iter().zip(&lengths) {
                let operands = [arguments[index].clone(), source.clone()];
                let copy = add::copy(compiler, length)?.bind(gpu, &operands, &[], "fresh")?;
                copy.into_iter().for_each(|copy| turn.before.push(copy));
            }
            let timed = recipe.bind(gpu, &arguments, &scratch, "bench")?;
            timed
                .into_iter()
                .for_each(|dispatch| turn.timed.push(dispatch));
        }
        Ok(turns)
    }
}

/// A case on one set of arguments.
#[derive(Default)]
struct Turn {
    /// Brings the fresh ones.
    before: Tape,
    timed: Tape,
}

impl Turn {
    fn time(&self, gpu: &Gpu) -> Result<Timing, GpuError> {
        self.before.submit(gpu)?;
        self.timed.time(gpu)
    }
}

/// Processor time of a run, as the best of some: many runs at once hide what submitting costs.
fn processor_seconds(gpu: &Gpu, turns: &[Turn], seconds: f64) -> Result<Option<f64>, GpuError> {
    const ROUNDS: usize = 3;
    let repeats = ((0.02 / seconds.max(1e-6)) as usize).clamp(1, 100);
    let spent = |with_timed: bool| {
        gpu.wait()?;
        let Some(begun) = processor_time() else {
            return Ok(None);
        };
        for turn in turns.iter().cycle().take(repeats) {
            turn.before.submit(gpu)?;
            if with_timed {
                turn.timed.submit(gpu)?;
            }
        }
        gpu.wait()?;
        Ok(processor_time().map(|now| now.saturating_sub(begun)))
    };
    let least = |with_timed: bool| {
        let rounds = (0..ROUNDS).map(|_| spent(with_timed));
        let rounds = rounds.collect::<Result<Option<Vec<Duration>>, GpuError>>()?;
        Ok(rounds.and_then(|rounds| rounds.into_iter().min()))
    };
    let (Some(both), Some(before)) = (least(true)?, least(false)?) else {
        return Ok(None);
    };
    Ok(Some(
        both.saturating_sub(before).as_secs_f64() / repeats as f64,
    ))
}

/// The networks whose shapes the suite takes.
pub const NETWORKS: &[&str] = &["resnet18", "wide_resnet_22_8"];

/// The suite: convolutions, gates and batch norms of `networks` (names of models, on 32×32
/// images), then optimiser, scores and augmentation for the first of them.
///
/// # Errors
/// [`ModelError`] when there is no such model.
pub fn suite(networks: &[&str], batch: usize) -> Result<Vec<Case>, ModelError> {
    let mut cases = Vec::new();
    for (index, name) in networks.iter().enumerate() {
        let spec = ModelSpec {
            name: (*name).to_owned(),
            width: 1.0,
            input: (32, 32),
            classes: 10,
        };
        let network = spec.build()?;
        cases.extend(convolutions(&network, batch));
        cases.extend(gates(&network, batch));
        cases.extend(norms(&network, batch));
        if index == 0 {
            cases.extend(updates(&network));
            cases.push(images(batch, spec.input));
        }
    }
    Ok(cases)
}

/// Things of a network, those that are equal together: the name of the first, and how many.
fn distinct<T: PartialEq>(things: impl Iterator<Item = (String, T)>) -> Vec<(String, T)> {
    let mut found: Vec<(String, usize, T)> = Vec::new();
    for (name, thing) in things {
        match found.iter_mut().find(|(_, _, known)| *known == thing) {
            Some((_, count, _)) => *count += 1,
            None => found.push((name, 1, thing)),
        }
    }
    let counted = |name: String, count| match count {
        1 => name,
        _ => format!("{name} ×{count}"),
    };
    let found = found.into_iter();
    found
        .map(|(name, count, thing)| (counted(name, count), thing))
        .collect()
}

/// Forward pass, data gradient (but of the images) and weight gradient of every convolution
/// shape in one group.
fn convolutions(network: &Network, batch: usize) -> Vec<Case> {
    let shapes = network.nodes.iter().filter_map(|node| {
        let conv = match node.op {
            Op::Conv2d(conv) if conv.groups == 1 => conv,
            _ => return None,
        };
        let input = network.node(*node.inputs.first()?);
        let shape = conv2d::Shape {
            batch,
            in_channels: input.shape.channels,
            out_channels: conv.out_channels,
            height: input.shape.height,
            width: input.shape.width,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
        };
        Some((node.name.clone(), (shape, input.op != Op::Input)))
    });
    distinct(shapes)
        .into_iter()
        .flat_map(|(layer, (shape, wants_data))| {
            convolution(&network.name, &layer, shape, wants_data)
        })
        .collect()
}

/// The passes of one convolution.
pub fn convolution(group: &str, layer: &str, shape: conv2d::Shape, wants_data: bool) -> Vec<Case> {
    let (x, w, y) = (shape.input_len(), shape.weight_len(), shape.output_len());
    type Pass = fn(&Compiler, &conv2d::Shape) -> Result<Recipe, GpuError>;
    let data: Pass = |compiler, shape| conv2d::data_gradient(compiler, shape, false);
    let passes: [(&'static str, Pass, [usize; 3], &'static [usize]); 3] = [
        ("forward", conv2d::forward, [x, w, y], &[0]),
        ("data", data, [y, w, x], &[0]),
        ("weight", conv2d::weight_gradient, [x, y, w], &[1]),
    ];
    let size = match shape.height == shape.width {
        true => format!("{}²", shape.height),
        false => format!("{}×{}", shape.height, shape.width),
    };
    let (c, k, r) = (shape.in_channels, shape.out_channels, shape.kernel);
    let text = format!("{c}→{k} {size} {r}×{r}/{}", shape.stride);
    passes
        .into_iter()
        .filter(|(pass, ..)| wants_data || *pass != "data")
        .map(|(pass, build, lengths, fresh)| Case {
            group: group.to_owned(),
            layer: layer.to_owned(),
            shape: text.clone(),
            pass,
            arguments: lengths.map(Floats).to_vec(),
            fresh,
            build: Box::new(move |compiler| build(compiler, &shape)),
        })
        .collect()
}

fn plane_of(network: &Network, node: NodeId, batch: usize) -> plane::Shape {
    let shape = network.node(node).shape;
    plane::Shape {
        batch,
        channels: shape.channels,
        pixels: shape.plane(),
    }
}

fn plane_text(shape: plane::Shape) -> String {
    let side = shape.pixels.isqrt();
    match side * side == shape.pixels {
        true => format!("{}×{side}²", shape.channels),
        false => format!("{}×{}", shape.channels, shape.pixels),
    }
}

/// The searched network's gate, forward with moments and backward, at every kind of site.
fn gates(network: &Network, batch: usize) -> Vec<Case> {
    let specs = network.sites().filter_map(|(id, node)| {
        let input = network.node(*node.inputs.first()?);
        let is_norm = |id: &NodeId| network.node(*id).op == Op::BatchNorm;
        let (normalized, residual) = match input.op {
            Op::Add if input.inputs.iter().all(is_norm) => (true, Residual::Normalized),
            Op::Add => (input.inputs.iter().any(is_norm), Residual::Plain),
            op => (op == Op::BatchNorm, Residual::None),
        };
        let spec = gate::Spec {
            shape: plane_of(network, id, batch),
            normalized,
            residual,
            activation: Activation::Gate,
            bounded: false,
        };
        Some((node.name.clone(), spec))
    });
    distinct(specs)
        .into_iter()
        .flat_map(|(layer, spec)| gate_passes(&network.name, &layer, spec))
        .collect()
}

/// Both passes of one gate.
pub fn gate_passes(group: &str, layer: &str, spec: gate::Spec) -> Vec<Case> {
    let (len, channels) = (spec.shape.len(), spec.shape.channels);
    let positions = channels * spec.shape.pixels;
    let mut operands = vec![Floats(len)];
    operands.extend((spec.residual != Residual::None).then_some(Floats(len)));
    let has_norm = spec.normalized || spec.residual == Residual::Normalized;
    operands.extend(has_norm.then_some(Floats(8 * channels)));
    operands.extend([Floats(positions), Floats(4 * channels)]);
    // More parts of a channel than any preset makes.
    let partials = Floats(8 * channels * (spec.shape.batch * spec.shape.pixels).min(4096));
    let forward = [&operands[..], &[Floats(len), partials.clone()]].concat();
    let backward = [
        &[Floats(len)],
        &operands[..],
        &[Floats(positions), partials],
    ]
    .concat();
    let residual = match spec.residual {
        Residual::None => "",
        Residual::Plain => " + x",
        Residual::Normalized => " + norm",
    };
    let case = |pass, arguments, build: Box<Build>| Case {
        group: group.to_owned(),
        layer: layer.to_owned(),
        shape: format!("{}{residual}", plane_text(spec.shape)),
        pass,
        arguments,
        // u, or dy.
        fresh: &[0],
        build,
    };
    vec![
        case(
            "gate",
            forward,
            Box::new(move |c| Ok(gate::forward(c, &spec, true)?.0)),
        ),
        case(
            "gate back",
            backward,
            Box::new(move |c| Ok(gate::backward(c, &spec)?.0)),
        ),
    ]
}

/// Batch norm's statistics and data gradient on every shape.
fn norms(network: &Network, batch: usize) -> Vec<Case> {
    let nodes = (0..).map(NodeId).zip(&network.nodes);
    let shapes = nodes
        .filter(|(_, node)| node.op == Op::BatchNorm)
        .map(|(id, node)| (node.name.clone(), plane_of(network, id, batch)));
    distinct(shapes)
        .into_iter()
        .flat_map(|(layer, shape)| norm_passes(&network.name, &layer, shape))
        .collect()
}

/// What batch norm does on its own.
pub fn norm_passes(group: &str, layer: &str, shape: plane::Shape) -> Vec<Case> {
    let (len, channels) = (shape.len(), shape.channels);
    let mut statistics = vec![Scalars(scalars(shape.batch)), Floats(len)];
    statistics.extend(std::iter::repeat_n(Floats(channels), 4));
    statistics.extend([Floats(8 * channels), Words(vec![u32::MAX, 0])]);
    let gradient = vec![Floats(len), Floats(len), Floats(4 * channels), Floats(len)];
    let case = |pass, arguments, fresh, build: Box<Build>| Case {
        group: group.to_owned(),
        layer: layer.to_owned(),
        shape: plane_text(shape),
        pass,
        arguments,
        fresh,
        build,
    };
    vec![
        case(
            "norm",
            statistics,
            &[1],
            Box::new(move |c| batch_norm::statistics(c, shape, NormSlot::Main, 0)),
        ),
        case(
            "norm back",
            gradient,
            &[1, 0],
            Box::new(move |c| batch_norm::data_gradient(c, shape, false)),
        ),
    ]
}

fn scalars(batch: usize) -> StepScalars {
    StepScalars {
        rate: [1e-6; 4],
        score_rate: 1e-6,
        count: batch as u32,
        augment: 1,
        ..Default::default()
    }
}

/// Optimisers and scores of a network.
fn updates(network: &Network) -> Vec<Case> {
    let layout = Layout::new(network);
    let (params, elements) = (layout.params.len, layout.elements);
    let step = || Scalars(scalars(1));
    let (kinds, clip) = (Words(layout.kind_table()), Floats(4));
    let arenas = |count, length| std::iter::repeat_n(Floats(length), count);
    let update = |arenas: Vec<Argument>, rest: Vec<Argument>| [vec![step()], arenas, rest].concat();
    let case = |pass, length, arguments, build: Box<Build>| Case {
        group: network.name.clone(),
        layer: "all".to_owned(),
        shape: format!("{length}"),
        pass,
        arguments,
        fresh: &[],
        build,
    };
    let sites = layout.sites.len();
    let blocks: Vec<u32> = layout.block_table(|_| 1).concat();
    vec![
        case(
            "sgd",
            params,
            update(
                arenas(3, params).collect(),
                vec![kinds.clone(), clip.clone()],
            ),
            Box::new(move |c| optimizer::sgd(c, params, true)),
        ),
        case(
            "adam",
            params,
            update(
                arenas(4, params).collect(),
                vec![kinds.clone(), clip.clone()],
            ),
            Box::new(move |c| optimizer::adam(c, params, false)),
        ),
        case(
            "norm of ∇",
            params,
            update(arenas(1, params).collect(), vec![clip, kinds]),
            Box::new(move |c| optimizer::gradient_norm(c, params)),
        ),
        case(
            "scores",
            elements,
            update(
                arenas(4, elements).collect(),
                vec![Words(blocks.clone()), Words(vec![0; 2 * (sites + 1)])],
            ),
            Box::new(move |c| indicator::update(c, elements, Rule::Taylor)),
        ),
        case(
            "threshold",
            elements,
            update(
                arenas(2, elements).collect(),
                vec![
                    Words(blocks),
                    Words(vec![0; 2 * sites]),
                    Words(vec![0; threshold::cut_words(sites)]),
                    Words(vec![0; threshold::histogram_words(sites)]),
                ],
            ),
            Box::new(move |c| threshold::select(c, elements, sites, Prices::COUNT, &[])),
        ),
    ]
}

/// Gathering and varying a batch.
fn images(batch: usize, (height, width): (usize, usize)) -> Case {
    let images = 4 * batch;
    let spec = augment::Spec {
        batch,
        height,
        width,
        chunk: 0..images as u32,
        first_chunk: true,
        mean: [0.5; 3],
        std: [0.25; 3],
        pad: 4,
        flip: true,
        cutout: 0,
    };
    Case {
        group: "images".to_owned(),
        layer: "batch".to_owned(),
        shape: format!("3×{height}×{width}"),
        pass: "augment",
        arguments: vec![
            Scalars(scalars(batch)),
            Words((0..images as u32).collect()),
            Words(vec![0x4080_c0ff; (images * 3 * height * width).div_ceil(4)]),
            Floats(batch * 3 * height * width),
        ],
        fresh: &[],
        build: Box::new(move |c| augment::augment(c, &spec)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_has_every_convolution_shape_of_the_networks() {
        let cases = suite(&["resnet18"], 32).unwrap();
        let count = |pass| cases.iter().filter(|case| case.pass == pass).count();
        // Stem, then in four stages: one shape, and for three of them two more to get there.
        assert_eq!(count("forward"), 11);
        assert_eq!(count("weight"), 11);
        assert_eq!(count("data"), 10);
        let names: Vec<String> = cases.iter().map(Case::name).collect();
        for name in [
            "resnet18 conv1 3→64 32² 3×3/1 forward",
            "resnet18 layer1.0.conv1 ×4 64→64 32² 3×3/1 data",
            "resnet18 layer2.0.downsample.0 64→128 32² 1×1/2 weight",
            "resnet18 layer4.0.conv2 ×3 512→512 4² 3×3/1 weight",
        ] {
            assert!(
                names.iter().any(|known| known == name),
                "{name}: {names:#?}"
            );
        }
        let distinct: std::collections::HashSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn every_case_binds_what_its_kernels_want() {
        // The null device refuses what does not fit the bindings, and runs nothing.
        let gpu = Gpu::null();
        for preset in crate::kernels::Tiling::ALL {
            let compiler = Compiler::new(&gpu, preset);
            for case in suite(&["resnet8"], 8).unwrap() {
                let recipe = (case.build)(&compiler).unwrap();
                let turns = case.turns(&compiler, &recipe).unwrap();
                for tape in [&turns[0].before, &turns[0].timed] {
                    tape.submit(&gpu)
                        .unwrap_or_else(|e| panic!("{}: {e}", case.name()));
                }
            }
        }
    }
}
