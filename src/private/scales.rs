//! The factor that each channel of each value is stored with, so that polynomials become bare
//! squares and lines.
//!
//! Values that are added, averaged or maximised together share their factors: they are a *class*.
//! Convolutions and linear layers may have any factors before and behind them; they absorb both. An
//! activation ties the factors s of its input to t of its output: a square wants s² = t·c₂, a line
//! s = t·c₁, a ReLU s = ±t. In a ResNet's chain of identity blocks each class feeds one site, so
//! factors are found from the last class back: s = √(t·c₂), which also pulls them together. A stream
//! that several sites read, as in pre-activation networks, keeps the factor 1, and its sites' outputs,
//! which only convolutions read, take what comes: t = s²/c₂.

/// Values that share their factors.
#[derive(Debug, Clone)]
pub struct Class {
    /// Channels of the values.
    pub channels: usize,
    /// The factors, where something outside says them.
    pub fixed: Option<Vec<f64>>,
    /// Whether a factor must be positive, since max(t·x, t·y) = t·max(x, y) needs that.
    pub positive: bool,
}

/// What ties the factors of two classes: an activation site, or a batch norm on its own.
#[derive(Debug, Clone)]
pub struct Tie {
    /// Class of the input.
    pub input: usize,
    /// Class of the output.
    pub output: usize,
    /// What each channel does.
    pub channels: Vec<Activation>,
}

/// What a channel of a site does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activation {
    /// Coefficients of x⁰, x¹ and x²; that of x² is exactly 0 in a line.
    pub polynomial: [f64; 3],
    /// Whether any element keeps its ReLU.
    pub kept: bool,
    /// Whether all do: then the polynomial does not matter.
    pub whole: bool,
}

/// Smallest |c₁| of a line, and |s| of a square's input, in relation to its output, that factors
/// follow. Beyond, a product with the rest costs less than the digits that a fixed-point number
/// would lose.
const LEAST_SLOPE: f64 = 1.0 / 128.0;
const LEAST_SQUARE: f64 = 1.0 / 1024.0;

/// The c₂ down to which a site that holds ReLUs may take s = t = c₂, for which neither its ReLUs nor
/// its squares need a product.
const LEAST_SHARED: f64 = 1.0 / 32.0;

/// Largest b² of (s·x + b)²: what a nearly straight parabola may cost in digits.
const MOST_OFFSET: f64 = 64.0;

impl Activation {
    /// t for s.
    fn forward(self, s: f64, positive: bool) -> f64 {
        let [_, c1, c2] = self.polynomial;
        let t = if self.whole {
            s.abs()
        } else if c2 == 0.0 {
            s / c1.abs().max(LEAST_SLOPE).copysign(c1)
        } else {
            s * s / c2.abs().max(LEAST_SQUARE).copysign(c2)
        };
        if positive { t.abs() } else { t }
    }

    /// s > 0 for t.
    fn backward(self, t: f64) -> f64 {
        let [_, c1, c2] = self.polynomial;
        if self.whole {
            t.abs()
        } else if c2 == 0.0 {
            t.abs() * c1.abs().max(LEAST_SLOPE)
        } else {
            (t * c2).abs().sqrt().max(LEAST_SQUARE)
        }
    }

    /// s and t where both may be anything. `compares`: whether the site holds any ReLU.
    fn free(self, compares: bool, positive: bool) -> (f64, f64) {
        let [_, c1, c2] = self.polynomial;
        if self.whole || c2 == 0.0 {
            return (self.backward(1.0), 1.0);
        }
        let t = if compares && c2.abs() >= LEAST_SHARED {
            c2.abs()
        } else {
            (4.0 * MOST_OFFSET * c2.abs() / (c1 * c1)).min(1.0)
        };
        let s = self.backward(t);
        (s, if positive { t } else { t.copysign(c2) })
    }
}

/// The factors of every class. `ties` lie in execution order; the result has an entry for each of
/// `classes`, and those that nothing ties are 1.
pub fn solve(classes: &[Class], ties: &[Tie]) -> Vec<Vec<f64>> {
    let mut scales: Vec<Option<Vec<f64>>> = classes.iter().map(|c| c.fixed.clone()).collect();
    let readers = |class| ties.iter().filter(|tie| tie.input == class).count();
    let shared = (0..classes.len()).map(|class| readers(class) > 1);
    for ((scale, class), shared) in scales.iter_mut().zip(classes).zip(shared) {
        if shared && scale.is_none() {
            *scale = Some(vec![1.0; class.channels]);
        }
    }
    let forward = |tie: &Tie, input: &[f64]| -> Vec<f64> {
        let positive = classes[tie.output].positive;
        let channels = tie.channels.iter().zip(input);
        channels.map(|(a, &s)| a.forward(s, positive)).collect()
    };
    for tie in ties {
        if let (Some(input), None) = (&scales[tie.input], &scales[tie.output]) {
            scales[tie.output] = Some(forward(tie, input));
        }
    }
    for tie in ties.iter().rev() {
        let (input, output) = match (&scales[tie.input], &scales[tie.output]) {
            (Some(input), None) => (input.clone(), forward(tie, input)),
            (None, Some(output)) => {
                let channels = tie.channels.iter().zip(output);
                let input = channels.map(|(a, &t)| a.backward(t)).collect();
                (input, output.clone())
            }
            (None, None) => {
                let compares = tie.channels.iter().any(|a| a.kept);
                let positive = classes[tie.output].positive;
                let channels = tie.channels.iter();
                channels.map(|a| a.free(compares, positive)).unzip()
            }
            (Some(_), Some(_)) => continue,
        };
        scales[tie.input] = Some(input);
        scales[tie.output] = Some(output);
    }
    let scales = scales.into_iter().zip(classes);
    scales
        .map(|(scale, class)| scale.unwrap_or_else(|| vec![1.0; class.channels]))
        .collect()
}
