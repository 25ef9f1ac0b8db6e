//! Repeated timings of dispatches, and processor time.

use super::statistics::Statistics;
use crate::gpu::{GpuError, Timing};
use std::time::{Duration, Instant};

/// How much to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Samples wanted.
    pub samples: usize,
    /// Time after which fewer will do, but never fewer than [`Effort::LEAST`].
    pub budget: Duration,
}

impl Effort {
    /// Fewest samples.
    pub const LEAST: usize = 3;

    /// Takes samples until there are enough.
    ///
    /// # Errors
    /// Those of `sample`.
    pub fn spend<E>(&self, mut sample: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        let begun = Instant::now();
        for taken in 0..self.samples.max(Self::LEAST) {
            if taken >= Self::LEAST && begun.elapsed() > self.budget {
                break;
            }
            sample()?;
        }
        Ok(())
    }
}

/// Timings of the same dispatches, again and again.
#[derive(Debug, Clone, Default)]
pub struct Timings(Vec<Timing>);

impl Timings {
    /// Adds one.
    pub fn push(&mut self, timing: Timing) {
        self.0.push(timing);
    }

    /// The last one.
    pub fn last(&self) -> Option<&Timing> {
        self.0.last()
    }

    /// Seconds of each dispatch.
    pub fn dispatches(&self) -> Vec<Statistics> {
        let count = self.0.first().map_or(0, |timing| timing.spans.len());
        (0..count)
            .map(|index| {
                let seconds = |timing: &Timing| {
                    let span = &timing.spans[index];
                    (span.end - span.start).as_secs_f64()
                };
                Statistics::of(&self.0.iter().map(seconds).collect::<Vec<_>>())
            })
            .collect()
    }

    /// Seconds of all dispatches together, without what lies between them.
    pub fn total(&self) -> Statistics {
        let total = |timing: &Timing| {
            let spans = timing.spans.iter();
            spans.map(|s| (s.end - s.start).as_secs_f64()).sum()
        };
        Statistics::of(&self.0.iter().map(total).collect::<Vec<f64>>())
    }
}

/// Takes timings with `time`.
///
/// # Errors
/// Those of `time`.
pub fn timings(
    effort: Effort,
    mut time: impl FnMut() -> Result<Timing, GpuError>,
) -> Result<Timings, GpuError> {
    let mut timings = Timings::default();
    effort.spend(|| {
        timings.push(time()?);
        Ok(())
    })?;
    Ok(timings)
}

/// Processor time of all threads of this process so far, divided by the number of cores: what a
/// software adapter would take on a machine that does nothing else. `None` where it is not
/// known: on other systems than Linux.
pub fn processor_time() -> Option<Duration> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let nanoseconds: u64 = threads
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get()) as u32;
    Some(Duration::from_nanos(nanoseconds) / cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timings_add_up_by_dispatch_and_by_run() {
        let mut timings = Timings::default();
        for (first, second) in [(10, 1), (30, 2), (20, 6)] {
            let millis = Duration::from_millis;
            timings.push(Timing {
                // A gap of 100 ms counts for nobody.
                spans: vec![
                    millis(0)..millis(first),
                    millis(first + 100)..millis(first + 100 + second),
                ],
                on_device: true,
            });
        }
        let medians: Vec<f64> = timings.dispatches().iter().map(|s| s.median).collect();
        assert_eq!(medians, [0.020, 0.002]);
        let total = timings.total();
        assert!((total.median - 0.026).abs() < 1e-12 && (total.best - 0.011).abs() < 1e-12);
        assert!(Timings::default().dispatches().is_empty());
    }

    #[test]
    fn a_spent_budget_leaves_the_least_number_of_samples() {
        let count = |samples, budget| {
            let mut taken = 0;
            let effort = Effort { samples, budget };
            let all: Result<(), ()> = effort.spend(|| {
                taken += 1;
                Ok(())
            });
            all.map(|()| taken)
        };
        assert_eq!(count(10, Duration::ZERO), Ok(Effort::LEAST));
        assert_eq!(count(10, Duration::MAX), Ok(10));
        assert_eq!(count(0, Duration::MAX), Ok(Effort::LEAST));
    }
}
