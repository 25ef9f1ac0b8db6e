//! A sweep on this machine: so many runs of its plan side by side, spread over adapters.

use super::plan::{Plan, Task, log_of};
use crate::cli::common::{AdapterArgs, note};
use crate::gpu::{AdapterReport, adapter};
use crate::train::interrupt::Interrupt;
use anyhow::{Context, Result, bail, ensure};
#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What became of the runs that were not done.
#[derive(Default)]
pub struct Ran {
    /// Names of those that failed.
    pub failed: Vec<String>,
    /// Whether somebody asked to stop.
    pub stopped: bool,
}

/// The adapters that `--adapters` means, as `--adapter` takes them: those of a list, or for `all` all that
/// are of the first one's class and backend. A software adapter beside GPUs would finish last by days, and
/// a GPU that two backends know is one.
pub fn adapters(list: &str, on: &AdapterArgs) -> Result<Vec<String>> {
    let found = adapter::list(&on.choice())?;
    let Some(best) = found.first() else {
        return Err(adapter::none().into());
    };
    if list.trim() == "all" {
        let alike =
            |other: &&AdapterReport| other.class == best.class && other.backend == best.backend;
        return Ok(found
            .iter()
            .filter(alike)
            .map(|a| a.index.to_string())
            .collect());
    }
    let mut chosen = Vec::new();
    for name in list.split(',').map(str::trim) {
        ensure!(
            !name.is_empty(),
            "--adapters {list}: an adapter's name is missing between commas"
        );
        // An adapter that is not there is an error now, not in an hour.
        let index = adapter::find(found.iter().map(|a| a.name.as_str()), name)?;
        ensure!(
            !chosen.contains(&index.to_string()),
            "--adapters {list}: `{name}` is adapter {index}, which is in the list already"
        );
        chosen.push(index.to_string());
    }
    Ok(chosen)
}

/// Runs what of a plan is not done, on `adapters` where any are named.
pub fn run(out: &Path, plan: &Plan, jobs: usize, adapters: &[String]) -> Result<Ran> {
    let interrupt = Interrupt::install();
    let mut children = Children::new(adapters, jobs);
    if let Some(teacher) = plan.teacher.as_ref().filter(|teacher| !teacher.is_done()) {
        note(&teacher.name);
        children.begin(teacher)?;
        match children.wait(interrupt)? {
            Ended::Well => {}
            Ended::Interrupted => {
                let stopped = true;
                return Ok(Ran {
                    stopped,
                    ..Ran::default()
                });
            }
            Ended::Badly(_) => bail!(
                "the teacher could not be trained, see {}",
                log_of(out, &teacher.name).display()
            ),
        }
    }
    let mut waiting: VecDeque<&Task> = plan.searches.iter().filter(|s| !s.is_done()).collect();
    let mut ran = Ran::default();
    while !children.running.is_empty() || (!waiting.is_empty() && !ran.stopped) {
        while children.running.len() < jobs && !ran.stopped {
            let Some(search) = waiting.pop_front() else {
                break;
            };
            note(&search.name);
            children.begin(search)?;
        }
        match children.wait(interrupt)? {
            Ended::Well => {}
            Ended::Interrupted => ran.stopped = true,
            Ended::Badly(name) => {
                let log = log_of(out, &name);
                note(format_args!(
                    "{name} failed, see {}; the others go on",
                    log.display()
                ));
                ran.failed.push(name);
            }
        }
        ran.stopped |= interrupt.requested();
    }
    Ok(ran)
}

/// A process, and what it is about.
struct Running {
    name: String,
    child: Child,
    /// Which of the adapters it is on.
    place: usize,
}

/// Processes under way. Whatever happens to the sweep, they are told to keep what they have and end.
struct Children<'a> {
    running: Vec<Running>,
    adapters: &'a [String],
    /// Whether a process has the terminal for itself.
    alone: bool,
}

impl<'a> Children<'a> {
    fn new(adapters: &'a [String], jobs: usize) -> Self {
        Self {
            running: Vec::new(),
            adapters,
            alone: jobs == 1,
        }
    }

    /// Begins a run, on the adapter that has least to do.
    fn begin(&mut self, task: &Task) -> Result<()> {
        let place = least_busy(
            self.adapters.len(),
            self.running.iter().map(|run| run.place),
        );
        let mut command = Command::new(&task.command[0]);
        command.args(&task.command[1..]);
        if let Some(adapter) = self.adapters.get(place) {
            command.arg("--adapter").arg(adapter);
        }
        // A row's own table would be in the way of the sweep's.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if !self.alone {
            // Nor can several draw on one terminal; their logs have what they say.
            command.stderr(Stdio::null());
        }
        let child = command
            .spawn()
            .with_context(|| format!("{}: cannot begin", task.name))?;
        self.running.push(Running {
            name: task.name.clone(),
            child,
            place,
        });
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
            for index in 0..self.running.len() {
                if let Some(status) = self.running[index].child.try_wait()? {
                    let Running { name, .. } = self.running.remove(index);
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
        for run in &self.running {
            if let Some(process) = Pid::from_raw(run.child.id() as i32) {
                // One that has ended meanwhile needs no telling.
                let _ = kill_process(process, Signal::TERM);
            }
        }
    }
}

impl Drop for Children<'_> {
    fn drop(&mut self) {
        self.terminate();
        for run in &mut self.running {
            let _ = run.child.wait();
        }
    }
}

/// How a process ended, and which where that matters.
enum Ended {
    Well,
    Interrupted,
    Badly(String),
}

/// The place among `count` that is named least often in `taken`, the first of equals.
fn least_busy(count: usize, taken: impl Iterator<Item = usize>) -> usize {
    let mut busy = vec![0; count];
    for place in taken {
        if let Some(busy) = busy.get_mut(place) {
            *busy += 1;
        }
    }
    let places = busy.iter().enumerate();
    places
        .min_by_key(|(_, busy)| **busy)
        .map_or(0, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_where_least_is_done() {
        let mut taken: Vec<usize> = Vec::new();
        for expected in [0, 1, 2, 0, 1, 2] {
            let place = least_busy(3, taken.iter().copied());
            assert_eq!(place, expected);
            taken.push(place);
        }
        // One that has ended makes room where it was.
        taken.retain({
            let mut seen = false;
            move |&place| place != 1 || std::mem::replace(&mut seen, true)
        });
        assert_eq!(least_busy(3, taken.iter().copied()), 1);
        assert_eq!(least_busy(0, [0, 0].into_iter()), 0);
    }
}
