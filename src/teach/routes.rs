//! What is answered to a request that was admitted.

use super::assets;
use super::catalog::{Catalog, Entry};
use super::convolutions::{self, Counted, VERSIONS};
use super::job::{Job, Kind};
use super::judge::{Accesses, emulate};
use super::live::{LiveError, Searches, Wish};
use super::puzzles::{Limits, PUZZLES, Puzzle, Text};
use super::recorder::Recorder;
use super::runner::Runner;
use super::step::Steps;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Most texts that run at once; others wait.
const AT_ONCE: usize = 2;
/// Most texts that wait.
const WAITING: usize = 40;

/// All that answers.
pub struct Routes {
    catalog: Catalog,
    runner: Runner,
    steps: Steps,
    searches: Searches,
    recorder: Recorder,
    puzzles: OnceLock<Vec<u8>>,
    convolutions: OnceLock<Vec<u8>>,
    turns: Turns,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body.
    pub kind: &'static str,
    /// The body.
    pub body: Cow<'static, [u8]>,
}

impl Answer {
    /// One sentence about what is wrong.
    pub fn refusal(status: u16, why: &str) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            body: Cow::Owned(why.as_bytes().to_vec()),
        }
    }

    /// JSON that is made once.
    fn kept(json: &[u8]) -> Self {
        Self {
            status: 200,
            kind: "application/json",
            body: Cow::Owned(json.to_vec()),
        }
    }

    fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self {
                status: 200,
                kind: "application/json",
                body: Cow::Owned(body),
            },
            Err(error) => Self::refusal(500, &error.to_string()),
        }
    }
}

/// A puzzle as the page shows it.
#[derive(Serialize)]
struct Shown {
    name: &'static str,
    kernel: &'static str,
    #[serde(flatten)]
    text: Text,
    blank: &'static str,
    limits: Limits,
    case: super::case::Case,
    /// Who reads and writes what, when the repository's solution runs.
    picture: Accesses,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Measure {
    phase: String,
}

impl Routes {
    /// Answers that ask `program` for what is better done in a process of its own.
    ///
    /// # Errors
    /// Where kernels do not expand: a defect.
    pub fn new(program: PathBuf) -> Result<Self, crate::gpu::GpuError> {
        Ok(Self {
            catalog: Catalog::new()?,
            runner: Runner {
                program: program.clone(),
                patience: super::runner::PATIENCE,
            },
            steps: Steps::new(program.clone()),
            searches: Searches::new(program.clone()),
            recorder: Recorder::new(program),
            puzzles: OnceLock::new(),
            convolutions: OnceLock::new(),
            turns: Turns::default(),
        })
    }

    /// Names of all kernels.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.catalog.entries().map(|entry| entry.name.as_str())
    }

    /// What is asked for by its path, and by what stands behind its question mark.
    pub fn get(&self, path: &str, query: &str) -> Answer {
        if let Some(asset) = assets::find(path) {
            return Answer {
                status: 200,
                kind: asset.kind,
                body: asset.contents(),
            };
        }
        if let Some(name) = path.strip_prefix("api/kernel/") {
            return match self.catalog.find(name) {
                Some(page) => Answer::json(page),
                None => Answer::refusal(404, "there is no such kernel"),
            };
        }
        match path {
            "api/catalog" => Answer::json(&self.catalog.entries().collect::<Vec<&Entry>>()),
            "api/puzzles" => Answer::kept(self.puzzles.get_or_init(puzzles)),
            "api/convolutions" => Answer::kept(self.convolutions.get_or_init(convolutions)),
            "api/record" => match self.recorder.file() {
                Ok(file) => Answer {
                    status: 200,
                    kind: "application/octet-stream",
                    body: Cow::Owned(file),
                },
                Err(why) => Answer::refusal(503, &format!("nothing could be recorded: {why}")),
            },
            "api/mode" => Answer::json(&serde_json::json!({ "runs": true })),
            "api/step" => Answer::json(&self.steps.standing()),
            "api/search" => {
                let number = |key: &str| value_of(query, key).parse::<u64>().unwrap_or(0);
                let search = u32::try_from(number("number")).unwrap_or(0);
                match self.searches.standing(search, number("from")) {
                    Ok(standing) => Answer::json(&standing),
                    Err(error) => Answer::refusal(500, &error.to_string()),
                }
            }
            "api/search/sites" => {
                let number = value_of(query, "number").parse().unwrap_or(0);
                Answer::json(&self.searches.sites(number, value_of(query, "mark")))
            }
            _ => Answer::refusal(404, "there is no such page"),
        }
    }

    /// What is asked for with a body; may take as long as a text may run.
    pub fn post(&self, path: &str, body: &[u8]) -> Answer {
        let wrong =
            |error: serde_json::Error| Answer::refusal(400, &format!("not understood: {error}"));
        match path {
            "api/run" => match serde_json::from_slice::<Job>(body) {
                Ok(job) => self.run(&job),
                Err(error) => wrong(error),
            },
            "api/step" => match serde_json::from_slice::<Measure>(body) {
                Ok(measure) => {
                    self.steps.begin(&measure.phase);
                    Answer::json(&self.steps.standing())
                }
                Err(error) => wrong(error),
            },
            "api/search" => match serde_json::from_slice::<Wish>(body) {
                Ok(wish) => match self.searches.wish(&wish) {
                    Ok(()) => self.get("api/search", ""),
                    Err(LiveError::TooLate) => {
                        Answer::refusal(409, &LiveError::TooLate.to_string())
                    }
                    Err(error) => Answer::refusal(500, &error.to_string()),
                },
                Err(error) => wrong(error),
            },
            _ => Answer::refusal(404, "there is no such page"),
        }
    }

    fn run(&self, job: &Job) -> Answer {
        let known = match job.kind {
            Kind::Puzzle => super::puzzles::find(&job.name).is_some(),
            Kind::Kernel => self
                .catalog
                .find(&job.name)
                .is_some_and(|page| page.case.is_some()),
            Kind::Convolution => convolutions::find(&job.name).is_some(),
        };
        if !known {
            return Answer::refusal(404, "there is nothing of that name that runs");
        }
        let Some(_turn) = self.turns.take() else {
            return Answer::refusal(503, "too many kernels wait already: try again in a moment");
        };
        match self.runner.run(job) {
            Ok(verdict) => Answer::json(&verdict),
            Err(error) => Answer::refusal(500, &format!("no process could be started: {error}")),
        }
    }
}

/// What stands behind a key of a query; nothing where it is not there.
fn value_of<'q>(query: &'q str, key: &str) -> &'q str {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(name, _)| *name == key)
        .map_or("", |(_, value)| value)
}

fn convolutions() -> Vec<u8> {
    let count = |version: &convolutions::Version| version.count().ok().flatten();
    let counted: Vec<Counted> = VERSIONS.iter().filter_map(count).collect();
    serde_json::to_vec(&counted).unwrap_or_default()
}

fn puzzles() -> Vec<u8> {
    let show = |puzzle: &'static Puzzle| {
        Some(Shown {
            name: puzzle.name,
            kernel: puzzle.kernel,
            text: puzzle.text().ok()?,
            blank: puzzle.blank,
            limits: puzzle.limits,
            case: puzzle.case(puzzle.blank),
            picture: emulate(&puzzle.case(puzzle.solution)).ok()?.accesses,
        })
    };
    let shown: Vec<Shown> = PUZZLES.iter().filter_map(show).collect();
    serde_json::to_vec(&shown).unwrap_or_default()
}

/// Whose turn it is to run a text.
#[derive(Default)]
struct Turns {
    /// Running, and waiting.
    counts: std::sync::Mutex<[usize; 2]>,
    freed: std::sync::Condvar,
}

struct Turn<'t>(&'t Turns);

impl Turns {
    /// Waits for a turn; `None` where too many wait already.
    fn take(&self) -> Option<Turn<'_>> {
        let mut counts = self
            .counts
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        if counts[0] >= AT_ONCE {
            if counts[1] >= WAITING {
                return None;
            }
            counts[1] += 1;
            while counts[0] >= AT_ONCE {
                counts = self
                    .freed
                    .wait(counts)
                    .unwrap_or_else(|poison| poison.into_inner());
            }
            counts[1] -= 1;
        }
        counts[0] += 1;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut counts = self
            .0
            .counts
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        counts[0] -= 1;
        drop(counts);
        self.0.freed.notify_one();
    }
}
