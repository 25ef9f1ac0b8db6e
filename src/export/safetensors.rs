//! A network's tensors in one safetensors file, for those who rebuild the network themselves.
//!
//! Parameters and running statistics are f32 under PyTorch's names and load into a PyTorch
//! module of the same architecture. Of every site there are `NAME.mask`, u8 `[C,H,W]` with 1
//! where the ReLU stays, and `NAME.coefficients`, f32 `[C,3]` with the factors of x⁰, x¹ and x².
//! Metadata are strings; lists among them are JSON.

use super::{
    BATCH_NORM_EPSILON, ExportError, PRODUCER, PRODUCER_VERSION, check, json, mask, mask_name,
    param, powers, relu_count, state,
};
use crate::graph::Model;
use crate::graph::layout::NodeTensors;
use crate::tensor_file::{Header, Named, Tensor, in_order};
use std::collections::BTreeMap;

/// Encodes `model` as the contents of a `.safetensors` file.
///
/// # Errors
/// [`ExportError`] names the tensor or the part that cannot be expressed.
pub fn to_safetensors(model: &Model) -> Result<Vec<u8>, ExportError> {
    check(model)?;
    let tensors = tensors(model)?;
    let tensors = in_order(&tensors);
    let mut file = Vec::new();
    Header::of(metadata(model), &tensors).write(&mut file, &tensors)?;
    Ok(file)
}

fn tensors(model: &Model) -> Result<Vec<Named>, ExportError> {
    let layout = &model.layout;
    let mut tensors = Vec::new();
    let mut push = |name: &str, tensor| tensors.push((name.to_owned(), tensor));
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
                let kept = mask(model, site)?.into_iter().map(u8::from).collect();
                let extents = [shape.channels, shape.height, shape.width];
                push(&mask_name(site), Tensor::u8(extents, kept));
                let powers = powers(model, site, 3)?;
                let rows: Vec<f32> = (0..shape.channels)
                    .flat_map(|channel| powers.iter().map(move |power| power[channel]))
                    .collect();
                let extents = [shape.channels, powers.len()];
                push(
                    &layout.params.slots[site.coefficients].name,
                    Tensor::f32(extents, rows),
                );
                (vec![], vec![])
            }
        };
        for slot in params {
            let (name, values) = param(model, slot)?;
            let shape = layout.params.slots[slot].shape.clone();
            push(name, Tensor::f32(shape, values.to_vec()));
        }
        for slot in states {
            let (name, values) = state(model, slot)?;
            let shape = layout.state.slots[slot].shape.clone();
            push(name, Tensor::f32(shape, values.to_vec()));
        }
    }
    Ok(tensors)
}

fn metadata(model: &Model) -> BTreeMap<String, String> {
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
