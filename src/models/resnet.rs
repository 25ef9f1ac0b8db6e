//! Residual networks of basic blocks, under torchvision's parameter names.

use crate::graph::{Chw, Network, NodeId, Op, ShapeError};

/// ResNet-18 as SNL and AutoReP report it: 3×3 stem without ReLU and without max-pool, four
/// stages of two basic blocks at 64, 128, 256 and 512 channels. 16 sites.
pub(super) fn resnet18(
    name: &str,
    input: Chw,
    classes: usize,
    scale: impl Fn(usize) -> usize,
) -> Result<Network, ShapeError> {
    let widths = [64, 128, 256, 512].map(scale);
    basic(name, input, classes, &widths, 2)
}

/// The CIFAR family (6n + 2 layers): three stages of n basic blocks at 16, 32 and 64
/// channels, stem without ReLU, projection shortcuts where the shape changes. 6n sites.
pub(super) fn cifar(
    name: &str,
    input: Chw,
    classes: usize,
    blocks: usize,
    scale: impl Fn(usize) -> usize,
) -> Result<Network, ShapeError> {
    let widths = [16, 32, 64].map(scale);
    basic(name, input, classes, &widths, blocks)
}

fn basic(
    name: &str,
    input: Chw,
    classes: usize,
    widths: &[usize],
    blocks: usize,
) -> Result<Network, ShapeError> {
    let mut network = Network::new(name, input);
    let stem = conv(&mut network, "conv1".into(), NodeId(0), widths[0], 3, 1)?;
    let mut x = network.push("bn1", Op::BatchNorm, &[stem])?;
    for (stage, &channels) in (1..).zip(widths) {
        for block in 0..blocks {
            let stride = if stage > 1 && block == 0 { 2 } else { 1 };
            let prefix = format!("layer{stage}.{block}");
            x = basic_block(&mut network, &prefix, x, channels, stride)?;
        }
    }
    let pooled = network.push("avgpool", Op::GlobalAvgPool, &[x])?;
    network.push(
        "fc",
        Op::Linear {
            out_features: classes,
        },
        &[pooled],
    )?;
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
    let shortcut = if network.node(x).shape == network.node(u).shape {
        x
    } else {
        let projected = conv(network, name("downsample.0"), x, channels, 1, stride)?;
        network.push(name("downsample.1"), Op::BatchNorm, &[projected])?
    };
    let sum = network.push(name("add"), Op::Add, &[u, shortcut])?;
    network.push(name("act2"), Op::Activation, &[sum])
}

fn conv(
    network: &mut Network,
    name: String,
    input: NodeId,
    out_channels: usize,
    kernel: usize,
    stride: usize,
) -> Result<NodeId, ShapeError> {
    let op = Op::Conv2d {
        out_channels,
        kernel,
        stride,
        padding: kernel / 2,
    };
    network.push(name, op, &[input])
}
