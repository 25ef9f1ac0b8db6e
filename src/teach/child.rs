//! The process that runs a visitor's text: it may hang, crash or take all memory, and does so alone.

use super::device;
use super::job::{Job, Line};
use super::judge;
use std::io::{self, Read, Write};

/// Most bytes of memory that it may write to.
#[cfg(unix)]
const MEMORY: u64 = 3 << 30;
/// Most seconds of processor time.
#[cfg(unix)]
const SECONDS: u64 = 60;
/// Most bytes of a job.
const LONGEST: u64 = 1 << 20;

/// Reads a job, runs it, and writes what is known as soon as it is.
///
/// # Errors
/// Where the job cannot be read or the answer not be written.
pub fn run(input: impl Read, mut output: impl Write) -> io::Result<()> {
    limit();
    let job: Job = serde_json::from_reader(input.take(LONGEST))?;
    let mut say = |line: &Line| -> io::Result<()> {
        serde_json::to_writer(&mut output, line)?;
        writeln!(output)?;
        output.flush()
    };
    let Some(case) = job.case() else {
        return say(&Line::Unmeasured(format!("there is no `{}`", job.name)));
    };
    let mut emulated = match judge::emulate(&case) {
        Ok(emulated) => emulated,
        Err(message) => return say(&Line::Refused(message)),
    };
    if emulated.passes() {
        emulated.elsewhere = job.unseen().as_ref().and_then(judge::differs);
    }
    let (ends, unused) = (emulated.ends(), emulated.unused.clone());
    say(&Line::Emulated(Box::new(emulated)))?;
    if !ends {
        let why = "a loop without end would take the whole adapter along";
        return say(&Line::Unmeasured(why.to_owned()));
    }
    if !unused.is_empty() {
        // A driver would be asked for a layout that has no place for them.
        let bindings: Vec<String> = unused.iter().map(u32::to_string).collect();
        let why = format!(
            "the kernel does not use what lies at binding {}",
            bindings.join(", ")
        );
        return say(&Line::Unmeasured(why));
    }
    say(
        &match device::measure(job.timed().as_ref().unwrap_or(&case)) {
            Ok(measured) => Line::Measured(Box::new(measured)),
            Err(error) => Line::Unmeasured(error.to_string()),
        },
    )
}

/// What a text may take. Where the system knows no such limit there is still the clock of who waits.
fn limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let at_most = |most| Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        // Of address space drivers reserve far more than they touch; and a crash is no one's to debug.
        for (resource, most) in [
            (Resource::Data, MEMORY),
            (Resource::Cpu, SECONDS),
            (Resource::Core, 0),
        ] {
            if let Err(error) = setrlimit(resource, at_most(most)) {
                log::debug!("no limit on {resource:?}: {error}");
            }
        }
    }
}
