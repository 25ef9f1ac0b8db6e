//! The oracle itself, against what can be said without one.

mod common;

use autorep::graph::layout::BatchNormSlots;
use autorep::graph::{Chw, Conv2d, Layout, Linear, Network, NodeId, Op, Pool, Tensors};
use common::host_network::*;
use common::noise;

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + b.abs())
}

/// conv, batch norm, site, average pool, global pool, linear on 2×6×5 images.
fn small() -> (Network, Layout, Tensors) {
    let mut network = Network::new(
        "small",
        Chw {
            channels: 2,
            height: 6,
            width: 5,
        },
    );
    let pool = Pool::Average {
        kernel: 2,
        stride: 2,
    };
    let ops = [
        ("conv", Op::Conv2d(Conv2d::same(3, 3, 1))),
        ("bn", Op::BatchNorm),
        ("act", Op::Activation),
        ("pool", Op::Pool(pool)),
        ("gap", Op::Pool(Pool::GlobalAverage)),
        ("fc", Op::Linear(Linear { out_features: 4 })),
    ];
    for (name, op) in ops {
        let last = network.output();
        network.push(name, op, &[last]).unwrap();
    }
    let layout = Layout::new(&network);
    let mut tensors = Tensors::neutral(&layout);
    for (seed, slot) in (0..).zip(&layout.params.slots) {
        tensors.params[slot.range()].copy_from_slice(&noise(seed, slot.len()));
    }
    for mask in tensors.mask.iter_mut().step_by(3) {
        *mask = 0.0;
    }
    (network, layout, tensors)
}

#[test]
fn training_batch_norm_leaves_the_moments_it_was_told() {
    let (network, layout, tensors) = small();
    let host = HostNetwork::new(
        &network,
        &layout,
        &tensors,
        Mode::Training,
        Activations::Gate,
    );
    let values = host.forward(&wide(&noise(9, 4 * 60)));
    let BatchNormSlots { weight, bias, .. } = layout.batch_norm(NodeId(2));
    let (before, after) = (NodeId(1), NodeId(2));
    let (_, raw) = channel_moments(values.node(before), network.node(before).shape);
    let (mean, variance) = channel_moments(values.node(after), network.node(after).shape);
    for c in 0..3 {
        let gamma = host.params[layout.params.slots[weight].offset + c];
        let beta = host.params[layout.params.slots[bias].offset + c];
        assert!(close(mean[c], beta));
        assert!(close(
            variance[c],
            gamma * gamma * raw[c] / (raw[c] + EPSILON)
        ));
    }
}

#[test]
fn a_gate_is_relu_where_the_mask_keeps_it_and_the_polynomial_elsewhere() {
    let (network, layout, tensors) = small();
    let mut host = HostNetwork::new(
        &network,
        &layout,
        &tensors,
        Mode::Evaluation,
        Activations::Gate,
    );
    let images = wide(&noise(3, 2 * 60));
    let gated = host.forward(&images);
    let coefficients = layout.params.slots[layout.sites[0].coefficients].offset;
    for (i, (&y, &x)) in gated.nodes[3].iter().zip(&gated.nodes[2]).enumerate() {
        let element = i % 90;
        let c = &host.params[coefficients + 4 * (element / 30)..][..3];
        let polynomial = c[0] + c[1] * x + c[2] * x * x;
        let want = if element.is_multiple_of(3) {
            polynomial
        } else {
            x.max(0.0)
        };
        assert!(close(y, want));
    }
    let half = gated.node(NodeId(4)).len();
    assert_eq!(
        half,
        2 * 3 * 3 * 2,
        "2×2 windows that do not fit are left out"
    );
    host.activations = Activations::Relu;
    let plain = host.forward(&images);
    assert!(
        plain.nodes[3]
            .iter()
            .zip(&plain.nodes[2])
            .all(|(&y, x)| y == x.max(0.0))
    );
}

#[test]
fn pools_average() {
    let (network, layout, tensors) = small();
    let host = HostNetwork::new(
        &network,
        &layout,
        &tensors,
        Mode::Evaluation,
        Activations::Relu,
    );
    let values = host.forward(&wide(&noise(4, 60)));
    // Plane of 6×5 to 3×2 to 1; the window at (1, 1) of the last channel.
    let x = &values.nodes[3][60..];
    let want = (x[2 * 5 + 2] + x[2 * 5 + 3] + x[3 * 5 + 2] + x[3 * 5 + 3]) / 4.0;
    let y = &values.nodes[4][12..];
    assert!(close(y[3], want));
    assert!(close(values.nodes[5][2], y.iter().sum::<f64>() / 6.0));
}

#[test]
fn the_loss_has_the_gradient_of_softmax_cross_entropy() {
    let (network, layout, tensors) = small();
    let mut host = HostNetwork::new(
        &network,
        &layout,
        &tensors,
        Mode::Training,
        Activations::Gate,
    );
    let (images, labels) = (wide(&noise(5, 2 * 60)), [1, 3]);
    let values = host.forward(&images);
    assert!(close(
        cross_entropy(values.logits(), &labels),
        host.loss(&images, &labels)
    ));
    let bias = layout.linear(NodeId(6)).bias;
    for class in 0..4 {
        let softmax = |row: &[f64]| row[class].exp() / row.iter().map(|z| z.exp()).sum::<f64>();
        let want: f64 = values
            .logits()
            .chunks(4)
            .zip(labels)
            .map(|(row, label)| (softmax(row) - f64::from(u8::from(label == class))) / 2.0)
            .sum();
        let at = layout.params.slots[bias].offset + class;
        let mut moved = |h: f64| {
            let before = host.params[at];
            host.params[at] += h;
            // Only the last node has to run again.
            let again = host.forward_from(&values, network.output());
            assert_eq!(again, host.forward(&images));
            host.params[at] = before;
            cross_entropy(again.logits(), &labels)
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((slope - want).abs() < 1e-8, "{slope} is not {want}");
    }
    // Large logits neither overflow nor lose the loss.
    assert!(close(cross_entropy(&[1000.0, 0.0], &[1]), 1000.0));
}
