//! `autorep export`

use super::common::load_result;
use super::end::End;
use crate::cost::{Depth, Kind, Price, Protocol, SiteCounts, Weights, bill, layers_of, once};
use crate::export::{Format, Holder, fold, to_private_onnx};
use crate::files::write_atomic;
use crate::graph::Model;
use crate::private::Folded;
use crate::run::folder::RunFolder;
use crate::run::model_file::{self, Unpacked};
use crate::run::summary::Summary;
use anyhow::{Result, bail};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

/// Arguments of `autorep export`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A run folder, or a checkpoint.
    run: PathBuf,
    /// Format: onnx, safetensors.
    #[arg(long)]
    format: Format,
    /// What the file is for: pi (ONNX in the form that saves in private inference; beside it
    /// NAME.skeleton.onnx, without weights, for the other party, and NAME.json, what is in it).
    #[arg(long = "for", value_name = "PURPOSE")]
    purpose: Option<Purpose>,
    /// File to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Overwrite an existing file.
    #[arg(long)]
    force: bool,
}

/// What an export may be made for.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Private inference.
    Pi,
}

pub(super) fn run(args: Args) -> Result<End> {
    if args.purpose.is_some() && args.format != Format::Onnx {
        bail!("--for pi is a form of ONNX: pass --format onnx with it");
    }
    let Unpacked { model, spec, .. } = model_file::unpack(load_result(&args.run)?)?;
    let files = match args.purpose {
        None => vec![(args.output.clone(), args.format.export(&model)?)],
        Some(Purpose::Pi) => private(&model, &args.run, &args.output)?,
    };
    for (file, _) in &files {
        if file.exists() && !args.force {
            bail!(
                "{} exists and was left untouched; pass --force to overwrite it",
                file.display()
            );
        }
    }
    let kept: usize = model.tensors.kept(&model.layout).iter().sum();
    for (file, bytes) in files {
        write_atomic(&file, &bytes)?;
        writeln!(
            stdout(),
            "{}: {} with {kept} of {} ReLUs, {} bytes",
            file.display(),
            spec.name,
            model.network.relu_total(),
            bytes.len()
        )?;
    }
    Ok(End::Done)
}

/// The files that private inference takes, and their contents.
fn private(model: &Model, run: &Path, output: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let folded = fold(model)?;
    // A checkpoint by itself, or an imported teacher, has none.
    let summary: Option<Summary> = match RunFolder::is_finished(run) {
        true => Some(RunFolder::open(run)?.read_summary()?),
        false => None,
    };
    let manifest = manifest(&folded, summary.as_ref())?;
    Ok(vec![
        (output.to_owned(), to_private_onnx(&folded, Holder::Owner)?),
        (
            output.with_extension("skeleton.onnx"),
            to_private_onnx(&folded, Holder::Other)?,
        ),
        (output.with_extension("json"), manifest),
    ])
}

/// What is in a file for private inference, and what it should cost.
#[derive(Serialize)]
struct Manifest<'a> {
    /// Version of this.
    format: &'static str,
    model: &'a str,
    /// Channels, height, width.
    input: [usize; 3],
    classes: &'a [String],
    relus: usize,
    relu_total: usize,
    sites: Vec<Site<'a>>,
    /// By protocol: bytes that a party sends for one image, the mean of all parties, and rounds.
    expected: BTreeMap<String, Expected>,
    /// Levels that homomorphic encryption takes, and what it cannot compute.
    ckks: Depth,
}

/// An activation site.
#[derive(Serialize)]
struct Site<'a> {
    name: &'a str,
    #[serde(flatten)]
    counts: SiteCounts,
    lines: usize,
    /// As in the summary of the run; null where it has none.
    largest_input: Option<f64>,
    /// Likewise.
    largest_product: Option<f64>,
    /// Likewise.
    farthest: Option<f64>,
    /// Likewise.
    beyond: Option<f64>,
}

/// What is sent, by who knows the weights.
#[derive(Serialize)]
struct Expected {
    public: Sent,
    encrypted: Sent,
}

/// What a party sends for one image.
#[derive(Serialize)]
struct Sent {
    #[serde(flatten)]
    total: Price,
    /// Bytes of it that are sent once, however many images are evaluated together.
    bytes_once: f64,
    /// Bytes beyond it that are sent once, however many images follow one another.
    bytes_session: f64,
}

fn manifest(folded: &Folded, summary: Option<&Summary>) -> Result<Vec<u8>> {
    let (layers, counts) = layers_of(folded);
    let names = layers
        .iter()
        .filter(|layer| matches!(layer.kind, Kind::Site { .. }));
    let summed = |name: &str| summary?.sites.iter().find(|site| site.name == name);
    let sites = names.zip(&counts).map(|(layer, &counts)| {
        let summed = summed(&layer.name);
        Site {
            name: &layer.name,
            lines: counts.lines(),
            counts,
            largest_input: summed.and_then(|site| site.largest_input),
            largest_product: summed.and_then(|site| site.largest_product),
            farthest: summed.and_then(|site| site.farthest),
            beyond: summed.and_then(|site| site.beyond),
        }
    });
    // No total where part of it has no price.
    let is_priced = layers.iter().all(|layer| layer.kind.is_priced());
    let expected = Protocol::all()?.into_iter().map(|protocol| {
        let sent = |weights| Sent {
            total: match is_priced {
                true => {
                    let parts = bill(&protocol, &layers, &counts, weights);
                    parts.into_iter().map(|parts| parts.total()).sum()
                }
                false => Price::UNKNOWN,
            },
            bytes_once: once(&protocol, &layers, weights),
            bytes_session: protocol.session.map_or(0.0, |session| session.bytes),
        };
        let expected = Expected {
            public: sent(Weights::Public),
            encrypted: sent(Weights::Encrypted),
        };
        (protocol.name.clone(), expected)
    });
    let input = folded.input();
    let manifest = Manifest {
        format: "autorep-pi-1",
        model: &folded.name,
        input: [input.channels, input.height, input.width],
        classes: &folded.classes,
        relus: folded.relus(),
        relu_total: folded.relu_total,
        sites: sites.collect(),
        expected: expected.collect(),
        ckks: Depth::of(folded),
    };
    let mut text = serde_json::to_vec_pretty(&manifest)?;
    text.push(b'\n');
    Ok(text)
}
