//! What the program says on the way: on standard error, and in the file that `--log` names.
//!
//! Where hundreds of runs go on side by side nobody watches, and what a scheduler keeps of standard
//! error lies where the scheduler wants it. The file says of each process that wrote to it when it
//! began, and why it ended, if it could.

use anyhow::{Context, Result};
use log::{Log, Metadata, Record};
use std::fmt::Display;
use std::fs::File;
use std::io::{Write, stderr};
use std::panic;
use std::path::Path;
use std::sync::OnceLock;

/// How the line begins with which a process begins in the file.
pub const BEGUN: &str = "begun: ";
/// How the line begins that says why a process failed.
pub const FAULT: &str = "error: ";

static FILE: OnceLock<File> = OnceLock::new();

/// Keeps what is said from now on in a file, too, behind what is there.
pub fn keep_in(path: &Path) -> Result<()> {
    let file = File::options().append(true).create(true).open(path);
    let file = file.with_context(|| format!("--log {}: cannot be written", path.display()))?;
    // A second call would be a defect, and the first file is as good.
    let _ = FILE.set(file);
    keep(format_args!(
        "{BEGUN}process {}{}",
        std::process::id(),
        host()
    ));
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        keep(format_args!("{FAULT}{info}"));
        before(info);
    }));
    Ok(())
}

/// Which machine this is: on a cluster, the one to leave out next time.
fn host() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    match name.is_empty() {
        true => name,
        false => format!(" on {name}"),
    }
}

/// Writes a line to the file, if there is one. A disk that is full must not end a run that could go on.
fn keep(text: impl Display) {
    if let Some(mut file) = FILE.get() {
        // In one piece: two processes may write to one file.
        let _ = file.write_all(format!("{text}\n").as_bytes());
    }
}

/// Tells whoever watches something on the way. That nobody does any more is no reason to stop.
pub fn note(text: impl Display) {
    let _ = writeln!(stderr(), "{text}");
    keep(text);
}

/// Tells why the program fails; `word` is how a terminal shows that it does.
pub fn fault(word: impl Display, text: impl Display) {
    let _ = writeln!(stderr(), "{word} {text}");
    keep(format_args!("{FAULT}{text}"));
}

/// A logger whose lines are kept.
pub struct Kept(pub env_logger::Logger);

impl Log for Kept {
    fn enabled(&self, metadata: &Metadata) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if self.0.matches(record) {
            let level = record.level().as_str().to_lowercase();
            keep(format_args!("{level}: {}", record.args()));
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}
