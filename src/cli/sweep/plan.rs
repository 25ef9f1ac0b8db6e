//! What a sweep has to do, as commands: the teacher first, then searches that need nothing but it.
//!
//! Each command is whole by itself: it begins its run or goes on with it, waits for another process
//! that is at it, and does nothing where the run is complete. Whoever runs them, and how often, the
//! sweep comes out the same.

use super::record::{Record, SETTINGS, Search, TEACHER};
use crate::cli::common::AdapterArgs;
use crate::files::write_atomic;
use crate::run::folder::RunFolder;
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

/// One run of a sweep.
pub struct Task {
    /// Name of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// All runs of a sweep.
pub struct Plan {
    /// What is to be done before the rest; none where a teacher was given.
    pub teacher: Option<Task>,
    /// What may be done side by side.
    pub searches: Vec<Task>,
}

impl Plan {
    /// Of these searches of the sweep in `out`, an absolute path, begun by the words of `program`.
    pub fn new(
        out: &Path,
        record: &Record,
        searches: &[Search],
        program: &[OsString],
        on: &AdapterArgs,
    ) -> Result<Self> {
        let (teacher, from) = match record.teacher() {
            Some(given) => (None, given.to_owned()),
            None => {
                let task = Task::new(out, program, "train", TEACHER, &[], on);
                (Some(task), out.join(TEACHER))
            }
        };
        let from = format!("teacher.from={}", toml_text(&from)?);
        let task = |search: &Search| {
            let mut sets = search.entry.sets.clone();
            sets.push(from.clone());
            Task::new(out, program, "search", &search.entry.name, &sets, on)
        };
        Ok(Self {
            teacher,
            searches: searches.iter().map(task).collect(),
        })
    }

    /// Writes one command a line into a file, or to standard output for `-`.
    pub fn write(&self, file: &Path) -> Result<()> {
        let text = lines(self.teacher.iter().chain(&self.searches))?;
        match file == Path::new("-") {
            true => Ok(stdout().write_all(&text)?),
            false => Ok(write_atomic(file, &text)?),
        }
    }
}

/// The words that begin a run: this program, or what `given` says, as a shell reads it.
pub fn program(given: Option<&str>) -> Result<Vec<OsString>> {
    let Some(given) = given else {
        let program = std::env::current_exe().context("the program cannot find itself")?;
        return Ok(vec![program.into()]);
    };
    match shlex::split(given) {
        Some(words) if !words.is_empty() => Ok(words.into_iter().map(OsString::from).collect()),
        _ => bail!(
            "--program {given}: write a command, with quotes closed, as 'apptainer run autorep.sif'"
        ),
    }
}

impl Task {
    fn new(
        out: &Path,
        program: &[OsString],
        command: &str,
        name: &str,
        sets: &[String],
        on: &AdapterArgs,
    ) -> Self {
        let folder = out.join(name);
        let mut words = program.to_vec();
        words.extend([command, "--resume", "--wait", "--out"].map(OsString::from));
        words.push(folder.clone().into());
        words.push("--config".into());
        words.push(out.join(SETTINGS).into());
        words.push("--log".into());
        words.push(log_of(out, name).into());
        for set in sets {
            words.extend(["--set".into(), set.into()]);
        }
        for (option, value) in [("--adapter", &on.adapter), ("--backend", &on.backend)] {
            if let Some(value) = value {
                words.extend([option.into(), value.into()]);
            }
        }
        Self {
            name: name.to_owned(),
            folder,
            command: words,
        }
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        RunFolder::is_finished(&self.folder)
    }

    /// The command as a shell reads it.
    pub fn line(&self) -> Result<Vec<u8>> {
        let words = self.command.iter().map(|word| word.as_encoded_bytes());
        let line = shlex::bytes::try_join(words)
            .with_context(|| format!("{}: the command cannot be written down", self.name))?;
        ensure!(
            !line.contains(&b'\n'),
            "{}: a path or setting of this run holds a line break, and a plan has one command a line: \
             choose other names",
            self.name
        );
        Ok(line)
    }
}

/// Commands, one a line.
pub fn lines<'t>(tasks: impl IntoIterator<Item = &'t Task>) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for task in tasks {
        text.extend(task.line()?);
        text.push(b'\n');
    }
    Ok(text)
}

/// Where a run of a sweep says what it says: beside its folder, since it may fail before there is one.
pub fn log_of(out: &Path, name: &str) -> PathBuf {
    out.join(format!("{name}.log"))
}

/// A path as a TOML string.
fn toml_text(path: &Path) -> Result<String> {
    let text = path.to_str();
    let text = text.with_context(|| format!("{}: the path is no UTF-8", path.display()))?;
    Ok(toml::Value::String(text.to_owned()).to_string())
}
