//! The dispatches of each op, one file each: its forward pass and its hand-written backward.

mod conv2d;
mod dropout;
mod fused;
mod linear;
mod pool;
mod scale;
mod sigmoid;

use super::emitter::{Backward, Emitter};
use super::lower::Stage;
use crate::gpu::GpuError;

/// Emits the forward dispatches of a stage, and says how to go back.
pub(super) fn forward(emitter: &mut Emitter, stage: Stage) -> Result<Box<dyn Backward>, GpuError> {
    match stage {
        Stage::Conv2d(conv) => conv2d::forward(emitter, conv),
        Stage::Fused(pass) => fused::forward(emitter, pass),
        Stage::Pool(pool) => pool::forward(emitter, pool),
        Stage::Linear(linear) => linear::forward(emitter, linear),
        Stage::Sigmoid(sigmoid) => sigmoid::forward(emitter, sigmoid),
        Stage::Scale(scale) => scale::forward(emitter, scale),
        Stage::Dropout(dropout) => dropout::forward(emitter, dropout),
    }
}
