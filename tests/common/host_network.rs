//! A whole network on the host in f64: the oracle for everything that runs or writes one.
//!
//! [`HostNetwork`] holds the arenas of a [`Layout`] as plain `f64` vectors, so that a finite
//! difference is three lines: take [`HostNetwork::forward`] once, move one parameter (or one
//! mask element, or one value in [`Values::nodes`]) by h, and let
//! [`HostNetwork::forward_from`] recompute only what lies behind it.

#![allow(
    dead_code,
    reason = "every test program compiles this for itself and uses a part"
)]

use autorep::graph::layout::Site;
use autorep::graph::{Chw, Dropout, Layout, Network, NodeId, Nonlinearity, Op, Pool, Tensors};
use autorep::reference;
use rayon::prelude::*;

/// What batch norm adds to every variance, as in PyTorch.
pub const EPSILON: f64 = 1e-5;

/// Where batch norm takes its mean and variance from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The running statistics.
    Evaluation,
    /// The batch at hand; the variance is the biased one, divided by the count.
    Training,
}

/// What an activation site computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activations {
    /// The network's nonlinearity, whatever the masks say.
    Relu,
    /// `m·relu(x) + (1−m)·p(x)`; m may be any number, so that it can be differentiated.
    Gate,
}

/// A network with its tensors, ready to run on the host.
#[derive(Debug, Clone)]
pub struct HostNetwork<'a> {
    /// The graph.
    pub network: &'a Network,
    /// Where its tensors lie.
    pub layout: &'a Layout,
    /// Parameters, as [`Tensors::params`].
    pub params: Vec<f64>,
    /// Running statistics, as [`Tensors::state`]. A forward pass never changes them.
    pub state: Vec<f64>,
    /// Masks, as [`Tensors::mask`].
    pub mask: Vec<f64>,
    /// Evaluation or training.
    pub mode: Mode,
    /// Plain ReLUs or gates.
    pub activations: Activations,
}

/// What every node computed for a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Images in the batch.
    pub batch: usize,
    /// Per node `batch` images of the node's shape, NCHW.
    pub nodes: Vec<Vec<f64>>,
}

impl Values {
    /// Values of one node.
    pub fn node(&self, id: NodeId) -> &[f64] {
        &self.nodes[id.0]
    }

    /// Values of the last node, [N, classes].
    pub fn logits(&self) -> &[f64] {
        self.nodes.last().expect("a network has at least its input")
    }
}

impl<'a> HostNetwork<'a> {
    /// Takes a copy of `tensors`.
    pub fn new(
        network: &'a Network,
        layout: &'a Layout,
        tensors: &Tensors,
        mode: Mode,
        activations: Activations,
    ) -> Self {
        let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
        Self {
            network,
            layout,
            params: wide(&tensors.params),
            state: wide(&tensors.state),
            mask: wide(&tensors.mask),
            mode,
            activations,
        }
    }

    /// Runs the network on normalised images, NCHW.
    pub fn forward(&self, images: &[f64]) -> Values {
        let image = self.network.node(self.network.input()).shape.len();
        assert_eq!(images.len() % image, 0, "whole images of {image} values");
        let input = Values {
            batch: images.len() / image,
            nodes: vec![images.to_vec()],
        };
        self.forward_from(&input, NodeId(1))
    }

    /// Recomputes `first` and every node after it from the `values` of the nodes before.
    pub fn forward_from(&self, values: &Values, first: NodeId) -> Values {
        let mut values = Values {
            batch: values.batch,
            nodes: values.nodes[..first.0].to_vec(),
        };
        for index in first.0..self.network.nodes.len() {
            let value = self.compute(&values, NodeId(index));
            values.nodes.push(value);
        }
        values
    }

    /// Mean softmax cross-entropy of `images` against `labels`.
    pub fn loss(&self, images: &[f64], labels: &[usize]) -> f64 {
        cross_entropy(self.forward(images).logits(), labels)
    }

    fn param(&self, slot: usize) -> &[f64] {
        &self.params[self.layout.params.slots[slot].range()]
    }

    fn state(&self, slot: usize) -> &[f64] {
        &self.state[self.layout.state.slots[slot].range()]
    }

    fn compute(&self, values: &Values, id: NodeId) -> Vec<f64> {
        let node = self.network.node(id);
        let operand = |i: usize| values.node(node.inputs[i]);
        let operand_shape = |i: usize| self.network.node(node.inputs[i]).shape;
        match node.op {
            Op::Input => unreachable!("the input is given"),
            Op::Conv2d(conv) => {
                let input = operand_shape(0);
                let whole = reference::conv2d::Shape {
                    batch: 1,
                    in_channels: input.channels,
                    out_channels: conv.out_channels,
                    size: (input.height, input.width),
                    kernel: conv.kernel,
                    stride: conv.stride,
                    padding: conv.padding,
                };
                let shape = reference::conv2d::grouped::Shape {
                    whole,
                    groups: conv.groups,
                };
                let weight = self.param(self.layout.conv2d(id));
                // One call of the twin per image: convolutions are nearly all of the time.
                operand(0)
                    .par_chunks(input.len())
                    .flat_map_iter(|x| reference::conv2d::grouped::forward(&shape, x, weight))
                    .collect()
            }
            Op::BatchNorm => {
                let slots = self.layout.batch_norm(id);
                let (mean, variance) = match self.mode {
                    Mode::Evaluation => (
                        self.state(slots.running_mean).to_vec(),
                        self.state(slots.running_var).to_vec(),
                    ),
                    Mode::Training => channel_moments(operand(0), node.shape),
                };
                let (gamma, beta) = (self.param(slots.weight), self.param(slots.bias));
                map_channels(operand(0), node.shape, |c, x| {
                    (x - mean[c]) / (variance[c] + EPSILON).sqrt() * gamma[c] + beta[c]
                })
            }
            Op::Activation => match self.activations {
                Activations::Relu => match self.network.nonlinearity {
                    Nonlinearity::Relu => operand(0).iter().map(|x| x.max(0.0)).collect(),
                    Nonlinearity::Silu => {
                        let silu = |x: &f64| x * reference::sigmoid::sigmoid(*x);
                        operand(0).iter().map(silu).collect()
                    }
                },
                Activations::Gate => self.gate(self.layout.site(id), operand(0)),
            },
            Op::Add => reference::add::add(operand(0), operand(1)),
            Op::Pool(Pool::Average { kernel, stride }) => {
                average_pool(operand(0), operand_shape(0), node.shape, kernel, stride)
            }
            Op::Pool(Pool::Max {
                kernel,
                stride,
                padding,
            }) => {
                let input = operand_shape(0);
                let shape = reference::max_pool::Shape {
                    planes: values.batch * input.channels,
                    size: (input.height, input.width),
                    kernel,
                    stride,
                    padding,
                };
                reference::max_pool::forward(&shape, operand(0))
            }
            Op::Pool(Pool::GlobalAverage) => operand(0)
                .chunks(operand_shape(0).plane())
                .map(mean)
                .collect(),
            Op::Sigmoid => reference::sigmoid::forward(operand(0)),
            Op::Scale => reference::scale::forward(node.shape.plane(), operand(0), operand(1)),
            Op::Dropout(Dropout { rate, per_sample }) => match self.mode {
                Mode::Evaluation => operand(0).to_vec(),
                // The first step of a run with seed 0.
                Mode::Training => {
                    let spec = autorep::kernels::dropout::Spec {
                        batch: values.batch,
                        length: operand(0).len(),
                        share: if per_sample { node.shape.len() } else { 1 },
                        rate,
                        layer: id.0 as u32,
                    };
                    let dropout = reference::dropout::Dropout {
                        share: spec.share,
                        rate: rate.into(),
                        seed: 0,
                        step: 0,
                        before: 0,
                        purpose: spec.purpose(),
                    };
                    dropout.apply(operand(0))
                }
            },
            Op::Linear(_) | Op::PooledConv(_) => {
                let slots = self.layout.linear(id);
                let (weight, bias) = (self.param(slots.weight), self.param(slots.bias));
                let features = operand_shape(0).len();
                operand(0)
                    .chunks(features)
                    .flat_map(|x| {
                        weight
                            .chunks(features)
                            .zip(bias)
                            .map(|(w, b)| dot(w, x) + b)
                    })
                    .collect()
            }
        }
    }

    /// `m·relu(x) + (1−m)·(c0 + c1·x + c2·x²)`.
    fn gate(&self, site: &Site, x: &[f64]) -> Vec<f64> {
        let mask = &self.mask[site.range()];
        let coefficients = self.param(site.coefficients);
        let gate = |i: usize, x: f64| {
            let channel = i / site.shape.plane();
            let powers = &coefficients[4 * channel..4 * channel + 3];
            let polynomial = powers.iter().rev().fold(0.0, |sum, c| sum * x + c);
            mask[i] * x.max(0.0) + (1.0 - mask[i]) * polynomial
        };
        x.chunks(site.shape.len())
            .flat_map(|image| image.iter().enumerate().map(|(i, &x)| gate(i, x)))
            .collect()
    }
}

/// Mean over images of −log softmax(logits)[label].
pub fn cross_entropy(logits: &[f64], labels: &[usize]) -> f64 {
    let classes = logits.len() / labels.len();
    let losses = logits.chunks(classes).zip(labels).map(|(row, &label)| {
        // Shifted by the largest logit, no exponential can overflow.
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|z| (z - top).exp()).sum();
        sum.ln() + top - row[label]
    });
    losses.sum::<f64>() / labels.len() as f64
}

/// Mean and biased variance per channel over images and pixels.
pub fn channel_moments(x: &[f64], shape: Chw) -> (Vec<f64>, Vec<f64>) {
    let over_channel = |channel: usize, value: &dyn Fn(f64) -> f64| {
        let planes = x.chunks(shape.plane()).skip(channel);
        let sum: f64 = planes
            .step_by(shape.channels)
            .flatten()
            .map(|&x| value(x))
            .sum();
        sum / (x.len() / shape.channels) as f64
    };
    (0..shape.channels)
        .map(|c| {
            let mean = over_channel(c, &|x| x);
            (mean, over_channel(c, &|x| (x - mean).powi(2)))
        })
        .unzip()
}

/// Applies `f(channel, value)` to every value.
fn map_channels(x: &[f64], shape: Chw, f: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    x.chunks(shape.plane())
        .zip((0..shape.channels).cycle())
        .flat_map(|(plane, channel)| plane.iter().map(move |&x| (channel, x)))
        .map(|(channel, x)| f(channel, x))
        .collect()
}

/// Average over k×k windows that lie wholly inside the plane.
fn average_pool(x: &[f64], input: Chw, output: Chw, kernel: usize, stride: usize) -> Vec<f64> {
    let window = |plane: &[f64], oy: usize, ox: usize| {
        let rows = (oy * stride..).take(kernel);
        let sum: f64 = rows
            .map(|y| {
                let start = y * input.width + ox * stride;
                plane[start..start + kernel].iter().sum::<f64>()
            })
            .sum();
        sum / (kernel * kernel) as f64
    };
    let mut y = Vec::with_capacity(x.len() / input.plane() * output.plane());
    for plane in x.chunks(input.plane()) {
        for oy in 0..output.height {
            y.extend((0..output.width).map(|ox| window(plane, oy, ox)));
        }
    }
    y
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
