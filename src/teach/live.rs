//! A search on built-in data as it goes, in a process of its own: its run folder is all that is shared.

use super::sites::Sites;
use super::step::complaint;
use super::tether::tie;
use crate::cost::Protocol;
use crate::files::{FileError, write_atomic};
use crate::run::mark::Phase;
use crate::run::store::CheckpointStore;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a page asks for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", tag = "action", deny_unknown_fields)]
pub enum Wish {
    /// A new search that keeps this share of the ReLUs, in percent. Where there is a teacher it is kept.
    Start {
        /// The share, 0 to 100.
        percent: u32,
        /// λ of the published selection, whose penalty pushes scores down; `None`: ReLUs are kept by what the loss
        /// would rise by without them, where the budget alone decides how many.
        #[serde(default)]
        lambda: Option<f64>,
    },
    /// To stop at a checkpoint.
    Pause,
    /// To go on from there.
    Resume {
        /// Another share from here on.
        #[serde(default)]
        percent: Option<u32>,
        /// Another λ from here on, where there is one.
        #[serde(default)]
        lambda: Option<f64>,
    },
}

/// Why a wish was not fulfilled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The masks are fixed: no budget can change them.
    #[error(
        "the masks are fixed already, and what is left is trained: a new search can have another budget"
    )]
    TooLate,
    /// The system starts no process or makes no folder.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The run's settings cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The run's settings are no TOML: a defect.
    #[error("config.toml of the search: {0}")]
    Settings(String),
}

/// How far a search has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Standing {
    /// none, running, paused, done or failed.
    pub state: &'static str,
    /// Number of the search: a new one begins a new list of lines.
    pub number: u32,
    /// Share of the ReLUs that it may keep, in percent.
    pub percent: u32,
    /// λ of the published selection, where it chooses.
    pub lambda: Option<f64>,
    /// What went wrong.
    pub failed: Option<String>,
    /// Lines of `metrics.jsonl`.
    pub lines: Vec<Value>,
    /// Where the next line begins.
    pub next: u64,
    /// `summary.json`, at the end.
    pub summary: Option<Value>,
    /// What activations cost in private inference.
    pub prices: Option<Prices>,
}

/// What each party sends for an element.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prices {
    /// The protocol.
    pub protocol: String,
    /// Bytes of a ReLU.
    pub relu: f64,
    /// Bytes of the square of a polynomial.
    pub square: f64,
}

impl Prices {
    fn known() -> Option<Self> {
        let Protocol {
            title: protocol,
            relu,
            square,
            ..
        } = Protocol::find("crypten").ok()?;
        Some(Self {
            protocol,
            relu: relu.bytes?,
            square: square.bytes?,
        })
    }
}

/// Most bytes of lines in one answer.
const MOST: u64 = 512 << 10;

/// One search at a time.
#[derive(Clone)]
pub struct Searches {
    program: PathBuf,
    now: Arc<Mutex<Search>>,
}

/// How much is kept, and by what it is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Choice {
    percent: u32,
    lambda: Option<f64>,
}

impl Choice {
    fn new(percent: u32, lambda: Option<f64>) -> Self {
        Self {
            percent: percent.min(100),
            lambda: lambda.map(|lambda| lambda.clamp(0.0, 1e6)),
        }
    }

    /// The settings that say so.
    fn settings(&self) -> Vec<(&'static str, toml::Value)> {
        let mut settings = vec![("budget", format!("{}%", self.percent).into())];
        if let Some(lambda) = self.lambda {
            settings.push(("selection", "penalty".into()));
            settings.push(("lambda", lambda.into()));
        }
        settings
    }
}

#[derive(Default)]
struct Search {
    /// Holds all run folders, and goes with the server.
    folder: Option<tempfile::TempDir>,
    child: Option<Child>,
    number: u32,
    choice: Choice,
    /// The search whose teacher later ones take.
    teacher: Option<u32>,
    pausing: bool,
    paused: bool,
    failed: Option<String>,
}

impl Searches {
    /// None has begun.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            now: Arc::default(),
        }
    }

    /// Does as the page wishes.
    ///
    /// # Errors
    /// [`LiveError`], of which only [`LiveError::TooLate`] is the visitor's concern.
    pub fn wish(&self, wish: &Wish) -> Result<(), LiveError> {
        let mut search = self.lock();
        search.settle();
        match *wish {
            Wish::Start { percent, lambda } => {
                search.end();
                if search.folder.is_none() {
                    search.folder = Some(tempfile::tempdir()?);
                }
                if search.teacher.is_none() && search.has_teacher() {
                    search.teacher = Some(search.number);
                }
                search.number += 1;
                search.choice = Choice::new(percent, lambda);
                self.begin(&mut search)
            }
            Wish::Pause => {
                search.pause();
                Ok(())
            }
            Wish::Resume { percent, lambda } if search.paused => {
                let before = search.choice;
                let after = Choice::new(
                    percent.unwrap_or(before.percent),
                    before.lambda.and(lambda.or(before.lambda)),
                );
                if after != before {
                    search.change(after)?;
                }
                self.begin(&mut search)
            }
            Wish::Resume { .. } => Ok(()),
        }
    }

    /// What the search has made of each site by now, unless that is what `mark` was.
    pub fn sites(&self, number: u32, mark: &str) -> Sites {
        let (now, folder) = {
            let search = self.lock();
            (search.number, search.run_folder(search.number))
        };
        let known = if number == now { mark } else { "" };
        folder.map_or_else(Sites::default, |folder| {
            Sites::read(&folder.join("checkpoints"), known)
        })
    }

    fn begin(&self, search: &mut Search) -> Result<(), LiveError> {
        let Some(out) = search.run_folder(search.number) else {
            return Ok(());
        };
        let errors = std::fs::File::create(out.with_extension("errors"))?;
        let mut command = Command::new(&self.program);
        command
            .args([
                "search",
                "--data",
                "builtin:train=4000,test=1000",
                "--model",
                "resnet8",
            ])
            .args([
                "--batch",
                "64",
                "--teacher-epochs",
                "8",
                "--search-epochs",
                "8",
            ])
            .args(["--finish-epochs", "2", "--resume", "--accept-changes"])
            // Masks are shown as they are at a checkpoint.
            .args(["--set", "checkpoint-minutes=0.03", "--out"])
            .arg(&out);
        for (key, value) in search.choice.settings() {
            command.args(["--set", &format!("search.{key}={value}")]);
        }
        if let Some(teacher) = search.teacher.and_then(|number| search.run_folder(number)) {
            command.arg("--teacher").arg(teacher);
        }
        command.stdout(Stdio::null()).stderr(errors);
        search.child = Some(tie(&mut command).spawn()?);
        search.pausing = false;
        search.paused = false;
        search.failed = None;
        Ok(())
    }

    /// How far it has come, with the lines of the log from a byte on.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn standing(&self, number: u32, from: u64) -> io::Result<Standing> {
        let mut search = self.lock();
        search.settle();
        let from = if number == search.number { from } else { 0 };
        let out = search.run_folder(search.number);
        let summary = out.as_ref().and_then(|out| {
            serde_json::from_slice(&std::fs::read(out.join("summary.json")).ok()?).ok()
        });
        let (lines, next) = match &out {
            Some(out) => lines(out.join("metrics.jsonl"), from)?,
            None => (Vec::new(), 0),
        };
        Ok(Standing {
            state: match &*search {
                Search { child: Some(_), .. } => "running",
                Search {
                    failed: Some(_), ..
                } => "failed",
                Search { paused: true, .. } => "paused",
                Search { number: 0, .. } => "none",
                _ => "done",
            },
            number: search.number,
            percent: search.choice.percent,
            lambda: search.choice.lambda,
            failed: search.failed.clone(),
            lines,
            next,
            summary,
            prices: Prices::known(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Search> {
        self.now.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

/// Whole lines of a log from a byte on, and where the next one begins. A log that is shorter than that was
/// cut back to a checkpoint: it is read again from its beginning.
fn lines(path: PathBuf, from: u64) -> io::Result<(Vec<Value>, u64)> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error),
    };
    let from = if from > file.metadata()?.len() {
        0
    } else {
        from
    };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    let whole = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let lines = bytes[..whole].split(|&byte| byte == b'\n');
    let lines = lines.filter_map(|line| serde_json::from_slice(line).ok());
    Ok((lines.collect(), from + whole as u64))
}

/// Changes the settings that a run's folder holds: a run that goes on reads them there.
fn rewrite(config: &Path, choice: Choice) -> Result<(), LiveError> {
    let defect = |error: &dyn std::fmt::Display| LiveError::Settings(error.to_string());
    let text = std::fs::read_to_string(config)?;
    let mut settings: toml::Table = text.parse().map_err(|error| defect(&error))?;
    if let Some(toml::Value::Table(search)) = settings.get_mut("search") {
        for (key, value) in choice.settings() {
            search.insert(key.to_owned(), value);
        }
    }
    let text = toml::to_string(&settings).map_err(|error| defect(&error))?;
    Ok(write_atomic(config, text.as_bytes())?)
}

impl Search {
    fn run_folder(&self, number: u32) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        (number > 0).then(|| folder.path().join(format!("search-{number}")))
    }

    /// Has the paused search go on with another choice.
    fn change(&mut self, choice: Choice) -> Result<(), LiveError> {
        if let Some(folder) = self.run_folder(self.number) {
            let marks = CheckpointStore::new(folder.join("checkpoints")).marks();
            let last = marks.ok().and_then(|marks| marks.last().copied());
            if last.is_some_and(|mark| mark.phase == Phase::Finish) {
                return Err(LiveError::TooLate);
            }
            rewrite(&folder.join("config.toml"), choice)?;
        }
        self.choice = choice;
        Ok(())
    }

    /// Whether the present search has trained a teacher, which the next one can take.
    fn has_teacher(&self) -> bool {
        self.run_folder(self.number)
            .is_some_and(|folder| folder.join("checkpoints/teacher.safetensors").is_file())
    }

    /// Takes in that the process has ended.
    fn settle(&mut self) {
        let Some(child) = &mut self.child else { return };
        let Ok(Some(status)) = child.try_wait() else {
            return;
        };
        self.child = None;
        self.paused = self.pausing;
        if !status.success() && !self.pausing {
            let errors = self
                .run_folder(self.number)
                .map(|out| out.with_extension("errors"));
            let text = errors
                .and_then(|path| std::fs::read(path).ok())
                .unwrap_or_default();
            self.failed = Some(complaint(&text));
        }
    }

    /// Asks the process to stop at a checkpoint.
    fn pause(&mut self) {
        let Some(child) = &mut self.child else { return };
        self.pausing = true;
        #[cfg(unix)]
        if let Some(pid) = i32::try_from(child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            && rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok()
        {
            return;
        }
        // A killed run goes on from its last checkpoint all the same.
        let _ = child.kill();
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_read_by_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        assert_eq!(lines(path.clone(), 7).unwrap(), (vec![], 0));
        std::fs::write(&path, "{\"step\":1}\n{\"step\":2}\n{\"st").unwrap();
        let (first, next) = lines(path.clone(), 0).unwrap();
        assert_eq!((first.len(), next), (2, 22));
        std::fs::write(&path, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n").unwrap();
        let (second, next) = lines(path.clone(), next).unwrap();
        assert_eq!(
            (second[0]["step"].as_u64(), second.len(), next),
            (Some(3), 1, 33)
        );
        // Cut back.
        std::fs::write(&path, "{\"step\":1}\n").unwrap();
        assert_eq!(lines(path, next).unwrap().0.len(), 1);
    }

    #[test]
    fn a_paused_search_gets_another_budget_and_no_other_setting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let before =
            "seed = 3\n\n[search]\nbudget = \"10%\"\nlambda = 100.0\nselection = \"threshold\"\n";
        std::fs::write(&path, before).unwrap();
        let table = || -> toml::Table { std::fs::read_to_string(&path).unwrap().parse().unwrap() };
        rewrite(&path, Choice::new(25, None)).unwrap();
        assert_eq!(table(), before.replace("10%", "25%").parse().unwrap());
        rewrite(&path, Choice::new(25, Some(7.0))).unwrap();
        let search = &table()["search"];
        assert_eq!(search["lambda"].as_float(), Some(7.0));
        assert_eq!(search["selection"].as_str(), Some("penalty"));
        assert!(rewrite(&folder.path().join("none"), Choice::default()).is_err());
    }
}
