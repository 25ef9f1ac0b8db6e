//! A network as the parties of private inference see it: what takes communication, in order.

use super::protocol::{LinearShape, SiteCounts};
use crate::graph::{Chw, Conv2d, Network, Op, Pool};
use crate::private::{Folded, FoldedOp, FoldedSite, Kind as Part, Step};
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
    /// Products with weights that no layer beside them could take in.
    Factor {
        /// Elements of an image.
        elements: usize,
    },
    /// Averages: sums, which are local, times a public number.
    Average {
        /// Elements of its result.
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
/// What is left out is local: sums of shares, dropout (nothing, after training), and batch norm,
/// which folds into the linear layers around it.
pub fn layers(network: &Network) -> Vec<Layer> {
    let mut layers = Vec::new();
    for node in &network.nodes {
        let input = node.inputs.first().map(|&id| network.node(id).shape);
        let Some(input) = input else { continue };
        let output = node.shape;
        let elements = output.len();
        let kind = match node.op {
            Op::Conv2d(conv) => convolution(conv, input, output),
            Op::Linear(_) | Op::PooledConv(_) => dense(input, output),
            Op::Activation => Kind::Site { elements },
            Op::Scale => Kind::Product { elements },
            Op::Sigmoid => Kind::Sigmoid { elements },
            Op::Pool(Pool::Max { kernel, .. }) => Kind::Maximum {
                comparisons: elements * (kernel * kernel - 1),
            },
            Op::Pool(Pool::Average { .. } | Pool::GlobalAverage) => Kind::Average { elements },
            Op::Input | Op::BatchNorm | Op::Add | Op::Dropout(_) => continue,
        };
        layers.push(Layer {
            name: node.name.clone(),
            kind,
        });
    }
    layers
}

/// The layers of a folded network that take communication, and what its sites hold, in order.
pub fn layers_of(folded: &Folded) -> (Vec<Layer>, Vec<SiteCounts>) {
    let (mut layers, mut sites) = (Vec::new(), Vec::new());
    for step in &folded.steps {
        let Some(&input) = step.inputs.first() else {
            continue;
        };
        let (input, output) = (folded.steps[input].shape, step.shape);
        let elements = output.len();
        let mut push = |name: String, kind| layers.push(Layer { name, kind });
        let name = step.name.clone();
        match &step.op {
            FoldedOp::Conv(conv) if input.plane() == 1 && conv.conv.kernel == 1 => {
                push(name, dense(input, output));
            }
            FoldedOp::Conv(conv) => push(name, convolution(conv.conv, input, output)),
            FoldedOp::Linear { .. } => push(name, dense(input, output)),
            FoldedOp::Product => push(name, Kind::Product { elements }),
            FoldedOp::Sigmoid => push(name, Kind::Sigmoid { elements }),
            FoldedOp::Average(_) | FoldedOp::GlobalAverage => {
                push(name, Kind::Average { elements })
            }
            FoldedOp::Max(window) => {
                let comparisons = elements * (window.kernel * window.kernel - 1);
                push(name, Kind::Maximum { comparisons });
            }
            FoldedOp::Site(site) => {
                push(name, Kind::Site { elements });
                sites.push(counts(site, step));
            }
            FoldedOp::Norm(_) => {}
            FoldedOp::Center(_) | FoldedOp::Add => {}
        }
        if let FoldedOp::Site(site) | FoldedOp::Norm(site) = &step.op {
            for (elements, which) in factors(site, output.plane()) {
                push(format!("{}.{which}", step.name), Kind::Factor { elements });
            }
        }
    }
    (layers, sites)
}

/// What a folded site computes. Squares are taken of whole channels, since to leave out those beside
/// the kept elements takes longer than to compute them.
fn counts(site: &FoldedSite, step: &Step) -> SiteCounts {
    let plane = step.shape.plane();
    SiteCounts {
        elements: step.shape.len(),
        relus: site.relus(plane),
        squares: site.channels(Part::Square) * plane,
    }
}

/// Products of a folded site with weights: how many elements each takes, and which it is.
fn factors(site: &FoldedSite, plane: usize) -> Vec<(usize, &'static str)> {
    let compared = site.compared(plane);
    let relus = |weights: &[f32]| match compared.iter().all(|&channel| weights[channel] == 1.0) {
        true => 0,
        false => compared.len(),
    };
    let gains = |part| match site
        .channels_of(part)
        .all(|channel| site.gain[channel] == 1.0)
    {
        true => 0,
        false => site.channels(part) * plane,
    };
    let products = [
        (relus(&site.factor), "relu.factor"),
        (relus(&site.sign), "relu.sign"),
        (gains(Part::Square), "square.gain"),
        (gains(Part::Line), "line.gain"),
    ];
    products
        .into_iter()
        .filter(|(elements, _)| *elements > 0)
        .collect()
}

fn convolution(conv: Conv2d, input: Chw, output: Chw) -> Kind {
    let window = conv.kernel * conv.kernel;
    let of_an_output = (input.channels / conv.groups) * window;
    Kind::Linear(LinearShape {
        input: input.len(),
        unfolded: output.plane() * input.channels * window,
        weights: output.channels * of_an_output,
        output: output.len(),
        multiply_adds: output.len() * of_an_output,
    })
}

/// A fully connected layer.
fn dense(input: Chw, output: Chw) -> Kind {
    Kind::Linear(LinearShape {
        input: input.len(),
        unfolded: input.len(),
        weights: output.len() * input.len(),
        output: output.len(),
        multiply_adds: output.len() * input.len(),
    })
}
