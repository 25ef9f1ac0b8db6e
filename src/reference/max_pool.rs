//! Twin of `shaders/max_pool.wgsl`.

/// Shape of a max-pool, as `kernels::max_pool::Shape`.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Planes, images times channels.
    pub planes: usize,
    /// Input height and width.
    pub size: (usize, usize),
    /// Window height and width.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Pixels around the input that never win.
    pub padding: usize,
}

impl Shape {
    /// Output height and width.
    pub fn out_size(&self) -> (usize, usize) {
        let out = |n: usize| (n + 2 * self.padding - self.kernel) / self.stride + 1;
        (out(self.size.0), out(self.size.1))
    }

    /// Position in `x` of the first maximum of each window, in reading order.
    fn winners(&self, x: &[f64]) -> Vec<usize> {
        let ((height, width), (out_height, out_width)) = (self.size, self.out_size());
        let mut winners = Vec::new();
        for p in 0..self.planes {
            for oy in 0..out_height {
                for ox in 0..out_width {
                    let mut winner: Option<usize> = None;
                    for r in 0..self.kernel {
                        for s in 0..self.kernel {
                            let (iy, ix) = (oy * self.stride + r, ox * self.stride + s);
                            let (Some(iy), Some(ix)) =
                                (iy.checked_sub(self.padding), ix.checked_sub(self.padding))
                            else {
                                continue;
                            };
                            if iy >= height || ix >= width {
                                continue;
                            }
                            let i = (p * height + iy) * width + ix;
                            if winner.is_none_or(|w| x[i] > x[w]) {
                                winner = Some(i);
                            }
                        }
                    }
                    // Padding is less than a window: each holds a pixel.
                    winners.extend(winner);
                }
            }
        }
        winners
    }
}

/// Maximum of each window.
pub fn forward(shape: &Shape, x: &[f64]) -> Vec<f64> {
    shape.winners(x).into_iter().map(|i| x[i]).collect()
}

/// `dL/dx` of [`forward`] from `dy = dL/dy`.
pub fn backward(shape: &Shape, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; x.len()];
    for (i, dy) in shape.winners(x).into_iter().zip(dy) {
        dx[i] += dy;
    }
    dx
}
