//! A sweep as tasks of HyperQueue, each of which may have a fraction of a GPU.

use super::cluster::Cluster;
use super::plan::{Plan, Task, lines, log_of};
use crate::cli::common::note;
use crate::files::write_atomic;
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// The lines that were handed over last, within the folder of the sweep.
const LINES: &str = "hq-lines.txt";
/// What a task runs: the line of the plan that HyperQueue gives it.
const ENTRY: &str = "eval \"exec $HQ_ENTRY\"";

/// Hands over what of the plan is not done. A teacher is waited for: HyperQueue's command line knows no
/// job that depends on another.
pub fn submit(out: &Path, plan: &Plan, cluster: &Cluster) -> Result<()> {
    if let Some(teacher) = plan.teacher.as_ref().filter(|teacher| !teacher.is_done()) {
        note("teacher: submitted, and waited for");
        let line = String::from_utf8(teacher.line()?)
            .context("the teacher's command is no UTF-8: choose an --out whose path is")?;
        let mut command = begin("autorep-teacher", cluster);
        command
            .args(["--wait", "--", "sh", "-c"])
            .arg(format!("exec {line}"));
        hand_over(&mut command)?;
        ensure!(
            teacher.is_done(),
            "the teacher could not be trained, see {}",
            log_of(out, &teacher.name).display()
        );
    }
    let waiting: Vec<&Task> = plan
        .searches
        .iter()
        .filter(|task| !task.is_done())
        .collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let count = waiting.len();
    let path = out.join(LINES);
    write_atomic(&path, &lines(waiting)?)?;
    let mut command = begin("autorep-searches", cluster);
    command
        .arg("--each-line")
        .arg(&path)
        .args(["--", "sh", "-c", ENTRY]);
    hand_over(&mut command)?;
    note(format_args!("{count} searches: submitted"));
    Ok(())
}

fn begin(name: &str, cluster: &Cluster) -> Command {
    let mut command = Command::new("hq");
    // Runs keep their logs themselves.
    command.args(["submit", "--stdout=none", "--stderr=none"]);
    command.arg(format!("--name={name}"));
    let gpus = cluster.gpus.as_deref().unwrap_or("1");
    if gpus != "0" {
        command.arg(format!("--resource=gpus/nvidia={gpus}"));
    }
    if let Some(limit) = &cluster.time_limit {
        command.arg(format!("--time-limit={limit}"));
    }
    command.args(cluster.pass.iter().map(OsString::from));
    command
}

fn hand_over(command: &mut Command) -> Result<()> {
    // What it says of jobs is for people.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = match command.status() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "there is no `hq` here: make HyperQueue's program known (PATH), or use --launcher local, or \
             --plan for another scheduler"
        ),
        status => status.context("hq cannot be started")?,
    };
    ensure!(
        status.success(),
        "HyperQueue refused it: `hq submit` ended with {status}, see above"
    );
    Ok(())
}
