//! Whole steps in the emulator, against the adapter: what stands between the kernels is seen through, too. A
//! dispatch that reads what none before it has written is found, and what a step leaves is what the adapter's leaves.

use autorep::data::{Normalization, Resident, builtin};
use autorep::emulator::{self, Program, Run, Slot};
use autorep::gpu::{AdapterChoice, Binding, Buffer, Dispatch, Gpu, Texture, View};
use autorep::graph::{Activations, Arenas, Layout, Loaded, Network, Tensors};
use autorep::kernels::dapa::{Fit, Form};
use autorep::kernels::step::StepScalars;
use autorep::kernels::{Compiler, Tiling};
use autorep::models::ModelSpec;
use autorep::settings::Optimizer;
use autorep::step::{AUTOREP, TrainProgram, TrainSpec, Variation};

const SIZE: usize = 8;
const BATCH: usize = 4;

fn network() -> Network {
    let spec = ModelSpec {
        name: "resnet8".into(),
        width: 0.25,
        input: (SIZE, SIZE),
        classes: 10,
    };
    spec.build().unwrap()
}

/// A dispatch of a step, compiled for the emulator.
struct Compiled<'a> {
    dispatch: &'a Dispatch,
    program: Program,
}

impl<'a> Compiled<'a> {
    fn new(dispatch: &'a Dispatch) -> Self {
        let pipeline = dispatch.pipeline();
        let program = emulator::load(pipeline.source(), Some(pipeline.entry()));
        Self {
            dispatch,
            program: program.expect("what the emulator knows"),
        }
    }

    /// What is bound, each at its place and under the name that the text has for it, if it uses it.
    fn bindings(&self) -> impl Iterator<Item = (Slot, &'a Binding, Option<&str>)> {
        let bound = self.dispatch.bindings().iter().zip(0..);
        bound.map(|(bound, binding)| {
            let slot = Slot::Binding { group: 0, binding };
            let mut resources = self.program.resources().iter();
            let resource = resources.find(|resource| resource.slot == slot);
            (slot, bound, resource.map(|resource| resource.name.as_str()))
        })
    }
}

/// The one uniform buffer, whose scalars cannot be read back.
const SCALARS: Option<&str> = Some("step");

/// The memory of a device.
struct World {
    buffers: Vec<(View, Memory)>,
    textures: Vec<(Texture, emulator::Buffer)>,
    scalars: StepScalars,
    lanes: u32,
}

/// A buffer, and which of its words anybody has written.
#[derive(Clone)]
struct Memory {
    bytes: Vec<u8>,
    written: Vec<bool>,
}

impl World {
    /// What lies on the device now. Nobody has written to the `idle` buffers.
    fn read(
        gpu: &Gpu,
        step: &[Compiled],
        idle: &[Buffer],
        scalars: StepScalars,
        lanes: u32,
    ) -> Self {
        let mut world = Self {
            buffers: Vec::new(),
            textures: Vec::new(),
            scalars,
            lanes,
        };
        for (_, binding, name) in step.iter().flat_map(Compiled::bindings) {
            match binding {
                Binding::Buffer(view) if name != SCALARS && world.place(view).is_none() => {
                    let whole = view.whole();
                    let words: Vec<u32> = gpu.read(&whole).unwrap();
                    let is_idle = idle.iter().any(|idle| idle.view().shares_with(&whole));
                    let memory = Memory {
                        written: vec![!is_idle; words.len()],
                        bytes: bytemuck::cast_slice(&words).to_vec(),
                    };
                    world.buffers.push((whole, memory));
                }
                Binding::Texture(texture) if world.textures.iter().all(|(t, _)| t != texture) => {
                    let texels = texture.texels() as usize;
                    let width = texels.min(Texture::WIDTH as usize);
                    let extent = [width as u32, texels.div_ceil(width) as u32, 1];
                    // Subgroup kernels load texels past the end of what they packed, and drop them.
                    let texels = emulator::Buffer::of_words(0, &vec![0x7fc0_dead; 4 * texels]);
                    world
                        .textures
                        .push((texture.clone(), texels.texture(extent)));
                }
                Binding::Buffer(_) | Binding::Texture(_) => {}
            }
        }
        world
    }

    fn place(&self, view: &View) -> Option<usize> {
        self.buffers
            .iter()
            .position(|(whole, _)| whole.shares_with(view))
    }

    /// Runs a dispatch. What is found in it, in words.
    fn run(&mut self, compiled: &Compiled) -> Result<(), String> {
        let Compiled { dispatch, program } = compiled;
        let bindings = compiled.bindings();
        let buffers: Vec<emulator::Buffer> = bindings
            .map(|(slot, binding, name)| {
                let buffer = match binding {
                    Binding::Buffer(_) if name == SCALARS => {
                        emulator::Buffer::new(0, bytemuck::bytes_of(&self.scalars).to_vec())
                    }
                    Binding::Buffer(view) => {
                        let memory = &self.buffers[self.place(view).unwrap()].1;
                        let range = view.offset as usize..(view.offset + view.bytes) as usize;
                        emulator::Buffer {
                            written: Some(memory.written[range.start / 4..range.end / 4].to_vec()),
                            ..emulator::Buffer::new(0, memory.bytes[range].to_vec())
                        }
                    }
                    Binding::Texture(texture) => {
                        let mut textures = self.textures.iter();
                        let (_, texels) = textures.find(|(other, _)| other == texture).unwrap();
                        texels.clone()
                    }
                };
                buffer.at(slot)
            })
            .collect();
        let run = Run {
            subgroup_size: self.lanes,
            ..Run::new(dispatch.grid())
        };
        let outcome = program
            .run(&run, &buffers)
            .map_err(|error| error.to_string())?;
        if let Some(finding) = outcome.findings.first() {
            let kernel = dispatch.pipeline().name();
            return Err(format!("{kernel} of {}: {finding}", dispatch.owner));
        }
        for (buffer, resource) in outcome.buffers.into_iter().zip(program.resources()) {
            let Slot::Binding { binding, .. } = resource.slot else {
                continue;
            };
            if !resource.writable {
                continue;
            }
            match &dispatch.bindings()[binding as usize] {
                Binding::Texture(texture) => {
                    let mut textures = self.textures.iter_mut();
                    textures.find(|(other, _)| other == texture).unwrap().1 = buffer;
                }
                Binding::Buffer(view) => {
                    let place = self.place(view).unwrap();
                    let memory = &mut self.buffers[place].1;
                    let first = view.offset as usize;
                    memory.bytes[first..first + buffer.bytes.len()].copy_from_slice(&buffer.bytes);
                    if let Some(written) = buffer.written {
                        memory.written[first / 4..first / 4 + written.len()]
                            .copy_from_slice(&written);
                    }
                }
            }
        }
        Ok(())
    }

    fn floats(&self, buffer: &Buffer) -> Vec<f32> {
        let place = self.place(&buffer.view()).unwrap();
        bytemuck::pod_collect_to_vec(&self.buffers[place].1.bytes)
    }
}

/// Norm of the difference over the norm of what `b` is from `start`.
fn apart(a: &[f32], b: &[f32], start: &[f32]) -> f64 {
    let norm = |x: &[f32], y: &[f32]| {
        let squares = x.iter().zip(y).map(|(x, y)| f64::from(x - y).powi(2));
        squares.sum::<f64>().sqrt()
    };
    norm(a, b) / norm(b, start)
}

/// What a step is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// ReLUs, labels, SGD.
    Training,
    /// Gates, a teacher, Adam, scores.
    Search,
}

fn step_in_the_emulator(kind: Kind, compiler: &Compiler, lanes: u32) {
    let gpu = compiler.gpu;
    let (network, what) = (network(), format!("{kind:?} step, {}", compiler.tiling));
    let layout = Layout::new(&network);
    let start = Tensors::initial(&layout, 3);
    let (student, teacher) = (
        Arenas::upload(gpu, &start).unwrap(),
        Arenas::upload(gpu, &Tensors::initial(&layout, 4)).unwrap(),
    );
    let loaded = |arenas| Loaded {
        network: &network,
        layout: &layout,
        arenas,
    };
    let generated = builtin::Spec {
        train: 16,
        test: 10,
        size: SIZE,
        ..Default::default()
    };
    let images = Resident::upload(gpu, &builtin::generate(generated).unwrap().train).unwrap();
    let is_search = kind == Kind::Search;
    let spec = TrainSpec {
        student: loaded(&student),
        teacher: is_search.then(|| loaded(&teacher)),
        activations: match kind {
            Kind::Training => Activations::Relu,
            Kind::Search => Activations::Gate {
                fit: Some(Fit {
                    degree: 2,
                    form: Form::Hermite,
                }),
                degree: 2,
                slopes: false,
            },
        },
        batch: BATCH,
        micro_batches: 1,
        recompute: false,
        images: &images,
        pixels: Normalization {
            mean: [0.5; 3],
            std: [0.25; 3],
        },
        variation: Variation {
            pad: 1,
            flip: true,
            cutout: 0,
        },
        optimizer: match kind {
            Kind::Training => Optimizer::Sgd,
            Kind::Search => Optimizer::Adam,
        },
        search: is_search.then_some(&AUTOREP),
        lines: &[],
        lookahead: false,
        averaging: false,
    };
    let program = TrainProgram::compile(compiler, &spec).unwrap();
    program.set_order(gpu, &(0..16).collect::<Vec<u32>>());
    let scalars = StepScalars {
        rate: [0.01; 4],
        seed: 1,
        first: 4,
        count: BATCH as u32,
        augment: 1,
        clip: 5.0,
        correction1: 0.1,
        correction2: 1e-3,
        kd_weight: f32::from(u8::from(is_search)),
        refit: 3,
        budget: network.relu_total() as f32 / 2.0,
        score_rate: 0.05,
        range_weight: 1.0,
        range_limit: 4.0,
        statistics_limit: 4.0,
        ..Default::default()
    };
    let dispatches = program.tapes().iter().flat_map(|tape| tape.dispatches());
    let dispatches: Vec<Compiled> = dispatches.map(Compiled::new).collect();
    let begun = World::read(gpu, &dispatches, &program.idle, scalars, lanes);
    program.step(gpu, &scalars).unwrap();
    let end = student.download(gpu, &layout).unwrap();

    let clone = |world: &World| World {
        buffers: world.buffers.clone(),
        textures: world.textures.clone(),
        ..*world
    };
    let mut world = clone(&begun);
    for dispatch in &dispatches {
        world
            .run(dispatch)
            .unwrap_or_else(|finding| panic!("{what}: {finding}"));
    }
    let params = apart(&world.floats(&student.params), &end.params, &start.params);
    let state = apart(&world.floats(&student.state), &end.state, &start.state);
    eprintln!(
        "{what}: {} dispatches, parameters {params:.1e} and state {state:.1e} apart",
        dispatches.len()
    );
    assert!(
        params < 2e-3 && state < 1e-3,
        "{what}: {params:.1e}, {state:.1e}"
    );
    if is_search {
        let scores = apart(&world.floats(&student.scores), &end.scores, &start.scores);
        assert!(scores < 2e-3, "{what}: scores {scores:.1e} apart");
        let mask = world.floats(&student.mask);
        let differ = mask.iter().zip(&end.mask).filter(|(a, b)| a != b).count();
        // Of equal scores, the last digit decides.
        assert!(
            differ * 100 <= mask.len(),
            "{what}: {differ} of {} masks",
            mask.len()
        );
        assert!(end.mask.contains(&0.0) && end.mask.contains(&1.0), "{what}");
    }

    // That would fail: without one of its dispatches a step reads what nobody wrote, or ends elsewhere.
    let mut unseen = Vec::new();
    for left_out in (0..dispatches.len()).step_by(dispatches.len() / 8) {
        let mut world = clone(&begun);
        let mut others = dispatches
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != left_out);
        let found = others.any(|(_, dispatch)| world.run(dispatch).is_err());
        let ends_elsewhere = || {
            apart(&world.floats(&student.params), &end.params, &start.params) > 1e-2
                || apart(&world.floats(&student.state), &end.state, &start.state) > 1e-2
                || world.floats(&student.mask) != end.mask
        };
        if !found && !ends_elsewhere() {
            unseen.push(dispatches[left_out].dispatch.pipeline().name().to_owned());
        }
    }
    assert!(unseen.len() <= 1, "{what}: nobody misses {unseen:?}");
}

#[test]
fn a_training_step_in_the_emulator_is_that_of_the_adapter() {
    let gpu = Gpu::open(&AdapterChoice::default()).unwrap();
    let own = Tiling::for_adapter(&gpu);
    let lanes = match own {
        Tiling::Cpu { lanes } => lanes,
        Tiling::Portable | Tiling::Large => 32,
    };
    let compiler = Compiler::new(&gpu, own);
    step_in_the_emulator(Kind::Training, &compiler, lanes);
}

#[test]
fn a_search_step_in_the_emulator_is_that_of_the_adapter() {
    let gpu = Gpu::open(&AdapterChoice::default()).unwrap();
    let compiler = Compiler::new(&gpu, Tiling::Portable);
    step_in_the_emulator(Kind::Search, &compiler, 32);
}
