//! Fusion: which nodes become one dispatch.
//!
//! Batch norm, residual addition and activation are one pass over memory (`shaders/gate.wgsl`),
//! so a batch norm whose only reader is an addition or an activation is not computed on its
//! own, and neither is an addition whose only reader is an activation.

use super::network::{Network, NodeId};
use super::op::{Conv2d, Dropout, Linear, Op, Pool};

/// An operand of a fused pass: a tensor in memory, with the batch norm it still wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Input {
    /// The node whose tensor is read.
    pub tensor: NodeId,
    /// Batch-norm node to apply on the way.
    pub norm: Option<NodeId>,
}

/// `activation(norm(main) + norm(residual))`, each part optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fused {
    /// The node whose tensor is written.
    pub node: NodeId,
    pub main: Input,
    pub residual: Option<Input>,
    /// The activation node; `None` only normalises and adds.
    pub activation: Option<NodeId>,
}

/// An op that is computed on its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Single<P, const N: usize = 1> {
    /// The node whose tensor is written.
    pub node: NodeId,
    /// The tensors that are read.
    pub inputs: [NodeId; N],
    /// What the op is told.
    pub op: P,
}

/// Tells the sigmoid from other ops that need to be told nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sigmoid;

/// Likewise a factor per channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale;

/// What is dispatched together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stage {
    Conv2d(Single<Conv2d>),
    Fused(Fused),
    Pool(Single<Pool>),
    /// A fully connected layer, or a pooled convolution.
    Linear(Single<Linear>),
    Sigmoid(Single<Sigmoid>),
    Scale(Single<Scale, 2>),
    Dropout(Single<Dropout>),
}

/// Lowers a network to stages in execution order.
pub(super) fn lower(network: &Network) -> Vec<Stage> {
    (0..network.nodes.len())
        .filter_map(|index| stage(network, NodeId(index)))
        .collect()
}

/// The stage that writes a node's tensor; `None` for one that is given, or that its only reader
/// computes.
fn stage(network: &Network, node: NodeId) -> Option<Stage> {
    fn single<P, const N: usize>(network: &Network, node: NodeId, op: P) -> Single<P, N> {
        let operands = &network.node(node).inputs;
        let inputs = std::array::from_fn(|i| operands[i]);
        Single { node, inputs, op }
    }
    Some(match network.node(node).op {
        Op::Input => return None,
        Op::BatchNorm | Op::Add if is_absorbed(network, node) => return None,
        Op::BatchNorm | Op::Add => Stage::Fused(fused(network, node, node, None)),
        Op::Activation => {
            let sum = network.node(node).inputs[0];
            Stage::Fused(fused(network, node, sum, Some(node)))
        }
        Op::Conv2d(conv) => Stage::Conv2d(single(network, node, conv)),
        Op::Pool(pool) => Stage::Pool(single(network, node, pool)),
        Op::Linear(linear) | Op::PooledConv(linear) => Stage::Linear(single(network, node, linear)),
        Op::Sigmoid => Stage::Sigmoid(single(network, node, Sigmoid)),
        Op::Scale => Stage::Scale(single(network, node, Scale)),
        Op::Dropout(dropout) => Stage::Dropout(single(network, node, dropout)),
    })
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
fn fused(network: &Network, node: NodeId, sum: NodeId, activation: Option<NodeId>) -> Fused {
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
    Fused {
        node,
        main,
        residual,
        activation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::op::Chw;

    /// A stem of convolution and batch norm, then blocks that `append` appends.
    fn network(append: impl Fn(&mut Network, &str, NodeId) -> NodeId) -> Network {
        let input = Chw {
            channels: 4,
            height: 8,
            width: 8,
        };
        let mut network = Network::new("blocks", input);
        let stem = conv(&mut network, "conv1", NodeId(0));
        let mut x = network.push("bn1", Op::BatchNorm, &[stem]).unwrap();
        for block in ["a", "b"] {
            x = append(&mut network, block, x);
        }
        network
    }

    fn conv(network: &mut Network, name: &str, x: NodeId) -> NodeId {
        let conv = Op::Conv2d(Conv2d::same(4, 3, 1));
        network.push(name, conv, &[x]).unwrap()
    }

    fn fused(network: &Network) -> Vec<Fused> {
        let stages = lower(network).into_iter();
        let fused = stages.filter_map(|stage| match stage {
            Stage::Fused(fused) => Some(fused),
            _ => None,
        });
        fused.collect()
    }

    #[test]
    fn pre_activation_blocks_lower_to_one_pass_per_site_and_one_per_sum() {
        // As in a wide ResNet: BN act conv, + shortcut.
        let network = network(|n, block, x| {
            let mut push = |suffix: &str, op, inputs: &[_]| {
                n.push(format!("{block}.{suffix}"), op, inputs).unwrap()
            };
            let u = push("bn", Op::BatchNorm, &[x]);
            let u = push("act", Op::Activation, &[u]);
            let u = push("conv", Op::Conv2d(Conv2d::same(4, 3, 1)), &[u]);
            push("add", Op::Add, &[u, x])
        });
        let fused = fused(&network);
        // Every site takes its batch norm along, whoever reads it.
        let sites = fused
            .iter()
            .filter(|f| f.activation.is_some() && f.main.norm.is_some() && f.residual.is_none());
        assert_eq!(sites.count(), 2);
        // Batch norm needs the sums' moments: they have to be in memory.
        let sums = fused
            .iter()
            .filter(|f| f.activation.is_none() && f.residual.is_some());
        assert_eq!(sums.count(), 2);
        // The stem's batch norm stands alone: two nodes read it.
        assert_eq!(fused.len(), 2 + 2 + 1);
    }

    #[test]
    fn basic_blocks_lower_to_one_pass_per_site() {
        // As in a ResNet: conv BN, + shortcut, act; the second shortcut is projected.
        let network = network(|n, block, x| {
            let u = conv(n, &format!("{block}.conv"), x);
            let u = n.push(format!("{block}.bn"), Op::BatchNorm, &[u]).unwrap();
            let shortcut = match block {
                "a" => x,
                _ => {
                    let projected = conv(n, "b.downsample.0", x);
                    n.push("b.downsample.1", Op::BatchNorm, &[projected])
                        .unwrap()
                }
            };
            let sum = n.push(format!("{block}.add"), Op::Add, &[u, shortcut]);
            n.push(format!("{block}.act"), Op::Activation, &[sum.unwrap()])
                .unwrap()
        });
        let fused = fused(&network);
        // Two sites and the stem's batch norm, which two nodes read.
        assert_eq!(fused.len(), 2 + 1);
        let normalised = |input: Option<Input>| input.is_some_and(|input| input.norm.is_some());
        let residuals: Vec<bool> = fused[1..].iter().map(|f| normalised(f.residual)).collect();
        assert_eq!(residuals, [false, true]);
        assert!(fused.iter().all(|f| f.main.norm.is_some()));
    }
}
