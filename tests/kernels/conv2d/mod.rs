mod grouped;

use crate::emulated::is_emulated;
use crate::harness::*;
use autorep::kernels::compile::tuning::Tuner;
use autorep::kernels::conv2d::{self, Shape};
use autorep::kernels::{Compiler, Tiling};
use autorep::reference::conv2d as twin;

/// Odd sizes, one channel, ragged tiles, every kernel size and stride, and the shapes that
/// networks are made of at a small batch: N, C, K, H, W, R, stride, padding.
const SHAPES: &[[usize; 8]] = &[
    [1, 1, 1, 1, 1, 1, 1, 0],
    [1, 1, 1, 3, 3, 3, 1, 1],
    [2, 3, 5, 7, 9, 3, 1, 1],
    [3, 5, 7, 9, 7, 3, 2, 1],
    [2, 2, 3, 11, 5, 5, 1, 2],
    [2, 3, 2, 8, 8, 5, 2, 2],
    [1, 3, 4, 6, 6, 2, 2, 0],
    [2, 17, 33, 5, 5, 1, 1, 0],
    [2, 6, 10, 7, 7, 1, 2, 0],
    [2, 3, 16, 32, 32, 3, 1, 1],
    [2, 16, 16, 32, 32, 3, 1, 1],
    [2, 16, 32, 32, 32, 3, 2, 1],
    [2, 16, 32, 32, 32, 1, 2, 0],
    [3, 32, 32, 16, 16, 3, 1, 1],
    [2, 32, 64, 16, 16, 3, 2, 1],
    [2, 32, 64, 16, 16, 1, 2, 0],
    [2, 64, 64, 8, 8, 3, 1, 1],
    [5, 64, 64, 4, 4, 3, 1, 1],
    [3, 64, 128, 8, 8, 3, 2, 1],
    [3, 64, 128, 8, 8, 1, 2, 0],
    [2, 16, 24, 16, 16, 1, 1, 0],
    [1, 8, 16, 64, 64, 3, 1, 1],
    [5, 16, 16, 2, 2, 3, 1, 1],
    [3, 12, 20, 12, 12, 3, 1, 1],
    [1, 20, 12, 20, 28, 3, 2, 1],
    [3, 6, 5, 10, 24, 3, 2, 1],
    [2, 4, 6, 6, 24, 1, 2, 0],
    [1, 128, 64, 8, 8, 3, 1, 1],
    // Rows that are not whole vec4s: as a convolution wants them, after a stride, as one map.
    [3, 20, 24, 14, 14, 3, 1, 1],
    [2, 16, 24, 12, 12, 3, 2, 1],
    [3, 16, 20, 7, 7, 3, 2, 1],
    [5, 16, 16, 4, 3, 3, 1, 1],
    [1, 8, 16, 10, 50, 3, 1, 1],
    [2, 24, 40, 14, 14, 1, 1, 0],
    [3, 16, 24, 7, 7, 1, 1, 0],
    [3, 16, 20, 7, 14, 1, 2, 0],
    [2, 16, 20, 7, 16, 3, 2, 1],
    [4, 16, 20, 1, 1, 1, 1, 0],
    [3, 8, 128, 8, 8, 1, 2, 0],
    [2, 3, 16, 20, 20, 7, 2, 3],
    [2, 6, 5, 9, 10, 3, 1, 0],
    // Enough pixels for the largest tiles.
    [2, 16, 64, 128, 128, 1, 1, 0],
    [2, 64, 16, 128, 128, 1, 1, 0],
    [2, 32, 32, 128, 128, 1, 1, 0],
];

/// Most multiply-adds of a shape that the emulator computes, too: the others are as awkward, but larger.
const MOST_EMULATED: usize = 1_000_000;

struct Case {
    name: String,
    shape: Shape,
    twin: twin::Shape,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
}

fn on_every_shape(test: impl Fn(&autorep::kernels::Compiler, &Case)) {
    let cases: Vec<Case> = SHAPES
        .iter()
        .map(|&[n, c, k, h, w, r, stride, padding]| {
            let shape = Shape {
                batch: n,
                in_channels: c,
                out_channels: k,
                height: h,
                width: w,
                kernel: r,
                stride,
                padding,
            };
            Case {
                name: format!("{n}×{c}×{h}×{w} → {k}, {r}×{r} stride {stride} padding {padding}"),
                shape,
                twin: twin::Shape {
                    batch: n,
                    in_channels: c,
                    out_channels: k,
                    size: (h, w),
                    kernel: r,
                    stride,
                    padding,
                },
                x: noise(1, shape.input_len()),
                w: noise(2, shape.weight_len()),
                dy: noise(3, shape.output_len()),
            }
        })
        .collect();
    let small = |case: &&Case| {
        case.shape.output_len() * case.w.len() / case.shape.out_channels <= MOST_EMULATED
    };
    let of_emulator: Vec<&Case> = cases.iter().filter(small).collect();
    assert!(
        of_emulator.len() >= 30,
        "{} shapes are emulated",
        of_emulator.len()
    );
    on_every_engine(|compiler| match is_emulated(compiler) {
        true => of_emulator.iter().for_each(|case| test(compiler, case)),
        false => cases.iter().for_each(|case| test(compiler, case)),
    });
}

#[test]
fn forward_matches_its_twin() {
    on_every_shape(|compiler, case| {
        let recipe = conv2d::forward(compiler, &case.shape).unwrap();
        let out = Data::Out(case.shape.output_len());
        let got = run(
            compiler,
            &recipe,
            &[Data::In(&case.x), Data::In(&case.w), out],
        );
        let want = twin::forward(&case.twin, &wide(&case.x), &wide(&case.w));
        let what = format!("forward {} ({})", case.name, compiler.tiling);
        assert_close(&what, &got[2], &want, 1e-5);
    });
}

#[test]
fn data_gradient_matches_its_twin() {
    on_every_shape(|compiler, case| {
        let want = twin::data_gradient(&case.twin, &wide(&case.dy), &wide(&case.w));
        let what = format!("data gradient {} ({})", case.name, compiler.tiling);
        let recipe = conv2d::data_gradient(compiler, &case.shape, false).unwrap();
        let out = Data::Out(case.shape.input_len());
        let got = run(
            compiler,
            &recipe,
            &[Data::In(&case.dy), Data::In(&case.w), out],
        );
        assert_close(&what, &got[2], &want, 1e-5);

        let recipe = conv2d::data_gradient(compiler, &case.shape, true).unwrap();
        let out = Data::InOut(&case.x);
        let got = run(
            compiler,
            &recipe,
            &[Data::In(&case.dy), Data::In(&case.w), out],
        );
        let sum: Vec<f64> = want
            .iter()
            .zip(&case.x)
            .map(|(a, &b)| a + f64::from(b))
            .collect();
        assert_close(&format!("accumulated {what}"), &got[2], &sum, 1e-5);
    });
}

#[test]
fn weight_gradient_matches_its_twin() {
    on_every_shape(|compiler, case| {
        let recipe = conv2d::weight_gradient(compiler, &case.shape).unwrap();
        let out = Data::Out(case.shape.weight_len());
        let got = run(
            compiler,
            &recipe,
            &[Data::In(&case.x), Data::In(&case.dy), out],
        );
        let want = twin::weight_gradient(&case.twin, &wide(&case.x), &wide(&case.dy));
        let what = format!("weight gradient {} ({})", case.name, compiler.tiling);
        assert_close(&what, &got[2], &want, 1e-5);
    });
}

#[test]
fn whichever_variant_a_tuner_chooses_the_bits_are_the_same() {
    let shapes = [
        // Channels, size, stride: ragged tiles, and what has the wide tile of weights.
        (17, 33, (7, 9), 1),
        (128, 64, (8, 8), 2),
    ];
    for gpu in gpus() {
        for (in_channels, out_channels, (height, width), stride) in shapes {
            let shape = Shape {
                batch: 2,
                in_channels,
                out_channels,
                height,
                width,
                kernel: 3,
                stride,
                padding: 1,
            };
            let (x, w, dy) = (
                noise(1, shape.input_len()),
                noise(2, shape.weight_len()),
                noise(3, shape.output_len()),
            );
            let first = Compiler::new(gpu, Tiling::Large);
            let chosen = [0, 1, 2].map(|n| {
                let compiler = first.with_tiling(Tiling::Large).tuned(Tuner::Nth(n));
                let recipes = [
                    (conv2d::forward(&compiler, &shape), [&x, &w], dy.len()),
                    (
                        conv2d::data_gradient(&compiler, &shape, false),
                        [&dy, &w],
                        x.len(),
                    ),
                    (
                        conv2d::weight_gradient(&compiler, &shape),
                        [&x, &dy],
                        w.len(),
                    ),
                ];
                recipes.map(|(recipe, [a, b], length)| {
                    let recipe = recipe.unwrap();
                    let text = recipe.stages.last().unwrap().0.pipeline.source().to_owned();
                    let out = run(
                        &compiler,
                        &recipe,
                        &[Data::In(a), Data::In(b), Data::Out(length)],
                    );
                    (out[2].iter().map(|v| v.to_bits()).collect::<Vec<_>>(), text)
                })
            });
            for other in &chosen[1..] {
                for (pass, (rule, variant)) in chosen[0].iter().zip(other).enumerate() {
                    assert!(rule.0 == variant.0, "pass {pass} of {shape}");
                }
            }
            // And the variants are not one and the same.
            assert!(chosen[0][0].1 != chosen[1][0].1, "forward of {shape}");
        }
    }
}
