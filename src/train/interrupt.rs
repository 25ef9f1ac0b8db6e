//! Ctrl-C and termination, turned into a question the training loop can ask between two
//! steps: it then writes a checkpoint and returns, as if the work had ended there. Whoever
//! cannot wait that long asks a second time, and the process ends at once.

use std::io::{self, Write};
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Runs on a thread of its own, not inside the signal, so it may print.
fn on_signal() {
    if REQUESTED.swap(true, Ordering::Relaxed) {
        process::exit(EXIT_CODE);
    }
    // `eprintln!` would panic where the terminal is already gone.
    let _ = writeln!(
        io::stderr(),
        "\nstopping after this step; press Ctrl-C again to stop at once"
    );
}
