//! The command line: one file per subcommand.
//!
//! Commands print with `writeln!(stdout(), …)?`: that nobody reads any more (`autorep devices |
//! head -1`) is an error like any other, which [`main`] takes for a good end. `println!` would
//! panic.

mod common;
mod completions;
mod cost;
mod data;
mod devices;
mod end;
mod eval;
mod export;
mod fixed_point;
mod import;
mod kernel;
mod man;
mod notes;
mod presets;
mod profile;
mod report;
mod search;
mod shaders;
mod sweep;
mod teach;
mod train;

pub use common::AdapterArgs;

use clap::{CommandFactory, Parser, Subcommand};
use end::End;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

/// What no option says; the manual has it, too.
const BESIDE_OPTIONS: &str = "\
Environment: RUST_LOG says what is logged, as env_logger reads it. WGPU_BACKEND lists the backends \
to look on, WGPU_ADAPTER_NAME holds a part of the adapter's name, WGPU_POWER_PREF is low or high; \
options win.

Exit status: 0 done, 1 failed, 2 not understood, 130 interrupted by Ctrl-C or a signal (TERM, HUP unless \
ignored, and USR1, which schedulers send): what there was is kept, and --resume goes on from it.";

/// Finds the few ReLUs of a network worth keeping, and replaces the rest by polynomials.
#[derive(Parser)]
#[command(version, about, max_term_width = 100, after_long_help = BESIDE_OPTIONS)]
struct Cli {
    /// Say more (-v: debug, -vv: trace); RUST_LOG is honoured.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train an all-ReLU network: a teacher.
    Train(train::Args),
    /// Search a trained network for the ReLUs worth keeping.
    Search(Box<search::Args>),
    /// Search with several methods, budgets and seeds from one teacher, and compare.
    Sweep(sweep::Args),
    /// Evaluate the network of a run.
    Eval(eval::Args),
    /// Write the network of a run as ONNX or safetensors.
    Export(export::Args),
    /// Price the network of a run, or a model, in private inference: bytes, rounds, time.
    Cost(cost::Args),
    /// Show runs on one self-contained page of HTML.
    Report(report::Args),
    /// Show where a step's time goes, and how far each kernel is from what the adapter can do.
    Profile(profile::Args),
    /// Make a run of weights that were trained elsewhere: a teacher.
    Import(import::Args),
    /// List the adapters, with the features and limits that matter here.
    Devices(devices::Args),
    /// List the presets: what each should reach, and about how long it takes here.
    Presets(presets::Args),
    /// Look at data sets, or download one.
    Data(data::Args),
    /// List the kernels, or print the WGSL that one of them becomes.
    Shaders(shaders::Args),
    /// Run a compute shader where nothing stays hidden: races, stray accesses, lone barriers.
    #[command(subcommand)]
    Kernel(kernel::Command),
    /// Open a page for a class: kernels to change and run, exercises, a step, a live search.
    Teach(teach::Args),
    /// Print what makes a shell complete commands and options.
    Completions(completions::Args),
    /// Write the manual: a man page for each command.
    Man(man::Args),
}

/// Runs the program.
pub fn main() -> ExitCode {
    quiet_drivers();
    crate::teach::tether::heed();
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => "warn,autorep=info",
        1 => "warn,autorep=debug",
        _ => "info,autorep=trace",
    };
    let environment = env_logger::Env::default().default_filter_or(level);
    let logger = env_logger::Builder::from_env(environment)
        .format_timestamp(None)
        .format_target(false)
        .build();
    log::set_max_level(logger.filter());
    // Nobody has set another: this is the program.
    let _ = log::set_boxed_logger(Box::new(notes::Kept(logger)));
    let result = match cli.command {
        Command::Train(args) => train::run(args),
        Command::Search(args) => search::run(*args),
        Command::Sweep(args) => sweep::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Export(args) => export::run(args),
        Command::Cost(args) => cost::run(args),
        Command::Report(args) => report::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Import(args) => import::run(args),
        Command::Devices(args) => devices::run(args),
        Command::Presets(args) => presets::run(args),
        Command::Data(args) => data::run(args),
        Command::Shaders(args) => shaders::run(args),
        Command::Kernel(command) => kernel::run(command),
        Command::Teach(args) => teach::run(args),
        Command::Completions(args) => completions::run(args, Cli::command()),
        Command::Man(args) => man::run(args, Cli::command()),
    };
    match result {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Faults) => ExitCode::FAILURE,
        Ok(End::Unable) => ExitCode::from(2),
        // As a shell reports a process that Ctrl-C ended.
        Ok(End::Interrupted) => ExitCode::from(130),
        // The reader of a pipe has seen enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let red = std::io::stderr().is_terminal();
            let (on, off) = if red {
                ("\x1b[1;31m", "\x1b[0m")
            } else {
                ("", "")
            };
            notes::fault(format_args!("{on}error:{off}"), in_words(&error));
            ExitCode::FAILURE
        }
    }
}

/// Where there is no desktop, as over ssh and in containers, a layer of Mesa complains on standard error
/// that it finds none. It only sorts adapters by what desktops want.
fn quiet_drivers() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        #[expect(unsafe_code, reason = "the layer knows no other way")]
        // SAFETY: this is the first that the program does: no other thread reads the environment.
        unsafe {
            std::env::set_var("NODEVICE_SELECT", "1");
        }
    }
}

/// An error with its causes, each of which is said once: many messages hold their cause already.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !words.contains(&cause) {
            words += ": ";
            words += &cause;
        }
    }
    words
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kinds = error
        .chain()
        .filter_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()));
    kinds
        .into_iter()
        .any(|kind| kind == io::ErrorKind::BrokenPipe)
}
