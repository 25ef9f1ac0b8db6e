use crate::harness::*;
use autorep::kernels::dropout::{Spec, dropout};
use autorep::kernels::step::StepScalars;
use autorep::reference::dropout::Dropout;

#[test]
fn it_draws_as_its_twin_does() {
    on_every_engine(|compiler| {
        for (length, share) in [(1, 1), (7, 1), (4096, 1), (60, 12), (35, 7), (80_000, 400)] {
            for rate in [0.0, 0.2, 0.9] {
                let spec = Spec {
                    batch: 1,
                    length,
                    share,
                    rate,
                    layer: 17,
                };
                let x: Vec<f32> = noise(1, length).iter().map(|v| v + 2.0).collect();
                let scalars = StepScalars {
                    seed: 5,
                    step: 3,
                    first: 9,
                    ..Default::default()
                };
                let twin = Dropout {
                    share,
                    rate: rate.into(),
                    seed: 5,
                    step: 3,
                    before: 9 * (length / share) as u32,
                    purpose: spec.purpose(),
                };
                let want = twin.apply(&wide(&x));
                let what = format!("{spec:?} on {}", compiler.tiling);
                let step = || Data::Uniform(bytemuck::bytes_of(&scalars));
                let recipe = dropout(compiler, &spec, false).unwrap();
                let arguments = [step(), Data::In(&x), Data::Out(length)];
                let got = run(compiler, &recipe, &arguments);
                assert_close(&what, &got[2], &want, 1e-6);
                let recipe = dropout(compiler, &spec, true).unwrap();
                let got = run(compiler, &recipe, &[step(), Data::InOut(&x)]);
                assert_close(&format!("in place, {what}"), &got[1], &want, 1e-6);
            }
        }
    });
}

#[test]
fn draws_drop_their_share_and_no_two_steps_or_layers_drop_the_same() {
    let of = |step, layer| {
        let spec = Spec {
            batch: 1,
            length: 20_000,
            share: 1,
            rate: 0.3,
            layer,
        };
        let twin = Dropout {
            share: 1,
            rate: spec.rate.into(),
            seed: 1,
            step,
            before: 0,
            purpose: spec.purpose(),
        };
        twin.apply(&vec![1.0; spec.length])
    };
    let first = of(0, 4);
    let dropped = first.iter().filter(|y| **y == 0.0).count();
    // 6,000 expected, standard deviation 65.
    assert!((5_700..6_300).contains(&dropped), "{dropped}");
    for other in [of(1, 4), of(0, 5)] {
        let both = first.iter().zip(&other);
        let both = both.filter(|(a, b)| **a == 0.0 && **b == 0.0).count();
        // 1,800 expected where they are unrelated, standard deviation 40.
        assert!((1_600..2_000).contains(&both), "{both}");
    }
}
