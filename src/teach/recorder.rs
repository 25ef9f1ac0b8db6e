//! A recorded run, taken by a process of its own when somebody first asks for it.

use super::step::complaint;
use super::tether::tie;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Takes a record once, and keeps it.
#[derive(Debug)]
pub struct Recorder {
    program: PathBuf,
    taken: Mutex<Option<Vec<u8>>>,
}

impl Recorder {
    /// Nothing is recorded yet.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            taken: Mutex::new(None),
        }
    }

    /// The file of `record`, see there. Who comes while it is taken waits for it.
    ///
    /// # Errors
    /// Why there is none, in words: above all that there is no adapter. The next who asks tries again.
    pub fn file(&self) -> Result<Vec<u8>, String> {
        let mut taken = self
            .taken
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        if let Some(file) = &*taken {
            return Ok(file.clone());
        }
        let mut command = Command::new(&self.program);
        command
            .args(["teach", "--record"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = tie(&mut command).spawn().and_then(|mut child| {
            let _tether = child.stdin.take();
            child.wait_with_output()
        });
        match output {
            Ok(output) if output.status.success() => Ok(taken.insert(output.stdout).clone()),
            Ok(output) => Err(complaint(&output.stderr)),
            Err(error) => Err(error.to_string()),
        }
    }
}
