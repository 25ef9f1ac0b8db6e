use crate::harness::*;
use autorep::kernels::max_pool::{self, Shape};
use autorep::reference::max_pool as twin;

/// (planes, H, W, kernel, stride, padding): ImageNet's stem, odd sizes, windows that touch,
/// overlap, leave gaps, hang over the edge, and a window that only the padding makes fit.
const SHAPES: &[(usize, usize, usize, usize, usize, usize)] = &[
    (6, 16, 16, 3, 2, 1),
    (3, 7, 9, 3, 2, 1),
    (1, 1, 1, 1, 1, 0),
    (2, 1, 1, 3, 2, 1),
    (5, 8, 6, 2, 2, 0),
    (2, 7, 5, 3, 1, 1),
    (3, 8, 11, 2, 3, 1),
    (2, 6, 6, 5, 2, 4),
    (700, 4, 4, 3, 2, 1),
];

#[test]
fn it_matches_its_twin() {
    on_every_engine(|compiler| {
        for &(planes, height, width, kernel, stride, padding) in SHAPES {
            let shape = Shape {
                planes,
                height,
                width,
                kernel,
                stride,
                padding,
            };
            let twin_shape = twin::Shape {
                planes,
                size: (height, width),
                kernel,
                stride,
                padding,
            };
            let what = format!("{shape:?} ({})", compiler.tiling);
            let dy = noise(2, shape.output_len());
            let distinct = noise(1, shape.input_len());
            // Behind a ReLU, and in steps: most windows hold several equal maxima.
            let tied: Vec<f32> = distinct
                .iter()
                .map(|v| (2.0 * v).round().max(0.0))
                .collect();
            for x in [&distinct, &tied] {
                let recipe = max_pool::forward(compiler, &shape).unwrap();
                let got = run(compiler, &recipe, &[Data::In(x), Data::Out(dy.len())]);
                let want = twin::forward(&twin_shape, &wide(x));
                assert_close(&what, &got[1], &want, 0.0);

                let recipe = max_pool::backward(compiler, &shape).unwrap();
                let arguments = [Data::In(&dy), Data::In(x), Data::Out(x.len())];
                let got = run(compiler, &recipe, &arguments);
                let want = twin::backward(&twin_shape, &wide(x), &wide(&dy));
                assert_close(&format!("backward {what}"), &got[2], &want, 1e-6);
            }
            if distinct.len() < 500 {
                let want = finite_differences(&wide(&distinct), |x| {
                    let y = twin::forward(&twin_shape, x);
                    y.iter().zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum()
                });
                let got = twin::backward(&twin_shape, &wide(&distinct), &wide(&dy));
                let got: Vec<f32> = got.iter().map(|&v| v as f32).collect();
                assert_close(&format!("differences {what}"), &got, &want, 1e-5);
            }
        }
    });
}
