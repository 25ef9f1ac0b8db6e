//! A network as the parties of private inference see it: what takes communication, in order.

use super::protocol::LinearShape;
use crate::graph::{Network, Op, Pool};
use serde::Serialize;

/// A layer that takes communication.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// PyTorch's module name.
    pub name: String,
    /// What it computes.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// A convolution or fully connected layer.
    Linear(LinearShape),
    /// An activation site.
    Site {
        /// Elements of an image.
        elements: usize,
    },
    /// Products of two secrets: the channels times their factors, after a squeeze-excite.
    Product {
        /// Elements of an image.
        elements: usize,
    },
    /// Sigmoids, which no protocol here prices: exponential and division, or a fit.
    Sigmoid {
        /// Elements of an image.
        elements: usize,
    },
    /// Maxima, which no protocol here prices: each costs about what a ReLU does.
    Maximum {
        /// Comparisons for an image: one less than the window has pixels, for every output.
        comparisons: usize,
    },
}

impl Kind {
    /// Whether it can be priced.
    pub fn is_priced(self) -> bool {
        !matches!(self, Self::Sigmoid { .. } | Self::Maximum { .. })
    }
}

/// The layers of `network` that take communication. Its sites come in the order of
/// [`Network::sites`].
///
/// What is left out is local: sums of shares, average pooling (a sum, whose factor folds into the
/// next layer), dropout (nothing, after training), and batch norm, which folds into the linear
/// layers around it: its shift is a sum, its scale goes before the site or, since
/// relu(γx) = |γ|·relu(±x), behind it. Nothing has to be known for that but the sign of γ.
pub fn layers(network: &Network) -> Vec<Layer> {
    let mut layers = Vec::new();
    for node in &network.nodes {
        let input = node.inputs.first().map(|&id| network.node(id).shape);
        let Some(input) = input else { continue };
        let output = node.shape;
        let elements = output.len();
        let dense = |out_features: usize| {
            Kind::Linear(LinearShape {
                input: input.len(),
                unfolded: input.len(),
                weights: out_features * input.len(),
                output: out_features,
            })
        };
        let kind = match node.op {
            Op::Conv2d(conv) => {
                let window = conv.kernel * conv.kernel;
                Kind::Linear(LinearShape {
                    input: input.len(),
                    unfolded: output.plane() * input.channels * window,
                    weights: output.channels * (input.channels / conv.groups) * window,
                    output: elements,
                })
            }
            Op::Linear(linear) | Op::PooledConv(linear) => dense(linear.out_features),
            Op::Activation => Kind::Site { elements },
            Op::Scale => Kind::Product { elements },
            Op::Sigmoid => Kind::Sigmoid { elements },
            Op::Pool(Pool::Max { kernel, .. }) => Kind::Maximum {
                comparisons: elements * (kernel * kernel - 1),
            },
            Op::Input
            | Op::BatchNorm
            | Op::Add
            | Op::Pool(Pool::Average { .. } | Pool::GlobalAverage)
            | Op::Dropout(_) => continue,
        };
        layers.push(Layer {
            name: node.name.clone(),
            kind,
        });
    }
    layers
}
