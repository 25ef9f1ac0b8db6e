//! Twin of `shaders/pool.wgsl`.

/// Shape of an average pool, as `kernels::pool::Shape`.
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
}

impl Shape {
    /// Output height and width.
    pub fn out_size(&self) -> (usize, usize) {
        let out = |n: usize| (n - self.kernel) / self.stride + 1;
        (out(self.size.0), out(self.size.1))
    }

    /// Calls `visit(x, y)` for every pixel `x` of every window `y`, as flat indices.
    fn pairs(&self, mut visit: impl FnMut(usize, usize)) {
        let ((height, width), (out_height, out_width)) = (self.size, self.out_size());
        for p in 0..self.planes {
            for oy in 0..out_height {
                for ox in 0..out_width {
                    for r in 0..self.kernel {
                        for s in 0..self.kernel {
                            let (iy, ix) = (oy * self.stride + r, ox * self.stride + s);
                            visit(
                                (p * height + iy) * width + ix,
                                (p * out_height + oy) * out_width + ox,
                            );
                        }
                    }
                }
            }
        }
    }

    fn share(&self) -> f64 {
        1.0 / (self.kernel * self.kernel) as f64
    }
}

/// Mean of each k×k window.
pub fn average(shape: &Shape, x: &[f64]) -> Vec<f64> {
    let (out_height, out_width) = shape.out_size();
    let mut y = vec![0.0; shape.planes * out_height * out_width];
    shape.pairs(|xi, yi| y[yi] += x[xi] * shape.share());
    y
}

/// `dL/dx` of [`average`] from `dy = dL/dy`.
pub fn average_backward(shape: &Shape, dy: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; shape.planes * shape.size.0 * shape.size.1];
    shape.pairs(|xi, yi| dx[xi] += dy[yi] * shape.share());
    dx
}

/// Mean of each plane of `pixels` values.
pub fn global(pixels: usize, x: &[f64]) -> Vec<f64> {
    x.chunks(pixels)
        .map(|plane| plane.iter().sum::<f64>() / pixels as f64)
        .collect()
}

/// `dL/dx` of [`global`] from `dy = dL/dy`.
pub fn global_backward(pixels: usize, dy: &[f64]) -> Vec<f64> {
    dy.iter()
        .flat_map(|dy| vec![dy / pixels as f64; pixels])
        .collect()
}
