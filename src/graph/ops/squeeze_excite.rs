//! What squeeze-excite needs beside pools and linear layers: the sigmoid, and a factor per
//! plane. Both backward passes work in the place of dy; they keep result and operands.

use super::Kept;
use crate::gpu::GpuError;
use crate::graph::network::{Chw, NodeId};
use crate::graph::plan::Emitter;
use crate::graph::schedule::Operand;
use crate::kernels::{scale, sigmoid};

/// Shape of `x` scaled by one factor per channel.
pub(super) fn infer_shape(x: Chw, factors: Chw) -> Result<Chw, String> {
    if factors.plane() == 1 && factors.channels == x.channels {
        return Ok(x);
    }
    Err(format!(
        "scales the channels of {x}, which takes {}×1×1 factors, not {factors}",
        x.channels
    ))
}

pub(super) fn sigmoid_forward(
    emitter: &mut Emitter,
    node: NodeId,
    input: NodeId,
) -> Result<Kept, GpuError> {
    let recipe = sigmoid::forward(emitter.compiler, emitter.batch_len(node))?;
    let x = emitter.tensor(input);
    let y = emitter.output(node);
    emitter.push(recipe, vec![x, y], node);
    Ok(Kept::Nothing)
}

pub(super) fn sigmoid_backward(
    emitter: &mut Emitter,
    node: NodeId,
    input: NodeId,
) -> Result<(), GpuError> {
    let Some(Operand::Value(dy)) = emitter.take_gradient(node) else {
        return Ok(());
    };
    let recipe = sigmoid::backward(emitter.compiler, emitter.batch_len(node))?;
    let y = emitter.tensor(node);
    emitter.push(recipe, vec![dy.into(), y], node);
    emitter.give_gradient(input, dy)
}

/// Planes of a batch, and pixels of each.
fn planes(emitter: &Emitter, node: NodeId) -> (usize, usize) {
    let shape = emitter.plane(node);
    (shape.batch * shape.channels, shape.pixels)
}

pub(super) fn scale_forward(
    emitter: &mut Emitter,
    node: NodeId,
    [input, factors]: [NodeId; 2],
) -> Result<Kept, GpuError> {
    let (planes, pixels) = planes(emitter, node);
    let recipe = scale::forward(emitter.compiler, planes, pixels)?;
    let operands = vec![emitter.tensor(input), emitter.tensor(factors)];
    let y = emitter.output(node);
    emitter.push(recipe, [operands, vec![y]].concat(), node);
    Ok(Kept::Nothing)
}

pub(super) fn scale_backward(
    emitter: &mut Emitter,
    node: NodeId,
    [input, factors]: [NodeId; 2],
) -> Result<(), GpuError> {
    let Some(Operand::Value(dy)) = emitter.take_gradient(node) else {
        return Ok(());
    };
    let (planes, pixels) = planes(emitter, node);
    let recipe = scale::backward(emitter.compiler, planes, pixels)?;
    let df = emitter.value(planes);
    let operands = vec![
        dy.into(),
        emitter.tensor(input),
        emitter.tensor(factors),
        df.into(),
    ];
    emitter.push(recipe, operands, node);
    emitter.give_gradient(input, dy)?;
    emitter.give_gradient(factors, df)
}
