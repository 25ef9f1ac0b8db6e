use crate::harness::*;
use autorep::kernels::dapa::{self, Fit, Form};
use autorep::kernels::gate::{self, Activation, Partials, Residual, Spec};
use autorep::kernels::plane::Shape;
use autorep::kernels::step::StepScalars;
use autorep::reference::dapa as twin;

/// ∫ f(x) N(x; u, s²) dx by the midpoint rule over ±12 s.
fn expectation(u: f64, s: f64, f: impl Fn(f64) -> f64) -> f64 {
    let steps = 200_000;
    let width = 24.0 / f64::from(steps);
    (0..steps)
        .map(|i| -12.0 + (f64::from(i) + 0.5) * width)
        .map(|z| f(u + s * z) * twin::density(z) * width)
        .sum()
}

const DISTRIBUTIONS: &[(f64, f64)] = &[
    (0.0, 1.0),
    (0.7, 0.5),
    (-1.3, 2.0),
    (4.0, 0.8),
    (-3.0, 1.0),
    (0.01, 0.05),
];

#[test]
fn the_fit_is_the_least_squares_one() {
    for &(u, s) in DISTRIBUTIONS {
        for degree in [1, 2] {
            let best = twin::fit(u, s, degree);
            let error = |c: [f64; 3]| {
                expectation(u, s, |x| {
                    (x.max(0.0) - c[0] - c[1] * x - c[2] * x * x).powi(2)
                })
            };
            let least = error(best);
            // At the minimum of a quadratic function every direction leads upwards.
            for k in 0..=degree {
                for sign in [-1.0, 1.0] {
                    let mut other = best;
                    other[k] += sign * 1e-3;
                    assert!(error(other) > least, "degree {degree}, u {u}, s {s}, c{k}");
                }
            }
        }
    }
}

#[test]
fn the_residuals_are_the_published_ones() {
    for (degree, residual) in [(2, 0.0113), (1, 0.0908)] {
        let [c0, c1, c2] = twin::fit(0.0, 1.0, degree);
        let error = expectation(0.0, 1.0, |x| {
            (x.max(0.0) - c0 - c1 * x - c2 * x * x).powi(2)
        });
        assert!((error - residual).abs() < 1e-4, "degree {degree}: {error}");
    }
    assert!((expectation(0.0, 1.0, |x| (x.max(0.0) - x).powi(2)) - 0.5).abs() < 1e-4);
}

#[test]
fn the_distribution_agrees_with_its_integral() {
    for a in [-6.0, -2.5, -1.0, -0.1, 0.0, 0.3, 1.0, 3.0, 7.0] {
        // P(z < a) as the mean of an indicator, smoothed over one step of the rule.
        let want = expectation(0.0, 1.0, |z| ((a - z) / 1.2e-4 + 0.5).clamp(0.0, 1.0));
        assert!((twin::distribution(a) - want).abs() < 1e-6, "Φ({a})");
    }
}

struct Setting {
    fit: Fit,
    refit: bool,
    first: bool,
}

#[test]
fn moments_that_are_not_finite_are_reported_with_their_layer() {
    on_every_engine(|compiler| {
        // Where the highest power of z is summed: the square, or the fourth.
        let forms = [
            (Form::Exact { limit: 2.0 }, 1),
            (Form::Official { scale_x2: 0.1 }, 1),
            (Form::Hermite, 3),
        ];
        for (form, highest) in forms {
            let shape = Shape {
                batch: 3,
                channels: 3,
                pixels: 10,
            };
            let partials = Partials {
                parts: 1,
                stride: 1,
                bytes: 16 * 3,
            };
            let fit = Fit { degree: 2, form };
            let recipe = dapa::finish(compiler, shape, partials, fit, 4).unwrap();
            let scalars = StepScalars::default();
            for bad in [f32::INFINITY, f32::NAN] {
                let mut sums = [7.5f32; 4 * 3];
                sums[4 + highest] = bad;
                let (moments, coefficients) = ([0.5; 2 * 3], [0.25; 4 * 3]);
                let mut arguments = vec![
                    Data::Uniform(bytemuck::bytes_of(&scalars)),
                    Data::In(&sums),
                    Data::InOut(&moments),
                    Data::InOut(&coefficients),
                    // The other word is that of the backward pass.
                    Data::InOutWords(&[u32::MAX, 77]),
                ];
                if form == Form::Hermite {
                    arguments.extend([Data::InOut(&[3.0; 3]), Data::InOut(&[0.0; 4 * 9])]);
                }
                let got = run(compiler, &recipe, &arguments);
                let health: Vec<u32> = got[4].iter().map(|word| word.to_bits()).collect();
                assert_eq!(health, [4, 77], "{form:?}, {bad}, {}", compiler.tiling);
            }
        }
    });
}

#[test]
fn finish_matches_its_twin() {
    let exact = |degree, limit| Fit {
        degree,
        form: Form::Exact { limit },
    };
    let official = |degree| Fit {
        degree,
        form: Form::Official { scale_x2: 0.1 },
    };
    let settings = [
        (exact(2, 0.0), true, true),
        (exact(1, 0.0), true, false),
        (exact(2, 2.0), true, false),
        (exact(2, 2.0), false, false),
        (exact(2, 0.0), false, false),
        (official(2), true, true),
        (official(1), true, false),
    ]
    .map(|(fit, refit, first)| Setting { fit, refit, first });
    on_every_engine(|compiler| {
        for Setting { fit, refit, first } in &settings {
            let channels = DISTRIBUTIONS.len();
            let shape = Shape {
                batch: 3,
                channels,
                pixels: 10,
            };
            let partials = Partials {
                parts: 2,
                stride: 1,
                bytes: 32 * channels as u64,
            };
            let count = shape.count() as f64;
            // Two unequal parts that add up to the wanted moments.
            let sums: Vec<f32> = DISTRIBUTIONS
                .iter()
                .flat_map(|&(u, s)| {
                    let (sum, squares) = (u * count, (u * u + s * s) * count);
                    [0.3, 0.7].map(|w| [w * sum, w * squares, 0.0, 0.0])
                })
                .flatten()
                .map(|v| v as f32)
                .collect();
            let before: Vec<f32> = (0..channels).flat_map(|_| [0.5, 2.0]).collect();
            let trained: Vec<f32> = (0..channels).flat_map(|_| [0.1, 0.4, 9.0, 0.0]).collect();
            let scalars = StepScalars {
                refit: u32::from(*refit) | (u32::from(*first) << 1),
                momentum: 0.1,
                ..Default::default()
            };
            let recipe = dapa::finish(compiler, shape, partials, *fit, 4).unwrap();
            let got = run(
                compiler,
                &recipe,
                &[
                    Data::Uniform(bytemuck::bytes_of(&scalars)),
                    Data::In(&sums),
                    Data::InOut(&before),
                    Data::InOut(&trained),
                    Data::InOutWords(&[u32::MAX, 0]),
                ],
            );
            for (c, &(u, s)) in DISTRIBUTIONS.iter().enumerate() {
                let what = format!("{fit:?} refit {refit} first {first} channel {c}");
                let (mean, variance) = match first {
                    true => (u, s * s),
                    false => (0.5 + 0.1 * (u - 0.5), 2.0 + 0.1 * (s * s - 2.0)),
                };
                assert_close(&what, &got[2][2 * c..2 * c + 2], &[mean, variance], 1e-4);
                let fitted = match fit.official() {
                    Some(scale) => twin::official_fit(mean, variance, fit.degree, scale),
                    None => {
                        let s = variance.max(dapa::VARIANCE_FLOOR).sqrt();
                        twin::fit(mean, s, fit.degree)
                    }
                };
                let mut want = if *refit { fitted } else { [0.1, 0.4, 9.0] };
                if let (Form::Exact { limit }, 2) = (fit.form, fit.degree)
                    && limit > 0.0
                {
                    want[2] = want[2].min(limit * fitted[2]);
                }
                // The variance comes from a difference of f32 sums: (4, 0.8²) loses a digit.
                assert_close(&what, &got[3][4 * c..4 * c + 3], &want, 1e-4);
                assert_eq!(got[3][4 * c + 3], 0.0);
            }
        }
    });
}

/// A tail like that of a deep network: outliers beside a normal core.
fn heavy_tailed(seed: u32, values: usize) -> Vec<f32> {
    let tail = |v: f32| if v.abs() > 0.9 { 6.0 * v } else { v };
    noise(seed, values).into_iter().map(tail).collect()
}

#[test]
fn normalised_polynomials_are_the_same_in_either_basis() {
    let moments = [
        (0.0, 1.0, 3.0),
        (0.7, 0.25, 9.0),
        (-3.0, 2.0, 1.0),
        (0.1, 1e-6, 40.0),
    ]
    .map(|(mean, variance, kurtosis)| twin::Moments {
        mean,
        variance,
        kurtosis,
    });
    for m in moments {
        let c = [0.3, -0.8, 0.2];
        let back = m.from_basis(m.to_basis(c));
        for (c, back) in c.iter().zip(back) {
            assert!((c - back).abs() < 1e-9, "{m:?}: {c} becomes {back}");
        }
    }
    // What is normal gets the least-squares fit.
    for &(u, s) in DISTRIBUTIONS {
        let normal = twin::Moments {
            mean: u,
            variance: s * s,
            kurtosis: 3.0,
        };
        for degree in [1, 2] {
            let got = normal.from_basis(normal.relu(degree));
            for (got, want) in got.iter().zip(twin::fit(u, s, degree)) {
                assert!((got - want).abs() < 1e-9, "degree {degree}, u {u}, s {s}");
            }
        }
    }
}

/// The reason for it: whatever comes in, what goes out spreads less than a ReLU's sum of parts. The
/// fit to mean and variance alone lets a single outlier through squared.
#[test]
fn outliers_do_not_run_away_through_normalised_polynomials() {
    for outlier in [1.0, 10.0, 100.0, 1000.0] {
        let mut x: Vec<f64> = noise(5, 20_000).into_iter().map(f64::from).collect();
        x[77] = outlier;
        let moments = twin::Moments::of(&x);
        let s = moments.variance.sqrt();
        let gain = |c: [f64; 3]| {
            let y: Vec<f64> = x.iter().map(|x| c[0] + c[1] * x + c[2] * x * x).collect();
            twin::Moments::of(&y).variance.sqrt() / s
        };
        let bounded = gain(moments.from_basis(moments.relu(2)));
        assert!(bounded < 1.0, "an outlier of {outlier}: {bounded}");
        if outlier > 99.0 {
            let fitted = gain(twin::fit(moments.mean, s, 2));
            assert!(fitted > 10.0, "an outlier of {outlier}: {fitted}");
        }
    }
}

/// What no kernel writes.
const POISONED: f32 = -77.5;

#[test]
fn hermite_follows_its_inputs_as_its_twin_does() {
    on_every_engine(|compiler| {
        assert_eq!(twin::VARIANCE_FLOOR, dapa::VARIANCE_FLOOR);
        assert_eq!(twin::SQUARE_FLOOR, dapa::SQUARE_FLOOR);
        for (refit, first) in [(true, true), (true, false), (false, true), (false, false)] {
            // Planes that do not fill their lanes, and one that does.
            for (degree, mark, pixels) in [(2, 0.0, 20), (2, 1.0, 64), (1, 0.0, 20)] {
                let shape = Shape {
                    batch: 9,
                    channels: 3,
                    pixels,
                };
                let spec = Spec {
                    shape,
                    normalized: false,
                    residual: Residual::Plain,
                    activation: Activation::Gate,
                    bounded: false,
                };
                let u = heavy_tailed(1, shape.len());
                let r: Vec<f32> = noise(2, shape.len()).iter().map(|v| v + 5.0).collect();
                let running = [[4.0, 2.0], [5.5, 0.5], [0.0, 1.0]].concat();
                let (recipe, partials) = gate::moments(compiler, &spec).unwrap();
                let got = run(
                    compiler,
                    &recipe,
                    &[
                        Data::In(&u),
                        Data::In(&r),
                        Data::In(&running),
                        Data::Out(partials.bytes as usize / 4),
                    ],
                );
                let sums = got[3].clone();
                let kurtosis = [3.0, 8.0, 1.0];
                let trained: Vec<f32> =
                    [0.1, 0.4, if mark > 0.0 { 0.0 } else { 0.2 }, mark].repeat(3);
                let scalars = StepScalars {
                    refit: u32::from(refit) | (u32::from(first) << 1),
                    momentum: 0.25,
                    range_weight: 0.7,
                    range_limit: 4.5,
                    ..Default::default()
                };
                let fit = Fit {
                    degree,
                    form: Form::Hermite,
                };
                let recipe = dapa::finish(compiler, shape, partials, fit, 4).unwrap();
                let got = run(
                    compiler,
                    &recipe,
                    &[
                        Data::Uniform(bytemuck::bytes_of(&scalars)),
                        Data::In(&sums),
                        Data::InOut(&running),
                        Data::InOut(&trained),
                        Data::InOutWords(&[u32::MAX, 0]),
                        Data::InOut(&kurtosis),
                        Data::InOut(&[POISONED; 12 * 3]),
                    ],
                );
                let (norms, bounds) = got[6].split_at(8 * shape.channels);
                assert!(norms.iter().all(|v| *v == POISONED), "the norms' rows");
                for c in 0..shape.channels {
                    let what =
                        format!("{fit:?} refit {refit} first {first} mark {mark} channel {c}");
                    let of_channel = |i: &usize| i / shape.pixels % shape.channels == c;
                    let z: Vec<f64> = (0..shape.len())
                        .filter(of_channel)
                        .map(|i| f64::from(u[i]) + f64::from(r[i]))
                        .collect();
                    let before = twin::Moments {
                        mean: f64::from(running[2 * c]),
                        variance: f64::from(running[2 * c + 1]),
                        kurtosis: f64::from(kurtosis[c]),
                    };
                    let batch = twin::Moments::of(&z);
                    let after = match first {
                        true => batch,
                        false => before.towards(batch, 0.25),
                    };
                    let wanted = [after.mean, after.variance];
                    assert_close(&what, &got[2][2 * c..2 * c + 2], &wanted, 1e-4);
                    assert_close(&what, &got[5][c..=c], &[after.kurtosis], 1e-3);
                    let c0 = [0, 1, 2].map(|k| f64::from(trained[4 * c + k]));
                    let mut a = match (refit, first) {
                        (true, _) => after.relu(degree),
                        // Moments that begin leave the polynomial as it is.
                        (false, true) => after.to_basis(c0),
                        (false, false) => before.to_basis(c0),
                    };
                    if mark > 0.0 || degree == 1 {
                        a[2] = 0.0;
                    }
                    let want = after.from_basis(a);
                    assert_close(&what, &got[3][4 * c..4 * c + 3], &want, 1e-3);
                    assert_eq!(got[3][4 * c + 3], mark);
                    // The penalty is a mean over the site.
                    let s = after.variance.max(twin::VARIANCE_FLOOR).sqrt();
                    let weight = 2.0 * 0.7 / (shape.len() as f64 * s);
                    let wanted = [after.mean, 1.0 / s, weight, 4.5];
                    assert_close(&what, &bounds[4 * c..4 * c + 4], &wanted, 1e-4);
                }
                assert_eq!(got[4][0].to_bits(), u32::MAX, "healthy data reported sick");
            }
        }
    });
}
