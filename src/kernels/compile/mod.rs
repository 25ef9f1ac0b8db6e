//! Expands WGSL templates and names pipelines, each distinct text once.
//!
//! The template step is minijinja with its ordinary syntax: `{{ value }}`, `{% for %}`,
//! `{% if %}`, `{% include "common/…" %}`. `autorep shaders` prints expansions.

pub mod recipe;
mod stream;
pub mod tiling;
pub mod tuning;

use crate::gpu::{CompileWatch, Gpu, GpuError, Pipeline, Tape, Texture};
pub use recipe::{Arg, Cost, Kernel, Recipe, Size};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
pub(super) use stream::{MAX_GRID, Stream, vector_width};
pub use tiling::Tiling;
use tuning::Tuner;

/// A WGSL template: a file of `shaders/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Its path there.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
}

impl Template {
    /// What profiles and errors call its kernels, before the entry point: `conv2d_tiled`.
    pub fn stem(&self) -> String {
        self.file.trim_end_matches(".wgsl").replace('/', "_")
    }
}

/// The [`Template`] of a file, by its path below `shaders/`.
macro_rules! template {
    ($file:literal) => {
        $crate::kernels::compile::Template {
            file: $file,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $file)),
        }
    };
}
pub(super) use template;

/// What other templates include.
pub const COMMON: &[Template] = &[
    template!("common/finite.wgsl"),
    template!("common/fit.wgsl"),
    template!("common/plane.wgsl"),
    template!("common/random.wgsl"),
    template!("common/step.wgsl"),
    template!("common/stream.wgsl"),
    template!("common/subgroup.wgsl"),
    template!("common/tile.wgsl"),
    template!("common/worth.wgsl"),
];

/// Turns a template and constants into a pipeline.
pub struct Compiler<'g> {
    /// The device that pipelines are made for.
    pub gpu: &'g Gpu,
    /// The tiling that families choose their constants by.
    pub tiling: Tiling,
    environment: Arc<Environment>,
    watch: Arc<CompileWatch>,
    tuner: Option<Arc<Tuner>>,
    /// By entry point and text.
    pipelines: Arc<Mutex<HashMap<(String, String), Pipeline>>>,
    /// By role and size.
    textures: Arc<Mutex<HashMap<(&'static str, u64), Texture>>>,
}

/// What becomes of a template's text before it is expanded, given its file and text.
type Edit = dyn Fn(&str, &str) -> String + Send + Sync;

/// The templates that were asked for so far, and those that they include.
struct Environment {
    templates: RwLock<minijinja::Environment<'static>>,
    edit: Box<Edit>,
}

impl Environment {
    fn new(edit: Box<Edit>) -> Self {
        let mut templates = minijinja::Environment::new();
        templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        templates.set_syntax(
            minijinja::syntax::SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .keep_trailing_newline(true)
                .build()
                .unwrap_or_default(),
        );
        let environment = Self {
            templates: RwLock::new(templates),
            edit,
        };
        for &template in COMMON {
            // They are part of the program: a test expands every one of them.
            environment
                .add(template)
                .unwrap_or_else(|error| panic!("shaders/{}: {error}", template.file));
        }
        environment
    }

    fn add(&self, Template { file, text }: Template) -> Result<(), minijinja::Error> {
        let text = (self.edit)(file, text);
        let mut templates = self.templates.write().unwrap_or_else(|e| e.into_inner());
        templates.add_template_owned(file, text)
    }

    fn expand(
        &self,
        template: Template,
        constants: &minijinja::Value,
    ) -> Result<String, minijinja::Error> {
        let templates = || self.templates.read().unwrap_or_else(|e| e.into_inner());
        let is_new = templates().get_template(template.file).is_err();
        if is_new {
            self.add(template)?;
        }
        templates().get_template(template.file)?.render(constants)
    }
}

impl<'g> Compiler<'g> {
    /// A compiler for `gpu` of `tiling`.
    pub fn new(gpu: &'g Gpu, tiling: Tiling) -> Self {
        Self::with_edited_sources(gpu, tiling, |_, source| source.to_owned())
    }

    /// A compiler that expands every template as `edit` returns it, given its file and text:
    /// a test sets marks in them.
    ///
    /// # Panics
    /// Where the edited text of what others include is no template.
    pub fn with_edited_sources(
        gpu: &'g Gpu,
        tiling: Tiling,
        edit: impl Fn(&str, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            gpu,
            tiling,
            environment: Arc::new(Environment::new(Box::new(edit))),
            watch: Arc::new(|_, _| ()),
            tuner: None,
            pipelines: Arc::default(),
            textures: Arc::default(),
        }
    }

    /// The same compiler of another tiling. What one of the two has compiled the
    /// other need not compile again.
    pub fn with_tiling(&self, tiling: Tiling) -> Self {
        Self {
            gpu: self.gpu,
            tiling,
            environment: Arc::clone(&self.environment),
            watch: Arc::clone(&self.watch),
            tuner: self.tuner.clone(),
            pipelines: Arc::clone(&self.pipelines),
            textures: Arc::clone(&self.textures),
        }
    }

    /// The pipeline of entry point `entry` of `template` under `constants`.
    ///
    /// # Errors
    /// [`GpuError::Compile`] when the template asks for a constant that is not given: a defect.
    pub fn pipeline(
        &self,
        template: Template,
        entry: &str,
        constants: minijinja::Value,
    ) -> Result<Pipeline, GpuError> {
        let expanded = self.environment.expand(template, &constants);
        let source = expanded.map_err(|error| GpuError::Compile {
            kernel: template.file.to_owned(),
            adapter: self.gpu.report.name.clone(),
            reason: format!("{error:#}"),
        })?;
        let key = (entry.to_owned(), source);
        if let Some(pipeline) = self.pipelines().get(&key) {
            return Ok(pipeline.clone());
        }
        let name = format!("{}.{entry}", template.stem());
        let pipeline = Pipeline::new(&name, &key.1, entry);
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
            ..self.with_tiling(self.tiling)
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

    /// One of `variants`, of which the first is the rule's choice; see [`Tuner::choose`].
    ///
    /// # Errors
    /// As [`Tuner::choose`].
    pub(super) fn choose<V: Copy + Display>(
        &self,
        question: &str,
        variants: &[V],
        lengths: &[usize],
        build: impl Fn(V) -> Result<Recipe, GpuError>,
    ) -> Result<V, GpuError> {
        match &self.tuner {
            None => Ok(variants[0]),
            Some(tuner) => tuner.choose(self.gpu, question, variants, lengths, build),
        }
    }

    /// Compiles all that `tapes` need; see [`Tape::prepare`].
    ///
    /// # Errors
    /// [`GpuError::Compile`] where the driver refuses the shader.
    pub fn prepare(&self, tapes: &[Tape]) -> Result<(), GpuError> {
        let prepare = |tape: &Tape| tape.prepare(self.gpu, &*self.watch);
        tapes.iter().try_for_each(prepare)
    }

    fn pipelines(&self) -> MutexGuard<'_, HashMap<(String, String), Pipeline>> {
        self.pipelines.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_tuner_the_rule_chooses() {
        let gpu = Gpu::null();
        let choose = |compiler: Compiler| {
            let recipe = |_| Ok(Recipe::default());
            compiler.choose("which", &[7, 8, 9], &[4], recipe).unwrap()
        };
        let compiler = Compiler::new(&gpu, Tiling::Portable);
        assert_eq!(choose(compiler.apart()), 7);
        assert_eq!(choose(compiler.tuned(Tuner::Nth(1))), 8);
    }
}
