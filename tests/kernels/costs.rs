//! What kernels say that they cost, against what the emulator counts.

use autorep::emulator::Counts;
use autorep::kernels::{Kernel, Tiling};

/// Holds a kernel's declared cost to what a dispatch did.
pub fn compare(tiling: Tiling, kernel: &Kernel, counts: &Counts) {
    let touched = counts.buffers.iter();
    let bytes: u64 = touched.map(|b| b.bytes_read + b.bytes_written).sum();
    if std::env::var_os("AUTOREP_TEST_COSTS").is_some() {
        eprintln!(
            "COST\t{}\t{tiling}\t{:?}\t{}\t{bytes}\t{}\t{}\t{:?}",
            kernel.pipeline.name(),
            kernel.grid,
            kernel.cost.bytes,
            kernel.cost.flops,
            counts.flops,
            counts
                .buffers
                .iter()
                .map(|b| (&b.name[..], b.bytes_read, b.bytes_written))
                .collect::<Vec<_>>()
        );
    }
}
