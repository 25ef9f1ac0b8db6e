//! Every kernel once more as plain Rust on `f64` slices, written to be read.
//!
//! These twins are the oracle of the tests and the text of the lesson; where the host must draw or
//! decide as the device does (random numbers, augmentation, squares), it calls them, too. They
//! import nothing of the other rooms, and they know only loops.
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
pub mod metrics;
pub mod optimizer;
pub mod pool;
pub mod random;
pub mod roofline;
pub mod scale;
pub mod sigmoid;
pub mod squares;
pub mod threshold;
