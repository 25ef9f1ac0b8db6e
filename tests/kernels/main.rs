//! Every kernel against its plain-Rust twin, on every adapter and every tiling and in the emulator, on
//! awkward shapes, with poisoned outputs. One process and one device per adapter.

mod add;
mod augment;
mod batch_norm;
mod conv2d;
mod costs;
mod dapa;
mod dropout;
mod emulated;
mod gate;
mod harness;
mod indicator;
mod linear;
mod loss;
mod max_pool;
mod metrics;
mod mutants;
mod optimizer;
mod pool;
mod roofline;
mod scale;
mod sigmoid;
mod squares;
mod threshold;
