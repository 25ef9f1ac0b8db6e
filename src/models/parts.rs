//! What all architectures are built of.

use crate::graph::{Chw, Conv2d, Network, NodeId, Op, ShapeError};

/// What the shapes of a network depend on.
pub(super) struct Frame<'a> {
    /// Name of the architecture.
    pub name: &'a str,
    /// Shape of an image.
    pub input: Chw,
    /// Number of classes.
    pub classes: usize,
    /// Multiplies every channel count.
    pub width: f64,
}

impl Frame<'_> {
    /// A network that holds only its input.
    pub fn begin(&self) -> Network {
        Network::new(self.name, self.input)
    }

    /// Channels where the published network has `published`: a multiple of four, which every
    /// kernel preset likes.
    pub fn channels(&self, published: usize) -> usize {
        ((published as f64 * self.width / 4.0).round() as usize).max(1) * 4
    }
}

/// Appends a convolution without bias that keeps the size of the image but for its stride.
pub(super) fn conv(
    network: &mut Network,
    name: impl Into<String>,
    input: NodeId,
    out_channels: usize,
    kernel: usize,
    stride: usize,
) -> Result<NodeId, ShapeError> {
    let conv = Conv2d::same(out_channels, kernel, stride);
    network.push(name, Op::Conv2d(conv), &[input])
}
