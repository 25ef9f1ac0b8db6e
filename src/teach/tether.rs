//! Processes that end with the one that began them, however that ends: they hold the other end of a pipe.

use std::io::{Read, stdin};
use std::process::{Command, Stdio};

/// Says to a process that its standard input is a tether.
const VARIABLE: &str = "AUTOREP_TETHER";

/// Ties a process to this one, for as long as its standard input is held.
pub(super) fn tie(command: &mut Command) -> &mut Command {
    command.env(VARIABLE, "1").stdin(Stdio::piped())
}

/// Ends this process when whoever has tied it is gone. A run survives that as it survives anything.
pub fn heed() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    std::thread::spawn(|| {
        let mut rest = [0; 64];
        while matches!(stdin().read(&mut rest), Ok(bytes) if bytes > 0) {}
        std::process::exit(130);
    });
}
