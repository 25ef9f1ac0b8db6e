//! Convolution as implicit matrix multiplication through shared memory:
//! `shaders/conv2d_tiled.wgsl`.

use super::conv2d::Shape;
use super::{Compiler, Recipe};
use crate::gpu::GpuError;

pub(super) fn forward(_: &Compiler, _: &Shape) -> Result<Recipe, GpuError> {
    todo!()
}

pub(super) fn data_gradient(_: &Compiler, _: &Shape, _: bool) -> Result<Recipe, GpuError> {
    todo!()
}

pub(super) fn weight_gradient(_: &Compiler, _: &Shape) -> Result<Recipe, GpuError> {
    todo!()
}
