//! Device memory that is read through the texture units.

use super::{Gpu, GpuError};

/// A list of vec4f, one a texel, in rows of [`Texture::WIDTH`]. Clones share it, and are equal.
///
/// WGSL sees it as `texture_storage_2d<rgba32float, …>`: one kernel writes it, others read
/// it, with the same bits as from a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texture {
    pub(super) view: wgpu::TextureView,
    texels: u64,
}

impl Texture {
    /// Texels in a row: element i is texel (i mod WIDTH, i div WIDTH).
    pub const WIDTH: u64 = 4096;
    /// Most texels of a texture: WebGPU guarantees 8192 rows.
    pub const MAX_TEXELS: u64 = Self::WIDTH * 8192;

    /// Size in texels of 16 bytes.
    pub fn texels(&self) -> u64 {
        self.texels
    }
}

/// A texture of vec4f that kernels read and write, as they bind it.
pub(super) fn create(
    device: &wgpu::Device,
    what: &str,
    width: u32,
    height: u32,
) -> wgpu::TextureView {
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some(what),
        size: wgpu::Extent3d {
            width,
            height,
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba32Float,
        // COPY_DST has wgpu zero it by a copy. It would use a render pass, after which lavapipe's
        // timestamps tell when a frame was drawn.
        usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    texture.create_view(&Default::default())
}

impl Gpu {
    /// Allocates a texture of at least `texels` texels.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] above [`Texture::MAX_TEXELS`], [`GpuError::OutOfMemory`].
    pub fn allocate_texture(&self, what: &str, texels: u64) -> Result<Texture, GpuError> {
        let bytes = 16 * texels;
        if texels > Texture::MAX_TEXELS {
            return Err(GpuError::TooLarge {
                what: what.to_owned(),
                bytes,
                limit: 16 * Texture::MAX_TEXELS,
                adapter: self.report.name.clone(),
            });
        }
        let width = texels.clamp(1, Texture::WIDTH);
        let height = texels.div_ceil(Texture::WIDTH).max(1);
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let (columns, rows) = match self.is_hollow() {
            true => (1, 1),
            false => (width as u32, height as u32),
        };
        let view = create(&self.device, what, columns, rows);
        match pollster::block_on(scope.pop()) {
            None => Ok(Texture {
                view,
                texels: width * height,
            }),
            Some(_) => Err(self.out_of_memory(what, bytes)),
        }
    }
}
