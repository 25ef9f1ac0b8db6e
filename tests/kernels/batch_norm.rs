//! Batch norm's constants against their twin. Its gradients are the gate's to test: the gate sums
//! what they are made of.

use crate::harness::*;
use autorep::kernels::batch_norm::{self, NormSlot};
use autorep::kernels::gate::Partials;
use autorep::kernels::plane::Shape;
use autorep::kernels::step::StepScalars;
use autorep::reference::batch_norm as bn_twin;

const SHAPES: &[(usize, usize, usize)] = &[
    (1, 1, 1),
    (5, 7, 12),
    (33, 2, 64),
    (2, 16, 1024),
    (17, 3, 49),
    (70, 4, 4),
];

/// Planes that do and do not fill vectors, chunks and slices.
pub fn shapes() -> impl Iterator<Item = Shape> {
    SHAPES.iter().map(|&(batch, channels, pixels)| Shape {
        batch,
        channels,
        pixels,
    })
}

#[test]
fn statistics_match_their_twin_even_far_from_zero() {
    assert_eq!(bn_twin::EPSILON, batch_norm::EPSILON);
    on_every_engine(|compiler| {
        for shape in shapes() {
            // Without a limit; with one that a mean far away meets; with one that a variance meets.
            let cases = [
                (0.0, 4.0, 0.0),
                (1000.0, 4.0, 0.0),
                (1000.0, 4.0, 1.5),
                (0.0, 0.05, 1.5),
            ];
            for (offset, variance_before, limit) in cases {
                let u: Vec<f32> = noise(1, shape.len()).iter().map(|v| v + offset).collect();
                let c = shape.channels;
                let (gamma, beta) = (noise(2, c), noise(3, c));
                let scalars = StepScalars {
                    momentum: 0.25,
                    statistics_limit: limit,
                    ..Default::default()
                };
                let mut slots = vec![f32::from_bits(POISON); 8 * c];
                slots[..4 * c].fill(7.0);
                let recipe =
                    batch_norm::statistics(compiler, shape, NormSlot::Residual, 3).unwrap();
                let got = run(
                    compiler,
                    &recipe,
                    &[
                        Data::Uniform(bytemuck::bytes_of(&scalars)),
                        Data::In(&u),
                        Data::In(&gamma),
                        Data::In(&beta),
                        Data::InOut(&vec![2.0; c]),
                        Data::InOut(&vec![variance_before; c]),
                        Data::InOut(&slots),
                        Data::InOutWords(&[u32::MAX, 0]),
                    ],
                );
                let what = format!(
                    "{shape:?} at {offset}, limit {limit} on {}",
                    compiler.tiling
                );
                let (mean, variance) = bn_twin::moments(&wide(&u), shape.batch, c);
                let count = shape.count() as f64;
                for i in 0..c {
                    let (g, b) = (f64::from(gamma[i]), f64::from(beta[i]));
                    let want = bn_twin::norm(mean[i], variance[i], g, b, batch_norm::EPSILON);
                    let slot = &got[6][4 * (c + i)..4 * (c + i + 1)];
                    // One value per channel has no spread: 1/√ε amplifies the last digit.
                    if count > 1.0 {
                        assert_close(&format!("norm {what}"), slot, &want, 2e-5);
                    }
                    let before = bn_twin::Running {
                        mean: 2.0,
                        variance: f64::from(variance_before),
                    };
                    let unbiased = bn_twin::Running {
                        mean: mean[i],
                        variance: variance[i] * count / (count - 1.0).max(1.0),
                    };
                    let after = before.towards(unbiased, 0.25, f64::from(limit));
                    assert_close(&what, &got[4][i..=i], &[after.mean], 1e-5);
                    assert_close(&what, &got[5][i..=i], &[after.variance], 1e-5);
                }
                assert!(
                    got[6][..4 * c].iter().all(|&v| v == 7.0),
                    "the other slot changed"
                );
                assert_eq!(got[7][0].to_bits(), u32::MAX, "healthy data reported sick");
            }
        }
    });
}

/// By running statistics that one image has moved, all others would be small.
#[test]
fn one_batch_moves_running_statistics_no_further_than_the_limit() {
    let usual = bn_twin::Running {
        mean: 0.5,
        variance: 2.0,
    };
    let surge = bn_twin::Running {
        mean: 40.0,
        variance: 3000.0,
    };
    let pytorch = usual.towards(surge, 0.1, 0.0);
    assert!((pytorch.mean - 4.45).abs() < 1e-12 && (pytorch.variance - 301.8).abs() < 1e-9);
    let held = usual.towards(surge, 0.1, 4.0);
    assert!((held.mean - (0.5 + 0.4 * 2f64.sqrt())).abs() < 1e-12);
    assert!((held.variance - 2.6).abs() < 1e-12);
    // What an evaluation makes of a usual deviation: near 1, or next to nothing.
    let seen = |after: bn_twin::Running| {
        let [scale, ..] = bn_twin::norm(after.mean, after.variance, 1.0, 0.0, bn_twin::EPSILON);
        scale * usual.variance.sqrt()
    };
    assert!(seen(held) > 0.8 && seen(pytorch) < 0.1);
    // What is usual moves them as ever, and a channel that was dead can wake.
    let near = bn_twin::Running {
        mean: 0.9,
        variance: 1.0,
    };
    assert_eq!(usual.towards(near, 0.1, 4.0), usual.towards(near, 0.1, 0.0));
    let dead = bn_twin::Running {
        mean: 0.0,
        variance: 0.0,
    };
    assert!(dead.towards(near, 0.1, 4.0).variance > 0.0);
}

#[test]
fn infinite_values_are_reported_with_their_layer() {
    on_every_engine(|compiler| {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let shape = Shape {
                batch: 4,
                channels: 2,
                pixels: 16,
            };
            let mut u = noise(1, shape.len());
            u[77] = bad;
            let recipe = batch_norm::statistics(compiler, shape, NormSlot::Main, 5).unwrap();
            let got = run(
                compiler,
                &recipe,
                &[
                    Data::Uniform(bytemuck::bytes_of(&StepScalars::default())),
                    Data::In(&u),
                    Data::In(&[1.0, 1.0]),
                    Data::In(&[0.0, 0.0]),
                    Data::InOut(&[0.0, 0.0]),
                    Data::InOut(&[1.0, 1.0]),
                    Data::Out(16),
                    Data::InOutWords(&[u32::MAX, 0]),
                ],
            );
            assert_eq!(
                got[7][0].to_bits(),
                5,
                "{bad} went unnoticed on {}",
                compiler.tiling
            );
        }
    });
}

#[test]
fn infinite_gradients_are_reported_with_their_layer() {
    on_every_engine(|compiler| {
        let shape = Shape {
            batch: 1,
            channels: 2,
            pixels: 4,
        };
        let partials = Partials {
            parts: 1,
            stride: 1,
            bytes: 16 * 2,
        };
        // Beside Σdz a sum for either slot.
        for (slot, sum) in [(NormSlot::Main, 1), (NormSlot::Residual, 2)] {
            for (bad, place) in [(f32::NAN, 0), (f32::INFINITY, sum)] {
                let mut sums = [0.5; 4 * 2];
                sums[4 + place] = bad;
                let recipe =
                    batch_norm::parameter_gradients(compiler, shape, slot, partials, 5).unwrap();
                let arguments = [
                    Data::In(&sums),
                    Data::In(&[1.0; 8 * 2]),
                    Data::Out(2),
                    Data::Out(2),
                    Data::Out(4 * 2),
                    // The first word is that of the forward pass.
                    Data::InOutWords(&[77, 0]),
                ];
                let got = run(compiler, &recipe, &arguments);
                let health: Vec<u32> = got[5].iter().map(|word| word.to_bits()).collect();
                assert_eq!(health, [77, 6], "{slot:?}, {bad}, {}", compiler.tiling);
            }
        }
    });
}

#[test]
fn running_constants_match_their_twin() {
    on_every_engine(|compiler| {
        for channels in [1, 3, 65] {
            let (gamma, beta) = (noise(1, channels), noise(2, channels));
            let mean = noise(3, channels);
            let var: Vec<f32> = noise(4, channels).iter().map(|v| v + 1.5).collect();
            let recipe = batch_norm::running(compiler, channels, NormSlot::Main).unwrap();
            let norm = vec![0.0; 8 * channels];
            let inputs = [&gamma, &beta, &mean, &var].map(|v| Data::In(v));
            let arguments: Vec<Data> = inputs.into_iter().chain([Data::InOut(&norm)]).collect();
            let got = run(compiler, &recipe, &arguments);
            for c in 0..channels {
                let values = [mean[c], var[c], gamma[c], beta[c]].map(f64::from);
                let want = bn_twin::norm(
                    values[0],
                    values[1],
                    values[2],
                    values[3],
                    batch_norm::EPSILON,
                );
                assert_close("running", &got[4][4 * c..4 * c + 4], &want, 1e-5);
            }
        }
    });
}
