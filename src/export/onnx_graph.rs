//! A graph of standard ONNX operators (opset 17) while it grows, and the file around it.
//!
//! Attributes are written out even where they have their default, and what is no weight is a
//! `Constant` node: importers of private inference ask for the former, and take every initializer
//! for a parameter, which they encrypt.

use super::onnx_proto::*;
use super::{ExportError, PRODUCER, PRODUCER_VERSION, bytes, json};
use crate::graph::{Chw, Conv2d};
use crate::private::folded::Window;
use prost::Message;

/// Protobuf readers refuse longer messages.
const MAX_BYTES: usize = i32::MAX as usize;

/// Name of the graph's input.
pub(super) const INPUT: &str = "input";

/// Name of the graph's output.
pub(super) const LOGITS: &str = "logits";

/// What a file says of the network in it.
pub(super) struct About<'a> {
    /// Name of the architecture.
    pub model: &'a str,
    /// Shape of an image.
    pub input: Chw,
    /// Class names.
    pub classes: &'a [String],
    /// Elements of all sites, and those that keep their ReLU.
    pub relu_total: usize,
    /// ReLUs that are left.
    pub relus: usize,
}

/// Nodes and weights in the order in which they came. Every node makes one value, which bears the
/// node's name.
#[derive(Default)]
pub(super) struct OnnxGraph {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl OnnxGraph {
    /// Appends an operator; what it makes and the operator itself are called `output`.
    pub fn node(&mut self, op_type: &str, output: &str, inputs: &[&str]) -> &mut NodeProto {
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

    /// Says of the last node what it is, in words.
    pub fn describe(&mut self, words: String) {
        if let Some(node) = self.nodes.last_mut() {
            node.doc_string = words;
        }
    }

    /// A weight, f32.
    pub fn weight(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.initializers.push(TensorProto {
            dims: shape.iter().map(|&n| n as i64).collect(),
            data_type: data_type::FLOAT,
            name: name.into(),
            raw_data: bytes(values),
        });
    }

    /// A weight `[1,C,1,1]`, which broadcasts over images and pixels; gives its name.
    pub fn per_channel(&mut self, name: &str, values: &[f32]) -> String {
        self.weight(name, &[1, values.len(), 1, 1], values);
        name.into()
    }

    /// What is known to all, as little-endian bytes; gives its name.
    pub fn constant(
        &mut self,
        name: &str,
        data_type: i32,
        shape: &[usize],
        raw_data: Vec<u8>,
    ) -> String {
        let value = TensorProto {
            dims: shape.iter().map(|&n| n as i64).collect(),
            data_type,
            name: String::new(),
            raw_data,
        };
        self.node("Constant", name, &[]).attribute = vec![AttributeProto {
            name: "value".into(),
            t: Some(value),
            r#type: attribute_type::TENSOR,
            ..Default::default()
        }];
        name.into()
    }

    /// A list of integers that is known to all; gives its name.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, data_type::INT64, &[values.len()], raw)
    }

    /// A convolution; its weight, and its bias where it has one, are there already.
    pub fn conv(&mut self, output: &str, inputs: &[&str], conv: Conv2d) {
        self.node("Conv", output, inputs).attribute = vec![
            ints("dilations", [1; 2]),
            int("group", conv.groups as i64),
            ints("kernel_shape", [conv.kernel; 2]),
            ints("pads", [conv.padding; 4]),
            ints("strides", [conv.stride; 2]),
        ];
    }

    /// An average (`AveragePool`) or maximum (`MaxPool`) over windows.
    pub fn pool(&mut self, op_type: &str, output: &str, x: &str, window: Window) {
        self.node(op_type, output, &[x]).attribute = vec![
            int("ceil_mode", 0),
            ints("kernel_shape", [window.kernel; 2]),
            ints("pads", [window.padding; 4]),
            ints("strides", [window.stride; 2]),
        ];
    }

    /// N×C×… as N×C·….
    pub fn flatten(&mut self, output: &str, x: &str) -> String {
        self.node("Flatten", output, &[x]).attribute = vec![int("axis", 1)];
        output.into()
    }

    /// x·Wᵀ + b of `inputs` x, W and b.
    pub fn gemm(&mut self, output: &str, inputs: &[&str]) {
        self.node("Gemm", output, inputs).attribute = vec![
            float("alpha", 1.0),
            float("beta", 1.0),
            int("transA", 0),
            int("transB", 1),
        ];
    }

    /// The file.
    ///
    /// # Errors
    /// [`ExportError::TooLarge`].
    pub fn into_file(self, about: &About) -> Result<Vec<u8>, ExportError> {
        let &About {
            model,
            input,
            classes,
            relu_total,
            relus,
        } = about;
        let graph = GraphProto {
            node: self.nodes,
            name: model.into(),
            initializer: self.initializers,
            doc_string: format!("{model} with {relus} of {relu_total} ReLUs"),
            input: vec![value_info(
                INPUT,
                &[input.channels, input.height, input.width],
                "RGB in 0…1, not normalised",
            )],
            output: vec![value_info(LOGITS, &[classes.len()], "one score per class")],
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
                entry("model", model.into()),
                entry("relu_total", relu_total.to_string()),
                entry("relu_count", relus.to_string()),
                entry("classes", json(classes)),
            ],
        };
        match file.encoded_len() {
            bytes if bytes > MAX_BYTES => Err(ExportError::TooLarge { bytes }),
            _ => Ok(file.encode_to_vec()),
        }
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

/// An attribute that is an integer.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i: Some(value),
        r#type: attribute_type::INT,
        ..Default::default()
    }
}

/// An attribute that is a number.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        f: Some(value),
        r#type: attribute_type::FLOAT,
        ..Default::default()
    }
}

/// An attribute that is a list of integers.
pub(super) fn ints<const N: usize>(name: &str, values: [usize; N]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: values.iter().map(|&v| v as i64).collect(),
        r#type: attribute_type::INTS,
        ..Default::default()
    }
}
