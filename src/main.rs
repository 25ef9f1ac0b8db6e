//! The command line of `autorep`.

use std::process::ExitCode;

fn main() -> ExitCode {
    autorep::cli::main()
}
