//! `autorep sweep`

use super::common::{RunArgs, load_result, note, percent};
use super::end::End;
use crate::files::write_atomic;
use crate::models::ModelSpec;
use crate::report::published::Published;
use crate::run::folder::RunFolder;
use crate::run::model_file::{self, Unpacked};
use crate::run::summary::Summary;
use crate::search::agreement::Overlap;
use crate::search::budget::Budget;
use crate::search::methods;
use crate::search::objective::prices;
use crate::search::pipeline;
use crate::search::sweep::{Entry, Finished, Grid, Row, Spread, rows};
use crate::settings::layers::Layers;
use crate::settings::{self, Settings};
use crate::train::images::open_data;
use crate::train::interrupt::Interrupt;
use anyhow::{Context, Result, bail, ensure};
#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Arguments of `autorep sweep`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Budgets, as `autorep search --budget` takes them: 6k,12.9k,10%,0.
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    budgets: Vec<String>,
    /// Methods; --help lists them.
    #[arg(
        long,
        long_help = method_help(),
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "autorep"
    )]
    methods: Vec<String>,
    /// Seeds of each search: so many, from --seed on.
    #[arg(long, value_name = "N", default_value = "1")]
    seeds: NonZeroUsize,
    /// Also vary a setting: search.degree=1,2.
    #[arg(long, value_name = "KEY=LIST")]
    vary: Vec<String>,
    /// A run or checkpoint with a trained teacher; without it one is trained first, for all.
    #[arg(long, value_name = "PATH")]
    teacher: Option<PathBuf>,
    /// Searches that run side by side.
    #[arg(long, value_name = "N", default_value = "1")]
    jobs: NonZeroUsize,
}

/// Folder of the teacher within that of the sweep.
const TEACHER: &str = "teacher";
/// Most seeds of a sweep.
const MOST_SEEDS: usize = 1000;
/// What all searches share, within the folder of the sweep.
const SETTINGS: &str = "sweep.toml";

fn method_help() -> String {
    format!("Methods:\n{}", methods::list())
}

pub(super) fn run(args: Args) -> Result<End> {
    let out = &args.run.out;
    let teacher = args.teacher.as_ref().map(|path| path.display().to_string());
    let mut base = args
        .run
        .settings(&[("teacher.from", teacher.map(toml::Value::String))])?;
    // Searches are gone on with from whatever folder one is in.
    base.data = absolute(&base.data)?;
    base.search.cost = absolute(&base.search.cost)?;
    if !base.teacher.from.as_os_str().is_empty() {
        base.teacher.from = std::path::absolute(&base.teacher.from)?;
    }
    let searches = searches(&grid(&args, &base)?, &base)?;
    open(&args, out, &base)?;
    feasible(&searches, &base)?;
    let interrupt = Interrupt::install();

    let Some(teacher) = teacher_of(&args, &base, interrupt)? else {
        return Ok(interrupted());
    };
    let done = finished(out, &searches)?.len();
    note(format_args!(
        "{} searches{}",
        searches.len(),
        if done > 0 {
            format!(", {done} of them done already")
        } else {
            String::new()
        }
    ));
    let Ran { failed, stopped } = run_all(&args, &searches, &teacher, interrupt)?;

    let summaries = finished(out, &searches)?;
    let rows = rows(&summaries);
    let table = Table {
        searches: searches.len(),
        finished: summaries.len(),
        published: match summaries.first() {
            Some(first) => published(&out.join(&first.entry.name), &first.summary, &rows)?,
            None => Vec::new(),
        },
        rows,
    };
    write_table(out, &table)?;
    match args.run.json {
        true => writeln!(stdout(), "{}", serde_json::to_string_pretty(&table)?)?,
        false => print(&table, out)?,
    }
    if stopped {
        return Ok(interrupted());
    }
    ensure!(
        failed.is_empty(),
        "{} of {} searches failed: {}; mend what they say above and run the sweep again with \
         --resume",
        failed.len(),
        searches.len(),
        failed.join(", ")
    );
    Ok(End::Done)
}

/// The searches of a grid, each checked: a slip of the pen is an error now, not in an hour.
fn searches(grid: &Grid, base: &Settings) -> Result<Vec<Search>> {
    let entries = grid.entries();
    ensure!(
        !entries.is_empty(),
        "there is nothing to search: method none needs a budget of 0 or 100%"
    );
    let text = toml::to_string(base).context("the settings have no TOML form")?;
    let search = |entry: Entry| {
        let mut layers = Layers::default();
        layers.file(SETTINGS, &text)?;
        for set in &entry.sets {
            layers.set(set)?;
        }
        let settings = layers.finish()?;
        let search = &settings.search;
        let prices = prices(search, search.budget.parse()?).with_context(|| entry.name.clone())?;
        pipeline::fits_prices(search, &prices).with_context(|| entry.name.clone())?;
        Ok(Search { entry, settings })
    };
    entries.into_iter().map(search).collect()
}

/// Refuses budgets that the network cannot have, before a teacher is trained for them.
fn feasible(searches: &[Search], base: &Settings) -> Result<()> {
    let dataset = open_data(base, false)?;
    let spec = ModelSpec {
        name: base.model.clone(),
        width: base.width,
        input: dataset.train.size(),
        classes: dataset.classes.len(),
    };
    let total = spec.build()?.relu_total();
    for search in searches {
        let budget: Budget = search.settings.search.budget.parse()?;
        budget
            .resolve(total)
            .with_context(|| search.entry.name.clone())?;
    }
    Ok(())
}

/// The teacher's place: given, or trained for all searches. `None` when interrupted.
fn teacher_of(args: &Args, base: &Settings, interrupt: Interrupt) -> Result<Option<PathBuf>> {
    if !base.teacher.from.as_os_str().is_empty() {
        return Ok(Some(base.teacher.from.clone()));
    }
    let folder = std::path::absolute(args.run.out.join(TEACHER))?;
    if !RunFolder::is_finished(&folder) {
        note("teacher");
        let mut children = Children::default();
        children.begin(args, "train", TEACHER, &[])?;
        while !children.0.is_empty() {
            match children.wait(interrupt)? {
                Ended::Well => {}
                Ended::Interrupted => return Ok(None),
                Ended::Badly(_) => bail!("the teacher could not be trained"),
            }
        }
    }
    Ok(Some(folder))
}

/// What became of the searches that were not done.
struct Ran {
    /// Names of those that failed.
    failed: Vec<String>,
    /// Whether somebody asked to stop.
    stopped: bool,
}

/// Runs the searches that are not done, so many side by side as were asked for.
fn run_all(args: &Args, searches: &[Search], teacher: &Path, interrupt: Interrupt) -> Result<Ran> {
    let out = &args.run.out;
    let is_done = |search: &&Search| RunFolder::is_finished(&search.folder(out));
    let mut waiting: VecDeque<&Search> = searches.iter().filter(|s| !is_done(s)).collect();
    let mut children = Children::default();
    let mut failed = Vec::new();
    let mut stopped = interrupt.requested();
    while !children.0.is_empty() || (!waiting.is_empty() && !stopped) {
        while children.0.len() < args.jobs.get() && !stopped {
            let Some(search) = waiting.pop_front() else {
                break;
            };
            note(&search.entry.name);
            let mut sets = search.entry.sets.clone();
            sets.push(format!("teacher.from={}", toml_text(teacher)?));
            children.begin(args, "search", &search.entry.name, &sets)?;
        }
        match children.wait(interrupt)? {
            Ended::Well => {}
            Ended::Interrupted => stopped = true,
            Ended::Badly(name) => {
                let log = match args.jobs.get() {
                    1 => String::new(),
                    _ => format!(", see {}", out.join(format!("{name}.log")).display()),
                };
                note(format_args!("{name} failed{log}; the others go on"));
                failed.push(name);
            }
        }
        stopped |= interrupt.requested();
    }
    Ok(Ran { failed, stopped })
}

fn interrupted() -> End {
    note("interrupted; continue with --resume");
    End::Interrupted
}

/// One search of the sweep, and all its settings but the teacher's place.
struct Search {
    entry: Entry,
    settings: Settings,
}

impl Search {
    fn folder(&self, out: &Path) -> PathBuf {
        out.join(&self.entry.name)
    }
}

/// The absolute form of what names a file or folder; other texts (`builtin`, `crypten`) as they
/// are.
fn absolute(text: &str) -> Result<String> {
    let path = Path::new(text);
    if !path.exists() {
        return Ok(text.to_owned());
    }
    let absolute = std::path::absolute(path)?;
    let text = absolute.to_str();
    let text = text.with_context(|| format!("{}: the path is no UTF-8", absolute.display()))?;
    Ok(text.to_owned())
}

fn grid(args: &Args, base: &Settings) -> Result<Grid> {
    let mut varied = Vec::new();
    for text in &args.vary {
        let parts = text
            .split_once('=')
            .filter(|(_, values)| !values.is_empty());
        let Some((key, values)) = parts else {
            bail!("--vary {text}: write --vary KEY=LIST, for example --vary search.degree=1,2");
        };
        let key = key.trim();
        let own = ["seed", "search.method", "search.budget", "teacher.from"];
        ensure!(
            !own.contains(&key),
            "--vary {text}: use --seeds, --methods, --budgets and --teacher"
        );
        // A link has a comma of its own.
        let comma = if values.contains(';') { ';' } else { ',' };
        varied.push((key.to_owned(), trimmed(values.split(comma))));
    }
    ensure!(
        args.seeds.get() <= MOST_SEEDS,
        "--seeds {}: choose at most {MOST_SEEDS}",
        args.seeds
    );
    let last = u32::try_from(args.seeds.get() - 1).ok();
    let last = last.and_then(|more| base.seed.checked_add(more));
    let last = last.context("--seed and --seeds lead past the largest seed")?;
    Ok(Grid {
        methods: trimmed(args.methods.iter().map(String::as_str)),
        varied,
        budgets: trimmed(args.budgets.iter().map(String::as_str)),
        seeds: (base.seed..=last).collect(),
    })
}

fn trimmed<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<String> {
    texts.map(|text| text.trim().to_owned()).collect()
}

/// Makes the sweep's folder, or checks that it is the same sweep's.
fn open(args: &Args, out: &Path, base: &Settings) -> Result<()> {
    let path = out.join(SETTINGS);
    if path.is_file() {
        ensure!(
            args.run.resume,
            "{} holds a sweep already: go on with it with --resume, or choose another --out",
            out.display()
        );
        let stored = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: cannot be read", path.display()))?;
        let mut layers = Layers::default();
        layers.file(&path.display().to_string(), &stored)?;
        ensure!(
            shared(layers.finish()?) == shared(base.clone()),
            "the sweep in {} was begun with other settings: only budgets, methods, seeds and \
             --vary may be added to; choose another --out",
            out.display()
        );
        return Ok(());
    }
    let occupied = out.is_dir() && out.read_dir()?.next().is_some();
    ensure!(
        !occupied,
        "{}: the folder is not empty, and holds no sweep; choose another --out",
        out.display()
    );
    std::fs::create_dir_all(out).with_context(|| format!("{}: cannot be made", out.display()))?;
    let text = toml::to_string(base).context("the settings have no TOML form")?;
    Ok(write_atomic(&path, text.as_bytes())?)
}

/// The settings that all searches of a sweep have in common.
fn shared(settings: Settings) -> Settings {
    let defaults = Settings::default();
    Settings {
        seed: defaults.seed,
        search: settings::Search {
            method: defaults.search.method,
            budget: defaults.search.budget,
            ..settings.search
        },
        ..settings
    }
}

/// Processes under way. Whatever happens to the sweep, they are told to keep what they have and end.
#[derive(Default)]
struct Children(Vec<(String, Child)>);

impl Children {
    /// Begins `autorep COMMAND` with the sweep's settings in the folder `name`, or goes on with it.
    fn begin(&mut self, args: &Args, command: &str, name: &str, sets: &[String]) -> Result<()> {
        let out = &args.run.out;
        let program = std::env::current_exe().context("the program cannot find itself")?;
        let mut child = Command::new(program);
        child.arg(command).arg("--resume");
        child.arg("--out").arg(out.join(name));
        child.arg("--config").arg(out.join(SETTINGS));
        for set in sets {
            child.arg("--set").arg(set);
        }
        let adapter = &args.run.adapter;
        for (option, value) in [
            ("--adapter", &adapter.adapter),
            ("--backend", &adapter.backend),
        ] {
            if let Some(value) = value {
                child.arg(option).arg(value);
            }
        }
        // A row's own table would be in the way of the sweep's.
        child.stdin(Stdio::null()).stdout(Stdio::null());
        if args.jobs.get() > 1 {
            // Nor can several draw on one terminal.
            let path = out.join(format!("{name}.log"));
            let log = File::create(&path)
                .with_context(|| format!("{}: cannot be written", path.display()))?;
            child.stderr(log);
        }
        let child = child
            .spawn()
            .with_context(|| format!("{name}: cannot begin"))?;
        self.0.push((name.to_owned(), child));
        Ok(())
    }

    /// Waits until one of them ends. Once somebody has asked to stop, tells all of them: whoever
    /// asked may not have told them.
    fn wait(&mut self, interrupt: Interrupt) -> Result<Ended> {
        let mut told = false;
        loop {
            if interrupt.requested() && !told {
                self.terminate();
                told = true;
            }
            for index in 0..self.0.len() {
                if let Some(status) = self.0[index].1.try_wait()? {
                    let (name, _) = self.0.remove(index);
                    return Ok(match status.code() {
                        Some(0) => Ended::Well,
                        Some(130) => Ended::Interrupted,
                        _ if interrupt.requested() => Ended::Interrupted,
                        _ => Ended::Badly(name),
                    });
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks all of them to keep what they have and end.
    fn terminate(&self) {
        #[cfg(unix)]
        for (_, child) in &self.0 {
            if let Some(process) = Pid::from_raw(child.id() as i32) {
                // One that has ended meanwhile needs no telling.
                let _ = kill_process(process, Signal::TERM);
            }
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.terminate();
        for (_, child) in &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// How a process ended, and which where that matters.
enum Ended {
    Well,
    Interrupted,
    Badly(String),
}

/// A path as a TOML string.
fn toml_text(path: &Path) -> Result<String> {
    let text = path.to_str();
    let text = text.with_context(|| format!("{}: the path is no UTF-8", path.display()))?;
    Ok(toml::Value::String(text.to_owned()).to_string())
}

/// The searches that are done.
fn finished(out: &Path, searches: &[Search]) -> Result<Vec<Finished>> {
    let mut summaries = Vec::new();
    for search in searches {
        let path = search.folder(out);
        if !RunFolder::is_finished(&path) {
            continue;
        }
        let folder = RunFolder::open(&path)?;
        let mut layers = Layers::default();
        layers.file("config.toml", &folder.read_config()?.unwrap_or_default())?;
        let mut settings = layers.finish()?;
        // The sweep may have been moved since, with its teacher.
        settings.teacher.from = search.settings.teacher.from.clone();
        ensure!(
            settings == search.settings,
            "{}: this search was made with other settings; move it away, or sweep into another \
             --out",
            path.display()
        );
        let Unpacked { model, .. } = model_file::unpack(load_result(&path)?)?;
        let sites = model.layout.sites.iter();
        let kept = sites.flat_map(|site| &model.tensors.mask[site.range()]);
        summaries.push(Finished {
            entry: search.entry.clone(),
            summary: folder.read_summary()?,
            kept: kept.map(|&mask| mask != 0.0).collect(),
        });
    }
    Ok(summaries)
}

/// `sweep.json`.
#[derive(Serialize)]
struct Table {
    searches: usize,
    finished: usize,
    rows: Vec<Row>,
    published: Vec<Comparison>,
}

/// What others published for as many ReLUs as a row has.
#[derive(Serialize)]
struct Comparison {
    row: String,
    method: String,
    /// Whose ReLUs they were.
    model: String,
    /// Top-1, a share of 1, read between the published points.
    test: f64,
}

/// Comparisons of rows with the published curves for the data set of a search, if there are any.
fn published(folder: &Path, summary: &Summary, rows: &[Row]) -> Result<Vec<Comparison>> {
    let published = Published::load()?;
    let Unpacked { model, spec, .. } = model_file::unpack(load_result(folder)?)?;
    let dataset = published.dataset(&summary.dataset, spec.input, &model.classes);
    let curves = dataset.into_iter().flat_map(|set| published.curves(set));
    let comparisons = curves.flat_map(|curve| {
        rows.iter().filter_map(|row| {
            Some(Comparison {
                row: row.name.clone(),
                method: curve.method.clone(),
                model: curve.model.clone(),
                test: curve.at(row.relus as f64)? / 100.0,
            })
        })
    });
    Ok(comparisons.collect())
}

fn write_table(out: &Path, table: &Table) -> Result<()> {
    let text = serde_json::to_string_pretty(table)?;
    Ok(write_atomic(&out.join("sweep.json"), text.as_bytes())?)
}

fn print(table: &Table, out: &Path) -> io::Result<()> {
    let spread = |spread: Spread| match spread.deviation {
        Some(deviation) => format!("{} ± {:.2}", percent(spread.mean), 100.0 * deviation),
        None => percent(spread.mean),
    };
    let width = table
        .rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or(0)
        .max(6);
    let mut to = stdout();
    let mut unit = "";
    for row in &table.rows {
        if row.unit != unit {
            unit = &row.unit;
            writeln!(
                to,
                "\n  {:<width$} {:>5} {:>9} {:>9} {:>9} {:>16} {:>16} {:>9}   (cost in {unit})",
                "search", "seeds", "ReLUs", "squares", "cost", "validation", "test", "overlap"
            )?;
        }
        writeln!(
            to,
            "{} {:<width$} {:>5} {:>9} {:>9.0} {:>9.0} {:>16} {:>16} {:>9}",
            if row.pareto { '*' } else { ' ' },
            row.name,
            row.seeds.len(),
            row.relus,
            row.squares,
            row.cost,
            spread(row.validation),
            spread(row.test),
            match row.overlap {
                Some(Overlap { share, chance }) => format!("{share:.2}/{chance:.2}"),
                None => String::new(),
            }
        )?;
    }
    if !table.published.is_empty() {
        writeln!(to, "\nPublished, for as many ReLUs:")?;
    }
    for other in &table.published {
        writeln!(
            to,
            "  {:<width$} {}{}: {}",
            other.row,
            other.method,
            match other.model.as_str() {
                "" => " on a network of its own".to_owned(),
                model => format!(" on {model}"),
            },
            percent(other.test)
        )?;
    }
    writeln!(
        to,
        "\n* no other row costs as little and is as accurate on the validation images\n\
         overlap: what two seeds keep alike, and what chance would\n\
         {} of {} searches are done; written to {}",
        table.finished,
        table.searches,
        out.display()
    )
}
