//! Tensors in a safetensors file, written so that equal contents become equal bytes.
//!
//! The header is written here rather than by the safetensors crate, which keeps metadata in a hash
//! map: its files would differ from run to run in their order, where equal runs are promised equal
//! bits.

use safetensors::tensor::{Dtype, TensorInfo};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The length of the header comes first, as eight bytes.
pub const LENGTH_BYTES: u64 = 8;

// Tensors are copied between memory and file as they are; the file is little endian.
const _: () = assert!(cfg!(target_endian = "little"));

/// The values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// Weights, moments, coefficients.
    F32(Vec<f32>),
    /// Counters and packed masks.
    U32(Vec<u32>),
    /// Bytes.
    U8(Vec<u8>),
}

impl TensorData {
    /// Zeros to read a tensor into; `None` for a type that is not kept here.
    pub(crate) fn zeros(dtype: Dtype, len: usize) -> Option<Self> {
        match dtype {
            Dtype::F32 => Some(Self::F32(vec![0.0; len])),
            Dtype::U32 => Some(Self::U32(vec![0; len])),
            Dtype::U8 => Some(Self::U8(vec![0; len])),
            _ => None,
        }
    }

    pub(crate) fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::U32(_) => Dtype::U32,
            Self::U8(_) => Dtype::U8,
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(values) => bytemuck::cast_slice(values),
            Self::U32(values) => bytemuck::cast_slice(values),
            Self::U8(values) => values,
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::F32(values) => bytemuck::cast_slice_mut(values),
            Self::U32(values) => bytemuck::cast_slice_mut(values),
            Self::U8(values) => values,
        }
    }
}

/// Values and the shape they have, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents, outermost first; none for a scalar.
    pub shape: Vec<usize>,
    /// As many values as the shape says.
    pub data: TensorData,
}

impl Tensor {
    /// A tensor of floats.
    pub fn f32(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        let (shape, data) = (shape.into(), TensorData::F32(values));
        Self { shape, data }
    }

    /// A tensor of 32-bit words.
    pub fn u32(shape: impl Into<Vec<usize>>, values: Vec<u32>) -> Self {
        let (shape, data) = (shape.into(), TensorData::U32(values));
        Self { shape, data }
    }

    /// A tensor of bytes.
    pub fn u8(shape: impl Into<Vec<usize>>, values: Vec<u8>) -> Self {
        let (shape, data) = (shape.into(), TensorData::U8(values));
        Self { shape, data }
    }
}

/// A tensor with the name that it has in a file.
pub type Named = (String, Tensor);

/// The order in which tensors lie in a file: wide values first. With the header padded to a
/// multiple of eight bytes every tensor is then aligned, as readers like it.
pub fn in_order(tensors: &[Named]) -> Vec<&Named> {
    let mut tensors: Vec<&Named> = tensors.iter().collect();
    tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.data.dtype()));
    tensors
}

/// The header of a safetensors file, in an order that depends on nothing but its contents.
#[derive(Serialize)]
pub(crate) struct Header {
    /// What is said of the file.
    #[serde(rename = "__metadata__")]
    pub(crate) metadata: BTreeMap<String, String>,
    /// Type, shape and place of each tensor.
    #[serde(flatten)]
    pub(crate) infos: BTreeMap<String, TensorInfo>,
}

impl Header {
    /// Of tensors that lie in this order.
    pub(crate) fn of(metadata: BTreeMap<String, String>, tensors: &[&Named]) -> Self {
        let mut infos = BTreeMap::new();
        let mut start = 0;
        for (name, tensor) in tensors {
            let end = start + tensor.data.bytes().len();
            let info = TensorInfo {
                dtype: tensor.data.dtype(),
                shape: tensor.shape.clone(),
                data_offsets: (start, end),
            };
            start = end;
            infos.insert(name.clone(), info);
        }
        Self { metadata, infos }
    }

    /// Writes the file: this header and these tensors, in the order that it knows.
    ///
    /// # Errors
    /// Those of `file`.
    pub(crate) fn write(&self, file: &mut dyn Write, tensors: &[&Named]) -> io::Result<()> {
        let mut header = serde_json::to_vec(self)?;
        header.resize(header.len().next_multiple_of(LENGTH_BYTES as usize), b' ');
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        tensors
            .iter()
            .try_for_each(|(_, tensor)| file.write_all(tensor.data.bytes()))
    }
}
