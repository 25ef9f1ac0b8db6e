//! Dropout and stochastic depth: nothing in evaluation, a random factor in training. The
//! backward draws the same numbers again and keeps nothing.

use super::Kept;
use crate::gpu::GpuError;
use crate::graph::network::{Chw, NodeId, Op};
use crate::graph::plan::Emitter;
use crate::graph::schedule::Operand;
use crate::kernels::dropout::{Spec, dropout};

pub(super) fn infer_shape(rate: f32, input: Chw) -> Result<Chw, String> {
    match (0.0..1.0).contains(&rate) {
        true => Ok(input),
        false => Err(format!(
            "drops a share of {rate}: it must lie in 0…1, below 1"
        )),
    }
}

/// What the node drops in this mode.
fn spec(emitter: &Emitter, node: NodeId) -> Option<Spec> {
    let Op::Dropout { rate, per_sample } = emitter.network.node(node).op else {
        return None;
    };
    emitter.mode.training.then(|| Spec {
        batch: emitter.mode.batch,
        length: emitter.batch_len(node),
        share: if per_sample {
            emitter.shape(node).len()
        } else {
            1
        },
        rate,
        layer: node.0 as u32,
    })
}

pub(super) fn forward(
    emitter: &mut Emitter,
    node: NodeId,
    input: NodeId,
) -> Result<Kept, GpuError> {
    match spec(emitter, node) {
        Some(spec) => {
            let recipe = dropout(emitter.compiler, &spec, false)?;
            let operands = vec![emitter.ports.step.clone().into(), emitter.tensor(input)];
            let y = emitter.output(node);
            emitter.push(recipe, [operands, vec![y]].concat(), node);
        }
        None => emitter.pass_on(node, input)?,
    }
    Ok(Kept::Nothing)
}

pub(super) fn backward(emitter: &mut Emitter, node: NodeId, input: NodeId) -> Result<(), GpuError> {
    let (Some(Operand::Value(dy)), Some(spec)) = (emitter.take_gradient(node), spec(emitter, node))
    else {
        return Ok(());
    };
    let recipe = dropout(emitter.compiler, &spec, true)?;
    let step = emitter.ports.step.clone();
    emitter.push(recipe, vec![step.into(), dy.into()], node);
    emitter.give_gradient(input, dy)
}
