//! A network as data: nodes, shapes, names.

use std::fmt;

/// Position of a node in [`Network::nodes`]. Inputs always lie before their consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// Shape of one image's activation: channels, height, width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chw {
    /// Channels.
    pub channels: usize,
    /// Height in pixels; 1 after global pooling.
    pub height: usize,
    /// Width in pixels; 1 after global pooling.
    pub width: usize,
}

impl Chw {
    /// Pixels of a channel.
    pub fn plane(self) -> usize {
        self.height * self.width
    }

    /// Elements of one image.
    pub fn len(self) -> usize {
        self.channels * self.plane()
    }

    /// Whether there is no element.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Chw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// What a network's activation sites compute before any search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonlinearity {
    /// max(x, 0).
    Relu,
    /// x·sigmoid(x). In a search such a site is a gate like any other.
    Silu,
}

/// The fixed op set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// The images, normalised.
    Input,
    /// Convolution without bias.
    Conv2d {
        /// Output channels.
        out_channels: usize,
        /// Kernel height and width.
        kernel: usize,
        /// Stride.
        stride: usize,
        /// Zeros around the input.
        padding: usize,
        /// Groups that the channels lie in; as many as channels make it depthwise.
        groups: usize,
    },
    /// Batch normalisation with scale and shift.
    BatchNorm,
    /// An activation site: the network's nonlinearity in a teacher, ReLU or polynomial per
    /// element in a search.
    Activation,
    /// Sum of two tensors.
    Add,
    /// Average over k×k windows.
    AvgPool {
        /// Window height and width.
        kernel: usize,
        /// Stride.
        stride: usize,
    },
    /// Maximum over k×k windows.
    MaxPool {
        /// Window height and width.
        kernel: usize,
        /// Stride.
        stride: usize,
        /// Pixels around the input that never win; less than `kernel`.
        padding: usize,
    },
    /// Average over the plane.
    GlobalAvgPool,
    /// Fully connected layer with bias.
    Linear {
        /// Output features.
        out_features: usize,
    },
    /// 1×1 convolution with bias of pooled features: a fully connected layer whose weight has
    /// the shape of a convolution's, [K, C, 1, 1].
    PooledConv {
        /// Output channels.
        out_channels: usize,
    },
    /// 1 / (1 + e^−x).
    Sigmoid,
    /// The first operand times the second, which has one factor per channel.
    Scale,
    /// In training, zero for a random share of the elements; the rest grows in proportion.
    Dropout {
        /// The share, 0…1 without 1.
        rate: f32,
        /// Whether samples stay or go as a whole (stochastic depth).
        per_sample: bool,
    },
}

/// One node: an op, where its operands come from, and the shape of what it makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// PyTorch's module name: `layer1.0.conv1`.
    pub name: String,
    /// What is computed.
    pub op: Op,
    /// Operands, in the op's order.
    pub inputs: Vec<NodeId>,
    /// Shape of the result for one image.
    pub shape: Chw,
}

/// Why a network cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("layer `{layer}`: {reason}")]
pub struct ShapeError {
    /// Name of the layer.
    pub layer: String,
    /// What is wrong and what to do.
    pub reason: String,
}

/// A network: nodes in execution order, the last one giving the logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Name of the architecture.
    pub name: String,
    /// What its sites compute where they are no gates.
    pub nonlinearity: Nonlinearity,
    /// Nodes; operands lie before their consumers.
    pub nodes: Vec<Node>,
}

impl Network {
    /// A network that holds only its input of shape `input`.
    pub fn new(name: impl Into<String>, input: Chw) -> Self {
        Self {
            name: name.into(),
            nonlinearity: Nonlinearity::Relu,
            nodes: vec![Node {
                name: "input".into(),
                op: Op::Input,
                inputs: Vec::new(),
                shape: input,
            }],
        }
    }

    /// The input node.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// The node that gives the logits: the last.
    pub fn output(&self) -> NodeId {
        NodeId(self.nodes.len() - 1)
    }

    /// The node at `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Number of classes: features of the last node.
    pub fn classes(&self) -> usize {
        self.node(self.output()).shape.channels
    }

    /// Appends a node after inferring its shape.
    ///
    /// # Errors
    /// [`ShapeError`] when the operands do not fit the op.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: &[NodeId],
    ) -> Result<NodeId, ShapeError> {
        let name = name.into();
        let shapes: Vec<Chw> = inputs.iter().map(|&id| self.node(id).shape).collect();
        let shape = super::ops::infer_shape(op, &shapes).map_err(|reason| ShapeError {
            layer: name.clone(),
            reason,
        })?;
        self.nodes.push(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            shape,
        });
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// The nodes that read `id`.
    pub fn consumers(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        (0..self.nodes.len())
            .map(NodeId)
            .filter(move |&n| self.node(n).inputs.contains(&id))
    }

    /// The activation sites, in execution order.
    pub fn sites(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        (0..)
            .map(NodeId)
            .zip(&self.nodes)
            .filter(|(_, node)| node.op == Op::Activation)
    }

    /// ReLUs of one image: elements of all sites.
    pub fn relu_total(&self) -> usize {
        self.sites().map(|(_, node)| node.shape.len()).sum()
    }
}
