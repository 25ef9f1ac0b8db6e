use crate::harness::*;
use autorep::kernels::indicator::{self, Rule};
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
    kept: Vec<bool>,
    first: Vec<f64>,
    second: Vec<f64>,
}

#[test]
fn update_matches_its_twin() {
    on_every_engine(|compiler| {
        let rules = [Rule::Hysteresis, Rule::Slopes, Rule::Importance];
        let cases = [(1, 100.0), (3, 99.0), (7, 1000.0)];
        for (rule, (blocks, cost)) in rules.iter().flat_map(|r| cases.map(|case| (*r, case))) {
            let length = 256 * blocks;
            let slopes = rule == Rule::Slopes;
            // Slopes near both their bounds, scores near their threshold.
            let scores: Vec<f32> = noise(1, length)
                .iter()
                .map(|v| {
                    if slopes {
                        f32::from(*v > 0.0) * (1.0 - v)
                    } else {
                        v * 0.01
                    }
                })
                .collect();
            let mask: Vec<f32> = noise(2, length)
                .iter()
                .zip(&scores)
                .map(|(v, &s)| if slopes { s } else { f32::from(*v > 0.0) })
                .collect();
            let gradient: Vec<f32> = noise(3, length).iter().map(|v| v * 0.1).collect();
            let first: Vec<f32> = noise(4, length).iter().map(|v| v * 0.1).collect();
            let second: Vec<f32> = noise(5, length).iter().map(|v| v.abs() * 0.01).collect();
            let sites: Vec<u32> = (0..blocks as u32).map(|b| b / 2).collect();
            let counts = vec![5u32; blocks.div_ceil(2)];
            let prices: Vec<f32> = (0..counts.len()).map(|site| 1.0 + site as f32).collect();
            // A threshold in the middle of what importance comes to.
            let mut ledger = vec![cost, 0.2];
            ledger.extend(prices.iter().flat_map(|&price| [price, 777.0]));
            let scalars = StepScalars {
                score_rate: 0.002,
                threshold: if slopes { 0.01 } else { 0.003 },
                penalty: 0.05,
                budget: 99.0,
                correction1: 0.3,
                correction2: 0.2,
                ..Default::default()
            };
            let s = scalars;
            let adam = adam(&s);
            let threshold = f64::from(s.threshold);
            let mut want = After {
                scores: Vec::new(),
                mask: Vec::new(),
                kept: Vec::new(),
                first: Vec::new(),
                second: Vec::new(),
            };
            for i in 0..length {
                let price = f64::from(prices[sites[i / 256] as usize]);
                let push = if cost > s.budget {
                    f64::from(s.penalty) * price
                } else {
                    0.0
                };
                let score = twin::Score {
                    value: scores[i].into(),
                    first: first[i].into(),
                    second: second[i].into(),
                };
                let gradient = f64::from(gradient[i]);
                let bound = 0.2 * if mask[i] == 1.0 { 0.9 } else { 1.1 };
                let mut after = match rule {
                    Rule::Importance => {
                        score.measure(gradient, f64::from(s.penalty) * price, &adam)
                    }
                    Rule::Hysteresis => {
                        score.step(twin::score_gradient(score.value, gradient, push), &adam)
                    }
                    Rule::Slopes => score.step(gradient + push, &adam),
                };
                let (mask, kept) = match rule {
                    Rule::Hysteresis => {
                        let keep = twin::hysteresis(mask[i] == 1.0, after.value, threshold);
                        (f64::from(u8::from(keep)), keep)
                    }
                    Rule::Importance => {
                        let keep = after.value > bound;
                        (f64::from(u8::from(keep)), keep)
                    }
                    Rule::Slopes => {
                        after.value = after.value.clamp(0.0, 1.0);
                        (after.value, after.value > threshold)
                    }
                };
                want.scores.push(after.value);
                want.mask.push(mask);
                want.kept.push(kept);
                want.first.push(after.first);
                want.second.push(after.second);
            }
            let recipe = indicator::update(compiler, length, rule).unwrap();
            let mut arguments = vec![
                Data::Uniform(bytemuck::bytes_of(&scalars)),
                Data::InOut(&scores),
                Data::InOut(&mask),
                Data::In(&gradient),
                Data::InOut(&first),
                Data::InOut(&second),
                Data::Words(&sites),
                Data::InOutWords(&counts),
                Data::In(&ledger),
            ];
            if rule == Rule::Importance {
                arguments.remove(4);
            }
            let mut got = run(compiler, &recipe, &arguments);
            if rule == Rule::Importance {
                got.insert(4, first.clone());
            }
            let what = format!(
                "{rule:?}, {blocks} blocks, cost {cost}, {}",
                compiler.tiling
            );
            // Root and quotient may each be off by some units in the last place.
            assert_close(&format!("scores, {what}"), &got[1], &want.scores, 3e-5);
            assert_close(&format!("first, {what}"), &got[4], &want.first, 1e-5);
            assert_close(&format!("second, {what}"), &got[5], &want.second, 1e-5);
            // A score within rounding of a threshold may fall on either side.
            let near = |i: usize| match rule {
                Rule::Importance => [0.18, 0.22]
                    .iter()
                    .any(|b| (want.scores[i] - b).abs() < 1e-5),
                _ => (want.scores[i].abs() - threshold).abs() < 1e-6,
            };
            let kept = want.kept.iter().filter(|kept| **kept).count();
            assert!((1..length).contains(&kept), "all alike, {what}");
            let sure: Vec<usize> = (0..length).filter(|&i| !near(i)).collect();
            assert!(
                sure.len() > length / 2,
                "nearly all scores lie at the threshold, {what}"
            );
            for &i in &sure {
                let error = f64::from(got[2][i]) - want.mask[i];
                assert!(error.abs() < 3e-5, "mask {i}, {what}");
            }
            for (site, count) in got[7].iter().enumerate() {
                let elements = 512 * site..(512 * (site + 1)).min(length);
                let count = (count.to_bits() - 5) as usize;
                let expected = elements.clone().filter(|&i| want.kept[i]).count();
                let unsure = elements.filter(|&i| near(i)).count();
                assert!(
                    count.abs_diff(expected) <= unsure,
                    "count of site {site}, {what}"
                );
            }
        }
    });
}

/// Adam as a step's scalars have it.
pub fn adam(s: &StepScalars) -> twin::Adam {
    twin::Adam {
        rate: s.score_rate.into(),
        betas: [s.beta1.into(), s.beta2.into()],
        corrections: [s.correction1.into(), s.correction2.into()],
        epsilon: s.epsilon.into(),
    }
}

#[test]
fn groups_share_their_mean() {
    on_every_engine(|compiler| {
        for lengths in [vec![1], vec![3, 64, 1, 65], vec![1000, 5]] {
            let mut groups = Vec::new();
            let mut end = 2;
            for length in lengths {
                // A gap, which belongs to nobody.
                groups.push(end..end + length);
                end += length + 1;
            }
            let gradient = noise(1, end + 3);
            let table: Vec<u32> = groups
                .iter()
                .flat_map(|g| [g.start as u32, g.len() as u32])
                .collect();
            let elements = groups.iter().map(|g| g.len()).sum();
            for rule in [Rule::Hysteresis, Rule::Importance] {
                let recipe = indicator::share(compiler, groups.len(), elements, rule).unwrap();
                let arguments = [Data::Words(&table), Data::InOut(&gradient)];
                let got = run(compiler, &recipe, &arguments);
                let mut want = wide(&gradient);
                twin::share(&mut want, &groups, rule == Rule::Importance);
                assert_close(&format!("{groups:?}"), &got[1], &want, 1e-6);
                let outside = |i: &usize| groups.iter().all(|g| !g.contains(i));
                for i in (0..gradient.len()).filter(outside) {
                    assert_eq!(got[1][i], gradient[i], "element {i} belongs to no group");
                }
            }
        }
    });
}
