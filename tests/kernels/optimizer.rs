use crate::harness::*;
use autorep::kernels::optimizer;
use autorep::kernels::step::StepScalars;
use autorep::reference::optimizer as twin;

const LENGTHS: [usize; 4] = [256, 768, 256 * 37, 256 * 1025];

fn scalars() -> StepScalars {
    StepScalars {
        rate: [0.1, 0.02, 0.3, 0.0],
        decay: [0.05, 0.0, 0.2, 0.1],
        correction1: 0.271,
        correction2: 0.002_997,
        epsilon: 1e-4,
        clip: 3.0,
        ..Default::default()
    }
}

fn kinds(length: usize) -> Vec<u32> {
    (0..length as u32 / 256).map(|i| i * 7 / 3 % 4).collect()
}

fn groups<'a>(step: &StepScalars, kinds: &'a [u32], factor: f32) -> twin::Groups<'a> {
    twin::Groups {
        rate: step.rate.map(f64::from),
        decay: step.decay.map(f64::from),
        kinds,
        factor: factor.into(),
    }
}

#[test]
fn sgd_matches_its_twin() {
    on_every_engine(|compiler| {
        let step = scalars();
        for (length, nesterov, factor) in LENGTHS
            .into_iter()
            .flat_map(|length| [(length, false, 1.0f32), (length, true, 0.25)])
        {
            let (params, grads, velocity) = (noise(1, length), noise(2, length), noise(3, length));
            let kinds = kinds(length);
            let recipe = optimizer::sgd(compiler, length, nesterov).unwrap();
            let got = run(
                compiler,
                &recipe,
                &[
                    Data::Uniform(bytemuck::bytes_of(&step)),
                    Data::InOut(&params),
                    Data::In(&grads),
                    Data::InOut(&velocity),
                    Data::Words(&kinds),
                    Data::In(&[7.0, factor, 0.0, 0.0]),
                ],
            );
            let (mut want, mut want_velocity) = (wide(&params), wide(&velocity));
            twin::sgd(
                &groups(&step, &kinds, factor),
                (step.beta1.into(), nesterov),
                &mut want,
                &wide(&grads),
                &mut want_velocity,
            );
            let what = format!("{length}, nesterov {nesterov} ({})", compiler.tiling);
            assert_close(&format!("parameters of {what}"), &got[1], &want, 1e-6);
            assert_close(
                &format!("velocity of {what}"),
                &got[3],
                &want_velocity,
                1e-6,
            );
        }
    });
}

#[test]
fn adam_matches_its_twin() {
    on_every_engine(|compiler| {
        let step = scalars();
        for (length, decoupled, factor) in LENGTHS
            .into_iter()
            .flat_map(|length| [(length, false, 0.25f32), (length, true, 1.0)])
        {
            let (params, grads, first) = (noise(1, length), noise(2, length), noise(3, length));
            let second: Vec<f32> = noise(4, length).iter().map(|v| v * v).collect();
            let kinds = kinds(length);
            let recipe = optimizer::adam(compiler, length, decoupled).unwrap();
            let got = run(
                compiler,
                &recipe,
                &[
                    Data::Uniform(bytemuck::bytes_of(&step)),
                    Data::InOut(&params),
                    Data::In(&grads),
                    Data::InOut(&first),
                    Data::InOut(&second),
                    Data::Words(&kinds),
                    Data::In(&[7.0, factor, 0.0, 0.0]),
                ],
            );
            let (mut want, mut want_first, mut want_second) =
                (wide(&params), wide(&first), wide(&second));
            let constants = twin::Adam {
                beta1: step.beta1.into(),
                beta2: step.beta2.into(),
                correction1: step.correction1.into(),
                correction2: step.correction2.into(),
                epsilon: step.epsilon.into(),
                decoupled,
            };
            twin::adam(
                &groups(&step, &kinds, factor),
                &constants,
                &mut want,
                &wide(&grads),
                &mut want_first,
                &mut want_second,
            );
            let what = format!("{length}, decoupled {decoupled} ({})", compiler.tiling);
            assert_close(&format!("parameters of {what}"), &got[1], &want, 1e-5);
            assert_close(&format!("first of {what}"), &got[3], &want_first, 1e-6);
            assert_close(&format!("second of {what}"), &got[4], &want_second, 1e-6);
        }
    });
}

#[test]
fn norms_match_their_twin() {
    on_every_engine(|compiler| {
        for (length, clip) in LENGTHS.iter().flat_map(|&n| [(n, 0.0), (n, 3.0), (n, 1e9)]) {
            let grads = noise(1, length);
            // The second group rests.
            let step = StepScalars {
                clip,
                rate: [0.1, 0.0, 0.2, 0.3],
                ..scalars()
            };
            let kinds = kinds(length);
            let moves = |i: usize| kinds[i / 256] != 1;
            let trained: Vec<f64> = (0..length)
                .filter(|&i| moves(i))
                .map(|i| grads[i].into())
                .collect();
            for (all, recipe) in [
                (true, optimizer::norm(compiler, length).unwrap()),
                (false, optimizer::gradient_norm(compiler, length).unwrap()),
            ] {
                let mut arguments = vec![
                    Data::Uniform(bytemuck::bytes_of(&step)),
                    Data::In(&grads),
                    Data::Out(4),
                ];
                arguments.extend((!all).then_some(Data::Words(&kinds)));
                let got = run(compiler, &recipe, &arguments);
                let (norm, factor) = match all {
                    true => twin::gradient_norm(&wide(&grads), clip.into()),
                    false => twin::gradient_norm(&trained, clip.into()),
                };
                let what = format!("of {length}, all {all}, clip {clip} ({})", compiler.tiling);
                assert_close(&format!("norm {what}"), &got[2][..1], &[norm], 1e-5);
                assert_close(&format!("factor {what}"), &got[2][1..2], &[factor], 1e-5);
                assert_eq!(got[2][2..], [0.0, 0.0]);
            }
        }
    });
}

#[test]
fn a_gradient_that_is_not_finite_moves_nothing() {
    on_every_engine(|compiler| {
        let length = 512;
        let step = StepScalars {
            decay: [0.0; 4],
            ..scalars()
        };
        let uniform = bytemuck::bytes_of(&step);
        let (params, zeros, kinds) = (noise(1, length), vec![0.0; length], kinds(length));
        for (index, value) in [(0, f32::NAN), (511, f32::INFINITY), (300, f32::MAX)] {
            let mut grads = noise(2, length);
            grads[index] = value;
            let recipe = optimizer::gradient_norm(compiler, length).unwrap();
            let arguments = [
                Data::Uniform(uniform),
                Data::In(&grads),
                Data::Out(4),
                Data::Words(&kinds),
            ];
            let clip = run(compiler, &recipe, &arguments).swap_remove(2);
            assert!(!clip[0].is_finite());
            assert_eq!(clip[1], 0.0);

            let recipe = optimizer::sgd(compiler, length, true).unwrap();
            let got = run(
                compiler,
                &recipe,
                &[
                    Data::Uniform(uniform),
                    Data::InOut(&params),
                    Data::In(&grads),
                    Data::InOut(&zeros),
                    Data::Words(&kinds),
                    Data::In(&clip),
                ],
            );
            assert_eq!(got[1], params);
            let recipe = optimizer::adam(compiler, length, true).unwrap();
            let got = run(
                compiler,
                &recipe,
                &[
                    Data::Uniform(uniform),
                    Data::InOut(&params),
                    Data::In(&grads),
                    Data::InOut(&zeros),
                    Data::InOut(&zeros),
                    Data::Words(&kinds),
                    Data::In(&clip),
                ],
            );
            assert_eq!(got[1], params);
        }
    });
}

#[test]
fn lookahead_and_average_match_their_twins() {
    on_every_engine(|compiler| {
        for (length, weight) in [(256, 0.5f32), (768, 0.0), (9472, 1.0), (262_400, 0.2)] {
            let (params, slow) = (noise(1, length), noise(2, length));
            let step = StepScalars {
                lookahead: weight,
                averaging: weight,
                ..scalars()
            };
            let uniform = || Data::Uniform(bytemuck::bytes_of(&step));
            let what = format!("{length}, weight {weight} ({})", compiler.tiling);

            let recipe = optimizer::lookahead(compiler, length).unwrap();
            let arguments = [uniform(), Data::InOut(&params), Data::InOut(&slow)];
            let got = run(compiler, &recipe, &arguments);
            let (mut want, mut want_slow) = (wide(&params), wide(&slow));
            twin::lookahead(weight.into(), &mut want, &mut want_slow);
            assert_close(&format!("fast of {what}"), &got[1], &want, 1e-6);
            assert_close(&format!("slow of {what}"), &got[2], &want_slow, 1e-6);

            let recipe = optimizer::average(compiler, length).unwrap();
            let arguments = [uniform(), Data::In(&params), Data::InOut(&slow)];
            let got = run(compiler, &recipe, &arguments);
            let mut want = wide(&slow);
            twin::average(weight.into(), &wide(&params), &mut want);
            assert_close(&format!("average of {what}"), &got[2], &want, 1e-6);
        }
    });
}
