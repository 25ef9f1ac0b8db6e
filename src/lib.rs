//! `autorep` searches a trained network for the few ReLUs worth keeping and replaces the
//! rest by polynomials fitted to the distribution of their inputs (AutoReP, ICCV 2023).
//! Everything that computes is a WGSL kernel under `shaders/`, run through wgpu on any
//! Vulkan, Metal or DX12 adapter, a software one included.
//!
//! A tour in reading order; `docs/architecture.md` is the map, with who may import whom:
//!
//! 1. [`mod@reference`]: every kernel once more as plain Rust on slices: the lesson's text and
//!    the tests' oracle.
//! 2. [`gpu`]: adapter, device, buffers, pipelines, one compute pass per step.
//! 3. [`kernels`]: one file per WGSL family: specialise, bind, dispatch, declare the cost.
//!    [`emulator`] runs any WGSL instruction by instruction, and tells what real GPUs would show.
//! 4. [`graph`]: the small fixed op set; `Network` is data, `Plan` compiles it.
//! 5. [`models`]: functions that build a `Network`.
//! 6. [`data`]: readers, split, the built-in generator, the resident data set.
//! 7. [`step`]: a training step and an evaluation, compiled once.
//! 8. [`settings`] and [`run`]: what a run is asked to be, and the folder that it leaves;
//!    [`files`]: files that are there whole or not at all; [`tensor_file`]: tensors in them.
//! 9. [`train`]: the loop around steps: phases, schedules, progress.
//! 10. [`search`]: the paper: scores with hysteresis, DaPa, the budget; other methods beside it,
//!     and searches for what private inference really costs.
//! 11. [`profile`]: where a step's time goes, against what the adapter can do.
//! 12. [`export`]: ONNX and safetensors files for private-inference engines.
//! 13. [`cost`]: bytes, rounds and time in private inference, by protocol.
//! 14. [`report`]: runs as one page of HTML.
//! 15. [`record`]: a training run as anybody can replay it.
//! 16. [`teach`]: a page for a class, on which kernels are changed and run.
//! 17. [`cli`]: one file per subcommand.

// Of the library alone; lints of tests and benchmarks, too, stand in Cargo.toml. Nothing that a
// user supplies may end in a panic, and `println!` is one where nobody reads any more.
#![warn(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

pub mod cli;
pub mod cost;
pub mod data;
pub mod emulator;
pub mod export;
pub mod files;
pub mod gpu;
pub mod graph;
pub mod kernels;
pub mod models;
pub mod panics;
pub mod private;
pub mod profile;
pub mod record;
pub mod reference;
pub mod report;
pub mod run;
pub mod search;
pub mod settings;
pub mod step;
pub mod teach;
pub mod tensor_file;
pub mod train;
