//! `autorep sweep --gather`: what there is of a sweep, at any time and whoever runs it. Run folders and
//! logs are read, nothing is asked of schedulers.

use super::plan::log_of;
use super::record::{Record, Search, TEACHER};
use super::table::{Table, published};
use crate::cli::notes::{BEGUN, FAULT};
use crate::run::folder::RunFolder;
use crate::run::model_file;
use crate::run::store::RESULT;
use crate::search::sweep::{Finished, rows};
use crate::settings::Settings;
use anyhow::{Context, Result};
use rayon::prelude::*;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How a run stands that is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A process is at it.
    Running,
    /// The last process at it said why it failed.
    Failed,
    /// The last process at it was told to stop, or killed.
    Stopped,
    /// Nobody has begun it.
    NotBegun,
    /// It is complete, but was made with other settings than the sweep's.
    OtherSettings,
}

/// A run that is not finished.
#[derive(Debug, Serialize)]
pub struct Unfinished {
    /// Name of its folder.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// Why it failed, or the last that it said.
    pub last: Option<String>,
}

/// All that there is of the sweep in `out`.
pub fn gather(out: &Path) -> Result<Table> {
    let record = Record::read(out)?;
    let searches = record.searches()?;
    let looks: Vec<Look> = searches
        .par_iter()
        .map(|search| look(out, search))
        .collect();
    let mut unfinished = Vec::new();
    if record.teacher().is_none() && !RunFolder::is_finished(&out.join(TEACHER)) {
        unfinished.push(Unfinished::of(out, TEACHER));
    }
    let mut finished = Vec::new();
    for look in looks {
        match look {
            Look::Finished(run) => finished.push(*run),
            Look::Unfinished(run) => unfinished.push(run),
        }
    }
    let rows = rows(&finished);
    Ok(Table {
        searches: searches.len(),
        finished: finished.len(),
        published: match finished.first() {
            Some(first) => published(&out.join(&first.entry.name), &first.summary, &rows)?,
            None => Vec::new(),
        },
        unfinished,
        rows,
    })
}

/// What is seen of a search.
enum Look {
    Finished(Box<Finished>),
    Unfinished(Unfinished),
}

fn look(out: &Path, search: &Search) -> Look {
    let name = &search.entry.name;
    let folder = out.join(name);
    let unfinished = |state, last| {
        let name = name.clone();
        Look::Unfinished(Unfinished { name, state, last })
    };
    if !RunFolder::is_finished(&folder) {
        return Look::Unfinished(Unfinished::of(out, name));
    }
    match read(&folder, search) {
        Ok(Some(run)) => Look::Finished(Box::new(run)),
        Ok(None) => unfinished(State::OtherSettings, None),
        // One that cannot be read must not hide the others.
        Err(error) => unfinished(State::Failed, Some(format!("{error:#}"))),
    }
}

/// A run that is complete; `None` where it is another search's.
fn read(folder: &Path, search: &Search) -> Result<Option<Finished>> {
    let run = RunFolder::open(folder)?;
    let text = run.read_config()?.context("config.toml is missing")?;
    let mut settings: Settings = toml::from_str(&text).context("config.toml")?;
    // The sweep may have been moved since, with its teacher.
    settings.teacher.from = search.settings.teacher.from.clone();
    if settings != search.settings {
        return Ok(None);
    }
    let kept = model_file::kept(&run.checkpoints().path(RESULT))?;
    Ok(Some(Finished {
        entry: search.entry.clone(),
        summary: run.read_summary()?,
        kept: kept.into_iter().collect(),
    }))
}

impl Unfinished {
    /// How a run without a summary stands.
    fn of(out: &Path, name: &str) -> Self {
        let said = Said::read(&log_of(out, name));
        let folder = out.join(name);
        let state = if RunFolder::is_busy(&folder) {
            State::Running
        } else if said.failed {
            State::Failed
        } else if said.last.is_some() || folder.exists() {
            State::Stopped
        } else {
            State::NotBegun
        };
        Self {
            name: name.to_owned(),
            state,
            last: said.last,
        }
    }
}

/// What the last process at a run has said.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// Whether it said why it failed.
    failed: bool,
    /// That, or its last line.
    last: Option<String>,
}

impl Said {
    /// From the log at `path`; nothing where there is none.
    fn read(path: &Path) -> Self {
        let end = tail(path).unwrap_or_default();
        Self::of(&String::from_utf8_lossy(&end))
    }

    fn of(text: &str) -> Self {
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let begun = lines.iter().rposition(|line| line.starts_with(BEGUN));
        let lines = &lines[begun.unwrap_or(0)..];
        let fault = lines.iter().find(|line| line.starts_with(FAULT));
        Self {
            failed: fault.is_some(),
            // What a terminal takes for a command has no business here.
            last: fault
                .or(lines.last())
                .map(|line| line.chars().filter(|c| !c.is_control()).collect()),
        }
    }
}

/// The end of a file.
fn tail(path: &Path) -> io::Result<Vec<u8>> {
    const BYTES: u64 = 16 << 10;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
    let mut end = Vec::new();
    file.take(BYTES).read_to_end(&mut end)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_process_counts_and_its_fault_before_its_last_line() {
        let said = |text: &str| {
            let Said { failed, last } = Said::of(text);
            (failed, last.unwrap_or_default())
        };
        assert_eq!(Said::of(""), Said::default());
        assert_eq!(
            said("search 1/2\nsearch 2/2\n\n"),
            (false, "search 2/2".into())
        );
        let first = "begun: process 1\nerror: no room\nlook elsewhere\n";
        assert_eq!(said(first), (true, "error: no room".into()));
        let second = format!("{first}begun: process 2\nadapter: \x1b[1mx\n");
        assert_eq!(said(&second), (false, "adapter: [1mx".into()));
    }
}
