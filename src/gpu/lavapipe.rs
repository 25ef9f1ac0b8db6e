//! Compiling on all cores for Mesa's software driver.
//!
//! It keeps a cache of its own, but compiles a shader only when it is first dispatched, one after
//! the other: [`fill`] has it compile them side by side.

use super::pipeline::{Binding, Dispatch};
use super::{AdapterClass, Gpu, texture};
use crate::panics::caught;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Hears how many of how many shaders are compiled, from any thread.
pub type CompileWatch = dyn Fn(usize, usize) + Send + Sync;

/// A shader that compiles in less time came from the driver's cache.
const CACHED: Duration = Duration::from_millis(60);

/// Has lavapipe compile the shaders of `dispatches`, the longest of which comes first.
///
/// It compiles on the thread of a device's queue and keeps the result on disk, where all
/// devices find it. So every core opens a device of its own and dispatches its share of the
/// shaders, with a grid of zero workgroups on memory that nothing reads. This is an
/// acceleration only: what goes wrong here is found again when the real device compiles.
pub(super) fn fill(gpu: &Gpu, dispatches: &[&Dispatch], watch: &CompileWatch) {
    let compiles_late = gpu.class() == AdapterClass::Software
        && gpu.report.driver.starts_with("llvmpipe")
        && std::env::var_os("MESA_SHADER_CACHE_DISABLE").is_none();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if !compiles_late || cores < 2 || dispatches.len() < 2 * cores {
        return;
    }
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let cached = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let Ok(Some(worker)) = caught(|| Worker::open(gpu)) else {
                    return;
                };
                while !cached.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(dispatch) = dispatches.get(index) else {
                        return;
                    };
                    let begun = Instant::now();
                    // A device that is lost, a driver that refuses: the real one will say so.
                    if caught(|| worker.compile(gpu, dispatch)).is_err() {
                        return;
                    }
                    if index == 0 && begun.elapsed() < CACHED {
                        cached.store(true, Ordering::Relaxed);
                        return;
                    }
                    watch(done.fetch_add(1, Ordering::Relaxed) + 1, dispatches.len());
                }
            });
        }
    });
}

/// A device beside the program's own.
struct Worker {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// Something to bind: a shader's bindings must be different buffers and textures.
    buffers: Vec<wgpu::Buffer>,
    textures: Vec<wgpu::TextureView>,
}

impl Worker {
    /// As many bindings as any kernel has.
    const BINDINGS: usize = 16;
    /// As many textures.
    const TEXTURES: usize = 4;

    fn open(gpu: &Gpu) -> Option<Self> {
        let (device, queue) = gpu.second_device()?;
        // Errors are the real device's to report.
        device.on_uncaptured_error(std::sync::Arc::new(|_| ()));
        let buffers = (0..Self::BINDINGS)
            .map(|_| {
                device.create_buffer(&wgpu::BufferDescriptor {
                    label: None,
                    size: 4096,
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM,
                    mapped_at_creation: false,
                })
            })
            .collect();
        let textures = (0..Self::TEXTURES)
            .map(|_| texture::create(&device, "memory to bind", 1, 1))
            .collect();
        Some(Self {
            device,
            queue,
            buffers,
            textures,
        })
    }

    fn compile(&self, gpu: &Gpu, dispatch: &Dispatch) {
        let compiled = dispatch.pipeline.compile_on(gpu, &self.device, None);
        let (mut buffers, mut textures) = (self.buffers.iter(), self.textures.iter());
        let resources = dispatch.bindings().iter().map_while(|bound| match bound {
            Binding::Buffer(_) => Some(buffers.next()?.as_entire_binding()),
            Binding::Texture(_) => Some(wgpu::BindingResource::TextureView(textures.next()?)),
        });
        let entries: Vec<wgpu::BindGroupEntry> = resources
            .zip(0..)
            .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let bind_group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &compiled.layout,
            entries: &entries,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&compiled.pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(0, 0, 0);
        drop(pass);
        self.queue.submit([encoder.finish()]);
        let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
    }
}
