//! `autorep export`

use super::common::load_result;
use super::end::End;
use crate::export::Format;
use crate::files::write_atomic;
use crate::run::model_file::{self, Unpacked};
use anyhow::{Result, bail};
use std::io::{Write, stdout};
use std::path::PathBuf;

/// Arguments of `autorep export`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A run folder, or a checkpoint.
    run: PathBuf,
    /// Format: onnx, safetensors.
    #[arg(long)]
    format: Format,
    /// File to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Overwrite an existing file.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: Args) -> Result<End> {
    if args.output.exists() && !args.force {
        bail!(
            "{} exists and was left untouched; pass --force to overwrite it",
            args.output.display()
        );
    }
    let Unpacked { model, spec, .. } = model_file::unpack(load_result(&args.run)?)?;
    let bytes = args.format.export(&model)?;
    write_atomic(&args.output, &bytes)?;
    let kept: usize = model.tensors.kept(&model.layout).iter().sum();
    writeln!(
        stdout(),
        "{}: {} with {kept} of {} ReLUs, {} bytes",
        args.output.display(),
        spec.name,
        model.network.relu_total(),
        bytes.len()
    )?;
    Ok(End::Done)
}
