//! Every permutation of the gate against its twin, on planes that do and do not fill vectors, chunks
//! and slices. Batch norm's gradients follow from sums that the gate's backward makes, so they are
//! tested here, too.

use crate::batch_norm::shapes;
use crate::emulated::is_emulated;
use crate::harness::*;
use autorep::kernels::batch_norm::{self, NormSlot};
use autorep::kernels::gate::{self, Activation, Residual, Spec};
use autorep::kernels::plane;
use autorep::reference::{batch_norm as bn_twin, gate as gate_twin};

/// One permutation with its operands.
struct Case {
    spec: Spec,
    u: Vec<f32>,
    r: Vec<f32>,
    dy: Vec<f32>,
    norm: Vec<f32>,
    mask: Vec<f32>,
    coefficients: Vec<f32>,
}

impl Case {
    fn channel(&self, index: usize) -> usize {
        index / self.spec.shape.pixels % self.spec.shape.channels
    }

    /// Constants of an operand's slot.
    fn constants(&self, slot: usize) -> Vec<[f64; 4]> {
        let channels = self.spec.shape.channels;
        let at = |i: usize| f64::from(self.norm[i]);
        (slot * channels..(slot + 1) * channels)
            .map(|c| std::array::from_fn(|k| at(4 * c + k)))
            .collect()
    }

    fn preactivation(&self) -> Vec<f64> {
        let (main, side) = (self.constants(0), self.constants(1));
        let apply = |v: f32, n: &[f64; 4]| n[0] * f64::from(v) + n[1];
        (0..self.u.len())
            .map(|i| {
                let c = self.channel(i);
                let main = match self.spec.normalized {
                    true => apply(self.u[i], &main[c]),
                    false => f64::from(self.u[i]),
                };
                main + match self.spec.residual {
                    Residual::None => 0.0,
                    Residual::Plain => f64::from(self.r[i]),
                    Residual::Normalized => apply(self.r[i], &side[c]),
                }
            })
            .collect()
    }

    fn coefficients(&self) -> Vec<[f64; 4]> {
        let rows = self.coefficients.chunks_exact(4);
        rows.map(|c| std::array::from_fn(|k| f64::from(c[k])))
            .collect()
    }

    /// The arguments after `dy` and before what is written.
    fn operands(&self, backward: bool) -> Vec<Data<'_>> {
        let mut data = vec![Data::In(&self.u)];
        if self.spec.residual != Residual::None {
            data.push(Data::In(&self.r));
        }
        let bounded = self.spec.bounded && backward;
        if self.spec.normalized || self.spec.residual == Residual::Normalized || bounded {
            data.push(Data::In(&self.norm));
        }
        if self.spec.activation.is_gated() {
            data.extend([Data::In(&self.mask), Data::In(&self.coefficients)]);
        }
        data
    }

    fn twin<T>(&self, run: impl FnOnce(gate_twin::Activation) -> T) -> T {
        let (mask, coefficients) = (wide(&self.mask), self.coefficients());
        run(match self.spec.activation {
            Activation::Identity => gate_twin::Activation::Identity,
            Activation::Relu => gate_twin::Activation::Relu,
            Activation::Silu => gate_twin::Activation::Silu,
            Activation::Gate | Activation::Blend => gate_twin::Activation::Gate {
                mask: &mask,
                coefficients: &coefficients,
            },
        })
    }
}

const RESIDUALS: [Residual; 3] = [Residual::None, Residual::Plain, Residual::Normalized];
const ACTIVATIONS: [Activation; 5] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Silu,
    Activation::Gate,
    Activation::Blend,
];

/// Noise, and zeros, where it is a matter of definition what a ReLU's slope is.
fn with_zeros(seed: u32, length: usize) -> Vec<f32> {
    let mut values = noise(seed, length);
    values.iter_mut().step_by(5).for_each(|value| *value = 0.0);
    values
}

fn on_every_case(test: impl Fn(&autorep::kernels::Compiler, &Case)) {
    let mut cases = Vec::new();
    for (s, shape) in shapes().enumerate() {
        for (n, normalized) in [false, true].into_iter().enumerate() {
            for (r, residual) in RESIDUALS.into_iter().enumerate() {
                for (a, activation) in ACTIVATIONS.into_iter().enumerate() {
                    // Six permutations a shape, each on two of the six shapes: a full product
                    // would compile for a minute.
                    if (s + n + r + a) % 3 != 0 {
                        continue;
                    }
                    let image = shape.channels * shape.pixels;
                    cases.push(Case {
                        spec: Spec {
                            shape,
                            normalized,
                            residual,
                            activation,
                            bounded: activation == Activation::Gate && (s + n) % 2 == 0,
                        },
                        u: with_zeros(1, shape.len()),
                        r: with_zeros(2, shape.len()),
                        dy: noise(3, shape.len()),
                        norm: noise(4, 12 * shape.channels),
                        mask: noise(5, image)
                            .iter()
                            .map(|v| match activation {
                                Activation::Blend => 0.5 + 0.5 * v,
                                _ => f32::from(*v > 0.0),
                            })
                            .collect(),
                        coefficients: noise(6, 4 * shape.channels)
                            .chunks_exact(4)
                            .flat_map(|c| [c[0], c[1], c[2], 0.0])
                            .collect(),
                    });
                }
            }
        }
    }
    on_every_engine(|compiler| cases.iter().for_each(|case| test(compiler, case)));
}

#[test]
fn forward_matches_its_twin() {
    on_every_case(|compiler, case| {
        let shape = case.spec.shape;
        let what = format!("{:?} on {}", case.spec, compiler.tiling);
        let z = case.preactivation();
        let want = case.twin(|a| gate_twin::forward(&z, a, shape.batch, shape.channels));
        for moments in [false, true] {
            let (recipe, partials) = gate::forward(compiler, &case.spec, moments).unwrap();
            let mut arguments = case.operands(false);
            let y = arguments.len();
            arguments.push(Data::Out(shape.len()));
            if moments {
                arguments.push(Data::Out(partials.bytes as usize / 4));
            }
            let got = run(compiler, &recipe, &arguments);
            assert_close(&what, &got[y], &want, 1e-5);
            if moments {
                for c in 0..shape.channels {
                    let mut sums = [0.0; 2];
                    for part in 0..partials.parts {
                        let at = 4 * (c * partials.parts + part);
                        sums[0] += got[y + 1][at];
                        sums[1] += got[y + 1][at + 1];
                    }
                    let values = z.iter().enumerate().filter(|(i, _)| case.channel(*i) == c);
                    let want = values.fold([0.0; 2], |s, (_, z)| [s[0] + z, s[1] + z * z]);
                    assert_close(&format!("moments {what}"), &sums, &want, 1e-5);
                }
            }
        }
    });
}

#[test]
fn backward_matches_its_twin() {
    on_every_case(|compiler, case| {
        let Spec {
            shape,
            normalized,
            residual,
            activation,
            bounded,
        } = case.spec;
        let what = format!("{:?} on {}", case.spec, compiler.tiling);
        let gated = activation.is_gated();
        let has_partials = gated || normalized || residual == Residual::Normalized;
        let z = case.preactivation();
        let dy = wide(&case.dy);
        let mut want = case.twin(|a| gate_twin::backward(&dy, &z, a, shape.batch, shape.channels));
        if bounded {
            // The last row: mean, 1/s, weight, limit, of either sign.
            let bounds: Vec<gate_twin::Bounds> = case
                .constants(2)
                .iter()
                .map(|&[mean, inverse, weight, limit]| gate_twin::Bounds {
                    mean,
                    inverse,
                    weight,
                    limit,
                })
                .collect();
            gate_twin::hold(&mut want.z, &z, &wide(&case.mask), &bounds, shape.batch);
        }

        let (recipe, partials) = gate::backward(compiler, &case.spec).unwrap();
        let mut arguments = vec![Data::InOut(&case.dy)];
        arguments.extend(case.operands(true));
        let after = arguments.len();
        if gated {
            arguments.push(Data::Out(shape.channels * shape.pixels));
        }
        if has_partials {
            arguments.push(Data::Out(partials.bytes as usize / 4));
        }
        let got = run(compiler, &recipe, &arguments);
        assert_close(&format!("dz {what}"), &got[0], &want.z, 1e-5);
        if gated {
            assert_close(&format!("dm {what}"), &got[after], &want.mask, 1e-5);
            let sums = got.last().unwrap();
            for degree in [0, 1, 2] {
                let recipe =
                    gate::coefficient_gradients(compiler, shape.channels, partials, degree)
                        .unwrap();
                let out = Data::Out(4 * shape.channels);
                let dc = run(compiler, &recipe, &[Data::In(sums), out]);
                let masked: Vec<f64> = (0..4 * shape.channels)
                    .map(|i| {
                        if i % 4 <= degree {
                            want.coefficients[i]
                        } else {
                            0.0
                        }
                    })
                    .collect();
                assert_close(&format!("dc {what}"), &dc[1], &masked, 1e-5);
            }
        }

        // Batch norm's backward takes it from the partial sums of dz.
        let operands = [
            (normalized, NormSlot::Main, &case.u),
            (
                residual == Residual::Normalized,
                NormSlot::Residual,
                &case.r,
            ),
        ];
        for (present, operand, values) in operands {
            if !present {
                continue;
            }
            let channels = shape.channels;
            let constants = case.constants(operand as usize);
            let (du, d_gamma, d_beta) =
                bn_twin::backward(&want.z, &wide(values), &constants, shape.batch);
            let recipe =
                batch_norm::parameter_gradients(compiler, shape, operand, partials, 1).unwrap();
            let arguments = [
                Data::In(got.last().unwrap()),
                Data::In(&case.norm),
                Data::Out(channels),
                Data::Out(channels),
                Data::Out(4 * channels),
                Data::InOutWords(&[u32::MAX, 0]),
            ];
            let params = run(compiler, &recipe, &arguments);
            assert_close(&format!("dγ {what}"), &params[2], &d_gamma, 1e-5);
            assert_close(&format!("dβ {what}"), &params[3], &d_beta, 1e-5);
            let slope = Data::In(&params[4]);
            let recipe = batch_norm::data_gradient(compiler, shape, false).unwrap();
            let out = Data::Out(shape.len());
            let separate = run(
                compiler,
                &recipe,
                &[Data::In(&got[0]), Data::In(values), slope, out],
            );
            // The terms of a single value nearly cancel.
            let tolerance = if shape.count() == 1 { 5e-4 } else { 1e-5 };
            assert_close(&format!("du {what}"), &separate[3], &du, tolerance);
            let recipe = batch_norm::data_gradient(compiler, shape, true).unwrap();
            let slope = Data::In(&params[4]);
            let in_place = run(
                compiler,
                &recipe,
                &[Data::InOut(&got[0]), Data::In(values), slope],
            );
            assert_eq!(separate[3], in_place[0], "in place {what}");
        }
    });
}

/// So many workgroups that a grid with one for every piece of every plane would be too long.
#[test]
fn planes_of_many_pieces_are_walked_in_rounds() {
    on_every_engine(|compiler| {
        let pixels = compiler.tiling.workgroup() as usize + 1;
        // Millions of elements take the emulator a minute; the rounds are the same.
        if is_emulated(compiler) && pixels > 5 {
            return;
        }
        let shape = plane::Shape {
            batch: 1,
            channels: 33_000,
            pixels,
        };
        let constants = |seed| noise(seed, 4 * shape.channels);
        let case = Case {
            spec: Spec {
                shape,
                normalized: false,
                residual: Residual::None,
                activation: Activation::Gate,
                bounded: false,
            },
            u: noise(1, shape.len()),
            r: Vec::new(),
            dy: noise(3, shape.len()),
            norm: noise(4, 8 * shape.channels),
            mask: noise(5, shape.len())
                .iter()
                .map(|v| f32::from(*v > 0.0))
                .collect(),
            coefficients: constants(6)
                .chunks_exact(4)
                .flat_map(|c| [c[0], c[1], c[2], 0.0])
                .collect(),
        };
        let what = format!("{} on {}", shape, compiler.tiling);
        let z = case.preactivation();
        let want = case.twin(|a| gate_twin::forward(&z, a, shape.batch, shape.channels));
        let (recipe, _) = gate::forward(compiler, &case.spec, false).unwrap();
        let mut arguments = case.operands(false);
        let y = arguments.len();
        arguments.push(Data::Out(shape.len()));
        let got = run(compiler, &recipe, &arguments);
        assert_close(&what, &got[y], &want, 1e-5);

        let dy = wide(&case.dy);
        let want = case.twin(|a| gate_twin::backward(&dy, &z, a, shape.batch, shape.channels));
        let (recipe, partials) = gate::backward(compiler, &case.spec).unwrap();
        let mut arguments = vec![Data::InOut(&case.dy)];
        arguments.extend(case.operands(true));
        let after = arguments.len();
        arguments.push(Data::Out(shape.channels * shape.pixels));
        arguments.push(Data::Out(partials.bytes as usize / 4));
        let got = run(compiler, &recipe, &arguments);
        assert_close(&format!("dz {what}"), &got[0], &want.z, 1e-5);
        assert_close(&format!("dm {what}"), &got[after], &want.mask, 1e-5);
        let sums = got.last().unwrap();
        let recipe = gate::coefficient_gradients(compiler, shape.channels, partials, 2).unwrap();
        let arguments = [Data::In(sums), Data::Out(4 * shape.channels)];
        let dc = run(compiler, &recipe, &arguments);
        assert_close(&format!("dc {what}"), &dc[1], &want.coefficients, 1e-5);
    });
}
