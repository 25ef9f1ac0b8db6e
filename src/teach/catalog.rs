//! Every kernel with its texts: card, WGSL, template, twin; and a case, where there is one.

use super::bench::Bench;
use super::case::Case;
use super::{lab, lab_update};
use crate::gpu::{Gpu, GpuError, Pipeline};
use crate::kernels::typical::{self, Expansion};
use crate::kernels::{self, Compiler, Tiling};
use serde::Serialize;

/// The twins' texts, by family.
const TWINS: &[(&str, &str)] = &[
    ("add", include_str!("../reference/add.rs")),
    ("augment", include_str!("../reference/augment.rs")),
    ("batch_norm", include_str!("../reference/batch_norm.rs")),
    ("conv2d", include_str!("../reference/conv2d/mod.rs")),
    (
        "conv2d/grouped",
        include_str!("../reference/conv2d/grouped.rs"),
    ),
    ("dapa", include_str!("../reference/dapa.rs")),
    ("dropout", include_str!("../reference/dropout.rs")),
    ("gate", include_str!("../reference/gate.rs")),
    ("indicator", include_str!("../reference/indicator.rs")),
    ("linear", include_str!("../reference/linear.rs")),
    ("loss", include_str!("../reference/loss.rs")),
    ("max_pool", include_str!("../reference/max_pool.rs")),
    ("metrics", include_str!("../reference/metrics.rs")),
    ("optimizer", include_str!("../reference/optimizer.rs")),
    ("pool", include_str!("../reference/pool.rs")),
    ("roofline", include_str!("../reference/roofline.rs")),
    ("scale", include_str!("../reference/scale.rs")),
    ("sigmoid", include_str!("../reference/sigmoid.rs")),
    ("squares", include_str!("../reference/squares.rs")),
    ("threshold", include_str!("../reference/threshold.rs")),
];

/// A kernel as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Kernel and entry point: `gate.forward`.
    pub name: String,
    /// Its template, below `shaders/`.
    pub file: String,
    /// What its text was expanded for.
    pub what: String,
    /// Whether it can be run on data.
    pub runs: bool,
}

/// A kernel with all that is told of it.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    /// As lists show it.
    #[serde(flatten)]
    pub entry: Entry,
    /// Its card: what it computes, layout, split, cost, what was dropped.
    pub card: String,
    /// The plain WGSL.
    pub wgsl: String,
    /// The template that it was expanded from.
    pub template: String,
    /// The same in plain Rust.
    pub twin: String,
    /// The data to run it on.
    pub case: Option<Case>,
}

/// All kernels that are laid out with data.
fn benches() -> impl Iterator<Item = &'static Bench> {
    lab::BENCHES.iter().chain(lab_update::BENCHES)
}

/// All kernels.
pub struct Catalog {
    pages: Vec<Page>,
}

impl Catalog {
    /// Expands every kernel; needs no adapter.
    ///
    /// # Errors
    /// [`GpuError::Compile`] where a template asks for what it is not given: a defect.
    pub fn new() -> Result<Self, GpuError> {
        let gpu = Gpu::null();
        let compiler = Compiler::new(&gpu, Tiling::Portable);
        let mut pages: Vec<Page> = Vec::new();
        for bench in benches() {
            for case in bench.cases(&compiler)? {
                let stage = &case.stages[case.edited];
                if pages.iter().all(|page| page.entry.name != stage.name) {
                    let pipeline = Pipeline::new(&stage.name, &stage.source, &stage.entry);
                    let what = format!("{} (tiling {})", bench.what, compiler.tiling);
                    pages.push(Page::new(&pipeline, what, Some(case)));
                }
            }
        }
        for Expansion {
            pipeline,
            what,
            tiling,
        } in typical::expansions(None, |_| true)?
        {
            if pages.iter().all(|page| page.entry.name != pipeline.name()) {
                pages.push(Page::new(
                    &pipeline,
                    format!("{what} (tiling {tiling})"),
                    None,
                ));
            }
        }
        pages.sort_by(|a, b| a.entry.name.cmp(&b.entry.name));
        Ok(Self { pages })
    }

    /// All, as lists show them.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.pages.iter().map(|page| &page.entry)
    }

    /// The kernel of this name.
    pub fn find(&self, name: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.entry.name == name)
    }
}

impl Page {
    fn new(pipeline: &Pipeline, what: String, case: Option<Case>) -> Self {
        let file = kernels::file_of(pipeline).unwrap_or_default();
        let template = kernels::templates().find(|template| template.file == file);
        let wgsl = pipeline.source();
        let card = wgsl.lines().take_while(|line| line.starts_with("//"));
        let card: Vec<&str> = card
            .map(|line| line.trim_start_matches("//").trim_end())
            .collect();
        let family = kernels::FAMILIES
            .iter()
            .filter(|family| {
                family
                    .templates
                    .iter()
                    .any(|template| template.file == file)
            })
            .map(|family| family.name)
            .next_back();
        let twin = TWINS.iter().find(|(name, _)| Some(*name) == family);
        Self {
            entry: Entry {
                name: pipeline.name().to_owned(),
                file: file.to_owned(),
                what,
                runs: case.is_some(),
            },
            wgsl: wgsl[wgsl
                .lines()
                .take_while(|line| line.starts_with("//"))
                .map(|l| l.len() + 1)
                .sum()..]
                .trim_start()
                .to_owned(),
            card: card.join("\n"),
            template: template.map_or("", |template| template.text).to_owned(),
            twin: twin.map_or("", |(_, text)| *text).to_owned(),
            case,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teach::judge::emulate;

    #[test]
    fn every_kernel_passes_on_its_data() {
        let gpu = Gpu::null();
        let compiler = Compiler::new(&gpu, Tiling::Portable);
        for bench in benches() {
            let cases = bench.cases(&compiler).unwrap();
            assert!(!cases.is_empty(), "{}", bench.what);
            for case in cases {
                let emulated = emulate(&case).unwrap_or_else(|m| panic!("{}: {m:?}", bench.what));
                let firsts: Vec<_> = emulated
                    .results
                    .iter()
                    .map(|r| (&r.name, &r.first))
                    .collect();
                assert!(
                    emulated.passes(),
                    "{}: {:?} {firsts:?}",
                    bench.what,
                    emulated.findings
                );
                assert!(!emulated.results.is_empty(), "{}", bench.what);
            }
        }
    }

    #[test]
    fn every_kernel_has_all_its_texts() {
        let catalog = Catalog::new().unwrap();
        assert!(catalog.entries().count() > 50);
        assert!(catalog.entries().filter(|entry| entry.runs).count() > 40);
        for page in &catalog.pages {
            let name = &page.entry.name;
            assert!(page.card.contains("Computes"), "{name}");
            assert!(
                page.wgsl.contains("@compute") && !page.wgsl.contains("{%"),
                "{name}"
            );
            assert!(page.template.contains("Kernel card"), "{name}");
            assert!(page.twin.starts_with("//! Twin"), "{name}");
        }
        assert!(catalog.find("gate.forward").is_some() && catalog.find("gate").is_none());
    }
}
