//! The program's own kernels, of which one knows the grid, but not what they are given.
//!
//! A recipe tells how large its arguments are, so that an index too far is found. Arenas and tables of the
//! whole network it sees a part of: those grow while it is tried, to what is touched. What is read before it
//! is written is an input; that, too, is found by trying.

use super::common::{Args, Checked, Unable};
use crate::emulator::{Buffer, Dispatch, Fault, How, Program, Resource, Run, Slot, load};
use crate::gpu::{Gpu, Texture};
use crate::kernels::{Arg, Compiler, Kernel, Recipe, Size, Tiling, permutations, templates};
use std::collections::HashMap;

/// Most bytes that a buffer grows to.
const LARGEST: usize = 64 << 20;
/// Most times that a kernel is run to find its arguments.
const TRIALS: usize = 64;
/// Most instructions of such a run.
const MOST_INSTRUCTIONS: u64 = 1_000_000_000;

/// The file and perhaps the entry point that a name means.
fn parts(name: &str) -> (String, Option<&str>) {
    let name = name.trim_start_matches("./").trim_start_matches("shaders/");
    let stem = |name: &str| name.replace('/', "_");
    match name.strip_suffix(".wgsl").unwrap_or(name).split_once('.') {
        Some((file, entry)) => (stem(file), Some(entry)),
        None => (stem(name.trim_end_matches(".wgsl")), None),
    }
}

/// Whether there are kernels of this name.
pub fn exists(name: &str) -> bool {
    let (stem, _) = parts(name);
    templates().any(|template| template.stem() == stem)
}

/// Checks the first kernel of that name, in the first shape that is asked for.
pub fn checked(args: &Args) -> Result<Checked, Unable> {
    let tiling = tiling(&args.tiling)?;
    let gpu = Gpu::null();
    let compiler = Compiler::new(&gpu, tiling);
    let (stem, entry) = parts(&args.target);
    let entry = args.entry.as_deref().or(entry);
    let wanted = |kernel: &Kernel| {
        let pipeline = &kernel.pipeline;
        pipeline.kernel() == stem && entry.is_none_or(|entry| entry == pipeline.entry())
    };
    // A family's files all start with the first word of its name.
    let family = |name: &str| stem.starts_with(name.split([' ', '_', ':']).next().unwrap_or(name));
    for permutation in permutations::table()
        .into_iter()
        .filter(|row| family(row.name))
    {
        let what = format!("{}: {}", permutation.name, permutation.shape);
        if args
            .shape
            .as_ref()
            .is_some_and(|part| !what.contains(part.as_str()))
        {
            continue;
        }
        let recipe = permutation.build(&compiler);
        let recipe = recipe.map_err(|error| Unable::because(error.to_string()))?;
        if let Some(number) = recipe.stages.iter().position(|(kernel, _)| wanted(kernel)) {
            let how = args.how(lanes(tiling));
            return Arguments::default().check(&recipe, number, how, &what, tiling);
        }
    }
    Err(Unable::because(format!(
        "no kernel `{}` with this shape and tiling: `autorep shaders` lists all, `autorep shaders --all` their \
         shapes; a file of your own wants a TOML file beside it",
        args.target
    )))
}

fn tiling(name: &str) -> Result<Tiling, Unable> {
    let in_one_word = |tiling: &Tiling| match tiling {
        Tiling::Cpu { lanes } => format!("cpu{lanes}"),
        other => other.to_string(),
    };
    let mut all = Tiling::ALL.into_iter();
    all.find(|tiling| in_one_word(tiling) == name)
        .ok_or_else(|| {
            Unable::because("unknown tiling: choose among portable, large, cpu4, cpu8, cpu16")
        })
}

fn lanes(tiling: Tiling) -> u32 {
    match tiling {
        Tiling::Cpu { lanes } => lanes,
        Tiling::Portable | Tiling::Large => How::default().subgroup_size,
    }
}

/// What a recipe's kernels bind, as far as it is known.
#[derive(Default)]
struct Arguments(HashMap<Key, Buffer>);

/// An argument of a recipe.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    External(usize),
    Scratch(usize),
    /// Textures are not many: by the binding that first meant it.
    Texture(usize, usize),
}

impl Arguments {
    /// Runs the stages before number `last`, then checks that one.
    fn check(
        mut self,
        recipe: &Recipe,
        last: usize,
        how: How,
        what: &str,
        tiling: Tiling,
    ) -> Result<Checked, Unable> {
        for number in 0..=last {
            let (kernel, _) = &recipe.stages[number];
            let (source, entry) = (kernel.pipeline.source(), kernel.pipeline.entry());
            let file = format!("{}.wgsl", kernel.pipeline.name());
            let unable = |error| Unable::of(&error, &file, source);
            let program = load(source, Some(entry)).map_err(unable)?;
            let after = self.find(recipe, number, &program, how)?;
            if number == last {
                let buffers = self.bound(recipe, number, &program);
                let dispatch = Dispatch {
                    source,
                    program: &program,
                    workgroups: kernel.grid,
                    any_order: false,
                    how,
                };
                let report = dispatch.check(&buffers).map_err(unable)?;
                let what = format!(
                    "{:?} workgroups: {what} (tiling {tiling}, \
                     buffers as large as the shape says, floats random, others zero)",
                    kernel.grid
                );
                return Ok(Checked {
                    file,
                    source: source.to_owned(),
                    what,
                    report,
                });
            }
            for (resource, buffer) in program.resources().iter().zip(after) {
                if let Some(key) = key(recipe, number, resource) {
                    self.0.insert(key, buffer);
                }
            }
        }
        Err(Unable::because("the recipe has no such kernel"))
    }

    fn bound(&self, recipe: &Recipe, stage: usize, program: &Program) -> Vec<Buffer> {
        let buffer = |resource: &Resource| {
            let buffer = self.0.get(&key(recipe, stage, resource)?)?;
            Some(buffer.clone().at(resource.slot))
        };
        program.resources().iter().filter_map(buffer).collect()
    }

    /// Finds which arguments a kernel reads, and how large those are that the shape does not tell. What it
    /// leaves in them.
    fn find(
        &mut self,
        recipe: &Recipe,
        stage: usize,
        program: &Program,
        how: How,
    ) -> Result<Vec<Buffer>, Unable> {
        let kernel = &recipe.stages[stage].0;
        for resource in program.resources() {
            if let Some(key) = key(recipe, stage, resource) {
                let buffer = || first(recipe, stage, resource);
                self.0.entry(key).or_insert_with(buffer);
            }
        }
        let settings = Run {
            subgroup_size: how.subgroup_size,
            budget: how.budget,
            most_instructions: MOST_INSTRUCTIONS,
            count_warps: false,
            ..Run::new(kernel.grid)
        };
        for _ in 0..TRIALS {
            let outcome = program.run(&settings, &self.bound(recipe, stage, program));
            let outcome = outcome.map_err(|error| Unable::because(error.to_string()))?;
            let mut changed = false;
            for resource in program.resources() {
                let has = |fault| {
                    let mut findings = outcome.findings.iter();
                    findings
                        .any(|f| f.fault == fault && f.variable.as_ref() == Some(&resource.name))
                };
                let Some(key @ Key::External(number)) = key(recipe, stage, resource) else {
                    continue;
                };
                let is_open = recipe.arguments[number] == Size::Open;
                let Some(buffer) = self.0.get_mut(&key) else {
                    continue;
                };
                let larger = 2 * buffer.bytes.len();
                if is_open && has(Fault::OutOfBounds) && larger <= LARGEST {
                    *buffer = filled(resource, larger, buffer.written.is_some());
                    changed = true;
                } else if has(Fault::UnwrittenStorage) && buffer.written.is_some() {
                    *buffer = filled(resource, buffer.bytes.len(), false);
                    changed = true;
                }
            }
            if !changed {
                return Ok(outcome.buffers);
            }
        }
        Err(Unable::because("its arguments are not found by trying"))
    }
}

/// What a variable of a kernel is among the recipe's arguments.
fn key(recipe: &Recipe, stage: usize, resource: &Resource) -> Option<Key> {
    let Slot::Binding { binding, .. } = resource.slot else {
        return None;
    };
    Some(match recipe.stages[stage].1.get(binding as usize)? {
        Arg::External(number) => Key::External(*number),
        Arg::Scratch(number) => Key::Scratch(*number),
        Arg::Texture(texture) => {
            let is_it = |arg: &Arg| matches!(arg, Arg::Texture(other) if other == texture);
            let mut stages = recipe.stages.iter().enumerate();
            stages.find_map(|(number, (_, bound))| {
                Some(Key::Texture(number, bound.iter().position(is_it)?))
            })?
        }
    })
}

/// An argument that nothing is known of yet.
fn first(recipe: &Recipe, stage: usize, resource: &Resource) -> Buffer {
    let Slot::Binding { binding, .. } = resource.slot else {
        return filled(resource, 0, false);
    };
    match recipe.stages[stage].1.get(binding as usize) {
        Some(Arg::Scratch(number)) => {
            Buffer::unwritten(0, recipe.scratch[*number].div_ceil(4) as usize)
        }
        Some(Arg::Texture(texture)) => {
            let (width, texels) = (Texture::WIDTH, texture.texels());
            let extent = [width as u32, texels.div_ceil(width) as u32, 1];
            Buffer::unwritten(0, 4 * texels as usize).texture(extent)
        }
        Some(&Arg::External(number)) => {
            let bytes = match recipe.arguments[number] {
                Size::Bytes(bytes) => bytes,
                Size::Open => resource.least_bytes.max(16),
            };
            filled(resource, bytes as usize, resource.writable)
        }
        None => filled(resource, 0, false),
    }
}

/// A buffer that nobody has written to, or an input: numbers from −1 to 1, or zeros where there are others
/// than floats.
fn filled(resource: &Resource, bytes: usize, unwritten: bool) -> Buffer {
    let words = bytes.div_ceil(4);
    if unwritten {
        return Buffer::unwritten(0, words);
    }
    if !resource.floats {
        return Buffer::of_words(0, &vec![0; words]);
    }
    let noise = |i: u32| f64::from(i.wrapping_mul(0x9e37_79b9) >> 8) / f64::from(1 << 23) - 1.0;
    let floats: Vec<f32> = (0..words as u32).map(|i| noise(i) as f32).collect();
    Buffer::of_floats(0, &floats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Pipeline;
    use crate::kernels::Cost;

    /// Faults of a kernel of 64 invocations that reads an element beyond its own.
    fn faults(x: Size) -> Vec<Fault> {
        let source = "
            @group(0) @binding(0) var<storage, read> x: array<f32>;
            @group(0) @binding(1) var<storage, read_write> y: array<f32>;
            @compute @workgroup_size(64)
            fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = x[id.x + 1u]; }";
        let kernel = Kernel {
            pipeline: Pipeline::new("shift", source, "main"),
            grid: [1, 1, 1],
            cost: Cost::default(),
        };
        let recipe = Recipe::single(kernel, vec![x, Size::Bytes(256)]);
        let how = How::default();
        let checked = Arguments::default().check(&recipe, 0, how, "64", Tiling::Portable);
        let report = checked
            .unwrap_or_else(|unable| panic!("{}", unable.words))
            .report;
        report
            .findings
            .iter()
            .map(|(_, finding)| finding.fault)
            .collect()
    }

    #[test]
    fn an_index_one_too_far_is_found_where_the_shape_tells_the_size() {
        assert_eq!(faults(Size::Bytes(256)), [Fault::OutOfBounds]);
        assert_eq!(faults(Size::Bytes(260)), []);
        assert_eq!(faults(Size::Open), []);
    }
}
