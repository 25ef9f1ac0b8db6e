//! The log of a run: every record becomes a line of `metrics.jsonl`, for programs, and an
//! event for TensorBoard, for eyes.
//!
//! A run that was killed and resumed must end with the same lines as one that was not. So
//! nothing is buffered here (a line that was logged is in the file, whatever then happens to
//! the process), and on resume the lines later than the checkpoint vanish, since the steps
//! they speak of will be taken again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::folder::RunFolder;
use super::mark::{Mark, Phase};
use super::tensorboard::EventWriter;
use crate::files::{FileError, write_atomic};

/// One line of `metrics.jsonl`:
/// `{"phase":"search","step":40,"wall_seconds":3.1,"loss":0.52,"relus":4915.0}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The phase it was taken in.
    pub phase: Phase,
    /// Steps since the run began.
    pub step: u64,
    /// Seconds since the run began: the one field in which two equal runs may differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_seconds: Option<f64>,
    /// The values by name, beside the fields above. JSON has no word for a value that is not
    /// finite: it is written as `null`, and read back as NaN.
    #[serde(flatten, deserialize_with = "null_is_nan")]
    pub scalars: BTreeMap<String, f64>,
}

impl Record {
    /// A record of `scalars` taken at `mark`.
    pub fn new<N: Into<String>>(mark: Mark, scalars: impl IntoIterator<Item = (N, f64)>) -> Self {
        Self {
            phase: mark.phase,
            step: mark.step,
            wall_seconds: None,
            scalars: scalars.into_iter().map(|(n, v)| (n.into(), v)).collect(),
        }
    }

    /// The same record, with the time it was taken at.
    pub fn at(self, wall_seconds: f64) -> Self {
        Self {
            wall_seconds: Some(wall_seconds),
            ..self
        }
    }

    /// How far the run had come.
    pub fn mark(&self) -> Mark {
        Mark::new(self.phase, self.step)
    }
}

fn null_is_nan<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let scalars = BTreeMap::<String, Option<f64>>::deserialize(from)?;
    let nan = |(name, value): (String, Option<f64>)| (name, value.unwrap_or(f64::NAN));
    Ok(scalars.into_iter().map(nan).collect())
}

/// Why a record cannot be logged.
#[derive(Debug, Error)]
pub enum MetricsError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A scalar is called like one of the fields every record has.
    #[error("no scalar can be called `{name}`: every record has a field of that name")]
    ReservedName {
        /// The name.
        name: String,
    },
}

/// Appends records to `metrics.jsonl` and to TensorBoard's event file.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    lines: File,
    events: EventWriter,
}

impl MetricsLog {
    /// Begins an empty log. One that is there, left by a run that never came to its first
    /// checkpoint, is emptied.
    pub fn create(folder: &RunFolder) -> Result<Self, MetricsError> {
        Self::resume(folder, |_| false)
    }

    /// Continues the log of a run that goes on from a checkpoint taken at `mark`.
    pub fn resume_at(folder: &RunFolder, mark: Mark) -> Result<Self, MetricsError> {
        Self::resume(folder, |record| record.mark() <= mark)
    }

    /// Continues a log with the records that `keep` accepts. The lines kept are kept byte
    /// for byte. A line that is no record, such as the last one of a process killed while
    /// writing it, goes.
    pub fn resume(
        folder: &RunFolder,
        keep: impl Fn(&Record) -> bool,
    ) -> Result<Self, MetricsError> {
        let path = folder.metrics_path();
        let old = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(FileError::on("read", &path))?,
        };
        let mut kept = Vec::with_capacity(old.len());
        let mut next_step = 0;
        for (number, line) in old.split(|&byte| byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice::<Record>(line) {
                Ok(record) if keep(&record) => {
                    kept.extend(line);
                    kept.push(b'\n');
                    next_step = next_step.max(record.step.saturating_add(1));
                }
                Ok(_) => {}
                Err(error) => {
                    let (path, number) = (path.display(), number + 1);
                    log::warn!("dropping line {number} of {path}, which is no record: {error}");
                }
            }
        }
        write_atomic(&path, &kept)?;

        let lines = File::options()
            .append(true)
            .open(&path)
            .map_err(FileError::on("open", &path))?;
        let events = EventWriter::create(folder.path(), next_step)?;
        Ok(Self {
            path,
            lines,
            events,
        })
    }

    /// Logs a record. TensorBoard shows its scalars as `PHASE/NAME`.
    pub fn log(&mut self, record: &Record) -> Result<(), MetricsError> {
        let reserved = ["phase", "step", "wall_seconds"];
        if let Some(name) = reserved
            .into_iter()
            .find(|&n| record.scalars.contains_key(n))
        {
            let name = name.to_owned();
            return Err(MetricsError::ReservedName { name });
        }
        let mut line = serde_json::to_vec(record)
            .map_err(|error| FileError::on("write", &self.path)(error.into()))?;
        line.push(b'\n');
        self.lines
            .write_all(&line)
            .map_err(FileError::on("write", &self.path))?;

        let tagged: Vec<_> = record
            .scalars
            .iter()
            .map(|(name, &value)| (format!("{}/{name}", record.phase), value))
            .collect();
        let tagged = tagged.iter().map(|(tag, value)| (tag.as_str(), *value));
        Ok(self.events.scalars(record.step, tagged)?)
    }

    /// Makes what was logged survive a power cut. Call it before a checkpoint is saved, so
    /// that no checkpoint is later than the log it belongs to.
    pub fn sync(&self) -> Result<(), MetricsError> {
        self.lines
            .sync_data()
            .map_err(FileError::on("write", &self.path))?;
        Ok(self.events.sync()?)
    }
}
