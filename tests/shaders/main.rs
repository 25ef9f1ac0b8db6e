//! Every permutation of every kernel without a GPU: naga's validator with the least
//! capabilities, its SPIR-V, MSL and HLSL writers, and lints for the portable shape. Each lint
//! is shown a shader that breaks it.

mod cards;
mod coverage;
mod expanded;
mod lints;
mod uniformity;

use autorep::gpu::{Gpu, MAX_GRID, Pipeline};
use autorep::kernels::permutations;
use autorep::kernels::{Compiler, Tiling};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use std::collections::HashSet;

/// A parsed and validated shader.
pub struct Shader {
    /// As it was parsed.
    pub module: naga::Module,
    /// What the validator found out about it.
    pub info: ModuleInfo,
}

impl Shader {
    /// Parses and validates WGSL; what is wrong with it is told as naga tells it.
    pub fn new(source: &str, capabilities: Capabilities) -> Result<Self, String> {
        let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
        let info = Validator::new(ValidationFlags::all(), capabilities)
            .validate(&module)
            .map_err(|e| e.emit_to_string(source))?;
        Ok(Self { module, info })
    }

    /// Writes the entry point for the three kinds of driver.
    fn write(&self, entry: &str) -> Result<(), String> {
        use naga::back::{hlsl, msl, spv};
        let (module, info) = (&self.module, &self.info);
        let stage = naga::ShaderStage::Compute;
        let pipeline = spv::PipelineOptions {
            shader_stage: stage,
            entry_point: entry.to_owned(),
        };
        let options = spv::Options {
            lang_version: (1, 3),
            ..Default::default()
        };
        spv::write_vec(module, info, &options, Some(&pipeline))
            .map_err(|e| format!("SPIR-V: {e}"))?;

        let pipeline = msl::PipelineOptions {
            entry_point: Some((stage, entry.to_owned())),
            ..Default::default()
        };
        let options = msl::Options {
            lang_version: (2, 4),
            ..Default::default()
        };
        let (_, translated) = msl::write_string(module, info, &options, &pipeline)
            .map_err(|e| format!("MSL: {e}"))?;
        for name in translated.entry_point_names {
            name.map_err(|e| format!("MSL: {e}"))?;
        }

        let pipeline = hlsl::PipelineOptions {
            entry_point: Some((stage, entry.to_owned())),
        };
        let options = hlsl::Options {
            shader_model: hlsl::ShaderModel::V6_0,
            ..Default::default()
        };
        let mut text = String::new();
        let translated = hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(module, info, None)
            .map_err(|e| format!("HLSL: {e}"))?;
        for name in translated.entry_point_names {
            name.map_err(|e| format!("HLSL: {e}"))?;
        }
        Ok(())
    }
}

/// Everything that is wrong with one kernel.
fn faults(pipeline: &Pipeline, tiling: Tiling) -> Vec<String> {
    // One tiling is made for subgroups; the others run where there are none.
    let capabilities = match tiling {
        Tiling::Cpu { .. } => Capabilities::SUBGROUP,
        Tiling::Portable | Tiling::Large => Capabilities::empty(),
    };
    let shader = match Shader::new(pipeline.source(), capabilities) {
        Ok(shader) => shader,
        Err(fault) => return vec![fault],
    };
    let mut faults = lints::faults(&shader, pipeline.entry());
    faults.extend(shader.write(pipeline.entry()).err());
    faults
}

fn check_every_permutation(tiling: Tiling) {
    let gpu = Gpu::null();
    let compiler = Compiler::new(&gpu, tiling);
    let mut seen = HashSet::new();
    let mut wrong = Vec::new();
    for permutation in permutations::table() {
        let what = format!("{} of {} ({tiling})", permutation.name, permutation.shape);
        let recipe = match permutation.build(&compiler) {
            Ok(recipe) => recipe,
            Err(error) => {
                wrong.push(format!("{what}: {error}"));
                continue;
            }
        };
        for (kernel, bindings) in &recipe.stages {
            let pipeline = &kernel.pipeline;
            assert!(
                kernel.grid.iter().all(|&n| (1..=MAX_GRID).contains(&n)),
                "{what}: {} has a grid of {:?}",
                pipeline.name(),
                kernel.grid
            );
            assert!(
                kernel.cost.bytes > 0.0 && kernel.cost.flops >= 0.0,
                "{what}: {} does not say what it costs",
                pipeline.name()
            );
            let key = (pipeline.entry().to_owned(), pipeline.source().to_owned());
            if !seen.insert(key) {
                continue;
            }
            let bound = pipeline.source().matches("@group(0) @binding(").count();
            assert_eq!(bindings.len(), bound, "{what}: {} binds", pipeline.name());
            for fault in faults(pipeline, tiling) {
                wrong.push(format!("{what}: {}: {fault}", pipeline.name()));
            }
        }
    }
    eprintln!("{} kernels with the tiling {tiling}", seen.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_permutation_is_portable() {
    std::thread::scope(|scope| {
        for tiling in Tiling::ALL {
            scope.spawn(move || check_every_permutation(tiling));
        }
    });
}

#[test]
fn the_null_device_refuses_what_does_not_compile() {
    let gpu = Gpu::null();
    let compile = |source: &str| Pipeline::new("test", source, "main").compile(&gpu);
    assert!(compile("@compute @workgroup_size(1) fn main() {}").is_ok());
    assert!(compile("@compute @workgroup_size(1) fn main() { let x = nothing; }").is_err());
    assert!(compile("@compute @workgroup_size(257) fn main() {}").is_err());
}
