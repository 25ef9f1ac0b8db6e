//! Ctrl-C, termination and what schedulers send before they end a job, turned into a question the training loop can ask between two
//! steps: it then writes a checkpoint and returns, as if the work had ended there. Whoever
//! cannot wait that long asks a second time, and the process ends at once.

use std::io::{self, Write};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

/// What shells report for a process that Ctrl-C ended.
const EXIT_CODE: i32 = 130;

// Signals are sent to a process, so the answer is the process's too.
static REQUESTED: AtomicBool = AtomicBool::new(false);
static INSTALL: Once = Once::new();

/// A handle on the process's wish to stop.
#[derive(Clone, Copy, Debug)]
pub struct Interrupt(());

impl Interrupt {
    /// Begins to listen for Ctrl-C, and on Unix for TERM, USR1 (as Slurm's `--signal=USR1@60` sends
    /// it) and HUP, unless that is ignored, as under `nohup`. Later calls return another handle on
    /// the same wish.
    ///
    /// Where the system refuses the handler, Ctrl-C ends the process as it always did, which
    /// costs the steps since the last checkpoint and nothing else; that is worth a warning,
    /// not the run.
    pub fn install() -> Self {
        INSTALL.call_once(|| {
            if let Err(error) = listen() {
                log::warn!("Ctrl-C will stop the run without a last checkpoint: {error}");
            }
        });
        Self(())
    }

    /// Whether the run should stop as soon as it can.
    pub fn requested(self) -> bool {
        REQUESTED.load(Ordering::Relaxed)
    }
}

#[cfg(unix)]
fn listen() -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    let mut signals = vec![SIGINT, SIGTERM, SIGUSR1];
    if !ignores_hangup() {
        signals.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(signals)?;
    let listener = std::thread::Builder::new().name("signals".into());
    listener.spawn(move || signals.forever().for_each(|_| on_signal()))?;
    Ok(())
}

/// Whether whoever started the process wants it to survive its terminal.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    // Linux shows which signals are ignored, as bits from the first on; elsewhere `nohup` cannot be
    // told from a terminal.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let bits = ignored.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.unwrap_or(0) >> (signal_hook::consts::SIGHUP - 1) & 1 == 1
}

#[cfg(not(unix))]
fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(on_signal)
}

/// Whoever sends signals to a process and to its group, as `timeout` and terminals do, sends two:
/// what comes this soon after the first is the same wish.
const SAME: Duration = Duration::from_millis(300);

/// Runs on a thread of its own, not inside the signal, so it may print.
fn on_signal() {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    if REQUESTED.swap(true, Ordering::Relaxed) {
        if FIRST.get().is_some_and(|first| first.elapsed() > SAME) {
            process::exit(EXIT_CODE);
        }
        return;
    }
    let _ = FIRST.set(Instant::now());
    // `eprintln!` would panic where the terminal is already gone.
    let _ = writeln!(
        io::stderr(),
        "\nstopping after this step; press Ctrl-C again to stop at once"
    );
}
