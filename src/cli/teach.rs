//! `autorep teach`

use super::common::note;
use super::end::End;
use crate::record::Record;
use crate::teach::routes::Routes;
use crate::teach::{Server, Wishes, child, export};
use anyhow::{Context, Result};
use std::io::{Write, stdin, stdout};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Arguments of `autorep teach`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, value_name = "N", default_value_t = 8642)]
    port: u16,
    /// Open the page in the browser.
    #[arg(long)]
    open: bool,
    /// Let the room in: listen to other machines of the network, too. Whoever has the address with its
    /// code can run kernels on this one.
    #[arg(long)]
    class: bool,
    /// Instead of serving: write the page as static files, for any web server. Kernels then run in the
    /// visitor's browser, by WebGPU, and so does a training run that is recorded here.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["open", "class", "port"])]
    export: Option<PathBuf>,
    /// Read a kernel from standard input, run it, and write what is found: what the server starts for
    /// each visitor's text.
    #[arg(long, hide = true)]
    child: bool,
    /// Record a training run, and write it to standard output: what the server starts for the page that
    /// replays it.
    #[arg(long, hide = true)]
    record: bool,
}

pub(super) fn run(args: Args) -> Result<End> {
    if args.child {
        child::run(stdin().lock(), stdout().lock())?;
        return Ok(End::Done);
    }
    if args.record {
        stdout().write_all(&Record::take()?.to_bytes()?)?;
        return Ok(End::Done);
    }
    let program = std::env::current_exe().context("where this program lies is not known")?;
    if let Some(folder) = &args.export {
        let written = export::export(&Routes::new(program)?, folder);
        let written = written.with_context(|| format!("cannot write into {}", folder.display()))?;
        if let Some(why) = written.unrecorded {
            note(format_args!("without a recorded run: {why}"));
        }
        writeln!(
            stdout(),
            "{}: {} files, {} KiB",
            folder.display(),
            written.files,
            written.bytes.div_ceil(1024)
        )?;
        return Ok(End::Done);
    }
    let server = Server::bind(Wishes {
        port: args.port,
        class: args.class,
        program,
    })?;
    let address = server.address();
    // Whoever starts it waits for this line.
    writeln!(stdout(), "{address}")?;
    note(match args.class {
        true => "the room can open this page; Ctrl-C ends it",
        false => "only this machine can open this page; Ctrl-C ends it",
    });
    if args.open {
        open(&address);
    }
    server.serve()?;
    Ok(End::Done)
}

/// Opens a page in the browser that the desktop prefers; where there is none, the address is printed.
fn open(address: &str) {
    let (program, arguments): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(address);
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if command.spawn().is_err() {
        note(format_args!("no browser could be opened: open {address}"));
    }
}
