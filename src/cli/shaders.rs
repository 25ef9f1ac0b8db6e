//! `autorep shaders`: the permutations of every kernel, and the WGSL that their templates
//! become. Needs no GPU.

use super::End;
use crate::gpu::{Gpu, Pipeline};
use crate::kernels::{Compiler, FAMILIES, Template, Tiling};
use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Arguments of `autorep shaders`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the WGSL that this file of shaders/ becomes in the first permutation that the
    /// options leave; without a file, list file, entry point, preset and shape of all.
    file: Option<String>,
    /// Only this entry point.
    #[arg(long)]
    entry: Option<String>,
    /// Only this preset: portable, large, cpu4, cpu8 or cpu16 (cpu: all three).
    #[arg(long)]
    preset: Option<String>,
    /// Only shapes and options that contain this text, as the list shows them.
    #[arg(long)]
    shape: Option<String>,
    /// Write every expansion that is left into this folder, each distinct text once.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

impl Args {
    /// Whether the options leave this file, which may be named as it lies below shaders/ or as
    /// profiles name its kernels.
    fn wants(&self, template: &Template) -> bool {
        let file = self.file.as_deref().map(|f| f.trim_end_matches(".wgsl"));
        file.is_none_or(|file| {
            file == template.file.trim_end_matches(".wgsl") || file == template.stem()
        })
    }
}

pub(super) fn run(args: Args) -> Result<End> {
    let mut out = io::stdout().lock();
    match (&args.write, &args.file) {
        (Some(folder), _) => write(&args, folder, &mut out)?,
        (None, Some(_)) => print(&args, &mut out)?,
        (None, None) => list(&args, &mut out)?,
    }
    Ok(End::Done)
}

fn list(args: &Args, out: &mut impl Write) -> Result<()> {
    let mut found = false;
    visit(args, &mut |expansion| {
        found = true;
        let Expansion {
            file,
            pipeline,
            preset,
            shape,
        } = expansion;
        writeln!(out, "{file} {} {preset} {shape}", pipeline.entry())?;
        Ok(Next::GoOn)
    })?;
    must_match(found)
}

fn print(args: &Args, out: &mut impl Write) -> Result<()> {
    let mut found = false;
    visit(args, &mut |expansion| {
        found = true;
        let Expansion {
            pipeline,
            preset,
            shape,
            ..
        } = expansion;
        writeln!(out, "// {} {preset} {shape}", pipeline.name())?;
        out.write_all(pipeline.source().as_bytes())?;
        Ok(Next::Stop)
    })?;
    must_match(found)
}

fn write(args: &Args, folder: &Path, out: &mut impl Write) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut seen = HashSet::new();
    visit(args, &mut |expansion| {
        let pipeline = expansion.pipeline;
        if seen.insert((pipeline.entry().to_owned(), pipeline.source().to_owned())) {
            let name = format!("{}.{}.wgsl", pipeline.name(), seen.len());
            let path = folder.join(name);
            std::fs::write(&path, pipeline.source())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(Next::GoOn)
    })?;
    writeln!(out, "{} shaders in {}", seen.len(), folder.display())?;
    must_match(!seen.is_empty())
}

fn must_match(found: bool) -> Result<()> {
    if !found {
        bail!("no permutation matches: `autorep shaders` without options lists all");
    }
    Ok(())
}

/// One kernel of one permutation.
struct Expansion<'a> {
    file: &'a str,
    pipeline: &'a Pipeline,
    preset: &'a str,
    shape: &'a str,
}

enum Next {
    GoOn,
    Stop,
}

/// Shows `each` the kernels that the options leave, family by family, until it has enough.
fn visit(args: &Args, each: &mut dyn FnMut(Expansion) -> Result<Next>) -> Result<()> {
    let gpu = Gpu::null();
    let compilers: Vec<(String, Compiler)> = Tiling::ALL
        .into_iter()
        .map(|preset| (name_of(preset), Compiler::new(&gpu, preset)))
        .filter(|(name, _)| {
            args.preset
                .as_ref()
                .is_none_or(|p| name.starts_with(p.as_str()))
        })
        .collect();
    if compilers.is_empty() {
        bail!("unknown kernel preset: choose among portable, large, cpu4, cpu8, cpu16");
    }
    for family in FAMILIES {
        if !family.templates.iter().any(|template| args.wants(template)) {
            continue;
        }
        for permutation in family.permutations() {
            let shape = format!("{}: {}", permutation.name, permutation.shape);
            let part = args.shape.as_ref();
            if !part.is_none_or(|part| shape.contains(part.as_str())) {
                continue;
            }
            for (preset, compiler) in &compilers {
                for (kernel, _) in &permutation.build(compiler)?.stages {
                    let pipeline = &kernel.pipeline;
                    let template = family.templates.iter();
                    let template = template.filter(|template| args.wants(template));
                    let entry = args.entry.as_ref();
                    let Some(template) = template
                        .filter(|_| entry.is_none_or(|entry| entry == pipeline.entry()))
                        .find(|template| template.stem() == pipeline.kernel())
                    else {
                        continue;
                    };
                    let expansion = Expansion {
                        file: template.file,
                        pipeline,
                        preset,
                        shape: &shape,
                    };
                    if let Next::Stop = each(expansion)? {
                        return Ok(());
                    }
                }
            }
        }
    }
    Ok(())
}

/// A preset in one word.
fn name_of(preset: Tiling) -> String {
    match preset {
        Tiling::Cpu { lanes } => format!("cpu{lanes}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &str) -> Args {
        Command::parse_from(line.split(' ')).args
    }

    fn output(work: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> String {
        let mut out = Vec::new();
        work(&mut out).expect("a match");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_file_is_printed_expanded() {
        let args = args("shaders linear.wgsl --entry linear --preset cpu8");
        let text = output(|out| print(&args, out));
        assert!(
            text.starts_with("// linear.linear cpu8 linear forward: "),
            "{text}"
        );
        assert!(text.contains("@workgroup_size(8") && !text.contains("{{"));
    }

    #[test]
    fn every_line_of_the_list_names_file_entry_preset_and_shape() {
        let args = args("shaders --preset large --shape gradient_norm");
        let text = output(|out| list(&args, out));
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(
            first,
            "optimizer.wgsl square_sums large optimizer gradient_norm: 256"
        );
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        for line in ["shaders nothing", "shaders add --entry nothing"] {
            assert!(print(&args(line), &mut Vec::new()).is_err());
        }
        assert!(list(&args("shaders --preset tiny"), &mut Vec::new()).is_err());
    }
}
