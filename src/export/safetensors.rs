//! A network's tensors in one safetensors file, for those who rebuild the network themselves.
//!
//! Parameters and running statistics are f32 under PyTorch's names and load into a PyTorch
//! module of the same architecture. Of every site there are `NAME.mask`, u8 `[C,H,W]` with 1
//! where the ReLU stays, and `NAME.coefficients`, f32 `[C,3]` with the factors of x⁰, x¹ and x².
//! Metadata are strings; lists among them are JSON.

use super::{
    BATCH_NORM_EPSILON, ExportError, PRODUCER, PRODUCER_VERSION, bytes, check, json, mask,
    mask_name, param, powers, relu_count, state,
};
use crate::graph::Model;
use crate::graph::layout::NodeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use std::collections::{BTreeMap, HashMap};

/// Encodes `model` as the contents of a `.safetensors` file.
///
/// # Errors
/// [`ExportError`] names the tensor or the part that cannot be expressed.
pub fn to_safetensors(model: &Model) -> Result<Vec<u8>, ExportError> {
    check(model)?;
    let tensors = tensors(model)?;
    let views = tensors
        .iter()
        .map(|t| Ok((&t.name, TensorView::new(t.dtype, t.shape.clone(), &t.data)?)))
        .collect::<Result<Vec<_>, ExportError>>()?;
    Ok(with_sorted_header(serialize(views, Some(metadata(model)))?))
}

/// One tensor of the file.
struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

fn tensors(model: &Model) -> Result<Vec<Tensor>, ExportError> {
    let layout = &model.layout;
    let mut tensors = Vec::new();
    let mut push = |name: &str, dtype, shape: &[usize], data| {
        tensors.push(Tensor {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
            data,
        });
    };
    for node in &layout.nodes {
        let (params, states) = match *node {
            NodeTensors::None => (vec![], vec![]),
            NodeTensors::Conv2d(weight) => (vec![weight], vec![]),
            NodeTensors::BatchNorm(slots) => (
                vec![slots.weight, slots.bias],
                vec![slots.running_mean, slots.running_var],
            ),
            NodeTensors::Linear(slots) => (vec![slots.weight, slots.bias], vec![]),
            NodeTensors::Site(site) => {
                let site = &layout.sites[site];
                let shape = site.shape;
                push(
                    &mask_name(site),
                    Dtype::U8,
                    &[shape.channels, shape.height, shape.width],
                    mask(model, site)?.into_iter().map(u8::from).collect(),
                );
                let powers = powers(model, site, 3)?;
                let rows: Vec<f32> = (0..shape.channels)
                    .flat_map(|channel| powers.iter().map(move |power| power[channel]))
                    .collect();
                push(
                    &layout.params.slots[site.coefficients].name,
                    Dtype::F32,
                    &[shape.channels, powers.len()],
                    bytes(&rows),
                );
                (vec![], vec![])
            }
        };
        for slot in params {
            let (name, values) = param(model, slot)?;
            push(
                name,
                Dtype::F32,
                &layout.params.slots[slot].shape,
                bytes(values),
            );
        }
        for slot in states {
            let (name, values) = state(model, slot)?;
            push(
                name,
                Dtype::F32,
                &layout.state.slots[slot].shape,
                bytes(values),
            );
        }
    }
    Ok(tensors)
}

fn metadata(model: &Model) -> HashMap<String, String> {
    let network = &model.network;
    let input = network.node(network.input()).shape;
    [
        // What the Python loaders ask for: the tensors lie as PyTorch's do.
        ("format", "pt".to_string()),
        ("producer", format!("{PRODUCER} {PRODUCER_VERSION}")),
        ("model", network.name.clone()),
        ("input", json(&[input.channels, input.height, input.width])),
        ("mean", json(&model.mean)),
        ("std", json(&model.std)),
        ("classes", json(&model.classes)),
        ("batch_norm_epsilon", BATCH_NORM_EPSILON.to_string()),
        ("relu_total", network.relu_total().to_string()),
        ("relu_count", relu_count(model).to_string()),
    ]
    .map(|(key, value)| (key.to_string(), value))
    .into()
}

/// The same file with its header in alphabetical order. The crate keeps metadata in a hash
/// map, whose order changes from run to run; the same model shall give the same bytes.
fn with_sorted_header(mut file: Vec<u8>) -> Vec<u8> {
    let length = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    let header = &mut file[8..8 + length];
    type Entry = BTreeMap<String, serde_json::Value>;
    let entries: BTreeMap<String, Entry> =
        serde_json::from_slice(header).expect("a header is JSON");
    let sorted = serde_json::to_vec(&entries).expect("it was JSON before");
    // Sorting changes no length; spaces pad the header to a multiple of eight.
    header.fill(b' ');
    header[..sorted.len()].copy_from_slice(&sorted);
    file
}
