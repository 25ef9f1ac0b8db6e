//! The shape of a convolution, and what each of its passes costs: the ground that every family
//! stands on.

use crate::kernels::compile::Cost;
use crate::kernels::window::Windows;

/// Shape of a convolution. Activations are NCHW, weights OIHW; no bias (batch norm follows).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Images N.
    pub batch: usize,
    /// Input channels C.
    pub in_channels: usize,
    /// Output channels K.
    pub out_channels: usize,
    /// Input height H.
    pub height: usize,
    /// Input width W.
    pub width: usize,
    /// Kernel height and width.
    pub kernel: usize,
    /// Stride in both directions: 1 or 2.
    pub stride: usize,
    /// Zeros around the input on every side.
    pub padding: usize,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shape {
            batch,
            in_channels,
            out_channels,
            height,
            width,
            kernel,
            stride,
            padding,
        } = self;
        write!(
            f,
            "{batch}×{in_channels}×{height}×{width} to {out_channels} channels by \
             {kernel}×{kernel}, stride {stride}, padding {padding}"
        )
    }
}

impl Shape {
    /// Output height.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Output width.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Elements of the input N×C×H×W.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_channels * self.height * self.width
    }

    /// Elements of the output N×K×H'×W'.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_channels * self.out_height() * self.out_width()
    }

    /// Elements of the weights K×C×R×R.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * self.kernel * self.kernel
    }

    /// Elements of the input that some tap reads: all of them, unless the stride is larger than
    /// the kernel.
    pub fn visited_len(&self) -> usize {
        let [rows, columns] = [self.height, self.width].map(|size| self.windows(size).pixels());
        self.batch * self.in_channels * rows * columns
    }

    /// Windows along an axis of the input.
    pub(super) fn windows(&self, size: usize) -> Windows {
        Windows {
            size,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
        }
    }

    /// Flops of any of the three passes, 2·N·K·C·R²·H'·W': taps on the zeros around the image
    /// count, as everyone counts them.
    pub fn flops(&self) -> f64 {
        let inner = self.in_channels * self.kernel * self.kernel;
        2.0 * self.output_len() as f64 * inner as f64
    }

    /// Cost of the forward pass: reads what it visits of `x` and `weights` bytes of packed
    /// weights, writes `y`.
    pub(super) fn forward_cost(&self, weights: u64) -> Cost {
        self.cost(self.visited_len() + self.output_len(), weights)
    }

    /// Cost of the data gradient: reads `dy` and `weights` bytes of packed weights, writes all of
    /// `dx`, or adds to what is visited of it.
    pub(super) fn data_cost(&self, accumulate: bool, weights: u64) -> Cost {
        let dx = match accumulate {
            false => self.input_len(),
            true => 2 * self.visited_len(),
        };
        self.cost(self.output_len() + dx, weights)
    }

    /// Cost of the weight gradient: reads what is visited of `x`, and `dy`, writes `sums` bytes of
    /// partial sums.
    pub(super) fn weight_cost(&self, sums: u64) -> Cost {
        self.cost(self.visited_len() + self.output_len(), sums)
    }

    /// Cost of a pass that moves so many elements and, beside them, bytes.
    pub(super) fn cost(&self, activations: usize, weights: u64) -> Cost {
        Cost {
            flops: self.flops(),
            bytes: 4.0 * activations as f64 + weights as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_those_worked_out_by_hand() {
        let shape = Shape {
            batch: 2,
            in_channels: 3,
            out_channels: 5,
            height: 8,
            width: 6,
            kernel: 3,
            stride: 2,
            padding: 1,
        };
        // 4×3 outputs. Every row and column is under some tap.
        assert_eq!(shape.flops(), 2.0 * (2 * 5 * 4 * 3) as f64 * 27.0);
        assert_eq!(shape.visited_len(), shape.input_len());
        let (x, y) = (4.0 * 2.0 * 3.0 * 48.0, 4.0 * 2.0 * 5.0 * 12.0);
        assert_eq!(shape.forward_cost(540).bytes, x + y + 540.0);
        assert_eq!(shape.data_cost(true, 540).bytes, 2.0 * x + y + 540.0);
        // A 1×1 kernel of stride 2 visits every other row and column, but dx has them all.
        let pointwise = Shape {
            kernel: 1,
            padding: 0,
            ..shape
        };
        assert_eq!(4 * pointwise.visited_len(), shape.input_len());
        assert_eq!(pointwise.forward_cost(0).bytes, x / 4.0 + y);
        assert_eq!(pointwise.data_cost(false, 0).bytes, x + y);
        assert_eq!(pointwise.data_cost(true, 0).bytes, x / 2.0 + y);
        assert_eq!(pointwise.weight_cost(60).bytes, x / 4.0 + y + 60.0);
    }
}
