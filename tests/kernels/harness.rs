//! Runs a recipe on every adapter and tiling, then in the emulator, and compares with the twin.

use crate::{emulated, mutants};
use autorep::gpu::{AdapterChoice, Gpu, Tape, View, adapter};
use autorep::kernels::{Compiler, Recipe, Size, Tiling};
use std::cell::Cell;
use std::sync::OnceLock;

/// One adapter, opened once for the whole test process. Shaders run bounds-checked.
pub fn gpus() -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    GPUS.get_or_init(|| {
        let reports = adapter::list(&AdapterChoice::default()).expect("adapters");
        assert!(
            !reports.is_empty(),
            "no adapter: `make test` installs a software one"
        );
        reports
            .iter()
            .map(|report| {
                let choice = AdapterChoice {
                    adapter: Some(report.index.to_string()),
                    ..Default::default()
                };
                let mut gpu = Gpu::open(&choice).expect("device");
                gpu.set_checked_shaders(true);
                eprintln!("testing on {}", gpu.report.name);
                gpu
            })
            .collect()
    })
}

/// The tilings an adapter can run, or the one that `AUTOREP_TEST_TILING` names.
pub fn tilings(gpu: &Gpu) -> Vec<Tiling> {
    if let Ok(name) = std::env::var("AUTOREP_TEST_TILING") {
        return vec![Tiling::parse(&name, gpu).expect("AUTOREP_TEST_TILING")];
    }
    let mut tilings = vec![Tiling::Portable, Tiling::Large];
    tilings.extend(Tiling::parse("cpu", gpu));
    tilings
}

/// Runs `test` with a compiler for every adapter and tiling, and for the emulator. All tests share the
/// compilers: on software Vulkan most of the time goes into compiling.
pub fn on_every_engine(test: impl Fn(&Compiler)) {
    static COMPILERS: OnceLock<Vec<Compiler>> = OnceLock::new();
    let compilers = COMPILERS.get_or_init(|| {
        let adapters = match emulated::alone() {
            true => &[],
            false => gpus(),
        };
        let on_adapters = adapters.iter().flat_map(|gpu| {
            let first = Compiler::new(gpu, Tiling::Portable);
            tilings(gpu)
                .into_iter()
                .map(move |tiling| first.with_tiling(tiling))
        });
        on_adapters.chain(emulated::compilers()).collect()
    });
    let mut emulated = 0;
    for compiler in compilers {
        let before = RECIPES.get();
        test(compiler);
        let recipes = RECIPES.get() - before;
        match emulated::is_emulated(compiler) {
            true => emulated += recipes,
            false => assert!(recipes > 0, "nothing ran ({})", compiler.tiling),
        }
    }
    // A test may leave large shapes to the adapters, but not all; mutants are tried with few tilings.
    assert!(
        emulated > 0 || emulated::compilers().is_empty() || mutants::are_wanted(),
        "nothing was emulated"
    );
}

thread_local! {
    /// Recipes that this thread has run.
    static RECIPES: Cell<u64> = const { Cell::new(0) };
}

/// One argument of a recipe.
pub enum Data<'a> {
    /// Read by the kernel.
    In(&'a [f32]),
    /// Read by the kernel.
    Words(&'a [u32]),
    /// Written in full by the kernel: holds a NaN pattern before.
    Out(usize),
    /// Read and written.
    InOut(&'a [f32]),
    /// Read and written.
    InOutWords(&'a [u32]),
    /// A uniform buffer.
    Uniform(&'a [u8]),
}

impl Data<'_> {
    /// Its size.
    fn bytes(&self) -> u64 {
        let words = match self {
            Data::In(data) | Data::InOut(data) => data.len(),
            Data::Words(data) | Data::InOutWords(data) => data.len(),
            Data::Out(length) => *length,
            Data::Uniform(bytes) => bytes.len() / 4,
        };
        4 * words as u64
    }
}

/// A NaN that no computation produces: what a kernel forgets to write stays recognisable.
pub const POISON: u32 = 0x7fc0_dead;

/// Binds `arguments`, runs the recipe once, and returns the contents of every argument (as
/// f32 bit patterns) after it. Scratch memory is poisoned, too.
#[track_caller]
pub fn run(compiler: &Compiler, recipe: &Recipe, arguments: &[Data]) -> Vec<Vec<f32>> {
    RECIPES.set(RECIPES.get() + 1);
    assert_eq!(recipe.arguments.len(), arguments.len());
    for (number, (argument, size)) in arguments.iter().zip(&recipe.arguments).enumerate() {
        if let Size::Bytes(least) = *size {
            let given = argument.bytes();
            assert!(
                given >= least,
                "argument {number}: {given} bytes of {least}"
            );
        }
    }
    if emulated::is_emulated(compiler) {
        return emulated::run(compiler, recipe, arguments);
    }
    let gpu = compiler.gpu;
    let buffers: Vec<View> = arguments
        .iter()
        .map(|argument| {
            match argument {
                Data::In(data) | Data::InOut(data) => gpu.upload("argument", data),
                Data::Words(data) | Data::InOutWords(data) => gpu.upload("argument", data),
                Data::Out(length) => gpu.upload("output", &vec![POISON; *length]),
                Data::Uniform(bytes) => gpu
                    .allocate_uniform("uniform", bytes.len() as u64)
                    .inspect(|buffer| gpu.write(&buffer.view(), bytes)),
            }
            .expect("buffer")
            .view()
        })
        .collect();
    let scratch: Vec<View> = recipe
        .scratch
        .iter()
        .map(|&bytes| {
            let poison = vec![POISON; (bytes as usize).div_ceil(4)];
            gpu.upload("scratch", &poison).expect("scratch").view()
        })
        .collect();
    let mut tape = Tape::new();
    for dispatch in recipe.bind(gpu, &buffers, &scratch, "test").expect("bind") {
        tape.push(dispatch);
    }
    tape.submit(gpu).expect("submit");
    arguments
        .iter()
        .zip(&buffers)
        .map(|(argument, view)| match argument {
            Data::Uniform(_) => Vec::new(),
            _ => gpu.read(view).expect("read"),
        })
        .collect()
}

/// Largest difference relative to the largest expected magnitude, or why there is none.
pub fn difference(got: &[f32], want: &[f64]) -> Result<f64, String> {
    if got.len() != want.len() {
        return Err(format!("{} values, expected {}", got.len(), want.len()));
    }
    let scale = want.iter().fold(1e-6f64, |m, w| m.max(w.abs()));
    let mut worst = 0f64;
    for (index, (&g, &w)) in got.iter().zip(want).enumerate() {
        if g.to_bits() == POISON {
            return Err(format!("value {index} was never written"));
        }
        let error = (f64::from(g) - w).abs() / scale;
        if error.is_nan() {
            return Err(format!("value {index} is {g}, expected {w}"));
        }
        worst = worst.max(error);
    }
    Ok(worst)
}

/// Asserts that `got` agrees with the twin to `tolerance` of the largest magnitude.
#[track_caller]
pub fn assert_close(what: &str, got: &[f32], want: &[f64], tolerance: f64) {
    match difference(got, want) {
        Ok(error) if error <= tolerance => {}
        Ok(error) => {
            panic!("{what}: off by {error:.2e} of the largest value (allowed {tolerance:.0e})")
        }
        Err(reason) => panic!("{what}: {reason}"),
    }
}

/// Values in −1…1 from a counter: the same on every machine.
pub fn noise(seed: u32, length: usize) -> Vec<f32> {
    (0..length as u32)
        .map(|i| {
            let mut x = (i ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
            x ^= x >> 13;
            x = x.wrapping_mul(0xc2b2_ae35);
            x ^= x >> 16;
            x as f32 / u32::MAX as f32 * 2.0 - 1.0
        })
        .collect()
}

/// f32 values as the twins take them.
pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// Central differences of `f` at `x`: its gradient, to about 1e-9 of well-scaled values.
pub fn finite_differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let step = 1e-5;
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let middle = x[i];
            x[i] = middle + step;
            let above = f(&x);
            x[i] = middle - step;
            let below = f(&x);
            x[i] = middle;
            (above - below) / (2.0 * step)
        })
        .collect()
}

#[test]
fn the_comparator_can_fail() {
    assert!(difference(&[1.0, 2.0], &[1.0, 2.0]).unwrap() == 0.0);
    assert!(difference(&[1.0, 2.5], &[1.0, 2.0]).unwrap() > 0.1);
    assert!(difference(&[1.0], &[1.0, 2.0]).is_err());
    assert!(difference(&[1.0, f32::NAN], &[1.0, 2.0]).is_err());
    assert!(difference(&[1.0, f32::from_bits(POISON)], &[1.0, 2.0]).is_err());
}
