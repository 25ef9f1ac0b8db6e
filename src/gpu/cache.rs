//! What drivers make of shaders, kept from run to run.
//!
//! Vulkan drivers hand out what they compiled as bytes: `PipelineCache` keeps those in the
//! user's cache folder. Mesa's software driver hands out nothing: see `lavapipe.rs`.

use crate::files::{FileError, write_atomic};
use std::path::{Path, PathBuf};

/// The folder for what is cheap to make again: `AUTOREP_CACHE_DIR`, or `autorep` in the user's
/// cache folder. `None` where there is no such folder.
pub fn folder() -> Option<PathBuf> {
    match std::env::var_os("AUTOREP_CACHE_DIR") {
        Some(folder) if folder.is_empty() => None,
        Some(folder) => Some(folder.into()),
        None => Some(dirs::cache_dir()?.join("autorep")),
    }
}

/// Writes a file of the cache folder, and the folder if there is none yet.
///
/// # Errors
/// Where the folder cannot be made or written to: the caller can do without the file.
pub fn write(file: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder).map_err(FileError::on("create", folder))?;
    write_atomic(file, bytes)
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
            log::debug!("{error}");
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
