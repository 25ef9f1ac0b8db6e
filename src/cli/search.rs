//! `autorep search`

use super::common::{RunArgs, begin, finished, note, percent, undone};
use super::end::End;
use crate::gpu::Gpu;
use crate::run::mark::Phase;
use crate::run::summary::Summary;
use crate::search::budget::Budget;
use crate::search::methods::{self, Polynomials};
use crate::search::objective::prices;
use crate::search::pipeline::{self, RunEnd};
use crate::settings::Settings;
use anyhow::Result;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use toml::Value;

/// Arguments of `autorep search`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// What may be kept: of ReLUs a count (4915, 12.9k), a share (10%) or 0; at the prices of a
    /// protocol bytes (400kB), rounds (15rounds) or time (20ms) for an image.
    #[arg(long, allow_hyphen_values = true)]
    budget: Option<String>,
    /// How ReLUs are chosen; --help lists the methods.
    #[arg(long, value_name = "NAME", long_help = method_help())]
    method: Option<String>,
    /// What is kept or dropped as one: element, channel, site.
    #[arg(long, value_name = "UNIT")]
    granularity: Option<String>,
    /// What is scarce: relu (their number), or what ReLUs and squares cost in a protocol of
    /// private inference: its name (`autorep cost` lists them) or a file.
    #[arg(long, value_name = "PROTOCOL")]
    cost: Option<String>,
    /// The network between the parties, for budgets of time: lan, wan, or 100mbit,20ms.
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
    /// A run or checkpoint with a trained teacher; without it one is trained first.
    #[arg(long, value_name = "PATH")]
    teacher: Option<PathBuf>,
    /// Passes over the images while searching.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    search_epochs: Option<usize>,
    /// Passes over the images after the masks are fixed.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    finish_epochs: Option<usize>,
    /// What replaces a ReLU: hermite, exact, official, identity.
    #[arg(long, value_name = "KIND")]
    polynomial: Option<String>,
    /// Degree of the polynomial: 1 or 2.
    #[arg(long, allow_negative_numbers = true)]
    degree: Option<usize>,
    /// Also run the control without any ReLU, into OUT/control, from the same teacher.
    #[arg(long)]
    control: bool,
}

fn method_help() -> String {
    format!("How ReLUs are chosen:\n{}", methods::list())
}

pub(super) fn run(args: Args) -> Result<End> {
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let number = |value: Option<usize>| value.map(|n| Value::Integer(n as i64));
    let teacher = args.teacher.as_ref().map(|path| path.display().to_string());
    let settings = args.run.settings(&[
        ("search.budget", text(&args.budget)),
        ("search.method", text(&args.method)),
        ("search.granularity", text(&args.granularity)),
        ("search.cost", text(&args.cost)),
        ("search.link", text(&args.link)),
        ("teacher.from", text(&teacher)),
        ("search.epochs", number(args.search_epochs)),
        ("finish.epochs", number(args.finish_epochs)),
        ("search.polynomial", text(&args.polynomial)),
        ("search.degree", number(args.degree)),
    ])?;
    // Whether it fits the network is seen later; a slip of the pen, at once.
    prices(&settings.search, settings.search.budget.parse()?)?;
    let gpu = args.run.adapter.open(&settings.kernels)?;
    let out = &args.run.out;
    let Some(summary) = search(&args.run, &gpu, settings.clone(), out)? else {
        return Ok(End::Interrupted);
    };
    let mut control = None;
    if args.control {
        note("control without any ReLU:");
        let mut settings = settings;
        settings.search.budget = "0".into();
        settings.search.cost = "relu".into();
        settings.teacher.from = out.clone();
        let folder = out.join("control");
        // A control that was begun goes on when its run does.
        let Some(summary) = search(&args.run, &gpu, settings, &folder)? else {
            return Ok(End::Interrupted);
        };
        control = Some(summary);
    }
    if args.run.json {
        let mut json = serde_json::to_value(&summary)?;
        if let Some(control) = &control {
            json["control"] = serde_json::to_value(control)?;
        }
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&json)?)?;
    } else {
        print_table(&summary, control.as_ref(), out)?;
    }
    Ok(End::Done)
}

/// One search; `None` when interrupted.
fn search(args: &RunArgs, gpu: &Gpu, settings: Settings, out: &Path) -> Result<Option<Summary>> {
    if let Some(summary) = finished(args, out, &settings.search.method.to_string())? {
        return Ok(Some(summary));
    }
    let (mut trainer, at) = begin(gpu, settings, args, out, Phase::Finish, pipeline::check)?;
    match pipeline::search(&mut trainer, at).map_err(|error| undone(out, error))? {
        RunEnd::Done(summary) => Ok(Some(*summary)),
        RunEnd::Interrupted => {
            note("interrupted; continue with --resume");
            Ok(None)
        }
    }
}

/// With digits enough for what is small.
fn rounded(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value => format!("{value:.3}"),
    }
}

fn print_table(summary: &Summary, control: Option<&Summary>, out: &Path) -> Result<()> {
    writeln!(
        stdout(),
        "\n{} on {}, seed {}\n",
        summary.model,
        summary.dataset,
        summary.seed
    )?;
    writeln!(
        stdout(),
        "{:<28} {:>9} {:>9} {:>11} {:>11}",
        "",
        "ReLUs",
        "share",
        "validation",
        "test"
    )?;
    let row = |name: &str, kept: usize, accuracy: &crate::run::summary::Accuracy| {
        writeln!(
            stdout(),
            "{name:<28} {kept:>9} {:>9} {:>11} {:>11}",
            format!("{:.1} %", 100.0 * kept as f64 / summary.relu_total as f64),
            percent(accuracy.val_top1),
            percent(accuracy.test_top1),
        )
    };
    row("teacher, all ReLU", summary.relu_total, &summary.teacher)?;
    let method = methods::find(&summary.method)?;
    row(method.title, summary.relu_count, &summary.result)?;
    if let Some(control) = control {
        row(
            match method.polynomials {
                Polynomials::Identity => "control, all identity",
                Polynomials::Fitted | Polynomials::Trained => "control, all polynomial",
            },
            control.relu_count,
            &control.result,
        )?;
    }
    if let (Some(spent), Some(cost)) = (&summary.spent, &summary.cost)
        && cost != "relu"
    {
        let squares: usize = summary.sites.iter().map(|site| site.squares).sum();
        writeln!(
            stdout(),
            "\n{cost}: {} of {} {} spent, with {squares} squares beside the ReLUs",
            rounded(spent.cost),
            rounded(spent.budget),
            match spent.given.parse() {
                Ok(Budget::Rounds(_)) => "rounds",
                Ok(Budget::Milliseconds(_)) => "ms",
                _ => "bytes",
            },
        )?;
    }
    Ok(writeln!(stdout(), "\nwritten to {}", out.display())?)
}
