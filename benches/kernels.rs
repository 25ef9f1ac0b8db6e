//! Times every kernel that a step spends its time in, on the shapes of networks.
//!
//! `cargo bench -- --help` lists the options.
//!
//! Only lines that contain FILTER are timed. `ms` is the median of several runs by the device's
//! timestamps, as in `autorep profile`, and `±` half the width of their middle half; `roof` is the
//! share of what the adapter can do; `CPU` is GFLOP per second of processor time of all threads,
//! times the number of cores: on a software adapter, what an idle machine would reach (Linux
//! only); `compile` is how much longer the first run took, pipelines included.
//!
//! `--save` keeps the figures as target/bench/NAME.json; with `--baseline` the last column is
//! the time as a multiple of what it was when NAME was saved.

use anyhow::{Context, Result, bail};
use autorep::cli::AdapterArgs;
use autorep::gpu::Gpu;
use autorep::kernels::compile::tuning::Tuner;
use autorep::kernels::{Compiler, Tiling};
use autorep::profile::suite::{NETWORKS, Row, suite};
use autorep::profile::text::{self, Look};
use autorep::profile::{Effort, Roofline};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Times kernels on the shapes of networks.
#[derive(Parser)]
#[command(name = "cargo bench --", max_term_width = 100)]
struct Options {
    /// Few samples of each: to see that all work, not how fast they are.
    #[arg(long)]
    quick: bool,
    /// Images of a step.
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,
    /// A network whose kernels to time; may be given several times.
    #[arg(long = "model", value_name = "NAME", default_values = NETWORKS)]
    models: Vec<String>,
    /// How kernels are tiled: auto, cpu, portable, large.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    preset: String,
    #[command(flatten)]
    adapter: AdapterArgs,
    /// Keep the figures as target/bench/NAME.json.
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    /// Compare with the figures that were saved under this name.
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Measure the adapter's roofs again.
    #[arg(long)]
    no_cache: bool,
    /// Time only lines that contain this text.
    #[arg(default_value = "")]
    filter: String,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let baseline = options.baseline.as_deref().map(read).transpose()?;
    let save = options.save.as_deref().map(file).transpose()?;
    let names: Vec<&str> = options.models.iter().map(String::as_str).collect();
    let cases = suite(&names, options.batch)?;
    let gpu = Gpu::open(&options.adapter.choice())?;
    let preset = Tiling::parse(&options.preset, &gpu).map_err(anyhow::Error::msg)?;
    let compiler = Compiler::new(&gpu, preset).tuned(Tuner::where_it_pays(&gpu));
    let (roofline, _) = Roofline::of(&compiler, options.no_cache)?;
    println!(
        "{} ({}), preset {preset}, roofline {}; batch {}",
        gpu.report.name,
        gpu.report.driver,
        text::roofs(&roofline),
        options.batch
    );
    let effort = match options.quick {
        true => Effort {
            samples: Effort::LEAST,
            budget: Duration::ZERO,
        },
        false => Effort {
            samples: 25,
            budget: Duration::from_secs(1),
        },
    };
    let look = Look::of_stdout();
    let mut rows: Vec<Row> = Vec::new();
    for case in &cases {
        if !case.name().contains(&options.filter) {
            continue;
        }
        if rows.last().is_none_or(|last| last.group != case.group) {
            println!("\n{}\n{}", case.group, text::row_head(look));
        }
        let row = case.measure(&compiler, &roofline, effort)?;
        let before = baseline.as_ref().and_then(|before| {
            let name = row.name();
            before.iter().find(|row| row.name() == name)
        });
        println!("{}", text::row(look, &row, before));
        rows.push(row);
    }
    if let Some(path) = save {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, serde_json::to_vec_pretty(&rows)?)?;
        println!("\nsaved as {}", path.display());
    }
    Ok(())
}

/// Where the figures called `name` are kept.
fn file(name: &str) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        bail!("`{name}`: choose a name of letters, digits, dots and dashes");
    }
    Ok(Path::new("target/bench").join(format!("{name}.json")))
}

fn read(name: &str) -> Result<Vec<Row>> {
    let path = file(name)?;
    let text = std::fs::read(&path).with_context(|| {
        format!(
            "{}: there is no baseline of that name; make one with --save {name}",
            path.display()
        )
    })?;
    serde_json::from_slice(&text).with_context(|| format!("{}: is no baseline", path.display()))
}
