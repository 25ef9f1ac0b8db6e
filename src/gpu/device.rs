//! An opened device: creation, checked allocation, and errors as values.

use super::adapter::{self, AdapterChoice, AdapterClass, AdapterReport};
use super::buffer::{Buffer, Contents};
use super::cache::PipelineCache;
use super::{GpuError, View};
use crate::panics::caught;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Most bytes of a single write: a write takes staging memory of its size, in one piece.
const WRITE_BYTES: usize = 16 << 20;

/// Most bytes of writes that wait for a submission. Where the host sees little of the device's
/// memory (256 MiB without Resizable BAR) they would fill it.
const PENDING_BYTES: u64 = 64 << 20;

/// An opened device with its queue.
///
/// The program never lets wgpu panic: errors that no scope catches (device loss, driver
/// faults) are kept and handed out by [`Gpu::check`].
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    /// What is known about the adapter.
    pub report: AdapterReport,
    pub(super) timestamps: bool,
    fault: Arc<Mutex<Option<String>>>,
    checked_shaders: bool,
    /// Bytes written since the last submission.
    pending: AtomicU64,
    /// Whether buffers have a size and nothing else, see [`Gpu::planner`].
    hollow: bool,
    /// What it takes to open the device a second time; the null device cannot be.
    origin: Option<(wgpu::Adapter, wgpu::DeviceDescriptor<'static>)>,
    pipeline_cache: Option<PipelineCache>,
}

impl Gpu {
    /// Opens the adapter that `choice` means with the features it has among those that the
    /// program can use: subgroup operations, timestamps, and a cache of compiled pipelines. Where it
    /// names none, adapters that do not open are passed over.
    ///
    /// # Errors
    /// No adapter, no such adapter, or an adapter that does not open.
    pub fn open(choice: &AdapterChoice) -> Result<Self, GpuError> {
        adapter::first_that_opens(adapter::candidates(choice)?, Self::open_adapter)
    }

    fn open_adapter(adapter: wgpu::Adapter) -> Result<Self, GpuError> {
        let report = adapter::report(0, &adapter);
        let useful = wgpu::Features::SUBGROUP
            | wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::PIPELINE_CACHE;
        let features = adapter.features() & useful;
        let available = adapter.limits();
        let portable = adapter::portable_limits();
        let limits = wgpu::Limits {
            max_buffer_size: available.max_buffer_size,
            max_storage_buffer_binding_size: available.max_storage_buffer_binding_size,
            min_storage_buffer_offset_alignment: portable.min_storage_buffer_offset_alignment,
            ..portable
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("autorep"),
            required_features: features,
            required_limits: limits,
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| {
                GpuError::Open {
                    adapter: report.name.clone(),
                    reason: error.to_string(),
                }
            })?;
        let cached = features.contains(wgpu::Features::PIPELINE_CACHE);
        let pipeline_cache = cached
            .then(|| PipelineCache::open(&device, &adapter.get_info()))
            .flatten();
        Ok(Self {
            origin: Some((adapter, descriptor)),
            pipeline_cache,
            ..Self::new(device, queue, features, report)
        })
    }

    /// A device without an adapter: it refuses what any adapter with the portable limits
    /// would refuse, makes pipelines and bind groups, and does nothing when they are
    /// dispatched. What lists and checks kernels works without a GPU, and for subgroups of
    /// sizes that no adapter at hand has.
    pub fn null() -> Self {
        let limits = adapter::portable_limits();
        let features = wgpu::Features::SUBGROUP;
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor {
            label: Some("autorep"),
            required_features: features,
            required_limits: limits.clone(),
            ..Default::default()
        });
        let report = AdapterReport {
            index: 0,
            name: "null".to_owned(),
            backend: "noop".to_owned(),
            class: AdapterClass::Software,
            driver: "none".to_owned(),
            subgroup: None,
            timestamps: false,
            f16: false,
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            max_buffer_bytes: limits.max_buffer_size,
            workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
            workgroup_invocations: limits.max_compute_invocations_per_workgroup,
            storage_buffers: limits.max_storage_buffers_per_shader_stage,
        };
        Self::new(device, queue, features, report)
    }

    /// A device that plans: its buffers have a size, at most what `adapter` allows, but take no
    /// memory and hold nothing, and what binds them cannot be run. It tells in a moment what a
    /// step takes on an adapter that is busy, or not at hand.
    pub fn planner(adapter: &AdapterReport) -> Self {
        let mut gpu = Self::null();
        gpu.report = adapter.clone();
        gpu.hollow = true;
        gpu
    }

    /// Whether this is a [`Gpu::planner`].
    pub(super) fn is_hollow(&self) -> bool {
        self.hollow
    }

    /// Listens to the device's errors.
    fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        features: wgpu::Features,
        report: AdapterReport,
    ) -> Self {
        let fault = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&fault);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            remember(&slot, error.to_string());
        }));
        let slot = Arc::clone(&fault);
        device.set_device_lost_callback(move |reason, message| {
            if !matches!(reason, wgpu::DeviceLostReason::Destroyed) {
                remember(&slot, format!("{reason:?}: {message}"));
            }
        });
        Self {
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            device,
            queue,
            report,
            fault,
            // The shaders are the program's own and proven in bounds by tests that run them
            // checked; the trusted path saves a bounds test on every load.
            checked_shaders: cfg!(debug_assertions)
                || std::env::var_os("AUTOREP_CHECKED_SHADERS").is_some(),
            pending: AtomicU64::new(0),
            hollow: false,
            origin: None,
            pipeline_cache: None,
        }
    }

    /// Compiles shaders with bounds checks from here on, whatever the build: tests do.
    pub fn set_checked_shaders(&mut self, checked: bool) {
        self.checked_shaders = checked;
    }

    /// Class of the adapter.
    pub fn class(&self) -> AdapterClass {
        self.report.class
    }

    /// The one subgroup size of the adapter, where it has subgroup operations and only one.
    pub fn lanes(&self) -> Option<u32> {
        match self.report.subgroup {
            Some((min, max)) if min == max => Some(min),
            _ => None,
        }
    }

    /// `Err` once the device is lost or has reported an error that no scope caught.
    ///
    /// # Errors
    /// [`GpuError::Lost`] with the driver's words.
    pub fn check(&self) -> Result<(), GpuError> {
        let fault = self
            .fault
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        match fault.as_ref() {
            None => Ok(()),
            Some(reason) => Err(GpuError::Lost {
                adapter: self.report.name.clone(),
                reason: reason.clone(),
            }),
        }
    }

    /// Allocates `bytes` (rounded up to a multiple of four) of device memory.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] above the adapter's limit, [`GpuError::OutOfMemory`].
    pub fn allocate(&self, what: &str, bytes: u64) -> Result<Buffer, GpuError> {
        self.allocate_for(what, bytes, Contents::Storage)
    }

    /// Allocates the small uniform buffer that holds a step's scalars.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn allocate_uniform(&self, what: &str, bytes: u64) -> Result<Buffer, GpuError> {
        self.allocate_for(what, bytes, Contents::Uniform)
    }

    pub(super) fn allocate_for(
        &self,
        what: &str,
        bytes: u64,
        contents: Contents,
    ) -> Result<Buffer, GpuError> {
        let bytes = bytes.max(4).next_multiple_of(4);
        let limit = self
            .report
            .max_binding_bytes
            .min(self.report.max_buffer_bytes);
        if bytes > limit && contents == Contents::Storage {
            return Err(GpuError::TooLarge {
                what: what.to_owned(),
                bytes,
                limit,
                adapter: self.report.name.clone(),
            });
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let inner = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: if self.hollow { 4 } else { bytes },
            usage: contents.usage(),
            mapped_at_creation: false,
        });
        match pollster::block_on(scope.pop()) {
            None => Ok(Buffer::new(inner, bytes)),
            Some(_) => Err(self.out_of_memory(what, bytes)),
        }
    }

    /// That there is no room for another `bytes` bytes.
    pub(super) fn out_of_memory(&self, what: &str, bytes: u64) -> GpuError {
        let report = self.device.generate_allocator_report();
        GpuError::OutOfMemory {
            what: what.to_owned(),
            bytes,
            held: report.map_or(0, |report| report.total_allocated_bytes),
            adapter: self.report.name.clone(),
        }
    }

    /// Allocates a buffer and fills it with `data`.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn upload<T: bytemuck::NoUninit>(
        &self,
        what: &str,
        data: &[T],
    ) -> Result<Buffer, GpuError> {
        let buffer = self.allocate(what, std::mem::size_of_val(data) as u64)?;
        self.write(&buffer.view(), data);
        Ok(buffer)
    }

    /// Queues a write of `data` to the start of `view`; it happens before the next submitted
    /// tape. Data that is no multiple of four bytes is padded with zeros. What is more than a
    /// step ever writes goes in pieces, and waits for the device to take them.
    ///
    /// # Panics
    /// When `data` is longer than the view: a defect of the caller, not of any input.
    pub fn write<T: bytemuck::NoUninit>(&self, view: &View, data: &[T]) {
        if self.hollow {
            return;
        }
        let bytes: &[u8] = bytemuck::cast_slice(data);
        assert!(
            bytes.len() as u64 <= view.bytes,
            "write past the end of a view"
        );
        let whole = bytes.len() / 4 * 4;
        let mut offset = view.offset;
        for piece in bytes[..whole].chunks(WRITE_BYTES) {
            let piece_bytes = piece.len() as u64;
            if self.pending.fetch_add(piece_bytes, Ordering::Relaxed) + piece_bytes > PENDING_BYTES
            {
                self.submit([]);
                self.pending.store(piece_bytes, Ordering::Relaxed);
                // A device that is lost says so when it is asked the next time.
                if let Err(error) = self.wait() {
                    remember(&self.fault, error.to_string());
                    return;
                }
            }
            self.queue.write_buffer(&view.buffer, offset, piece);
            offset += piece_bytes;
        }
        if whole < bytes.len() {
            let mut word = [0u8; 4];
            word[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.queue
                .write_buffer(&view.buffer, view.offset + whole as u64, &word);
        }
    }

    /// Submits commands, and what was written before them.
    pub(super) fn submit<const N: usize>(
        &self,
        commands: [wgpu::CommandBuffer; N],
    ) -> wgpu::SubmissionIndex {
        self.pending.store(0, Ordering::Relaxed);
        self.queue.submit(commands)
    }

    /// Waits until everything submitted so far has run.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when the device is gone.
    pub fn wait(&self) -> Result<(), GpuError> {
        self.poll(wgpu::PollType::wait_indefinitely())?;
        self.check()
    }

    /// Waits as `how` says. The one place that does: wgpu panics where the device is lost meanwhile.
    ///
    /// # Errors
    /// [`GpuError::Lost`], in the driver's words where it had any.
    pub(super) fn poll(&self, how: wgpu::PollType) -> Result<(), GpuError> {
        let reason = match caught(|| self.device.poll(how)) {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            // The words of a panic go over many lines.
            Err(words) => words.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        // What the device said before comes first: it is the cause.
        self.check()?;
        Err(GpuError::Lost {
            adapter: self.report.name.clone(),
            reason,
        })
    }

    /// Another device of the same adapter with the same features.
    pub(super) fn second_device(&self) -> Option<(wgpu::Device, wgpu::Queue)> {
        let (adapter, descriptor) = self.origin.as_ref()?;
        pollster::block_on(adapter.request_device(descriptor)).ok()
    }

    /// What the driver compiled in earlier runs.
    pub(super) fn pipeline_cache(&self) -> Option<&wgpu::PipelineCache> {
        self.pipeline_cache.as_ref().map(|cache| &cache.inner)
    }

    /// Keeps what the driver compiled for the next run.
    pub(super) fn save_pipeline_cache(&self) {
        if let Some(cache) = &self.pipeline_cache {
            cache.save();
        }
    }

    /// One WGSL text for `device`, which is this one or a second one of the same adapter;
    /// runtime checks follow the build (see [`Gpu::open`]).
    pub(super) fn shader_module(
        &self,
        device: &wgpu::Device,
        name: &str,
        source: &str,
    ) -> wgpu::ShaderModule {
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        };
        if self.checked_shaders {
            return device.create_shader_module(descriptor);
        }
        // SAFETY: the only WGSL that reaches this line is the program's own. Its loops are
        // bounded by shapes, its divisors are shape constants, and the test suite runs every
        // permutation with the checks on, on shapes that do not fill the tiles.
        #[expect(unsafe_code, reason = "spares every load a test of bounds")]
        unsafe {
            device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
        }
    }
}

fn remember(slot: &Mutex<Option<String>>, message: String) {
    let mut slot = slot.lock().unwrap_or_else(|poison| poison.into_inner());
    slot.get_or_insert(message);
}
