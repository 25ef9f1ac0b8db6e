//! The recorded dispatches of a step, replayed with one compute pass.

use super::buffer::Contents;
use super::lavapipe::{self, CompileWatch};
use super::{Dispatch, Gpu, GpuError};
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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

    /// What was recorded.
    pub fn dispatches(&self) -> &[Dispatch] {
        &self.dispatches
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
    /// [`GpuError::Compile`] where the driver refuses the shader.
    pub fn prepare(&self, gpu: &Gpu, watch: &CompileWatch) -> Result<(), GpuError> {
        if gpu.is_hollow() {
            return Ok(());
        }
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
        lavapipe::fill(gpu, &pending, watch);
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

    /// The dispatches of each submission.
    fn submissions(&self) -> impl Iterator<Item = &[Dispatch]> {
        let starts = [0].into_iter().chain(self.cuts.iter().copied());
        let ends = self.cuts.iter().copied().chain([self.dispatches.len()]);
        starts
            .zip(ends)
            .map(|(start, end)| &self.dispatches[start..end])
    }

    /// Submits the tape; does not wait.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device reported an error earlier; [`GpuError::Compile`] when
    /// the tape was not prepared and a shader does not compile.
    pub fn submit(&self, gpu: &Gpu) -> Result<(), GpuError> {
        gpu.check()?;
        self.dispatches.iter().try_for_each(|d| d.prepare(gpu))?;
        for dispatches in self.submissions() {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for dispatch in dispatches {
                dispatch.encode(&mut pass);
            }
            drop(pass);
            gpu.submit([encoder.finish()]);
        }
        Ok(())
    }

    /// Runs the tape with a pass and two timestamps for every dispatch, and waits for it.
    /// Without timestamps, or where they cannot be believed, the host's clock is read around each dispatch
    /// instead, which adds the cost of a submission to every one.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn time(&self, gpu: &Gpu) -> Result<Timing, GpuError> {
        gpu.check()?;
        self.dispatches.iter().try_for_each(|d| d.prepare(gpu))?;
        let on_device = match gpu.timestamps {
            true => self.time_on_device(gpu)?,
            false => None,
        };
        let (nanoseconds, on_device) = match on_device {
            Some(nanoseconds) => (nanoseconds, true),
            None => (self.time_on_host(gpu)?, false),
        };
        let first = nanoseconds.first().map_or(0.0, |&[start, _]| start);
        let since = |time: f64| Duration::from_nanos((time - first).max(0.0).round() as u64);
        Ok(Timing {
            spans: nanoseconds
                .iter()
                .map(|&[start, end]| since(start)..since(end.max(start)))
                .collect(),
            on_device,
        })
    }

    /// Begin and end of each dispatch in nanoseconds of the device's clock; `None` where that shows no such times.
    fn time_on_device(&self, gpu: &Gpu) -> Result<Option<Vec<[f64; 2]>>, GpuError> {
        static TOLD: Once = Once::new();
        let period = f64::from(gpu.queue.get_timestamp_period());
        let mut nanoseconds = Vec::with_capacity(self.len());
        // WebGPU allows 4096 queries in a set: two a dispatch.
        for dispatches in self.submissions().flat_map(|part| part.chunks(2048)) {
            match spans(&ticks(gpu, dispatches)?, period) {
                Some(times) => nanoseconds.extend(times),
                None => {
                    TOLD.call_once(|| {
                        log::warn!(
                            "the timestamps of {} are empty or out of order: times are the host's, with the \
                             cost of a submission in each",
                            gpu.report.name
                        );
                    });
                    return Ok(None);
                }
            }
        }
        Ok(Some(nanoseconds))
    }

    /// Begin and end of each dispatch, in a submission of its own, in nanoseconds of the host's clock.
    fn time_on_host(&self, gpu: &Gpu) -> Result<Vec<[f64; 2]>, GpuError> {
        let begun = Instant::now();
        let now = || begun.elapsed().as_nanos() as f64;
        let time = |dispatch: &Dispatch| {
            let mut tape = Tape::new();
            tape.push(dispatch.clone());
            gpu.wait()?;
            let start = now();
            tape.submit(gpu)?;
            gpu.wait()?;
            Ok([start, now()])
        };
        self.dispatches.iter().map(time).collect()
    }
}

/// When the dispatches of a tape ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timing {
    /// Begin and end of each, since the first began.
    pub spans: Vec<Range<Duration>>,
    /// Whether the device took the times, not the host.
    pub on_device: bool,
}

impl Timing {
    /// Appends what ran afterwards, as if it had begun when this ended.
    pub fn append(&mut self, later: Timing) {
        let end = self.spans.last().map_or(Duration::ZERO, |span| span.end);
        let later_spans = later.spans.into_iter();
        self.spans
            .extend(later_spans.map(|span| end + span.start..end + span.end));
        self.on_device = later.on_device;
    }
}

/// Begin and end of each dispatch as the device's clock counts.
fn ticks(gpu: &Gpu, dispatches: &[Dispatch]) -> Result<Vec<u64>, GpuError> {
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
            label: Some(&dispatch.owner),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &queries,
                beginning_of_pass_write_index: Some(index),
                end_of_pass_write_index: Some(index + 1),
            }),
        });
        dispatch.encode(&mut pass);
    }
    gpu.submit([encoder.finish()]);
    // They are resolved when all of them are there: in the encoder that writes them, or before it is done, some
    // drivers resolve zeros.
    gpu.wait()?;
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
    gpu.submit([encoder.finish()]);
    let buffer = super::Buffer::new(resolved, u64::from(count) * 8);
    gpu.read(&buffer.view())
}

/// Begin and end of each dispatch in nanoseconds, of the device's `ticks` with so many nanoseconds in one. `None` where
/// one was not taken, ends before it begins, or begins before the one ahead of it: as where the clock has wrapped.
fn spans(ticks: &[u64], period: f64) -> Option<Vec<[f64; 2]>> {
    let pairs = || ticks.chunks_exact(2);
    let is_sound = pairs().all(|pair| pair[0] != 0 && pair[0] <= pair[1]);
    let is_ordered = pairs().is_sorted_by(|a, b| a[0] <= b[0]);
    (is_sound && is_ordered).then(|| {
        pairs()
            .map(|pair| [pair[0] as f64 * period, pair[1] as f64 * period])
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Pipeline;

    #[test]
    fn times_that_cannot_be_are_refused() {
        assert_eq!(
            spans(&[10, 20, 20, 30], 2.0),
            Some(vec![[20.0, 40.0], [40.0, 60.0]])
        );
        // A kernel may be shorter than a tick.
        assert!(spans(&[10, 10, 10, 10], 1.0).is_some());
        for wrong in [
            // Never taken.
            [0, 0, 0, 0],
            [0, 20, 20, 30],
            [10, 20, 30, 0],
            // Wrapped, within a dispatch and between two.
            [10, 20, 30, 5],
            [10, 20, 3, 5],
        ] {
            assert_eq!(spans(&wrong, 1.0), None, "{wrong:?}");
        }
    }

    #[test]
    fn without_timestamps_the_host_takes_the_times() {
        let gpu = Gpu::null();
        let source = "@compute @workgroup_size(1) fn main() {}";
        let pipeline = Pipeline::new("test.main", source, "main");
        let mut tape = Tape::new();
        for _ in 0..3 {
            tape.push(pipeline.bind(&gpu, &[], [1, 1, 1], "nobody").unwrap());
        }
        let mut timing = tape.time(&gpu).unwrap();
        assert!(!timing.on_device);
        assert_eq!(timing.spans.len(), 3);
        assert_eq!(timing.spans[0].start, Duration::ZERO);
        timing.append(tape.time(&gpu).unwrap());
        assert_eq!(timing.spans.len(), 6);
        assert!(timing.spans.iter().all(|span| span.start < span.end));
        assert!(timing.spans.is_sorted_by(|a, b| a.end <= b.start));
    }
}
