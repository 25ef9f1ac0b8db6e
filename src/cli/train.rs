//! `autorep train`

use super::common::{Begun, RunArgs, begin, finished, note, percent, undone};
use super::end::End;
use crate::run::mark::Phase;
use crate::run::summary::Summary;
use crate::search::pipeline::{self, RunEnd};
use crate::settings::Settings;
use anyhow::Result;
use std::io::{Write, stdout};

/// Arguments of `autorep train`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
}

pub(super) fn run(args: Args) -> Result<End> {
    args.run.keep_log()?;
    let settings = args.run.settings(&[])?;
    let summary = match finished(&args.run, &args.run.out, "teacher")? {
        Some(summary) => Some(summary),
        None => train(&args.run, settings)?,
    };
    let Some(summary) = summary else {
        note("interrupted; continue with --resume");
        return Ok(End::Interrupted);
    };
    if args.run.json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&summary)?)?;
        return Ok(End::Done);
    }
    writeln!(
        stdout(),
        "{} on {}: validation {}, test {}\nwritten to {}",
        summary.model,
        summary.dataset,
        percent(summary.result.val_top1),
        percent(summary.result.test_top1),
        args.run.out.display()
    )?;
    Ok(End::Done)
}

/// Trains; `None` when interrupted.
fn train(args: &RunArgs, settings: Settings) -> Result<Option<Summary>> {
    let gpu = args.adapter.open(&settings.kernels)?;
    let (mut trainer, at) =
        match begin(&gpu, settings, args, &args.out, Phase::Teacher, |_| Ok(()))? {
            Begun::Ready(trainer, at) => (trainer, at),
            Begun::Complete(summary) => return Ok(Some(*summary)),
            Begun::Interrupted => return Ok(None),
        };
    let end = pipeline::train(&mut trainer, at).map_err(|error| undone(&args.out, error))?;
    Ok(match end {
        RunEnd::Done(summary) => Some(*summary),
        RunEnd::Interrupted => None,
    })
}
