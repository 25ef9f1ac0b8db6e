//! `autorep kernel check`: a compute shader in the emulator. Needs no GPU.

//!
//! `file` runs anybody's WGSL on what a file beside it says, `own` the program's kernels; `common` is what
//! both are asked and tell.

mod common;
mod file;
mod own;

use super::common::note;
use super::end::End;
use crate::emulator::Report;
use crate::panics::caught;
use anyhow::{Context, Result};
pub use common::Args;
use common::{Checked, Unable};
use serde_json::json;
use std::fs;
use std::io::{Write, stdout};

/// Compilers call themselves on what is nested; a text may nest deeply.
const STACK: usize = 256 << 20;

/// What `autorep kernel` does.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Run a kernel instruction by instruction, and name what is wrong with it.
    ///
    /// A file FILE.wgsl wants FILE.toml beside it: `workgroups = [2, 1, 1]`, then for each buffer
    /// `[[buffers]]` with `binding`, `length` in elements (or `bytes`), `type` (f32, u32, vec4f, …) and
    /// `fill` ("zero", "index", "random", "unwritten"); `entry` where there are several. Without one the
    /// command prints what to put there. Exit status: 0 clean, 1 findings, 2 it cannot run.
    Check(Args),
}

pub(super) fn run(command: Command) -> Result<End> {
    let Command::Check(args) = command;
    let checked = std::thread::scope(|scope| {
        let work = || caught(|| checked(&args));
        let thread = std::thread::Builder::new().stack_size(STACK);
        let thread = thread.spawn_scoped(scope, work).context("no thread")?;
        anyhow::Ok(thread.join().unwrap_or_else(|_| Err("a panic".into())))
    })?;
    let defect = |words| {
        Err(Unable::because(format!(
            "a defect of the emulator: {words}"
        )))
    };
    match checked.unwrap_or_else(defect) {
        Ok(checked) => show(&args, &checked),
        Err(unable) => {
            if args.json {
                writeln!(stdout(), "{:#}", unable.json)?;
            }
            note(format_args!("error: {}", unable.words));
            Ok(End::Unable)
        }
    }
}

fn checked(args: &Args) -> Result<Checked, Unable> {
    match own::exists(&args.target) && !file::is_meant(&args.target) {
        true => own::checked(args),
        false => file::checked(args),
    }
}

fn show(args: &Args, checked: &Checked) -> Result<End> {
    let Checked {
        file,
        source,
        what,
        report,
    } = checked;
    if let Some(svg) = &args.svg {
        fs::write(svg, report.map.svg())
            .with_context(|| format!("cannot write {}", svg.display()))?;
    }
    let mut out = stdout().lock();
    if args.json {
        let mut value = report.json(file, source);
        value["what"] = json!(what);
        writeln!(out, "{value:#}")?;
    } else {
        write!(out, "{}", report.explain(file, source))?;
        writeln!(
            out,
            "{file}: `{}` on {what}, {} orders",
            report.entry, report.runs
        )?;
        writeln!(out, "\n{}\n{}", counts(report), report.map.picture())?;
        match report.findings.len() + usize::from(report.differs.is_some()) {
            0 => writeln!(out, "clean")?,
            1 => writeln!(out, "1 finding")?,
            many => writeln!(out, "{many} findings")?,
        }
    }
    Ok(match report.is_clean() {
        true => End::Done,
        false => End::Faults,
    })
}

/// What the first run cost, in a table.
fn counts(report: &Report) -> String {
    let counts = &report.counts;
    let per_request = |number: u64, requests: u64| number as f64 / requests.max(1) as f64;
    let mut rows = vec![
        (
            "loads from buffers",
            format!(
                "{} ({} bytes)",
                counts.storage_loads, counts.storage_bytes_loaded
            ),
        ),
        (
            "stores to buffers",
            format!(
                "{} ({} bytes)",
                counts.storage_stores, counts.storage_bytes_stored
            ),
        ),
        (
            "segments of 128 bytes",
            format!(
                "{}, {:.1} for each time that 32 neighbours go to memory",
                counts.storage_segments,
                per_request(counts.storage_segments, counts.storage_requests)
            ),
        ),
        (
            "workgroup memory",
            format!(
                "{} loads, {} stores, {} bank conflicts",
                counts.workgroup_loads, counts.workgroup_stores, counts.bank_conflicts
            ),
        ),
        (
            "atomics, barriers",
            format!(
                "{} ({} conflicts), {}",
                counts.atomics, counts.atomic_conflicts, counts.barriers
            ),
        ),
        (
            "subgroup operations",
            counts.subgroup_operations.to_string(),
        ),
        ("flops", counts.flops.to_string()),
        ("integer operations", counts.integer_operations.to_string()),
        ("branches that part", counts.divergent_branches.to_string()),
    ];
    let buffers: Vec<(String, String)> = counts
        .buffers
        .iter()
        .map(|buffer| {
            let bytes = format!(
                "{} bytes read, {} written",
                buffer.bytes_read, buffer.bytes_written
            );
            (format!("of `{}`, once each", buffer.name), bytes)
        })
        .collect();
    rows.extend(
        buffers
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.clone())),
    );
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(name, value)| format!("{name:width$}  {value}\n"));
    lines.collect()
}
