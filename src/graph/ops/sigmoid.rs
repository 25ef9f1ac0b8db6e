//! Sigmoid. The backward keeps the result and works in the place of dy.

use crate::gpu::GpuError;
use crate::graph::arenas::Gradients;
use crate::graph::emitter::{Backward, Emitter};
use crate::graph::lower::{Sigmoid, Single};
use crate::kernels::sigmoid;

pub(super) fn forward(
    emitter: &mut Emitter,
    sigmoid: Single<Sigmoid>,
) -> Result<Box<dyn Backward>, GpuError> {
    let recipe = sigmoid::forward(emitter.compiler, emitter.batch_len(sigmoid.node))?;
    let x = emitter.tensor(sigmoid.inputs[0]);
    let y = emitter.output(sigmoid.node);
    emitter.push(recipe, vec![x, y], sigmoid.node);
    Ok(Box::new(sigmoid))
}

impl Backward for Single<Sigmoid> {
    fn backward(&self, emitter: &mut Emitter, _: &Gradients) -> Result<(), GpuError> {
        let Some(dy) = emitter.take_own_gradient(self.node)? else {
            return Ok(());
        };
        let recipe = sigmoid::backward(emitter.compiler, emitter.batch_len(self.node))?;
        let y = emitter.tensor(self.node);
        emitter.push(recipe, vec![dy.into(), y], self.node);
        emitter.give_gradient(self.inputs[0], dy)
    }
}
