//! Runs a visitor's text in a process of its own, and always comes back.

use super::device::Measured;
use super::job::{Job, Kind, Line};
use super::judge::Emulated;
use super::puzzles::{self, Score};
use super::wgsl::Message;
use serde::Serialize;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a text may run.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Most bytes of an answer.
const LONGEST: u64 = 16 << 20;

/// Starts the processes that run texts.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The program.
    pub program: PathBuf,
    /// How long a text may run.
    pub patience: Duration,
}

/// All that is known of a text.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// What the compiler says.
    pub refused: Option<Message>,
    /// What the emulator found.
    pub emulated: Option<Box<Emulated>>,
    /// What the adapter made of it.
    pub measured: Option<Box<Measured>>,
    /// Why the adapter was not asked.
    pub unmeasured: Option<String>,
    /// Of a puzzle, what is limited.
    pub score: Vec<Score>,
    /// Of a puzzle, whether it is solved.
    pub solved: bool,
    /// Why the process did not come to its end.
    pub ended: Option<String>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Runner {
    /// Runs a text, and waits for it.
    ///
    /// # Errors
    /// Where no process can be started.
    pub fn run(&self, job: &Job) -> io::Result<Verdict> {
        let begun = Instant::now();
        let mut child = Command::new(&self.program)
            .args(["teach", "--child"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let ended = self.converse(&mut child, job);
        // Whatever happened, nothing of it is left behind.
        let _ = child.kill();
        let status = child.wait()?;
        let (text, in_time) = ended?;
        let mut verdict = Verdict::default();
        for line in BufReader::new(text.as_slice())
            .lines()
            .map_while(Result::ok)
        {
            match serde_json::from_str(&line) {
                Ok(Line::Refused(message)) => verdict.refused = Some(message),
                Ok(Line::Emulated(emulated)) => verdict.emulated = Some(emulated),
                Ok(Line::Measured(measured)) => verdict.measured = Some(measured),
                Ok(Line::Unmeasured(why)) => verdict.unmeasured = Some(why),
                // The last line of a process that was killed while it wrote.
                Err(_) => break,
            }
        }
        verdict.ended = match in_time {
            false => Some(format!(
                "stopped after {} seconds: a loop that does not end, or far too much work",
                self.patience.as_secs()
            )),
            true if status.success() => None,
            true => Some(in_words(status)),
        };
        if job.kind == Kind::Puzzle
            && let (Some(puzzle), Some(emulated)) = (puzzles::find(&job.name), &verdict.emulated)
        {
            verdict.score = puzzle.score(emulated);
            let agrees = |measured: &Measured| measured.results.iter().all(|r| r.first.is_none());
            verdict.solved = puzzle.solved(emulated)
                && verdict.ended.is_none()
                && verdict.measured.as_deref().is_none_or(agrees);
        }
        verdict.seconds = begun.elapsed().as_secs_f64();
        Ok(verdict)
    }

    /// Hands the job over and takes the answer; whether that came in time.
    fn converse(&self, child: &mut Child, job: &Job) -> io::Result<(Vec<u8>, bool)> {
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the process has no pipes"));
        };
        let job = serde_json::to_vec(job)?;
        let writer = std::thread::spawn(move || stdin.write_all(&job));
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut stdout = stdout.take(LONGEST);
            let mut piece = [0; 1 << 16];
            // What came before a process is stopped is told all the same.
            while let Ok(bytes) = stdout.read(&mut piece) {
                if bytes == 0 || send.send(piece[..bytes].to_vec()).is_err() {
                    break;
                }
            }
        });
        let deadline = Instant::now() + self.patience;
        let mut text = Vec::new();
        let in_time = loop {
            match receive.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => text.extend(piece),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => break false,
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break true,
            }
        };
        if in_time {
            // Its output is closed, so that it ends; should it not, that is not waited for.
            while child.try_wait()?.is_none() {
                if Instant::now() > deadline {
                    return Ok((text, false));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            let _ = writer.join();
        }
        Ok((text, in_time))
    }
}

/// Why a process ended, in words.
fn in_words(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return format!(
                "the process that ran the kernel crashed (signal {signal}): it took too much memory or time, \
                 or met a fault of the compiler or the driver"
            );
        }
    }
    format!("the process that ran the kernel failed ({status})")
}
