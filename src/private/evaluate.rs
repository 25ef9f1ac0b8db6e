//! A folded network computed on the host, step by step as an engine does.

use super::folded::{Folded, FoldedConv, FoldedOp, FoldedSite, Kind, Step, Window};
use super::numbers::Numbers;
use crate::graph::{Chw, Conv2d};
use rayon::prelude::*;

/// What came out, and how large the numbers were.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// [N, classes].
    pub logits: Vec<f64>,
    /// For each step.
    pub ranges: Vec<Range>,
}

/// How large the numbers of a step were, over all images.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Range {
    /// Largest |value|.
    pub value: f64,
    /// Largest |product| or sum of products, which an engine holds with twice the fractional bits.
    pub product: f64,
    /// Mean of |product| over the elements that are brought back to scale, times their number: what
    /// the chance of a failed truncation is proportional to, for one image.
    pub products: f64,
    /// Of a site the elements that polynomials compute, on the average of images.
    pub fitted: f64,
    /// Those of them beyond [`BEYOND`] standard deviations of what the polynomials were fitted to.
    pub beyond: f64,
    /// Largest distance from its mean, in these deviations.
    pub farthest: f64,
}

/// From how many standard deviations on an element counts as beyond what its polynomial knows: of a
/// normal distribution 6 in 100,000 lie there.
pub const BEYOND: f64 = 4.0;

/// Computes `images` [N, C·H·W], RGB in 0…1.
pub fn evaluate<N: Numbers>(folded: &Folded, numbers: &N, images: &[f32]) -> Evaluation {
    let image = folded.input().len();
    let classes = folded.classes.len();
    let weights: Vec<Weights<N>> = folded
        .steps
        .iter()
        .map(|s| Weights::new(s, numbers))
        .collect();
    let results: Vec<(Vec<f64>, Vec<Range>)> = images
        .par_chunks_exact(image)
        .enumerate()
        .map(|(index, pixels)| {
            let mut run = Run {
                numbers,
                seed: index as u32,
                ranges: Vec::with_capacity(folded.steps.len()),
                range: Range::default(),
                draws: 0,
            };
            let logits = run.image(folded, &weights, pixels);
            (logits, run.ranges)
        })
        .collect();
    let count = results.len().max(1) as f64;
    let mut all = Evaluation {
        logits: Vec::with_capacity(results.len() * classes),
        ranges: vec![Range::default(); folded.steps.len()],
    };
    for (logits, ranges) in results {
        all.logits.extend(logits);
        for (sum, range) in all.ranges.iter_mut().zip(ranges) {
            sum.value = sum.value.max(range.value);
            sum.product = sum.product.max(range.product);
            sum.products += range.products / count;
            sum.fitted += range.fitted / count;
            sum.beyond += range.beyond / count;
            sum.farthest = sum.farthest.max(range.farthest);
        }
    }
    all
}

/// How large a value is; what is no number counts as infinite.
fn size(value: f64) -> f64 {
    match value.is_nan() {
        true => f64::INFINITY,
        false => value.abs(),
    }
}

/// The weights of a step, encoded.
struct Weights<N: Numbers> {
    weight: Vec<N::Value>,
    /// Bias of a linear layer, constant of a site.
    bias: Vec<N::Value>,
    offset: Vec<N::Value>,
    gain: Vec<N::Value>,
    factor: Vec<N::Value>,
    sign: Vec<N::Value>,
}

impl<N: Numbers> Weights<N> {
    fn new(step: &Step, numbers: &N) -> Self {
        let encode = |values: &[f32]| -> Vec<N::Value> {
            let values = values.iter().map(|&v| numbers.encode(f64::from(v)));
            values.collect()
        };
        let none = || encode(&[]);
        let linear = |weight: &[f32], bias: &[f32]| Self {
            weight: encode(weight),
            bias: encode(bias),
            offset: none(),
            gain: none(),
            factor: none(),
            sign: none(),
        };
        match &step.op {
            FoldedOp::Conv(conv) => linear(&conv.weight, &conv.bias),
            FoldedOp::Linear { weight, bias } => linear(weight, bias),
            FoldedOp::Center(mean) => linear(&[], &mean.map(|mean| -mean)),
            FoldedOp::Site(site) | FoldedOp::Norm(site) => Self {
                weight: none(),
                bias: encode(&site.constant),
                offset: encode(&site.offset),
                gain: encode(&site.gain),
                factor: encode(&site.factor),
                sign: encode(&site.sign),
            },
            FoldedOp::Add
            | FoldedOp::Average(_)
            | FoldedOp::GlobalAverage
            | FoldedOp::Max(_)
            | FoldedOp::Sigmoid
            | FoldedOp::Product => linear(&[], &[]),
        }
    }
}

/// One image on its way.
struct Run<'a, N: Numbers> {
    numbers: &'a N,
    /// Number of the image.
    seed: u32,
    ranges: Vec<Range>,
    /// Of the step at hand.
    range: Range,
    /// Truncations so far.
    draws: u32,
}

impl<N: Numbers> Run<'_, N> {
    fn image(&mut self, folded: &Folded, weights: &[Weights<N>], pixels: &[f32]) -> Vec<f64> {
        let mut values: Vec<Vec<N::Value>> = Vec::with_capacity(folded.steps.len());
        for (step, weights) in folded.steps.iter().zip(weights) {
            self.range = Range::default();
            let x = step.inputs.first().map(|&input| values[input].as_slice());
            let x = x.unwrap_or_default();
            let shape = step.inputs.first().map(|&input| folded.steps[input].shape);
            let shape = shape.unwrap_or(step.shape);
            let y = match &step.op {
                FoldedOp::Center(_) => {
                    let encode = |&v: &f32| self.numbers.encode(f64::from(v));
                    let plane = shape.plane();
                    let pixels = pixels.iter().map(encode).enumerate();
                    pixels
                        .map(|(i, v)| self.numbers.add(v, weights.bias[i / plane]))
                        .collect()
                }
                FoldedOp::Conv(FoldedConv { conv, .. }) => {
                    self.convolution(*conv, x, shape, step.shape, weights)
                }
                FoldedOp::Linear { .. } => {
                    let conv = Conv2d::same(step.shape.channels, 1, 1);
                    self.convolution(conv, x, shape, step.shape, weights)
                }
                FoldedOp::Add => {
                    let other = &values[step.inputs[1]];
                    x.iter()
                        .zip(other)
                        .map(|(&a, &b)| self.numbers.add(a, b))
                        .collect()
                }
                FoldedOp::Average(window) => {
                    let share = 1.0 / (window.kernel * window.kernel) as f64;
                    self.average(share, Self::windows(*window, x, shape, step.shape))
                }
                FoldedOp::GlobalAverage => {
                    let planes = x.chunks(shape.plane()).map(<[_]>::to_vec);
                    self.average(1.0 / shape.plane() as f64, planes)
                }
                FoldedOp::Max(window) => self.maximum(Self::windows(*window, x, shape, step.shape)),
                FoldedOp::Sigmoid => {
                    let sigmoid = |&v: &N::Value| {
                        let v = self.numbers.decode(v);
                        self.numbers.encode(1.0 / (1.0 + (-v).exp()))
                    };
                    x.iter().map(sigmoid).collect()
                }
                FoldedOp::Product => {
                    let factors = &values[step.inputs[1]];
                    let plane = shape.plane();
                    let pairs = x.iter().enumerate();
                    pairs
                        .map(|(i, &v)| self.product(v, factors[i / plane]))
                        .collect()
                }
                FoldedOp::Site(site) | FoldedOp::Norm(site) => {
                    self.site(site, x, step.shape.plane(), weights)
                }
            };
            for &value in &y {
                self.range.value = self.range.value.max(size(self.numbers.decode(value)));
            }
            self.ranges.push(self.range);
            values.push(y);
        }
        let logits = values.pop().unwrap_or_default();
        logits.into_iter().map(|v| self.numbers.decode(v)).collect()
    }

    /// A product, or a sum of products, brought back to scale.
    fn truncate(&mut self, product: N::Value) -> N::Value {
        let size = size(self.numbers.decode_product(product));
        self.range.product = self.range.product.max(size);
        self.range.products += size;
        self.draws += 1;
        self.numbers.truncate(product, self.draws, self.seed)
    }

    fn product(&mut self, a: N::Value, b: N::Value) -> N::Value {
        let product = self.numbers.multiply_add(N::Value::default(), a, b);
        self.truncate(product)
    }

    fn convolution(
        &mut self,
        conv: Conv2d,
        x: &[N::Value],
        input: Chw,
        output: Chw,
        weights: &Weights<N>,
    ) -> Vec<N::Value> {
        let Conv2d {
            kernel,
            stride,
            padding,
            groups,
            ..
        } = conv;
        let width = input.channels / groups;
        let per_group = output.channels / groups;
        let mut y = vec![N::Value::default(); output.len()];
        for (channel, plane) in y.chunks_mut(output.plane()).enumerate() {
            let first = channel / per_group * width;
            for tap in 0..width * kernel * kernel {
                let (c, dy, dx) = (tap / (kernel * kernel), tap / kernel % kernel, tap % kernel);
                let w = weights.weight[channel * width * kernel * kernel + tap];
                let image = &x[(first + c) * input.plane()..][..input.plane()];
                for (row, sums) in plane.chunks_mut(output.width).enumerate() {
                    let Some(from) = (row * stride + dy).checked_sub(padding) else {
                        continue;
                    };
                    if from >= input.height {
                        continue;
                    }
                    let image = &image[from * input.width..][..input.width];
                    for (column, sum) in sums.iter_mut().enumerate() {
                        let from = (column * stride + dx).checked_sub(padding);
                        if let Some(&v) = from.and_then(|from| image.get(from)) {
                            *sum = self.numbers.multiply_add(*sum, v, w);
                        }
                    }
                }
            }
            let bias = weights.bias[channel];
            for sum in plane {
                *sum = self.numbers.add(self.truncate(*sum), bias);
            }
        }
        y
    }

    /// The input's values under each output's window, channel by channel.
    fn windows(
        window: Window,
        x: &[N::Value],
        input: Chw,
        output: Chw,
    ) -> impl Iterator<Item = Vec<N::Value>> {
        let Window {
            kernel,
            stride,
            padding,
        } = window;
        (0..output.len()).map(move |element| {
            let (channel, pixel) = (element / output.plane(), element % output.plane());
            let (row, column) = (pixel / output.width, pixel % output.width);
            let taps = (0..kernel * kernel).filter_map(|tap| {
                let row = (row * stride + tap / kernel).checked_sub(padding)?;
                let column = (column * stride + tap % kernel).checked_sub(padding)?;
                let inside = row < input.height && column < input.width;
                inside.then(|| x[channel * input.plane() + row * input.width + column])
            });
            taps.collect()
        })
    }

    /// Of each window the sum, times `share`.
    fn average(
        &mut self,
        share: f64,
        windows: impl Iterator<Item = Vec<N::Value>>,
    ) -> Vec<N::Value> {
        let share = self.numbers.encode(share);
        windows
            .map(|taps| {
                let taps = taps.into_iter();
                let sum = taps.fold(N::Value::default(), |a, b| self.numbers.add(a, b));
                self.product(sum, share)
            })
            .collect()
    }

    /// Of each window the largest value.
    fn maximum(&self, windows: impl Iterator<Item = Vec<N::Value>>) -> Vec<N::Value> {
        let larger =
            |a: N::Value, b: N::Value| match self.numbers.decode(a) < self.numbers.decode(b) {
                true => b,
                false => a,
            };
        windows
            .map(|taps| taps.into_iter().reduce(larger).unwrap_or_default())
            .collect()
    }

    /// How far what polynomials are given lies from what they were fitted to.
    fn measure(&mut self, site: &FoldedSite, x: &[N::Value], plane: usize) {
        let mut compared = site.kept.iter().copied().peekable();
        let polynomials = site
            .channels_of(Kind::Square)
            .chain(site.channels_of(Kind::Line));
        let mut polynomials: Vec<usize> = polynomials.collect();
        polynomials.sort_unstable();
        for channel in polynomials {
            // None in a batch norm.
            let deviation = site.deviation.get(channel).copied().unwrap_or_default();
            if deviation <= 0.0 {
                continue;
            }
            for (pixel, &value) in x[channel * plane..][..plane].iter().enumerate() {
                let element = channel * plane + pixel;
                while compared.next_if(|&kept| kept < element).is_some() {}
                if compared.peek() == Some(&element) {
                    continue;
                }
                let away = self.numbers.decode(value) - f64::from(site.mean[channel]);
                let away = size(away / f64::from(deviation));
                self.range.fitted += 1.0;
                self.range.beyond += f64::from(u8::from(away > BEYOND));
                self.range.farthest = self.range.farthest.max(away);
            }
        }
    }

    fn site(
        &mut self,
        site: &FoldedSite,
        x: &[N::Value],
        plane: usize,
        weights: &Weights<N>,
    ) -> Vec<N::Value> {
        self.measure(site, x, plane);
        let channels = |kind: Kind| site.channels_of(kind).collect::<Vec<usize>>();
        let mut y = x.to_vec();
        let is_one =
            |weights: &[f32], channels: &[usize]| channels.iter().all(|&c| weights[c] == 1.0);
        for kind in [Kind::Square, Kind::Line] {
            let channels = channels(kind);
            let gains = !is_one(&site.gain, &channels);
            for channel in channels {
                for value in &mut y[channel * plane..][..plane] {
                    if kind == Kind::Square {
                        let moved = self.numbers.add(*value, weights.offset[channel]);
                        *value = self.product(moved, moved);
                    }
                    if gains {
                        *value = self.product(*value, weights.gain[channel]);
                    }
                    *value = self.numbers.add(*value, weights.bias[channel]);
                }
            }
        }
        let whole = channels(Kind::Relu);
        let whole = whole.into_iter().flat_map(|c| c * plane..(c + 1) * plane);
        let compared: Vec<usize> = whole.chain(site.kept.iter().copied()).collect();
        let of: Vec<usize> = compared.iter().map(|element| element / plane).collect();
        let (factors, signs) = (!is_one(&site.factor, &of), !is_one(&site.sign, &of));
        for (element, channel) in compared.into_iter().zip(of) {
            let mut value = x[element];
            if factors {
                value = self.product(value, weights.factor[channel]);
            }
            if self.numbers.decode(value) < 0.0 {
                value = N::Value::default();
            }
            if signs {
                value = self.product(value, weights.sign[channel]);
            }
            y[element] = value;
        }
        y
    }
}
