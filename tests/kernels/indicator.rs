use crate::harness::*;
use autorep::kernels::indicator;
use autorep::kernels::step::StepScalars;
use autorep::reference::indicator as twin;

#[test]
fn hysteresis_truth_table() {
    let t = 0.003;
    for (mask, score, want) in [
        (true, 1.0, true),
        (true, 0.002, true),
        (true, 0.0, true),
        (true, -0.002, true),
        (true, -0.003, false),
        (true, -1.0, false),
        (false, 1.0, true),
        (false, 0.004, true),
        (false, 0.003, false),
        (false, 0.0, false),
        (false, -1.0, false),
    ] {
        assert_eq!(
            twin::hysteresis(mask, score, t),
            want,
            "mask {mask}, score {score}"
        );
    }
}

struct After {
    scores: Vec<f64>,
    mask: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
}

#[test]
fn update_matches_its_twin() {
    on_every_engine(|compiler| {
        for (blocks, kept) in [(1, 100), (3, 99), (7, 1000)] {
            let length = 256 * blocks;
            let scores: Vec<f32> = noise(1, length).iter().map(|v| v * 0.01).collect();
            let mask: Vec<f32> = noise(2, length)
                .iter()
                .map(|v| f32::from(*v > 0.0))
                .collect();
            let gradient: Vec<f32> = noise(3, length).iter().map(|v| v * 0.1).collect();
            let first: Vec<f32> = noise(4, length).iter().map(|v| v * 0.1).collect();
            let second: Vec<f32> = noise(5, length).iter().map(|v| v.abs() * 0.01).collect();
            let sites: Vec<u32> = (0..blocks as u32).map(|b| b / 2).collect();
            let counts = vec![5u32; blocks.div_ceil(2)];
            let scalars = StepScalars {
                score_rate: 0.002,
                threshold: 0.003,
                penalty: 0.05,
                budget: 99,
                correction1: 0.3,
                correction2: 0.2,
                ..Default::default()
            };
            let s = scalars;
            let push = if kept > s.budget { s.penalty } else { 0.0 };
            let mut want = After {
                scores: Vec::new(),
                mask: Vec::new(),
                first: Vec::new(),
                second: Vec::new(),
            };
            for i in 0..length {
                let g = twin::score_gradient(scores[i].into(), gradient[i].into(), push.into());
                let (b1, b2) = (f64::from(s.beta1), f64::from(s.beta2));
                let m1 = b1 * f64::from(first[i]) + (1.0 - b1) * g;
                let m2 = b2 * f64::from(second[i]) + (1.0 - b2) * g * g;
                let root = (m2 / f64::from(s.correction2)).sqrt() + f64::from(s.epsilon);
                let step = f64::from(s.score_rate) * m1 / f64::from(s.correction1) / root;
                let score = f64::from(scores[i]) - step;
                let keep = twin::hysteresis(mask[i] == 1.0, score, s.threshold.into());
                want.scores.push(score);
                want.mask.push(f64::from(u8::from(keep)));
                want.first.push(m1);
                want.second.push(m2);
            }
            let recipe = indicator::update(compiler, length).unwrap();
            let got = run(
                compiler,
                &recipe,
                &[
                    Data::Uniform(bytemuck::bytes_of(&scalars)),
                    Data::InOut(&scores),
                    Data::InOut(&mask),
                    Data::In(&gradient),
                    Data::InOut(&first),
                    Data::InOut(&second),
                    Data::Words(&sites),
                    Data::InOutWords(&counts),
                    Data::Words(&[kept]),
                ],
            );
            let what = format!("{blocks} blocks, {kept} kept, {}", compiler.preset);
            // Root and quotient may each be off by some units in the last place.
            assert_close(&format!("scores, {what}"), &got[1], &want.scores, 3e-5);
            assert_close(&format!("first, {what}"), &got[4], &want.first, 1e-5);
            assert_close(&format!("second, {what}"), &got[5], &want.second, 1e-5);
            // A score within rounding of a threshold may fall on either side.
            let near = |i: usize| (want.scores[i].abs() - 0.003).abs() < 1e-7;
            for i in (0..length).filter(|&i| !near(i)) {
                assert_eq!(f64::from(got[2][i]), want.mask[i], "mask {i}, {what}");
            }
            for (site, count) in got[7].iter().enumerate() {
                let elements = 512 * site..(512 * (site + 1)).min(length);
                let kept = got[2][elements].iter().filter(|m| **m == 1.0).count() as u32;
                assert_eq!(count.to_bits(), 5 + kept, "count of site {site}, {what}");
            }
        }
    });
}
