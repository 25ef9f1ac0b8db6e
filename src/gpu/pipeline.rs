//! Compute shaders, and shaders with their memory.

use super::{Gpu, GpuError, Texture, View};
use std::sync::{Arc, OnceLock};

/// Most workgroups along an axis of a grid: what WebGPU promises.
pub const MAX_GRID: u32 = 65_535;

/// A compute shader that is compiled when it is first needed. Clones share it.
///
/// Making a pipeline costs nothing: a step's pipelines are first named, all of them, and then
/// compiled together on all cores ([`super::Tape::prepare`]).
#[derive(Debug, Clone)]
pub struct Pipeline(Arc<Shader>);

#[derive(Debug)]
struct Shader {
    name: String,
    entry: String,
    source: String,
    compiled: OnceLock<Compiled>,
}

#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// What a kernel binds.
#[derive(Debug, Clone)]
pub enum Binding {
    /// A range of a buffer.
    Buffer(View),
    /// A texture.
    Texture(Texture),
}

impl Binding {
    fn resource(&self) -> wgpu::BindingResource<'_> {
        match self {
            Binding::Buffer(view) => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &view.buffer,
                offset: view.offset,
                size: std::num::NonZeroU64::new(view.bytes),
            }),
            Binding::Texture(texture) => wgpu::BindingResource::TextureView(&texture.view),
        }
    }
}

/// A pipeline with its memory and its grid: all that a step has to replay. Clones share what
/// the driver made of it.
#[derive(Debug, Clone)]
pub struct Dispatch {
    pub(super) pipeline: Pipeline,
    bindings: Arc<[Binding]>,
    bind_group: Arc<OnceLock<wgpu::BindGroup>>,
    grid: [u32; 3],
    /// Whom it works for, in the words of who bound it: a layer, a part of a step.
    pub owner: Arc<str>,
}

impl Pipeline {
    /// The entry point `entry` of the WGSL text `source`. The bindings are taken from the text:
    /// group 0, numbered from 0 without gaps.
    pub fn new(name: &str, source: &str, entry: &str) -> Self {
        Self(Arc::new(Shader {
            name: name.to_owned(),
            entry: entry.to_owned(),
            source: source.to_owned(),
            compiled: OnceLock::new(),
        }))
    }

    /// Compiles the shader, unless that was done before.
    ///
    /// # Errors
    /// [`GpuError::Compile`] where the driver refuses the shader.
    pub fn compile(&self, gpu: &Gpu) -> Result<(), GpuError> {
        self.compiled(gpu).map(|_| ())
    }

    /// Whether nothing is left for [`Pipeline::compile`] to do.
    pub fn is_compiled(&self) -> bool {
        self.0.compiled.get().is_some()
    }

    fn compiled(&self, gpu: &Gpu) -> Result<&Compiled, GpuError> {
        if let Some(compiled) = self.0.compiled.get() {
            return Ok(compiled);
        }
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let compiled = self.compile_on(gpu, &gpu.device, gpu.pipeline_cache());
        if let Some(error) = pollster::block_on(scope.pop()) {
            // What spoils a pipeline may be a device that is gone: that is no defect of a kernel.
            gpu.check()?;
            gpu.poll(wgpu::PollType::Poll)?;
            return Err(GpuError::Compile {
                kernel: self.name().to_owned(),
                adapter: gpu.report.name.clone(),
                reason: error.to_string(),
            });
        }
        // Of two threads that compile the same shader at once the second one's work is lost.
        Ok(self.0.compiled.get_or_init(|| compiled))
    }

    /// Compiles the shader for any device of the adapter; errors go to the device's scope.
    pub(super) fn compile_on(
        &self,
        gpu: &Gpu,
        device: &wgpu::Device,
        cache: Option<&wgpu::PipelineCache>,
    ) -> Compiled {
        let module = gpu.shader_module(device, self.name(), self.source());
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(self.name()),
            layout: None,
            module: &module,
            entry_point: Some(self.entry()),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every kernel writes workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache,
        });
        let layout = pipeline.get_bind_group_layout(0);
        Compiled { pipeline, layout }
    }

    /// Name of the kernel, as profiles and errors show it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The stem of the shader's file: the name without the entry point.
    pub fn kernel(&self) -> &str {
        let stem = self.name().strip_suffix(self.entry());
        stem.map_or(self.name(), |stem| stem.trim_end_matches('.'))
    }

    /// Name of the entry point.
    pub fn entry(&self) -> &str {
        &self.0.entry
    }

    /// The WGSL text.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether two handles name the same shader.
    pub(super) fn is(&self, other: &Pipeline) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Puts `bindings` at 0, 1, … and fixes the grid (in workgroups).
    ///
    /// # Errors
    /// [`GpuError::Compile`] when the grid is larger than WebGPU allows: a defect.
    pub fn bind(
        &self,
        gpu: &Gpu,
        bindings: &[Binding],
        grid: [u32; 3],
        owner: &str,
    ) -> Result<Dispatch, GpuError> {
        if grid.iter().any(|&n| n > MAX_GRID) {
            return Err(GpuError::Compile {
                kernel: format!("{} for {owner}", self.name()),
                adapter: gpu.report.name.clone(),
                reason: format!("a grid of {grid:?} workgroups; 65535 is the most"),
            });
        }
        Ok(Dispatch {
            pipeline: self.clone(),
            bindings: bindings.into(),
            bind_group: Arc::default(),
            grid,
            owner: owner.into(),
        })
    }
}

impl Dispatch {
    /// The shader.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Workgroups along each axis.
    pub fn grid(&self) -> [u32; 3] {
        self.grid
    }

    /// What is bound, at 0, 1, …
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Compiles the pipeline and binds the memory, unless that was done before.
    ///
    /// # Errors
    /// [`GpuError::Compile`], also when the bindings do not fit the shader's bindings: a defect.
    pub(super) fn prepare(&self, gpu: &Gpu) -> Result<(), GpuError> {
        if self.bind_group.get().is_some() {
            return Ok(());
        }
        let compiled = self.pipeline.compiled(gpu)?;
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let entries: Vec<wgpu::BindGroupEntry> = self
            .bindings
            .iter()
            .zip(0..)
            .map(|(bound, binding)| wgpu::BindGroupEntry {
                binding,
                resource: bound.resource(),
            })
            .collect();
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&self.owner),
            layout: &compiled.layout,
            entries: &entries,
        });
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(GpuError::Compile {
                kernel: format!("{} for {}", self.pipeline.name(), self.owner),
                adapter: gpu.report.name.clone(),
                reason: error.to_string(),
            });
        }
        self.bind_group.get_or_init(|| bind_group);
        Ok(())
    }

    /// Records a dispatch that was prepared.
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.grid;
        let (Some(compiled), Some(bind_group)) =
            (self.pipeline.0.compiled.get(), self.bind_group.get())
        else {
            debug_assert!(false, "{} is not prepared", self.pipeline.name());
            return;
        };
        if x == 0 || y == 0 || z == 0 {
            return;
        }
        pass.set_pipeline(&compiled.pipeline);
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}
