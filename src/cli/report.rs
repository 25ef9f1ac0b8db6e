//! `autorep report`

use super::common::note;
use super::end::End;
use crate::files::write_atomic;
use crate::report;
use anyhow::{Result, bail};
use std::io::{Write, stdout};
use std::path::PathBuf;

/// Arguments of `autorep report`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Run folders, or folders that hold run folders.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// File to write; an existing one is replaced.
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

pub(super) fn run(args: Args) -> Result<End> {
    if args.output.is_dir() {
        bail!(
            "{} is a folder; name a file to write, as -o {}",
            args.output.display(),
            args.output.join("report.html").display()
        );
    }
    let found = report::collect(&args.runs)?;
    for path in &found.unfinished {
        note(format_args!(
            "{}: this run is not finished and was left out",
            path.display()
        ));
    }
    let page = report::render(&found)?;
    write_atomic(&args.output, page.as_bytes())?;
    let (count, plural) = match found.runs.len() {
        1 => (1, ""),
        n => (n, "s"),
    };
    writeln!(
        stdout(),
        "{}: {count} run{plural}, {} KiB",
        args.output.display(),
        page.len().div_ceil(1024)
    )?;
    Ok(End::Done)
}
