//! Choosing among variants of a kernel by trying them.
//!
//! Families choose their tiles by rule, from shape and tiling. A [`Tuner`] times the rule's
//! choice against its neighbours, once per adapter, driver and shape, and keeps the outcome in
//! the user's cache folder. Only variants that sum every element of the result in the same order
//! may stand for a choice, so that it changes the time of a step and not its outcome (a driver
//! may still contract a multiplication and an addition in one variant and not in another: a
//! rounding in the last place).

use super::recipe::Recipe;
use crate::gpu::{AdapterClass, Gpu, GpuError, Tape, View, cache};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A variant must be faster than the rule's choice by this factor to take its place: what is
/// closer may be noise.
const GAIN: f64 = 1.02;
/// Times that every variant runs, in turns.
const ROUNDS: usize = 4;
/// How long the rule's choice runs beforehand, for an idle adapter to begin to raise its clock. It
/// may take much longer (an H100: a second or so), and what runs last would seem the fastest: so
/// variants take turns, and are compared with each other only.
const WARM_UP: Duration = Duration::from_millis(30);

/// Chooses among variants.
pub enum Tuner {
    /// By trying them.
    Probe(Probe),
    /// The n-th of them, or the last: for tests of every variant.
    Nth(usize),
}

/// What trying has shown so far.
pub struct Probe {
    /// Where it is kept; `None` without a cache folder.
    file: Option<PathBuf>,
    /// The chosen variant of every question that was asked, both in words.
    choices: Mutex<BTreeMap<String, String>>,
}

impl Tuner {
    /// A tuner that probes, on adapters whose families have variants to choose among: on a
    /// software adapter the rules decide alone.
    pub fn where_it_pays(gpu: &Gpu) -> Option<Self> {
        (gpu.class() != AdapterClass::Software).then(|| Self::probe(gpu))
    }

    /// A tuner that remembers what was tried on this adapter before. A file that cannot be read
    /// is made anew.
    pub fn probe(gpu: &Gpu) -> Self {
        let report = &gpu.report;
        let adapter = format!(
            "{} {} {} {}",
            report.name,
            report.backend,
            report.driver,
            env!("CARGO_PKG_VERSION")
        );
        let name = format!("tiles-{:08x}.json", crc32c::crc32c(adapter.as_bytes()));
        let file = cache::folder().map(|folder| folder.join(name));
        let choices = file
            .as_ref()
            .and_then(|file| std::fs::read(file).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Tuner::Probe(Probe {
            file,
            choices: Mutex::new(choices.unwrap_or_default()),
        })
    }

    /// One of `variants`, of which the first is the rule's choice. `question` says in words what
    /// is asked (kernel and shape); `build` makes the recipe of a variant, whose arguments are
    /// f32 arrays of `lengths`.
    ///
    /// # Errors
    /// [`GpuError`] when a variant cannot be built or run.
    pub(super) fn choose<V: Copy + Display>(
        &self,
        gpu: &Gpu,
        question: &str,
        variants: &[V],
        lengths: &[usize],
        build: impl Fn(V) -> Result<Recipe, GpuError>,
    ) -> Result<V, GpuError> {
        let probe = match self {
            Tuner::Nth(n) => return Ok(variants[(*n).min(variants.len() - 1)]),
            Tuner::Probe(_) if variants.len() == 1 => return Ok(variants[0]),
            Tuner::Probe(probe) => probe,
        };
        let names: Vec<String> = variants.iter().map(V::to_string).collect();
        let question = format!("{question}: {}", names.join(" or "));
        if let Some(answer) = probe.choices().get(&question)
            && let Some(index) = names.iter().position(|name| name == answer)
        {
            return Ok(variants[index]);
        }
        let buffers = lengths
            .iter()
            .map(|&length| Ok(gpu.allocate("probe", 4 * length as u64)?.view()))
            .collect::<Result<Vec<View>, GpuError>>();
        // Where there is no room to try, the rule must do.
        let tapes = buffers.and_then(|buffers| {
            let tapes = variants.iter();
            let tapes = tapes.map(|&variant| tape(gpu, &build(variant)?, &buffers));
            tapes.collect::<Result<Vec<Tape>, GpuError>>()
        });
        let tapes = match tapes {
            Err(GpuError::OutOfMemory { .. } | GpuError::TooLarge { .. }) => {
                return Ok(variants[0]);
            }
            tapes => tapes?,
        };
        let seconds = fastest(gpu, &tapes)?;
        let mut best = (0, f64::INFINITY);
        for (index, &seconds) in seconds.iter().enumerate() {
            let handicap = if index == 0 { 1.0 } else { GAIN };
            if seconds * handicap < best.1 {
                best = (index, seconds * handicap);
            }
        }
        let times: Vec<String> = seconds.iter().map(|s| format!("{:.3}", s * 1e3)).collect();
        log::trace!("{question}: {} ms", times.join(", "));
        log::debug!("{question}: {}", names[best.0]);
        probe.keep(question, names[best.0].clone());
        Ok(variants[best.0])
    }
}

impl Probe {
    fn choices(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.choices.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Keeps a choice. What cannot be written is tried again the next time.
    fn keep(&self, question: String, answer: String) {
        let mut choices = self.choices();
        choices.insert(question, answer);
        if let (Some(file), Ok(text)) = (&self.file, serde_json::to_vec_pretty(&*choices))
            && let Err(error) = cache::write(file, &text)
        {
            log::debug!("{error}");
        }
    }
}

/// A recipe on a tape of its own.
fn tape(gpu: &Gpu, recipe: &Recipe, arguments: &[View]) -> Result<Tape, GpuError> {
    let scratch = recipe
        .scratch
        .iter()
        .map(|&bytes| Ok(gpu.allocate("probe", bytes)?.view()))
        .collect::<Result<Vec<View>, GpuError>>()?;
    let mut tape = Tape::new();
    for dispatch in recipe.bind(gpu, arguments, &scratch, "probe")? {
        tape.push(dispatch);
    }
    Ok(tape)
}

/// Device seconds of the fastest of a few runs of each tape.
fn fastest(gpu: &Gpu, tapes: &[Tape]) -> Result<Vec<f64>, GpuError> {
    // All are compiled together, on all cores.
    let mut all = Tape::new();
    for dispatch in tapes.iter().flat_map(Tape::dispatches) {
        all.push(dispatch.clone());
    }
    all.prepare(gpu, &|_, _| ())?;
    let begun = Instant::now();
    while begun.elapsed() < WARM_UP {
        tapes[0].submit(gpu)?;
        gpu.wait()?;
    }
    let mut best = vec![f64::INFINITY; tapes.len()];
    for _ in 0..ROUNDS {
        for (best, tape) in best.iter_mut().zip(tapes) {
            let spans = tape.time(gpu)?.spans;
            let taken: Duration = spans.iter().map(|span| span.end - span.start).sum();
            *best = best.min(taken.as_secs_f64());
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(tuner: Tuner) -> u32 {
        let gpu = Gpu::null();
        let recipe = |_| Ok(Recipe::default());
        let chosen = tuner.choose(&gpu, "which", &[7, 8, 9], &[4], recipe);
        chosen.unwrap()
    }

    #[test]
    fn a_choice_is_the_rules_unless_another_was_found_faster() {
        assert_eq!(choose(Tuner::Nth(1)), 8);
        assert_eq!(choose(Tuner::Nth(5)), 9);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiles.json");
        let probe = |kept: &[(&str, &str)]| {
            let own =
                |(question, answer): &(&str, &str)| (question.to_string(), answer.to_string());
            Tuner::Probe(Probe {
                file: Some(file.clone()),
                choices: Mutex::new(kept.iter().map(own).collect()),
            })
        };
        // Nothing takes no time at all: no variant is faster than the rule's.
        assert_eq!(choose(probe(&[])), 7);
        let kept: BTreeMap<String, String> =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(kept["which: 7 or 8 or 9"], "7");
        assert_eq!(choose(probe(&[("which: 7 or 8 or 9", "9")])), 9);
        // An answer to another question, or one that is no variant, does not count.
        assert_eq!(choose(probe(&[("which: 7 or 9", "9")])), 7);
        assert_eq!(choose(probe(&[("which: 7 or 8 or 9", "10")])), 7);
    }
}
