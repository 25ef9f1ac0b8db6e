//! A network as an ONNX graph for engines of private inference: its [folded form](crate::private).
//!
//! Initializers are weights, secret where the engine is told so; whatever else the graph holds, above
//! all which elements keep their ReLU, is a `Constant` and public. Only these operators occur, which
//! CrypTen's importer knows: `Constant`, `Sub`, `Conv`, `Add`, `Mul`, `Pow` (by 2), `Relu`,
//! `Flatten`, `Gather`, `Slice`, `Concat`, `Reshape`, `AveragePool`, `MaxPool`, `GlobalAveragePool`,
//! `Sigmoid`, `Gemm`. A site compares once and squares once, however its ReLUs lie, since what is
//! done apart takes rounds of its own.

use super::ExportError;
use super::onnx_graph::{About, INPUT, LOGITS, OnnxGraph, int};
use super::onnx_proto::data_type;
use crate::graph::Chw;
use crate::private::{Folded, FoldedOp, FoldedSite, Kind, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Who will hold the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Who owns the model.
    Owner,
    /// The other party, which must know what to compute but not the weights: all of them are 0.
    Other,
}

/// Encodes `folded` as the contents of an `.onnx` file.
///
/// # Errors
/// [`ExportError::TooLarge`].
pub fn to_private_onnx(folded: &Folded, holder: Holder) -> Result<Vec<u8>, ExportError> {
    let mut writer = Writer {
        holder,
        graph: OnnxGraph::default(),
        values: Vec::new(),
    };
    for step in &folded.steps {
        writer.step(step);
    }
    if let Some(last) = writer.values.last().filter(|last| *last != LOGITS) {
        writer.graph.flatten(LOGITS, last);
    }
    writer.graph.into_file(&About {
        model: &folded.name,
        input: folded.input(),
        classes: &folded.classes,
        relu_total: folded.relu_total,
        relus: folded.relus(),
    })
}

/// The graph while it grows.
struct Writer {
    holder: Holder,
    graph: OnnxGraph,
    /// Names of the values that the steps before have made.
    values: Vec<String>,
}

impl Writer {
    fn step(&mut self, step: &Step) {
        let name = step.name.as_str();
        let inputs: Vec<String> = step
            .inputs
            .iter()
            .map(|&i| self.values[i].clone())
            .collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let graph = &mut self.graph;
        let mut value = name.to_owned();
        match &step.op {
            FoldedOp::Center(mean) => {
                // Known to all: it is the data's, not the network's.
                let raw = super::bytes(mean);
                let mean = graph.constant("mean", data_type::FLOAT, &[1, 3, 1, 1], raw);
                value = "centered".into();
                graph.node("Sub", &value, &[INPUT, &mean]);
            }
            FoldedOp::Conv(folded) => {
                let conv = folded.conv;
                let channels = conv.out_channels;
                let width = folded.weight.len() / channels / (conv.kernel * conv.kernel);
                let shape = [channels, width, conv.kernel, conv.kernel];
                let weight = self.weight(format!("{name}.weight"), &shape, &folded.weight);
                let bias = self.weight(format!("{name}.bias"), &[channels], &folded.bias);
                self.graph.conv(name, &[inputs[0], &weight, &bias], conv);
            }
            FoldedOp::Linear { weight, bias } => {
                let shape = [bias.len(), weight.len() / bias.len()];
                let weight = self.weight(format!("{name}.weight"), &shape, weight);
                let bias = self.weight(format!("{name}.bias"), &[shape[0]], bias);
                let flat = self.graph.flatten(&format!("{name}.flatten"), inputs[0]);
                value = LOGITS.into();
                self.graph.gemm(LOGITS, &[&flat, &weight, &bias]);
            }
            FoldedOp::Add => {
                graph.node("Add", name, &inputs);
            }
            FoldedOp::Average(window) => graph.pool("AveragePool", name, inputs[0], *window),
            FoldedOp::Max(window) => graph.pool("MaxPool", name, inputs[0], *window),
            FoldedOp::GlobalAverage => {
                graph.node("GlobalAveragePool", name, &inputs);
            }
            FoldedOp::Sigmoid => {
                graph.node("Sigmoid", name, &inputs);
            }
            FoldedOp::Product => {
                graph.node("Mul", name, &inputs);
            }
            FoldedOp::Site(site) | FoldedOp::Norm(site) => {
                let shape = step.shape;
                let mut site = SiteWriter {
                    writer: self,
                    name,
                    site,
                    shape,
                };
                value = site.write(inputs[0]);
                if matches!(step.op, FoldedOp::Site(_)) {
                    let relus = site.site.relus(shape.plane());
                    let words = format!("{relus} of {} ReLUs", shape.len());
                    self.graph.describe(words);
                }
            }
        }
        self.values.push(value);
    }

    /// A weight, or in the other party's file zeros of its shape; gives its name.
    fn weight(&mut self, name: String, shape: &[usize], values: &[f32]) -> String {
        match self.holder {
            Holder::Owner => self.graph.weight(&name, shape, values),
            Holder::Other => self.graph.weight(&name, shape, &vec![0.0; values.len()]),
        }
        name
    }
}

/// How weights of a channel meet what they are multiplied with or added to.
#[derive(Clone, Copy)]
enum Lie {
    /// N×C×H×W: a weight for each channel.
    Planes,
    /// N×E: a weight for each element.
    Flat,
}

/// One site while it is written.
struct SiteWriter<'a> {
    writer: &'a mut Writer,
    name: &'a str,
    site: &'a FoldedSite,
    shape: Chw,
}

impl SiteWriter<'_> {
    /// Writes the site of the value `x`; gives the name of what comes out.
    fn write(&mut self, x: &str) -> String {
        let by_channels = self.channels(x);
        match self.site.kept.as_slice() {
            [] => by_channels,
            kept => self.merge(x, &by_channels, kept),
        }
    }

    /// Name of a value within the site.
    fn label(&self, part: impl std::fmt::Display) -> String {
        format!("{}.{part}", self.name)
    }

    fn node(&mut self, op_type: &str, part: &str, inputs: &[&str]) -> String {
        let output = self.label(part);
        self.writer.graph.node(op_type, &output, inputs);
        output
    }

    /// `x` times (`Mul`) or plus (`Add`) the weights; `x` itself where that changes nothing.
    fn broadcast(&mut self, op: &str, part: &str, x: &str, weights: &[f32], lie: Lie) -> String {
        let neutral = if op == "Mul" { 1.0 } else { 0.0 };
        if weights.iter().all(|&weight| weight == neutral) {
            return x.into();
        }
        let name = self.label(format_args!("{part}.weight"));
        let weights = match lie {
            Lie::Planes => self.writer.weight(name, &[1, weights.len(), 1, 1], weights),
            Lie::Flat => self.writer.weight(name, &[1, weights.len()], weights),
        };
        self.node(op, part, &[x, &weights])
    }

    /// Channels of `x`, which has `total` of them.
    fn slice(&mut self, part: &str, x: &str, channels: &Range<usize>, total: usize) -> String {
        if *channels == (0..total) {
            return x.into();
        }
        let list = [
            ("starts", channels.start as i64),
            ("ends", channels.end as i64),
            ("axes", 1),
            ("steps", 1),
        ];
        let list = list.map(|(what, value)| {
            let name = self.label(format_args!("{part}.{what}"));
            self.writer.graph.integers(&name, &[value])
        });
        let [starts, ends, axes, steps] = &list;
        self.node("Slice", part, &[x, starts, ends, axes, steps])
    }

    fn concat(&mut self, part: &str, values: &[String]) -> String {
        if let [single] = values {
            return single.clone();
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let output = self.label(part);
        let node = self.writer.graph.node("Concat", &output, &values);
        node.attribute = vec![int("axis", 1)];
        output
    }

    /// Columns of the flat `x`.
    fn gather(&mut self, part: &str, x: &str, columns: &[i64]) -> String {
        let index = self.label(format_args!("{part}.index"));
        let index = self.writer.graph.integers(&index, columns);
        let output = self.label(part);
        let node = self.writer.graph.node("Gather", &output, &[x, &index]);
        node.attribute = vec![int("axis", 1)];
        output
    }

    /// What the channels do as wholes: each kind's channels together, then back in their order.
    fn channels(&mut self, x: &str) -> String {
        let (site, total) = (self.site, self.shape.channels);
        // By kind what it makes, and where in that its next run begins.
        let mut made = BTreeMap::new();
        for kind in site
            .runs
            .iter()
            .map(|run| run.kind)
            .collect::<BTreeSet<Kind>>()
        {
            let of_kind = site.runs.iter().filter(|run| run.kind == kind);
            let slices: Vec<String> = of_kind
                .map(|run| {
                    self.slice(
                        &format!("in{}", run.channels.start),
                        x,
                        &run.channels,
                        total,
                    )
                })
                .collect();
            let label = kind.to_string();
            let together = self.concat(&format!("{label}.in"), &slices);
            let channels: Vec<usize> = site.channels_of(kind).collect();
            made.insert(kind, (self.kind(kind, &together, &channels), 0));
        }
        let mut pieces = Vec::new();
        for run in &site.runs {
            let (y, from) = made.get_mut(&run.kind).expect("made above");
            let piece = *from..*from + run.channels.len();
            *from = piece.end;
            let (y, total) = (y.clone(), site.channels(run.kind));
            pieces.push(self.slice(&format!("out{}", run.channels.start), &y, &piece, total));
        }
        self.concat("ordered", &pieces)
    }

    /// What the channels of a kind do, all of which are `x`.
    fn kind(&mut self, kind: Kind, x: &str, channels: &[usize]) -> String {
        let site = self.site;
        let of = |values: &[f32]| channels.iter().map(|&c| values[c]).collect::<Vec<f32>>();
        match kind {
            Kind::Relu => self.relu(x, &of(&site.factor), &of(&site.sign), Lie::Planes),
            Kind::Square => {
                let x = self.broadcast("Add", "offset", x, &of(&site.offset), Lie::Planes);
                let two = super::bytes(&[2.0]);
                let name = self.label("two");
                let two = self
                    .writer
                    .graph
                    .constant(&name, data_type::FLOAT, &[], two);
                let square = self.node("Pow", "square", &[&x, &two]);
                let gain = of(&site.gain);
                let square = self.broadcast("Mul", "square.gain", &square, &gain, Lie::Planes);
                let constant = of(&site.constant);
                self.broadcast("Add", "square.constant", &square, &constant, Lie::Planes)
            }
            Kind::Line => {
                let x = self.broadcast("Mul", "line.gain", x, &of(&site.gain), Lie::Planes);
                self.broadcast("Add", "line.constant", &x, &of(&site.constant), Lie::Planes)
            }
        }
    }

    /// sign·relu(factor·x).
    fn relu(&mut self, x: &str, factor: &[f32], sign: &[f32], lie: Lie) -> String {
        let x = self.broadcast("Mul", "relu.factor", x, factor, lie);
        let relu = self.node("Relu", "relu", &[&x]);
        self.broadcast("Mul", "relu.sign", &relu, sign, lie)
    }

    /// The polynomials of `x`, with ReLUs in the place of those elements that are `kept`.
    fn merge(&mut self, x: &str, polynomials: &str, kept: &[usize]) -> String {
        let elements = self.shape.len();
        let columns: Vec<i64> = kept.iter().map(|&element| element as i64).collect();
        let flat = self.label("in.flat");
        let flat = self.writer.graph.flatten(&flat, x);
        let gathered = self.gather("kept", &flat, &columns);
        let channels = self.site.compared(self.shape.plane());
        let of = |values: &[f32]| channels.iter().map(|&c| values[c]).collect::<Vec<f32>>();
        let (factor, sign) = (of(&self.site.factor), of(&self.site.sign));
        let relus = self.relu(&gathered, &factor, &sign, Lie::Flat);
        let flat = self.label("out.flat");
        let flat = self.writer.graph.flatten(&flat, polynomials);
        let both = self.concat("both", &[flat, relus]);
        let mut order: Vec<i64> = (0..elements as i64).collect();
        for (place, &element) in (elements as i64..).zip(kept) {
            order[element] = place;
        }
        let merged = self.gather("merged", &both, &order);
        let shape = self.shape;
        let sizes = [shape.channels, shape.height, shape.width].map(|size| size as i64);
        let name = self.label("shape");
        let sizes = [&[-1], &sizes[..]].concat();
        let sizes = self.writer.graph.integers(&name, &sizes);
        self.node("Reshape", "out", &[&merged, &sizes])
    }
}
