//! Times every kernel that a step spends its time in, on the shapes of networks.
//!
//! `cargo bench -- [--quick] [--batch N] [--model NAME]… [--preset NAME] [--adapter NAME]
//! [--save NAME] [--baseline NAME] [--no-cache] [FILTER]`
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
use autorep::gpu::{AdapterChoice, Gpu};
use autorep::kernels::compile::tuning::Tuner;
use autorep::kernels::{Compiler, Tiling};
use autorep::profile::suite::{NETWORKS, Row, suite};
use autorep::profile::text::{self, Look};
use autorep::profile::{Effort, Roofline};
use std::path::{Path, PathBuf};
use std::time::Duration;

struct Options {
    quick: bool,
    batch: usize,
    models: Vec<String>,
    preset: String,
    adapter: Option<String>,
    save: Option<String>,
    baseline: Option<String>,
    no_cache: bool,
    filter: String,
}

fn options() -> Result<Options> {
    let mut options = Options {
        quick: false,
        batch: 32,
        models: Vec::new(),
        preset: "auto".to_owned(),
        adapter: None,
        save: None,
        baseline: None,
        no_cache: false,
        filter: String::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.with_context(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--bench" => {}
            "--quick" => options.quick = true,
            "--batch" => options.batch = value()?.parse().context("--batch wants a number")?,
            "--model" => options.models.push(value()?),
            "--preset" => options.preset = value()?,
            "--adapter" => options.adapter = Some(value()?),
            "--save" => options.save = Some(value()?),
            "--baseline" => options.baseline = Some(value()?),
            "--no-cache" => options.no_cache = true,
            other if other.starts_with("--") => bail!("unknown option {other}"),
            _ => options.filter = argument,
        }
    }
    if options.models.is_empty() {
        options.models = NETWORKS.iter().map(|name| (*name).to_owned()).collect();
    }
    Ok(options)
}

fn main() -> Result<()> {
    let options = options()?;
    let baseline = options.baseline.as_deref().map(read).transpose()?;
    let save = options.save.as_deref().map(file).transpose()?;
    let names: Vec<&str> = options.models.iter().map(String::as_str).collect();
    let cases = suite(&names, options.batch)?;
    let gpu = Gpu::open(&AdapterChoice {
        adapter: options.adapter.clone(),
        backend: None,
    })?;
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
