use crate::harness::*;
use autorep::kernels::sigmoid;
use autorep::reference::sigmoid as twin;

#[test]
fn it_matches_its_twin() {
    on_every_engine(|compiler| {
        for length in [1, 3, 64, 257, 70_001] {
            for scale in [3.0, 300.0] {
                let x: Vec<f32> = noise(1, length).iter().map(|v| scale * v).collect();
                let dy = noise(2, length);
                let what = format!("{length} up to {scale} ({})", compiler.tiling);
                let recipe = sigmoid::forward(compiler, length).unwrap();
                let got = run(compiler, &recipe, &[Data::In(&x), Data::Out(length)]);
                let y = twin::forward(&wide(&x));
                assert_close(&what, &got[1], &y, 1e-6);
                let recipe = sigmoid::backward(compiler, length).unwrap();
                let grad = run(compiler, &recipe, &[Data::InOut(&dy), Data::In(&got[1])]);
                // Of the same y: near 1 its last digit is all that 1 − y has.
                let want = twin::backward(&wide(&dy), &wide(&got[1]));
                assert_close(&format!("backward {what}"), &grad[0], &want, 1e-5);
                if length < 100 && scale < 10.0 {
                    let want = finite_differences(&wide(&x), |x| {
                        let y = twin::forward(x);
                        y.iter().zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum()
                    });
                    assert_close(&format!("differences {what}"), &grad[0], &want, 1e-5);
                }
            }
        }
    });
}
