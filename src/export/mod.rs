//! Files for other programs: [`onnx`] to run a network, [`private`] to run it on secrets,
//! [`safetensors`] to rebuild it.
//!
//! Both carry what has been learned under PyTorch's parameter names, and both refuse, naming
//! the tensor, what would only fail later and elsewhere: weights that are not finite, masks
//! that are neither 0 nor 1. An export is a function from a [`Model`] to bytes; the same model
//! gives the same bytes.

pub mod onnx;
mod onnx_graph;
pub mod onnx_proto;
pub mod private;
pub mod safetensors;

pub use onnx::to_onnx;
pub use private::{Holder, to_private_onnx};
pub use safetensors::to_safetensors;

use crate::graph::layout::Site;
use crate::graph::{Layout, Model};
use crate::private::{FoldError, Folded};
use std::fmt;
use std::str::FromStr;

/// Who made the file, as its metadata says.
const PRODUCER: &str = env!("CARGO_PKG_NAME");

/// Version of who made it.
const PRODUCER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What batch norm adds to every variance, as in PyTorch.
const BATCH_NORM_EPSILON: f32 = crate::kernels::batch_norm::EPSILON as f32;

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A complete graph of standard operators: [`to_onnx`].
    Onnx,
    /// The tensors alone: [`to_safetensors`].
    Safetensors,
}

/// A format that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no export format `{name}`; choose `onnx` or `safetensors`")]
pub struct UnknownFormat {
    /// The name asked for.
    pub name: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "onnx" => Ok(Format::Onnx),
            "safetensors" => Ok(Format::Safetensors),
            _ => Err(UnknownFormat { name: name.into() }),
        }
    }
}

/// The name, which is also the usual file extension.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Onnx => "onnx",
            Format::Safetensors => "safetensors",
        })
    }
}

impl Format {
    /// Contents of the file that holds `model` in this format.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn export(self, model: &Model) -> Result<Vec<u8>, ExportError> {
        match self {
            Format::Onnx => to_onnx(model),
            Format::Safetensors => to_safetensors(model),
        }
    }
}

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A number that no engine can use.
    #[error(
        "`{tensor}` holds {value} at element {index}: training has diverged, export an earlier \
         checkpoint"
    )]
    NonFinite {
        /// Name of the tensor.
        tensor: String,
        /// The first bad element.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A mask that has not been settled.
    #[error("`{tensor}` holds {value} at element {index}: a mask is 1 (ReLU) or 0 (polynomial)")]
    Mask {
        /// Name of the mask.
        tensor: String,
        /// The first bad element.
        index: usize,
        /// What it holds.
        value: f32,
    },
    /// A standard deviation by which nothing can be divided.
    #[error("the standard deviation of the training pixels is {std:?}: all must be above zero")]
    Std {
        /// Per colour channel.
        std: [f32; 3],
    },
    /// Normalisation is known for RGB images only.
    #[error("the network takes {channels} channels, an export needs 3 (RGB)")]
    Channels {
        /// Channels of the network's input.
        channels: usize,
    },
    /// Names that do not fit the outputs.
    #[error("the model has {names} class names for {outputs} outputs")]
    Classes {
        /// Class names given.
        names: usize,
        /// Logits of the network.
        outputs: usize,
    },
    /// Parts of different models.
    #[error("the {part} of the model `{model}` do not fit its network")]
    Mismatch {
        /// Name of the network.
        model: String,
        /// What does not fit.
        part: &'static str,
    },
    /// Protobuf's limit.
    #[error("the graph takes {bytes} bytes, an ONNX file can hold 2 GiB: export to safetensors")]
    TooLarge {
        /// Size of the encoded graph.
        bytes: usize,
    },
    /// The form for private inference.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// A safetensors file could not be put together.
    #[error("cannot write safetensors: {0}")]
    Safetensors(#[from] std::io::Error),
}

/// The form of `model` for private inference.
///
/// # Errors
/// [`ExportError`] names the tensor or the part that cannot be expressed.
pub fn fold(model: &Model) -> Result<Folded, ExportError> {
    check(model)?;
    let (params, states) = (&model.layout.params.slots, &model.layout.state.slots);
    for slot in 0..params.len() {
        param(model, slot)?;
    }
    for slot in 0..states.len() {
        state(model, slot)?;
    }
    for site in &model.layout.sites {
        mask(model, site)?;
    }
    Ok(crate::private::fold(model)?)
}

/// Checks all that does not belong to a single tensor.
fn check(model: &Model) -> Result<(), ExportError> {
    let network = &model.network;
    let mismatch = |part| ExportError::Mismatch {
        model: network.name.clone(),
        part,
    };
    if model.layout != Layout::new(network) {
        return Err(mismatch("tensor positions"));
    }
    let (layout, tensors) = (&model.layout, &model.tensors);
    for (part, len, expected) in [
        ("parameters", tensors.params.len(), layout.params.len),
        ("running statistics", tensors.state.len(), layout.state.len),
        ("masks", tensors.mask.len(), layout.elements),
    ] {
        if len != expected {
            return Err(mismatch(part));
        }
    }
    let channels = network.node(network.input()).shape.channels;
    if channels != 3 {
        return Err(ExportError::Channels { channels });
    }
    let (names, outputs) = (model.classes.len(), network.classes());
    if names != outputs {
        return Err(ExportError::Classes { names, outputs });
    }
    finite("mean", &model.mean)?;
    finite("std", &model.std)?;
    if model.std.iter().any(|&s| s <= 0.0) {
        return Err(ExportError::Std { std: model.std });
    }
    Ok(())
}

/// `values`, if all are finite.
fn finite<'a>(tensor: &str, values: &'a [f32]) -> Result<&'a [f32], ExportError> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(values),
        Some(index) => Err(ExportError::NonFinite {
            tensor: tensor.into(),
            index,
            value: values[index],
        }),
    }
}

/// Contents of a parameter slot and its name.
fn param(model: &Model, slot: usize) -> Result<(&str, &[f32]), ExportError> {
    let slot = &model.layout.params.slots[slot];
    let values = finite(&slot.name, &model.tensors.params[slot.range()])?;
    Ok((&slot.name, values))
}

/// Contents of a state slot and its name.
fn state(model: &Model, slot: usize) -> Result<(&str, &[f32]), ExportError> {
    let slot = &model.layout.state.slots[slot];
    let values = finite(&slot.name, &model.tensors.state[slot.range()])?;
    Ok((&slot.name, values))
}

/// Name of a site's mask.
fn mask_name(site: &Site) -> String {
    format!("{}.mask", site.name)
}

/// A site's mask: true keeps the ReLU.
fn mask(model: &Model, site: &Site) -> Result<Vec<bool>, ExportError> {
    let values = &model.tensors.mask[site.range()];
    match values.iter().position(|&m| m != 0.0 && m != 1.0) {
        None => Ok(values.iter().map(|&m| m == 1.0).collect()),
        Some(index) => Err(ExportError::Mask {
            tensor: mask_name(site),
            index,
            value: values[index],
        }),
    }
}

/// A site's polynomials by power: `[x⁰, x¹, x²]`, each with one coefficient per channel. High
/// powers that are zero in every channel are left out, down to `at_least` of them. What marks a
/// line among the coefficients is no power.
fn powers(model: &Model, site: &Site, at_least: usize) -> Result<Vec<Vec<f32>>, ExportError> {
    let (_, coefficients) = param(model, site.coefficients)?;
    let stride = coefficients.len() / site.shape.channels;
    let mut powers: Vec<Vec<f32>> = (0..stride.min(3))
        .map(|power| {
            let channels = coefficients.iter().skip(power);
            channels.step_by(stride).copied().collect()
        })
        .collect();
    while powers.len() > at_least && powers.last().is_some_and(|p| p.iter().all(|&c| c == 0.0)) {
        powers.pop();
    }
    Ok(powers)
}

/// ReLUs that are left, over all sites.
fn relu_count(model: &Model) -> usize {
    model.tensors.kept(&model.layout).iter().sum()
}

/// A list as JSON: how metadata, which are strings, hold lists.
fn json<T: serde::Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).expect("strings and finite numbers")
}

/// Little-endian bytes, as both formats store them.
fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
