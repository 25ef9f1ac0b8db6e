//! Expands WGSL templates and names pipelines, each distinct text once.
//!
//! The template step is minijinja with its ordinary syntax: `{{ value }}`, `{% for %}`,
//! `{% if %}`, `{% include "common/…" %}`. `autorep shaders` prints expansions.

use super::Preset;
use super::tuning::Tuner;
use crate::gpu::{CompileWatch, Gpu, GpuError, Pipeline, Tape, Texture};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};

macro_rules! shader {
    ($name:literal) => {
        ($name, include_str!(concat!("../../shaders/", $name)))
    };
}

/// Every template by file name, as it lies under `shaders/`.
pub const SOURCES: &[(&str, &str)] = &[
    shader!("common/fit.wgsl"),
    shader!("common/plane.wgsl"),
    shader!("common/random.wgsl"),
    shader!("common/step.wgsl"),
    shader!("common/stream.wgsl"),
    shader!("common/subgroup.wgsl"),
    shader!("add.wgsl"),
    shader!("augment.wgsl"),
    shader!("batch_norm.wgsl"),
    shader!("conv2d_grouped.wgsl"),
    shader!("conv2d_subgroup.wgsl"),
    shader!("conv2d_subgroup_pack.wgsl"),
    shader!("conv2d_subgroup_scatter.wgsl"),
    shader!("conv2d_subgroup_stem.wgsl"),
    shader!("conv2d_subgroup_sum.wgsl"),
    shader!("conv2d_subgroup_texture.wgsl"),
    shader!("conv2d_subgroup_weight.wgsl"),
    shader!("conv2d_tiled.wgsl"),
    shader!("dapa.wgsl"),
    shader!("dropout.wgsl"),
    shader!("gate.wgsl"),
    shader!("indicator.wgsl"),
    shader!("linear.wgsl"),
    shader!("loss.wgsl"),
    shader!("max_pool.wgsl"),
    shader!("metrics.wgsl"),
    shader!("optimizer.wgsl"),
    shader!("pool.wgsl"),
    shader!("roofline.wgsl"),
    shader!("scale.wgsl"),
    shader!("sigmoid.wgsl"),
    shader!("squares.wgsl"),
];

/// Turns a template and constants into a pipeline.
pub struct Compiler<'g> {
    /// The device that pipelines are made for.
    pub gpu: &'g Gpu,
    /// The tiling that families choose their constants by.
    pub preset: Preset,
    templates: Arc<minijinja::Environment<'static>>,
    watch: Arc<CompileWatch>,
    tuner: Option<Arc<Tuner>>,
    /// By entry point and text.
    pipelines: Arc<Mutex<HashMap<(String, String), Pipeline>>>,
    /// By role and size.
    textures: Arc<Mutex<HashMap<(&'static str, u64), Texture>>>,
}

/// The template environment that holds all of [`SOURCES`], each as `edit` returns it given
/// its name and text.
fn templates(edit: impl Fn(&str, &str) -> String) -> minijinja::Environment<'static> {
    let mut environment = minijinja::Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.set_syntax(
        minijinja::syntax::SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()
            .unwrap_or_default(),
    );
    for (name, source) in SOURCES {
        // The sources are part of the program: a test expands every one of them.
        environment
            .add_template_owned(*name, edit(name, source))
            .unwrap_or_else(|error| panic!("shaders/{name}: {error}"));
    }
    environment
}

impl<'g> Compiler<'g> {
    /// A compiler for `gpu` with tiles of `preset`.
    pub fn new(gpu: &'g Gpu, preset: Preset) -> Self {
        Self::with_edited_sources(gpu, preset, |_, source| source.to_owned())
    }

    /// A compiler that expands every template as `edit` returns it, given its name and text:
    /// a test sets marks in them.
    ///
    /// # Panics
    /// Where the edited text is no template.
    pub fn with_edited_sources(
        gpu: &'g Gpu,
        preset: Preset,
        edit: impl Fn(&str, &str) -> String,
    ) -> Self {
        Self {
            gpu,
            preset,
            templates: Arc::new(templates(edit)),
            watch: Arc::new(|_, _| ()),
            tuner: None,
            pipelines: Arc::default(),
            textures: Arc::default(),
        }
    }

    /// The same compiler with tiles of another preset. What one of the two has compiled the
    /// other need not compile again.
    pub fn with_preset(&self, preset: Preset) -> Self {
        Self {
            gpu: self.gpu,
            preset,
            templates: Arc::clone(&self.templates),
            watch: Arc::clone(&self.watch),
            tuner: self.tuner.clone(),
            pipelines: Arc::clone(&self.pipelines),
            textures: Arc::clone(&self.textures),
        }
    }

    /// Expands the template `file` with `constants`.
    ///
    /// # Errors
    /// [`GpuError::Compile`] when the template asks for a constant that is not given.
    pub fn expand(&self, file: &str, constants: &minijinja::Value) -> Result<String, GpuError> {
        let refused = |error: minijinja::Error| GpuError::Compile {
            kernel: file.to_owned(),
            adapter: self.gpu.report.name.clone(),
            reason: format!("{error:#}"),
        };
        let template = self.templates.get_template(file).map_err(refused)?;
        template.render(constants).map_err(refused)
    }

    /// The pipeline of entry point `entry` of template `file` under `constants`.
    ///
    /// # Errors
    /// [`GpuError::Compile`].
    pub fn pipeline(
        &self,
        file: &str,
        entry: &str,
        constants: minijinja::Value,
    ) -> Result<Pipeline, GpuError> {
        let source = self.expand(file, &constants)?;
        let key = (entry.to_owned(), source);
        if let Some(pipeline) = self.pipelines().get(&key) {
            return Ok(pipeline.clone());
        }
        let stem = file.trim_end_matches(".wgsl");
        let pipeline = Pipeline::new(&format!("{stem}.{entry}"), &key.1, entry);
        self.pipelines().insert(key, pipeline.clone());
        Ok(pipeline)
    }

    /// A texture of at least `texels` texels for scratch memory of the kind `role`. Recipes of
    /// about the same size share it: a recipe runs as a whole, one after the other.
    ///
    /// # Errors
    /// As [`Gpu::allocate_texture`].
    pub fn texture(&self, role: &'static str, texels: u64) -> Result<Texture, GpuError> {
        let texels = texels.next_power_of_two().max(Texture::WIDTH);
        let mut textures = self.textures.lock().unwrap_or_else(|e| e.into_inner());
        match textures.entry((role, texels)) {
            Entry::Occupied(entry) => Ok(entry.get().clone()),
            Entry::Vacant(entry) => {
                let texture = self.gpu.allocate_texture(role, texels)?;
                Ok(entry.insert(texture).clone())
            }
        }
    }

    /// Bytes of the textures so far.
    pub fn texture_bytes(&self) -> u64 {
        let textures = self.textures.lock().unwrap_or_else(|e| e.into_inner());
        16 * textures.values().map(Texture::texels).sum::<u64>()
    }

    /// The same compiler with textures of its own.
    pub fn apart(&self) -> Self {
        Self {
            textures: Arc::default(),
            ..self.with_preset(self.preset)
        }
    }

    /// The same compiler, telling `watch` how far [`Compiler::prepare`] has come.
    pub fn watched(self, watch: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        Self {
            watch: Arc::new(watch),
            ..self
        }
    }

    /// The same compiler, whose families let `tuner` choose among their variants.
    pub fn tuned(self, tuner: impl Into<Option<Tuner>>) -> Self {
        Self {
            tuner: tuner.into().map(Arc::new),
            ..self
        }
    }

    pub(super) fn tuner(&self) -> Option<&Tuner> {
        self.tuner.as_deref()
    }

    /// Compiles all that `tapes` need; see [`Tape::prepare`].
    ///
    /// # Errors
    /// [`GpuError::Compile`].
    pub fn prepare(&self, tapes: &[Tape]) -> Result<(), GpuError> {
        let prepare = |tape: &Tape| tape.prepare(self.gpu, &*self.watch);
        tapes.iter().try_for_each(prepare)
    }

    fn pipelines(&self) -> MutexGuard<'_, HashMap<(String, String), Pipeline>> {
        self.pipelines.lock().unwrap_or_else(|e| e.into_inner())
    }
}
