//! Runs a recipe in the emulator: no adapter, every tiling, and nothing stays hidden.
//!
//! Every recipe that a test runs on the adapters it runs here, too, on the same inputs and against the same
//! twin. What a kernel does that one device forgives fails here on all machines.

use crate::harness::{Data, POISON};
use crate::{costs, mutants};
use autorep::emulator::{self, Buffer, Counts, Outcome, Program, Run, Slot};
use autorep::gpu::{Gpu, Pipeline, Texture};
use autorep::kernels::step::StepScalars;
use autorep::kernels::{Arg, Compiler, Kernel, Recipe, Size, Tiling};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// Orders in which each recipe runs. All must give the same bits.
const SEEDS: [u64; 2] = [0, 1];
/// Most invocations of a dispatch whose workgroups also run interleaved: each keeps its whole state.
const MOST_INTERLEAVED: u64 = 2048;

/// Whether `AUTOREP_TEST_EMULATOR` is this: `only` leaves the adapters out, `0` the emulator, as where a
/// device's time is counted.
fn is_asked(what: &str) -> bool {
    std::env::var_os("AUTOREP_TEST_EMULATOR").is_some_and(|it| it == what)
}

/// Whether nothing runs but the emulator.
pub fn alone() -> bool {
    is_asked("only")
}

/// Compilers for every tiling.
pub fn compilers() -> Vec<Compiler<'static>> {
    static NULL: OnceLock<Gpu> = OnceLock::new();
    if is_asked("0") {
        return Vec::new();
    }
    let first = Compiler::new(NULL.get_or_init(Gpu::null), Tiling::Portable);
    let tilings = match mutants::are_wanted() {
        true => mutants::TILINGS.to_vec(),
        false => Tiling::ALL.to_vec(),
    };
    let tilings = tilings.into_iter();
    tilings.map(|tiling| first.with_tiling(tiling)).collect()
}

/// Whether recipes of this compiler run in the emulator.
pub fn is_emulated(compiler: &Compiler) -> bool {
    compiler.gpu.report.backend == "noop"
}

/// Lanes of a subgroup that the tiling's kernels ask for. The others know no subgroups.
fn lanes(tiling: Tiling) -> u32 {
    match tiling {
        Tiling::Cpu { lanes } => lanes,
        Tiling::Portable | Tiling::Large => 32,
    }
}

/// Binds `arguments`, runs the recipe in several orders, and returns the contents of every argument.
#[track_caller]
pub fn run(compiler: &Compiler, recipe: &Recipe, arguments: &[Data]) -> Vec<Vec<f32>> {
    let [first, others @ ..] = SEEDS;
    let tiling = compiler.tiling;
    let look = |kernel: &Kernel, buffers: &[Buffer], outcome: &Outcome| {
        let done = costs::Done {
            counts: &outcome.counts,
            invocations: invocations(kernel),
            samples: samples(&program(&kernel.pipeline), buffers),
        };
        costs::compare(tiling, kernel, &done);
        mutants::try_all(kernel, &settings(tiling, kernel, first), buffers, outcome);
    };
    let expected = Memory::of(recipe, arguments).after(compiler, recipe, first, look);
    for seed in others {
        let memory = Memory::of(recipe, arguments).after(compiler, recipe, seed, |_, _, _| ());
        let pairs = expected.arguments.iter().zip(&memory.arguments);
        for (number, (one, other)) in pairs.enumerate() {
            assert!(
                one.bytes == other.bytes,
                "argument {number} of {} depends on the order of invocations",
                name(recipe)
            );
        }
    }
    let pairs = arguments.iter().zip(&expected.arguments);
    pairs
        .map(|(argument, buffer)| match argument {
            Data::Uniform(_) => Vec::new(),
            _ => buffer.floats(),
        })
        .collect()
}

/// Runs the recipe once, and shows each kernel with what it did.
#[track_caller]
pub fn dispatches(
    compiler: &Compiler,
    recipe: &Recipe,
    arguments: &[Data],
    mut look: impl FnMut(&Kernel, &Counts),
) {
    let look = |kernel: &Kernel, _: &[Buffer], outcome: &Outcome| look(kernel, &outcome.counts);
    Memory::of(recipe, arguments).after(compiler, recipe, SEEDS[0], look);
}

/// Samples of the step, where a kernel is told.
fn samples(program: &Program, buffers: &[Buffer]) -> Option<u32> {
    let mut resources = program.resources().iter();
    let step = resources.find(|resource| resource.name == "step")?;
    let buffer = buffers.iter().find(|buffer| buffer.slot == step.slot)?;
    let scalars: StepScalars = bytemuck::pod_read_unaligned(&buffer.bytes);
    Some(scalars.count)
}

fn name(recipe: &Recipe) -> String {
    let names = recipe
        .stages
        .iter()
        .map(|(kernel, _)| kernel.pipeline.name());
    names.collect::<Vec<_>>().join(", ")
}

/// What a recipe's kernels bind.
struct Memory {
    arguments: Vec<Buffer>,
    scratch: Vec<Buffer>,
    textures: Vec<(Texture, Buffer)>,
}

impl Memory {
    fn of(recipe: &Recipe, arguments: &[Data]) -> Self {
        let mut textures: Vec<(Texture, Buffer)> = Vec::new();
        for (_, bound) in &recipe.stages {
            for arg in bound {
                if let Arg::Texture(texture) = arg
                    && textures.iter().all(|(other, _)| other != texture)
                {
                    textures.push((texture.clone(), poisoned_texture(texture)));
                }
            }
        }
        let arguments = arguments.iter();
        let scratch = recipe.scratch.iter();
        Self {
            arguments: arguments.zip(&recipe.arguments).map(buffer).collect(),
            scratch: scratch
                .map(|&bytes| Buffer::unwritten(0, (bytes as usize).div_ceil(4)))
                .collect(),
            textures,
        }
    }

    /// The memory that an argument of a kernel means.
    fn place(&mut self, arg: &Arg) -> &mut Buffer {
        match arg {
            Arg::External(index) => &mut self.arguments[*index],
            Arg::Scratch(index) => &mut self.scratch[*index],
            Arg::Texture(texture) => {
                let mut all = self.textures.iter_mut();
                &mut all.find(|(other, _)| other == texture).expect("bound").1
            }
        }
    }

    /// The memory after the recipe's kernels have run one after the other. `look` sees each kernel, what it
    /// was given, and what came of it.
    #[track_caller]
    fn after(
        mut self,
        compiler: &Compiler,
        recipe: &Recipe,
        seed: u64,
        mut look: impl FnMut(&Kernel, &[Buffer], &Outcome),
    ) -> Self {
        for (kernel, bound) in &recipe.stages {
            let slots = (0..).map(|binding| Slot::Binding { group: 0, binding });
            let bound: Vec<(Slot, &Arg)> = slots.zip(bound).collect();
            let buffers: Vec<Buffer> = bound
                .iter()
                .map(|(slot, arg)| self.place(arg).clone().at(*slot))
                .collect();
            let outcome = dispatch(compiler.tiling, kernel, seed, &buffers);
            look(kernel, &buffers, &outcome);
            let program = program(&kernel.pipeline);
            for (buffer, resource) in outcome.buffers.into_iter().zip(program.resources()) {
                if resource.writable {
                    let arg = bound.iter().find(|(slot, _)| *slot == buffer.slot);
                    *self.place(arg.expect("bound").1) = buffer;
                }
            }
        }
        self
    }
}

/// An argument, of the size that the recipe tells: what lies beyond may not be touched.
fn buffer((argument, size): (&Data, &Size)) -> Buffer {
    let mut buffer = whole(argument);
    if let Size::Bytes(bytes) = *size {
        buffer.bytes.truncate(bytes as usize);
        if let Some(written) = &mut buffer.written {
            written.truncate(bytes as usize / 4);
        }
    }
    buffer
}

fn whole(argument: &Data) -> Buffer {
    match argument {
        Data::In(data) | Data::InOut(data) => {
            let words: Vec<u32> = data.iter().map(|value| value.to_bits()).collect();
            // Poison in what is given is memory that nobody has written to.
            let written = words.iter().map(|&word| word != POISON).collect();
            Buffer {
                written: Some(written),
                ..Buffer::of_words(0, &words)
            }
        }
        Data::Words(data) | Data::InOutWords(data) => Buffer::of_words(0, data),
        Data::Out(length) => Buffer::unwritten(0, *length),
        Data::Uniform(bytes) => Buffer::new(0, bytes.to_vec()),
    }
}

/// A texture of poison, which counts as written: subgroup kernels load texels past the end of what they packed
/// and drop them. Where one is used after all, a NaN shows.
fn poisoned_texture(texture: &Texture) -> Buffer {
    let (width, texels) = (Texture::WIDTH, texture.texels());
    let extent = [width as u32, texels.div_ceil(width) as u32, 1];
    Buffer::of_words(0, &vec![POISON; 4 * texels as usize]).texture(extent)
}

/// One dispatch, in which nothing may be found.
#[track_caller]
fn dispatch(tiling: Tiling, kernel: &Kernel, seed: u64, buffers: &[Buffer]) -> Outcome {
    let program = program(&kernel.pipeline);
    let settings = settings(tiling, kernel, seed);
    let name = kernel.pipeline.name();
    let outcome = program.run(&settings, buffers);
    let outcome = outcome.unwrap_or_else(|error| panic!("{name} ({tiling}): {error}"));
    if let Some(finding) = outcome.findings.first() {
        let line = (finding.side.place.line as usize).saturating_sub(1);
        let text = kernel.pipeline.source().lines().nth(line).unwrap_or("");
        panic!("{name} ({tiling}, seed {seed}): {finding}\n{text}");
    }
    outcome
}

fn invocations(kernel: &Kernel) -> u64 {
    let groups: u64 = kernel.grid.iter().map(|&n| u64::from(n)).product();
    groups * u64::from(program(&kernel.pipeline).invocations())
}

fn settings(tiling: Tiling, kernel: &Kernel, seed: u64) -> Run {
    Run {
        subgroup_size: lanes(tiling),
        seed,
        interleaved: seed % 2 == 1 && invocations(kernel) <= MOST_INTERLEAVED,
        count_warps: false,
        ..Run::new(kernel.grid)
    }
}

/// The compiled shader; each distinct text is compiled once.
fn program(pipeline: &Pipeline) -> Arc<Program> {
    type Programs = Mutex<HashMap<(String, String), Arc<Program>>>;
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    let key = (pipeline.entry().to_owned(), pipeline.source().to_owned());
    let programs = PROGRAMS.get_or_init(Programs::default);
    if let Some(program) = programs.lock().unwrap().get(&key) {
        return Arc::clone(program);
    }
    let program = emulator::load(pipeline.source(), Some(pipeline.entry()));
    let program = Arc::new(program.expect("what the emulator knows"));
    let mut programs = programs.lock().unwrap();
    Arc::clone(programs.entry(key).or_insert(program))
}
