//! `autorep data`

use super::common::note;
use super::end::End;
use crate::data::{
    Images, OpenOptions, Placement, contact_sheet, evenly, fetch, info, open, open_for_training,
};
use crate::files::write_atomic;
use crate::tensor_file::{Header, Tensor, in_order};
use anyhow::{Context, Result};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
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
        /// Look at the list of files only, without decoding the images.
        #[arg(long)]
        stream: bool,
        /// Print JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Download a data set from its official archive, check it, and unpack it. A download that
    /// was cut short goes on where it ended.
    Fetch {
        /// Which: cifar10, cifar100, tiny-imagenet.
        name: String,
        /// Folder to unpack into.
        #[arg(long, value_name = "FOLDER", default_value = "data")]
        to: PathBuf,
        /// Address of a mirror; length and checksum must still be the official ones.
        #[arg(long)]
        url: Option<String>,
    },
    /// Images with their labels as safetensors, for other programs: `images` [N,3,H,W], RGB in 0…1
    /// as exported networks take it, and `labels` `[N]`.
    Export {
        /// `builtin`, or a folder.
        path: String,
        /// File to write.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Which: test, train.
        #[arg(long, value_name = "SPLIT", default_value = "test")]
        split: Source,
        /// How many, evenly over the split [default: all]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        count: Option<u32>,
        /// Scale images to N×N.
        #[arg(long, value_name = "N")]
        image_size: Option<u32>,
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

/// Where exported images come from.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Test,
    Train,
}

pub(super) fn run(args: Args) -> Result<End> {
    match args.command {
        Command::Info {
            path,
            image_size,
            stream,
            json,
        } => {
            let placement = match stream {
                true => Placement::Stream,
                false => Placement::Resident,
            };
            let options = OpenOptions {
                placement,
                ..options(image_size)
            };
            let info = info(&open_for_training(&path, &options)?);
            if json {
                writeln!(stdout(), "{}", serde_json::to_string_pretty(&info)?)?;
            } else {
                writeln!(stdout(), "{info}")?;
            }
        }
        Command::Fetch { name, to, url } => {
            let archive = fetch::archive(&name)?;
            let bar = ProgressBar::new(archive.bytes);
            let template = "{wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            let folder = fetch::fetch(&archive, &to, url.as_deref(), &|bytes| {
                bar.set_position(bytes);
                if bytes == archive.bytes {
                    bar.finish_and_clear();
                    note("checking and unpacking");
                }
            })?;
            writeln!(stdout(), "{}", folder.display())?;
        }
        Command::Export {
            path,
            output,
            split,
            count,
            image_size,
        } => {
            let dataset = open(&path, &options(image_size))?;
            let images = match split {
                Source::Test => dataset.test,
                Source::Train => dataset.train,
            };
            let count = count.map_or(images.len(), |count| images.len().min(count as usize));
            write_atomic(
                &output,
                &packed(&images.subset(&evenly(images.len(), count)))?,
            )?;
            writeln!(
                stdout(),
                "{}: {count} images of {}×{}",
                output.display(),
                images.height,
                images.width
            )?;
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

/// The images as a safetensors file.
fn packed(images: &Images) -> Result<Vec<u8>> {
    let shape = [images.len(), 3, images.height, images.width];
    let tensors = [
        ("images".to_owned(), Tensor::f32(shape, images.unit())),
        (
            "labels".to_owned(),
            Tensor::u32([images.len()], images.labels.clone()),
        ),
    ];
    let tensors = in_order(&tensors);
    let mut file = Vec::new();
    Header::of(BTreeMap::new(), &tensors).write(&mut file, &tensors)?;
    Ok(file)
}

fn options(size: Option<u32>) -> OpenOptions {
    OpenOptions {
        size,
        ..Default::default()
    }
}
