//! A network whose factors have been folded away: what engines of private inference compute.

use crate::graph::{Chw, Conv2d};
use std::fmt;
use std::ops::Range;

/// A folded network: steps in execution order, the last one giving the logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// Name of the architecture.
    pub name: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Elements of all sites.
    pub relu_total: usize,
    /// The steps; operands lie before their consumers.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// PyTorch's name of the module that it computes, or of the last of them.
    pub name: String,
    /// What is computed.
    pub op: FoldedOp,
    /// Positions of its operands in [`Folded::steps`]; none for the images.
    pub inputs: Vec<usize>,
    /// Shape of the result for one image.
    pub shape: Chw,
}

/// What a step computes.
#[derive(Debug, Clone, PartialEq)]
pub enum FoldedOp {
    /// The images, RGB in 0…1, less the mean of each colour.
    Center([f32; 3]),
    /// A convolution with bias.
    Conv(FoldedConv),
    /// The classifier: weight [K, C] and bias `[K]`.
    Linear {
        /// [K, C].
        weight: Vec<f32>,
        /// `[K]`.
        bias: Vec<f32>,
    },
    /// Sum of two values.
    Add,
    /// Average over windows.
    Average(Window),
    /// Average over the plane.
    GlobalAverage,
    /// Maximum over windows.
    Max(Window),
    /// 1 / (1 + e^−x).
    Sigmoid,
    /// The first value times the second, which has one factor a channel.
    Product,
    /// An activation site.
    Site(FoldedSite),
    /// A batch norm that no convolution can take in, as a site of lines.
    Norm(FoldedSite),
}

/// Windows that slide over a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Height and width.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Pixels around the input; they never win a maximum.
    pub padding: usize,
}

/// A convolution with bias.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldedConv {
    /// Its geometry.
    pub conv: Conv2d,
    /// [K, C/groups, R, R].
    pub weight: Vec<f32>,
    /// `[K]`.
    pub bias: Vec<f32>,
}

/// What a channel of a site does with those of its elements that are not gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// max(x, 0), all of it.
    Relu,
    /// A square and a constant.
    Square,
    /// A constant is added.
    Line,
}

/// As values are called.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Relu => "relu",
            Kind::Square => "square",
            Kind::Line => "line",
        })
    }
}

/// Neighbouring channels of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The channels.
    pub channels: Range<usize>,
    /// What they do.
    pub kind: Kind,
}

/// An activation site. Of a stored value v, with the constants of its channel:
///
/// - a ReLU gives `sign·relu(factor·v)`,
/// - a square `gain·(v + offset)² + constant`,
/// - a line `gain·v + constant`.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldedSite {
    /// All channels, in their order. A run of [`Kind::Relu`] stands only where nothing is `kept`.
    pub runs: Vec<Run>,
    /// Elements [C·H·W] that keep their ReLU within channels of polynomials, ascending.
    pub kept: Vec<usize>,
    /// What is added before squaring `[C]`.
    pub offset: Vec<f32>,
    /// Factor of the square or the line `[C]`: 1 wherever it could be.
    pub gain: Vec<f32>,
    /// What is added in the end `[C]`.
    pub constant: Vec<f32>,
    /// Factor before the comparison `[C]`: 1 wherever it could be.
    pub factor: Vec<f32>,
    /// Factor behind the comparison `[C]`, 1 or −1.
    pub sign: Vec<f32>,
    /// Mean of the stored values that the polynomials were fitted to `[C]`; none where nothing was
    /// fitted, as in a batch norm.
    pub mean: Vec<f32>,
    /// Their standard deviation `[C]`, 0 where it was not measured.
    pub deviation: Vec<f32>,
}

impl FoldedSite {
    /// Channels of a kind.
    pub fn channels(&self, kind: Kind) -> usize {
        let of_kind = self.runs.iter().filter(|run| run.kind == kind);
        of_kind.map(|run| run.channels.len()).sum()
    }

    /// Elements that are compared, of planes of so many pixels.
    pub fn relus(&self, plane: usize) -> usize {
        self.kept.len() + self.channels(Kind::Relu) * plane
    }

    /// The channels of a kind, in order.
    pub fn channels_of(&self, kind: Kind) -> impl Iterator<Item = usize> + '_ {
        let of_kind = self.runs.iter().filter(move |run| run.kind == kind);
        of_kind.flat_map(|run| run.channels.clone())
    }

    /// The channel of every element that is compared, in the order in which they are.
    pub fn compared(&self, plane: usize) -> Vec<usize> {
        let runs = self.channels_of(Kind::Relu);
        let runs = runs.flat_map(|channel| std::iter::repeat_n(channel, plane));
        let kept = self.kept.iter().map(|element| element / plane);
        runs.chain(kept).collect()
    }
}

impl Folded {
    /// Channels, height and width of the images.
    pub fn input(&self) -> Chw {
        self.steps[0].shape
    }

    /// ReLUs of one image.
    pub fn relus(&self) -> usize {
        let of = |step: &Step| match &step.op {
            FoldedOp::Site(site) => site.relus(step.shape.plane()),
            _ => 0,
        };
        self.steps.iter().map(of).sum()
    }
}
