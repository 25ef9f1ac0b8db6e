//! A step, measured by `autorep profile` in a process of its own.

use super::tether::tie;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

/// How far a measurement has come.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "lowercase", tag = "state", content = "result")]
pub enum Standing {
    /// Nobody has asked.
    #[default]
    None,
    /// It is being measured.
    Measuring,
    /// The profile, as `autorep profile --json` writes it.
    Done(Value),
    /// What went wrong.
    Failed(String),
}

/// Measures one step at a time.
#[derive(Debug, Clone)]
pub struct Steps {
    /// The program.
    program: PathBuf,
    standing: Arc<Mutex<Standing>>,
}

impl Steps {
    /// None is measured yet.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            standing: Arc::default(),
        }
    }

    /// How far it has come.
    pub fn standing(&self) -> Standing {
        self.lock().clone()
    }

    /// Begins to measure a step of ResNet-8 in this phase, unless one is being measured.
    pub fn begin(&self, phase: &str) {
        let phase = match phase {
            "teacher" => "teacher",
            _ => "search",
        };
        let mut standing = self.lock();
        if matches!(*standing, Standing::Measuring) {
            return;
        }
        *standing = Standing::Measuring;
        let this = self.clone();
        std::thread::spawn(move || {
            let result = this.measure(phase);
            *this.lock() = result;
        });
    }

    fn measure(&self, phase: &str) -> Standing {
        let mut command = Command::new(&self.program);
        command
            .args([
                "profile", "--model", "resnet8", "--batch", "32", "--rounds", "5",
            ])
            .args([
                "--data",
                "builtin:train=512,test=64",
                "--no-tune",
                "--json",
                "-",
            ])
            .args(["--phase", phase])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = tie(&mut command).spawn().and_then(|mut child| {
            let _tether = child.stdin.take();
            child.wait_with_output()
        });
        match output {
            Ok(output) if output.status.success() => match serde_json::from_slice(&output.stdout) {
                Ok(profile) => Standing::Done(profile),
                Err(error) => Standing::Failed(error.to_string()),
            },
            Ok(output) => Standing::Failed(complaint(&output.stderr)),
            Err(error) => Standing::Failed(error.to_string()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }
}

/// What a command has said went wrong: its last lines.
pub(super) fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().collect();
    match lines.iter().rposition(|line| line.starts_with("error: ")) {
        Some(at) => lines[at..]
            .join(" ")
            .trim_start_matches("error: ")
            .to_owned(),
        None => lines[lines.len().saturating_sub(2)..].join(" "),
    }
}
