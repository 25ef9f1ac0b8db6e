//! A profile: where a step's time goes, per kernel, layer and part of the step.

use super::measure::{Effort, Timings};
use super::roofline::Roofline;
use super::statistics::{Statistics, ratio};
use super::step::{Phase, Step};
use crate::gpu::{Gpu, GpuError, Timing};
use crate::kernels::Cost;
use crate::step::account::{Memory, Pass, Work};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What was profiled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Architecture.
    pub model: String,
    /// Multiplier of its channel counts.
    pub width: f64,
    /// Height and width of the images.
    pub image_size: (usize, usize),
    /// Number of classes.
    pub classes: usize,
    /// The data set.
    pub data: String,
    /// The phase.
    pub phase: Phase,
    /// Images of a step.
    pub batch: usize,
    /// Parts in which they are taken.
    pub micro_batches: usize,
    /// Whether activations are computed again in the backward pass.
    pub recompute: bool,
    /// The adapter, its backend and driver.
    pub adapter: String,
    /// Kernel preset.
    pub preset: String,
}

/// Who took the times of single dispatches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The device, by timestamps.
    Device,
    /// The host, around the submission of each dispatch.
    Host,
}

/// Time and work of one or several dispatches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Kernel and entry point, layer, or part of the step.
    pub name: String,
    /// Dispatches.
    pub calls: usize,
    /// Seconds.
    pub seconds: f64,
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes that must be moved.
    pub bytes: f64,
    /// 10⁹ operations a second.
    pub gflops_per_second: f64,
    /// 10⁹ bytes a second.
    pub gbytes_per_second: f64,
    /// Share of the time of all dispatches.
    pub share: f64,
    /// Least seconds by the roofline.
    pub floor_seconds: f64,
    /// Share of what the adapter can do: floor over time.
    pub roofline: f64,
}

/// One dispatch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DispatchEntry {
    /// Kernel: the stem of its shader's file.
    pub kernel: String,
    /// Entry point.
    pub entry: String,
    /// The layer that it works for.
    pub layer: String,
    /// Part of the step.
    pub pass: Pass,
    /// Seconds.
    pub time: Statistics,
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes that must be moved.
    pub bytes: f64,
    /// Least seconds by the roofline.
    pub floor_seconds: f64,
}

/// A profile of a step; what `autorep profile --json` writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Version of this format.
    pub format: u32,
    /// Images a second of whole steps as a run takes them: one pass each, nothing timed inside.
    pub images_per_second: f64,
    /// What was profiled.
    #[serde(flatten)]
    pub subject: Subject,
    /// What the adapter can do.
    pub roofline: Roofline,
    /// Seconds of a whole step.
    pub step: Statistics,
    /// Seconds that the host takes to encode and submit a step.
    pub host_seconds: f64,
    /// Seconds of all dispatches together, each timed on its own.
    pub kernel_seconds: f64,
    /// Least seconds by the roofline, summed over the dispatches.
    pub floor_seconds: f64,
    /// Who timed the dispatches.
    pub clock: Clock,
    /// Device memory.
    pub memory: Memory,
    /// By part of the step.
    pub passes: Vec<Entry>,
    /// By kernel, longest first.
    pub kernels: Vec<Entry>,
    /// By layer, longest first.
    pub layers: Vec<Entry>,
    /// Every dispatch, in order.
    pub dispatches: Vec<DispatchEntry>,
}

/// What was measured of a step.
pub struct Measured {
    /// Seconds of whole steps.
    pub step: Statistics,
    /// Seconds of encoding and submitting.
    pub host: Statistics,
    /// Timings of the dispatches.
    pub timings: Timings,
}

/// Steps that are taken before anything is measured.
const WARM_UP: usize = 1;

/// Whole steps are submitted together until they last this long, as in training, where the
/// device never waits for the host.
const TOGETHER: Duration = Duration::from_millis(250);

impl Measured {
    /// Measures a step. Whole steps and timed ones take turns, so that both see the same machine.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn take(gpu: &Gpu, step: &Step, effort: Effort) -> Result<Self, GpuError> {
        for _ in 0..WARM_UP {
            step.submit(gpu)?;
            gpu.wait()?;
        }
        let begun = Instant::now();
        step.submit(gpu)?;
        gpu.wait()?;
        let together = TOGETHER.as_secs_f64() / begun.elapsed().as_secs_f64().max(1e-6);
        let together = (together.ceil() as usize).clamp(1, 64);
        let (mut steps, mut hosts, mut timings) = (Vec::new(), Vec::new(), Timings::default());
        effort.spend(|| {
            let begun = Instant::now();
            for _ in 0..together {
                step.submit(gpu)?;
            }
            gpu.wait()?;
            steps.push(begun.elapsed().as_secs_f64() / together as f64);
            // The device has nothing to do: nothing keeps the host waiting.
            let begun = Instant::now();
            step.submit(gpu)?;
            hosts.push(begun.elapsed().as_secs_f64());
            gpu.wait()?;
            timings.push(step.time(gpu)?);
            Ok::<(), GpuError>(())
        })?;
        Ok(Self {
            step: Statistics::of(&steps),
            host: Statistics::of(&hosts),
            timings,
        })
    }
}

impl Profile {
    /// Puts together what was measured of `work`.
    pub fn new(
        subject: Subject,
        roofline: Roofline,
        memory: Memory,
        work: &[Work],
        measured: &Measured,
    ) -> Self {
        let times = measured.timings.dispatches();
        let dispatches: Vec<DispatchEntry> = work
            .iter()
            .zip(times)
            .map(|(work, time)| DispatchEntry {
                kernel: work.kernel.clone(),
                entry: work.entry.clone(),
                layer: work.layer.clone(),
                pass: work.pass,
                time,
                flops: work.cost.flops,
                bytes: work.cost.bytes,
                floor_seconds: roofline.floor(work.cost),
            })
            .collect();
        let longest_first = |mut entries: Vec<Entry>| {
            entries.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
            entries
        };
        let on_device = measured.timings.last().is_some_and(|last| last.on_device);
        Self {
            format: 1,
            images_per_second: ratio(subject.batch as f64, measured.step.median),
            roofline,
            step: measured.step,
            host_seconds: measured.host.median,
            kernel_seconds: dispatches.iter().map(|d| d.time.median).sum(),
            floor_seconds: dispatches.iter().map(|d| d.floor_seconds).sum(),
            clock: if on_device {
                Clock::Device
            } else {
                Clock::Host
            },
            memory,
            passes: grouped(&dispatches, |d| d.pass.to_string()),
            kernels: longest_first(grouped(&dispatches, |d| {
                format!("{}.{}", d.kernel, d.entry)
            })),
            layers: longest_first(grouped(&dispatches, |d| d.layer.clone())),
            dispatches,
            subject,
        }
    }

    /// Whether the step, or the arithmetic of one of its dispatches, is faster than the roofs allow: they were measured
    /// while the machine had other work. One dispatch may pass the roof of the bandwidth, where its operands lie in a
    /// cache.
    pub fn beats_roofline(&self) -> bool {
        let computes_faster = |dispatch: &DispatchEntry| {
            dispatch.flops > self.roofline.flops_per_second * dispatch.time.median
        };
        self.floor_seconds > self.kernel_seconds || self.dispatches.iter().any(computes_faster)
    }
}

/// Dispatches of the same name together, in the order in which names first occur.
fn grouped(dispatches: &[DispatchEntry], name: impl Fn(&DispatchEntry) -> String) -> Vec<Entry> {
    let total: f64 = dispatches.iter().map(|d| d.time.median).sum();
    let mut groups: Vec<(String, Vec<&DispatchEntry>)> = Vec::new();
    for dispatch in dispatches {
        let name = name(dispatch);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, group)) => group.push(dispatch),
            None => groups.push((name, vec![dispatch])),
        }
    }
    groups
        .into_iter()
        .map(|(name, group)| {
            let sum = |of: fn(&DispatchEntry) -> f64| group.iter().map(|d| of(d)).sum::<f64>();
            let cost = Cost {
                flops: sum(|d| d.flops),
                bytes: sum(|d| d.bytes),
            };
            let seconds = sum(|d| d.time.median);
            let floor = sum(|d| d.floor_seconds);
            Entry::new(name, group.len(), seconds, cost, floor, total)
        })
        .collect()
}

impl Entry {
    /// `calls` dispatches that take `seconds` of `total`.
    pub fn new(
        name: String,
        calls: usize,
        seconds: f64,
        cost: Cost,
        floor_seconds: f64,
        total: f64,
    ) -> Self {
        Self {
            name,
            calls,
            seconds,
            flops: cost.flops,
            bytes: cost.bytes,
            gflops_per_second: ratio(cost.flops, seconds) / 1e9,
            gbytes_per_second: ratio(cost.bytes, seconds) / 1e9,
            share: ratio(seconds, total),
            floor_seconds,
            roofline: ratio(floor_seconds, seconds),
        }
    }
}

/// One timed run of the dispatches with what they are: what a trace shows.
pub fn timeline<'a>(work: &'a [Work], timing: &'a Timing) -> impl Iterator<Item = Slice<'a>> {
    let slices = work.iter().zip(&timing.spans);
    slices.map(|(work, span)| Slice {
        work,
        start: span.start,
        duration: span.end - span.start,
    })
}

/// One dispatch on a timeline.
pub struct Slice<'a> {
    /// What it is.
    pub work: &'a Work,
    /// When it began, since the first did.
    pub start: Duration,
    /// How long it took.
    pub duration: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(entry: &str, layer: &str, pass: Pass, flops: f64, bytes: f64) -> Work {
        Work {
            kernel: "conv2d".into(),
            entry: entry.into(),
            layer: layer.into(),
            pass,
            cost: Cost { flops, bytes },
        }
    }

    #[test]
    fn a_profile_adds_up_by_hand() {
        let works = [
            work("forward", "conv1", Pass::Forward, 2e9, 0.0),
            work("forward", "conv2", Pass::Forward, 1e9, 80e6),
            work("weight", "conv1", Pass::Backward, 0.0, 16e6),
        ];
        let millis = Duration::from_millis;
        let mut timings = Timings::default();
        timings.push(Timing {
            spans: vec![
                millis(0)..millis(40),
                millis(40)..millis(60),
                millis(70)..millis(110),
            ],
            on_device: true,
        });
        let measured = Measured {
            step: Statistics::of(&[0.25]),
            host: Statistics::of(&[0.001]),
            timings,
        };
        let subject = Subject {
            model: "resnet8".into(),
            width: 1.0,
            image_size: (32, 32),
            classes: 10,
            data: "builtin".into(),
            phase: Phase::Teacher,
            batch: 50,
            micro_batches: 1,
            recompute: false,
            adapter: "a GPU".into(),
            preset: "portable".into(),
        };
        let against = |flops_per_second, bytes_per_second| {
            let roofline = Roofline {
                flops_per_second,
                bytes_per_second,
            };
            let subject = subject.clone();
            Profile::new(subject, roofline, Memory::default(), &works, &measured)
        };
        // The first convolution does 50 GFLOP/s; at 1 GB/s the bytes of all three would take 106 ms.
        let profile = against(200e9, 8e9);
        assert!(!profile.beats_roofline());
        assert!(against(49e9, 8e9).beats_roofline());
        assert!(against(200e9, 1e9).beats_roofline());
        assert_eq!(profile.images_per_second, 200.0);
        assert!((profile.kernel_seconds - 0.1).abs() < 1e-12);
        // Floors of 10 ms by flops, 10 ms and 2 ms by bytes.
        assert!((profile.floor_seconds - 0.022).abs() < 1e-12);
        assert_eq!(profile.clock, Clock::Device);

        let [forward, weight] = &profile.kernels[..] else {
            panic!("two kernels");
        };
        assert_eq!(
            (forward.name.as_str(), forward.calls),
            ("conv2d.forward", 2)
        );
        assert!((forward.seconds - 0.06).abs() < 1e-12);
        assert!((forward.gflops_per_second - 50.0).abs() < 1e-9);
        assert!((forward.share - 0.6).abs() < 1e-12);
        assert!((forward.roofline - 1.0 / 3.0).abs() < 1e-12);
        assert!((weight.gbytes_per_second - 0.4).abs() < 1e-9);
        // Longest first: 40 + 40 ms, then 20 ms.
        let layers: Vec<&str> = profile.layers.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(layers, ["conv1", "conv2"]);
        let passes: Vec<&str> = profile.passes.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(passes, ["forward", "backward"]);

        let text = serde_json::to_string(&profile).unwrap();
        let read: Profile = serde_json::from_str(&text).unwrap();
        assert_eq!(read.subject, profile.subject);
        assert_eq!(read.step, profile.step);
        assert_eq!(read.dispatches, profile.dispatches);
    }
}
