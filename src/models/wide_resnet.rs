//! Wide residual networks of pre-activation blocks (Zagoruyko & Komodakis, 2016).

use super::parts::{Frame, conv};
use crate::graph::{Linear, Network, NodeId, Op, Pool, ShapeError};

/// WRN-22-8 as SNL and AutoReP report it: 3×3 stem to 16 channels, three groups of three
/// blocks at 128, 256 and 512 channels, a last batch norm *without* ReLU. 18 sites.
pub(super) fn wide_resnet_22_8(frame: &Frame) -> Result<Network, ShapeError> {
    let mut network = frame.begin();
    let mut x = conv(&mut network, "conv1", NodeId(0), frame.channels(16), 3, 1)?;
    let widths = [128, 256, 512].map(|channels| frame.channels(channels));
    for (group, channels) in (1..).zip(widths) {
        for block in 0..3 {
            let stride = if group > 1 && block == 0 { 2 } else { 1 };
            let prefix = format!("layer{group}.{block}");
            x = block_of(&mut network, &prefix, x, channels, stride)?;
        }
    }
    let x = network.push("bn1", Op::BatchNorm, &[x])?;
    let pooled = network.push("avgpool", Op::Pool(Pool::GlobalAverage), &[x])?;
    let out_features = frame.classes;
    network.push("fc", Op::Linear(Linear { out_features }), &[pooled])?;
    Ok(network)
}

/// BN act conv3×3 BN act conv3×3, + shortcut. Where the shape changes the shortcut is a 1×1
/// convolution of what the first activation gives; elsewhere it is the raw input.
fn block_of(
    network: &mut Network,
    prefix: &str,
    x: NodeId,
    channels: usize,
    stride: usize,
) -> Result<NodeId, ShapeError> {
    let name = |suffix: &str| format!("{prefix}.{suffix}");
    let u = network.push(name("bn1"), Op::BatchNorm, &[x])?;
    let first = network.push(name("act1"), Op::Activation, &[u])?;
    let u = conv(network, name("conv1"), first, channels, 3, stride)?;
    let u = network.push(name("bn2"), Op::BatchNorm, &[u])?;
    let u = network.push(name("act2"), Op::Activation, &[u])?;
    let u = conv(network, name("conv2"), u, channels, 3, 1)?;
    let shortcut = if network.node(x).shape == network.node(u).shape {
        x
    } else {
        conv(network, name("shortcut"), first, channels, 1, stride)?
    };
    network.push(name("add"), Op::Add, &[u, shortcut])
}
