//! Compiled shaders, and shaders bound to buffers.

use super::{Gpu, GpuError, View};
use std::sync::Arc;

/// A compiled compute shader. Clones share it.
#[derive(Debug, Clone)]
pub struct Pipeline {
    inner: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    name: Arc<str>,
    entry: Arc<str>,
    source: Arc<str>,
}

/// A pipeline with its buffers bound and its grid fixed: all that a step has to replay.
#[derive(Debug, Clone)]
pub struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    grid: [u32; 3],
    /// Name of the kernel and of the layer it works for, as profiles show it.
    pub label: Arc<str>,
}

impl Pipeline {
    /// Compiles the entry point `entry` of the WGSL text `source`. The bindings are taken
    /// from the text: group 0, numbered from 0 without gaps.
    ///
    /// # Errors
    /// [`GpuError::Compile`].
    pub fn compile(gpu: &Gpu, name: &str, source: &str, entry: &str) -> Result<Self, GpuError> {
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = gpu.shader_module(name, source);
        let inner = gpu
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Every kernel writes workgroup memory before it reads it.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            });
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(GpuError::Compile {
                kernel: name.to_owned(),
                adapter: gpu.report.name.clone(),
                reason: error.to_string(),
            });
        }
        Ok(Self {
            layout: inner.get_bind_group_layout(0),
            inner,
            name: name.into(),
            entry: entry.into(),
            source: source.into(),
        })
    }

    /// Name of the kernel, as profiles and errors show it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of the entry point.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// The WGSL text that was compiled.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Binds `views` to bindings 0, 1, … and fixes the grid (in workgroups).
    ///
    /// # Errors
    /// [`GpuError::Compile`] when the views do not fit the shader's bindings: a defect.
    pub fn bind(
        &self,
        gpu: &Gpu,
        views: &[View],
        grid: [u32; 3],
        label: &str,
    ) -> Result<Dispatch, GpuError> {
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let entries: Vec<wgpu::BindGroupEntry> = views
            .iter()
            .zip(0..)
            .map(|(view, binding)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &view.buffer,
                    offset: view.offset,
                    size: std::num::NonZeroU64::new(view.bytes),
                }),
            })
            .collect();
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &self.layout,
            entries: &entries,
        });
        let refused = |reason: String| GpuError::Compile {
            kernel: format!("{} for {label}", self.name),
            adapter: gpu.report.name.clone(),
            reason,
        };
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(refused(error.to_string()));
        }
        if grid.iter().any(|&n| n > 65_535) {
            return Err(refused(format!(
                "a grid of {grid:?} workgroups; 65535 is the most"
            )));
        }
        Ok(Dispatch {
            pipeline: self.inner.clone(),
            bind_group,
            grid,
            label: format!("{}: {label}", self.name).into(),
        })
    }
}

impl Dispatch {
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.grid;
        if x == 0 || y == 0 || z == 0 {
            return;
        }
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}
