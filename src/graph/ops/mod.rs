//! The fixed op set, one file each: shape inference, forward dispatches, hand-written
//! backward, and what the backward must keep.

mod conv2d;
mod dropout;
mod fused;
mod linear;
mod pool;
mod squeeze_excite;

use super::arenas::Gradients;
use super::lower::Stage;
use super::network::{Chw, NodeId, Op};
use super::plan::Emitter;
use super::schedule::Operand;
use crate::gpu::GpuError;
use crate::kernels::Recipe;

/// What a stage keeps from its forward pass for its backward, beside the tensors themselves.
pub(super) enum Kept {
    /// Nothing.
    Nothing,
    /// Of a fused pass.
    Fused {
        /// The constants of its batch norms.
        norm: Option<super::schedule::ValueId>,
        /// What DaPa will refit the polynomials by.
        moments: Option<fused::Moments>,
    },
}

/// Emits the forward dispatches of a stage.
pub(super) fn forward(emitter: &mut Emitter, stage: &Stage) -> Result<Kept, GpuError> {
    match *stage {
        Stage::Conv2d { node, input } => conv2d::forward(emitter, node, input),
        Stage::Fused { .. } => fused::forward(emitter, stage),
        Stage::Pool { node, input } => pool::forward(emitter, node, input),
        Stage::Linear { node, input } => linear::forward(emitter, node, input),
        Stage::Sigmoid { node, input } => squeeze_excite::sigmoid_forward(emitter, node, input),
        Stage::Scale { node, inputs } => squeeze_excite::scale_forward(emitter, node, inputs),
        Stage::Dropout { node, input } => dropout::forward(emitter, node, input),
    }
}

/// How to write a stage's tensor once more from tensors that are kept: the node, the recipe, and
/// its operands but for the last, the tensor. `None` for what had better be kept.
pub(super) fn again(
    emitter: &mut Emitter,
    stage: &Stage,
    kept: &Kept,
) -> Result<Option<(NodeId, Recipe, Vec<Operand>)>, GpuError> {
    match stage {
        Stage::Fused { .. } => fused::again(emitter, stage, kept),
        _ => Ok(None),
    }
}

/// Emits the backward dispatches of a stage.
pub(super) fn backward(
    emitter: &mut Emitter,
    arena: &Gradients,
    stage: &Stage,
    kept: &Kept,
) -> Result<(), GpuError> {
    match *stage {
        Stage::Conv2d { node, input } => conv2d::backward(emitter, arena, node, input),
        Stage::Fused { .. } => fused::backward(emitter, arena, stage, kept),
        Stage::Pool { node, input } => pool::backward(emitter, node, input),
        Stage::Linear { node, input } => linear::backward(emitter, arena, node, input),
        Stage::Sigmoid { node, input } => squeeze_excite::sigmoid_backward(emitter, node, input),
        Stage::Scale { node, inputs } => squeeze_excite::scale_backward(emitter, node, inputs),
        Stage::Dropout { node, input } => dropout::backward(emitter, node, input),
    }
}

/// Shape of the result of `op` on operands of shapes `inputs` (one image).
pub(super) fn infer_shape(op: Op, inputs: &[Chw]) -> Result<Chw, String> {
    let arity = match op {
        Op::Input => 0,
        Op::Add | Op::Scale => 2,
        _ => 1,
    };
    if inputs.len() != arity {
        return Err(format!("takes {arity} operands, got {}", inputs.len()));
    }
    match op {
        Op::Input => Err("a network has one input, made by Network::new".into()),
        Op::BatchNorm | Op::Activation | Op::Sigmoid => Ok(inputs[0]),
        Op::Add if inputs[0] == inputs[1] => Ok(inputs[0]),
        Op::Add => Err(format!("cannot add {} and {}", inputs[0], inputs[1])),
        Op::Conv2d { .. } => conv2d::infer_shape(op, inputs[0]),
        Op::AvgPool { .. } | Op::MaxPool { .. } | Op::GlobalAvgPool => {
            pool::infer_shape(op, inputs[0])
        }
        Op::Linear { out_features } => linear::infer_shape(out_features, inputs[0]),
        Op::PooledConv { out_channels } => linear::infer_shape(out_channels, inputs[0]),
        Op::Scale => squeeze_excite::infer_shape(inputs[0], inputs[1]),
        Op::Dropout { rate, .. } => dropout::infer_shape(rate, inputs[0]),
    }
}

/// Height and width that a sliding window leaves.
fn window(
    input: Chw,
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Result<(usize, usize), String> {
    let out = |size: usize| Some((size + 2 * padding).checked_sub(kernel)? / stride + 1);
    out(input.height)
        .zip(out(input.width))
        .ok_or_else(|| format!("an input of {input} is smaller than the {kernel}×{kernel} window"))
}
