//! A case on the adapter.

use super::case::{Case, Contents};
use super::judge::{Comparison, compare};
use crate::gpu::{AdapterChoice, Binding, Gpu, GpuError, Pipeline, Tape, View};
use serde::{Deserialize, Serialize};

/// Times that a case runs to be timed.
const ROUNDS: usize = 5;

/// What an adapter made of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub adapter: String,
    /// Whether it is a program on the processor.
    pub software: bool,
    /// Against the twin.
    pub results: Vec<Comparison>,
    /// Least seconds of the dispatch that may be changed.
    pub seconds: f64,
    /// Whether the device's clock took them.
    pub on_device: bool,
}

/// Runs a case on the adapter that the environment means, or the first.
///
/// # Errors
/// [`GpuError`] where there is none, or it refuses the text.
pub fn measure(case: &Case) -> Result<Measured, GpuError> {
    let mut gpu = Gpu::open(&AdapterChoice::default())?;
    // The text is a visitor's: whatever it indexes stays within its buffers.
    gpu.set_checked_shaders(true);
    let views: Vec<View> = case
        .buffers
        .iter()
        .map(|buffer| {
            let words = buffer.contents.words();
            let allocated = match &buffer.contents {
                Contents::Uniform(words) => gpu
                    .allocate_uniform(&buffer.name, 4 * words.len() as u64)
                    .inspect(|uniform| gpu.write(&uniform.view(), words)),
                _ => gpu.upload(&buffer.name, &words),
            };
            Ok(allocated?.view())
        })
        .collect::<Result<_, GpuError>>()?;
    let mut tape = Tape::new();
    for stage in &case.stages {
        let bindings: Vec<Binding> = stage
            .bindings
            .iter()
            .map(|&buffer| Binding::Buffer(views[buffer].clone()))
            .collect();
        let pipeline = Pipeline::new(&stage.name, &stage.source, &stage.entry);
        tape.push(pipeline.bind(&gpu, &bindings, stage.grid, "teach")?);
    }
    tape.submit(&gpu)?;
    let words = case
        .buffers
        .iter()
        .zip(&views)
        .map(|(buffer, view)| match buffer.contents {
            Contents::Uniform(_) => Ok(Vec::new()),
            _ => gpu.read(view),
        })
        .collect::<Result<Vec<Vec<u32>>, GpuError>>()?;
    let mut seconds = f64::INFINITY;
    let mut on_device = false;
    for _ in 0..ROUNDS {
        let timing = tape.time(&gpu)?;
        on_device = timing.on_device;
        if let Some(span) = timing.spans.get(case.edited) {
            seconds = seconds.min((span.end - span.start).as_secs_f64());
        }
    }
    gpu.check()?;
    Ok(Measured {
        adapter: gpu.report.name.clone(),
        software: gpu.class() == crate::gpu::AdapterClass::Software,
        results: compare(case, &words),
        seconds,
        on_device,
    })
}
