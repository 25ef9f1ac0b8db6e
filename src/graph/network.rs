//! A network as data: nodes, shapes, names.

use super::op::{Chw, Op};

/// Position of a node in [`Network::nodes`]. Inputs always lie before their consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// What a network's activation sites compute before any search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonlinearity {
    /// max(x, 0).
    Relu,
    /// x·sigmoid(x). In a search such a site is a gate like any other.
    Silu,
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
    /// When the op does not take that many operands, or none of their shapes.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: &[NodeId],
    ) -> Result<NodeId, ShapeError> {
        let name = name.into();
        let shapes: Vec<Chw> = inputs.iter().map(|&id| self.node(id).shape).collect();
        let shape = op.shape(&shapes).map_err(|reason| ShapeError {
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
