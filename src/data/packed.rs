//! One file that holds a decoded image tree.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | magic `autorep\0` |
//! | 4 | version of this layout |
//! | 8 | fingerprint of the tree the images were read from |
//! | 4 | CRC-32C of all that follows |
//! | 4 | length of the header |
//! | … | header: [`Header`] as JSON |
//! | 4·(n+m) | labels, training then test images |
//! | … | pixels, likewise |
//!
//! Integers are little-endian. A file of another version or fingerprint is out of date and
//! simply passed over; one that contradicts itself is damaged, which is worth a word in the
//! log. Either way the caller decodes the tree again and writes the file anew.

use super::error::check_bytes;
use super::images::Images;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"autorep\0";
const VERSION: u32 = 2;
/// Magic, version, fingerprint, checksum.
const PREFIX: usize = 8 + 4 + 8 + 4;

/// What a tree decodes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub classes: Vec<String>,
    pub train: Images,
    pub test: Images,
    pub problems: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    height: usize,
    width: usize,
    train: usize,
    test: usize,
    classes: Vec<String>,
    problems: Vec<String>,
}

/// Reads `path` if it is there, whole, and made from the tree of this fingerprint.
pub(super) fn load(path: &Path, fingerprint: u64) -> Option<Packed> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            log::warn!("{}: {error}; reading the images instead", path.display());
            return None;
        }
    };
    match parse(&bytes, fingerprint) {
        Ok(packed) => Some(packed),
        Err(Unusable::OutOfDate) => {
            log::info!("{}: the images have changed", path.display());
            None
        }
        Err(Unusable::Damaged(what)) => {
            log::warn!("{}: {what}; it will be made again", path.display());
            None
        }
    }
}

/// Writes to a temporary file beside `path`, syncs, and renames it, so that a reader never
/// sees half a file.
pub(super) fn store(path: &Path, fingerprint: u64, packed: &Packed) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let header = serde_json::to_vec(&Header {
        height: packed.train.height,
        width: packed.train.width,
        train: packed.train.len(),
        test: packed.test.len(),
        classes: packed.classes.clone(),
        problems: packed.problems.clone(),
    })?;
    let labels: Vec<u8> = [&packed.train, &packed.test]
        .iter()
        .flat_map(|images| &images.labels)
        .flat_map(|label| label.to_le_bytes())
        .collect();
    let length = (header.len() as u32).to_le_bytes();
    let parts: [&[u8]; 5] = [
        &length,
        &header,
        &labels,
        &packed.train.pixels,
        &packed.test.pixels,
    ];
    let checksum = parts
        .iter()
        .fold(0, |crc, part| crc32c::crc32c_append(crc, part));

    let mut builder = tempfile::Builder::new();
    builder.prefix(".autorep-cache-").suffix(".tmp");
    // Readable by whoever may read the tree; the default is for secrets. The umask applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(MAGIC)?;
    file.write_all(&VERSION.to_le_bytes())?;
    file.write_all(&fingerprint.to_le_bytes())?;
    file.write_all(&checksum.to_le_bytes())?;
    for part in parts {
        file.write_all(part)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

enum Unusable {
    OutOfDate,
    Damaged(&'static str),
}

/// Takes a packed file apart without trusting a byte of it.
fn parse(bytes: &[u8], fingerprint: u64) -> Result<Packed, Unusable> {
    use Unusable::{Damaged, OutOfDate};
    let (prefix, body) = bytes
        .split_at_checked(PREFIX)
        .ok_or(Damaged("the file is cut short"))?;
    if &prefix[..8] != MAGIC {
        return Err(Damaged("not a file of packed images"));
    }
    if prefix[8..12] != VERSION.to_le_bytes() || prefix[12..20] != fingerprint.to_le_bytes() {
        return Err(OutOfDate);
    }
    if prefix[20..24] != crc32c::crc32c(body).to_le_bytes() {
        return Err(Damaged("the checksum does not match"));
    }

    // From here on only a file that was forged, not one that rotted, can disappoint.
    let forged = || Damaged("the header does not match the content");
    let (length, rest) = body.split_at_checked(4).ok_or_else(forged)?;
    let length = u32_from(length) as usize;
    let (header, rest) = rest.split_at_checked(length).ok_or_else(forged)?;
    let header: Header = serde_json::from_slice(header).map_err(|_| forged())?;
    let images = header
        .train
        .checked_add(header.test)
        .filter(|&images| check_bytes(Path::new(""), images, header.height, header.width).is_ok())
        .ok_or_else(forged)?;
    let image_bytes = 3 * header.height * header.width;
    if images.checked_mul(4 + image_bytes) != Some(rest.len()) {
        return Err(forged());
    }
    let (labels, pixels) = rest.split_at(4 * images);
    let labels: Vec<u32> = labels.chunks_exact(4).map(u32_from).collect();
    if labels
        .iter()
        .any(|&label| label as usize >= header.classes.len())
    {
        return Err(forged());
    }
    let (train_labels, test_labels) = labels.split_at(header.train);
    let (train_pixels, test_pixels) = pixels.split_at(header.train * image_bytes);
    let split = |labels: &[u32], pixels: &[u8]| Images {
        height: header.height,
        width: header.width,
        pixels: pixels.to_vec(),
        labels: labels.to_vec(),
    };
    Ok(Packed {
        train: split(train_labels, train_pixels),
        test: split(test_labels, test_pixels),
        classes: header.classes,
        problems: header.problems,
    })
}

/// Four bytes, as every caller cuts them.
fn u32_from(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u32::from(byte))
}
