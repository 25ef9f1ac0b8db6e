use crate::emulated::is_emulated;
use crate::harness::*;
use autorep::kernels::pool::{self, Shape};
use autorep::reference::pool as twin;

/// (planes, H, W, kernel, stride): windows that touch, overlap, leave gaps and leave a rest.
const SHAPES: &[(usize, usize, usize, usize, usize)] = &[
    (1, 1, 1, 1, 1),
    (3, 4, 4, 2, 2),
    (5, 7, 9, 2, 2),
    (2, 7, 5, 3, 1),
    (2, 9, 8, 3, 2),
    (3, 8, 11, 2, 3),
    (1, 5, 5, 5, 1),
    (70, 8, 8, 2, 2),
];

fn pair(
    &(planes, height, width, kernel, stride): &(usize, usize, usize, usize, usize),
) -> (Shape, twin::Shape) {
    let shape = Shape {
        planes,
        height,
        width,
        kernel,
        stride,
    };
    let twin = twin::Shape {
        planes,
        size: (height, width),
        kernel,
        stride,
    };
    (shape, twin)
}

#[test]
fn average_matches_its_twin() {
    on_every_engine(|compiler| {
        for (shape, twin) in SHAPES.iter().map(pair) {
            let what = format!("{shape:?} ({})", compiler.tiling);
            let (x, dy) = (noise(1, shape.input_len()), noise(2, shape.output_len()));

            let recipe = pool::average(compiler, &shape).unwrap();
            let got = run(compiler, &recipe, &[Data::In(&x), Data::Out(dy.len())]);
            assert_close(&what, &got[1], &twin::average(&twin, &wide(&x)), 1e-6);

            let recipe = pool::average_backward(compiler, &shape).unwrap();
            let got = run(compiler, &recipe, &[Data::In(&dy), Data::Out(x.len())]);
            let want = twin::average_backward(&twin, &wide(&dy));
            assert_close(&format!("backward {what}"), &got[1], &want, 1e-6);

            if x.len() < 500 {
                let want = finite_differences(&wide(&x), |x| {
                    let y = twin::average(&twin, x);
                    y.iter().zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum()
                });
                assert_close(&format!("differences {what}"), &got[1], &want, 1e-5);
            }
        }
    });
}

#[test]
fn global_matches_its_twin() {
    on_every_engine(|compiler| {
        for (planes, pixels) in [
            (1, 1),
            (3, 1),
            (1, 64),
            (7, 49),
            (13, 6),
            (640, 16),
            (33, 64),
            (5, 1024),
            (150_000, 1),
            (131_101, 9),
        ] {
            // More than a million elements; the planes of one pixel wrap the grid as well.
            if is_emulated(compiler) && planes * pixels > 1_000_000 {
                continue;
            }
            let what = format!("{planes} planes of {pixels} ({})", compiler.tiling);
            let (x, dy) = (noise(1, planes * pixels), noise(2, planes));

            let recipe = pool::global(compiler, planes, pixels).unwrap();
            let got = run(compiler, &recipe, &[Data::In(&x), Data::Out(planes)]);
            assert_close(&what, &got[1], &twin::global(pixels, &wide(&x)), 1e-6);

            let recipe = pool::global_backward(compiler, planes, pixels, true).unwrap();
            let got = run(compiler, &recipe, &[Data::In(&dy), Data::InOut(&x)]);
            let mut want = twin::global_backward(pixels, &wide(&dy));
            want.iter_mut()
                .zip(&x)
                .for_each(|(w, &x)| *w += f64::from(x));
            assert_close(&format!("accumulated {what}"), &got[1], &want, 1e-6);

            let recipe = pool::global_backward(compiler, planes, pixels, false).unwrap();
            let got = run(compiler, &recipe, &[Data::In(&dy), Data::Out(x.len())]);
            let want = twin::global_backward(pixels, &wide(&dy));
            assert_close(&format!("backward {what}"), &got[1], &want, 1e-6);

            if x.len() < 100 {
                let want = finite_differences(&wide(&x), |x| {
                    let y = twin::global(pixels, x);
                    y.iter().zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum()
                });
                assert_close(&format!("differences {what}"), &got[1], &want, 1e-5);
            }
        }
    });
}
