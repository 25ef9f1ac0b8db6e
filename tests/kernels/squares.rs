use crate::harness::*;
use crate::indicator::adam;
use crate::threshold::key;
use autorep::kernels::dapa::{Fit, Form};
use autorep::kernels::indicator::Rule;
use autorep::kernels::squares::{self, Group};
use autorep::kernels::step::StepScalars;
use autorep::reference::indicator::Score;
use autorep::reference::{squares as twin, threshold};

const FIT: Fit = Fit {
    degree: 2,
    form: Form::Exact { limit: 2.0 },
};

/// Groups of (channels, positions, site), one behind the other in every arena, with gaps.
fn groups(sizes: &[(u32, u32, u32)]) -> (Vec<Group>, [usize; 3]) {
    let (mut element, mut coefficient, mut moment) = (3, 2, 1);
    let mut groups = Vec::new();
    for &(channels, positions, site) in sizes {
        groups.push(Group {
            first_element: element,
            elements: channels * positions,
            first_coefficient: coefficient,
            channels,
            first_moment: moment,
            site,
            padding: [0; 2],
        });
        element += channels * positions + 1;
        coefficient += channels + 1;
        moment += channels + 2;
    }
    (
        groups,
        [element, coefficient, moment].map(|end| end as usize + 4),
    )
}

#[test]
fn update_matches_its_twin() {
    on_every_engine(|compiler| {
        let cases: [&[(u32, u32, u32)]; 3] = [
            &[(1, 1, 0)],
            &[(1, 7, 0), (3, 64, 1), (1, 130, 1), (70, 2, 0)],
            &[(2, 9, 1); 40],
        ];
        let variants = [
            (Rule::Hysteresis, 100.0),
            (Rule::Hysteresis, 98.0),
            // Just what the budget pays for.
            (Rule::Hysteresis, 99.0),
            (Rule::Taylor, 100.0),
            (Rule::Fisher, 98.0),
        ];
        let cases = cases
            .iter()
            .flat_map(|&case| variants.map(|(r, c)| (case, r, c)));
        for (case, rule, cost) in cases {
            let (groups, [elements, coefficients, moments]) = groups(case);
            let fit = match cost < 99.0 {
                true => Fit {
                    form: Form::Official { scale_x2: 0.5 },
                    ..FIT
                },
                false => FIT,
            };
            let params: Vec<f32> = noise(1, 4 * coefficients)
                .chunks_exact(4)
                .flat_map(|c| [c[0], c[1], c[2], 0.0])
                .collect();
            // As the gate leaves them: nothing ever has a gradient with respect to the mark.
            let gradients: Vec<f32> = noise(2, 4 * coefficients)
                .chunks_exact(4)
                .flat_map(|g| [g[0], g[1], g[2], 0.0])
                .collect();
            let state: Vec<f32> = noise(3, 2 * moments)
                .chunks_exact(2)
                .flat_map(|m| [m[0], 1.5 + m[1]])
                .collect();
            let mut mask: Vec<f32> = noise(4, elements)
                .iter()
                .map(|v| f32::from(*v > 0.5))
                .collect();
            // What lies behind a group belongs to nobody.
            for group in &groups {
                mask[(group.first_element + group.elements) as usize] = 100.0;
            }
            // Scores on both sides of both thresholds.
            let states: Vec<f32> = noise(15, 4 * groups.len())
                .chunks_exact(4)
                .flat_map(|s| {
                    let has = f32::from(s[3] > 0.0);
                    let score = 0.01 * s[0] + 0.5 * (1.0 - has);
                    [score, 0.1 * s[1], 0.01 * s[2].abs(), has]
                })
                .collect();
            let ledger = [cost, 0.2, 777.0, 2.0, 777.0, 0.5];
            let scalars = StepScalars {
                score_rate: 0.002,
                threshold: 0.003,
                penalty: 0.05,
                count: 8,
                budget: 99.0,
                correction1: 0.3,
                correction2: 0.2,
                ..Default::default()
            };
            let mut params = params;
            for (group, state) in groups.iter().zip(states.chunks_exact(4)) {
                if state[3] == 0.0 {
                    for c in 0..group.channels {
                        let c = 4 * (group.first_coefficient + c) as usize;
                        (params[c + 2], params[c + 3]) = (0.0, 1.0);
                    }
                }
            }

            let search = squares::Search {
                groups: &groups,
                sites: 2,
                fit,
                rule,
            };
            let table: Vec<u32> = bytemuck::cast_slice(&groups).to_vec();
            let uniform = Data::Uniform(bytemuck::bytes_of(&scalars));
            let counts = Data::InOutWords(&[9, 9, 5, 6]);
            // A threshold in the midst of what scores will be.
            let theta = 0.1f32;
            let [got_params, got_states, got_counts] = if rule.shares_threshold() {
                let recipe = squares::measure(compiler, &search).unwrap();
                let arguments = [
                    uniform,
                    Data::In(&params),
                    Data::In(&gradients),
                    Data::In(&state),
                    Data::In(&mask),
                    Data::Words(&table),
                    Data::InOut(&states),
                    Data::In(&ledger),
                ];
                let measured = run(compiler, &recipe, &arguments).swap_remove(6);
                let recipe = squares::apply(compiler, &search).unwrap();
                let cut = [key(theta), 0, 0, 0];
                let arguments = [
                    Data::InOut(&params),
                    Data::In(&state),
                    Data::In(&mask),
                    Data::Words(&table),
                    Data::InOut(&measured),
                    Data::Words(&cut),
                    counts,
                ];
                let mut got = run(compiler, &recipe, &arguments);
                [0, 4, 6].map(|index| std::mem::take(&mut got[index]))
            } else {
                let recipe = squares::update(compiler, &search).unwrap();
                let arguments = [
                    uniform,
                    Data::InOut(&params),
                    Data::In(&gradients),
                    Data::In(&state),
                    Data::In(&mask),
                    Data::Words(&table),
                    Data::InOut(&states),
                    Data::In(&ledger),
                    counts,
                ];
                let mut got = run(compiler, &recipe, &arguments);
                [1, 6, 8].map(|index| std::mem::take(&mut got[index]))
            };

            let what = format!(
                "{rule:?}, {} groups, cost {cost}, {}",
                groups.len(),
                compiler.tiling
            );
            let mut want_params = wide(&params);
            let (mut want_states, mut counts) = (Vec::new(), [5, 6]);
            for (index, group) in groups.iter().enumerate() {
                let elements = group.first_element as usize..;
                let elements = elements.start..elements.start + group.elements as usize;
                let kept = mask[elements].iter().filter(|m| **m == 1.0).count();
                let squares = group.elements as usize - kept;
                let channels = 0..group.channels as usize;
                let coefficient = |c: usize| 4 * (group.first_coefficient as usize + c);
                let moment = |c: usize| 2 * (group.first_moment as usize + c);
                let own = &wide(&states[4 * index..4 * index + 4]);
                let mut after = twin::Group {
                    score: Score {
                        value: own[0],
                        first: own[1],
                        second: own[2],
                    },
                    has_square: own[3] == 1.0,
                    coefficients: channels
                        .clone()
                        .map(|c| std::array::from_fn(|k| params[coefficient(c) + k].into()))
                        .collect(),
                };
                let price = f64::from(scalars.penalty * ledger[3 + 2 * group.site as usize]);
                let gradients: Vec<[f64; 3]> = channels
                    .clone()
                    .map(|c| std::array::from_fn(|k| gradients[coefficient(c) + k].into()))
                    .collect();
                let moments: Vec<[f64; 2]> = channels
                    .clone()
                    .map(|c| [state[moment(c)].into(), state[moment(c) + 1].into()])
                    .collect();
                let step = twin::Step {
                    gradients: &gradients,
                    moments: &moments,
                    push: if cost > scalars.budget { price } else { 0.0 },
                    squares: squares as f64,
                    threshold: scalars.threshold.into(),
                    regain: squares::REGAIN,
                    adam: adam(&scalars),
                    official: fit.official(),
                };
                let (slope, price) = (after.slope(&step), (price * squares as f64).max(1e-30));
                let measured = match rule {
                    Rule::Taylor => {
                        let rate = scalars.score_rate.into();
                        Some(after.score.taylor(slope, price, rate, scalars.count.into()))
                    }
                    Rule::Fisher => Some(Score {
                        first: 0.0,
                        ..after.score.fisher(slope, price, &step.adam)
                    }),
                    _ => None,
                };
                let margin = match measured {
                    None => {
                        after.step(&step);
                        let bounds = [-0.003, squares::REGAIN];
                        let distances = bounds.map(|bound| (after.score.value - bound).abs());
                        distances[0].min(distances[1])
                    }
                    Some(score) => {
                        after.score = score;
                        let worth = threshold::worth(score.value, after.has_square);
                        after.decide(worth >= theta.into(), &step);
                        (worth - f64::from(theta)).abs()
                    }
                };
                assert!(margin > 1e-6, "{what}: choose another seed");
                let (score, has) = (after.score, f64::from(u8::from(after.has_square)));
                want_states.extend([score.value, score.first, score.second, has]);
                for c in channels {
                    let at = coefficient(c);
                    want_params[at..at + 4].copy_from_slice(&after.coefficients[c]);
                }
                if after.has_square {
                    counts[group.site as usize] += squares as u32;
                }
            }
            assert_close(&format!("params, {what}"), &got_params, &want_params, 1e-5);
            // Averages of squares of sums that nearly cancel: adapters differ in the last digits.
            assert_close(&format!("states, {what}"), &got_states, &want_states, 1e-4);
            let got: Vec<u32> = got_counts.iter().map(|v| v.to_bits()).collect();
            assert_eq!(got, [9, 9, counts[0], counts[1]], "counts, {what}");
        }
    });
}

#[test]
fn lines_are_held() {
    on_every_engine(|compiler| {
        let (groups, [_, coefficients, _]) = groups(&[(1, 4, 0), (70, 4, 0), (2, 1, 1)]);
        let mut params = noise(1, 4 * coefficients);
        for (index, c) in params.chunks_exact_mut(4).enumerate() {
            c[3] = f32::from(u8::from(index.is_multiple_of(3)));
        }
        let recipe = squares::hold(compiler, &groups).unwrap();
        let table: Vec<u32> = bytemuck::cast_slice(&groups).to_vec();
        let got = run(
            compiler,
            &recipe,
            &[Data::InOut(&params), Data::Words(&table)],
        );
        let mut held = 0;
        for (index, (got, c)) in got[0]
            .chunks_exact(4)
            .zip(params.chunks_exact(4))
            .enumerate()
        {
            let inside = groups.iter().any(|g| {
                (g.first_coefficient..g.first_coefficient + g.channels).contains(&(index as u32))
            });
            let is_line = inside && c[3] == 1.0;
            let square = if is_line { 0.0 } else { c[2] };
            assert_eq!(got, [c[0], c[1], square, c[3]], "channel {index}");
            held += usize::from(is_line);
        }
        assert!(held > 10);
    });
}
