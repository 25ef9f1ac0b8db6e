//! `autorep shaders`: the permutations of every kernel, and the WGSL that their templates
//! become. Needs no GPU.

use super::end::End;
use crate::gpu::{Gpu, Pipeline};
use crate::kernels::typical::{self, Expansion};
use crate::kernels::{self, Compiler, Tiling, permutations};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Arguments of `autorep shaders`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the WGSL that this file of shaders/ becomes in its typical shapes, or in others that
    /// the options ask for; without a file, list all kernels.
    file: Option<String>,
    /// Only this entry point.
    #[arg(long)]
    entry: Option<String>,
    /// Only this tiling: portable, large, cpu4, cpu8 or cpu16 (cpu: all three).
    #[arg(long)]
    tiling: Option<String>,
    /// Only shapes and options that contain this text, as the list shows them.
    #[arg(long)]
    shape: Option<String>,
    /// List every permutation that the options leave, one a line.
    #[arg(long, conflicts_with = "write")]
    all: bool,
    /// Only the typical permutation of each kernel.
    #[arg(long)]
    typical: bool,
    /// Write every expansion that is left into this folder, each distinct text once.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<End> {
    let mut out = io::stdout().lock();
    match (&args.write, &args.file) {
        (Some(folder), _) => write(&args, folder, &mut out)?,
        (None, _) if args.all => list(&args, &mut out)?,
        (None, Some(_)) => print(&args, &mut out)?,
        (None, None) => overview(&args, &mut out)?,
    }
    Ok(End::Done)
}

/// A line for each kernel.
fn overview(args: &Args, out: &mut impl Write) -> Result<()> {
    let mut texts: BTreeMap<(String, String), HashSet<String>> = BTreeMap::new();
    visit(args, &mut |expansion| {
        let pipeline = &expansion.pipeline;
        let kernel = (file_of(pipeline), pipeline.entry().to_owned());
        texts
            .entry(kernel)
            .or_default()
            .insert(pipeline.source().to_owned());
        Ok(())
    })?;
    must_match(!texts.is_empty())?;
    let typical: HashMap<String, String> = typical(args)?
        .into_iter()
        .map(|expansion| (expansion.pipeline.name().to_owned(), shape_of(&expansion)))
        .collect();
    let width = texts.keys().map(|(file, _)| file.len()).max().unwrap_or(0);
    writeln!(
        out,
        "{:width$}  {:19}  EXPANSIONS  TYPICALLY",
        "FILE", "ENTRY POINT"
    )?;
    for ((file, entry), texts) in &texts {
        let stem = file.trim_end_matches(".wgsl").replace('/', "_");
        let name = format!("{stem}.{entry}");
        let shape = typical.get(&name).map_or("", String::as_str);
        writeln!(
            out,
            "{file:width$}  {entry:19}  {:10}  {shape}",
            texts.len()
        )?;
    }
    writeln!(
        out,
        "\n`autorep shaders FILE` prints the typical expansions of a file, with --entry, --tiling and \
         --shape\nothers, and --all lists the permutations."
    )?;
    Ok(())
}

/// A line for each permutation.
fn list(args: &Args, out: &mut impl Write) -> Result<()> {
    let mut found = false;
    visit(args, &mut |expansion| {
        found = true;
        let (file, entry) = (file_of(&expansion.pipeline), expansion.pipeline.entry());
        let tiling = name_of(expansion.tiling);
        writeln!(out, "{file} {entry} {tiling} {}", expansion.what)?;
        Ok(())
    })?;
    must_match(found)
}

/// The typical expansions that the options leave. Where they leave none, the last permutation:
/// the table goes from odd shapes to usual ones.
fn print(args: &Args, out: &mut impl Write) -> Result<()> {
    let mut found = typical(args)?;
    if found.is_empty() && !args.typical {
        visit(args, &mut |expansion| {
            found = vec![expansion];
            Ok(())
        })?;
    }
    must_match(!found.is_empty())?;
    let texts: Vec<String> = found.iter().map(Expansion::text).collect();
    out.write_all(texts.join("\n").as_bytes())?;
    Ok(())
}

fn write(args: &Args, folder: &Path, out: &mut impl Write) -> Result<()> {
    let save = |name: &str, text: &str| {
        let path = folder.join(name);
        let folder = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let mut seen = HashSet::new();
    if args.typical {
        for expansion in typical(args)? {
            save(&expansion.file(), &expansion.kept())?;
            seen.insert((String::new(), expansion.file()));
        }
    } else {
        visit(args, &mut |expansion| {
            let pipeline = expansion.pipeline;
            if seen.insert((pipeline.entry().to_owned(), pipeline.source().to_owned())) {
                let name = format!("{}.{}.wgsl", pipeline.name(), seen.len());
                save(&name, pipeline.source())?;
            }
            Ok(())
        })?;
    }
    writeln!(out, "{} shaders in {}", seen.len(), folder.display())?;
    must_match(!seen.is_empty())
}

fn must_match(found: bool) -> Result<()> {
    if !found {
        bail!(
            "no kernel matches: `autorep shaders` lists all, `autorep shaders --all` their shapes"
        );
    }
    Ok(())
}

impl Args {
    /// The tilings that are asked for.
    fn tilings(&self) -> Result<Vec<Tiling>> {
        let tilings: Vec<Tiling> = Tiling::ALL
            .into_iter()
            .filter(|&tiling| {
                let asked = self.tiling.as_ref();
                asked.is_none_or(|asked| name_of(tiling).starts_with(asked.as_str()))
            })
            .collect();
        if tilings.is_empty() {
            bail!("unknown tiling: choose among portable, large, cpu4, cpu8, cpu16");
        }
        Ok(tilings)
    }

    /// What profiles call the kernels of the file that is asked for, which may be named so, too.
    fn stem(&self) -> Option<String> {
        let file = self.file.as_deref()?;
        let file = file.trim_start_matches("./").trim_start_matches("shaders/");
        Some(file.trim_end_matches(".wgsl").replace('/', "_"))
    }

    /// Whether a row of this family, shape and options can be meant.
    fn wants_row(&self, what: &str) -> bool {
        // A family's files all start with the first word of its name.
        let family = what.split([' ', '_', ':']).next().unwrap_or_default();
        self.stem().is_none_or(|stem| stem.starts_with(family))
            && self
                .shape
                .as_ref()
                .is_none_or(|part| what.contains(part.as_str()))
    }

    /// Whether this kernel is meant.
    fn wants(&self, pipeline: &Pipeline) -> bool {
        self.stem().is_none_or(|stem| stem == pipeline.kernel())
            && self
                .entry
                .as_ref()
                .is_none_or(|entry| entry == pipeline.entry())
    }
}

/// The typical expansions that the options leave.
fn typical(args: &Args) -> Result<Vec<Expansion>> {
    let tilings = args.tilings()?;
    let asked = args.tiling.as_ref().map(|_| tilings.as_slice());
    let mut found = typical::expansions(asked, |what| args.wants_row(what))?;
    found.retain(|expansion| args.wants(&expansion.pipeline));
    Ok(found)
}

/// Shows `each` the kernels that the options leave, family by family.
fn visit(args: &Args, each: &mut dyn FnMut(Expansion) -> Result<()>) -> Result<()> {
    if args.typical {
        return typical(args)?.into_iter().try_for_each(each);
    }
    let gpu = Gpu::null();
    let compilers = args.tilings()?.into_iter();
    let compilers: Vec<Compiler> = compilers
        .map(|tiling| Compiler::new(&gpu, tiling))
        .collect();
    for permutation in permutations::table() {
        let what = format!("{}: {}", permutation.name, permutation.shape);
        if !args.wants_row(&what) {
            continue;
        }
        for compiler in &compilers {
            for (kernel, _) in permutation.build(compiler)?.stages {
                if args.wants(&kernel.pipeline) {
                    each(Expansion {
                        pipeline: kernel.pipeline,
                        what: what.clone(),
                        tiling: compiler.tiling,
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// A tiling in one word.
fn name_of(tiling: Tiling) -> String {
    match tiling {
        Tiling::Cpu { lanes } => format!("cpu{lanes}"),
        other => other.to_string(),
    }
}

/// The template's file name.
fn file_of(pipeline: &Pipeline) -> String {
    kernels::file_of(pipeline)
        .unwrap_or_else(|| pipeline.kernel())
        .to_owned()
}

/// Shape and tiling of a typical expansion.
fn shape_of(expansion: &Expansion) -> String {
    format!("{} ({})", expansion.what, name_of(expansion.tiling))
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
    fn a_file_is_printed_in_its_typical_shape() {
        for line in [
            "shaders gate.wgsl",
            "shaders shaders/gate.wgsl --entry forward",
        ] {
            let text = output(|out| print(&args(line), out));
            let origin = "// Expanded from shaders/gate.wgsl\n// for gate forward: 128×64";
            assert!(text.starts_with(origin), "{text}");
            assert!(
                text.contains("let polynomial") && !text.contains("{{"),
                "{text}"
            );
        }
    }

    #[test]
    fn options_ask_for_other_tilings_and_shapes() {
        let line = "shaders linear --entry linear --tiling cpu8";
        let text = output(|out| print(&args(line), out));
        assert!(
            text.contains("linear forward: 128×512 → 10 (tiling cpu (8 lanes))"),
            "{text}"
        );
        assert!(text.contains("@workgroup_size(8") && !text.contains("{{"));
        let text = output(|out| print(&args("shaders linear --shape weight_gradient"), out));
        assert!(
            text.contains("linear weight_gradient: 128×512 → 100"),
            "{text}"
        );
    }

    #[test]
    fn every_line_of_the_list_names_file_entry_tiling_and_shape() {
        let args = args("shaders --all --tiling large --shape gradient_norm");
        let text = output(|out| list(&args, out));
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(
            first,
            "optimizer.wgsl square_sums large optimizer gradient_norm: 256"
        );
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn the_overview_has_a_line_for_each_kernel() {
        let text = output(|out| overview(&args("shaders --tiling large --shape pool"), out));
        let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 1 + 6, "{text}");
        assert!(lines[1].starts_with("max_pool.wgsl  backward"), "{text}");
        assert!(
            lines[1].ends_with("max_pool backward: 128×64×112×112, 3×3 stride 2 padding 1 (large)")
        );
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        for line in ["shaders nothing", "shaders add --entry nothing"] {
            assert!(print(&args(line), &mut Vec::new()).is_err());
        }
        assert!(list(&args("shaders --tiling tiny"), &mut Vec::new()).is_err());
    }
}
