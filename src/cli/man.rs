//! `autorep man`

use super::end::End;
use anyhow::{Context, Result};
use std::fs;
use std::io::{Write, stdout};
use std::path::PathBuf;

/// Arguments of `autorep man`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Folder to write to, such as ~/.local/share/man/man1; pages that are there are replaced.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

pub(super) fn run(args: Args, program: clap::Command) -> Result<End> {
    let folder = args.out.display();
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make the folder {folder}"))?;
    clap_mangen::generate_to(program, &args.out)
        .with_context(|| format!("cannot write the pages into {folder}"))?;
    writeln!(
        stdout(),
        "autorep.1 and a page for each command in {folder}"
    )?;
    Ok(End::Done)
}
