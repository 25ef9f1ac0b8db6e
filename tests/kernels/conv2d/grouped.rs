use crate::harness::*;
use autorep::kernels::conv2d;
use autorep::kernels::conv2d::grouped::{self, Shape};
use autorep::reference::conv2d::{self as whole_twin, grouped as twin};

/// N, C, K, groups, H, W, R, stride, padding: depthwise as EfficientNet has it, one channel,
/// odd sizes, ragged spans, a plane smaller than the kernel; then groups of several channels,
/// several output channels per input channel, one group, other kernels and strides.
const SHAPES: &[[usize; 9]] = &[
    [2, 8, 8, 8, 12, 12, 3, 1, 1],
    [3, 6, 6, 6, 11, 9, 3, 2, 1],
    [2, 5, 5, 5, 9, 13, 5, 1, 2],
    [2, 4, 4, 4, 14, 14, 5, 2, 2],
    [1, 1, 1, 1, 1, 1, 3, 1, 1],
    [5, 3, 3, 3, 2, 2, 5, 2, 2],
    [3, 40, 40, 40, 7, 7, 5, 1, 2],
    [9, 2, 2, 2, 40, 33, 3, 1, 1],
    [2, 12, 8, 4, 6, 7, 3, 1, 1],
    [2, 6, 18, 6, 8, 5, 3, 2, 1],
    [2, 3, 5, 1, 7, 6, 3, 1, 1],
    [2, 8, 8, 2, 5, 5, 1, 1, 0],
    [1, 4, 4, 4, 17, 16, 7, 2, 3],
    [2, 4, 6, 2, 10, 11, 3, 3, 0],
    [1, 2, 2, 2, 13, 13, 4, 4, 1],
    [1, 2, 2, 2, 30, 30, 11, 1, 5],
];

#[test]
fn all_three_passes_match_their_twins() {
    on_every_engine(|compiler| {
        for &[n, c, k, groups, h, w, r, stride, padding] in SHAPES {
            let shape = Shape {
                whole: conv2d::Shape {
                    batch: n,
                    in_channels: c,
                    out_channels: k,
                    height: h,
                    width: w,
                    kernel: r,
                    stride,
                    padding,
                },
                groups,
            };
            let twin_shape = twin::Shape {
                whole: whole_twin::Shape {
                    batch: n,
                    in_channels: c,
                    out_channels: k,
                    size: (h, w),
                    kernel: r,
                    stride,
                    padding,
                },
                groups,
            };
            let what = format!(
                "{n}×{c}×{h}×{w} → {k} in {groups} groups, {r}×{r} stride {stride} padding \
                 {padding} ({})",
                compiler.tiling
            );
            let x = noise(1, shape.input_len());
            let w = noise(2, shape.weight_len());
            let dy = noise(3, shape.output_len());
            let (wide_x, wide_w, wide_dy) = (wide(&x), wide(&w), wide(&dy));

            let recipe = grouped::forward(compiler, &shape).unwrap();
            let arguments = [Data::In(&x), Data::In(&w), Data::Out(dy.len())];
            let got = run(compiler, &recipe, &arguments);
            let want = twin::forward(&twin_shape, &wide_x, &wide_w);
            assert_close(&format!("forward {what}"), &got[2], &want, 1e-5);

            let want = twin::data_gradient(&twin_shape, &wide_dy, &wide_w);
            let recipe = grouped::data_gradient(compiler, &shape, false).unwrap();
            let arguments = [Data::In(&dy), Data::In(&w), Data::Out(x.len())];
            let got = run(compiler, &recipe, &arguments);
            assert_close(&format!("data gradient {what}"), &got[2], &want, 1e-5);
            let recipe = grouped::data_gradient(compiler, &shape, true).unwrap();
            let arguments = [Data::In(&dy), Data::In(&w), Data::InOut(&x)];
            let got = run(compiler, &recipe, &arguments);
            let sum: Vec<f64> = want.iter().zip(&wide_x).map(|(a, b)| a + b).collect();
            assert_close(&format!("accumulated {what}"), &got[2], &sum, 1e-5);

            let recipe = grouped::weight_gradient(compiler, &shape).unwrap();
            let arguments = [Data::In(&x), Data::In(&dy), Data::Out(w.len())];
            let got = run(compiler, &recipe, &arguments);
            let want = twin::weight_gradient(&twin_shape, &wide_x, &wide_dy);
            assert_close(&format!("weight gradient {what}"), &got[2], &want, 1e-5);
        }
    });
}

/// The twin itself: one group is the whole convolution, and every gradient a difference.
#[test]
fn the_twin_is_the_whole_convolution_and_its_gradients_are_differences() {
    let whole = whole_twin::Shape {
        batch: 2,
        in_channels: 4,
        out_channels: 6,
        size: (5, 6),
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    let one = twin::Shape { whole, groups: 1 };
    let (x, w) = (wide(&noise(1, 240)), wide(&noise(2, 216)));
    let y = twin::forward(&one, &x, &w);
    assert_eq!(y, whole_twin::forward(&whole, &x, &w));

    let two = twin::Shape { whole, groups: 2 };
    let w = &w[..108];
    let dy = wide(&noise(3, y.len()));
    let loss = |x: &[f64], w: &[f64]| {
        let y = twin::forward(&two, x, w);
        y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
    };
    let narrow = |values: Vec<f64>| -> Vec<f32> { values.iter().map(|&v| v as f32).collect() };
    let want = finite_differences(&x, |x| loss(x, w));
    assert_close(
        "dx",
        &narrow(twin::data_gradient(&two, &dy, w)),
        &want,
        1e-5,
    );
    let want = finite_differences(w, |w| loss(&x, w));
    assert_close(
        "dw",
        &narrow(twin::weight_gradient(&two, &x, &dy)),
        &want,
        1e-5,
    );
}
