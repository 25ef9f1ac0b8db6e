//! Twin of `shaders/linear.wgsl`.

/// Shape of a fully connected layer, as `kernels::linear::Shape`.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Samples N.
    pub batch: usize,
    /// Input features C.
    pub in_features: usize,
    /// Output features K.
    pub out_features: usize,
}

impl Shape {
    /// Calls `visit(x, w, y)` with the flat indices of every product: `y += x · w`.
    fn products(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for n in 0..self.batch {
            for k in 0..self.out_features {
                for c in 0..self.in_features {
                    visit(
                        n * self.in_features + c,
                        k * self.in_features + c,
                        n * self.out_features + k,
                    );
                }
            }
        }
    }
}

/// `y[n,k] = Σ_c x[n,c] · w[k,c] + b[k]`.
pub fn forward(shape: &Shape, x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let mut y: Vec<f64> = (0..shape.batch).flat_map(|_| b.iter().copied()).collect();
    shape.products(|xi, wi, yi| y[yi] += x[xi] * w[wi]);
    y
}

/// `dL/dx` from `dy = dL/dy`.
pub fn data_gradient(shape: &Shape, dy: &[f64], w: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; shape.batch * shape.in_features];
    shape.products(|xi, wi, yi| dx[xi] += dy[yi] * w[wi]);
    dx
}

/// `dL/dw` and `dL/db` from `dy = dL/dy`.
pub fn weight_gradient(shape: &Shape, x: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut dw = vec![0.0; shape.out_features * shape.in_features];
    shape.products(|xi, wi, yi| dw[wi] += x[xi] * dy[yi]);
    let mut db = vec![0.0; shape.out_features];
    for row in dy.chunks(shape.out_features) {
        for (sum, slope) in db.iter_mut().zip(row) {
            *sum += slope;
        }
    }
    (dw, db)
}
