//! Adapter, device, buffers, pipelines, one compute pass per step.
//!
//! Every `wgpu::` name of the program lives in this room, which knows no neural network:
//!
//! * [`adapter`]: which adapters there are, which one is meant, what class it is of;
//! * [`device`]: [`Gpu`], an opened device with typed errors instead of panics;
//! * [`buffer`]: device memory and the [`View`]s that kernels bind;
//! * [`texture`]: the same, read through the texture units;
//! * [`pipeline`]: shaders, compiled when they are needed, and their [`Dispatch`]es;
//! * [`cache`]: what drivers made of shaders, kept from run to run; `lavapipe`: making it on all
//!   cores where the driver would not;
//! * [`readback`]: copies to the host that nobody waits for;
//! * [`tape`]: the recorded list of dispatches that is one training step.

pub mod adapter;
pub mod buffer;
pub mod cache;
pub mod device;
pub mod fence;
mod lavapipe;
pub mod pipeline;
pub mod readback;
pub mod tape;
pub mod texture;

pub use adapter::{AdapterChoice, AdapterClass, AdapterReport};
pub use buffer::{Buffer, View};
pub use device::Gpu;
pub use fence::Fence;
pub use lavapipe::CompileWatch;
pub use pipeline::{Binding, Dispatch, MAX_GRID, Pipeline};
pub use readback::Readback;
pub use tape::{Tape, Timing};
pub use texture::Texture;

/// What can go wrong between the program and the device.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// No adapter at all, or none of that name.
    #[error("{0}")]
    NoAdapter(String),
    /// The adapter exists, the device could not be opened.
    #[error("the adapter `{adapter}` refused to open a device: {reason}")]
    Open {
        /// Adapter name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// A buffer larger than the adapter allows, or than it has memory for.
    #[error(
        "`{what}` needs {bytes} bytes in one buffer, the adapter `{adapter}` allows {limit}: \
         choose a smaller --batch or another --adapter"
    )]
    TooLarge {
        /// Name of the buffer.
        what: String,
        /// Bytes wanted.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
        /// Adapter name.
        adapter: String,
    },
    /// The device ran out of memory.
    #[error(
        "the adapter `{adapter}` has no memory left for `{what}` ({bytes} bytes): choose a smaller --batch"
    )]
    OutOfMemory {
        /// Name of the buffer.
        what: String,
        /// Bytes wanted.
        bytes: u64,
        /// Bytes that the program had by then; 0 where the driver does not tell.
        held: u64,
        /// Adapter name.
        adapter: String,
    },
    /// A shader that the compiler refused: a defect of this program or of the driver.
    #[error(
        "the kernel `{kernel}` does not compile on `{adapter}`: {reason}\n\
         this is a defect of autorep or of the driver: please report it with the output of `autorep devices`"
    )]
    Compile {
        /// Kernel name.
        kernel: String,
        /// Adapter name.
        adapter: String,
        /// The compiler's words.
        reason: String,
    },
    /// The device vanished (driver reset, watchdog, unplugged) or reported an internal error.
    #[error(
        "the device `{adapter}` was lost: {reason}\n\
         continue from the last checkpoint with --resume; if it happens again choose a smaller --batch"
    )]
    Lost {
        /// Adapter name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
}
