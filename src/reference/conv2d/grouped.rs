//! Twin of `shaders/conv2d/grouped.wgsl`: each group is a convolution of its own.

use crate::reference::conv2d;

/// Shape of a grouped convolution, as `kernels::conv2d::grouped::Shape`.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The same convolution in one group.
    pub whole: conv2d::Shape,
    /// Number of groups.
    pub groups: usize,
}

impl Shape {
    /// One group of one image.
    fn part(&self) -> conv2d::Shape {
        conv2d::Shape {
            batch: 1,
            in_channels: self.whole.in_channels / self.groups,
            out_channels: self.whole.out_channels / self.groups,
            ..self.whole
        }
    }

    /// Elements of a group: of an image's input, of its output, and of the weights.
    fn lens(&self) -> [usize; 3] {
        let part = self.part();
        let ((height, width), (out_height, out_width)) = (part.size, part.out_size());
        [
            part.in_channels * height * width,
            part.out_channels * out_height * out_width,
            part.out_channels * part.in_channels * part.kernel * part.kernel,
        ]
    }
}

/// `y`: in N×C×H×W the groups of an image lie one behind the other, as do their weights.
pub fn forward(shape: &Shape, x: &[f64], w: &[f64]) -> Vec<f64> {
    let [input, _, weights] = shape.lens();
    x.chunks(input)
        .zip(w.chunks(weights).cycle())
        .flat_map(|(x, w)| conv2d::forward(&shape.part(), x, w))
        .collect()
}

/// `dL/dx` from `dy = dL/dy`.
pub fn data_gradient(shape: &Shape, dy: &[f64], w: &[f64]) -> Vec<f64> {
    let [_, output, weights] = shape.lens();
    dy.chunks(output)
        .zip(w.chunks(weights).cycle())
        .flat_map(|(dy, w)| conv2d::data_gradient(&shape.part(), dy, w))
        .collect()
}

/// `dL/dw` from `dy = dL/dy`.
pub fn weight_gradient(shape: &Shape, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let [input, output, weights] = shape.lens();
    let mut dw = vec![0.0; weights * shape.groups];
    let parts = x.chunks(input).zip(dy.chunks(output));
    for (part, (x, dy)) in parts.enumerate() {
        let from = part % shape.groups * weights;
        let sums = conv2d::weight_gradient(&shape.part(), x, dy);
        for (to, sum) in dw[from..].iter_mut().zip(sums) {
            *to += sum;
        }
    }
    dw
}
