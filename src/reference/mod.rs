//! Every kernel once more as plain Rust on `f64` slices, written to be read.
//!
//! These twins are the oracle of the tests, the text of the lesson, and what `--check` runs
//! beside the device. They import nothing of the other rooms, and they know only loops.
//! Activations are NCHW, weights OIHW, as in the kernels.

pub mod add;
pub mod augment;
pub mod batch_norm;
pub mod conv2d;
pub mod dapa;
pub mod dropout;
pub mod gate;
pub mod indicator;
pub mod linear;
pub mod loss;
pub mod max_pool;
pub mod optimizer;
pub mod pool;
pub mod random;
pub mod roofline;
pub mod scale;
pub mod sigmoid;
pub mod squares;
