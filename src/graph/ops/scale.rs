//! A factor per plane, as squeeze-excite wants it. The backward keeps both operands and works
//! in the place of dy.

use crate::gpu::GpuError;
use crate::graph::arenas::Gradients;
use crate::graph::emitter::{Backward, Emitter};
use crate::graph::lower::{Scale, Single};
use crate::graph::network::NodeId;
use crate::kernels::scale;

/// Planes of a batch, and pixels of each.
fn planes(emitter: &Emitter, node: NodeId) -> (usize, usize) {
    let shape = emitter.plane(node);
    (shape.batch * shape.channels, shape.pixels)
}

pub(super) fn forward(
    emitter: &mut Emitter,
    scale: Single<Scale, 2>,
) -> Result<Box<dyn Backward>, GpuError> {
    let (planes, pixels) = planes(emitter, scale.node);
    let recipe = scale::forward(emitter.compiler, planes, pixels)?;
    let [x, factors] = scale.inputs.map(|input| emitter.tensor(input));
    let y = emitter.output(scale.node);
    emitter.push(recipe, vec![x, factors, y], scale.node);
    Ok(Box::new(scale))
}

impl Backward for Single<Scale, 2> {
    fn backward(&self, emitter: &mut Emitter, _: &Gradients) -> Result<(), GpuError> {
        let Some(dy) = emitter.take_own_gradient(self.node)? else {
            return Ok(());
        };
        let (planes, pixels) = planes(emitter, self.node);
        let recipe = scale::backward(emitter.compiler, planes, pixels)?;
        let df = emitter.value(planes);
        let [x, factors] = self.inputs.map(|input| emitter.tensor(input));
        emitter.push(recipe, vec![dy.into(), x, factors, df.into()], self.node);
        let [input, factors] = self.inputs;
        emitter.give_gradient(input, dy)?;
        emitter.give_gradient(factors, df)
    }
}
