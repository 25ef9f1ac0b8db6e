//! A sweep as jobs of Slurm: the teacher, and arrays of searches that wait for it.
//!
//! A job is the lines of the plan in a script, of which each element of the array runs one. Before its
//! time is over Slurm sends the script SIGUSR1, the script tells the run, the run writes a checkpoint
//! and ends, and the script puts its element back into the queue. An element that is preempted, or
//! whose node dies, Slurm puts back by itself (`--requeue`). It goes on where it was.

use super::cluster::Cluster;
use super::plan::{Plan, Task};
use crate::cli::common::note;
use crate::files::{FileError, write_atomic};
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};

/// Scripts, and what Slurm says of jobs, within the folder of the sweep.
const FOLDER: &str = "slurm";
/// Elements of an array: Slurm's default limit (MaxArraySize, 1001) leaves room for as many.
const ELEMENTS: usize = 1000;
/// Seconds before the limit at which a run is told; Slurm may be a minute early.
const GRACE: u32 = 120;

/// The part of a job's script that runs the line `$@`. bash: that a child's status can be asked for after
/// a signal has cut the waiting short is what it promises.
const RUN: &str = r#"
asked=
tell() {
    asked=1
    kill -USR1 "$child"
}
trap tell USR1
"$@" &
child=$!
# A signal ends `wait` before the run has ended.
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
code=$?
# 130: told to stop, and everything is kept. Whoever cancels a job sends another signal.
if [ -n "$asked" ] && [ "$code" -eq 130 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
"#;

/// Hands over what of the plan is not done.
pub fn submit(
    out: &Path,
    plan: &Plan,
    cluster: &Cluster,
    jobs: Option<NonZeroUsize>,
    memory_gib: u64,
) -> Result<()> {
    let folder = out.join(FOLDER);
    fs::create_dir_all(&folder).map_err(FileError::on("create", &folder))?;
    let waiting: Vec<&Task> = plan
        .searches
        .iter()
        .filter(|task| !task.is_done())
        .collect();
    let mut common = options(&folder, cluster, memory_gib);
    let teacher = plan.teacher.as_ref().filter(|teacher| !teacher.is_done());
    if let Some(teacher) = teacher {
        let job = sbatch(&folder, "teacher", &[teacher], &common, None)?;
        note(format_args!("teacher: job {job}"));
        // Without a teacher searches are taken out of the queue, not left in it for ever.
        common.push(format!("--dependency=afterok:{job}").into());
        common.push("--kill-on-invalid-dep=yes".into());
    }
    for (index, tasks) in waiting.chunks(ELEMENTS).enumerate() {
        let name = format!("searches-{}", index + 1);
        let job = sbatch(&folder, &name, tasks, &common, jobs)?;
        let after = if teacher.is_some() {
            ", after the teacher"
        } else {
            ""
        };
        note(format_args!("{} searches: job {job}{after}", tasks.len()));
    }
    Ok(())
}

/// What all jobs are asked for with.
fn options(folder: &Path, cluster: &Cluster, memory_gib: u64) -> Vec<OsString> {
    let mut options: Vec<OsString> = ["--parsable", "--requeue", "--open-mode=append"]
        .map(OsString::from)
        .into();
    options.push(format!("--signal=B:USR1@{GRACE}").into());
    options.push(format!("--mem={memory_gib}G").into());
    options.push("--chdir".into());
    // Relative paths of Slurm's begin here; its own patterns begin with %.
    options.push(folder.into());
    options.push("--output=%x-%A_%a.log".into());
    if let Some(partition) = &cluster.partition {
        options.push(format!("--partition={partition}").into());
    }
    let gpus = cluster.gpus.as_deref().unwrap_or("1");
    if gpus != "0" {
        options.push(format!("--gres=gpu:{gpus}").into());
    }
    if let Some(limit) = &cluster.time_limit {
        options.push(format!("--time={limit}").into());
    }
    // Last, so that it overrides the rest.
    options.extend(cluster.pass.iter().map(OsString::from));
    options
}

/// Submits an array of these runs, and returns the number of its job.
fn sbatch(
    folder: &Path,
    name: &str,
    tasks: &[&Task],
    options: &[OsString],
    jobs: Option<NonZeroUsize>,
) -> Result<String> {
    let path = folder.join(format!("{name}.sh"));
    write_atomic(&path, &script(tasks)?)?;
    let at_once = jobs.map_or(String::new(), |jobs| format!("%{jobs}"));
    let mut command = Command::new("sbatch");
    command.arg(format!("--job-name=autorep-{name}"));
    command.arg(format!("--array=1-{}{at_once}", tasks.len()));
    command.args(options).arg(&path).stdin(Stdio::null());
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "there is no `sbatch` here: run this where jobs are submitted, or use --launcher local, or \
             --plan for another scheduler"
        ),
        output => output.context("sbatch cannot be started")?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "Slurm refused {}: {}",
        path.display(),
        said.trim()
    );
    // JOB or JOB;CLUSTER.
    let answer = String::from_utf8_lossy(&output.stdout);
    let job = answer.trim().split(';').next().unwrap_or_default();
    ensure!(
        !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit()),
        "sbatch has not said which job it made, but `{}`",
        answer.trim()
    );
    Ok(job.to_owned())
}

/// The script of an array of these runs.
fn script(tasks: &[&Task]) -> Result<Vec<u8>> {
    let mut text = b"#!/bin/bash\ncase $SLURM_ARRAY_TASK_ID in\n".to_vec();
    for (index, task) in tasks.iter().enumerate() {
        text.extend(format!("{}) set -- ", index + 1).bytes());
        text.extend(task.line()?);
        text.extend(b" ;;\n");
    }
    text.extend(b"*) echo \"there is no run $SLURM_ARRAY_TASK_ID\" >&2; exit 1 ;;\nesac\n");
    text.extend(RUN.bytes());
    Ok(text)
}
