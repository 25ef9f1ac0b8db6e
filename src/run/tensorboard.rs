//! TensorBoard event files, as far as scalars need them.
//!
//! A file is a sequence of records, each framed with lengths and checksums:
//!
//! ```text
//! length      u64   little endian
//! crc         u32   of the eight bytes above
//! payload     length bytes
//! crc         u32   of the payload
//! ```
//!
//! The checksum is CRC-32C, rotated and shifted so that a checksum which is itself part of
//! a payload does no harm. A payload is an `Event` in protobuf; the first of a file states
//! the format, `brain.Event:2`. TensorBoard reads every file of a folder in the order of
//! their names, and takes a session start at step S to mean: forget what you have from S on.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use thiserror::Error;

use crate::files::FileError;

const FILE_VERSION: &str = "brain.Event:2";
const FILE_PREFIX: &str = "events.out.tfevents.";

/// One entry of an event file. The field numbers are those of TensorFlow's `event.proto`.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// Global step.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// What happened.
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub what: Option<What>,
}

/// The kinds of event written here.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum What {
    /// Opens every file.
    #[prost(string, tag = "3")]
    FileVersion(String),
    /// Values at a step.
    #[prost(message, tag = "5")]
    Summary(Summary),
    /// A session began.
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// The values of one step.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// One entry a scalar.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// A named scalar.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Its name; TensorBoard groups names by what stands before the first slash.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// Its value. Optional because it is one of several kinds in the full format, where a
    /// zero must be written out.
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
}

/// Marks the beginning of a session.
#[derive(Clone, PartialEq, Message)]
pub struct SessionLog {
    /// One of [`SessionStatus`].
    #[prost(enumeration = "SessionStatus", tag = "1")]
    pub status: i32,
}

/// What a session did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum SessionStatus {
    /// Nothing that is known here.
    Unspecified = 0,
    /// It began, and what was recorded for this step and later ones is void.
    Start = 1,
}

/// Writes scalars to one event file.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Begins a new event file in `folder`. Where there are older ones, TensorBoard is told
    /// to forget what they hold for step `resume_at` and later.
    pub fn create(folder: &Path, resume_at: u64) -> Result<Self, FileError> {
        let last = last_file_time(folder).map_err(FileError::on("read", folder))?;
        // Names are in the order of time, even if the clock was set back or two files begin
        // within a second.
        let time = last.map_or(0, |last| last.saturating_add(1));
        let time = time.max(wall_time() as u64);
        let path = folder.join(format!("{FILE_PREFIX}{time:010}.autorep"));
        let file = File::options()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(FileError::on("create", &path))?;

        let mut writer = Self { path, file };
        writer.write(0, What::FileVersion(FILE_VERSION.to_owned()))?;
        if last.is_some() {
            let status = SessionStatus::Start.into();
            writer.write(resume_at, What::SessionLog(SessionLog { status }))?;
        }
        Ok(writer)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the scalars of one step. They are f32 in the file.
    pub fn scalars<'a>(
        &mut self,
        step: u64,
        scalars: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), FileError> {
        let value = |(tag, value): (&str, f64)| Value {
            tag: tag.to_owned(),
            simple_value: Some(value as f32),
        };
        let value = scalars.into_iter().map(value).collect();
        self.write(step, What::Summary(Summary { value }))
    }

    /// Makes what was written survive a power cut.
    pub fn sync(&self) -> Result<(), FileError> {
        self.file
            .sync_data()
            .map_err(FileError::on("write", &self.path))
    }

    fn write(&mut self, step: u64, what: What) -> Result<(), FileError> {
        let event = Event {
            wall_time: wall_time(),
            step: i64::try_from(step).unwrap_or(i64::MAX),
            what: Some(what),
        };
        // In one piece, and not through a buffer: what is written is the system's, and
        // stays when this process is killed.
        self.file
            .write_all(&frame(&event.encode_to_vec()))
            .map_err(FileError::on("write", &self.path))
    }
}

/// The time in the name of the newest event file of a folder; zero if its name has none.
fn last_file_time(folder: &Path) -> io::Result<Option<u64>> {
    let mut last = None;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let rest = name
            .to_str()
            .and_then(|name| name.strip_prefix(FILE_PREFIX));
        if let Some(rest) = rest {
            let digits = rest.split('.').next().unwrap_or(rest);
            last = last.max(Some(digits.parse().unwrap_or(0)));
        }
    }
    Ok(last)
}

fn wall_time() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(payload.len() + 16);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(payload);
    record.extend(masked_crc(payload).to_le_bytes());
    record
}

/// What is wrong with the bytes of an event file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EventError {
    /// The last record is cut short, as a killed process leaves it.
    #[error("the record at byte {offset} is cut short")]
    Torn {
        /// Where the record begins.
        offset: usize,
    },
    /// A checksum does not fit its bytes.
    #[error("the record at byte {offset} is damaged: its checksum does not fit")]
    Checksum {
        /// Where the record begins.
        offset: usize,
    },
    /// The checksum fits, but the payload is no event.
    #[error("the record at byte {offset} is no event: {reason}")]
    NotAnEvent {
        /// Where the record begins.
        offset: usize,
        /// What the decoder said.
        reason: String,
    },
}

/// Reads the bytes of an event file back.
pub fn read_events(bytes: &[u8]) -> Result<Vec<Event>, EventError> {
    let mut events = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let offset = bytes.len() - rest.len();
        let payload = take_record(&mut rest, offset)?;
        let event = Event::decode(payload).map_err(|error| EventError::NotAnEvent {
            offset,
            reason: error.to_string(),
        })?;
        events.push(event);
    }
    Ok(events)
}

fn take_record<'a>(rest: &mut &'a [u8], offset: usize) -> Result<&'a [u8], EventError> {
    let torn = || EventError::Torn { offset };

    let (length, after) = rest.split_first_chunk().ok_or_else(torn)?;
    let after = check_crc(length, after, offset)?;
    // A length that is too much for this machine is also more than the file has.
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| torn())?;
    let (payload, after) = after.split_at_checked(length).ok_or_else(torn)?;
    *rest = check_crc(payload, after, offset)?;
    Ok(payload)
}

/// Compares the checksum `after` begins with to that of `bytes`, and steps over it.
fn check_crc<'a>(bytes: &[u8], after: &'a [u8], offset: usize) -> Result<&'a [u8], EventError> {
    let (crc, after) = after
        .split_first_chunk()
        .ok_or(EventError::Torn { offset })?;
    if u32::from_le_bytes(*crc) == masked_crc(bytes) {
        Ok(after)
    } else {
        Err(EventError::Checksum { offset })
    }
}
