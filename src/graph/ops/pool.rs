//! Average pooling over windows and over the plane. The backward keeps nothing.

use super::{Kept, window};
use crate::gpu::GpuError;
use crate::graph::network::{Chw, NodeId, Op};
use crate::graph::plan::Emitter;
use crate::kernels::Recipe;
use crate::kernels::pool::{self, Shape};

pub(super) fn infer_shape(op: Op, input: Chw) -> Result<Chw, String> {
    let (height, width) = match op {
        Op::AvgPool { kernel, stride } => window(input, kernel, stride, 0)?,
        _ => (1, 1),
    };
    Ok(Chw {
        height,
        width,
        ..input
    })
}

/// Forward or backward of the node's pool.
fn recipe(
    emitter: &Emitter,
    node: NodeId,
    input: NodeId,
    backward: bool,
) -> Result<Recipe, GpuError> {
    let (compiler, from) = (emitter.compiler, emitter.shape(input));
    let planes = emitter.mode.batch * from.channels;
    match emitter.network.node(node).op {
        Op::AvgPool { kernel, stride } => {
            let shape = Shape {
                planes,
                height: from.height,
                width: from.width,
                kernel,
                stride,
            };
            match backward {
                false => pool::average(compiler, &shape),
                true => pool::average_backward(compiler, &shape),
            }
        }
        _ if backward => pool::global_backward(compiler, planes, from.plane()),
        _ => pool::global(compiler, planes, from.plane()),
    }
}

pub(super) fn forward(
    emitter: &mut Emitter,
    node: NodeId,
    input: NodeId,
) -> Result<Kept, GpuError> {
    let recipe = recipe(emitter, node, input, false)?;
    let x = emitter.tensor(input);
    let y = emitter.output(node);
    emitter.push(recipe, vec![x, y], node);
    Ok(Kept::Nothing)
}

pub(super) fn backward(emitter: &mut Emitter, node: NodeId, input: NodeId) -> Result<(), GpuError> {
    if let Some(dy) = emitter.take_gradient(node)
        && let Some((dx, accumulate)) = emitter.gradient_sink(input)
    {
        let recipe = recipe(emitter, node, input, true)?;
        emitter.push_gradient(recipe, vec![dy], dx, accumulate, input)?;
    }
    Ok(())
}
