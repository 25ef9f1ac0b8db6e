//! The recorded dispatches of a step, replayed with one compute pass.

use super::buffer::Contents;
use super::{Dispatch, Gpu, GpuError, cache};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Hears how many of how many shaders are compiled, from any thread.
pub type CompileWatch = dyn Fn(usize, usize) + Send + Sync;

/// A list of dispatches that is recorded once and replayed every step.
///
/// Desktop watchdogs kill work that holds a GPU for seconds, so a tape whose expected time
/// is long is cut into several submissions at dispatch boundaries ([`Tape::split`]); the
/// usual step is one submission with one pass.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    dispatches: Vec<Dispatch>,
    /// Positions at which a new submission starts.
    cuts: Vec<usize>,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a dispatch.
    pub fn push(&mut self, dispatch: Dispatch) {
        self.dispatches.push(dispatch);
    }

    /// Starts a new submission with the next dispatch.
    pub fn split(&mut self) {
        if self.cuts.last() != Some(&self.dispatches.len()) && !self.dispatches.is_empty() {
            self.cuts.push(self.dispatches.len());
        }
    }

    /// Number of dispatches.
    pub fn len(&self) -> usize {
        self.dispatches.len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.dispatches.is_empty()
    }

    /// Compiles every pipeline that is not compiled yet, on all cores, and binds the buffers:
    /// what [`Tape::submit`] would otherwise do one after the other before the first step.
    ///
    /// # Errors
    /// [`GpuError::Compile`].
    pub fn prepare(&self, gpu: &Gpu, watch: &CompileWatch) -> Result<(), GpuError> {
        let mut pending: Vec<&Dispatch> = Vec::new();
        let mut by_source: HashMap<&str, Vec<usize>> = HashMap::new();
        for dispatch in self.dispatches.iter().filter(|d| !d.pipeline.is_compiled()) {
            let alike = by_source.entry(dispatch.pipeline.source()).or_default();
            if !alike
                .iter()
                .any(|&i| pending[i].pipeline.is(&dispatch.pipeline))
            {
                alike.push(pending.len());
                pending.push(dispatch);
            }
        }
        // Long texts take longest to compile: begin with them.
        pending.sort_by_key(|d| std::cmp::Reverse(d.pipeline.source().len()));
        let (done, total) = (AtomicUsize::new(0), pending.len());
        cache::fill(gpu, &pending, watch);
        pending.par_iter().try_for_each(|dispatch| {
            dispatch.pipeline.compile(gpu)?;
            watch(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            Ok(())
        })?;
        if total > 0 {
            gpu.save_pipeline_cache();
        }
        self.dispatches.iter().try_for_each(|d| d.prepare(gpu))
    }

    /// Submits the tape; does not wait.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device reported an error earlier; [`GpuError::Compile`] when
    /// the tape was not prepared and a shader does not compile.
    pub fn submit(&self, gpu: &Gpu) -> Result<(), GpuError> {
        gpu.check()?;
        self.dispatches.iter().try_for_each(|d| d.prepare(gpu))?;
        let ends = self.cuts.iter().copied().chain([self.dispatches.len()]);
        let mut start = 0;
        for end in ends {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for dispatch in &self.dispatches[start..end] {
                dispatch.encode(&mut pass);
            }
            drop(pass);
            gpu.queue.submit([encoder.finish()]);
            start = end;
        }
        Ok(())
    }

    /// Runs the tape with a timestamp around every dispatch and returns label and time of
    /// each. Without timestamps the host's clock is read around each dispatch instead, which
    /// adds the cost of a submission to every entry; the flag says which of the two it was.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub fn time(&self, gpu: &Gpu) -> Result<(Vec<(String, Duration)>, bool), GpuError> {
        self.dispatches.iter().try_for_each(|d| d.prepare(gpu))?;
        let mut times = Vec::with_capacity(self.dispatches.len());
        // WebGPU allows 4096 queries in a set: two a dispatch.
        for chunk in self.dispatches.chunks(2048) {
            if gpu.timestamps {
                times.extend(time_on_device(gpu, chunk)?);
            } else {
                for dispatch in chunk {
                    let mut tape = Tape::new();
                    tape.push(dispatch.clone());
                    gpu.wait()?;
                    let start = std::time::Instant::now();
                    tape.submit(gpu)?;
                    gpu.wait()?;
                    times.push(start.elapsed());
                }
            }
        }
        let labels = self.dispatches.iter().map(|d| d.label.to_string());
        Ok((labels.zip(times).collect(), gpu.timestamps))
    }
}

fn time_on_device(gpu: &Gpu, dispatches: &[Dispatch]) -> Result<Vec<Duration>, GpuError> {
    let count = 2 * dispatches.len() as u32;
    let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
        label: Some("timestamps"),
        ty: wgpu::QueryType::Timestamp,
        count,
    });
    let resolved = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("timestamps"),
        size: u64::from(count) * 8,
        usage: wgpu::BufferUsages::QUERY_RESOLVE | Contents::Storage.usage(),
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    for (index, dispatch) in (0..).step_by(2).zip(dispatches) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some(&dispatch.label),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &queries,
                beginning_of_pass_write_index: Some(index),
                end_of_pass_write_index: Some(index + 1),
            }),
        });
        dispatch.encode(&mut pass);
    }
    encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
    gpu.queue.submit([encoder.finish()]);
    let buffer = super::Buffer::new(resolved, u64::from(count) * 8);
    let ticks: Vec<u64> = gpu.read(&buffer.view())?;
    let period = f64::from(gpu.queue.get_timestamp_period());
    Ok(ticks
        .chunks_exact(2)
        .map(|pair| Duration::from_nanos((pair[1].saturating_sub(pair[0]) as f64 * period) as u64))
        .collect())
}
