//! Fully connected layer, also as a convolution of pooled features. The backward keeps the input.

use crate::gpu::GpuError;
use crate::graph::arenas::Gradients;
use crate::graph::emitter::{Backward, Emitter};
use crate::graph::layout::LinearSlots;
use crate::graph::lower::Single;
use crate::graph::op::Linear;
use crate::kernels::linear::{self, Shape};

fn shape(emitter: &Emitter, linear: &Single<Linear>) -> Shape {
    Shape {
        batch: emitter.mode.batch,
        in_features: emitter.shape(linear.inputs[0]).channels,
        out_features: linear.op.out_features,
    }
}

pub(super) fn forward(
    emitter: &mut Emitter,
    linear: Single<Linear>,
) -> Result<Box<dyn Backward>, GpuError> {
    let LinearSlots { weight, bias } = emitter.layout.linear(linear.node);
    let [weight, bias] = emitter.params(&emitter.arenas.params, [weight, bias]);
    let recipe = linear::forward(emitter.compiler, &shape(emitter, &linear))?;
    let x = emitter.tensor(linear.inputs[0]);
    let y = emitter.output(linear.node);
    emitter.push(recipe, vec![x, weight.into(), bias.into(), y], linear.node);
    Ok(Box::new(linear))
}

impl Backward for Single<Linear> {
    fn backward(&self, emitter: &mut Emitter, arena: &Gradients) -> Result<(), GpuError> {
        let (node, input) = (self.node, self.inputs[0]);
        let Some(dy) = emitter.take_gradient(node) else {
            return Ok(());
        };
        let shape = shape(emitter, self);
        let LinearSlots { weight, bias } = emitter.layout.linear(node);
        let recipe = linear::weight_gradient(emitter.compiler, &shape)?;
        let [dw, db] = emitter.params(&arena.params, [weight, bias]);
        let x = emitter.tensor(input);
        emitter.push(recipe, vec![x, dy.clone(), dw.into(), db.into()], node);
        if let Some(dx) = emitter.gradient_sink(input) {
            let recipe = linear::data_gradient(emitter.compiler, &shape)?;
            let [weight] = emitter.params(&emitter.arenas.params, [weight]);
            emitter.push_gradient(recipe, vec![dy, weight.into()], dx, input)?;
        }
        Ok(())
    }
}
