//! Ctrl-C and termination, turned into a question the training loop can ask between two
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
    /// Begins to listen for Ctrl-C, and on Unix for TERM and HUP. Later calls return
    /// another handle on the same wish.
    ///
    /// Where the system refuses the handler, Ctrl-C ends the process as it always did, which
    /// costs the steps since the last checkpoint and nothing else; that is worth a warning,
    /// not the run.
    pub fn install() -> Self {
        INSTALL.call_once(|| {
            if let Err(error) = ctrlc::set_handler(on_signal) {
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
