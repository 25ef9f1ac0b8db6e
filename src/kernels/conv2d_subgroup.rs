//! Convolution in the registers of one subgroup: `shaders/conv2d_subgroup.wgsl`.

use super::conv2d::Shape;
use super::{Compiler, Recipe};
use crate::gpu::GpuError;

pub(super) fn has_forward(_: &Shape, _: u32) -> bool {
    false
}

pub(super) fn has_data_gradient(_: &Shape, _: u32) -> bool {
    false
}

pub(super) fn has_weight_gradient(_: &Shape, _: u32) -> bool {
    false
}

pub(super) fn forward(_: &Compiler, _: &Shape, _: u32) -> Result<Recipe, GpuError> {
    todo!()
}

pub(super) fn data_gradient(_: &Compiler, _: &Shape, _: u32, _: bool) -> Result<Recipe, GpuError> {
    todo!()
}

pub(super) fn weight_gradient(_: &Compiler, _: &Shape, _: u32) -> Result<Recipe, GpuError> {
    todo!()
}
