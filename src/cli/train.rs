//! `autorep train`

use super::End;
use super::common::{RunArgs, begin, percent};
use crate::search::run::{self, RunEnd};
use anyhow::Result;

/// Arguments of `autorep train`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
}

pub(super) fn run(args: Args) -> Result<End> {
    let settings = args.run.settings(&[])?;
    let gpu = args.run.adapter.open(&settings.preset)?;
    let progress = args.run.progress();
    let (mut trainer, at) = begin(&gpu, settings, &args.run.out, args.run.resume, progress)?;
    let RunEnd::Done(summary) = run::train(&mut trainer, at)? else {
        eprintln!("interrupted; continue with --resume");
        return Ok(End::Interrupted);
    };
    if args.run.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
        return Ok(End::Done);
    }
    println!(
        "{} on {}: validation {}, test {}\nwritten to {}",
        summary.model,
        summary.dataset,
        percent(summary.result.val_top1),
        percent(summary.result.test_top1),
        args.run.out.display()
    );
    Ok(End::Done)
}
