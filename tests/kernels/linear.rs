use crate::harness::*;
use autorep::kernels::Compiler;
use autorep::kernels::linear::{self, Shape};
use autorep::reference::linear as twin;

/// (N, C, K): one of everything, ragged tiles, the classifiers of the networks.
const SHAPES: &[(usize, usize, usize)] = &[
    (1, 1, 1),
    (1, 5, 1),
    (3, 1, 2),
    (7, 33, 17),
    (5, 64, 10),
    (128, 64, 10),
    (33, 31, 100),
    (17, 512, 10),
    (2, 1408, 1000),
];

struct Case {
    name: String,
    shape: Shape,
    twin: twin::Shape,
    x: Vec<f32>,
    w: Vec<f32>,
    b: Vec<f32>,
    dy: Vec<f32>,
}

impl Case {
    fn new((batch, in_features, out_features): (usize, usize, usize)) -> Self {
        let shape = Shape {
            batch,
            in_features,
            out_features,
        };
        Self {
            name: format!("{batch}×{in_features} → {out_features}"),
            shape,
            twin: twin::Shape {
                batch,
                in_features,
                out_features,
            },
            x: noise(1, shape.input_len()),
            w: noise(2, shape.weight_len()),
            b: noise(3, out_features),
            dy: noise(4, shape.output_len()),
        }
    }

    fn forward(&self, compiler: &Compiler) -> Vec<f32> {
        let recipe = linear::forward(compiler, &self.shape).unwrap();
        let (x, w, b) = (Data::In(&self.x), Data::In(&self.w), Data::In(&self.b));
        let y = Data::Out(self.shape.output_len());
        run(compiler, &recipe, &[x, w, b, y]).swap_remove(3)
    }

    fn data_gradient(&self, compiler: &Compiler) -> Vec<f32> {
        let recipe = linear::data_gradient(compiler, &self.shape).unwrap();
        let (dy, w) = (Data::In(&self.dy), Data::In(&self.w));
        let dx = Data::Out(self.shape.input_len());
        run(compiler, &recipe, &[dy, w, dx]).swap_remove(2)
    }

    fn weight_gradient(&self, compiler: &Compiler) -> (Vec<f32>, Vec<f32>) {
        let recipe = linear::weight_gradient(compiler, &self.shape).unwrap();
        let (x, dy) = (Data::In(&self.x), Data::In(&self.dy));
        let dw = Data::Out(self.shape.weight_len());
        let db = Data::Out(self.shape.out_features);
        let mut out = run(compiler, &recipe, &[x, dy, dw, db]);
        let db = out.swap_remove(3);
        (out.swap_remove(2), db)
    }
}

#[test]
fn linear_matches_its_twin() {
    on_every_engine(|compiler| {
        for case in SHAPES.iter().map(|&shape| Case::new(shape)) {
            let what = format!("of {} ({})", case.name, compiler.tiling);
            let (x, w, dy) = (wide(&case.x), wide(&case.w), wide(&case.dy));

            let want = twin::forward(&case.twin, &x, &w, &wide(&case.b));
            let got = case.forward(compiler);
            assert_close(&format!("forward {what}"), &got, &want, 1e-5);

            let want = twin::data_gradient(&case.twin, &dy, &w);
            let got = case.data_gradient(compiler);
            assert_close(&format!("data gradient {what}"), &got, &want, 1e-5);

            let (want_dw, want_db) = twin::weight_gradient(&case.twin, &x, &dy);
            let (dw, db) = case.weight_gradient(compiler);
            assert_close(&format!("weight gradient {what}"), &dw, &want_dw, 1e-5);
            assert_close(&format!("bias gradient {what}"), &db, &want_db, 1e-5);
        }
    });
}

#[test]
fn gradients_match_finite_differences() {
    let case = Case::new((5, 9, 7));
    let (x, w, b, dy) = (wide(&case.x), wide(&case.w), wide(&case.b), wide(&case.dy));
    // L = Σ dy · y, so that dL/dy = dy.
    let loss = |x: &[f64], w: &[f64], b: &[f64]| -> f64 {
        let y = twin::forward(&case.twin, x, w, b);
        y.iter().zip(&dy).map(|(y, dy)| y * dy).sum()
    };
    let dx = finite_differences(&x, |x| loss(x, &w, &b));
    let dw = finite_differences(&w, |w| loss(&x, w, &b));
    let db = finite_differences(&b, |b| loss(&x, &w, b));
    on_every_engine(|compiler| {
        assert_close("dx", &case.data_gradient(compiler), &dx, 1e-5);
        let (got_dw, got_db) = case.weight_gradient(compiler);
        assert_close("dw", &got_dw, &dw, 1e-5);
        assert_close("db", &got_db, &db, 1e-5);
    });
}
