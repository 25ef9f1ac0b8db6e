//! A shader and its buffers, to all that can be told of them.

use super::counts::Counts;
use super::error::{CompileError, RunError};
use super::finding::Finding;
use super::map::AccessMap;
use super::memory::Buffer;
use super::program::{Program, Resource};
use super::run::Outcome;
use super::settings::Run;
use super::source::{Slot, SourcePlace};
use super::spec::{Spec, SpecError};
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// How thoroughly a shader is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    /// Lanes of a subgroup: a power of two from 1 to 128.
    pub subgroup_size: u32,
    /// Orders in which the invocations run; at least one. Every other one has workgroups interleaved, where
    /// they are few.
    pub seeds: u32,
    /// Instructions that an invocation may take before its loop is called endless.
    pub budget: u64,
    /// Instructions of one run; a dispatch that takes more is an error.
    pub most_instructions: u64,
}

impl Default for How {
    fn default() -> Self {
        Self {
            subgroup_size: 32,
            seeds: 5,
            budget: 1_000_000,
            // A quarter of a minute, about.
            most_instructions: 1_000_000_000,
        }
    }
}

/// Most invocations whose workgroups run interleaved, each of which keeps its whole state.
const MOST_INTERLEAVED: u64 = 4096;

/// What a check tells.
#[derive(Debug, Clone)]
pub struct Report {
    /// The entry point that ran.
    pub entry: String,
    /// Faults of all runs, each with the seed that first showed it.
    pub findings: Vec<(u64, Finding)>,
    /// A result that depends on the order in which invocations run.
    pub differs: Option<Differs>,
    /// Counts of the first run.
    pub counts: Counts,
    /// Which invocation touches which elements, in the first run.
    pub map: AccessMap,
    /// The buffers after the first run.
    pub buffers: Vec<Buffer>,
    /// Runs that were made; fewer than asked for after a loop without end.
    pub runs: u32,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.differs.is_none()
    }
}

/// An element that two runs leave different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differs {
    /// The buffer.
    pub variable: String,
    /// The element of its outermost array.
    pub element: u64,
    /// Where it is declared.
    pub place: SourcePlace,
    /// What a word of it is in each of the two.
    pub words: [u32; 2],
    /// The seeds of the two.
    pub seeds: [u64; 2],
}

/// Why a shader was not checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// It is no WGSL, or not valid.
    #[error("{message}")]
    Wgsl {
        /// What is wrong.
        message: String,
        /// Where.
        place: SourcePlace,
    },
    /// There is no entry point, or one of several must be named.
    #[error("name the `entry`: the shader has {0}")]
    Entry(String),
    /// The emulator does not know it.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The buffers are wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// It cannot run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Compiles one entry point of a WGSL text; the only one, where none is named. Naga's own look at uniform
/// control flow is left out: runs find what is not uniform, with both invocations.
///
/// # Errors
/// [`CheckError`] where the text is not valid, or the emulator does not know it.
pub fn load(source: &str, entry: Option<&str>) -> Result<Program, CheckError> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| CheckError::Wgsl {
        message: error.message().to_owned(),
        place: place(
            source,
            error.labels().next().and_then(|(span, _)| span.to_range()),
        ),
    })?;
    let flags = ValidationFlags::all() - ValidationFlags::CONTROL_FLOW_UNIFORMITY;
    let info = Validator::new(flags, Capabilities::all())
        .validate(&module)
        .map_err(|error| {
            let span = error.spans().next().and_then(|(span, _)| span.to_range());
            CheckError::Wgsl {
                message: in_words(error.as_inner()),
                place: place(source, span),
            }
        })?;
    let names: Vec<&str> = module
        .entry_points
        .iter()
        .map(|point| point.name.as_str())
        .collect();
    let entry = match (entry, names.as_slice()) {
        (Some(entry), _) => entry,
        (None, [only]) => only,
        (None, []) => return Err(CheckError::Entry("none".into())),
        (None, several) => return Err(CheckError::Entry(several.join(", "))),
    };
    Ok(Program::new(&module, &info, entry, Some(source))?)
}

/// An error with its causes.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        words += &format!(": {next}");
        cause = next.source();
    }
    words
}

fn place(source: &str, span: Option<std::ops::Range<usize>>) -> SourcePlace {
    span.map_or_else(SourcePlace::default, |span| SourcePlace::of(source, span))
}

/// Runs a WGSL text on what `spec` says, with all checks.
///
/// # Errors
/// [`CheckError`] where it cannot run. Faults of the shader are no errors, but findings.
pub fn check(source: &str, spec: &Spec, how: How) -> Result<Report, CheckError> {
    let program = load(source, spec.entry.as_deref())?;
    let buffers = spec.buffers(&program)?;
    let dispatch = Dispatch {
        source,
        program: &program,
        workgroups: spec.workgroups,
        any_order: spec.any_order,
        how,
    };
    dispatch.check(&buffers)
}

/// A dispatch that is to be checked.
#[derive(Debug, Clone, Copy)]
pub struct Dispatch<'a> {
    /// The text.
    pub source: &'a str,
    /// What was compiled of it.
    pub program: &'a Program,
    /// The grid.
    pub workgroups: [u32; 3],
    /// Whether the results may depend on the order of invocations.
    pub any_order: bool,
    /// How thoroughly.
    pub how: How,
}

impl Dispatch<'_> {
    /// Runs it with every seed.
    ///
    /// # Errors
    /// [`RunError`] where it cannot run.
    pub fn check(&self, buffers: &[Buffer]) -> Result<Report, CheckError> {
        let first = self.program.run(&self.settings(0), buffers)?;
        let mut report = Report {
            entry: self.program.entry().to_owned(),
            findings: first
                .findings
                .iter()
                .map(|finding| (0, finding.clone()))
                .collect(),
            differs: None,
            counts: first.counts.clone(),
            map: self.map(&first, buffers)?,
            buffers: first.buffers.clone(),
            runs: 1,
        };
        for seed in 1..u64::from(self.how.seeds) {
            // Every run would wait for the same loop.
            if report
                .findings
                .iter()
                .any(|(_, finding)| finding.is_endless())
            {
                break;
            }
            let outcome = self.program.run(&self.settings(seed), buffers)?;
            report.runs += 1;
            for finding in &outcome.findings {
                if !report
                    .findings
                    .iter()
                    .any(|(_, other)| other.is_like(finding))
                {
                    report.findings.push((seed, finding.clone()));
                }
            }
            if report.differs.is_none() && !self.any_order {
                report.differs = self.difference([&first, &outcome], seed);
            }
        }
        let place = |finding: &Finding| (finding.side.place.span.start, finding.fault);
        report.findings.sort_by_key(|(_, finding)| place(finding));
        Ok(report)
    }

    fn settings(&self, seed: u64) -> Run {
        let groups = self.workgroups.iter().map(|&n| u64::from(n));
        let all = groups.fold(u64::from(self.program.invocations()), u64::saturating_mul);
        Run {
            subgroup_size: self.how.subgroup_size,
            seed,
            interleaved: seed % 2 == 1 && all <= MOST_INTERLEAVED,
            budget: self.how.budget,
            most_instructions: self.how.most_instructions,
            ..Run::new(self.workgroups)
        }
    }

    fn map(&self, first: &Outcome, buffers: &[Buffer]) -> Result<AccessMap, CheckError> {
        let mut map = AccessMap::new(self.program, self.workgroups);
        if !map.has_room_for(&first.counts) {
            return Ok(map);
        }
        for (number, resource) in self.program.resources().iter().enumerate() {
            let settings = Run {
                record: Some(resource.slot),
                count_warps: false,
                ..self.settings(0)
            };
            let outcome = self.program.run(&settings, buffers)?;
            let bytes = outcome.buffers[number].bytes.len() as u64;
            map.push(resource, bytes / 4, &outcome.recorded);
        }
        Ok(map)
    }

    /// The first word that two runs leave different.
    fn difference(&self, outcomes: [&Outcome; 2], seed: u64) -> Option<Differs> {
        let [first, later] = outcomes;
        let resources = self.program.resources().iter();
        let pairs = resources.zip(first.buffers.iter().zip(&later.buffers));
        pairs.into_iter().find_map(|(resource, (one, other))| {
            let (words, others) = (one.words(), other.words());
            let word = (0..words.len()).find(|&i| words[i] != others[i])?;
            Some(Differs {
                variable: resource.name.clone(),
                element: resource.element(word as u32),
                place: declaration(self.source, resource),
                words: [words[word], others[word]],
                seeds: [0, seed],
            })
        })
    }
}

/// Where a resource is declared, as far as its text tells: its name before a colon, after its binding.
fn declaration(source: &str, resource: &Resource) -> SourcePlace {
    let name = &resource.name;
    let is_name = |at: usize| {
        let whole = !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = source[at + name.len()..].trim_start();
        whole && rest.starts_with(':')
    };
    let at = source
        .match_indices(name.as_str())
        .map(|(at, _)| at)
        .find(|&at| is_name(at));
    match (at, resource.slot) {
        (Some(at), Slot::Binding { .. }) => SourcePlace::of(source, at..at + name.len()),
        _ => SourcePlace::default(),
    }
}
