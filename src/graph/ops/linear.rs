//! Fully connected layer, also as a convolution of pooled features. The backward keeps the input.

use super::Kept;
use crate::gpu::{Buffer, GpuError, View};
use crate::graph::arenas::{Gradients, slot};
use crate::graph::layout::NodeTensors;
use crate::graph::network::{Chw, NodeId};
use crate::graph::plan::Emitter;
use crate::kernels::linear::{self, Shape};

pub(super) fn infer_shape(out_features: usize, input: Chw) -> Result<Chw, String> {
    if input.plane() != 1 {
        return Err(format!("wants pooled features, got {input}"));
    }
    Ok(Chw {
        channels: out_features,
        ..input
    })
}

fn shape(emitter: &Emitter, node: NodeId, input: NodeId) -> Shape {
    Shape {
        batch: emitter.mode.batch,
        in_features: emitter.shape(input).channels,
        out_features: emitter.shape(node).channels,
    }
}

/// Weight and bias within an arena.
fn tensors(emitter: &Emitter, node: NodeId, arena: &Buffer) -> Option<[View; 2]> {
    match emitter.layout.nodes[node.0] {
        NodeTensors::Linear { weight, bias } => {
            Some([weight, bias].map(|index| slot(arena, &emitter.layout.params.slots[index])))
        }
        _ => None,
    }
}

pub(super) fn forward(
    emitter: &mut Emitter,
    node: NodeId,
    input: NodeId,
) -> Result<Kept, GpuError> {
    if let Some([weight, bias]) = tensors(emitter, node, &emitter.arenas.params) {
        let recipe = linear::forward(emitter.compiler, &shape(emitter, node, input))?;
        let x = emitter.tensor(input);
        let y = emitter.output(node);
        emitter.push(recipe, vec![x, weight.into(), bias.into(), y], node);
    }
    Ok(Kept::Nothing)
}

pub(super) fn backward(
    emitter: &mut Emitter,
    arena: &Gradients,
    node: NodeId,
    input: NodeId,
) -> Result<(), GpuError> {
    let Some(dy) = emitter.take_gradient(node) else {
        return Ok(());
    };
    let shape = shape(emitter, node, input);
    if let Some([weight, bias]) = tensors(emitter, node, &arena.params) {
        let recipe = linear::weight_gradient(emitter.compiler, &shape)?;
        let x = emitter.tensor(input);
        let operands = vec![x, dy.clone(), weight.into(), bias.into()];
        emitter.push(recipe, operands, node);
    }
    if let Some([weight, _]) = tensors(emitter, node, &emitter.arenas.params)
        && let Some((dx, accumulate)) = emitter.gradient_sink(input)
    {
        let recipe = linear::data_gradient(emitter.compiler, &shape)?;
        emitter.push_gradient(recipe, vec![dy, weight.into()], dx, accumulate, input)?;
    }
    Ok(())
}
