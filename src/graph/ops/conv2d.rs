//! Convolution, in one group or in several. The backward keeps the input.

use crate::gpu::GpuError;
use crate::graph::arenas::Gradients;
use crate::graph::emitter::{Backward, Emitter};
use crate::graph::lower::Single;
use crate::graph::op::Conv2d;
use crate::kernels::conv2d;
use crate::kernels::conv2d::grouped::{self, Shape};

fn shape(emitter: &Emitter, conv: &Single<Conv2d>) -> Shape {
    let Conv2d {
        out_channels,
        kernel,
        stride,
        padding,
        groups,
    } = conv.op;
    let input = emitter.shape(conv.inputs[0]);
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
    Shape { whole, groups }
}

pub(super) fn forward(
    emitter: &mut Emitter,
    conv: Single<Conv2d>,
) -> Result<Box<dyn Backward>, GpuError> {
    let shape = shape(emitter, &conv);
    let recipe = match shape.groups {
        1 => conv2d::forward(emitter.compiler, &shape.whole)?,
        _ => grouped::forward(emitter.compiler, &shape)?,
    };
    let slot = emitter.layout.conv2d(conv.node);
    let [weight] = emitter.params(&emitter.arenas.params, [slot]);
    let x = emitter.tensor(conv.inputs[0]);
    let y = emitter.output(conv.node);
    emitter.push(recipe, vec![x, weight.into(), y], conv.node);
    Ok(Box::new(conv))
}

impl Backward for Single<Conv2d> {
    fn backward(&self, emitter: &mut Emitter, arena: &Gradients) -> Result<(), GpuError> {
        let Some(dy) = emitter.take_gradient(self.node) else {
            return Ok(());
        };
        let shape = shape(emitter, self);
        let slot = emitter.layout.conv2d(self.node);
        let [weight_gradient] = emitter.params(&arena.params, [slot]);
        let recipe = match shape.groups {
            1 => conv2d::weight_gradient(emitter.compiler, &shape.whole)?,
            _ => grouped::weight_gradient(emitter.compiler, &shape)?,
        };
        let x = emitter.tensor(self.inputs[0]);
        let operands = vec![x, dy.clone(), weight_gradient.into()];
        emitter.push(recipe, operands, self.node);
        let Some(dx) = emitter.gradient_sink(self.inputs[0]) else {
            return Ok(());
        };
        let recipe = match shape.groups {
            1 => conv2d::data_gradient(emitter.compiler, &shape.whole, dx.accumulate)?,
            _ => grouped::data_gradient(emitter.compiler, &shape, dx.accumulate)?,
        };
        let [weight] = emitter.params(&emitter.arenas.params, [slot]);
        emitter.push(recipe, vec![dy, weight.into(), dx.value.into()], self.node);
        Ok(())
    }
}
