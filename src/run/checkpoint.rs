//! Checkpoints: safetensors files that say whether they are still what was written.
//!
//! Any safetensors reader opens them. Three entries of the metadata are ours, and are
//! checked whenever a checkpoint is loaded: `format_version`; `tensor_crc32c`, the CRC-32C
//! of each tensor's bytes; and `header_crc32c`, that of everything else. A checkpoint is the
//! only thing a run cannot make again, so bit rot must be found before it trains on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use safetensors::tensor::{Dtype, Metadata};
use thiserror::Error;

use crate::files::{FileError, write_atomic_with};
use crate::tensor_file::{Header, LENGTH_BYTES, Named, Tensor, TensorData, in_order};

/// What this program writes, and the only version it reads.
const FORMAT: &str = "1";
const FORMAT_VERSION: &str = "format_version";
const TENSOR_CRC: &str = "tensor_crc32c";
const HEADER_CRC: &str = "header_crc32c";

pub(super) const EXTENSION: &str = "safetensors";
/// The bound of the safetensors crate. It keeps a damaged length from being allocated.
const MAX_HEADER: u64 = 100_000_000;

/// Why a checkpoint cannot be loaded, used or saved.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// There is no such file.
    #[error("there is no checkpoint at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file ends too early.
    #[error(
        "checkpoint {} is cut short: it has {found} bytes and should have {expected}; use an earlier one",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How many bytes it should have, as far as can be told.
        expected: u64,
        /// How many it has.
        found: u64,
    },
    /// The file does not begin as a safetensors file does.
    #[error(
        "checkpoint {} is damaged, or no safetensors file: {reason}; use an earlier one",
        path.display()
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A safetensors file, but not one of ours.
    #[error(
        "{} is a safetensors file, but no checkpoint of this program: it has no `{FORMAT_VERSION}`",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by another version.
    #[error(
        "checkpoint {} has format {found}, and this program reads format {FORMAT}; use the version of the program that wrote it",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// The header is not what was written.
    #[error(
        "checkpoint {} is damaged: the checksum of its header does not fit; use an earlier one",
        path.display()
    )]
    HeaderChecksum {
        /// The file.
        path: PathBuf,
    },
    /// A tensor is not what was written.
    #[error(
        "checkpoint {} is damaged: the checksum of `{tensor}` does not fit; use an earlier one",
        path.display()
    )]
    TensorChecksum {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A file of another kind, told by its first bytes.
    #[error("{} is {kind}, not a safetensors file: {remedy}", path.display())]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
        /// How to get what is needed.
        remedy: String,
    },
    /// A tensor has another type than it should.
    #[error("checkpoint {} holds `{tensor}` as {found}, where {expected} is needed", path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type, as safetensors calls it.
        found: String,
        /// The type it should have.
        expected: String,
    },
    /// A tensor has another shape than the model wants.
    #[error(
        "checkpoint {} holds `{tensor}` with shape {found:?}, the model {model} wants {expected:?}: it belongs to another model",
        path.display()
    )]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
        /// The model that was to be filled.
        model: String,
    },
    /// A tensor that the model wants is not there.
    #[error(
        "checkpoint {} has no `{tensor}`, which the model {model} wants: it belongs to another model",
        path.display()
    )]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The model that was to be filled.
        model: String,
    },
    /// Tensors are left that the model does not know.
    #[error(
        "checkpoint {} holds `{tensor}` ({count} such), which the model {model} does not have: it belongs to another model",
        path.display()
    )]
    Leftover {
        /// The file.
        path: PathBuf,
        /// The first tensor left.
        tensor: String,
        /// How many are left.
        count: usize,
        /// The model that was filled.
        model: String,
    },
    /// An entry of the metadata is missing or means nothing.
    #[error(
        "checkpoint {} has {} for `{key}`: it belongs to another kind of run",
        path.display(),
        found.as_deref().map_or("nothing".to_owned(), |found| format!("`{found}`"))
    )]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry.
        key: String,
        /// Its value, if there is one.
        found: Option<String>,
    },
    /// A checkpoint that no file could hold.
    #[error("cannot save `{tensor}` in {}: {reason}", path.display())]
    Unsavable {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Named tensors and what is to be known about them.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// The tensors. A name occurs once.
    pub tensors: Vec<Named>,
    /// Anything else, as text.
    pub metadata: BTreeMap<String, String>,
    /// Tensors of an imported file whose values cannot be weights, each with its type.
    pub left_out: Vec<(String, String)>,
    /// Tensors of an imported file that were of another precision, each with its type.
    pub converted: Vec<(String, String)>,
    /// Where it was loaded from, for messages.
    origin: PathBuf,
}

impl Checkpoint {
    /// A checkpoint to be saved.
    pub fn new(tensors: Vec<Named>, metadata: BTreeMap<String, String>) -> Self {
        Self {
            tensors,
            metadata,
            left_out: Vec::new(),
            converted: Vec::new(),
            origin: PathBuf::from("(not saved yet)"),
        }
    }

    /// Where it was loaded from.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// The metadata entry `key`, which has to be there, as a `T`.
    pub fn entry<T: FromStr>(&self, key: &str) -> Result<T, CheckpointError> {
        let found = self.metadata.get(key);
        found
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| CheckpointError::Entry {
                path: self.origin.clone(),
                key: key.to_owned(),
                found: found.cloned(),
            })
    }

    /// Takes the checkpoint apart, to fill `model` with it. The name is for messages.
    pub fn unpack(self, model: &str) -> Unpack {
        Unpack {
            path: self.origin,
            model: model.to_owned(),
            tensors: self.tensors.into_iter().collect(),
        }
    }

    /// Saves it at `path`, all or nothing. Equal checkpoints become equal files.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        self.check_savable(path)?;

        let tensors = in_order(&self.tensors);
        let crc =
            |(name, tensor): &&Named| (name.clone(), hex(crc32c::crc32c(tensor.data.bytes())));
        let crcs: BTreeMap<String, String> = tensors.iter().map(crc).collect();
        let cannot = |error: serde_json::Error| FileError::on("write", path)(error.into());

        let mut metadata = self.metadata.clone();
        metadata.insert(FORMAT_VERSION.to_owned(), FORMAT.to_owned());
        let crcs = serde_json::to_string(&crcs).map_err(cannot)?;
        metadata.insert(TENSOR_CRC.to_owned(), crcs);
        metadata.remove(HEADER_CRC);
        let mut header = Header::of(metadata, &tensors);
        let crc = crc_of(&header).map_err(cannot)?;
        header.metadata.insert(HEADER_CRC.to_owned(), hex(crc));
        write_atomic_with(path, |file| header.write(file, &tensors))?;
        Ok(())
    }

    /// A file that [`load`](Self::load) would refuse must not be written.
    fn check_savable(&self, path: &Path) -> Result<(), CheckpointError> {
        let mut seen = BTreeSet::new();
        for (name, tensor) in &self.tensors {
            let wanted = tensor
                .shape
                .iter()
                .try_fold(1, |n: usize, &d| n.checked_mul(d));
            let reason = if name == "__metadata__" {
                "safetensors keeps this name for itself".to_owned()
            } else if !seen.insert(name) {
                "there are two tensors of this name".to_owned()
            } else if wanted != Some(tensor.data.len()) {
                let (shape, len) = (&tensor.shape, tensor.data.len());
                format!("{len} values cannot have the shape {shape:?}")
            } else {
                continue;
            };
            return Err(CheckpointError::Unsavable {
                path: path.to_owned(),
                tensor: name.clone(),
                reason,
            });
        }
        Ok(())
    }

    /// Loads what [`save`](Self::save) wrote, and checks that it is just that.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        Self::load_some(path, |_| true)
    }

    /// Loads the tensors whose names are `wanted`, and checks them: of a thousand networks the masks
    /// alone are a hundredth of what there is to read.
    pub fn load_some(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self, CheckpointError> {
        let (header, tensors) = read(path, wanted, |tensor, found, _| {
            Err(CheckpointError::WrongType {
                path: path.to_owned(),
                tensor: tensor.to_owned(),
                found: found.to_string(),
                expected: "F32, U32 or U8".to_owned(),
            })
        })?;
        verify(&header, path, &tensors)?;

        let mut metadata = header.metadata;
        for ours in [FORMAT_VERSION, TENSOR_CRC, HEADER_CRC] {
            metadata.remove(ours);
        }
        Ok(Self {
            tensors,
            metadata,
            left_out: Vec::new(),
            converted: Vec::new(),
            origin: path.to_owned(),
        })
    }

    /// Loads the tensors of any safetensors file, such as a teacher trained elsewhere. Half and
    /// double precision become `f32`; what is no such number is [left out](Self::left_out).
    pub fn import(path: &Path) -> Result<Self, CheckpointError> {
        let (left_out, was_converted) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let (header, tensors) = read(
            path,
            |_| true,
            |tensor, found, bytes| {
                let converted = as_f32(found, bytes);
                let list = match converted {
                    Some(_) => &was_converted,
                    None => &left_out,
                };
                let named = (tensor.to_owned(), found.to_string());
                list.borrow_mut().push(named);
                Ok(converted.map(TensorData::F32))
            },
        )?;
        // One of ours is checked as such.
        if header.metadata.contains_key(FORMAT_VERSION) {
            return Self::load(path);
        }
        Ok(Self {
            tensors,
            metadata: header.metadata,
            left_out: left_out.into_inner(),
            converted: was_converted.into_inner(),
            origin: path.to_owned(),
        })
    }
}

fn hex(crc: u32) -> String {
    format!("{crc:08x}")
}

/// The checksum of a header that does not contain it yet.
fn crc_of(header: &Header) -> serde_json::Result<u32> {
    Ok(crc32c::crc32c(&serde_json::to_vec(header)?))
}

/// Whether a header and its tensors are still what was written.
fn verify(header: &Header, path: &Path, tensors: &[Named]) -> Result<(), CheckpointError> {
    let path = || path.to_owned();
    match header.metadata.get(FORMAT_VERSION) {
        None => return Err(CheckpointError::Foreign { path: path() }),
        Some(found) if found != FORMAT => {
            let found = found.clone();
            return Err(CheckpointError::Version {
                path: path(),
                found,
            });
        }
        Some(_) => {}
    }
    let mut bare = Header {
        metadata: header.metadata.clone(),
        infos: header.infos.clone(),
    };
    let stated = bare.metadata.remove(HEADER_CRC);
    if stated != crc_of(&bare).ok().map(hex) {
        return Err(CheckpointError::HeaderChecksum { path: path() });
    }
    let crcs: BTreeMap<String, String> = bare
        .metadata
        .get(TENSOR_CRC)
        .and_then(|crcs| serde_json::from_str(crcs).ok())
        .ok_or_else(|| CheckpointError::HeaderChecksum { path: path() })?;
    for (name, tensor) in tensors {
        if crcs.get(name) != Some(&hex(crc32c::crc32c(tensor.data.bytes()))) {
            return Err(CheckpointError::TensorChecksum {
                path: path(),
                tensor: name.clone(),
            });
        }
    }
    Ok(())
}

/// Little-endian floating-point numbers of another width as `f32`; `None` for what is none.
fn as_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    match dtype {
        Dtype::F16 => Some(
            pairs()
                .map(|b| half::f16::from_le_bytes(b).to_f32())
                .collect(),
        ),
        Dtype::BF16 => Some(
            pairs()
                .map(|b| half::bf16::from_le_bytes(b).to_f32())
                .collect(),
        ),
        Dtype::F64 => {
            let values = bytes.chunks_exact(8).filter_map(|b| b.try_into().ok());
            Some(values.map(|b| f64::from_le_bytes(b) as f32).collect())
        }
        _ => None,
    }
}

/// What a file is that is no safetensors file, by its first bytes, and what to do.
fn other_kind(path: &Path, first: &[u8]) -> Option<CheckpointError> {
    let torch = || {
        let saved = path.with_extension("safetensors");
        format!(
            "in Python, `import torch; from safetensors.torch import save_file; \
             d = torch.load(\"{}\", map_location=\"cpu\"); save_file(d.get(\"state_dict\", d), \"{}\")`",
            path.display(),
            saved.display()
        )
    };
    let (kind, remedy) = match first {
        [b'P', b'K', 3, 4, ..] => ("a PyTorch file (a zip of pickles)", torch()),
        [0x80, 2..=5, ..] => ("a PyTorch file (a pickle)", torch()),
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', ..] => (
            "a pointer of Git LFS",
            "fetch what it points to with `git lfs pull`".into(),
        ),
        [0x89, b'H', b'D', b'F', ..] => (
            "an HDF5 file (of Keras)",
            "export its weights with PyTorch's names to safetensors".into(),
        ),
        [b'G', b'G', b'U', b'F', ..] => {
            ("a GGUF file", "take the network's original weights".into())
        }
        [b'<', ..] => (
            "a page of HTML, such as an error that was saved in the file's place",
            "download it again".into(),
        ),
        _ => return None,
    };
    Some(CheckpointError::OtherKind {
        path: path.to_owned(),
        kind,
        remedy,
    })
}

/// Reads a safetensors file in the order of its bytes. Nothing is allocated that the file
/// does not have the bytes for. Tensors that are not `wanted` are passed over. Those of a type that is
/// not kept here go to `unknown`, with their bytes, and are left out where it returns nothing.
fn read(
    path: &Path,
    wanted: impl Fn(&str) -> bool,
    unknown: impl Fn(&str, Dtype, &[u8]) -> Result<Option<TensorData>, CheckpointError>,
) -> Result<(Header, Vec<Named>), CheckpointError> {
    let cannot_read = || FileError::on("read", path);
    let damaged = |reason: String| CheckpointError::Header {
        path: path.to_owned(),
        reason,
    };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let path = path.to_owned();
            return Err(CheckpointError::Missing { path });
        }
        file => file.map_err(cannot_read())?,
    };
    let found = file.metadata().map_err(cannot_read())?.len();
    let at_least = |expected: u64| {
        if expected <= found {
            return Ok(());
        }
        Err(CheckpointError::Truncated {
            path: path.to_owned(),
            expected,
            found,
        })
    };

    at_least(LENGTH_BYTES)?;
    let mut length = [0; LENGTH_BYTES as usize];
    file.read_exact(&mut length).map_err(cannot_read())?;
    if let Some(error) = other_kind(path, &length) {
        return Err(error);
    }
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(damaged(format!("it claims a header of {length} bytes")));
    }
    at_least(LENGTH_BYTES + length)?;
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(cannot_read())?;
    // Checks that the tensors follow each other without gaps, and that each has the length
    // its shape and type ask for.
    let header: Metadata =
        serde_json::from_slice(&header).map_err(|error| damaged(error.to_string()))?;

    let expected = (header.data_len() as u64).saturating_add(LENGTH_BYTES + length);
    at_least(expected)?;
    if expected < found {
        let extra = found - expected;
        return Err(damaged(format!("{extra} bytes follow its last tensor")));
    }

    let infos = header.tensors();
    let mut tensors = Vec::with_capacity(infos.len());
    for name in header.offset_keys() {
        let Some(info) = infos.get(&name) else {
            continue;
        };
        let (dtype, shape, (start, end)) = (info.dtype, &info.shape, info.data_offsets);
        let len = (end - start) * 8 / dtype.bitsize();
        if !wanted(&name) {
            let place = LENGTH_BYTES + length + end as u64;
            file.seek(SeekFrom::Start(place)).map_err(cannot_read())?;
        } else if let Some(mut data) = TensorData::zeros(dtype, len) {
            file.read_exact(data.bytes_mut()).map_err(cannot_read())?;
            let shape = shape.clone();
            tensors.push((name, Tensor { shape, data }));
        } else {
            let mut bytes = vec![0; end - start];
            file.read_exact(&mut bytes).map_err(cannot_read())?;
            if let Some(data) = unknown(&name, dtype, &bytes)? {
                let shape = shape.clone();
                tensors.push((name, Tensor { shape, data }));
            }
        }
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    let header = Header {
        metadata: metadata.into_iter().collect(),
        infos: infos.into_iter().map(|(k, v)| (k, v.clone())).collect(),
    };
    Ok((header, tensors))
}

/// A checkpoint being taken apart. Every tensor is asked for with the shape it must have, so
/// that a checkpoint of another model is told by the first tensor that differs.
#[derive(Debug)]
pub struct Unpack {
    path: PathBuf,
    model: String,
    tensors: BTreeMap<String, Tensor>,
}

impl Unpack {
    /// Whether there still is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Checks that there still is a tensor of this name and shape.
    ///
    /// # Errors
    /// [`CheckpointError::NoTensor`], [`CheckpointError::WrongShape`].
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<(), CheckpointError> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(CheckpointError::NoTensor {
                path: self.path.clone(),
                tensor: name.to_owned(),
                model: self.model.clone(),
            });
        };
        if tensor.shape != shape {
            return Err(CheckpointError::WrongShape {
                path: self.path.clone(),
                tensor: name.to_owned(),
                found: tensor.shape.clone(),
                expected: shape.to_owned(),
                model: self.model.clone(),
            });
        }
        Ok(())
    }

    /// Takes a tensor of floats.
    pub fn f32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        match self.take(name, shape)? {
            TensorData::F32(values) => Ok(values),
            other => Err(self.wrong_type(name, &other, Dtype::F32)),
        }
    }

    /// Takes a tensor of 32-bit words.
    pub fn u32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<u32>, CheckpointError> {
        match self.take(name, shape)? {
            TensorData::U32(values) => Ok(values),
            other => Err(self.wrong_type(name, &other, Dtype::U32)),
        }
    }

    /// Takes a tensor of bytes.
    pub fn u8(&mut self, name: &str, shape: &[usize]) -> Result<Vec<u8>, CheckpointError> {
        match self.take(name, shape)? {
            TensorData::U8(values) => Ok(values),
            other => Err(self.wrong_type(name, &other, Dtype::U8)),
        }
    }

    /// Checks that nothing is left.
    pub fn finish(self) -> Result<(), CheckpointError> {
        let count = self.tensors.len();
        match self.tensors.into_keys().next() {
            None => Ok(()),
            Some(tensor) => Err(CheckpointError::Leftover {
                path: self.path,
                tensor,
                count,
                model: self.model,
            }),
        }
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<TensorData, CheckpointError> {
        self.check(name, shape)?;
        let tensor = self.tensors.remove(name);
        Ok(tensor.expect("it was there a line above").data)
    }

    fn wrong_type(&self, name: &str, found: &TensorData, expected: Dtype) -> CheckpointError {
        CheckpointError::WrongType {
            path: self.path.clone(),
            tensor: name.to_owned(),
            found: found.dtype().to_string(),
            expected: expected.to_string(),
        }
    }
}
