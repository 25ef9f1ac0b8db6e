//! Convolution, in one group or in several. The backward keeps the input.

use super::{Kept, window};
use crate::gpu::{GpuError, View};
use crate::graph::arenas::{Gradients, slot};
use crate::graph::layout::NodeTensors;
use crate::graph::network::{Chw, NodeId, Op};
use crate::graph::plan::Emitter;
use crate::kernels::conv2d;
use crate::kernels::conv2d::grouped::{self, Shape};

pub(super) fn infer_shape(op: Op, input: Chw) -> Result<Chw, String> {
    let Op::Conv2d {
        out_channels,
        kernel,
        stride,
        padding,
        groups,
    } = op
    else {
        return Err("is no convolution".into());
    };
    if groups == 0 || !input.channels.is_multiple_of(groups) || !out_channels.is_multiple_of(groups)
    {
        return Err(format!(
            "cannot lay {} input and {out_channels} output channels in {groups} groups",
            input.channels
        ));
    }
    let (height, width) = window(input, kernel, stride, padding)?;
    Ok(Chw {
        channels: out_channels,
        height,
        width,
    })
}

fn shape(emitter: &Emitter, node: NodeId, input: NodeId) -> Option<Shape> {
    let Op::Conv2d {
        out_channels,
        kernel,
        stride,
        padding,
        groups,
    } = emitter.network.node(node).op
    else {
        return None;
    };
    let input = emitter.shape(input);
    let whole = conv2d::Shape {
        batch: emitter.mode.batch,
        in_channels: input.channels,
        out_channels,
        height: input.height,
        width: input.width,
        kernel,
        stride,
        padding,
    };
    Some(Shape { whole, groups })
}

fn weight(emitter: &Emitter, node: NodeId, arena: &crate::gpu::Buffer) -> Option<View> {
    match emitter.layout.nodes[node.0] {
        NodeTensors::Conv2d { weight } => Some(slot(arena, &emitter.layout.params.slots[weight])),
        _ => None,
    }
}

pub(super) fn forward(
    emitter: &mut Emitter,
    node: NodeId,
    input: NodeId,
) -> Result<Kept, GpuError> {
    if let Some(shape) = shape(emitter, node, input)
        && let Some(weight) = weight(emitter, node, &emitter.arenas.params)
    {
        let recipe = match shape.groups {
            1 => conv2d::forward(emitter.compiler, &shape.whole)?,
            _ => grouped::forward(emitter.compiler, &shape)?,
        };
        let x = emitter.tensor(input);
        let y = emitter.output(node);
        emitter.push(recipe, vec![x, weight.into(), y], node);
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
    if let Some(shape) = shape(emitter, node, input)
        && let Some(weight_gradient) = weight(emitter, node, &arena.params)
        && let Some(weight) = weight(emitter, node, &emitter.arenas.params)
    {
        let recipe = match shape.groups {
            1 => conv2d::weight_gradient(emitter.compiler, &shape.whole)?,
            _ => grouped::weight_gradient(emitter.compiler, &shape)?,
        };
        let x = emitter.tensor(input);
        let operands = vec![x, dy.clone(), weight_gradient.into()];
        emitter.push(recipe, operands, node);
        if let Some((dx, accumulate)) = emitter.gradient_sink(input) {
            let recipe = match shape.groups {
                1 => conv2d::data_gradient(emitter.compiler, &shape.whole, accumulate)?,
                _ => grouped::data_gradient(emitter.compiler, &shape, accumulate)?,
            };
            emitter.push(recipe, vec![dy, weight.into(), dx.into()], node);
        }
    }
    Ok(())
}
