//! Values with a type and a shape, as they lie in files.

use safetensors::tensor::Dtype;

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
    pub(super) fn zeros(dtype: Dtype, len: usize) -> Option<Self> {
        match dtype {
            Dtype::F32 => Some(Self::F32(vec![0.0; len])),
            Dtype::U32 => Some(Self::U32(vec![0; len])),
            Dtype::U8 => Some(Self::U8(vec![0; len])),
            _ => None,
        }
    }

    pub(super) fn dtype(&self) -> Dtype {
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

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(values) => bytemuck::cast_slice(values),
            Self::U32(values) => bytemuck::cast_slice(values),
            Self::U8(values) => values,
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
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
