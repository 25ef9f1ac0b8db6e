//! What a training step, or an evaluation, is to consist of.

use super::scoring::Scoring;
use crate::data::{Normalization, Resident};
use crate::gpu::Buffer;
use crate::graph::{Activations, Loaded};
use crate::kernels::squares;
use crate::settings::Optimizer;

/// How images of a training step are varied; see `kernels::augment`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variation {
    /// Black pixels around the image before a random crop.
    pub pad: u32,
    /// Mirror every other image.
    pub flip: bool,
    /// Side of a square hole.
    pub cutout: u32,
}

impl Variation {
    /// Images as they are.
    pub const NONE: Self = Self {
        pad: 0,
        flip: false,
        cutout: 0,
    };
}

/// What a training step consists of.
pub struct TrainSpec<'a> {
    /// The network that is trained.
    pub student: Loaded<'a>,
    /// A network to distil from.
    pub teacher: Option<Loaded<'a>>,
    /// What the student's activation sites do.
    pub activations: Activations,
    /// Images of a step, a multiple of `micro_batches`.
    pub batch: usize,
    /// Parts of a batch that go through the network one after the other, so that only one
    /// part's activations are in memory; see [`TrainProgram`](super::train::TrainProgram).
    pub micro_batches: usize,
    /// Whether the backward pass computes activations again instead of keeping them.
    pub recompute: bool,
    /// The data set.
    pub images: &'a Resident,
    /// How input values are scaled.
    pub pixels: Normalization,
    /// How images are varied.
    pub variation: Variation,
    /// Update rule of the parameters.
    pub optimizer: Optimizer,
    /// How scores are trained, for masks to follow them; `None` leaves masks as they are.
    pub search: Option<&'a Scoring>,
    /// Channels of which some may be lines: they stay lines. A search decides about its own.
    pub lines: &'a [squares::Group],
    /// Whether Lookahead's slow weights exist.
    pub lookahead: bool,
    /// Whether averaged weights exist.
    pub averaging: bool,
}

/// What an evaluation is to consist of.
pub struct EvalSpec<'a> {
    /// The network that is evaluated.
    pub model: Loaded<'a>,
    /// What its activation sites do.
    pub activations: Activations,
    /// The data set.
    pub images: &'a Resident,
    /// How input values are scaled.
    pub pixels: Normalization,
    /// Most images at a time.
    pub batch: usize,
    /// Buffers that hold nothing between its batches: those of a training step that waits.
    pub lent: &'a [Buffer],
}

/// Where a batch comes from, and what becomes of its images.
pub(super) struct Gather<'a> {
    /// The data set.
    pub(super) images: &'a Resident,
    /// How values are scaled.
    pub(super) pixels: Normalization,
    /// How images are varied.
    pub(super) variation: Variation,
}

impl TrainSpec<'_> {
    /// Images that go through the network at a time.
    pub(super) fn micro_batch(&self) -> usize {
        debug_assert!(self.batch.is_multiple_of(self.micro_batches));
        self.batch / self.micro_batches
    }

    /// Sites whose ReLUs are counted: those of a search.
    pub(super) fn counted_sites(&self) -> usize {
        self.search.map_or(0, |_| self.student.layout.sites.len())
    }

    /// Where its batches come from.
    pub(super) fn gather(&self) -> Gather<'_> {
        Gather {
            images: self.images,
            pixels: self.pixels,
            variation: self.variation,
        }
    }
}
