//! `autorep completions`

use super::end::End;
use anyhow::Result;
use clap_complete::Shell;
use std::io::{Write, stdout};

/// Arguments of `autorep completions`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell; `autorep completions bash > ~/.local/share/bash-completion/completions/autorep`
    /// serves bash, and other shells have a folder of their own for such files.
    shell: Shell,
}

pub(super) fn run(args: Args, mut program: clap::Command) -> Result<End> {
    // Written in one piece: `generate` panics where nobody reads.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "autorep", &mut script);
    stdout().write_all(&script)?;
    Ok(End::Done)
}
