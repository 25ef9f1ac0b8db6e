//! Residual networks under torchvision's parameter names.

use super::parts::{Frame, conv};
use crate::graph::{Linear, Network, NodeId, Op, Pool, ShapeError};

/// ResNet-18 as SNL and AutoReP report it: 3×3 stem without ReLU and without max-pool, four
/// stages of two basic blocks at 64, 128, 256 and 512 channels. 16 sites.
pub(super) fn resnet18(frame: &Frame) -> Result<Network, ShapeError> {
    let mut network = frame.begin();
    let widths = [64, 128, 256, 512].map(|channels| frame.channels(channels));
    let stem = cifar_stem(&mut network, widths[0])?;
    let stages = widths.map(|channels| (channels, 2));
    finish(network, stem, &stages, basic_block, frame.classes)
}

/// The CIFAR family (6n + 2 layers): three stages of n basic blocks at 16, 32 and 64
/// channels, stem without ReLU, projection shortcuts where the shape changes. 6n sites.
pub(super) fn cifar(frame: &Frame, blocks: usize) -> Result<Network, ShapeError> {
    let mut network = frame.begin();
    let widths = [16, 32, 64].map(|channels| frame.channels(channels));
    let stem = cifar_stem(&mut network, widths[0])?;
    let stages = widths.map(|channels| (channels, blocks));
    finish(network, stem, &stages, basic_block, frame.classes)
}

/// How the stem of an ImageNet network halves the image for the second time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StemPool {
    /// Maximum over 3×3, stride 2, as torchvision has it: a comparison per element.
    Max,
    /// Average over 2×2, stride 2: free in private inference.
    Average,
}

/// What an ImageNet network's stages consist of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    /// Basic blocks, two a stage, as in ResNet-18: 17 sites.
    Basic,
    /// Bottlenecks, 3, 4, 6 and 3 of them, that end on four times the channels, stride on their
    /// 3×3 convolution, as in ResNet-50: 49 sites.
    Bottleneck,
}

/// torchvision's ImageNet ResNets: 7×7 stem of stride 2 with ReLU, pool, four stages.
pub(super) fn imagenet(
    frame: &Frame,
    blocks: Blocks,
    pool: StemPool,
) -> Result<Network, ShapeError> {
    let mut network = frame.begin();
    let widths = [64, 128, 256, 512].map(|channels| frame.channels(channels));
    let x = conv(&mut network, "conv1", NodeId(0), widths[0], 7, 2)?;
    let x = network.push("bn1", Op::BatchNorm, &[x])?;
    let x = network.push("act1", Op::Activation, &[x])?;
    let pool = match pool {
        StemPool::Max => Pool::Max {
            kernel: 3,
            stride: 2,
            padding: 1,
        },
        StemPool::Average => Pool::Average {
            kernel: 2,
            stride: 2,
        },
    };
    let x = network.push("pool", Op::Pool(pool), &[x])?;
    let stages = |blocks: [usize; 4]| [0, 1, 2, 3].map(|i| (widths[i], blocks[i]));
    match blocks {
        Blocks::Basic => finish(network, x, &stages([2; 4]), basic_block, frame.classes),
        Blocks::Bottleneck => {
            let stages = stages([3, 4, 6, 3]);
            finish(network, x, &stages, bottleneck, frame.classes)
        }
    }
}

/// 3×3 convolution and batch norm.
fn cifar_stem(network: &mut Network, channels: usize) -> Result<NodeId, ShapeError> {
    let x = conv(network, "conv1", NodeId(0), channels, 3, 1)?;
    network.push("bn1", Op::BatchNorm, &[x])
}

/// Appends a block of the given name behind a node, with its channels and stride.
type Block = fn(&mut Network, &str, NodeId, usize, usize) -> Result<NodeId, ShapeError>;

/// The stages (channels, number of blocks) behind the stem `x`, and the classifier.
fn finish(
    mut network: Network,
    mut x: NodeId,
    stages: &[(usize, usize)],
    append: Block,
    classes: usize,
) -> Result<Network, ShapeError> {
    for (stage, &(channels, blocks)) in (1..).zip(stages) {
        for block in 0..blocks {
            let stride = if stage > 1 && block == 0 { 2 } else { 1 };
            let prefix = format!("layer{stage}.{block}");
            x = append(&mut network, &prefix, x, channels, stride)?;
        }
    }
    let pooled = network.push("avgpool", Op::Pool(Pool::GlobalAverage), &[x])?;
    let out_features = classes;
    network.push("fc", Op::Linear(Linear { out_features }), &[pooled])?;
    Ok(network)
}

/// conv3×3 BN act conv3×3 BN, + shortcut, act.
fn basic_block(
    network: &mut Network,
    prefix: &str,
    x: NodeId,
    channels: usize,
    stride: usize,
) -> Result<NodeId, ShapeError> {
    let name = |suffix: &str| format!("{prefix}.{suffix}");
    let u = conv(network, name("conv1"), x, channels, 3, stride)?;
    let u = network.push(name("bn1"), Op::BatchNorm, &[u])?;
    let u = network.push(name("act1"), Op::Activation, &[u])?;
    let u = conv(network, name("conv2"), u, channels, 3, 1)?;
    let u = network.push(name("bn2"), Op::BatchNorm, &[u])?;
    let shortcut = shortcut(network, prefix, x, u, stride)?;
    let sum = network.push(name("add"), Op::Add, &[u, shortcut])?;
    network.push(name("act2"), Op::Activation, &[sum])
}

/// conv1×1 BN act conv3×3 BN act conv1×1 (four times the channels) BN, + shortcut, act.
fn bottleneck(
    network: &mut Network,
    prefix: &str,
    x: NodeId,
    channels: usize,
    stride: usize,
) -> Result<NodeId, ShapeError> {
    let name = |suffix: &str| format!("{prefix}.{suffix}");
    let u = conv(network, name("conv1"), x, channels, 1, 1)?;
    let u = network.push(name("bn1"), Op::BatchNorm, &[u])?;
    let u = network.push(name("act1"), Op::Activation, &[u])?;
    let u = conv(network, name("conv2"), u, channels, 3, stride)?;
    let u = network.push(name("bn2"), Op::BatchNorm, &[u])?;
    let u = network.push(name("act2"), Op::Activation, &[u])?;
    let u = conv(network, name("conv3"), u, 4 * channels, 1, 1)?;
    let u = network.push(name("bn3"), Op::BatchNorm, &[u])?;
    let shortcut = shortcut(network, prefix, x, u, stride)?;
    let sum = network.push(name("add"), Op::Add, &[u, shortcut])?;
    network.push(name("act3"), Op::Activation, &[sum])
}

/// What is added to a block's `u`: its input `x`, projected where the shape changes.
fn shortcut(
    network: &mut Network,
    prefix: &str,
    x: NodeId,
    u: NodeId,
    stride: usize,
) -> Result<NodeId, ShapeError> {
    if network.node(x).shape == network.node(u).shape {
        return Ok(x);
    }
    let channels = network.node(u).shape.channels;
    let name = format!("{prefix}.downsample.0");
    let projected = conv(network, name, x, channels, 1, stride)?;
    network.push(
        format!("{prefix}.downsample.1"),
        Op::BatchNorm,
        &[projected],
    )
}
