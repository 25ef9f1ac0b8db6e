//! `autorep sweep`

use super::End;
use super::common::{RunArgs, note, percent};
use crate::search::objective::prices;
use crate::search::run::Summary;
use crate::search::sweep::{Entry, Grid, Row, Spread, rows};
use crate::train::config::Layers;
use crate::train::interrupt::Interrupt;
use crate::train::run_folder::RunFolder;
use crate::train::settings::Settings;
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use std::collections::VecDeque;
use std::io::{self, Write, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Arguments of `autorep sweep`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Budgets, as `autorep search --budget` takes them: 6k,12.9k,10%,0.
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    budgets: Vec<String>,
    /// Methods: autorep, snl, autopoly, none.
    #[arg(
        long,
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
/// What all searches share, within the folder of the sweep.
const SETTINGS: &str = "sweep.toml";

pub(super) fn run(args: Args) -> Result<End> {
    let out = &args.run.out;
    let base = args.run.settings(&[])?;
    let grid = grid(&args, &base)?;
    let entries = grid.entries();
    ensure!(
        !entries.is_empty(),
        "there is nothing to search: method none needs a budget of 0 or 100%"
    );
    let text = toml::to_string(&base).context("the settings have no TOML form")?;
    for entry in &entries {
        // A slip of the pen is an error now, not in an hour.
        let mut layers = Layers::default();
        layers.file(SETTINGS, &text)?;
        for set in &entry.sets {
            layers.set(set)?;
        }
        let search = layers.finish()?.search;
        prices(&search, search.budget.parse()?).with_context(|| entry.name.clone())?;
    }
    open(&args, out, &text)?;
    let interrupt = Interrupt::install();

    let teacher = match &args.teacher {
        Some(path) => path.clone(),
        None if !base.teacher.from.as_os_str().is_empty() => base.teacher.from.clone(),
        None => {
            let folder = out.join(TEACHER);
            if !folder.join("summary.json").is_file() {
                note("teacher");
                let mut child = spawn(&args, "train", &folder, &[])?;
                match ended(child.wait()?, interrupt) {
                    Ended::Well => {}
                    Ended::Interrupted => return Ok(interrupted()),
                    Ended::Badly => bail!("the teacher could not be trained"),
                }
            }
            folder
        }
    };

    let mut waiting: VecDeque<&Entry> = entries
        .iter()
        .filter(|entry| !out.join(&entry.name).join("summary.json").is_file())
        .collect();
    let done = entries.len() - waiting.len();
    note(format_args!(
        "{} searches{}",
        entries.len(),
        if done > 0 {
            format!(", {done} of them done already")
        } else {
            String::new()
        }
    ));
    let mut running: Vec<(&Entry, Child)> = Vec::new();
    let mut failed: Vec<&str> = Vec::new();
    let mut stopped = false;
    while !running.is_empty() || (!waiting.is_empty() && !stopped) {
        while running.len() < args.jobs.get() && !stopped {
            let Some(entry) = waiting.pop_front() else {
                break;
            };
            note(&entry.name);
            let mut sets = entry.sets.clone();
            sets.push(format!("teacher.from={}", toml_text(&teacher)?));
            let child = spawn(&args, "search", &out.join(&entry.name), &sets)?;
            running.push((entry, child));
        }
        std::thread::sleep(Duration::from_millis(100));
        let mut left = Vec::new();
        for (entry, mut child) in running {
            match child.try_wait()? {
                None => left.push((entry, child)),
                Some(status) => match ended(status, interrupt) {
                    Ended::Well => {}
                    Ended::Interrupted => stopped = true,
                    Ended::Badly => {
                        note(format_args!("{} failed; the others go on", entry.name));
                        failed.push(&entry.name);
                    }
                },
            }
        }
        running = left;
        stopped |= interrupt.requested();
    }

    let summaries = finished(out, entries.clone())?;
    let rows = rows(&summaries);
    let table = Table {
        searches: entries.len(),
        finished: summaries.len(),
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
        entries.len(),
        failed.join(", ")
    );
    Ok(End::Done)
}

fn interrupted() -> End {
    note("interrupted; continue with --resume");
    End::Interrupted
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
        let values = values.split(',').map(str::to_owned).collect();
        varied.push((key.to_owned(), values));
    }
    let last = u32::try_from(args.seeds.get() - 1).ok();
    let last = last.and_then(|more| base.seed.checked_add(more));
    let last = last.context("--seed and --seeds lead past the largest seed")?;
    Ok(Grid {
        methods: args.methods.clone(),
        varied,
        budgets: args.budgets.clone(),
        seeds: (base.seed..=last).collect(),
    })
}

/// Makes the sweep's folder, or checks that it is the same sweep's.
fn open(args: &Args, out: &Path, text: &str) -> Result<()> {
    let path = out.join(SETTINGS);
    if path.is_file() {
        ensure!(
            args.run.resume,
            "{} holds a sweep already: go on with it with --resume, or choose another --out",
            out.display()
        );
        let stored = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: cannot be read", path.display()))?;
        ensure!(
            stored == text,
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
    write_atomically(&path, text)
}

fn write_atomically(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("{}: cannot be written to", folder.display()))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(())
}

/// Begins `autorep COMMAND` with the sweep's settings in `folder`, or goes on with it.
fn spawn(args: &Args, command: &str, folder: &Path, sets: &[String]) -> Result<Child> {
    let program = std::env::current_exe().context("the program cannot find itself")?;
    let mut child = Command::new(program);
    child.arg(command).arg("--resume").arg("--out").arg(folder);
    child.arg("--config").arg(args.run.out.join(SETTINGS));
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
    child
        .spawn()
        .with_context(|| format!("{}: cannot begin", folder.display()))
}

enum Ended {
    Well,
    Interrupted,
    Badly,
}

fn ended(status: ExitStatus, interrupt: Interrupt) -> Ended {
    match status.code() {
        Some(0) => Ended::Well,
        Some(130) => Ended::Interrupted,
        _ if interrupt.requested() => Ended::Interrupted,
        _ => Ended::Badly,
    }
}

/// A path as a TOML string.
fn toml_text(path: &Path) -> Result<String> {
    let text = path.to_str();
    let text = text.with_context(|| format!("{}: the path is no UTF-8", path.display()))?;
    Ok(toml::Value::String(text.to_owned()).to_string())
}

/// Summaries of the searches that are done.
fn finished(out: &Path, entries: Vec<Entry>) -> Result<Vec<(Entry, Summary)>> {
    let mut summaries = Vec::new();
    for entry in entries {
        let folder = out.join(&entry.name);
        if folder.join("summary.json").is_file() {
            let summary = RunFolder::open(folder)?.read_summary()?;
            summaries.push((entry, summary));
        }
    }
    Ok(summaries)
}

/// `sweep.json`.
#[derive(Serialize)]
struct Table {
    searches: usize,
    finished: usize,
    rows: Vec<Row>,
}

fn write_table(out: &Path, table: &Table) -> Result<()> {
    let text = serde_json::to_string_pretty(table)?;
    write_atomically(&out.join("sweep.json"), &text)
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
    writeln!(
        to,
        "\n  {:<width$} {:>5} {:>9} {:>9} {:>16} {:>16}",
        "search", "seeds", "ReLUs", "squares", "validation", "test"
    )?;
    for row in &table.rows {
        writeln!(
            to,
            "{} {:<width$} {:>5} {:>9} {:>9.0} {:>16} {:>16}",
            if row.pareto { '*' } else { ' ' },
            row.name,
            row.seeds.len(),
            row.relus,
            row.squares,
            spread(row.validation),
            spread(row.test)
        )?;
    }
    writeln!(
        to,
        "\n* no other row has as few ReLUs and as much validation accuracy\n{} of {} searches are \
         done; written to {}",
        table.finished,
        table.searches,
        out.display()
    )
}
