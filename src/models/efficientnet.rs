//! EfficientNet (Tan & Le, 2019) as torchvision builds it, under torchvision's names.

use super::parts::{Frame, conv};
use crate::graph::{Conv2d, Dropout, Linear, Network, NodeId, Nonlinearity, Op, Pool, ShapeError};

/// A row of the table: blocks of one shape.
struct Stage {
    /// Factor by which a block widens its input.
    expand: usize,
    /// Size of its depthwise kernel.
    kernel: usize,
    /// Stride of the first block.
    stride: usize,
    /// Channels of its output.
    channels: usize,
    /// Number of blocks.
    blocks: usize,
}

/// The family's stages at the given widths and depths.
fn stages(channels: [usize; 7], blocks: [usize; 7]) -> [Stage; 7] {
    let shapes = [
        (1, 3, 1),
        (6, 3, 2),
        (6, 5, 2),
        (6, 3, 2),
        (6, 5, 1),
        (6, 5, 2),
        (6, 3, 1),
    ];
    let mut index = 0;
    shapes.map(|(expand, kernel, stride)| {
        index += 1;
        Stage {
            expand,
            kernel,
            stride,
            channels: channels[index - 1],
            blocks: blocks[index - 1],
        }
    })
}

/// Share of samples that skip the last block in training; earlier blocks in proportion.
const STOCHASTIC_DEPTH: f32 = 0.2;

/// What tells the members of the family apart.
struct Member {
    stages: [Stage; 7],
    /// Channels before the classifier.
    head: usize,
    /// Share of them that dropout takes.
    dropout: f32,
}

/// EfficientNet-B0: 16 blocks, 49 sites.
pub(super) fn b0(frame: &Frame) -> Result<Network, ShapeError> {
    let member = Member {
        stages: stages([16, 24, 40, 80, 112, 192, 320], [1, 2, 2, 3, 3, 4, 1]),
        head: 1280,
        dropout: 0.2,
    };
    build(frame, &member)
}

/// EfficientNet-B2: 23 blocks, 69 sites.
pub(super) fn b2(frame: &Frame) -> Result<Network, ShapeError> {
    let member = Member {
        stages: stages([16, 24, 48, 88, 120, 208, 352], [2, 3, 3, 4, 4, 5, 2]),
        head: 1408,
        dropout: 0.3,
    };
    build(frame, &member)
}

fn build(frame: &Frame, member: &Member) -> Result<Network, ShapeError> {
    let stages = &member.stages;
    let mut network = frame.begin();
    network.nonlinearity = Nonlinearity::Silu;
    let mut x = conv(
        &mut network,
        "features.0.0",
        NodeId(0),
        frame.channels(32),
        3,
        2,
    )?;
    x = norm_act(&mut network, "features.0", x)?;
    let total: usize = stages.iter().map(|stage| stage.blocks).sum();
    let mut before = 0;
    for (index, stage) in (1..).zip(stages) {
        for block in 0..stage.blocks {
            let block = Block {
                name: format!("features.{index}.{block}"),
                expand: stage.expand,
                kernel: stage.kernel,
                stride: if block == 0 { stage.stride } else { 1 },
                channels: frame.channels(stage.channels),
                skip: STOCHASTIC_DEPTH * before as f32 / total as f32,
            };
            x = block.append(&mut network, x)?;
            before += 1;
        }
    }
    let last = format!("features.{}", stages.len() + 1);
    let head = frame.channels(member.head);
    x = conv(&mut network, format!("{last}.0"), x, head, 1, 1)?;
    x = norm_act(&mut network, &last, x)?;
    x = network.push("avgpool", Op::Pool(Pool::GlobalAverage), &[x])?;
    let dropout = Dropout {
        rate: member.dropout,
        per_sample: false,
    };
    x = network.push("classifier.0", Op::Dropout(dropout), &[x])?;
    let out_features = frame.classes;
    network.push("classifier.1", Op::Linear(Linear { out_features }), &[x])?;
    Ok(network)
}

/// The batch norm and activation of torchvision's Conv2dNormActivation.
fn norm_act(network: &mut Network, prefix: &str, x: NodeId) -> Result<NodeId, ShapeError> {
    let x = network.push(format!("{prefix}.1"), Op::BatchNorm, &[x])?;
    network.push(format!("{prefix}.act"), Op::Activation, &[x])
}

/// MBConv: an inverted bottleneck around a depthwise convolution.
struct Block {
    name: String,
    expand: usize,
    kernel: usize,
    stride: usize,
    channels: usize,
    /// Share of samples that skip it in training.
    skip: f32,
}

impl Block {
    /// \[conv1×1 BN act\] depthwise BN act, squeeze-excite, conv1×1 BN; + input where the shape
    /// stays.
    fn append(&self, network: &mut Network, input: NodeId) -> Result<NodeId, ShapeError> {
        let narrow = network.node(input).shape.channels;
        let wide = self.expand * narrow;
        // torchvision numbers the parts that are there.
        let mut part = 0;
        let mut next = || {
            part += 1;
            format!("{}.block.{}", self.name, part - 1)
        };
        let mut x = input;
        if self.expand > 1 {
            let name = next();
            x = conv(network, format!("{name}.0"), x, wide, 1, 1)?;
            x = norm_act(network, &name, x)?;
        }
        let name = next();
        let depthwise = Conv2d {
            groups: wide,
            ..Conv2d::same(wide, self.kernel, self.stride)
        };
        x = network.push(format!("{name}.0"), Op::Conv2d(depthwise), &[x])?;
        x = norm_act(network, &name, x)?;
        x = squeeze_excite(network, &next(), x, (narrow / 4).max(1))?;
        let name = next();
        x = conv(network, format!("{name}.0"), x, self.channels, 1, 1)?;
        x = network.push(format!("{name}.1"), Op::BatchNorm, &[x])?;
        if network.node(x).shape != network.node(input).shape {
            return Ok(x);
        }
        let name = |suffix: &str| format!("{}.{suffix}", self.name);
        if self.skip > 0.0 {
            let drop = Dropout {
                rate: self.skip,
                per_sample: true,
            };
            x = network.push(name("stochastic_depth"), Op::Dropout(drop), &[x])?;
        }
        network.push(name("add"), Op::Add, &[x, input])
    }
}

/// A factor for each channel of each image, from the means of all its channels.
fn squeeze_excite(
    network: &mut Network,
    prefix: &str,
    x: NodeId,
    squeezed: usize,
) -> Result<NodeId, ShapeError> {
    let name = |suffix: &str| format!("{prefix}.{suffix}");
    let channels = network.node(x).shape.channels;
    let dense = |out_features| Op::PooledConv(Linear { out_features });
    let s = network.push(name("avgpool"), Op::Pool(Pool::GlobalAverage), &[x])?;
    let s = network.push(name("fc1"), dense(squeezed), &[s])?;
    let s = network.push(name("act"), Op::Activation, &[s])?;
    let s = network.push(name("fc2"), dense(channels), &[s])?;
    let s = network.push(name("sigmoid"), Op::Sigmoid, &[s])?;
    network.push(name("scale"), Op::Scale, &[x, s])
}
