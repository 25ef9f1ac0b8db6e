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

#[test]
fn scores_move_as_their_twins_do() {
    on_every_engine(|compiler| {
        let rules = [Rule::Hysteresis, Rule::Slopes, Rule::Taylor, Rule::Fisher];
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
            // Site, elements, elements that go as one.
            let block = |b: u32| [b / 2, 256, 1 + 3 * (b / 2), 0];
            let blocks: Vec<[u32; 4]> = (0..blocks as u32).map(block).collect();
            let counts = vec![5u32; blocks.len().div_ceil(2)];
            let prices: Vec<f32> = (0..counts.len()).map(|site| 1.0 + site as f32).collect();
            let mut ledger = vec![cost, 0.0];
            ledger.extend(prices.iter().flat_map(|&price| [price, 777.0]));
            let scalars = StepScalars {
                score_rate: if rule == Rule::Taylor { 0.2 } else { 0.002 },
                threshold: if slopes { 0.01 } else { 0.003 },
                count: 32,
                penalty: 0.05,
                budget: 99.0,
                correction1: 0.3,
                correction2: 0.2,
                ..Default::default()
            };
            let s = scalars;
            let threshold = f64::from(s.threshold);
            let (mut want_scores, mut want_mask, mut want_kept) = (vec![], vec![], vec![]);
            let (mut want_first, mut want_second) = (vec![], vec![]);
            for i in 0..length {
                let [site, _, together, _] = blocks[i / 256];
                let price = f64::from(s.penalty) * f64::from(prices[site as usize]);
                let push = if cost > s.budget { price } else { 0.0 };
                let score = twin::Score {
                    value: scores[i].into(),
                    first: first[i].into(),
                    second: second[i].into(),
                };
                let (gradient, together) = (f64::from(gradient[i]), f64::from(together));
                let mut after = match rule {
                    Rule::Hysteresis => {
                        score.step(twin::score_gradient(score.value, gradient, push), &adam(&s))
                    }
                    Rule::Slopes => score.step(gradient + push, &adam(&s)),
                    Rule::Taylor => {
                        let images = together * f64::from(s.count);
                        score.taylor(gradient, price, s.score_rate.into(), images)
                    }
                    _ => score.fisher(gradient, price / together, &adam(&s)),
                };
                if slopes {
                    after.value = after.value.clamp(0.0, 1.0);
                }
                let keep = match slopes {
                    true => after.value > threshold,
                    false => twin::hysteresis(mask[i] == 1.0, after.value, threshold),
                };
                want_scores.push(after.value);
                want_mask.push(if slopes {
                    after.value
                } else {
                    f64::from(u8::from(keep))
                });
                want_kept.push(keep);
                want_first.push(after.first);
                want_second.push(after.second);
            }
            let recipe = indicator::update(compiler, length, rule).unwrap();
            let table: Vec<u32> = blocks.concat();
            let mut arguments = vec![
                Data::Uniform(bytemuck::bytes_of(&scalars)),
                Data::InOut(&scores),
                Data::In(&gradient),
                Data::InOut(&first),
                Data::InOut(&second),
                Data::Words(&table),
                Data::In(&ledger),
            ];
            if !rule.has_first_moment() {
                arguments.remove(3);
            }
            if !rule.shares_threshold() {
                arguments.extend([Data::InOut(&mask), Data::InOutWords(&counts)]);
            }
            let mut got = run(compiler, &recipe, &arguments);
            if !rule.has_first_moment() {
                got.insert(3, first.clone());
            }
            let what = format!("{rule:?}, {length}, cost {cost}, {}", compiler.tiling);
            // Root and quotient may each be off by some units in the last place.
            assert_close(&format!("scores, {what}"), &got[1], &want_scores, 3e-5);
            assert_close(&format!("first, {what}"), &got[3], &want_first, 1e-5);
            assert_close(&format!("second, {what}"), &got[4], &want_second, 1e-5);
            if rule.shares_threshold() {
                continue;
            }
            // A score within rounding of a threshold may fall on either side.
            let near = |i: usize| (want_scores[i].abs() - threshold).abs() < 1e-6;
            let kept = want_kept.iter().filter(|kept| **kept).count();
            assert!((1..length).contains(&kept), "all alike, {what}");
            let sure: Vec<usize> = (0..length).filter(|&i| !near(i)).collect();
            assert!(
                sure.len() > length / 2,
                "nearly all scores lie at the threshold, {what}"
            );
            for &i in &sure {
                let error = f64::from(got[7][i]) - want_mask[i];
                assert!(error.abs() < 3e-5, "mask {i}, {what}");
            }
            for (site, count) in got[8].iter().enumerate() {
                let elements = 512 * site..(512 * (site + 1)).min(length);
                let count = (count.to_bits() - 5) as usize;
                let expected = elements.clone().filter(|&i| want_kept[i]).count();
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
            let recipe = indicator::share(compiler, groups.len(), elements).unwrap();
            let arguments = [Data::Words(&table), Data::InOut(&gradient)];
            let got = run(compiler, &recipe, &arguments);
            let mut want = wide(&gradient);
            twin::share(&mut want, &groups);
            assert_close(&format!("{groups:?}"), &got[1], &want, 1e-6);
            let outside = |i: &usize| groups.iter().all(|g| !g.contains(i));
            for i in (0..gradient.len()).filter(outside) {
                assert_eq!(got[1][i], gradient[i], "element {i} belongs to no group");
            }
        }
    });
}
