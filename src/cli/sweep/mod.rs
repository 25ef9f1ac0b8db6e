//! `autorep sweep`: which searches there are, and who runs them.
//!
//! [`record`] is what the sweep's folder says of it; of that [`plan`] makes commands, which [`local`],
//! [`slurm`] or [`hq`] run, or anybody else; [`gather`] reads what has become of them, and [`table`]
//! shows it.

mod cluster;
mod gather;
mod hq;
mod local;
mod plan;
mod record;
mod slurm;
mod standing;
mod table;

use super::common::{RunArgs, note};
use super::end::End;
use crate::gpu::{AdapterReport, Gpu};
use crate::models::ModelSpec;
use crate::search::budget::Budget;
use crate::search::methods;
use crate::search::objective::prices;
use crate::search::phases::Plan as MemoryPlan;
use crate::search::pipeline;
use crate::search::sweep::Grid;
use crate::settings::Settings;
use crate::train::images::open_data;
use anyhow::{Context, Result, bail, ensure};
use clap::{Arg, ArgMatches, FromArgMatches};
use cluster::Cluster;
use gather::gather;
use local::Ran;
use plan::Plan;
use record::{Record, Search};
use standing::State;
use std::collections::HashSet;
use std::io::{Write, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Arguments of `autorep sweep`.
#[derive(Debug)]
pub enum Args {
    /// A sweep whose folder is to be looked at.
    Gather(PathBuf),
    /// A sweep that is wanted.
    Sweep(Box<Wanted>),
}

// By hand, since no derived form makes all that a sweep requires optional beside one option.
impl clap::Args for Args {
    fn augment_args(command: clap::Command) -> clap::Command {
        let gather = Arg::new("gather")
            .long("gather")
            .value_name("FOLDER")
            .value_parser(clap::value_parser!(PathBuf))
            .exclusive(true)
            .help(
                "Show what there is of the sweep in this folder: table, Pareto front, what is missing or \
                 has failed, with its last words. May be asked at any time, and takes no other option",
            );
        <Wanted as clap::Args>::augment_args(command).arg(gather)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(match matches.get_one::<PathBuf>("gather") {
            Some(folder) => Self::Gather(folder.clone()),
            None => Self::Sweep(Box::new(Wanted::from_arg_matches(matches)?)),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A sweep that is wanted.
#[derive(clap::Args, Debug)]
pub struct Wanted {
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
    /// Searches that run side by side: 1, or one for each of --adapters; of Slurm as many as it likes.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Spread searches over these adapters, as `autorep devices` numbers them (0,1,2), or over all that
    /// are of the first one's kind (all).
    #[arg(long, value_name = "LIST", conflicts_with_all = ["adapter", "plan"])]
    adapters: Option<String>,
    /// Run nothing: write what is to be done, one command a line, the teacher first; - is standard
    /// output. A line goes on where it was, and does nothing where its run is complete.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// What begins a run in place of this program, as a shell reads it: 'apptainer run --nv
    /// /path/autorep.sif'.
    #[arg(long, value_name = "COMMAND")]
    program: Option<String>,
    /// Who runs it.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "local",
        conflicts_with = "plan"
    )]
    launcher: Launcher,
    #[command(flatten)]
    cluster: Cluster,
}

/// Who runs a sweep.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Launcher {
    /// This process, and those that it begins.
    Local,
    /// Slurm: arrays of jobs, the searches after the teacher.
    Slurm,
    /// HyperQueue: a task for each search; the teacher is waited for.
    Hq,
}

/// Most seeds of a sweep.
const MOST_SEEDS: usize = 1000;

fn method_help() -> String {
    format!("Methods:\n{}", methods::list())
}

pub(super) fn run(args: Args) -> Result<End> {
    match args {
        Args::Gather(folder) => {
            let table = gather(&folder)?;
            table.print(&folder)?;
            table.write(&folder)?;
            Ok(End::Done)
        }
        Args::Sweep(wanted) => sweep(&wanted),
    }
}

fn sweep(wanted: &Wanted) -> Result<End> {
    wanted.run.keep_log()?;
    ensure!(
        !wanted.run.accept_changes && !wanted.run.wait,
        "--accept-changes and --wait are for single runs: go on with one by `autorep search --resume --out RUN`"
    );
    ensure!(
        !wanted.run.all_images,
        "--final is for a last run, when all choices have been made: a sweep is there to choose, by images that \
         no run was trained on"
    );
    ensure!(
        wanted.launcher != Launcher::Local || !wanted.cluster.is_asked_for(),
        "--partition, --gpus, --time-limit, --mem-gib and --pass are for schedulers: name one, with \
         --launcher slurm or hq"
    );
    ensure!(
        wanted.launcher == Launcher::Local || wanted.adapters.is_none(),
        "--adapters is for --launcher local: a scheduler says itself which GPUs a run may use (--gpus)"
    );
    let (record, searches) = asked_for(wanted)?;
    let images = Images::look(&record.base)?;
    images.hold(&searches)?;
    let program = plan::program(wanted.program.as_deref())?;
    let adapters = match &wanted.adapters {
        Some(list) => local::adapters(list, &wanted.run.adapter)?,
        None => Vec::new(),
    };
    // A plan is for whatever folder one is in.
    let out = &std::path::absolute(&wanted.run.out)?;
    record.write(out, wanted.run.resume)?;
    let plan = Plan::new(out, &record, &searches, &program, &wanted.run.adapter)?;
    if let Some(file) = &wanted.plan {
        plan.write(file)?;
        return Ok(End::Done);
    }
    let before = gather(out)?;
    let other = before.named(State::OtherSettings);
    ensure!(
        other.is_empty(),
        "{}: made with other settings; move them away, or sweep into another --out",
        other.join(", ")
    );
    let done = plan
        .searches
        .iter()
        .filter(|search| search.is_done())
        .count();
    note(format_args!(
        "{} searches{}",
        searches.len(),
        if done > 0 {
            format!(", {done} of them done already")
        } else {
            String::new()
        }
    ));
    let cluster = &wanted.cluster;
    match wanted.launcher {
        Launcher::Local => return here(wanted, out, &plan, &adapters),
        Launcher::Slurm => {
            let memory = match cluster.mem_gib {
                Some(gib) => gib.get() as u64,
                None => images.memory_gib(&record.base, &searches)?,
            };
            slurm::submit(out, &plan, cluster, wanted.jobs, memory)?;
        }
        Launcher::Hq => hq::submit(out, &plan, cluster)?,
    }
    note(format_args!(
        "`autorep sweep --gather {}` shows how it stands; what is not done in the end can be handed over \
         again, with --resume",
        out.display()
    ));
    Ok(End::Done)
}

/// Runs the plan on this machine, and shows what has come of it.
fn here(wanted: &Wanted, out: &Path, plan: &Plan, adapters: &[String]) -> Result<End> {
    let jobs = wanted.jobs.map_or(adapters.len().max(1), NonZeroUsize::get);
    let Ran { failed, stopped } = local::run(out, plan, jobs, adapters)?;
    let table = gather(out)?;
    match wanted.run.json {
        true => writeln!(stdout(), "{}", serde_json::to_string_pretty(&table)?)?,
        false => table.print(out)?,
    }
    table.write(out)?;
    if stopped {
        note("interrupted; continue with --resume");
        return Ok(End::Interrupted);
    }
    ensure!(
        failed.is_empty(),
        "{} of {} searches failed: {}; mend what they say above and run the sweep again with \
         --resume",
        failed.len(),
        plan.searches.len(),
        failed.join(", ")
    );
    Ok(End::Done)
}

/// The sweep, and its searches, each checked: a slip of the pen is an error now, not in an hour.
fn asked_for(wanted: &Wanted) -> Result<(Record, Vec<Search>)> {
    let teacher = wanted
        .teacher
        .as_ref()
        .map(|path| path.display().to_string());
    let teacher = teacher.map(toml::Value::String);
    let mut base = wanted.run.settings(&[("teacher.from", teacher)])?;
    // Searches are gone on with from whatever folder one is in.
    base.data = absolute(&base.data)?;
    base.search.cost = absolute(&base.search.cost)?;
    if !base.teacher.from.as_os_str().is_empty() {
        base.teacher.from = std::path::absolute(&base.teacher.from)?;
    }
    let entries = grid(wanted, &base)?.entries();
    ensure!(
        !entries.is_empty(),
        "there is nothing to search: method none needs a budget of 0 or 100%"
    );
    let record = Record { base, entries };
    let searches = record.searches()?;
    for Search { entry, settings } in &searches {
        let search = &settings.search;
        let prices = prices(search, search.budget.parse()?).with_context(|| entry.name.clone())?;
        pipeline::fits_prices(search, &prices).with_context(|| entry.name.clone())?;
    }
    Ok((record, searches))
}

/// What the images say of a sweep before it begins.
struct Images {
    count: usize,
    size: (usize, usize),
    spec: ModelSpec,
}

impl Images {
    fn look(base: &Settings) -> Result<Self> {
        let dataset = open_data(base, false)?;
        Ok(Self {
            count: dataset.train.len(),
            size: dataset.train.size(),
            spec: ModelSpec {
                name: base.model.clone(),
                width: base.width,
                input: dataset.train.size(),
                classes: dataset.classes.len(),
            },
        })
    }

    /// Refuses budgets that the network cannot have, before a teacher is trained for them.
    fn hold(&self, searches: &[Search]) -> Result<()> {
        let total = self.spec.build()?.relu_total();
        for search in searches {
            let budget: Budget = search.settings.search.budget.parse()?;
            budget
                .resolve(total)
                .with_context(|| search.entry.name.clone())?;
        }
        Ok(())
    }

    /// GiB of the host's memory for any of the runs: as much as is planned on the device, since a software
    /// adapter has it there and a GPU's driver may; the images; and 2 GiB for the program and its driver.
    fn memory_gib(&self, base: &Settings, searches: &[Search]) -> Result<u64> {
        let gpu = Gpu::planner(&AdapterReport::typical());
        let mut planned = HashSet::new();
        let mut most = 0;
        for settings in [base]
            .into_iter()
            .chain(searches.iter().map(|search| &search.settings))
        {
            // Neither seeds nor budgets take memory.
            let mut settings = settings.clone();
            settings.seed = 0;
            settings.search.budget = "0".into();
            settings.search.cost = "relu".into();
            if !planned.insert(toml::to_string(&settings)?) {
                continue;
            }
            let spec = ModelSpec {
                name: settings.model.clone(),
                width: settings.width,
                ..self.spec.clone()
            };
            let network = spec.build()?;
            let plan = MemoryPlan::of(&gpu, self.count, self.size, &settings, &network)
                .context("the memory of a run cannot be planned; say it with --mem-gib")?;
            let phases = plan.phases.iter().map(|(_, memory)| memory.total().planned);
            most = phases.fold(most, u64::max);
        }
        let (height, width) = self.size;
        let images = (3 * self.count * height * width) as u64;
        Ok((most + images).div_ceil(1 << 30) + 2)
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

fn grid(args: &Wanted, base: &Settings) -> Result<Grid> {
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
