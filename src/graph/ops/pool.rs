//! Pooling over windows and over the plane. Averages keep nothing, the maximum its input.

use super::{Kept, window};
use crate::gpu::GpuError;
use crate::graph::network::{Chw, NodeId, Op};
use crate::graph::plan::Emitter;
use crate::kernels::{Recipe, max_pool, pool};

pub(super) fn infer_shape(op: Op, input: Chw) -> Result<Chw, String> {
    let (height, width) = match op {
        Op::AvgPool { kernel, stride } => window(input, kernel, stride, 0)?,
        Op::MaxPool {
            kernel,
            stride,
            padding,
        } => {
            if padding >= kernel {
                return Err(format!(
                    "a padding of {padding} leaves {kernel}×{kernel} windows empty"
                ));
            }
            window(input, kernel, stride, padding)?
        }
        _ => (1, 1),
    };
    Ok(Chw {
        height,
        width,
        ..input
    })
}

/// Forward or backward of the node's pool. Only the average over the plane can `accumulate`.
fn recipe(
    emitter: &Emitter,
    node: NodeId,
    input: NodeId,
    backward: bool,
    accumulate: bool,
) -> Result<Recipe, GpuError> {
    let (compiler, from) = (emitter.compiler, emitter.shape(input));
    let planes = emitter.mode.batch * from.channels;
    match emitter.network.node(node).op {
        Op::AvgPool { kernel, stride } => {
            let shape = pool::Shape {
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
        Op::MaxPool {
            kernel,
            stride,
            padding,
        } => {
            let shape = max_pool::Shape {
                planes,
                height: from.height,
                width: from.width,
                kernel,
                stride,
                padding,
            };
            match backward {
                false => max_pool::forward(compiler, &shape),
                true => max_pool::backward(compiler, &shape),
            }
        }
        _ if backward => pool::global_backward(compiler, planes, from.plane(), accumulate),
        _ => pool::global(compiler, planes, from.plane()),
    }
}

pub(super) fn forward(
    emitter: &mut Emitter,
    node: NodeId,
    input: NodeId,
) -> Result<Kept, GpuError> {
    let recipe = recipe(emitter, node, input, false, false)?;
    let x = emitter.tensor(input);
    let y = emitter.output(node);
    emitter.push(recipe, vec![x, y], node);
    Ok(Kept::Nothing)
}

pub(super) fn backward(emitter: &mut Emitter, node: NodeId, input: NodeId) -> Result<(), GpuError> {
    if let Some(dy) = emitter.take_gradient(node)
        && let Some((dx, accumulate)) = emitter.gradient_sink(input)
    {
        let recipe = recipe(emitter, node, input, true, accumulate)?;
        let mut operands = vec![dy];
        match emitter.network.node(node).op {
            Op::GlobalAvgPool => {
                operands.push(dx.into());
                emitter.push(recipe, operands, node);
                return Ok(());
            }
            Op::MaxPool { .. } => operands.push(emitter.tensor(input)),
            _ => {}
        }
        emitter.push_gradient(recipe, operands, dx, accumulate, input)?;
    }
    Ok(())
}
