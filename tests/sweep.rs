//! Sweeps, from the outside: whoever runs one, and whatever happens to its runs, it ends complete, with
//! the bits of one that nothing happened to, and nothing is done twice.

mod common;

use common::program::*;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What all sweeps here have in common but their place.
fn sweep(out: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.arg("sweep").arg("--out").arg(out);
    for (name, value) in TINY {
        match *name {
            "--teacher-epochs" => command.args([name, "4"]),
            "--search-epochs" => command.args(["--set", "search.epochs=4"]),
            "--finish-epochs" => command.args(["--set", "finish.epochs=1"]),
            _ => command.arg(name).args(value),
        };
    }
    command.args(more);
    command
}

/// A grid of two searches, and their names.
const GRID: [&str; 2] = ["--budgets", "100,0"];
const RUNS: [&str; 2] = ["autorep-100-s0", "autorep-0-s0"];

/// The sweep of that grid to which nothing happened, made once.
fn undisturbed() -> &'static Path {
    static SWEEP: OnceLock<PathBuf> = OnceLock::new();
    SWEEP.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sweep-undisturbed");
        if out.exists() {
            fs::remove_dir_all(&out).unwrap();
        }
        succeed(&mut sweep(&out, &GRID));
        out
    })
}

/// Writes the plan of a sweep, and returns its lines.
fn plan(out: &Path, file: &Path, more: &[&str]) -> Vec<String> {
    succeed(sweep(out, more).arg("--plan").arg(file));
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A shell, in a folder of its own and without a home.
#[cfg(unix)]
fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script])
        .current_dir("/")
        .env_remove("HOME");
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        shell.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    shell
}

/// What `--gather` says, and `sweep.json` that it has written.
fn gathered(out: &Path) -> (String, Value) {
    let output = succeed(program().args(["sweep", "--gather"]).arg(out));
    (text(&output.stdout), json(out.join("sweep.json")))
}

/// State and last words of a run that is not finished.
fn standing(out: &Path, name: &str) -> (String, String) {
    let (_, table) = gathered(out);
    let runs = table["unfinished"].as_array().unwrap();
    let run = runs.iter().find(|run| run["name"] == name).unwrap();
    let said = |key: &str| run[key].as_str().unwrap_or_default().to_owned();
    (said("state"), said("last"))
}

/// That a sweep is complete, and its runs are those that nothing happened to.
#[track_caller]
fn assert_undisturbed(out: &Path) {
    let (said, table) = gathered(out);
    assert_eq!(table["finished"], RUNS.len(), "{said}");
    assert_eq!(table["unfinished"].as_array().unwrap().len(), 0, "{said}");
    for (name, checkpoints) in [("teacher", &["teacher"][..])]
        .into_iter()
        .chain(RUNS.map(|name| (name, &["teacher", "result"][..])))
    {
        let [ours, theirs] = [out, undisturbed()].map(|sweep| sweep.join(name));
        assert_eq!(metrics(&ours), metrics(&theirs), "{name}");
        for of in checkpoints {
            let same = [&ours, &theirs].map(|run| fs::read(checkpoint(run, of)).unwrap());
            assert!(same[0] == same[1], "{name}: {of} differs");
        }
    }
}

/// Waits until the log of a run says something.
#[track_caller]
fn wait_for(log: &Path, words: &str) {
    let begun = Instant::now();
    while !fs::read_to_string(log).unwrap_or_default().contains(words) {
        let waited = begun.elapsed();
        assert!(
            waited < Duration::from_secs(120),
            "no `{words}` in {}",
            log.display()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_sweep_compares_and_goes_on_where_it_was() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("sweep");
    let grid = [
        "--budgets",
        "100,0",
        "--methods",
        "autorep,snl,none",
        "--jobs",
        "2",
    ];
    succeed(&mut sweep(&out, &grid));
    let table = json(out.join("sweep.json"));
    // Three methods without a ReLU, two with a hundred.
    assert_eq!(table["finished"], 5);
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    let relus: Vec<u64> = rows
        .iter()
        .map(|row| row["relus"].as_u64().unwrap())
        .collect();
    assert_eq!(relus, [0, 0, 0, 100, 100]);
    assert!(rows.iter().any(|row| row["pareto"] == true));
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let summary = json(out.join(format!("{name}-s0/summary.json")));
        assert_eq!(
            row["test"]["mean"], summary["result"]["test_top1"],
            "{name}"
        );
    }

    // More of it: what is done is not done again, and one teacher serves all.
    let before = contents(&out);
    let more = [
        "--budgets",
        "100,0",
        "--methods",
        "autorep",
        "--seeds",
        "2",
        "--resume",
    ];
    let output = succeed(&mut sweep(&out, &more));
    let printed = text(&output.stdout);
    assert!(printed.contains("±"), "{printed}");
    let after = contents(&out);
    for (path, content) in &before {
        if !path.ends_with("sweep.json") && !path.ends_with("searches.json") {
            assert_eq!(after.get(path), Some(content), "{} changed", path.display());
        }
    }
    // What was asked for before belongs to the sweep still.
    let table = json(out.join("sweep.json"));
    assert_eq!(table["searches"], 7);
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    let twice = rows
        .iter()
        .find(|row| row["name"] == "autorep-100")
        .unwrap();
    assert_eq!(twice["seeds"].as_array().unwrap().len(), 2);

    // A sweep of other settings, or none at all, is not mixed with this one.
    refused(&mut sweep(&out, &grid), &["--resume"]);
    refused(
        sweep(&out, &grid).args(["--resume", "--set", "search.lambda=7"]),
        &["other settings"],
    );
    refused(&mut sweep(&out.join("teacher"), &grid), &["not empty"]);
    let missing = root.path().join("missing");
    refused(&mut sweep(&missing, &["--budgets", "ten"]), &["ten"]);
    // What is for single runs is not passed over in silence.
    let last = ["--budgets", "0", "--final"];
    refused(&mut sweep(&missing, &last), &["a sweep is there to choose"]);
    let waiting = ["--budgets", "0", "--resume", "--wait"];
    refused(&mut sweep(&missing, &waiting), &["single runs"]);
    refused(
        &mut sweep(&missing, &["--budgets", "1", "--vary", "x"]),
        &["search.degree=1,2"],
    );
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--vary", "seed=1,2"], &["--seeds"]),
        (&["--seeds", "4000000000"], &["--seeds", "1000"]),
        (&["--set", "search.cost=crypten"], &["crypten", "400kB"]),
        (&["--methods", "none"], &["nothing to search"]),
        (&["--gpus", "2"], &["--gpus", "--launcher"]),
        (
            &["--launcher", "slurm", "--adapters", "all"],
            &["--adapters", "local"],
        ),
        (
            &["--launcher", "slurm", "--plan", "-"],
            &["--plan", "--launcher"],
        ),
        (&["--launcher", "pbs"], &["pbs", "slurm"]),
        (&["--budgets", "99999999"], &["99999999", "network"]),
    ];
    for (more, words) in cases {
        refused(sweep(&missing, &["--budgets", "10%"]).args(more), words);
    }
    refused(
        program().args(["sweep", "--gather"]).arg(&missing),
        &["no sweep", "missing"],
    );
    assert!(!missing.exists());
}

#[cfg(unix)]
/// What the manual recommends: the first line, then the others by xargs.
const XARGS: &str = "head -n 1 \"$PLAN\" | sh && \
     tail -n +2 \"$PLAN\" | tr '\\n' '\\0' | xargs -0 -n 1 -P 2 sh -c";

#[cfg(unix)]
#[test]
fn xargs_runs_a_plan_wherever_it_lies_and_once() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("it's a \"sweep\" of $HOME & 10%");
    let file = root.path().join("plan");
    let lines = plan(&out, &file, &GRID);
    assert_eq!(lines.len(), 3);
    assert!(lines[0].contains(" train "), "{}", lines[0]);
    assert!(
        lines[1..].iter().all(|line| line.contains(" search ")),
        "{lines:?}"
    );
    assert_eq!(standing(&out, RUNS[0]), ("not-begun".into(), String::new()));
    assert_eq!(standing(&out, "teacher").0, "not-begun");
    succeed(shell(XARGS).env("PLAN", &file));
    assert_undisturbed(&out);

    // A second time there is nothing to do, and the sweep itself finds nothing either.
    let before = contents(&out);
    succeed(shell(XARGS).env("PLAN", &file));
    succeed(sweep(&out, &GRID).arg("--resume"));
    let after = contents(&out);
    for (path, content) in &before {
        let notes = path.extension().is_some_and(|it| it == "log");
        if !notes && !path.ends_with("sweep.json") && !path.ends_with("searches.json") {
            assert_eq!(after.get(path), Some(content), "{} changed", path.display());
        }
    }
    assert_eq!(before.len(), after.len());

    // To standard output it is the same, and a report takes what has come of it.
    let output = succeed(sweep(&out, &GRID).args(["--resume", "--plan", "-"]));
    assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), lines);
    let page = root.path().join("page.html");
    succeed(on("report", &out, &["-o"]).arg(&page));
    let page = fs::read_to_string(page).unwrap();
    assert!(RUNS.iter().all(|name| page.contains(name)));
    // Another command may begin the runs.
    let output =
        succeed(sweep(&out, &GRID).args(["--resume", "--plan", "-", "--program", "run 'a b'"]));
    let said = text(&output.stdout);
    assert!(
        said.lines().all(|line| line.starts_with("run 'a b' ")),
        "{said}"
    );
    refused(
        sweep(&out, &GRID).args(["--resume", "--program", "run '"]),
        &["--program run '", "quotes"],
    );
    // A line break would be the end of a line.
    let broken = root.path().join("two\nlines");
    refused(sweep(&broken, &GRID).args(["--plan", "-"]), &["line break"]);
}

#[cfg(unix)]
#[test]
fn two_schedulers_on_one_folder_do_nothing_twice() {
    let root = TempDir::new().unwrap();
    let (out, file) = (root.path().join("sweep"), root.path().join("plan"));
    plan(&out, &file, &GRID);
    let run = || {
        let mut scheduler = shell(XARGS);
        scheduler.stdout(Stdio::null()).stderr(Stdio::null());
        scheduler.env("PLAN", &file).spawn().unwrap()
    };
    for mut scheduler in [run(), run()] {
        assert!(scheduler.wait().unwrap().success());
    }
    assert_undisturbed(&out);
    for name in ["teacher"].iter().chain(&RUNS) {
        let log = fs::read_to_string(out.join(format!("{name}.log"))).unwrap();
        let count = |words: &str| log.matches(words).count();
        assert_eq!(count("begun: "), 2, "{log}");
        assert_eq!(count("this run is complete"), 1, "{log}");
        assert_eq!(count("resuming"), 0, "{log}");
    }
    // Without being told to wait, one refuses.
    let other = root.path().join("other");
    let held = hold(&other);
    let more = ["--resume"];
    refused(&mut train(&other, &more), &["another process", "other"]);
    drop(held);
    succeed(&mut train(&other, &more));
}

/// Holds the lock of a run's folder, as a process does that is at it.
fn hold(run: &Path) -> File {
    fs::create_dir_all(run).unwrap();
    let lock = File::create(run.join(".lock")).unwrap();
    lock.lock().unwrap();
    lock
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_or_finds_no_room_goes_on_to_the_same_bits() {
    let root = TempDir::new().unwrap();
    let (out, file) = (root.path().join("sweep"), root.path().join("plan"));
    let lines = plan(&out, &file, &GRID);
    let [teacher, search] = ["teacher", RUNS[0]].map(|name| out.join(format!("{name}.log")));
    let kill = |line: &str, log: &Path, words: &str| {
        let mut run = shell(&format!("exec {line}")).spawn().unwrap();
        wait_for(log, words);
        run.kill().unwrap();
        run.wait().unwrap();
    };
    kill(&lines[0], &teacher, "teacher 1/4");
    let (state, last) = standing(&out, "teacher");
    assert_eq!(state, "stopped");
    assert!(last.contains("teacher"), "{last}");
    // A search without its teacher fails, and says so.
    let output = shell(&lines[1]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (state, last) = standing(&out, RUNS[0]);
    assert_eq!(state, "failed");
    assert!(
        last.starts_with("error: ") && last.contains("teacher"),
        "{last}"
    );

    succeed(&mut shell(&lines[0]));
    kill(&lines[1], &search, "search 1/4");
    assert_eq!(standing(&out, RUNS[0]).0, "stopped");
    // A limit on the size of files refuses what a full disk refuses: 4 KiB, less than a checkpoint has.
    let full = format!("trap '' XFSZ; ulimit -f 8; {}", lines[1]);
    let output = shell(&full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let (state, last) = standing(&out, RUNS[0]);
    assert_eq!(state, "failed");
    assert!(last.starts_with("error: cannot write"), "{last}");
    let (said, _) = gathered(&out);
    assert!(said.contains("1 failed") && said.contains(&last), "{said}");

    succeed(shell(XARGS).env("PLAN", &file));
    assert_undisturbed(&out);
}

#[test]
fn what_is_not_finished_is_told_apart() {
    let root = TempDir::new().unwrap();
    let (out, file) = (root.path().join("sweep"), root.path().join("plan"));
    let grid = ["--budgets", "100,50,0", "--seeds", "2"];
    plan(&out, &file, &grid);
    let _held = hold(&out.join("autorep-100-s0"));
    fs::create_dir(out.join("autorep-50-s0")).unwrap();
    let log = "begun: process 1\nerror: no adapter\nlook elsewhere\n";
    fs::write(out.join("autorep-0-s0.log"), log).unwrap();
    // A run of another search, whatever its folder is called.
    copy(&undisturbed().join(RUNS[0]), &out.join("autorep-50-s1"));
    // One that is damaged hides no other.
    copy(&undisturbed().join(RUNS[1]), &out.join("autorep-0-s1"));
    fs::write(out.join("autorep-0-s1/config.toml"), "seed = 'none'").unwrap();
    let (said, table) = gathered(&out);
    assert_eq!(
        (&table["searches"], &table["finished"]),
        (&6.into(), &0.into())
    );
    for (name, state, words) in [
        ("teacher", "not-begun", ""),
        ("autorep-100-s0", "running", ""),
        ("autorep-50-s0", "stopped", ""),
        ("autorep-0-s0", "failed", "error: no adapter"),
        ("autorep-100-s1", "not-begun", ""),
        ("autorep-50-s1", "other-settings", ""),
        ("autorep-0-s1", "failed", "config.toml"),
    ] {
        let (found, last) = standing(&out, name);
        assert_eq!(found, state, "{name}: {said}");
        assert!(last.contains(words), "{name}: {last}");
        assert!(said.contains(name), "{said}");
    }
    let resumed = [&grid[..], &["--resume"]].concat();
    refused(
        &mut sweep(&out, &resumed),
        &["autorep-50-s1", "other settings"],
    );
}

/// A folder with programs that take the place of others.
#[cfg(unix)]
fn programs(root: &Path, programs: &[(&str, &str)]) -> std::ffi::OsString {
    use std::os::unix::fs::PermissionsExt;
    let folder = root.join("programs");
    fs::create_dir(&folder).unwrap();
    for (name, script) in programs {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut path = folder.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path
}

/// An element of an array of jobs, as Slurm runs it. Slurm itself is tried by `make slurm`.
#[cfg(unix)]
fn element(path: &std::ffi::OsStr, out: &Path, script: &str) -> Command {
    let mut job = Command::new("bash");
    job.arg(out.join("slurm").join(script)).env("PATH", path);
    job.envs([("SLURM_ARRAY_JOB_ID", "7"), ("SLURM_ARRAY_TASK_ID", "1")]);
    job
}

#[cfg(unix)]
#[test]
fn slurm_gets_arrays_that_put_themselves_back() {
    let root = TempDir::new().unwrap();
    let calls = root.path().join("calls");
    let say = format!("for word; do echo \"$word\"; done >>'{}'", calls.display());
    let sbatch = format!("{say}; echo \"7;cluster\"");
    let path = programs(root.path(), &[("sbatch", &sbatch), ("scontrol", &say)]);
    let out = root.path().join("a sweep");
    let more = [
        "--launcher",
        "slurm",
        "--partition",
        "gpus",
        "--time-limit",
        "1:00:00",
    ];
    // Long enough to be told to stop; it is never awaited.
    let long = [
        "--set",
        "search.epochs=10000",
        "--jobs",
        "5",
        "--pass=--account=us",
    ];
    let output = succeed(sweep(&out, &GRID).args(more).args(long).env("PATH", &path));
    assert!(output.stdout.is_empty());
    let asked = fs::read_to_string(&calls).unwrap();
    let (teacher, searches) = asked.split_at(asked.rfind("--job-name").unwrap());
    for (call, words) in [
        (teacher, &["--array=1-1", "--requeue", "--account=us"][..]),
        (
            teacher,
            &["--partition=gpus", "--time=1:00:00", "--gres=gpu:1"],
        ),
        (
            searches,
            &[
                "--array=1-2%5",
                "--dependency=afterok:7",
                "--signal=B:USR1@120",
            ],
        ),
    ] {
        let lines: Vec<&str> = call.lines().collect();
        assert!(
            words.iter().all(|word| lines.contains(word)),
            "{words:?} in {call}"
        );
    }
    assert!(!teacher.contains("afterok"), "{teacher}");
    // The tiny network, its images and two GiB.
    assert!(searches.contains("--mem=3G"), "{searches}");

    succeed(&mut element(&path, &out, "teacher.sh"));
    succeed(&mut element(&path, &out, "teacher.sh"));
    fs::remove_file(&calls).unwrap();
    let mut job = element(&path, &out, "searches-1.sh").spawn().unwrap();
    wait_for(&out.join("autorep-100-s0.log"), "search 2/");
    signal(&job, "USR1");
    assert_eq!(job.wait().unwrap().code(), Some(130));
    let asked = fs::read_to_string(&calls).unwrap();
    assert_eq!(asked.lines().collect::<Vec<_>>(), ["requeue", "7_1"]);
    assert_eq!(standing(&out, "autorep-100-s0").0, "stopped");
    // One that fails is not put back, and neither is one that somebody cancels.
    fs::remove_file(&calls).unwrap();
    let held = fs::read(out.join("sweep.toml")).unwrap();
    fs::write(out.join("sweep.toml"), "no settings").unwrap();
    assert_eq!(
        element(&path, &out, "searches-1.sh")
            .output()
            .unwrap()
            .status
            .code(),
        Some(1)
    );
    fs::write(out.join("sweep.toml"), held).unwrap();
    assert!(!calls.exists());

    // A teacher that is there is not waited for, and what Slurm refuses is told.
    succeed(
        sweep(&out, &GRID)
            .args(more)
            .args(long)
            .args(["--resume"])
            .env("PATH", &path),
    );
    let asked = fs::read_to_string(&calls).unwrap();
    assert!(
        !asked.contains("afterok") && asked.contains("--array=1-2%5"),
        "{asked}"
    );
    let refusal = "echo 'invalid account' >&2; exit 1";
    fs::write(
        root.path().join("programs/sbatch"),
        format!("#!/bin/sh\n{refusal}\n"),
    )
    .unwrap();
    let mut again = sweep(&out, &GRID);
    again
        .args(more)
        .args(long)
        .args(["--resume"])
        .env("PATH", &path);
    refused(&mut again, &["invalid account"]);
    again.env("PATH", "/nowhere");
    refused(&mut again, &["no `sbatch`", "--plan"]);
}

/// Sends a signal to a process.
#[cfg(unix)]
fn signal(to: &Child, name: &str) {
    let mut kill = Command::new("kill");
    succeed(kill.args([format!("-{name}"), to.id().to_string()]));
}

#[cfg(unix)]
#[test]
fn hyperqueue_gets_a_line_for_each_task() {
    let root = TempDir::new().unwrap();
    let calls = root.path().join("calls");
    // As `hq submit` does: one task, or one for each line, which is in HQ_ENTRY.
    let hq = format!(
        "echo \"$*\" >>'{}'\n{}",
        calls.display(),
        "while [ \"$1\" != -- ]; do
            if [ \"$1\" = --each-line ]; then file=$2; shift; fi
            shift
        done
        shift
        [ -n \"$file\" ] || exec \"$@\"
        while IFS= read -r HQ_ENTRY; do export HQ_ENTRY; \"$@\" || exit 1; done <\"$file\""
    );
    let path = programs(root.path(), &[("hq", &hq)]);
    let out = root.path().join("a sweep");
    let more = ["--launcher", "hq", "--gpus", "0.5", "--pass=--cpus=2"];
    succeed(sweep(&out, &GRID).args(more).env("PATH", &path));
    let asked = fs::read_to_string(&calls).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked
            .iter()
            .all(|call| call.contains("gpus/nvidia=0.5 --cpus=2")),
        "{asked:?}"
    );
    assert!(
        asked[0].contains("--wait") && !asked[0].contains("each-line"),
        "{asked:?}"
    );
    assert_undisturbed(&out);
    // Nothing is left to hand over.
    succeed(
        sweep(&out, &GRID)
            .args(more)
            .arg("--resume")
            .env("PATH", &path),
    );
    assert_eq!(fs::read_to_string(&calls).unwrap().lines().count(), 2);
}

/// The adapters on which searches of a sweep have run, in the order of [`RUNS`].
fn adapters_of(out: &Path) -> [String; 2] {
    RUNS.map(|name| {
        let log = fs::read_to_string(out.join(format!("{name}.log"))).unwrap();
        let line = log.lines().find(|line| line.starts_with("adapter: "));
        line.unwrap().to_owned()
    })
}

#[test]
fn a_sweep_is_spread_over_the_adapters_it_names() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("sweep");
    for (list, words) in [
        ("nosuch", &["nosuch", "0: "][..]),
        ("0,,1", &["0,,1", "between commas"]),
        ("0,0", &["0,0", "already"]),
    ] {
        refused(sweep(&out, &GRID).args(["--adapters", list]), words);
        assert!(!out.exists(), "{list}: a sweep was begun");
    }
    let both = ["--adapters", "all", "--adapter", "0"];
    refused(sweep(&out, &GRID).args(both), &["--adapters", "--adapter"]);
    succeed(sweep(&out, &GRID).args(["--adapters", "0", "--jobs", "2"]));
    let [one, other] = adapters_of(&out);
    assert_eq!(one, other);
    assert_undisturbed(&out);
}

/// `make adapters` runs it, with the drivers that it finds.
#[test]
#[ignore = "needs two adapters of one kind: make adapters"]
fn two_adapters_share_a_sweep() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("sweep");
    succeed(sweep(&out, &GRID).args(["--adapters", "all"]));
    let [one, other] = adapters_of(&out);
    assert_ne!(one, other);
    let (_, table) = gathered(&out);
    assert_eq!(table["finished"], 2);
}
