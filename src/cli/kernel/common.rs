//! What `autorep kernel check` is asked, and what comes of it.

use crate::emulator::{CheckError, How, Report};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Arguments of `autorep kernel check`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A WGSL file, or a kernel of the program as `autorep shaders` names it: gate.wgsl, gate.forward.
    #[arg(value_name = "FILE.wgsl|NAME")]
    pub(super) target: String,
    /// Of the program's own: only shapes and options that contain this text, as `autorep shaders --all`
    /// lists them.
    #[arg(long)]
    pub(super) shape: Option<String>,
    /// Of the program's own: the tiling: portable, large, cpu4, cpu8 or cpu16.
    #[arg(long, default_value = "portable")]
    pub(super) tiling: String,
    /// The entry point, where there are several.
    #[arg(long)]
    pub(super) entry: Option<String>,
    /// Lanes of a subgroup: a power of two from 1 to 128; 32, or what the tiling wants, unless said.
    #[arg(long, value_name = "LANES")]
    pub(super) subgroup: Option<u32>,
    /// Orders of invocations to try.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) seeds: u32,
    /// Instructions that an invocation may take before its loop is called endless.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) budget: u64,
    /// Write the map of which invocation touches which elements as a drawing.
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
    /// Print everything as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    pub(super) fn how(&self, lanes: u32) -> How {
        How {
            subgroup_size: self.subgroup.unwrap_or(lanes),
            seeds: self.seeds,
            budget: self.budget,
            ..How::default()
        }
    }
}

/// A shader that was checked.
pub(super) struct Checked {
    /// What findings call the file.
    pub(super) file: String,
    pub(super) source: String,
    /// What it was run on, for people.
    pub(super) what: String,
    pub(super) report: Report,
}

/// Why one was not: for people, and for programs.
pub(super) struct Unable {
    pub(super) words: String,
    pub(super) json: Value,
}

impl Unable {
    pub(super) fn because(words: impl Into<String>) -> Self {
        let words = words.into();
        let json = json!({ "error": { "message": words, "line": 0, "column": 0 } });
        Self { words, json }
    }

    pub(super) fn of(error: &CheckError, file: &str, source: &str) -> Self {
        Self {
            words: error.explain(file, source),
            json: error.json(file, source),
        }
    }
}
