//! Pooling over windows and over the plane. Averages keep nothing, the maximum its input.

use crate::gpu::GpuError;
use crate::graph::arenas::Gradients;
use crate::graph::emitter::{Backward, Emitter};
use crate::graph::lower::Single;
use crate::graph::op::{Chw, Pool};
use crate::kernels::{max_pool, pool};

fn average(planes: usize, from: Chw, kernel: usize, stride: usize) -> pool::Shape {
    pool::Shape {
        planes,
        height: from.height,
        width: from.width,
        kernel,
        stride,
    }
}

fn maximum(
    planes: usize,
    from: Chw,
    kernel: usize,
    stride: usize,
    padding: usize,
) -> max_pool::Shape {
    max_pool::Shape {
        planes,
        height: from.height,
        width: from.width,
        kernel,
        stride,
        padding,
    }
}

/// Planes of a batch of the input, and the input's shape.
fn planes(emitter: &Emitter, pool: &Single<Pool>) -> (usize, Chw) {
    let from = emitter.shape(pool.inputs[0]);
    (emitter.mode.batch * from.channels, from)
}

pub(super) fn forward(
    emitter: &mut Emitter,
    pool: Single<Pool>,
) -> Result<Box<dyn Backward>, GpuError> {
    let (compiler, (planes, from)) = (emitter.compiler, planes(emitter, &pool));
    let recipe = match pool.op {
        Pool::Average { kernel, stride } => {
            pool::average(compiler, &average(planes, from, kernel, stride))?
        }
        Pool::Max {
            kernel,
            stride,
            padding,
        } => max_pool::forward(compiler, &maximum(planes, from, kernel, stride, padding))?,
        Pool::GlobalAverage => pool::global(compiler, planes, from.plane())?,
    };
    let x = emitter.tensor(pool.inputs[0]);
    let y = emitter.output(pool.node);
    emitter.push(recipe, vec![x, y], pool.node);
    Ok(Box::new(pool))
}

impl Backward for Single<Pool> {
    fn backward(&self, emitter: &mut Emitter, _: &Gradients) -> Result<(), GpuError> {
        let input = self.inputs[0];
        let Some(dy) = emitter.take_gradient(self.node) else {
            return Ok(());
        };
        let Some(dx) = emitter.gradient_sink(input) else {
            return Ok(());
        };
        let (compiler, (planes, from)) = (emitter.compiler, planes(emitter, self));
        match self.op {
            Pool::Average { kernel, stride } => {
                let shape = average(planes, from, kernel, stride);
                let recipe = pool::average_backward(compiler, &shape)?;
                emitter.push_gradient(recipe, vec![dy], dx, input)
            }
            Pool::Max {
                kernel,
                stride,
                padding,
            } => {
                let shape = maximum(planes, from, kernel, stride, padding);
                let recipe = max_pool::backward(compiler, &shape)?;
                let x = emitter.tensor(input);
                emitter.push_gradient(recipe, vec![dy, x], dx, input)
            }
            Pool::GlobalAverage => {
                let recipe = pool::global_backward(compiler, planes, from.plane(), dx.accumulate)?;
                emitter.push(recipe, vec![dy, dx.value.into()], self.node);
                Ok(())
            }
        }
    }
}
