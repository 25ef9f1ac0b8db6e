//! Twin of all of `shaders/conv2d/` but `grouped.wgsl`, which has its own.

pub mod grouped;

/// Shape of a convolution, as `kernels::conv2d::Shape`.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Images N.
    pub batch: usize,
    /// Input channels C.
    pub in_channels: usize,
    /// Output channels K.
    pub out_channels: usize,
    /// Input height and width.
    pub size: (usize, usize),
    /// Kernel height and width R.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: usize,
}

impl Shape {
    /// Output height and width.
    pub fn out_size(&self) -> (usize, usize) {
        let out = |n: usize| (n + 2 * self.padding - self.kernel) / self.stride + 1;
        (out(self.size.0), out(self.size.1))
    }

    /// Calls `visit(x, w, y)` with the flat indices of every product: `y += x · w`.
    /// All three passes are this one walk with another operand on the left.
    fn products(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ((height, width), (out_height, out_width)) = (self.size, self.out_size());
        for n in 0..self.batch {
            for k in 0..self.out_channels {
                for oy in 0..out_height {
                    for ox in 0..out_width {
                        let y = ((n * self.out_channels + k) * out_height + oy) * out_width + ox;
                        for c in 0..self.in_channels {
                            for r in 0..self.kernel {
                                for s in 0..self.kernel {
                                    let iy = (oy * self.stride + r).wrapping_sub(self.padding);
                                    let ix = (ox * self.stride + s).wrapping_sub(self.padding);
                                    if iy < height && ix < width {
                                        let x =
                                            ((n * self.in_channels + c) * height + iy) * width + ix;
                                        let w = ((k * self.in_channels + c) * self.kernel + r)
                                            * self.kernel
                                            + s;
                                        visit(x, w, y);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn input_len(&self) -> usize {
        self.batch * self.in_channels * self.size.0 * self.size.1
    }

    fn output_len(&self) -> usize {
        let (height, width) = self.out_size();
        self.batch * self.out_channels * height * width
    }

    fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * self.kernel * self.kernel
    }
}

/// `y[n,k,oy,ox] = Σ_{c,r,s} x[n,c,oy·stride+r−pad,ox·stride+s−pad] · w[k,c,r,s]`.
pub fn forward(shape: &Shape, x: &[f64], w: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; shape.output_len()];
    shape.products(|xi, wi, yi| y[yi] += x[xi] * w[wi]);
    y
}

/// `dL/dx` from `dy = dL/dy`.
pub fn data_gradient(shape: &Shape, dy: &[f64], w: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; shape.input_len()];
    shape.products(|xi, wi, yi| dx[xi] += dy[yi] * w[wi]);
    dx
}

/// `dL/dw` from `dy = dL/dy`.
pub fn weight_gradient(shape: &Shape, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dw = vec![0.0; shape.weight_len()];
    shape.products(|xi, wi, yi| dw[wi] += x[xi] * dy[yi]);
    dw
}
