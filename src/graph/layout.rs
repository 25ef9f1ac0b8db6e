//! Where every tensor lies: all weights in one arena, all scores in another.
//!
//! An arena is one buffer. Each tensor starts at a multiple of [`ALIGN`] elements, so that it
//! can be bound on its own, and so that a table with one word per block of [`ALIGN`] elements
//! tells the optimiser, which runs over the whole arena in one dispatch, what it is looking at.

use super::network::{Chw, Network, NodeId, Op};
use std::ops::Range;

/// Elements to which tensors are aligned within an arena: 1 KiB.
pub const ALIGN: usize = 256;

/// The groups of parameters that have rates and decays of their own; the order is that of
/// `StepScalars::rate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// Convolution and linear weights.
    Weight = 0,
    /// Scale and shift of batch norm.
    Norm = 1,
    /// Linear bias.
    Bias = 2,
    /// Coefficients of the polynomials.
    Polynomial = 3,
}

/// One tensor within an arena.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// PyTorch's name: `layer1.0.conv1.weight`.
    pub name: String,
    /// Shape, outermost first.
    pub shape: Vec<usize>,
    /// First element in the arena, a multiple of [`ALIGN`].
    pub offset: usize,
}

impl Slot {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor's elements in the arena.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// An arena under construction and after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arena {
    /// Tensors in the order they lie.
    pub slots: Vec<Slot>,
    /// Elements, a multiple of [`ALIGN`].
    pub len: usize,
}

impl Arena {
    /// Elements without the padding.
    pub fn elements(&self) -> usize {
        self.slots.iter().map(Slot::len).sum()
    }

    fn push(&mut self, name: String, shape: &[usize]) -> usize {
        let slot = Slot {
            name,
            shape: shape.to_vec(),
            offset: self.len,
        };
        self.len = (self.len + slot.len()).next_multiple_of(ALIGN);
        self.slots.push(slot);
        self.slots.len() - 1
    }
}

/// One activation site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Name of the activation: `layer1.0.act1`.
    pub name: String,
    /// Its node.
    pub node: NodeId,
    /// Shape of one image's activation.
    pub shape: Chw,
    /// First element in the score and mask arenas, a multiple of [`ALIGN`].
    pub offset: usize,
    /// Slot of the coefficients [C, 4] among the parameters: of x⁰, x¹ and x², and a mark, 1
    /// where a search has taken a channel's square, else 0.
    pub coefficients: usize,
    /// Slot of the running moments [C, 2] (mean, variance) in the state arena.
    pub moments: usize,
}

impl Site {
    /// The site's elements in the score and mask arenas.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.len()
    }
}

/// The tensors that belong to one node, as slots of the parameter and state arenas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeTensors {
    /// Nothing to learn.
    None,
    /// Convolution: the weight.
    Conv2d {
        /// Parameter slot [K, C/groups, R, R].
        weight: usize,
    },
    /// Batch norm.
    BatchNorm {
        /// Parameter slot [C] of γ.
        weight: usize,
        /// Parameter slot [C] of β.
        bias: usize,
        /// State slot [C].
        running_mean: usize,
        /// State slot [C].
        running_var: usize,
    },
    /// Activation site: index into [`Layout::sites`].
    Site(usize),
    /// Linear layer.
    Linear {
        /// Parameter slot [K, C], of a pooled convolution [K, C, 1, 1].
        weight: usize,
        /// Parameter slot [K].
        bias: usize,
    },
}

/// Where every tensor of a network lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What the optimiser trains.
    pub params: Arena,
    /// Group of every parameter slot.
    pub kinds: Vec<ParamKind>,
    /// What training updates without a gradient: running statistics and moments.
    pub state: Arena,
    /// Activation sites in execution order.
    pub sites: Vec<Site>,
    /// Elements of the score and mask arenas, padding included.
    pub elements: usize,
    /// What belongs to each node.
    pub nodes: Vec<NodeTensors>,
}

impl Layout {
    /// Lays out the tensors of `network`.
    pub fn new(network: &Network) -> Self {
        let mut layout = Layout {
            params: Arena::default(),
            kinds: Vec::new(),
            state: Arena::default(),
            sites: Vec::new(),
            elements: 0,
            nodes: Vec::new(),
        };
        for (index, node) in network.nodes.iter().enumerate() {
            let input = node.inputs.first().map(|&id| network.node(id).shape);
            let in_channels = input.map_or(0, |shape| shape.channels);
            let channels = node.shape.channels;
            let name = |suffix: &str| format!("{}.{suffix}", node.name);
            let tensors = match node.op {
                Op::Conv2d { kernel, groups, .. } => {
                    let shape = [channels, in_channels / groups, kernel, kernel];
                    NodeTensors::Conv2d {
                        weight: layout.param(name("weight"), &shape, ParamKind::Weight),
                    }
                }
                Op::BatchNorm => NodeTensors::BatchNorm {
                    weight: layout.param(name("weight"), &[channels], ParamKind::Norm),
                    bias: layout.param(name("bias"), &[channels], ParamKind::Norm),
                    running_mean: layout.state.push(name("running_mean"), &[channels]),
                    running_var: layout.state.push(name("running_var"), &[channels]),
                },
                Op::Activation => {
                    let coefficients = name("coefficients");
                    let site = Site {
                        name: node.name.clone(),
                        node: NodeId(index),
                        shape: node.shape,
                        offset: layout.elements,
                        coefficients: layout.param(
                            coefficients,
                            &[channels, 4],
                            ParamKind::Polynomial,
                        ),
                        moments: layout.state.push(name("moments"), &[channels, 2]),
                    };
                    layout.elements = (site.offset + node.shape.len()).next_multiple_of(ALIGN);
                    layout.sites.push(site);
                    NodeTensors::Site(layout.sites.len() - 1)
                }
                Op::Linear { out_features } => NodeTensors::Linear {
                    weight: layout.param(
                        name("weight"),
                        &[out_features, in_channels],
                        ParamKind::Weight,
                    ),
                    bias: layout.param(name("bias"), &[out_features], ParamKind::Bias),
                },
                Op::PooledConv { .. } => NodeTensors::Linear {
                    weight: layout.param(
                        name("weight"),
                        &[channels, in_channels, 1, 1],
                        ParamKind::Weight,
                    ),
                    bias: layout.param(name("bias"), &[channels], ParamKind::Bias),
                },
                Op::Input
                | Op::Sigmoid
                | Op::Scale
                | Op::Dropout { .. }
                | Op::Add
                | Op::AvgPool { .. }
                | Op::MaxPool { .. }
                | Op::GlobalAvgPool => NodeTensors::None,
            };
            layout.nodes.push(tensors);
        }
        layout
    }

    fn param(&mut self, name: String, shape: &[usize], kind: ParamKind) -> usize {
        self.kinds.push(kind);
        self.params.push(name, shape)
    }

    /// Learned parameters as PyTorch counts them: weights, biases, scales and shifts, without
    /// the polynomials and the padding.
    pub fn parameter_count(&self) -> usize {
        self.params
            .slots
            .iter()
            .zip(&self.kinds)
            .filter(|(_, kind)| **kind != ParamKind::Polynomial)
            .map(|(slot, _)| slot.len())
            .sum()
    }

    /// Group of each block of [`ALIGN`] parameters, as the optimiser's kernels read it.
    pub fn kind_table(&self) -> Vec<u32> {
        let mut table = vec![0; self.params.len / ALIGN];
        for (slot, kind) in self.params.slots.iter().zip(&self.kinds) {
            table[slot.offset / ALIGN..slot.range().end.div_ceil(ALIGN)].fill(*kind as u32);
        }
        table
    }

    /// Site of each block of [`ALIGN`] scores.
    pub fn site_table(&self) -> Vec<u32> {
        let mut table = vec![0; self.elements / ALIGN];
        for (site, index) in self.sites.iter().zip(0..) {
            table[site.offset / ALIGN..site.range().end.div_ceil(ALIGN)].fill(index);
        }
        table
    }
}
