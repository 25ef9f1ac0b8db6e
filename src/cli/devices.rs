//! `autorep devices`

use super::End;
use super::common::AdapterArgs;
use crate::gpu::{AdapterReport, adapter};
use anyhow::{Result, bail};

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
        println!("{}", serde_json::to_string_pretty(&reports)?);
        return Ok(End::Done);
    }
    if reports.is_empty() {
        bail!(
            "no adapter was found: install a Vulkan driver (a software one will do: \
             mesa-vulkan-drivers on Debian, Ubuntu and Fedora, vulkan-swrast on Arch)"
        );
    }
    reports.iter().for_each(print);
    Ok(End::Done)
}

fn print(report: &AdapterReport) {
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    println!("{}: {}", report.index, report.name);
    println!(
        "   backend          {}, driver {}",
        report.backend, report.driver
    );
    println!("   class            {:?}", report.class);
    println!(
        "   subgroups        {}",
        match report.subgroup {
            None => "no".to_owned(),
            Some((min, max)) if min == max => format!("{min} lanes"),
            Some((min, max)) => format!("{min} to {max} lanes"),
        }
    );
    println!("   timestamps       {}", yes(report.timestamps));
    println!("   f16 in shaders   {}", yes(report.f16));
    println!("   largest binding  {} MiB", report.max_binding_bytes >> 20);
    println!("   largest buffer   {} MiB", report.max_buffer_bytes >> 20);
    println!(
        "   workgroup        {} invocations, {} KiB",
        report.workgroup_invocations,
        report.workgroup_memory_bytes >> 10
    );
    println!("   storage buffers  {}", report.storage_buffers);
}
