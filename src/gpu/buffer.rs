//! Device memory, and the views of it that kernels bind.

/// What a buffer is for: decides its usage flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    Storage,
    Uniform,
    Staging,
}

impl Contents {
    pub(super) fn usage(self) -> wgpu::BufferUsages {
        use wgpu::BufferUsages as U;
        match self {
            Contents::Storage => U::STORAGE | U::COPY_SRC | U::COPY_DST,
            Contents::Uniform => U::UNIFORM | U::COPY_DST,
            Contents::Staging => U::MAP_READ | U::COPY_DST,
        }
    }
}

/// A buffer in device memory. Clones share it.
#[derive(Debug, Clone)]
pub struct Buffer {
    pub(super) inner: wgpu::Buffer,
    bytes: u64,
}

impl Buffer {
    pub(super) fn new(inner: wgpu::Buffer, bytes: u64) -> Self {
        Self { inner, bytes }
    }

    /// Size in bytes, a multiple of four.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The whole buffer.
    pub fn view(&self) -> View {
        self.range(0, self.bytes)
    }

    /// `bytes` bytes from byte `offset`. To be bound by a kernel the offset must be a
    /// multiple of [`View::ALIGNMENT`].
    pub fn range(&self, offset: u64, bytes: u64) -> View {
        debug_assert!(offset + bytes <= self.bytes);
        View {
            buffer: self.inner.clone(),
            offset,
            bytes,
        }
    }
}

/// A range of a buffer, as one binding of a kernel sees it.
#[derive(Debug, Clone)]
pub struct View {
    pub(super) buffer: wgpu::Buffer,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

impl View {
    /// Every binding starts at a multiple of this many bytes, on every adapter.
    pub const ALIGNMENT: u64 = 256;

    /// All of the buffer that it is a range of.
    pub fn whole(&self) -> View {
        View {
            buffer: self.buffer.clone(),
            offset: 0,
            bytes: self.buffer.size(),
        }
    }

    /// Whether both are of one buffer.
    pub fn shares_with(&self, other: &View) -> bool {
        self.buffer == other.buffer
    }
}
