//! A model into its folded form.

use super::folded::{Folded, FoldedConv, FoldedOp, FoldedSite, Kind, Step, Window};
use super::order::{Together, arrange, runs};
use super::scales::{Activation, Class, Tie, solve};
use super::union::Union;
use crate::graph::layout::{NodeTensors, Site};
use crate::graph::{Conv2d, Layout, Model, Network, NodeId, Nonlinearity, Op, Pool};
use crate::kernels::batch_norm::EPSILON;

/// Why a model has no folded form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// A teacher whose activations are neither ReLUs nor polynomials.
    #[error(
        "`{model}` still computes SiLUs, for which private inference has no form that saves: \
         search it first, or export it without --for pi"
    )]
    Silu {
        /// Name of the network.
        model: String,
    },
    /// Values whose factors are given from two sides.
    #[error(
        "layer `{layer}` joins values that no factor can be folded into: export the network \
         without --for pi"
    )]
    Joined {
        /// Name of the layer.
        layer: String,
    },
}

/// Spread of a parabola over that of its best line, below which the line stands for it. What is
/// lost is of the size of what rounding in f32 would lose with the square completed.
const STRAIGHT: f64 = 1e-4;

/// Puts `model` into its folded form. All its numbers must be finite, and its masks 0 or 1.
///
/// # Errors
/// [`FoldError`] where there is no such form.
pub fn fold(model: &Model) -> Result<Folded, FoldError> {
    let network = &model.network;
    if network.nonlinearity == Nonlinearity::Silu {
        let model = network.name.clone();
        return Err(FoldError::Silu { model });
    }
    let source = Source::new(model);
    let classes = source.classes()?;
    let ties = source.ties();
    let scales = solve(&classes, &ties);
    let orders = source.orders();
    let mut writer = Writer {
        source: &source,
        scales,
        orders,
        steps: Vec::new(),
        made: vec![None; network.nodes.len()],
    };
    for index in 0..network.nodes.len() {
        writer.node(NodeId(index));
    }
    Ok(Folded {
        name: network.name.clone(),
        classes: model.classes.clone(),
        relu_total: network.relu_total(),
        steps: writer.steps,
    })
}

/// A model, and what can be said of it before any factor is chosen.
struct Source<'a> {
    model: &'a Model,
    network: &'a Network,
    layout: &'a Layout,
    /// Of a batch norm: the convolution that takes it in.
    takes_in: Vec<Option<NodeId>>,
    /// Values, by node, that share their factors.
    shared: Union,
    /// What each activation site's channels do, by node.
    activations: Vec<Vec<Activation>>,
    /// Kinds of each site's channels, by node.
    kinds: Vec<Vec<Kind>>,
}

impl<'a> Source<'a> {
    fn new(model: &'a Model) -> Self {
        let (network, layout) = (&model.network, &model.layout);
        let ids = || (0..network.nodes.len()).map(NodeId);
        let takes_in = |id: NodeId| {
            let node = network.node(id);
            let conv = *node.inputs.first()?;
            let is_conv = matches!(network.node(conv).op, Op::Conv2d(_));
            let alone = network.consumers(conv).count() == 1;
            (node.op == Op::BatchNorm && is_conv && alone).then_some(conv)
        };
        let takes_in: Vec<Option<NodeId>> = ids().map(takes_in).collect();
        let mut shared = Union::new(network.nodes.len());
        for id in ids() {
            let node = network.node(id);
            match node.op {
                Op::Add => node.inputs.iter().for_each(|i| shared.join(i.0, id.0)),
                Op::Pool(_) | Op::Dropout(_) | Op::Scale => shared.join(node.inputs[0].0, id.0),
                Op::BatchNorm if takes_in[id.0].is_some() => shared.join(node.inputs[0].0, id.0),
                _ => {}
            }
        }
        let mut source = Self {
            model,
            network,
            layout,
            takes_in,
            shared,
            activations: vec![Vec::new(); network.nodes.len()],
            kinds: vec![Vec::new(); network.nodes.len()],
        };
        for id in ids() {
            source.activations[id.0] = source.activations_of(id);
            source.kinds[id.0] = source.kinds_of(id);
        }
        source
    }

    fn channels(&self, value: usize) -> usize {
        self.network.nodes[value].shape.channels
    }

    fn param(&self, slot: usize) -> &[f32] {
        self.model.tensors.param(&self.layout.params.slots[slot])
    }

    fn state(&self, slot: usize) -> &[f32] {
        &self.model.tensors.state[self.layout.state.slots[slot].range()]
    }

    fn mask(&self, site: &Site) -> &[f32] {
        &self.model.tensors.mask[site.range()]
    }

    /// Scale and shift of a batch norm, by channel.
    fn norm(&self, id: NodeId) -> Vec<(f64, f64)> {
        let slots = self.layout.batch_norm(id);
        let values = [
            self.param(slots.weight),
            self.param(slots.bias),
            self.state(slots.running_mean),
            self.state(slots.running_var),
        ];
        let channel = |c: usize| {
            let [weight, bias, mean, var] = values.map(|v| f64::from(v[c]));
            let scale = weight / (var + EPSILON).sqrt();
            (scale, bias - mean * scale)
        };
        (0..values[0].len()).map(channel).collect()
    }

    /// What the channels of a site, or of a batch norm that stands alone, do; nothing of others.
    fn activations_of(&self, id: NodeId) -> Vec<Activation> {
        let node = self.network.node(id);
        match node.op {
            Op::BatchNorm if self.takes_in[id.0].is_none() => {
                let line = |(scale, shift)| Activation {
                    polynomial: [shift, scale, 0.0],
                    kept: false,
                    whole: false,
                };
                self.norm(id).into_iter().map(line).collect()
            }
            Op::Activation => {
                let site = self.layout.site(id);
                let masks = self.mask(site).chunks(site.shape.plane());
                let coefficients = self.param(site.coefficients).chunks(4);
                let moments = self.state(site.moments).chunks(2);
                let channels = masks.zip(coefficients).zip(moments);
                let channel = |((mask, c), moments): ((&[f32], &[f32]), &[f32])| Activation {
                    polynomial: straightened(c, moments),
                    kept: mask.contains(&1.0),
                    whole: !mask.contains(&0.0),
                };
                channels.map(channel).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether every channel of a site is ReLUs or polynomials as a whole.
    fn is_uniform(&self, id: NodeId) -> bool {
        let mut channels = self.activations[id.0].iter();
        channels.all(|channel| channel.kept == channel.whole)
    }

    /// What is done with the channels of a site as wholes. Where ReLUs are picked out of them, a
    /// channel that is nothing but ReLUs does what most others do.
    fn kinds_of(&self, id: NodeId) -> Vec<Kind> {
        let channels = &self.activations[id.0];
        let polynomial = |channel: &Activation| match channel.polynomial[2] {
            0.0 => Kind::Line,
            _ => Kind::Square,
        };
        let mixed = channels.iter().filter(|channel| !channel.whole);
        let squares = mixed.clone().filter(|c| polynomial(c) == Kind::Square);
        let most = match 2 * squares.count() >= mixed.count() {
            true => Kind::Square,
            false => Kind::Line,
        };
        let kind = |channel: &Activation| match channel.whole {
            true if self.is_uniform(id) => Kind::Relu,
            true => most,
            false => polynomial(channel),
        };
        channels.iter().map(kind).collect()
    }

    /// The classes of values, by node; those of a class lie at its root.
    fn classes(&self) -> Result<Vec<Class>, FoldError> {
        let class = |value: usize| Class {
            channels: self.channels(value),
            fixed: None,
            positive: false,
        };
        let mut classes: Vec<Class> = (0..self.network.nodes.len()).map(class).collect();
        let std: Vec<f64> = self.model.std.iter().map(|&s| f64::from(s)).collect();
        let ones = |value| vec![1.0; self.channels(value)];
        let mut fixed = vec![
            (self.network.input().0, std),
            (self.network.output().0, ones(self.network.output().0)),
        ];
        for (index, node) in self.network.nodes.iter().enumerate() {
            match node.op {
                Op::Sigmoid => fixed.extend([node.inputs[0].0, index].map(|v| (v, ones(v)))),
                Op::Scale => fixed.push((node.inputs[1].0, ones(node.inputs[1].0))),
                Op::Pool(Pool::Max { .. }) => classes[self.shared.root(index)].positive = true,
                _ => {}
            }
        }
        for (value, factors) in fixed {
            let class = &mut classes[self.shared.root(value)];
            if class
                .fixed
                .as_ref()
                .is_some_and(|before| *before != factors)
            {
                let layer = self.network.nodes[value].name.clone();
                return Err(FoldError::Joined { layer });
            }
            class.fixed = Some(factors);
        }
        Ok(classes)
    }

    fn ties(&self) -> Vec<Tie> {
        let tie = |(index, channels): (usize, &Vec<Activation>)| {
            let input = self.network.nodes[index].inputs.first()?;
            (!channels.is_empty()).then(|| Tie {
                input: self.shared.root(input.0),
                output: self.shared.root(index),
                channels: channels.clone(),
            })
        };
        let nodes = self.activations.iter().enumerate();
        nodes.filter_map(tie).collect()
    }

    /// The order of the channels of every value.
    fn orders(&self) -> Vec<Vec<usize>> {
        let nodes = &self.network.nodes;
        let mut values = Union::new(nodes.len());
        let mut fixed = vec![self.network.input().0, self.network.output().0];
        for (index, node) in nodes.iter().enumerate() {
            match node.op {
                Op::Conv2d(conv) if conv.groups > 1 => {
                    let input = node.inputs[0].0;
                    match conv.groups == self.channels(input) && conv.groups == conv.out_channels {
                        true => values.join(input, index),
                        false => fixed.extend([input, index]),
                    }
                }
                Op::Conv2d(_) | Op::Linear(_) | Op::PooledConv(_) | Op::Input => {}
                Op::BatchNorm
                | Op::Activation
                | Op::Add
                | Op::Pool(_)
                | Op::Sigmoid
                | Op::Scale
                | Op::Dropout(_) => node.inputs.iter().for_each(|i| values.join(i.0, index)),
            }
        }
        let mut sets: Vec<Together> = (0..nodes.len())
            .map(|value| Together {
                channels: self.channels(value),
                ..Together::default()
            })
            .collect();
        for value in fixed {
            sets[values.root(value)].fixed = true;
        }
        for (index, kinds) in self.kinds.iter().enumerate() {
            if kinds.windows(2).any(|pair| pair[0] != pair[1]) {
                sets[values.root(index)].sites.push(kinds.clone());
            }
        }
        arrange(&values, &sets)
    }
}

/// A channel's polynomial; where it is all but straight over what the channel sees (mean and
/// variance in `moments`), the line that deviates least from it.
fn straightened(coefficients: &[f32], moments: &[f32]) -> [f64; 3] {
    let [c0, c1, c2] = [0, 1, 2].map(|power| f64::from(coefficients[power]));
    let (mean, variance) = (f64::from(moments[0]), f64::from(moments[1]).max(0.0));
    // c₂x² = c₂(x − μ)² + 2c₂μ·x − c₂μ², and (x − μ)² is σ² on average.
    let slope = c1 + 2.0 * c2 * mean;
    // A channel without variance has been measured nowhere or in one place: nothing to go by.
    match variance > 0.0 && c2.abs() * variance.sqrt() <= STRAIGHT * slope.abs() {
        true => [c0 + c2 * (variance - mean * mean), slope, 0.0],
        false => [c0, c1, c2],
    }
}

/// The steps while they grow.
struct Writer<'a> {
    source: &'a Source<'a>,
    /// By class.
    scales: Vec<Vec<f64>>,
    /// By value: earlier place of each channel.
    orders: Vec<Vec<usize>>,
    steps: Vec<Step>,
    /// By node: the step that makes its value.
    made: Vec<Option<usize>>,
}

impl Writer<'_> {
    /// Factors of a node's value, by the network's channels.
    fn scale(&self, id: NodeId) -> &[f64] {
        &self.scales[self.source.shared.root(id.0)]
    }

    fn node(&mut self, id: NodeId) {
        let source = self.source;
        let (network, layout) = (source.network, source.layout);
        let node = network.node(id);
        let op = match node.op {
            Op::Input => FoldedOp::Center(source.model.mean),
            Op::Conv2d(_) if self.is_taken_in(id) => return,
            Op::Conv2d(conv) => {
                let weight = source.param(layout.conv2d(id));
                let none = vec![(1.0, 0.0); node.shape.channels];
                FoldedOp::Conv(self.conv(conv, node.inputs[0], id, weight, &none))
            }
            Op::BatchNorm => match source.takes_in[id.0] {
                Some(taker) => {
                    let Op::Conv2d(conv) = network.node(taker).op else {
                        unreachable!("convolutions alone take batch norms in");
                    };
                    let weight = source.param(layout.conv2d(taker));
                    let input = network.node(taker).inputs[0];
                    let conv = self.conv(conv, input, id, weight, &source.norm(id));
                    return self.push(id, &[input], FoldedOp::Conv(conv));
                }
                None => FoldedOp::Norm(self.site(id)),
            },
            Op::Activation => FoldedOp::Site(self.site(id)),
            Op::Add => FoldedOp::Add,
            Op::Pool(Pool::Average { kernel, stride }) => FoldedOp::Average(Window {
                kernel,
                stride,
                padding: 0,
            }),
            Op::Pool(Pool::GlobalAverage) => FoldedOp::GlobalAverage,
            Op::Pool(Pool::Max {
                kernel,
                stride,
                padding,
            }) => FoldedOp::Max(Window {
                kernel,
                stride,
                padding,
            }),
            Op::Linear(_) | Op::PooledConv(_) => {
                let slots = layout.linear(id);
                let bias = source.param(slots.bias).iter();
                let bias: Vec<_> = bias.map(|&b| (1.0, f64::from(b))).collect();
                let weight = source.param(slots.weight);
                let conv = Conv2d::same(node.shape.channels, 1, 1);
                let conv = self.conv(conv, node.inputs[0], id, weight, &bias);
                match id == network.output() {
                    true => FoldedOp::Linear {
                        weight: conv.weight,
                        bias: conv.bias,
                    },
                    false => FoldedOp::Conv(conv),
                }
            }
            Op::Sigmoid => FoldedOp::Sigmoid,
            Op::Scale => FoldedOp::Product,
            // Nothing is dropped in an evaluation.
            Op::Dropout(_) => {
                self.made[id.0] = self.made[node.inputs[0].0];
                return;
            }
        };
        self.push(id, &node.inputs, op);
    }

    /// Whether a convolution is computed together with the batch norm behind it.
    fn is_taken_in(&self, id: NodeId) -> bool {
        self.source.takes_in.contains(&Some(id))
    }

    fn push(&mut self, id: NodeId, inputs: &[NodeId], op: FoldedOp) {
        let node = self.source.network.node(id);
        let input = |id: &NodeId| self.made[id.0].expect("operands lie before their consumers");
        self.steps.push(Step {
            name: node.name.clone(),
            op,
            inputs: inputs.iter().map(input).collect(),
            shape: node.shape,
        });
        self.made[id.0] = Some(self.steps.len() - 1);
    }

    /// A convolution of the value of `input`, then scale and shift by channel, which make the value of
    /// `output`.
    fn conv(
        &self,
        conv: Conv2d,
        input: NodeId,
        output: NodeId,
        weight: &[f32],
        then: &[(f64, f64)],
    ) -> FoldedConv {
        let (before, behind) = (self.scale(input), self.scale(output));
        let (from, to) = (&self.orders[input.0], &self.orders[output.0]);
        let (window, width) = (conv.kernel * conv.kernel, from.len() / conv.groups);
        let per_group = to.len() / conv.groups;
        let mut folded = FoldedConv {
            conv,
            weight: Vec::with_capacity(weight.len()),
            bias: Vec::with_capacity(to.len()),
        };
        for &channel in to {
            let (scale, shift) = then[channel];
            let first = channel / per_group * width;
            let row = &weight[channel * width * window..][..width * window];
            // Of several groups only depthwise convolutions are reordered, both sides alike.
            let reads: Vec<usize> = match conv.groups {
                1 => from.clone(),
                _ => (first..first + width).collect(),
            };
            for read in reads {
                let factor = scale * behind[channel] / before[read];
                let taps = &row[(read - first) * window..][..window];
                let taps = taps.iter().map(|&w| (f64::from(w) * factor) as f32);
                folded.weight.extend(taps);
            }
            folded.bias.push((shift * behind[channel]) as f32);
        }
        folded
    }

    /// An activation site, or a batch norm that stands alone.
    fn site(&self, id: NodeId) -> FoldedSite {
        let source = self.source;
        let node = source.network.node(id);
        let plane = node.shape.plane();
        let order = &self.orders[id.0];
        let (before, behind) = (self.scale(node.inputs[0]), self.scale(id));
        let kinds: Vec<Kind> = order.iter().map(|&c| source.kinds[id.0][c]).collect();
        let mut site = FoldedSite {
            runs: runs(&kinds),
            kept: Vec::new(),
            offset: Vec::new(),
            gain: Vec::new(),
            constant: Vec::new(),
            factor: Vec::new(),
            sign: Vec::new(),
            mean: Vec::new(),
            deviation: Vec::new(),
        };
        for (&channel, kind) in order.iter().zip(kinds) {
            let activation = source.activations[id.0][channel];
            let [c0, c1, c2] = activation.polynomial;
            let (s, t) = (before[channel], behind[channel]);
            let (offset, gain, constant) = match kind {
                _ if activation.whole => (0.0, 1.0, 0.0),
                Kind::Square => (
                    s * c1 / (2.0 * c2),
                    t * c2 / (s * s),
                    t * (c0 - c1 * c1 / (4.0 * c2)),
                ),
                Kind::Line | Kind::Relu => (0.0, t * c1 / s, t * c0),
            };
            site.offset.push(offset as f32);
            site.gain.push(gain as f32);
            site.constant.push(constant as f32);
            // t·relu(x) = ±|t/s|·relu(±v).
            site.factor.push((t.abs() / s) as f32);
            site.sign.push(1f64.copysign(t) as f32);
        }
        let NodeTensors::Site(index) = source.layout.nodes[id.0] else {
            return site;
        };
        let tensors = &source.layout.sites[index];
        let moments = source.state(tensors.moments);
        for &channel in order {
            let s = before[channel];
            let variance = f64::from(moments[2 * channel + 1]).max(0.0);
            site.mean.push((s * f64::from(moments[2 * channel])) as f32);
            site.deviation.push((s.abs() * variance.sqrt()) as f32);
        }
        if !source.is_uniform(id) {
            let mask = source.mask(tensors);
            for (place, channel) in order.iter().enumerate() {
                let kept = mask[channel * plane..][..plane].iter().enumerate();
                let kept = kept.filter(|(_, keep)| **keep == 1.0);
                site.kept
                    .extend(kept.map(|(pixel, _)| place * plane + pixel));
            }
        }
        site
    }
}
