//! The fixed op set: what each op is told, and the shape that it makes.

use std::fmt;

/// Shape of one image's activation: channels, height, width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chw {
    /// Channels.
    pub channels: usize,
    /// Height in pixels; 1 after global pooling.
    pub height: usize,
    /// Width in pixels; 1 after global pooling.
    pub width: usize,
}

impl Chw {
    /// Pixels of a channel.
    pub fn plane(self) -> usize {
        self.height * self.width
    }

    /// Elements of one image.
    pub fn len(self) -> usize {
        self.channels * self.plane()
    }

    /// Whether there is no element.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Chw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// What a node computes. Nothing matches on it with a wildcard where a new op would have to be
/// thought of: the compiler lists the places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// The images, normalised.
    Input,
    /// Convolution without bias.
    Conv2d(Conv2d),
    /// Batch normalisation with scale and shift.
    BatchNorm,
    /// An activation site: the network's nonlinearity in a teacher, ReLU or polynomial per
    /// element in a search.
    Activation,
    /// Sum of two tensors.
    Add,
    /// Average or maximum over windows, or average over the plane.
    Pool(Pool),
    /// Fully connected layer with bias.
    Linear(Linear),
    /// 1×1 convolution with bias of pooled features: a fully connected layer whose weight has
    /// the shape of a convolution's, [K, C, 1, 1].
    PooledConv(Linear),
    /// 1 / (1 + e^−x).
    Sigmoid,
    /// The first operand times the second, which has one factor per channel.
    Scale,
    /// In training, zero for a random share of the elements; the rest grows in proportion.
    Dropout(Dropout),
}

/// A convolution without bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Output channels.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: usize,
    /// Groups that the channels lie in; as many as channels make it depthwise.
    pub groups: usize,
}

impl Conv2d {
    /// A convolution in one group that keeps the size of the image but for its stride.
    pub fn same(out_channels: usize, kernel: usize, stride: usize) -> Self {
        Self {
            out_channels,
            kernel,
            stride,
            padding: kernel / 2,
            groups: 1,
        }
    }

    fn shape(self, input: Chw) -> Result<Chw, String> {
        let Self {
            out_channels,
            groups,
            ..
        } = self;
        if groups == 0
            || !input.channels.is_multiple_of(groups)
            || !out_channels.is_multiple_of(groups)
        {
            return Err(format!(
                "cannot lay {} input and {out_channels} output channels in {groups} groups",
                input.channels
            ));
        }
        let (height, width) = window(input, self.kernel, self.stride, self.padding)?;
        Ok(Chw {
            channels: out_channels,
            height,
            width,
        })
    }
}

/// A pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Average over k×k windows.
    Average {
        /// Window height and width.
        kernel: usize,
        /// Stride.
        stride: usize,
    },
    /// Maximum over k×k windows.
    Max {
        /// Window height and width.
        kernel: usize,
        /// Stride.
        stride: usize,
        /// Pixels around the input that never win; less than `kernel`.
        padding: usize,
    },
    /// Average over the plane.
    GlobalAverage,
}

impl Pool {
    fn shape(self, input: Chw) -> Result<Chw, String> {
        let (height, width) = match self {
            Self::Average { kernel, stride } => window(input, kernel, stride, 0)?,
            Self::Max {
                kernel, padding, ..
            } if padding >= kernel => {
                return Err(format!(
                    "a padding of {padding} leaves {kernel}×{kernel} windows empty"
                ));
            }
            Self::Max {
                kernel,
                stride,
                padding,
            } => window(input, kernel, stride, padding)?,
            Self::GlobalAverage => (1, 1),
        };
        Ok(Chw {
            height,
            width,
            ..input
        })
    }
}

/// A fully connected layer with bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Output features: channels of a pooled convolution.
    pub out_features: usize,
}

impl Linear {
    fn shape(self, input: Chw) -> Result<Chw, String> {
        if input.plane() != 1 {
            return Err(format!("wants pooled features, got {input}"));
        }
        Ok(Chw {
            channels: self.out_features,
            ..input
        })
    }
}

/// A random share of the elements becomes zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// The share, 0…1 without 1.
    pub rate: f32,
    /// Whether samples stay or go as a whole (stochastic depth).
    pub per_sample: bool,
}

impl Dropout {
    fn shape(self, input: Chw) -> Result<Chw, String> {
        match (0.0..1.0).contains(&self.rate) {
            true => Ok(input),
            false => Err(format!(
                "drops a share of {}: it must lie in 0…1, below 1",
                self.rate
            )),
        }
    }
}

impl Op {
    /// Shape of the result on operands of shapes `inputs` (one image), or what is wrong with
    /// them and what to do.
    pub(super) fn shape(self, inputs: &[Chw]) -> Result<Chw, String> {
        let takes = |arity: usize| format!("takes {arity} operands, got {}", inputs.len());
        let one = || match *inputs {
            [x] => Ok(x),
            _ => Err(takes(1)),
        };
        let two = || match *inputs {
            [x, y] => Ok((x, y)),
            _ => Err(takes(2)),
        };
        match self {
            Self::Input => Err("a network has one input, made by Network::new".into()),
            Self::Conv2d(conv) => conv.shape(one()?),
            Self::BatchNorm | Self::Activation | Self::Sigmoid => one(),
            Self::Add => match two()? {
                (x, y) if x == y => Ok(x),
                (x, y) => Err(format!("cannot add {x} and {y}")),
            },
            Self::Pool(pool) => pool.shape(one()?),
            Self::Linear(linear) | Self::PooledConv(linear) => linear.shape(one()?),
            Self::Scale => match two()? {
                (x, y) if y.plane() == 1 && y.channels == x.channels => Ok(x),
                (x, y) => Err(format!(
                    "scales the channels of {x}, which takes {}×1×1 factors, not {y}",
                    x.channels
                )),
            },
            Self::Dropout(dropout) => dropout.shape(one()?),
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
    out(input.height)
        .zip(out(input.width))
        .ok_or_else(|| format!("an input of {input} is smaller than the {kernel}×{kernel} window"))
}
