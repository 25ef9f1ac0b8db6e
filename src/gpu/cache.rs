//! What drivers make of shaders, kept from run to run.
//!
//! Vulkan drivers hand out what they compiled as bytes: `PipelineCache` keeps those in the
//! user's cache folder. Mesa's software driver keeps a cache of its own and hands out nothing,
//! but compiles a shader only when it is first dispatched, one after the other: `fill` has it
//! compile on all cores.

use super::pipeline::{Binding, Dispatch};
use super::tape::CompileWatch;
use super::{AdapterClass, Gpu, texture};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The folder for what is cheap to make again: `AUTOREP_CACHE_DIR`, or `autorep` in the user's
/// cache folder. `None` where there is no such folder.
pub fn folder() -> Option<PathBuf> {
    match std::env::var_os("AUTOREP_CACHE_DIR") {
        Some(folder) if folder.is_empty() => None,
        Some(folder) => Some(folder.into()),
        None => Some(dirs::cache_dir()?.join("autorep")),
    }
}

/// Writes a file of the cache folder, whole or not at all.
///
/// # Errors
/// Those of the file system: the caller can do without the file.
pub fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.persist(file)?;
    Ok(())
}

/// The driver's compiled pipelines, in a file per kind of adapter.
pub(super) struct PipelineCache {
    pub(super) inner: wgpu::PipelineCache,
    file: PathBuf,
}

impl PipelineCache {
    /// Opens the cache of the adapter, where the backend has one and there is a folder for it.
    pub(super) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Option<Self> {
        let name = wgpu::util::pipeline_cache_key(info)?;
        let file = folder()?.join(name);
        let data = std::fs::read(&file).ok().and_then(|bytes| unseal(&bytes));
        // SAFETY: the bytes are what `get_data` returned: their checksum says so. The driver
        // refuses those of another version or device by the header they begin with.
        #[expect(unsafe_code, reason = "wgpu cannot tell whose bytes these are")]
        let inner = unsafe {
            device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                label: Some("pipelines"),
                data: data.as_deref(),
                fallback: true,
            })
        };
        Some(Self { inner, file })
    }

    /// Writes the cache. A file that cannot be written is only slower the next time.
    pub(super) fn save(&self) {
        let Some(data) = self.inner.get_data() else {
            return;
        };
        if let Err(error) = write(&self.file, &seal(&data)) {
            log::debug!("{}: {error}", self.file.display());
        }
    }
}

/// `data` behind its checksum.
fn seal(data: &[u8]) -> Vec<u8> {
    let mut bytes = crc32c::crc32c(data).to_le_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes
}

/// What [`seal`] was given, unless the bytes were damaged.
fn unseal(bytes: &[u8]) -> Option<Vec<u8>> {
    let (sum, data) = bytes.split_first_chunk()?;
    (u32::from_le_bytes(*sum) == crc32c::crc32c(data)).then(|| data.to_vec())
}

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
                let Some(worker) = Worker::open(gpu) else {
                    return;
                };
                while !cached.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(dispatch) = dispatches.get(index) else {
                        return;
                    };
                    let begun = Instant::now();
                    worker.compile(gpu, dispatch);
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

#[cfg(test)]
mod tests {
    use super::{seal, unseal};

    #[test]
    fn damaged_bytes_are_not_given_to_a_driver() {
        let sealed = seal(b"compiled");
        assert_eq!(unseal(&sealed).as_deref(), Some(b"compiled".as_slice()));
        for byte in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[byte] ^= 1;
            assert_eq!(unseal(&damaged), None);
        }
        assert_eq!(unseal(&sealed[..sealed.len() - 1]), None);
        assert_eq!(unseal(&[]), None);
    }
}
