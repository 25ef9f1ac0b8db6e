//! How a run stands that is not finished: by its folder, its lock, and the end of its log.

use super::plan::log_of;
use crate::cli::notes::{BEGUN, FAULT};
use crate::run::folder::RunFolder;
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

impl Unfinished {
    /// How a run without a summary stands.
    pub fn of(out: &Path, name: &str) -> Self {
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
