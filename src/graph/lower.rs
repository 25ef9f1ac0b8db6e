//! Fusion: which nodes become one dispatch.
//!
//! Batch norm, residual addition and activation are one pass over memory (`shaders/gate.wgsl`),
//! so a batch norm whose only reader is an addition or an activation is not computed on its
//! own, and neither is an addition whose only reader is an activation.

use super::network::{Network, NodeId, Op};

/// An operand of a fused pass: a tensor in memory, with the batch norm it still wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Input {
    /// The node whose tensor is read.
    pub tensor: NodeId,
    /// Batch-norm node to apply on the way.
    pub norm: Option<NodeId>,
}

/// What is dispatched together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// A convolution.
    Conv2d { node: NodeId, input: NodeId },
    /// `activation(norm(main) + norm(residual))`, each part optional.
    Fused {
        /// The node whose tensor is written.
        node: NodeId,
        main: Input,
        residual: Option<Input>,
        /// The activation node; `None` only normalises and adds.
        activation: Option<NodeId>,
    },
    /// Average or maximum over windows, or average over the plane.
    Pool { node: NodeId, input: NodeId },
    /// A fully connected layer.
    Linear { node: NodeId, input: NodeId },
    /// The sigmoid.
    Sigmoid { node: NodeId, input: NodeId },
    /// A factor per channel.
    Scale { node: NodeId, inputs: [NodeId; 2] },
    /// A random share becomes zero.
    Dropout { node: NodeId, input: NodeId },
}

/// Lowers a network to stages in execution order.
pub(super) fn lower(network: &Network) -> Vec<Stage> {
    let mut stages = Vec::new();
    for (index, node) in network.nodes.iter().enumerate() {
        let id = NodeId(index);
        match node.op {
            Op::Input => {}
            Op::Conv2d { .. } => stages.push(Stage::Conv2d {
                node: id,
                input: node.inputs[0],
            }),
            Op::AvgPool { .. } | Op::MaxPool { .. } | Op::GlobalAvgPool => {
                stages.push(Stage::Pool {
                    node: id,
                    input: node.inputs[0],
                })
            }
            Op::Linear { .. } | Op::PooledConv { .. } => stages.push(Stage::Linear {
                node: id,
                input: node.inputs[0],
            }),
            Op::Sigmoid => stages.push(Stage::Sigmoid {
                node: id,
                input: node.inputs[0],
            }),
            Op::Scale => stages.push(Stage::Scale {
                node: id,
                inputs: [node.inputs[0], node.inputs[1]],
            }),
            Op::Dropout { .. } => stages.push(Stage::Dropout {
                node: id,
                input: node.inputs[0],
            }),
            Op::BatchNorm | Op::Add if is_absorbed(network, id) => {}
            Op::BatchNorm | Op::Add => stages.push(fused(network, id, id, None)),
            Op::Activation => stages.push(fused(network, id, node.inputs[0], Some(id))),
        }
    }
    stages
}

/// Whether a node is computed within its only reader.
fn is_absorbed(network: &Network, id: NodeId) -> bool {
    let mut readers = network.consumers(id);
    let (Some(reader), None) = (readers.next(), readers.next()) else {
        return false;
    };
    let by = network.node(reader).op;
    match network.node(id).op {
        // An addition of a tensor with itself reads it twice.
        Op::BatchNorm => by == Op::Activation || (by == Op::Add && !reads_twice(network, reader)),
        Op::Add => by == Op::Activation,
        _ => false,
    }
}

fn reads_twice(network: &Network, id: NodeId) -> bool {
    let inputs = &network.node(id).inputs;
    inputs.len() == 2 && inputs[0] == inputs[1]
}

/// The fused stage that writes `node`, of which `sum` is the innermost batch norm or addition.
fn fused(network: &Network, node: NodeId, sum: NodeId, activation: Option<NodeId>) -> Stage {
    let input = |id: NodeId| {
        let inner = network.node(id);
        let absorbed = inner.op == Op::BatchNorm && (id == node || is_absorbed(network, id));
        if absorbed {
            Input {
                tensor: inner.inputs[0],
                norm: Some(id),
            }
        } else {
            Input {
                tensor: id,
                norm: None,
            }
        }
    };
    let is_sum = network.node(sum).op == Op::Add && (sum == node || is_absorbed(network, sum));
    let (main, residual) = if is_sum {
        let [a, b] = [network.node(sum).inputs[0], network.node(sum).inputs[1]].map(input);
        // The main operand is the normalised one where there is a choice.
        if a.norm.is_none() && b.norm.is_some() {
            (b, Some(a))
        } else {
            (a, Some(b))
        }
    } else {
        (input(sum), None)
    };
    Stage::Fused {
        node,
        main,
        residual,
        activation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ModelSpec;

    fn network(name: &str) -> Network {
        let spec = ModelSpec {
            name: name.into(),
            width: 1.0,
            input: (32, 32),
            classes: 10,
        };
        spec.build().unwrap()
    }

    #[test]
    fn wide_resnet_lowers_to_one_pass_per_site_and_one_per_sum() {
        let network = network("wide_resnet_22_8");
        let stages = lower(&network);
        let count = |wanted: fn(&Stage) -> bool| stages.iter().filter(|s| wanted(s)).count();
        // Every site takes its batch norm along, whoever reads it.
        let sites = count(|stage| {
            matches!(stage, Stage::Fused { activation: Some(_), main, residual: None, .. }
                if main.norm.is_some())
        });
        assert_eq!(sites, 18);
        // Batch norm needs the sums' moments: they have to be in memory.
        let sums = count(|stage| {
            matches!(
                stage,
                Stage::Fused {
                    activation: None,
                    residual: Some(_),
                    ..
                }
            )
        });
        assert_eq!(sums, 9);
        // The last batch norm stands alone.
        let fused = count(|stage| matches!(stage, Stage::Fused { .. }));
        assert_eq!(fused, 18 + 9 + 1);
    }

    #[test]
    fn resnet8_lowers_to_one_pass_per_site() {
        let network = network("resnet8");
        let stages = lower(&network);
        let fused = |stage: &&Stage| matches!(stage, Stage::Fused { .. });
        // Six sites and the stem's batch norm, which two nodes read.
        assert_eq!(stages.iter().filter(fused).count(), 7);
        let both_normalised = stages.iter().filter(|stage| {
            matches!(stage, Stage::Fused { main, residual: Some(r), .. }
                if main.norm.is_some() && r.norm.is_some())
        });
        assert_eq!(both_normalised.count(), 2);
    }
}
