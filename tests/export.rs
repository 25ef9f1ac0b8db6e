//! Exports, decoded again: structure here, numbers by onnxruntime.
//!
//! Whether the graph computes what the network computes is for an independent program to
//! say. Set `AUTOREP_PYTHON` to a Python that has onnxruntime, numpy and pillow (for more
//! checks also onnx and safetensors), and the last two tests run it against [`HostNetwork`].

mod common;

use autorep::export::onnx_proto::*;
use autorep::export::{
    ExportError, Format, Holder, fold, to_onnx, to_private_onnx, to_safetensors,
};
use autorep::graph::layout::Site;
use autorep::graph::{
    Chw, Conv2d, Dropout, Layout, Linear, Model, Network, NodeId, Nonlinearity, Op, Pool, Tensors,
};
use autorep::models::ModelSpec;
use autorep::private::{
    BEYOND, FixedPoint, FoldedOp, Real, Step, Truncation, evaluate, site_ranges,
};
use autorep::reference::dapa;
use common::host_network::{Activations, HostNetwork, Mode};
use common::noise;
use prost::Message;
use safetensors::SafeTensors;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A model with noise in every tensor, scaled so that values stay near one from layer to
/// layer, and all masks mixed.
fn noisy(network: Network) -> Model {
    let layout = Layout::new(&network);
    let mut tensors = Tensors::neutral(&layout);
    for (seed, slot) in (1..).zip(&layout.params.slots) {
        let values = &mut tensors.params[slot.range()];
        values.copy_from_slice(&noise(seed, slot.len()));
        let fan_in: usize = slot.shape[1..].iter().product();
        match slot.name.rsplit('.').next().unwrap() {
            "weight" if slot.shape.len() > 1 => {
                let scale = (3.0 / fan_in as f32).sqrt();
                values.iter_mut().for_each(|v| *v *= scale);
            }
            "weight" => values.iter_mut().for_each(|v| *v = 1.0 + 0.3 * *v),
            "coefficients" => {
                for row in values.chunks_mut(4) {
                    row[2] *= 0.1;
                    row[3] = 0.0;
                }
            }
            _ => {}
        }
    }
    for (seed, slot) in (100..).zip(&layout.state.slots) {
        let values = &mut tensors.state[slot.range()];
        values.copy_from_slice(&noise(seed, slot.len()));
        if slot.name.ends_with("running_var") {
            values.iter_mut().for_each(|v| *v = 1.0 + 0.5 * *v);
        }
    }
    for (seed, site) in (200..).zip(&layout.sites) {
        let keep = noise(seed, site.shape.len());
        let mask = &mut tensors.mask[site.range()];
        for (m, keep) in mask.iter_mut().zip(keep) {
            *m = f32::from(keep > 0.4);
        }
    }
    let classes = (0..network.classes())
        .map(|c| format!("class {c}"))
        .collect();
    Model {
        network,
        layout,
        tensors,
        mean: [0.4914, 0.4822, 0.4465],
        std: [0.2023, 0.1994, 0.2010],
        classes,
    }
}

fn spec(name: &str, width: f64, input: (usize, usize), classes: usize) -> Network {
    let spec = ModelSpec {
        name: name.into(),
        width,
        input,
        classes,
    };
    spec.build().unwrap()
}

fn fill_mask(model: &mut Model, site: usize, value: f32) {
    let range = model.layout.sites[site].range();
    model.tensors.mask[range].fill(value);
}

/// Sets coefficient `power` of a site in every channel.
fn fill_power(model: &mut Model, site: usize, power: usize, value: f32) {
    let slot = model.layout.sites[site].coefficients;
    let range = model.layout.params.slots[slot].range();
    let column = model.tensors.params[range].iter_mut().skip(power);
    column.step_by(4).for_each(|c| *c = value);
}

/// Six sites of every sort: mixed, all ReLU, all polynomial; degrees 2, 1 and 0.
fn resnet8() -> Model {
    let mut model = noisy(spec("resnet8", 1.0, (32, 32), 10));
    fill_mask(&mut model, 1, 1.0);
    fill_mask(&mut model, 2, 0.0);
    fill_power(&mut model, 3, 2, 0.0);
    fill_mask(&mut model, 4, 0.0);
    for power in 1..3 {
        fill_power(&mut model, 4, power, 0.0);
    }
    model
}

/// Sixteen sites on images that are not square.
fn resnet18() -> Model {
    let mut model = noisy(spec("resnet18", 0.25, (16, 24), 7));
    fill_mask(&mut model, 0, 0.0);
    fill_mask(&mut model, 15, 1.0);
    // What a search marks its lines with, in a checkpoint of its middle: no power of anything.
    fill_power(&mut model, 5, 3, 1.0);
    model
}

/// Every op where the ResNets do not have it: an average pool, and layers behind a linear one.
fn oddity() -> Model {
    let mut network = Network::new(
        "oddity",
        Chw {
            channels: 3,
            height: 7,
            width: 9,
        },
    );
    let ops = [
        (
            "pool",
            Op::Pool(Pool::Average {
                kernel: 3,
                stride: 2,
            }),
        ),
        (
            "conv",
            Op::Conv2d(Conv2d {
                padding: 0,
                ..Conv2d::same(6, 3, 1)
            }),
        ),
        ("gap", Op::Pool(Pool::GlobalAverage)),
        ("hidden", Op::Linear(Linear { out_features: 5 })),
        ("bn", Op::BatchNorm),
        ("act", Op::Activation),
    ];
    for (name, op) in ops {
        let last = network.output();
        network.push(name, op, &[last]).unwrap();
    }
    noisy(network)
}

/// What EfficientNet and the ImageNet stems add: a max-pool, convolutions in groups,
/// squeeze-excite, dropout.
fn mobile() -> Model {
    let mut network = Network::new(
        "mobile",
        Chw {
            channels: 3,
            height: 13,
            width: 10,
        },
    );
    let conv = |channels, kernel, stride, groups| {
        Op::Conv2d(Conv2d {
            groups,
            ..Conv2d::same(channels, kernel, stride)
        })
    };
    let mut push = |name: &str, op, inputs: &[_]| network.push(name, op, inputs).unwrap();
    let x = push("stem", conv(6, 3, 1, 1), &[NodeId(0)]);
    let pool = Pool::Max {
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    let x = push("pool", Op::Pool(pool), &[x]);
    let a = push("depthwise", conv(6, 5, 1, 6), &[x]);
    let a = push("bn", Op::BatchNorm, &[a]);
    let a = push("act", Op::Activation, &[a]);
    let s = push("se.pool", Op::Pool(Pool::GlobalAverage), &[a]);
    let s = push("se.fc1", Op::PooledConv(Linear { out_features: 2 }), &[s]);
    let s = push("se.act", Op::Activation, &[s]);
    let s = push("se.fc2", Op::PooledConv(Linear { out_features: 6 }), &[s]);
    let s = push("se.sigmoid", Op::Sigmoid, &[s]);
    let a = push("se.scale", Op::Scale, &[a, s]);
    let a = push("grouped", conv(6, 3, 1, 3), &[a]);
    let rate = 0.5;
    let per_sample = true;
    let a = push("drop", Op::Dropout(Dropout { rate, per_sample }), &[a]);
    let x = push("add", Op::Add, &[a, x]);
    let x = push("gap", Op::Pool(Pool::GlobalAverage), &[x]);
    let per_sample = false;
    let x = push(
        "classifier.0",
        Op::Dropout(Dropout { rate, per_sample }),
        &[x],
    );
    push("classifier.1", Op::Linear(Linear { out_features: 4 }), &[x]);
    noisy(network)
}

/// The same as a teacher that knows no ReLU.
fn silu_teacher() -> Model {
    let mut model = mobile();
    model.network.nonlinearity = Nonlinearity::Silu;
    model.tensors.mask = Tensors::neutral(&model.layout).mask;
    model
}

/// Networks of every sort with masks of every sort, searched and folded.
fn private_models() -> Vec<Model> {
    let mut models = vec![resnet8(), resnet18(), oddity(), mobile()];
    // Whole channels: ReLUs, squares and lines side by side.
    let mut channels = noisy(spec("resnet20", 0.5, (16, 16), 10));
    for (index, site) in channels.layout.sites.clone().iter().enumerate() {
        let plane = site.shape.plane();
        for channel in 0..site.shape.channels {
            let keep = f32::from(noise(index as u32, 99)[channel] > 0.3);
            channels.tensors.mask[site.offset + channel * plane..][..plane].fill(keep);
            if channel % 3 == index % 3 {
                let slot = channels.layout.params.slots[site.coefficients].offset;
                channels.tensors.params[slot + channel * 4 + 2] = 0.0;
            }
        }
    }
    models.push(channels);
    for (name, width, size) in [
        ("wide_resnet_22_8", 0.125, 16),
        ("efficientnet_b0", 0.25, 40),
        ("imagenet_resnet18", 0.125, 40),
        ("imagenet_resnet50_avgpool", 0.125, 40),
    ] {
        let mut model = noisy(spec(name, width, (size, size), 10));
        model.network.nonlinearity = Nonlinearity::Relu;
        fill_mask(&mut model, 0, 1.0);
        fill_mask(&mut model, 2, 0.0);
        models.push(model);
    }
    models
}

fn decode(model: &Model) -> GraphProto {
    let file = ModelProto::decode(to_onnx(model).unwrap().as_slice()).unwrap();
    file.graph.unwrap()
}

/// Initializers, and what `Constant` nodes hold.
fn constants(graph: &GraphProto) -> HashMap<&str, &TensorProto> {
    let weights = graph.initializer.iter().map(|t| (t.name.as_str(), t));
    let public = graph.node.iter().filter(|node| node.op_type == "Constant");
    let public = public.map(|node| {
        let value = node.attribute[0].t.as_ref();
        (node.name.as_str(), value.unwrap())
    });
    weights.chain(public).collect()
}

fn producer<'a>(graph: &'a GraphProto, value: &str) -> &'a NodeProto {
    let makes = |node: &&NodeProto| node.output.iter().any(|o| o == value);
    graph.node.iter().find(makes).expect(value)
}

fn floats(tensor: &TensorProto) -> Vec<f32> {
    assert_eq!(tensor.data_type, data_type::FLOAT, "{}", tensor.name);
    let words = tensor.raw_data.chunks_exact(4);
    words
        .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

#[test]
fn the_messages_have_onnx_field_numbers() {
    // By hand from onnx.proto: (field << 3 | wire type), length, bytes.
    let tensor = TensorProto {
        dims: vec![2],
        data_type: data_type::BOOL,
        name: "m".into(),
        raw_data: vec![1, 0],
    };
    let want = b"\x08\x02\x10\x09\x42\x01m\x4a\x02\x01\x00";
    assert_eq!(tensor.encode_to_vec(), want);
    let attribute = AttributeProto {
        name: "axis".into(),
        i: Some(1),
        r#type: attribute_type::INT,
        ..Default::default()
    };
    let want = b"\x0a\x04axis\x18\x01\xa0\x01\x02";
    assert_eq!(attribute.encode_to_vec(), want);
    let free = Dimension {
        value: Some(Size::DimParam("N".into())),
    };
    assert_eq!(free.encode_to_vec(), b"\x12\x01N");
}

#[test]
fn a_graph_is_closed_ordered_and_without_leftovers() {
    for model in [resnet8(), resnet18(), oddity(), mobile(), silu_teacher()] {
        let graph = decode(&model);
        let weights = graph.initializer.iter().map(|t| t.name.as_str());
        let mut known: HashSet<&str> = weights.collect();
        assert_eq!(known.len(), graph.initializer.len(), "a name twice");
        known.insert("input");
        let mut read = HashSet::new();
        let mut names = HashSet::new();
        for node in &graph.node {
            for input in &node.input {
                assert!(
                    known.contains(input.as_str()),
                    "{} reads {input}",
                    node.name
                );
                read.insert(input.as_str());
            }
            for output in &node.output {
                assert!(known.insert(output), "{output} is made twice");
            }
            assert!(names.insert(&node.name), "two nodes {}", node.name);
        }
        let leftover: Vec<_> = known.iter().filter(|n| !read.contains(**n)).collect();
        assert_eq!(leftover, [&"logits"]);
    }
}

#[test]
fn constants_are_the_models_tensors_under_their_names() {
    let model = resnet8();
    let graph = decode(&model);
    let constants = constants(&graph);
    let (layout, tensors) = (&model.layout, &model.tensors);
    let params = layout.params.slots.iter().map(|s| (s, &tensors.params));
    let state = layout.state.slots.iter().map(|s| (s, &tensors.state));
    let mut seen = 0;
    for (slot, arena) in params.chain(state) {
        if slot.name.contains(".act") {
            continue;
        }
        let tensor = constants[slot.name.as_str()];
        let shape: Vec<usize> = tensor.dims.iter().map(|&n| n as usize).collect();
        assert_eq!(shape, slot.shape, "{}", slot.name);
        assert_eq!(floats(tensor), arena[slot.range()], "{}", slot.name);
        seen += 1;
    }
    // Nine convolutions with a batch norm each, and the linear layer.
    assert_eq!(seen, 9 * 5 + 2);
    assert!(constants.contains_key("layer2.0.downsample.0.weight"));
}

#[test]
fn a_site_becomes_what_its_mask_asks_for() {
    let model = resnet8();
    let graph = decode(&model);
    let constants = constants(&graph);

    // Mixed: Where(mask, relu(x), polynomial(x)) of one x.
    let site = &model.layout.sites[0];
    assert_eq!(site.name, "layer1.0.act1");
    let chosen = producer(&graph, "layer1.0.act1");
    assert_eq!(chosen.op_type, "Where");
    let mask = constants[chosen.input[0].as_str()];
    assert_eq!(chosen.input[0], "layer1.0.act1.mask");
    assert_eq!(mask.dims, [1, 16, 32, 32]);
    assert_eq!(mask.data_type, data_type::BOOL);
    let want = &model.tensors.mask[site.range()];
    assert!(want.contains(&0.0) && want.contains(&1.0));
    assert!(
        mask.raw_data
            .iter()
            .zip(want)
            .all(|(&bit, &m)| f32::from(bit) == m)
    );
    let relu = producer(&graph, &chosen.input[1]);
    assert_eq!(relu.op_type, "Relu");
    assert_eq!(relu.input, ["layer1.0.bn1"]);

    // (c2·x + c1)·x + c0, from the outside in.
    let x = "layer1.0.bn1";
    let mut value = chosen.input[2].as_str();
    for power in 0..2 {
        let add = producer(&graph, value);
        assert_eq!(add.op_type, "Add");
        let c = constants[add.input[1].as_str()];
        assert_eq!(c.name, format!("layer1.0.act1.coefficients.c{power}"));
        assert_eq!(c.dims, [1, 16, 1, 1]);
        let slot = &model.layout.params.slots[site.coefficients];
        let rows = model.tensors.param(slot).chunks(4);
        assert_eq!(floats(c), rows.map(|row| row[power]).collect::<Vec<_>>());
        let mul = producer(&graph, &add.input[0]);
        assert_eq!((mul.op_type.as_str(), mul.input[0].as_str()), ("Mul", x));
        value = mul.input[1].as_str();
    }
    assert_eq!(value, "layer1.0.act1.coefficients.c2");

    // All ReLU: nothing else is left of the site.
    let relu = producer(&graph, "layer1.0.act2");
    assert_eq!(relu.op_type, "Relu");
    assert!(!constants.keys().any(|n| n.starts_with("layer1.0.act2")));

    // All polynomial: no comparison. Degree 1: one product.
    for (site, products) in [("layer2.0.act1", 2), ("layer3.0.act1", 1)] {
        let ops: Vec<&str> = graph
            .node
            .iter()
            .filter(|n| n.name.starts_with(site))
            .map(|n| n.op_type.as_str())
            .collect();
        assert_eq!(ops, ["Mul", "Add"].repeat(products), "{site}");
        assert_eq!(producer(&graph, site).op_type, "Add");
        assert!(!constants.contains_key(format!("{site}.mask").as_str()));
    }
    let relus = graph.node.iter().filter(|n| n.op_type == "Relu");
    assert_eq!(relus.count(), 4);
}

/// Inputs of a node's operator, of one image, by shapes that onnx would infer: enough for the
/// operators of a private graph.
fn elements(graph: &GraphProto, site: &Site, value: &str) -> usize {
    let node = producer(graph, value);
    let constants = constants(graph);
    let input = || elements(graph, site, &node.input[0]);
    match node.op_type.as_str() {
        "Gather" => constants[node.input[1].as_str()].dims[0] as usize,
        "Slice" => {
            let at = |i: usize| {
                let raw = &constants[node.input[i].as_str()].raw_data;
                i64::from_le_bytes(raw[..8].try_into().unwrap()) as usize
            };
            (at(2) - at(1)) * site.shape.plane()
        }
        "Concat" => node.input.iter().map(|v| elements(graph, site, v)).sum(),
        "Mul" | "Add" if node.name.starts_with(&site.name) => input(),
        "Flatten" | "Reshape" | "Relu" | "Pow" => input(),
        // What the site reads.
        _ => site.shape.len(),
    }
}

#[test]
fn a_private_graph_compares_what_is_kept_and_nothing_twice() {
    for model in private_models() {
        let folded = fold(&model).unwrap();
        let file = to_private_onnx(&folded, Holder::Owner).unwrap();
        let graph = ModelProto::decode(file.as_slice()).unwrap().graph.unwrap();
        let name = &model.network.name;
        let mut computed = HashSet::new();
        for node in &graph.node {
            const KNOWN: [&str; 17] = [
                "Constant",
                "Sub",
                "Conv",
                "Add",
                "Mul",
                "Pow",
                "Relu",
                "Flatten",
                "Gather",
                "Slice",
                "Concat",
                "Reshape",
                "AveragePool",
                "MaxPool",
                "GlobalAveragePool",
                "Sigmoid",
                "Gemm",
            ];
            assert!(KNOWN.contains(&node.op_type.as_str()), "{}", node.op_type);
            if node.op_type != "Constant" {
                let what = (&node.op_type, &node.input);
                assert!(
                    computed.insert(what),
                    "{name}: {} is computed twice",
                    node.name
                );
            }
        }
        let kept = model.tensors.kept(&model.layout);
        for (site, kept) in model.layout.sites.iter().zip(kept) {
            let of_site = |op: &str| {
                let own = |node: &&NodeProto| {
                    let rest = node.name.strip_prefix(&site.name);
                    node.op_type == op && rest.is_some_and(|rest| rest.starts_with('.'))
                };
                graph.node.iter().filter(own).collect::<Vec<_>>()
            };
            let relus = of_site("Relu");
            assert_eq!(relus.len(), usize::from(kept > 0), "{name}, {}", site.name);
            assert!(of_site("Pow").len() <= 1, "{name}, {}", site.name);
            if let [relu] = relus.as_slice() {
                let compared = elements(&graph, site, &relu.input[0]);
                assert_eq!(compared, kept, "{name}, {}", site.name);
            }
        }
        // The other party's file: the same but for the weights, all of which are 0.
        let file = to_private_onnx(&folded, Holder::Other).unwrap();
        let other = ModelProto::decode(file.as_slice()).unwrap().graph.unwrap();
        assert_eq!(other.node, graph.node);
        for (weight, zeros) in graph.initializer.iter().zip(&other.initializer) {
            assert_eq!((&weight.name, &weight.dims), (&zeros.name, &zeros.dims));
            assert!(zeros.raw_data.iter().all(|&byte| byte == 0));
        }
        assert!(graph.initializer != other.initializer);
    }
}

#[test]
fn whole_channels_are_sliced_and_nothing_is_gathered() {
    let models = private_models();
    let model = models
        .iter()
        .find(|m| m.network.name == "resnet20")
        .unwrap();
    let folded = fold(model).unwrap();
    let file = to_private_onnx(&folded, Holder::Owner).unwrap();
    let graph = ModelProto::decode(file.as_slice()).unwrap().graph.unwrap();
    let count = |op: &str| graph.node.iter().filter(|n| n.op_type == op).count();
    assert_eq!(count("Gather"), 0);
    // The sites within blocks have an order of channels to themselves: three kinds, three slices.
    let site = "layer1.0.act1.";
    let slices = graph
        .node
        .iter()
        .filter(|n| n.op_type == "Slice" && n.name.starts_with(site));
    assert_eq!(slices.count(), 3);
}

#[test]
fn a_teacher_with_silu_has_no_private_form() {
    let error = fold(&silu_teacher()).unwrap_err().to_string();
    assert!(error.contains("search it first"), "{error}");
}

#[test]
fn a_teacher_is_plain_relus() {
    let mut model = resnet8();
    model.tensors.mask = Tensors::neutral(&model.layout).mask;
    let graph = decode(&model);
    for (node, count) in [("Relu", 6), ("Where", 0), ("Mul", 0), ("Add", 3)] {
        let found = graph.node.iter().filter(|n| n.op_type == node).count();
        assert_eq!(found, count, "{node}");
    }
}

#[test]
fn a_teacher_with_silu_has_no_relu() {
    let graph = decode(&silu_teacher());
    let count = |op: &str| graph.node.iter().filter(|n| n.op_type == op).count();
    // Two sites, and the sigmoid and the product of squeeze-excite.
    assert_eq!((count("Relu"), count("Where")), (0, 0));
    assert_eq!((count("Sigmoid"), count("Mul")), (3, 3));
    let depthwise = producer(&graph, "depthwise");
    let group = depthwise.attribute.iter().find(|a| a.name == "group");
    assert_eq!(group.and_then(|a| a.i), Some(6));
}

#[test]
fn a_file_says_what_it_is() {
    let model = resnet18();
    let file = ModelProto::decode(to_onnx(&model).unwrap().as_slice()).unwrap();
    assert_eq!((file.ir_version, file.opset_import[0].version), (8, 17));
    let metadata: HashMap<&str, &str> = file
        .metadata_props
        .iter()
        .map(|entry| (entry.key.as_str(), entry.value.as_str()))
        .collect();
    let kept: usize = model.tensors.kept(&model.layout).iter().sum();
    assert!(metadata["producer"].starts_with("autorep "));
    assert_eq!(metadata["model"], "resnet18");
    let total = model.network.relu_total().to_string();
    assert_eq!(metadata["relu_total"], total);
    assert_eq!(metadata["relu_count"], kept.to_string());
    let classes: Vec<String> = serde_json::from_str(metadata["classes"]).unwrap();
    assert_eq!(classes, model.classes);

    let graph = file.graph.unwrap();
    let shape = |info: &ValueInfoProto| -> Vec<String> {
        let tensor = info.r#type.clone().unwrap().tensor_type.unwrap();
        assert_eq!(tensor.elem_type, data_type::FLOAT);
        let sizes = tensor.shape.unwrap().dim.into_iter();
        sizes
            .map(|size| match size.value.unwrap() {
                Size::DimValue(n) => n.to_string(),
                Size::DimParam(name) => name,
            })
            .collect()
    };
    assert_eq!(graph.input[0].name, "input");
    assert_eq!(shape(&graph.input[0]), ["N", "3", "16", "24"]);
    assert_eq!(graph.output[0].name, "logits");
    assert_eq!(shape(&graph.output[0]), ["N", "7"]);
}

#[test]
fn safetensors_hold_every_tensor_once_and_the_same_bytes_each_time() {
    let model = resnet8();
    let bytes = to_safetensors(&model).unwrap();
    for _ in 0..4 {
        assert!(bytes == to_safetensors(&model).unwrap());
    }
    let file = SafeTensors::deserialize(&bytes).unwrap();
    // Nine convolutions with batch norms, the linear layer, a mask and a polynomial per site.
    assert_eq!(file.len(), 9 * 5 + 2 + 6 * 2);

    let weight = file.tensor("layer1.0.conv1.weight").unwrap();
    assert_eq!(weight.shape(), [16, 16, 3, 3]);
    let slots = model.layout.params.slots.iter();
    let slot = slots
        .clone()
        .find(|s| s.name == "layer1.0.conv1.weight")
        .unwrap();
    let want = model.tensors.param(slot).iter();
    let want: Vec<u8> = want.flat_map(|v| v.to_le_bytes()).collect();
    assert!(weight.data() == want);

    let site = &model.layout.sites[0];
    let mask = file.tensor("layer1.0.act1.mask").unwrap();
    assert_eq!(mask.shape(), [16, 32, 32]);
    let want = &model.tensors.mask[site.range()];
    assert!(
        mask.data()
            .iter()
            .zip(want)
            .all(|(&b, &m)| f32::from(b) == m)
    );
    let coefficients = file.tensor("layer1.0.act1.coefficients").unwrap();
    assert_eq!(coefficients.shape(), [16, 3]);
    let rows = model
        .tensors
        .param(&model.layout.params.slots[site.coefficients]);
    let want: Vec<u8> = rows
        .chunks(4)
        .flat_map(|row| &row[..3])
        .flat_map(|v| v.to_le_bytes())
        .collect();
    assert!(coefficients.data() == want);

    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    assert_eq!(metadata["format"], "pt");
    assert_eq!(metadata["model"], "resnet8");
    assert_eq!(metadata["input"], "[3,32,32]");
    assert_eq!(metadata["mean"], "[0.4914,0.4822,0.4465]");
    assert_eq!(metadata["relu_total"], "57344");

    // A mark is no coefficient.
    let marked = resnet18();
    assert_eq!(marked.layout.sites[5].name, "layer2.0.act2");
    let bytes = to_safetensors(&marked).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| file.tensor(name).unwrap().shape().to_vec();
    assert_eq!(shape("layer2.0.act2.coefficients"), [32, 3]);
    assert_eq!(shape("layer2.1.act1.coefficients"), [32, 3]);
}

#[test]
fn what_cannot_be_exported_is_named() {
    let fails = |spoil: &dyn Fn(&mut Model)| {
        let mut model = resnet8();
        spoil(&mut model);
        let [onnx, other] = [Format::Onnx, Format::Safetensors].map(|f| f.export(&model));
        let onnx = onnx.unwrap_err();
        assert_eq!(onnx.to_string(), other.unwrap_err().to_string());
        onnx
    };
    let at = |model: &Model, name: &str| {
        let (params, state) = (&model.layout.params.slots, &model.layout.state.slots);
        let slot = params.iter().chain(state).find(|s| s.name == name);
        slot.unwrap().offset
    };
    let error = fails(&|m| {
        let at = at(m, "layer2.0.conv1.weight");
        m.tensors.params[at + 3] = f32::NAN;
    });
    assert!(matches!(
        &error,
        ExportError::NonFinite { tensor, index: 3, .. } if tensor == "layer2.0.conv1.weight"
    ));
    let error = fails(&|m| {
        let at = at(m, "bn1.running_var");
        m.tensors.state[at] = f32::INFINITY;
    });
    assert!(error.to_string().contains("`bn1.running_var` holds inf"));
    let error = fails(&|m| {
        let at = m.layout.sites[0].offset;
        m.tensors.mask[at + 5] = 0.5;
    });
    assert!(matches!(
        &error,
        ExportError::Mask { tensor, index: 5, .. } if tensor == "layer1.0.act1.mask"
    ));
    let error = fails(&|m| m.std[1] = 0.0);
    assert!(matches!(error, ExportError::Std { .. }));
    let error = fails(&|m| m.classes.truncate(9));
    assert!(matches!(
        error,
        ExportError::Classes {
            names: 9,
            outputs: 10
        }
    ));
    let error = fails(&|m| m.tensors.params.truncate(1));
    assert!(matches!(error, ExportError::Mismatch { .. }));
    let error = fails(&|m| m.layout = resnet18().layout);
    assert!(matches!(error, ExportError::Mismatch { .. }));
    let grey = Chw {
        channels: 1,
        height: 4,
        width: 4,
    };
    let error = to_onnx(&noisy(Network::new("grey", grey))).unwrap_err();
    assert!(matches!(error, ExportError::Channels { channels: 1 }));

    assert_eq!("onnx".parse(), Ok(Format::Onnx));
    assert_eq!(Format::Safetensors.to_string(), "safetensors");
    let unknown = "tflite".parse::<Format>().unwrap_err().to_string();
    assert!(unknown.contains("tflite") && unknown.contains("safetensors"));
}

/// The Python that `AUTOREP_PYTHON` names; says so where there is none.
fn python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("AUTOREP_PYTHON").map(PathBuf::from);
    if python.is_none() {
        // Straight to the terminal: a passing test's `eprintln!` is swallowed.
        let line = format!("NOT RUN: {test}: AUTOREP_PYTHON names no Python with onnxruntime\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    python
}

fn run_python(python: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(python).args(arguments).output();
    let output = output.expect("AUTOREP_PYTHON names a program");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// `images` in 0…1 as the network takes them.
fn normalized(model: &Model, images: &[f32]) -> Vec<f64> {
    let shape = model.network.node(model.network.input()).shape;
    let channels = (0..3).cycle();
    images
        .chunks(shape.plane())
        .zip(channels)
        .flat_map(|(plane, c)| plane.iter().map(move |&v| (c, v)))
        .map(|(c, v)| (f64::from(v) - f64::from(model.mean[c])) / f64::from(model.std[c]))
        .collect()
}

fn host(model: &Model) -> HostNetwork<'_> {
    HostNetwork::new(
        &model.network,
        &model.layout,
        &model.tensors,
        Mode::Evaluation,
        match model.network.nonlinearity {
            Nonlinearity::Relu => Activations::Gate,
            Nonlinearity::Silu => Activations::Relu,
        },
    )
}

fn host_logits(model: &Model, images: &[f32]) -> Vec<f64> {
    host(model)
        .forward(&normalized(model, images))
        .logits()
        .to_vec()
}

/// Runs MODEL.onnx on IMAGES.f32 and writes the logits; checks what it can on the way.
const RUN_ONNX: &str = r#"
import sys, numpy, onnxruntime
model, images, logits, tensors = sys.argv[1:]
try:
    import onnx
    onnx.checker.check_model(onnx.load(model), full_check=True)
    print("onnx.checker passed")
except ImportError:
    print("onnx.checker not run: no module onnx")
try:
    from safetensors.numpy import load_file
    loaded = load_file(tensors)
    assert all(numpy.isfinite(t).all() for t in loaded.values())
    print(f"safetensors: {len(loaded)} tensors loaded")
except ImportError:
    print("safetensors not loaded: no module safetensors")
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
shape = [d if isinstance(d, int) else -1 for d in session.get_inputs()[0].shape]
x = numpy.fromfile(images, "<f4").reshape(shape)
session.run(["logits"], {"input": x})[0].tofile(logits)
"#;

#[test]
fn onnxruntime_agrees_but_only_where_autorep_python_is_set() {
    let Some(python) = python("onnxruntime_agrees") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let ordinary = [resnet8(), resnet18(), oddity(), mobile(), silu_teacher()];
    let ordinary = ordinary.map(|model| (to_onnx(&model).unwrap(), model));
    let private = private_models().into_iter().map(|model| {
        let folded = fold(&model).unwrap();
        (to_private_onnx(&folded, Holder::Owner).unwrap(), model)
    });
    for (file, model) in ordinary.into_iter().chain(private) {
        let batch = 3;
        let image = model.network.node(model.network.input()).shape.len();
        let images = noise(7, batch * image);
        let images: Vec<f32> = images.iter().map(|v| 0.5 + 0.5 * v).collect();
        std::fs::write(path("m.onnx"), file).unwrap();
        std::fs::write(path("m.safetensors"), to_safetensors(&model).unwrap()).unwrap();
        std::fs::write(path("images"), bytemuck::cast_slice(&images)).unwrap();
        let files = ["m.onnx", "images", "logits", "m.safetensors"].map(path);
        let mut arguments = vec!["-c", RUN_ONNX];
        arguments.extend(files.iter().map(String::as_str));
        let (success, text) = run_python(&python, &arguments);
        assert!(success, "{text}");
        let got: Vec<f32> = bytemuck::pod_collect_to_vec(&std::fs::read(path("logits")).unwrap());
        let want = host_logits(&model, &images);
        assert_eq!(got.len(), want.len());
        let scale = want.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
        let error = |want: &[f64]| {
            let both = got.iter().zip(want);
            both.fold(0.0, |m: f64, (&g, w)| m.max((f64::from(g) - w).abs())) / scale
        };
        let name = &model.network.name;
        let off = error(&want);
        eprintln!("{name}: off by {off:.1e} of the largest logit, {scale:.2}\n{text}");
        assert!(off <= 1e-4, "{name}: off by {off}");
        // The comparison can fail: with inverted masks, and with another image's logits.
        let mut inverted = model.clone();
        inverted.network.nonlinearity = Nonlinearity::Relu;
        let mask = &mut inverted.tensors.mask;
        mask.iter_mut().for_each(|m| *m = 1.0 - *m);
        assert!(error(&host_logits(&inverted, &images)) > 1e-3);
        let mut rotated = want.clone();
        rotated.rotate_left(model.classes.len());
        assert!(error(&rotated) > 10.0 * off);
    }
}

/// What engines compute, step by step, is the network: with real numbers as exactly as weights in
/// `f32` allow, in fixed point the better the more bits there are.
#[test]
fn the_folded_form_computes_what_the_network_does() {
    for model in private_models() {
        let folded = fold(&model).unwrap();
        let name = &model.network.name;
        let image = folded.input().len();
        let images: Vec<f32> = noise(7, 2 * image).iter().map(|v| 0.5 + 0.5 * v).collect();
        let want = host_logits(&model, &images);
        let scale = want.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
        let error = |got: &[f64]| {
            assert_eq!(got.len(), want.len());
            let both = got.iter().zip(&want);
            both.fold(0.0, |m: f64, (g, w)| m.max((g - w).abs())) / scale
        };
        let real = evaluate(&folded, &Real, &images);
        let off = error(&real.logits);
        assert!(off < 1e-4, "{name}: off by {off}");
        for truncation in [Truncation::Shares, Truncation::Carry] {
            let fixed = |bits| {
                let ring = 64;
                let numbers = FixedPoint {
                    bits,
                    ring,
                    truncation,
                };
                error(&evaluate(&folded, &numbers, &images).logits)
            };
            // With many more, two shifted shares fail now and then, as they should.
            let (coarse, fine) = (fixed(10), fixed(15));
            assert!(
                coarse > 2.0 * fine,
                "{name}: {coarse} with 10 bits, {fine} with 15"
            );
            assert!(fine < 0.3, "{name}: {fine}");
        }
        // A row for each site, and one for what follows the last.
        let ranges = site_ranges(&folded, &real);
        let is_site = |step: &&Step| matches!(step.op, FoldedOp::Site(_));
        let sites = folded.steps.iter().filter(is_site).count();
        let more = usize::from(!folded.steps.last().is_some_and(|last| is_site(&last)));
        assert_eq!(ranges.len(), sites + more, "{name}");
        for range in &ranges {
            assert!(
                range.product > 0.0 && range.products >= range.product,
                "{range:?}"
            );
            assert!((0.0..=1.0).contains(&range.beyond), "{range:?}");
            // One bit more on either side of the point.
            assert_eq!(range.ring(17), range.ring(16) + 2);
        }
    }
}

/// In the folded form values have other factors, places and means; how far out they lie is the same.
#[test]
fn what_lies_beyond_the_fit_is_counted_as_the_network_has_it() {
    for mut model in private_models() {
        let name = model.network.name.clone();
        let image = model.network.node(model.network.input()).shape.len();
        let images: Vec<f32> = noise(7, 2 * image).iter().map(|v| 0.5 + 0.5 * v).collect();
        // Moments for which a fair part lies beyond: half of the real deviations, and a mean beside.
        let values = host(&model).forward(&normalized(&model, &images));
        let inputs = |site: &Site| {
            values
                .node(model.network.node(site.node).inputs[0])
                .to_vec()
        };
        let inputs: Vec<Vec<f64>> = model.layout.sites.iter().map(inputs).collect();
        for (site, z) in model.layout.sites.iter().zip(&inputs) {
            let range = model.layout.state.slots[site.moments].range();
            let moments = model.tensors.state[range].chunks_mut(2);
            // Of two values that are nearly equal, the difference is one of rounding.
            let least = 0.01 * z.iter().map(|z| z * z).sum::<f64>() / z.len() as f64;
            for (channel, moments) in moments.enumerate() {
                let of_channel = z.chunks(site.shape.plane()).skip(channel);
                let of_channel: Vec<f64> = of_channel
                    .step_by(site.shape.channels)
                    .flatten()
                    .copied()
                    .collect();
                let seen = dapa::Moments::of(&of_channel);
                let mean = seen.mean + 0.3 * seen.variance.sqrt();
                let variance = 0.1 * seen.variance.max(least);
                moments.copy_from_slice(&[mean as f32, variance as f32]);
            }
        }
        let folded = fold(&model).unwrap();
        let got = site_ranges(&folded, &evaluate(&folded, &Real, &images));
        let mut counted = 0.0;
        for ((site, z), got) in model.layout.sites.iter().zip(&inputs).zip(&got) {
            let moments = &model.tensors.state[model.layout.state.slots[site.moments].range()];
            let mask = &model.tensors.mask[site.range()];
            let (mut fitted, mut beyond, mut farthest) = (0.0, 0.0, 0f64);
            for (element, z) in z.iter().enumerate() {
                let element = element % site.shape.len();
                let channel = element / site.shape.plane();
                let [mean, variance] = [0, 1].map(|i| f64::from(moments[2 * channel + i]));
                if mask[element] == 1.0 || variance <= 0.0 {
                    continue;
                }
                let t = (z - mean).abs() / variance.sqrt();
                fitted += 1.0;
                beyond += f64::from(u8::from(t > BEYOND));
                farthest = farthest.max(t);
            }
            counted += beyond;
            let share = beyond / f64::max(fitted, 1.0);
            let what = format!("{name}, {}: {got:?}", site.name);
            assert!((got.beyond - share).abs() < 2e-3, "{share} in {what}");
            assert!(
                (got.farthest - farthest).abs() < 0.02 + 0.02 * farthest,
                "{farthest} in {what}"
            );
        }
        assert!(counted > 0.0, "{name}");
    }
}

#[test]
fn check_onnx_counts_as_the_host_does_but_only_where_autorep_python_is_set() {
    let Some(python) = python("check_onnx_counts_as_the_host_does") else {
        return;
    };
    let model = resnet8();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("m.onnx"), to_onnx(&model).unwrap()).unwrap();
    // CIFAR-10's records of a label and three planes; half of the labels are right.
    let pixels: Vec<u8> = noise(8, 12 * 3072)
        .iter()
        .map(|v| (127.5 + 127.5 * v) as u8)
        .collect();
    let images: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
    let logits = host_logits(&model, &images);
    let mut records = Vec::new();
    for (i, (row, image)) in logits.chunks(10).zip(pixels.chunks(3072)).enumerate() {
        let top = (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        records.push((top + i % 2) as u8 % 10);
        records.extend(image);
    }
    std::fs::write(path("test_batch.bin"), &records).unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/check_onnx.py");
    let (onnx, data) = (path("m.onnx"), folder.path().to_str().unwrap());
    let check = |expect: &str| {
        let options = ["--images", data, "--expect", expect, "--batch", "5"];
        run_python(&python, &[&[script, &onnx][..], &options].concat())
    };
    let (agrees, text) = check("0.5");
    assert!(agrees && text.contains("6 of 12"), "{text}");
    let (agrees, text) = check("0.51");
    assert!(!agrees && text.contains("6 of 12"), "{text}");

    // The same images, one folder per class, named as the model's classes.
    let tree = folder.path().join("tree/test");
    for (i, record) in records.chunks(3073).enumerate() {
        let class = tree.join(&model.classes[usize::from(record[0])]);
        std::fs::create_dir_all(&class).unwrap();
        let planes = &record[1..];
        let image = image::RgbImage::from_fn(32, 32, |x, y| {
            let at = (y * 32 + x) as usize;
            image::Rgb([planes[at], planes[1024 + at], planes[2048 + at]])
        });
        image.save(class.join(format!("{i}.png"))).unwrap();
    }
    let tree = folder.path().join("tree");
    let options = ["--images", tree.to_str().unwrap(), "--expect", "0.5"];
    let (agrees, text) = run_python(&python, &[&[script, &onnx][..], &options].concat());
    assert!(agrees && text.contains("6 of 12"), "{text}");
}
