//! `autorep devices`

use super::common::AdapterArgs;
use super::end::End;
use crate::gpu::{AdapterReport, adapter};
use anyhow::Result;
use std::io::{self, Write, stdout};

/// Arguments of `autorep devices`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adapter: AdapterArgs,
}

pub(super) fn run(args: Args) -> Result<End> {
    let reports = adapter::list(&args.adapter.choice())?;
    if args.json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&reports)?)?;
        return Ok(End::Done);
    }
    if reports.is_empty() {
        return Err(adapter::none().into());
    }
    reports.iter().try_for_each(print)?;
    Ok(End::Done)
}

fn print(report: &AdapterReport) -> io::Result<()> {
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    writeln!(stdout(), "{}: {}", report.index, report.name)?;
    writeln!(
        stdout(),
        "   backend          {}, driver {}",
        report.backend,
        report.driver
    )?;
    writeln!(stdout(), "   class            {:?}", report.class)?;
    writeln!(
        stdout(),
        "   subgroups        {}",
        match report.subgroup {
            None => "no".to_owned(),
            Some((min, max)) if min == max => format!("{min} lanes"),
            Some((min, max)) => format!("{min} to {max} lanes"),
        }
    )?;
    writeln!(stdout(), "   timestamps       {}", yes(report.timestamps))?;
    writeln!(stdout(), "   f16 in shaders   {}", yes(report.f16))?;
    writeln!(
        stdout(),
        "   largest binding  {} MiB",
        report.max_binding_bytes >> 20
    )?;
    writeln!(
        stdout(),
        "   largest buffer   {} MiB",
        report.max_buffer_bytes >> 20
    )?;
    writeln!(
        stdout(),
        "   workgroup        {} invocations, {} KiB",
        report.workgroup_invocations,
        report.workgroup_memory_bytes >> 10
    )?;
    writeln!(stdout(), "   storage buffers  {}", report.storage_buffers)
}
