//! Where every tensor lies: all weights in one arena, all scores in another.
//!
//! An arena is one buffer. Each tensor starts at a multiple of [`ALIGN`] elements, so that it
//! can be bound on its own, and so that a table with one word per block of [`ALIGN`] elements
//! tells the optimiser, which runs over the whole arena in one dispatch, what it is looking at.

use super::network::{Network, NodeId};
use super::op::{Chw, Op};
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
    /// Slot of the running kurtosis `[C]` in the state arena, which Hermite polynomials follow; 3
    /// where none was measured.
    pub kurtosis: usize,
}

impl Site {
    /// The site's elements in the score and mask arenas.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.len()
    }
}

/// Slots of a batch norm's tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchNormSlots {
    /// Parameter slot `[C]` of γ.
    pub weight: usize,
    /// Parameter slot `[C]` of β.
    pub bias: usize,
    /// State slot `[C]`.
    pub running_mean: usize,
    /// State slot `[C]`.
    pub running_var: usize,
}

/// Slots of a linear layer's tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearSlots {
    /// Parameter slot [K, C], of a pooled convolution [K, C, 1, 1].
    pub weight: usize,
    /// Parameter slot `[K]`.
    pub bias: usize,
}

/// The tensors that belong to one node, as slots of the parameter and state arenas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeTensors {
    /// Nothing to learn.
    None,
    /// Convolution: parameter slot [K, C/groups, R, R] of the weight.
    Conv2d(usize),
    /// Batch norm.
    BatchNorm(BatchNormSlots),
    /// Activation site: index into [`Layout::sites`].
    Site(usize),
    /// Linear layer, pooled convolution.
    Linear(LinearSlots),
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
                Op::Conv2d(conv) => {
                    let in_channels = in_channels / conv.groups;
                    let shape = [channels, in_channels, conv.kernel, conv.kernel];
                    let weight = layout.param(name("weight"), &shape, ParamKind::Weight);
                    NodeTensors::Conv2d(weight)
                }
                Op::BatchNorm => NodeTensors::BatchNorm(BatchNormSlots {
                    weight: layout.param(name("weight"), &[channels], ParamKind::Norm),
                    bias: layout.param(name("bias"), &[channels], ParamKind::Norm),
                    running_mean: layout.state.push(name("running_mean"), &[channels]),
                    running_var: layout.state.push(name("running_var"), &[channels]),
                }),
                Op::Activation => {
                    let shape = [channels, 4];
                    let kind = ParamKind::Polynomial;
                    let site = Site {
                        name: node.name.clone(),
                        node: NodeId(index),
                        shape: node.shape,
                        offset: layout.elements,
                        coefficients: layout.param(name("coefficients"), &shape, kind),
                        moments: layout.state.push(name("moments"), &[channels, 2]),
                        kurtosis: layout.state.push(name("kurtosis"), &[channels]),
                    };
                    layout.elements = (site.offset + node.shape.len()).next_multiple_of(ALIGN);
                    layout.sites.push(site);
                    NodeTensors::Site(layout.sites.len() - 1)
                }
                Op::Linear(_) => layout.linear_of(&node.name, &[channels, in_channels]),
                Op::PooledConv(_) => layout.linear_of(&node.name, &[channels, in_channels, 1, 1]),
                Op::Input | Op::Sigmoid | Op::Scale | Op::Dropout(_) | Op::Add | Op::Pool(_) => {
                    NodeTensors::None
                }
            };
            layout.nodes.push(tensors);
        }
        layout
    }

    /// Appends weight and bias of a linear layer.
    fn linear_of(&mut self, node: &str, weight: &[usize]) -> NodeTensors {
        NodeTensors::Linear(LinearSlots {
            weight: self.param(format!("{node}.weight"), weight, ParamKind::Weight),
            bias: self.param(format!("{node}.bias"), &weight[..1], ParamKind::Bias),
        })
    }

    /// Parameter slot of a convolution's weight.
    ///
    /// # Panics
    /// As [`Layout::batch_norm`].
    pub fn conv2d(&self, node: NodeId) -> usize {
        match self.nodes[node.0] {
            NodeTensors::Conv2d(weight) => weight,
            other => mismatch(node, "convolution", other),
        }
    }

    /// Slots of a batch norm.
    ///
    /// # Panics
    /// When the node is none: the layout is that of another network, and what is computed by it
    /// would be nonsense.
    pub fn batch_norm(&self, node: NodeId) -> BatchNormSlots {
        match self.nodes[node.0] {
            NodeTensors::BatchNorm(slots) => slots,
            other => mismatch(node, "batch norm", other),
        }
    }

    /// The site of an activation.
    ///
    /// # Panics
    /// As [`Layout::batch_norm`].
    pub fn site(&self, node: NodeId) -> &Site {
        match self.nodes[node.0] {
            NodeTensors::Site(index) => &self.sites[index],
            other => mismatch(node, "site", other),
        }
    }

    /// Slots of a linear layer or pooled convolution.
    ///
    /// # Panics
    /// As [`Layout::batch_norm`].
    pub fn linear(&self, node: NodeId) -> LinearSlots {
        match self.nodes[node.0] {
            NodeTensors::Linear(slots) => slots,
            other => mismatch(node, "linear layer", other),
        }
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

    /// What kernels know of each block of [`ALIGN`] scores: its site, how many of the scores are
    /// elements of it (the rest is padding), how many are kept or dropped as one by `together`, and
    /// 0.
    pub fn block_table(&self, together: impl Fn(&Site) -> usize) -> Vec<[u32; 4]> {
        let mut table = vec![[0; 4]; self.elements / ALIGN];
        for (site, index) in self.sites.iter().zip(0..) {
            let blocks = &mut table[site.offset / ALIGN..site.range().end.div_ceil(ALIGN)];
            for (k, block) in blocks.iter_mut().enumerate() {
                let elements = (site.shape.len() - k * ALIGN).min(ALIGN);
                *block = [index, elements as u32, together(site) as u32, 0];
            }
        }
        table
    }
}

fn mismatch(node: NodeId, wanted: &str, found: NodeTensors) -> ! {
    panic!(
        "node {} is laid out as {found:?}, not as a {wanted}",
        node.0
    )
}
