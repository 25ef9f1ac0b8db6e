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

use super::onnx_proto::*;
use super::{
    BATCH_NORM_EPSILON, ExportError, PRODUCER, PRODUCER_VERSION, bytes, check, finite, json, mask,
    mask_name, param, powers, relu_count, state,
};
use crate::graph::layout::{LinearSlots, Site};
use crate::graph::{Model, NodeId, Nonlinearity, Op, Pool};
use prost::Message;

/// Protobuf readers refuse longer messages.
const MAX_BYTES: usize = i32::MAX as usize;

/// Name of the graph's input.
const INPUT: &str = "input";

/// Name of the graph's output.
const LOGITS: &str = "logits";

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
        nodes: Vec::new(),
        initializers: Vec::new(),
    };
    for index in 0..network.nodes.len() {
        writer.layer(NodeId(index))?;
    }
    let total = network.relu_total();
    let kept = relu_count(model);
    let input = network.node(network.input()).shape;
    let graph = GraphProto {
        node: writer.nodes,
        name: network.name.clone(),
        initializer: writer.initializers,
        doc_string: format!("{} with {kept} of {total} ReLUs", network.name),
        input: vec![value_info(
            INPUT,
            &[input.channels, input.height, input.width],
            "RGB in 0…1, not normalised",
        )],
        output: vec![value_info(
            LOGITS,
            &[network.classes()],
            "one score per class",
        )],
    };
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: key.into(),
        value,
    };
    let file = ModelProto {
        ir_version: IR_VERSION,
        producer_name: PRODUCER.into(),
        producer_version: PRODUCER_VERSION.into(),
        doc_string: graph.doc_string.clone(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPSET_VERSION,
        }],
        metadata_props: vec![
            entry("producer", format!("{PRODUCER} {PRODUCER_VERSION}")),
            entry("model", network.name.clone()),
            entry("relu_total", total.to_string()),
            entry("relu_count", kept.to_string()),
            entry("classes", json(&model.classes)),
        ],
    };
    match file.encoded_len() {
        bytes if bytes > MAX_BYTES => Err(ExportError::TooLarge { bytes }),
        _ => Ok(file.encode_to_vec()),
    }
}

/// The graph while it grows. Every node makes one value, which bears the node's name.
struct Writer<'a> {
    model: &'a Model,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
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
                self.node("Sub", "centered", &[INPUT, &mean]);
                self.node("Div", NORMALIZED, &["centered", &std]);
            }
            Op::Conv2d(conv) => {
                let weight = self.param(layout.conv2d(id))?;
                self.node("Conv", name, &[x(), &weight]).attribute.extend([
                    ints("kernel_shape", [conv.kernel; 2]),
                    ints("pads", [conv.padding; 4]),
                    ints("strides", [conv.stride; 2]),
                    int("group", conv.groups as i64),
                ]);
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
                self.node("BatchNormalization", name, &inputs)
                    .attribute
                    .push(float("epsilon", BATCH_NORM_EPSILON));
            }
            Op::Activation => self.site(layout.site(id), x())?,
            Op::Add => {
                self.node("Add", name, &[x(), &inputs[1]]);
            }
            Op::Pool(pool) => self.pool(name, x(), pool),
            Op::Linear(_) => {
                let LinearSlots { weight, bias } = layout.linear(id);
                let (weight, bias) = (self.param(weight)?, self.param(bias)?);
                let flat = self.flatten(&format!("{name}.flatten"), x());
                let gemm = if is_output {
                    LOGITS.into()
                } else {
                    format!("{name}.gemm")
                };
                self.node("Gemm", &gemm, &[&flat, &weight, &bias])
                    .attribute
                    .push(int("transB", 1));
                if !is_output {
                    // Back to the four dimensions that every other operator here takes.
                    let axes = format!("{name}.axes");
                    let plane: Vec<u8> = [2i64, 3].iter().flat_map(|a| a.to_le_bytes()).collect();
                    self.initializer(&axes, data_type::INT64, &[2], plane);
                    self.node("Unsqueeze", name, &[&gemm, &axes]);
                }
            }
            Op::PooledConv(_) => {
                let LinearSlots { weight, bias } = layout.linear(id);
                let (weight, bias) = (self.param(weight)?, self.param(bias)?);
                self.node("Conv", name, &[x(), &weight, &bias])
                    .attribute
                    .push(ints("kernel_shape", [1; 2]));
            }
            Op::Sigmoid => {
                self.node("Sigmoid", name, &[x()]);
            }
            // Factors [N,C,1,1] meet [N,C,H,W].
            Op::Scale => {
                self.node("Mul", name, &[x(), &inputs[1]]);
            }
            // An exported network is there to be evaluated: nothing is dropped.
            Op::Dropout(_) => {
                self.node("Identity", name, &[x()]);
            }
        }
        if is_output && !linear {
            let value = self.value(id);
            self.flatten(LOGITS, &value);
        }
        Ok(())
    }

    /// Writes a pool.
    fn pool(&mut self, name: &str, x: &str, pool: Pool) {
        match pool {
            Pool::Average { kernel, stride } => {
                self.node("AveragePool", name, &[x]).attribute.extend([
                    ints("kernel_shape", [kernel; 2]),
                    ints("strides", [stride; 2]),
                ]);
            }
            Pool::Max {
                kernel,
                stride,
                padding,
            } => self.node("MaxPool", name, &[x]).attribute.extend([
                ints("kernel_shape", [kernel; 2]),
                ints("pads", [padding; 4]),
                ints("strides", [stride; 2]),
            ]),
            Pool::GlobalAverage => {
                self.node("GlobalAveragePool", name, &[x]);
            }
        }
    }

    /// Writes an activation site.
    fn site(&mut self, site: &Site, x: &str) -> Result<(), ExportError> {
        let name = site.name.as_str();
        if self.model.network.nonlinearity == Nonlinearity::Silu {
            let sigmoid = format!("{name}.sigmoid");
            self.node("Sigmoid", &sigmoid, &[x]);
            self.node("Mul", name, &[x, &sigmoid]);
            return Ok(());
        }
        let mask = mask(self.model, site)?;
        let kept = mask.iter().filter(|&&keep| keep).count();
        let doc = format!("{kept} of {} ReLUs", mask.len());
        let last = if kept == mask.len() {
            self.node("Relu", name, &[x])
        } else if kept == 0 {
            self.polynomial(site, x, name)?
        } else {
            let shape = [1, site.shape.channels, site.shape.height, site.shape.width];
            let keep = mask_name(site);
            let elements = mask.into_iter().map(u8::from).collect();
            self.initializer(&keep, data_type::BOOL, &shape, elements);
            let relu = format!("{name}.relu");
            self.node("Relu", &relu, &[x]);
            let polynomial = format!("{name}.polynomial");
            self.polynomial(site, x, &polynomial)?;
            self.node("Where", name, &[&keep, &relu, &polynomial])
        };
        last.doc_string = doc;
        Ok(())
    }

    /// Writes `(…(cₙ·x + cₙ₋₁)·x + …)·x + c₀` and returns its last node.
    fn polynomial(
        &mut self,
        site: &Site,
        x: &str,
        output: &str,
    ) -> Result<&mut NodeProto, ExportError> {
        let name = site.name.as_str();
        // Even a constant polynomial is written as 0·x + c₀: the batch size comes from x.
        let mut constants = Vec::new();
        for (power, values) in powers(self.model, site, 2)?.iter().enumerate() {
            constants.push(self.per_channel(&format!("{name}.coefficients.c{power}"), values)?);
        }
        let mut sum = constants.pop().expect("two coefficients or more");
        for (power, constant) in constants.iter().enumerate().rev() {
            let product = format!("{name}.mul{power}");
            self.node("Mul", &product, &[x, &sum]);
            sum = match power {
                0 => output.into(),
                _ => format!("{name}.add{power}"),
            };
            self.node("Add", &sum, &[&product, constant]);
        }
        Ok(self.nodes.last_mut().expect("the last Add"))
    }

    fn flatten(&mut self, output: &str, x: &str) -> String {
        let node = self.node("Flatten", output, &[x]);
        node.attribute.push(int("axis", 1));
        output.into()
    }

    /// Name of the value that a layer makes.
    fn value(&self, id: NodeId) -> String {
        let node = self.model.network.node(id);
        match node.op {
            Op::Input => NORMALIZED.into(),
            _ => node.name.clone(),
        }
    }

    /// Appends an operator; what it makes and the operator itself are called `output`.
    fn node(&mut self, op_type: &str, output: &str, inputs: &[&str]) -> &mut NodeProto {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            name: output.into(),
            op_type: op_type.into(),
            attribute: Vec::new(),
            doc_string: String::new(),
        });
        self.nodes.last_mut().expect("just pushed")
    }

    fn initializer(&mut self, name: &str, data_type: i32, shape: &[usize], raw_data: Vec<u8>) {
        self.initializers.push(TensorProto {
            dims: shape.iter().map(|&n| n as i64).collect(),
            data_type,
            name: name.into(),
            raw_data,
        });
    }

    /// A parameter as a constant; gives its name.
    fn param(&mut self, slot: usize) -> Result<String, ExportError> {
        let (name, values) = param(self.model, slot)?;
        let shape = &self.model.layout.params.slots[slot].shape;
        self.initializer(name, data_type::FLOAT, shape, bytes(values));
        Ok(name.into())
    }

    /// A running statistic as a constant; gives its name.
    fn state(&mut self, slot: usize) -> Result<String, ExportError> {
        let (name, values) = state(self.model, slot)?;
        let shape = &self.model.layout.state.slots[slot].shape;
        self.initializer(name, data_type::FLOAT, shape, bytes(values));
        Ok(name.into())
    }

    /// A constant `[1,C,1,1]`, which broadcasts over images and pixels; gives its name.
    fn per_channel(&mut self, name: &str, values: &[f32]) -> Result<String, ExportError> {
        let data = bytes(finite(name, values)?);
        self.initializer(name, data_type::FLOAT, &[1, values.len(), 1, 1], data);
        Ok(name.into())
    }
}

/// An input or output: N images of `shape`.
fn value_info(name: &str, shape: &[usize], doc: &str) -> ValueInfoProto {
    let batch = Size::DimParam("N".into());
    let sizes = shape.iter().map(|&n| Size::DimValue(n as i64));
    let dim = [batch].into_iter().chain(sizes);
    let shape = TensorShapeProto {
        dim: dim.map(|size| Dimension { value: Some(size) }).collect(),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: data_type::FLOAT,
                shape: Some(shape),
            }),
        }),
        doc_string: doc.into(),
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i: Some(value),
        r#type: attribute_type::INT,
        ..Default::default()
    }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        f: Some(value),
        r#type: attribute_type::FLOAT,
        ..Default::default()
    }
}

fn ints<const N: usize>(name: &str, values: [usize; N]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: values.iter().map(|&v| v as i64).collect(),
        r#type: attribute_type::INTS,
        ..Default::default()
    }
}
