//! `autorep search`

use super::common::{Begun, RunArgs, begin, finished, note, percent, undone};
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
use std::cell::OnceCell;
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
    /// Also run what the search is to be compared with, from the same teacher, into folders of OUT:
    /// no ReLU, as many ReLUs drawn at random, and all ReLUs trained for as long.
    #[arg(long)]
    control: bool,
}

fn method_help() -> String {
    format!("How ReLUs are chosen:\n{}", methods::list())
}

pub(super) fn run(args: Args) -> Result<End> {
    args.run.keep_log()?;
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
    // Opened once there is something to do: a run that is complete needs no adapter.
    let gpu = OnceCell::new();
    let out = &args.run.out;
    let Some(summary) = search(&args.run, &gpu, settings.clone(), out)? else {
        return Ok(End::Interrupted);
    };
    let mut controls = Vec::new();
    if args.control {
        for control in Control::of(&settings, &summary)? {
            note(format_args!("{}:", control.title));
            let settings = control.settings(&settings, out);
            // A control that was begun goes on when its run does.
            let folder = out.join(control.folder);
            let Some(summary) = search(&args.run, &gpu, settings, &folder)? else {
                return Ok(End::Interrupted);
            };
            controls.push((control, summary));
        }
    }
    if args.run.json {
        let mut json = serde_json::to_value(&summary)?;
        for (control, summary) in &controls {
            json["controls"][control.folder] = serde_json::to_value(summary)?;
        }
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&json)?)?;
    } else {
        print_table(&summary, &controls, out)?;
    }
    Ok(End::Done)
}

/// Something that a search is compared with.
struct Control {
    /// Its folder within that of the search.
    folder: &'static str,
    /// What tables for people call it.
    title: &'static str,
    method: String,
    /// Its budget, where that is not the search's.
    budget: Option<&'static str>,
}

impl Control {
    /// Those of a search, by what came of it.
    fn of(settings: &Settings, summary: &Summary) -> Result<Vec<Self>> {
        let method = methods::find(&settings.search.method)?;
        let mut controls = vec![Self {
            folder: "control",
            title: match method.polynomials {
                Polynomials::Identity => "control, all identity",
                Polynomials::Fitted | Polynomials::Trained => "control, all polynomial",
            },
            method: method.name.to_owned(),
            budget: Some("0"),
        }];
        let chooses = (1..summary.relu_total).contains(&summary.relu_count);
        if chooses && method.name != "random" {
            controls.push(Self {
                folder: "control-random",
                title: "control, drawn at random",
                method: "random".to_owned(),
                budget: None,
            });
        }
        controls.push(Self {
            folder: "control-relu",
            title: "control, all ReLU, as long",
            method: "none".to_owned(),
            budget: Some("100%"),
        });
        Ok(controls)
    }

    /// The settings of its run.
    fn settings(&self, search: &Settings, out: &Path) -> Settings {
        let mut settings = search.clone();
        settings.search.method = self.method.clone();
        if let Some(budget) = self.budget {
            settings.search.budget = budget.into();
            settings.search.cost = "relu".into();
        }
        settings.teacher.from = out.to_owned();
        // It is the teacher's already.
        settings.train_images = 0;
        settings
    }
}

/// One search; `None` when interrupted.
fn search(
    args: &RunArgs,
    gpu: &OnceCell<Gpu>,
    settings: Settings,
    out: &Path,
) -> Result<Option<Summary>> {
    if let Some(summary) = finished(args, out, &settings.search.method)? {
        return Ok(Some(summary));
    }
    let gpu = match gpu.get() {
        Some(gpu) => gpu,
        None => {
            let opened = args.adapter.open(&settings.kernels)?;
            gpu.get_or_init(|| opened)
        }
    };
    let end = match begin(gpu, settings, args, out, Phase::Finish, pipeline::check)? {
        Begun::Ready(mut trainer, at) => {
            pipeline::search(&mut trainer, at).map_err(|error| undone(out, error))?
        }
        Begun::Complete(summary) => RunEnd::Done(summary),
        Begun::Interrupted => RunEnd::Interrupted,
    };
    match end {
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

fn print_table(summary: &Summary, controls: &[(Control, Summary)], out: &Path) -> Result<()> {
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
    for (control, summary) in controls {
        row(control.title, summary.relu_count, &summary.result)?;
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
