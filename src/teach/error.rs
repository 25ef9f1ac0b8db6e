//! What can go wrong before a class has its page.

use std::io;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TeachError {
    /// Another program listens there.
    #[error(
        "port {port} is taken by another program: choose another with --port, or --port 0 for a free one"
    )]
    Taken {
        /// The port.
        port: u16,
    },
    /// The system does not let the program listen there.
    #[error("cannot listen on port {port}: {error}")]
    Listen {
        /// The port.
        port: u16,
        /// The system's words.
        error: io::Error,
    },
    /// The system has no random numbers.
    #[error("no random numbers for the code in the address: {0}")]
    Random(String),
    /// The kernels do not expand: a defect.
    #[error(transparent)]
    Kernels(#[from] crate::gpu::GpuError),
    /// Anything else that the system refuses.
    #[error("cannot serve: {0}")]
    Serve(#[from] io::Error),
}
