//! The fixed op set, one file each: shape inference, forward dispatches, hand-written
//! backward, and what the backward must keep.

use super::network::{Chw, Op};

/// Shape of the result of `op` on operands of shapes `inputs` (one image).
pub(super) fn infer_shape(op: Op, inputs: &[Chw]) -> Result<Chw, String> {
    let arity = match op {
        Op::Input => 0,
        Op::Add => 2,
        _ => 1,
    };
    if inputs.len() != arity {
        return Err(format!("takes {arity} operands, got {}", inputs.len()));
    }
    match op {
        Op::Input => Err("a network has one input, made by Network::new".into()),
        Op::BatchNorm | Op::Activation => Ok(inputs[0]),
        Op::Conv2d {
            out_channels,
            kernel,
            stride,
            padding,
        } => {
            let (height, width) = window(inputs[0], kernel, stride, padding)?;
            Ok(Chw {
                channels: out_channels,
                height,
                width,
            })
        }
        Op::Add if inputs[0] == inputs[1] => Ok(inputs[0]),
        Op::Add => Err(format!("cannot add {} and {}", inputs[0], inputs[1])),
        Op::AvgPool { kernel, stride } => {
            let (height, width) = window(inputs[0], kernel, stride, 0)?;
            Ok(Chw {
                height,
                width,
                ..inputs[0]
            })
        }
        Op::GlobalAvgPool => Ok(Chw {
            height: 1,
            width: 1,
            ..inputs[0]
        }),
        Op::Linear { out_features } => {
            if inputs[0].plane() != 1 {
                return Err(format!("wants pooled features, got {}", inputs[0]));
            }
            Ok(Chw {
                channels: out_features,
                ..inputs[0]
            })
        }
    }
}

/// Height and width that a sliding window leaves.
fn window(
    input: Chw,
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Result<(usize, usize), String> {
    let out = |size: usize| Some((size + 2 * padding).checked_sub(kernel)? / stride + 1);
    out(input.height).zip(out(input.width)).ok_or_else(|| {
        format!(
            "an input of {input} is smaller than the {kernel}×{kernel} window: use larger images"
        )
    })
}
