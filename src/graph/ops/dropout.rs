//! Dropout and stochastic depth: nothing in evaluation, a random factor in training. The
//! backward draws the same numbers again and keeps nothing.

use crate::gpu::GpuError;
use crate::graph::arenas::Gradients;
use crate::graph::emitter::{Backward, Emitter};
use crate::graph::lower::Single;
use crate::graph::op::Dropout;
use crate::kernels::dropout::{Spec, dropout};

/// What the node drops in training.
fn spec(emitter: &Emitter, dropout: &Single<Dropout>) -> Spec {
    let node = dropout.node;
    let Dropout { rate, per_sample } = dropout.op;
    Spec {
        batch: emitter.mode.batch,
        length: emitter.batch_len(node),
        share: if per_sample {
            emitter.shape(node).len()
        } else {
            1
        },
        rate,
        layer: node.0 as u32,
    }
}

pub(super) fn forward(
    emitter: &mut Emitter,
    layer: Single<Dropout>,
) -> Result<Box<dyn Backward>, GpuError> {
    let [input] = layer.inputs;
    if emitter.mode.training {
        let recipe = dropout(emitter.compiler, &spec(emitter, &layer), false)?;
        let step = emitter.ports.step.clone();
        let x = emitter.tensor(input);
        let y = emitter.output(layer.node);
        emitter.push(recipe, vec![step.into(), x, y], layer.node);
    } else {
        emitter.pass_on(layer.node, input)?;
    }
    Ok(Box::new(layer))
}

impl Backward for Single<Dropout> {
    fn backward(&self, emitter: &mut Emitter, _: &Gradients) -> Result<(), GpuError> {
        // There is a backward pass in training only.
        let Some(dy) = emitter.take_own_gradient(self.node)? else {
            return Ok(());
        };
        let recipe = dropout(emitter.compiler, &spec(emitter, self), true)?;
        let step = emitter.ports.step.clone();
        emitter.push(recipe, vec![step.into(), dy.into()], self.node);
        emitter.give_gradient(self.inputs[0], dy)
    }
}
