//! A network as an ONNX graph of standard operators (opset 17).
//!
//! `input` is float32 N×3×H×W, RGB in 0…1, N free; the normalisation is inside. `logits` is
//! N×classes. Constants bear PyTorch's parameter names, nodes and values the layers' names.
//! An activation site of a teacher with SiLU becomes x·sigmoid(x); any other what its mask asks
//! for:
//!
//! - all ReLU: one `Relu`;
//! - all polynomial: `Mul` and `Add` with `[1,C,1,1]` coefficients in Horner's form, so that no
//!   comparison is left in the graph;
//! - mixed: `Where(mask, relu, polynomial)` with a boolean mask `[1,C,H,W]`.

use super::onnx_graph::{About, INPUT, LOGITS, OnnxGraph, float};
use super::onnx_proto::data_type;
use super::{
    BATCH_NORM_EPSILON, ExportError, check, finite, mask, mask_name, param, powers, relu_count,
    state,
};
use crate::graph::layout::{LinearSlots, Site};
use crate::graph::{Conv2d, Model, NodeId, Nonlinearity, Op, Pool};
use crate::private::folded::Window;

/// Name of the images after normalisation.
const NORMALIZED: &str = "normalized";

/// Encodes `model` as the contents of an `.onnx` file.
///
/// # Errors
/// [`ExportError`] names the tensor or the part that cannot be expressed.
pub fn to_onnx(model: &Model) -> Result<Vec<u8>, ExportError> {
    check(model)?;
    let network = &model.network;
    let mut writer = Writer {
        model,
        graph: OnnxGraph::default(),
    };
    for index in 0..network.nodes.len() {
        writer.layer(NodeId(index))?;
    }
    writer.graph.into_file(&About {
        model: &network.name,
        input: network.node(network.input()).shape,
        classes: &model.classes,
        relu_total: network.relu_total(),
        relus: relu_count(model),
    })
}

/// The graph while it grows.
struct Writer<'a> {
    model: &'a Model,
    graph: OnnxGraph,
}

impl Writer<'_> {
    /// Writes one layer of the network.
    fn layer(&mut self, id: NodeId) -> Result<(), ExportError> {
        let model = self.model;
        let layout = &model.layout;
        let node = model.network.node(id);
        let name = node.name.as_str();
        let is_output = id == model.network.output();
        // Only the linear layer leaves N×C rather than N×C×H×W.
        let linear = matches!(node.op, Op::Linear(_));
        let inputs: Vec<String> = node.inputs.iter().map(|&id| self.value(id)).collect();
        let x = || inputs[0].as_str();
        match node.op {
            Op::Input => {
                let mean = self.per_channel("normalize.mean", &model.mean)?;
                let std = self.per_channel("normalize.std", &model.std)?;
                self.graph.node("Sub", "centered", &[INPUT, &mean]);
                self.graph.node("Div", NORMALIZED, &["centered", &std]);
            }
            Op::Conv2d(conv) => {
                let weight = self.param(layout.conv2d(id))?;
                self.graph.conv(name, &[x(), &weight], conv);
            }
            Op::BatchNorm => {
                let slots = layout.batch_norm(id);
                let inputs = [
                    x(),
                    &self.param(slots.weight)?,
                    &self.param(slots.bias)?,
                    &self.state(slots.running_mean)?,
                    &self.state(slots.running_var)?,
                ];
                self.graph
                    .node("BatchNormalization", name, &inputs)
                    .attribute
                    .push(float("epsilon", BATCH_NORM_EPSILON));
            }
            Op::Activation => self.site(layout.site(id), x())?,
            Op::Add => {
                self.graph.node("Add", name, &[x(), &inputs[1]]);
            }
            Op::Pool(pool) => self.pool(name, x(), pool),
            Op::Linear(_) => {
                let LinearSlots { weight, bias } = layout.linear(id);
                let (weight, bias) = (self.param(weight)?, self.param(bias)?);
                let flat = self.graph.flatten(&format!("{name}.flatten"), x());
                let gemm = if is_output {
                    LOGITS.into()
                } else {
                    format!("{name}.gemm")
                };
                self.graph.gemm(&gemm, &[&flat, &weight, &bias]);
                if !is_output {
                    // Back to the four dimensions that every other operator here takes.
                    let axes = self.graph.integers(&format!("{name}.axes"), &[2, 3]);
                    self.graph.node("Unsqueeze", name, &[&gemm, &axes]);
                }
            }
            Op::PooledConv(_) => {
                let LinearSlots { weight, bias } = layout.linear(id);
                let (weight, bias) = (self.param(weight)?, self.param(bias)?);
                let conv = Conv2d::same(node.shape.channels, 1, 1);
                self.graph.conv(name, &[x(), &weight, &bias], conv);
            }
            Op::Sigmoid => {
                self.graph.node("Sigmoid", name, &[x()]);
            }
            // Factors [N,C,1,1] meet [N,C,H,W].
            Op::Scale => {
                self.graph.node("Mul", name, &[x(), &inputs[1]]);
            }
            // An exported network is there to be evaluated: nothing is dropped.
            Op::Dropout(_) => {
                self.graph.node("Identity", name, &[x()]);
            }
        }
        if is_output && !linear {
            let value = self.value(id);
            self.graph.flatten(LOGITS, &value);
        }
        Ok(())
    }

    /// Writes a pool.
    fn pool(&mut self, name: &str, x: &str, pool: Pool) {
        match pool {
            Pool::Average { kernel, stride } => {
                let window = Window {
                    kernel,
                    stride,
                    padding: 0,
                };
                self.graph.pool("AveragePool", name, x, window);
            }
            Pool::Max {
                kernel,
                stride,
                padding,
            } => {
                let window = Window {
                    kernel,
                    stride,
                    padding,
                };
                self.graph.pool("MaxPool", name, x, window);
            }
            Pool::GlobalAverage => {
                self.graph.node("GlobalAveragePool", name, &[x]);
            }
        }
    }

    /// Writes an activation site.
    fn site(&mut self, site: &Site, x: &str) -> Result<(), ExportError> {
        let name = site.name.as_str();
        if self.model.network.nonlinearity == Nonlinearity::Silu {
            let sigmoid = format!("{name}.sigmoid");
            self.graph.node("Sigmoid", &sigmoid, &[x]);
            self.graph.node("Mul", name, &[x, &sigmoid]);
            return Ok(());
        }
        let mask = mask(self.model, site)?;
        let kept = mask.iter().filter(|&&keep| keep).count();
        let doc = format!("{kept} of {} ReLUs", mask.len());
        if kept == mask.len() {
            self.graph.node("Relu", name, &[x]);
        } else if kept == 0 {
            self.polynomial(site, x, name)?;
        } else {
            let shape = [1, site.shape.channels, site.shape.height, site.shape.width];
            let keep = mask_name(site);
            let elements = mask.into_iter().map(u8::from).collect();
            self.graph
                .constant(&keep, data_type::BOOL, &shape, elements);
            let relu = format!("{name}.relu");
            self.graph.node("Relu", &relu, &[x]);
            let polynomial = format!("{name}.polynomial");
            self.polynomial(site, x, &polynomial)?;
            self.graph.node("Where", name, &[&keep, &relu, &polynomial]);
        }
        self.graph.describe(doc);
        Ok(())
    }

    /// Writes `(…(cₙ·x + cₙ₋₁)·x + …)·x + c₀`.
    fn polynomial(&mut self, site: &Site, x: &str, output: &str) -> Result<(), ExportError> {
        let name = site.name.as_str();
        // Even a constant polynomial is written as 0·x + c₀: the batch size comes from x.
        let mut constants = Vec::new();
        for (power, values) in powers(self.model, site, 2)?.iter().enumerate() {
            constants.push(self.per_channel(&format!("{name}.coefficients.c{power}"), values)?);
        }
        let mut sum = constants.pop().expect("two coefficients or more");
        for (power, constant) in constants.iter().enumerate().rev() {
            let product = format!("{name}.mul{power}");
            self.graph.node("Mul", &product, &[x, &sum]);
            sum = match power {
                0 => output.into(),
                _ => format!("{name}.add{power}"),
            };
            self.graph.node("Add", &sum, &[&product, constant]);
        }
        Ok(())
    }

    /// Name of the value that a layer makes.
    fn value(&self, id: NodeId) -> String {
        let node = self.model.network.node(id);
        match node.op {
            Op::Input => NORMALIZED.into(),
            _ => node.name.clone(),
        }
    }

    /// A parameter as a constant; gives its name.
    fn param(&mut self, slot: usize) -> Result<String, ExportError> {
        let (name, values) = param(self.model, slot)?;
        let shape = &self.model.layout.params.slots[slot].shape;
        self.graph.weight(name, shape, values);
        Ok(name.into())
    }

    /// A running statistic as a constant; gives its name.
    fn state(&mut self, slot: usize) -> Result<String, ExportError> {
        let (name, values) = state(self.model, slot)?;
        let shape = &self.model.layout.state.slots[slot].shape;
        self.graph.weight(name, shape, values);
        Ok(name.into())
    }

    /// A constant `[1,C,1,1]`, which broadcasts over images and pixels; gives its name.
    fn per_channel(&mut self, name: &str, values: &[f32]) -> Result<String, ExportError> {
        Ok(self.graph.per_channel(name, finite(name, values)?))
    }
}
