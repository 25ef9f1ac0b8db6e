//! `autorep data`

use super::End;
use crate::data::{OpenOptions, contact_sheet, info, open};
use anyhow::{Context, Result};
use clap::Subcommand;
use std::io::{Write, stdout};
use std::path::PathBuf;

/// Arguments of `autorep data`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Counts, classes, sizes, mean and standard deviation, and problems found.
    Info {
        /// `builtin`, or a folder.
        path: String,
        /// Scale images to N×N.
        #[arg(long, value_name = "N")]
        image_size: Option<u32>,
        /// Print JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// A picture with a row of images for each class.
    Sheet {
        /// `builtin`, or a folder.
        path: String,
        /// Image file to write; the ending says the format.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Images of a class.
        #[arg(long, default_value_t = 12, value_name = "N")]
        columns: usize,
        /// Scale images to N×N.
        #[arg(long, value_name = "N")]
        image_size: Option<u32>,
    },
}

pub(super) fn run(args: Args) -> Result<End> {
    match args.command {
        Command::Info {
            path,
            image_size,
            json,
        } => {
            let dataset = open(&path, &options(image_size))?;
            let info = info(&dataset);
            if json {
                writeln!(stdout(), "{}", serde_json::to_string_pretty(&info)?)?;
            } else {
                writeln!(stdout(), "{info}")?;
            }
        }
        Command::Sheet {
            path,
            output,
            columns,
            image_size,
        } => {
            let dataset = open(&path, &options(image_size))?;
            let sheet = contact_sheet(&dataset, columns.clamp(1, 100));
            sheet
                .save(&output)
                .with_context(|| format!("{}: cannot be written", output.display()))?;
            writeln!(stdout(), "written to {}", output.display())?;
        }
    }
    Ok(End::Done)
}

fn options(size: Option<u32>) -> OpenOptions {
    OpenOptions {
        size,
        ..Default::default()
    }
}
