//! Anybody's WGSL, with a TOML file of the same stem beside it.

use super::common::{Args, Checked, Unable};
use crate::emulator::{CheckError, How, Spec, check, load};
use std::fs;
use std::path::Path;

/// Most bytes of a shader or a description.
const MOST_BYTES: u64 = 1 << 20;

/// Whether a name is that of a file with a description beside it.
pub fn is_meant(name: &str) -> bool {
    let path = Path::new(name);
    path.is_file() && path.with_extension("toml").is_file()
}

/// Checks a file on what its description says.
pub fn checked(args: &Args) -> Result<Checked, Unable> {
    let path = Path::new(&args.target);
    let toml = &path.with_extension("toml");
    let name = args.target.clone();
    if !path.exists() {
        return Err(Unable::because(format!(
            "{name} is neither a file nor a kernel of the program, which `autorep shaders` lists"
        )));
    }
    let source = read(path)?;
    let unable = |error: CheckError| Unable::of(&error, &name, &source);
    if !toml.exists() {
        let program = load(&source, args.entry.as_deref()).map_err(unable)?;
        return Err(Unable::because(format!(
            "{name} wants a file {} beside it, for example:\n\n{}",
            toml.display(),
            Spec::template(&program)
        )));
    }
    let spec = Spec::parse(&read(toml)?)
        .map_err(|error| Unable::because(format!("{}: {error}", toml.display())))?;
    let spec = Spec {
        entry: args.entry.clone().or(spec.entry),
        ..spec
    };
    let report = check(&source, &spec, args.how(How::default().subgroup_size)).map_err(unable)?;
    let what = format!(
        "{:?} workgroups, as {} says",
        spec.workgroups,
        toml.display()
    );
    Ok(Checked {
        file: name,
        source,
        what,
        report,
    })
}

/// A text that is no longer than a text may be.
fn read(path: &Path) -> Result<String, Unable> {
    let cannot =
        |error: String| Unable::because(format!("cannot read {}: {error}", path.display()));
    let size = fs::metadata(path).map_err(|error| cannot(error.to_string()))?;
    if size.len() > MOST_BYTES {
        return Err(cannot("more than a megabyte".into()));
    }
    fs::read_to_string(path).map_err(|error| cannot(error.to_string()))
}
