//! The part of ONNX's `onnx.proto` that an export uses, with its names and field numbers.
//!
//! Written by hand, so that building needs no protobuf compiler. What is not listed here is
//! absent from the file, which to a protobuf reader is the same as empty.

use prost::Message;

/// A file: a graph, the operators it is written in, and who made it.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// Version of the file format, see [`IR_VERSION`].
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// Program that made the file.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// One line for people.
    #[prost(string, tag = "6")]
    pub doc_string: String,
    /// The graph.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// Operator sets, see [`OPSET_VERSION`].
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// What the graph does not say.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// Version of the file format that belongs to [`OPSET_VERSION`].
pub const IR_VERSION: i64 = 8;

/// Version of the standard operators.
pub const OPSET_VERSION: i64 = 17;

/// Which version of which operators.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct OperatorSetIdProto {
    /// Empty for the standard operators.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Version of the set.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A key and its value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StringStringEntryProto {
    /// Key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Nodes in execution order, the constants they read, inputs and outputs.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// Operators, producers before consumers.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// Name of the graph.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// One line for people.
    #[prost(string, tag = "10")]
    pub doc_string: String,
    /// What the caller gives.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// What the caller gets.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

/// One operator.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of the values it reads.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the values it makes.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Name of the node.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Operator: `Conv`.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Its settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// One line for people.
    #[prost(string, tag = "6")]
    pub doc_string: String,
}

/// One setting of an operator: exactly one of the values, and which.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// Name of the setting.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A number.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// An integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// A tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// Integers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Which value it is, see [`attribute_type`].
    #[prost(int32, tag = "20")]
    pub r#type: i32,
}

/// Values of [`AttributeProto::type`](AttributeProto).
pub mod attribute_type {
    /// `f`.
    pub const FLOAT: i32 = 1;
    /// `i`.
    pub const INT: i32 = 2;
    /// `t`.
    pub const TENSOR: i32 = 4;
    /// `ints`.
    pub const INTS: i32 = 7;
}

/// A constant.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TensorProto {
    /// Shape, outermost first.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// Element type, see [`data_type`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Name of the value.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Elements, little-endian.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
}

/// Element types.
pub mod data_type {
    /// f32.
    pub const FLOAT: i32 = 1;
    /// i64.
    pub const INT64: i32 = 7;
    /// One byte, 0 or 1.
    pub const BOOL: i32 = 9;
}

/// Name and type of an input or output.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ValueInfoProto {
    /// Name of the value.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    /// One line for people.
    #[prost(string, tag = "3")]
    pub doc_string: String,
}

/// A type; here always a tensor's.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TypeProto {
    /// A tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TensorTypeProto {
    /// Element type, see [`data_type`].
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// Shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// A shape.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TensorShapeProto {
    /// Outermost first.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Dimension {
    /// A size, or the name of one that is free.
    #[prost(oneof = "Size", tags = "1, 2")]
    pub value: Option<Size>,
}

/// A size known or free.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Size {
    /// Elements.
    #[prost(int64, tag = "1")]
    DimValue(i64),
    /// Name of a size that the caller chooses.
    #[prost(string, tag = "2")]
    DimParam(String),
}
