use crate::harness::*;
use autorep::kernels::metrics::Prices;
use autorep::kernels::squares::Group;
use autorep::kernels::step::StepScalars;
use autorep::kernels::threshold;
use autorep::reference::metrics;
use autorep::reference::threshold::{self as twin, Item};

/// A float as an unsigned number of the same order.
pub fn key(x: f32) -> u32 {
    let bits = x.to_bits();
    bits ^ if x.is_sign_negative() {
        u32::MAX
    } else {
        1 << 31
    }
}

#[test]
fn floats_are_ordered_as_their_keys() {
    let floats = [
        -3e38, -1.5, -1.4999999, -1e-40, 0.0, 1e-40, 0.1, 7.0, 7.0000005, 3e38,
    ];
    for pair in floats.windows(2) {
        assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
    }
}

/// Elements of each site; sites begin at multiples of 256.
const SITES: [usize; 4] = [300, 1, 256, 700];
const COUNTED: Prices = Prices::COUNT;
const BYTES: Prices = Prices {
    relu: 184.0,
    square: 8.0,
    relu_site: 0.0,
    square_site: 0.0,
};
const ROUNDS: Prices = Prices {
    relu: 0.0,
    square: 0.0,
    relu_site: 9.0,
    square_site: 1.0,
};

struct Case {
    scores: Vec<f32>,
    mask: Vec<f32>,
    blocks: Vec<[u32; 4]>,
    groups: Vec<Group>,
    /// Score, two words that nobody reads, 1 where there is a square.
    states: Vec<[f32; 4]>,
}

impl Case {
    /// Scores of either sign and many magnitudes; with `ties`, few that differ.
    fn new(seed: u32, ties: bool) -> Self {
        let mut case = Case {
            scores: vec![],
            mask: vec![],
            blocks: vec![],
            groups: vec![],
            states: vec![],
        };
        for (site, &elements) in (0..).zip(&SITES) {
            let first = case.scores.len();
            let padded = elements.next_multiple_of(256);
            for k in 0..padded / 256 {
                let own = (elements - 256 * k).min(256) as u32;
                case.blocks.push([site, own, 1, 0]);
            }
            let values = noise(seed + 10 * site, padded);
            let scores = values.iter().map(|v| match ties {
                true => (3.0 * v).round(),
                false => v * v * v * 1e-3,
            });
            // The padding looks better than anything, and is nothing.
            let scores = scores
                .enumerate()
                .map(|(i, v)| if i < elements { v } else { 9.0 });
            case.scores.extend(scores);
            let mask = noise(seed + 10 * site + 1, padded);
            case.mask.extend(mask.iter().map(|v| f32::from(*v > 0.0)));
            // A group for each third of the site, where it has thirds.
            for third in 0..if elements < 3 { 1 } else { 3 } {
                let length = elements.div_ceil(3);
                let from = (third * length).min(elements);
                case.groups.push(Group {
                    first_element: (first + from) as u32,
                    elements: (elements - from).min(length) as u32,
                    site,
                    ..bytemuck::Zeroable::zeroed()
                });
                let v = noise(seed + 100 + 3 * site + third as u32, 2);
                case.states
                    .push([v[0] * 1e-3, 7.0, 7.0, f32::from(v[1] > 0.0)]);
            }
        }
        case
    }

    fn elements(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let blocks = self.blocks.iter().enumerate();
        blocks.flat_map(|(b, block)| {
            (0..block[1] as usize).map(move |k| (256 * b + k, block[0] as usize))
        })
    }

    fn items(&self, squares: bool) -> Vec<Item> {
        let relus = self.elements().map(|(i, site)| Item {
            worth: f64::from(worth(self.scores[i], self.mask[i] > 0.5)),
            site,
            relus: 1,
            squares: 0,
        });
        let groups = self.groups.iter().zip(&self.states).filter(|_| squares);
        let squares = groups.map(|(group, state)| {
            let elements = group.first_element as usize..;
            let elements = elements.start..elements.start + group.elements as usize;
            let without = self.mask[elements].iter().filter(|m| **m < 0.5);
            Item {
                worth: f64::from(worth(state[0], state[3] > 0.5)),
                site: group.site as usize,
                relus: 0,
                squares: without.count(),
            }
        });
        relus.chain(squares).collect()
    }
}

/// As the device has it.
fn worth(score: f32, kept: bool) -> f32 {
    let worth = score + if kept { 0.1 } else { -0.1 } * score.abs();
    let exact = twin::worth(score.into(), kept);
    assert!((f64::from(worth) - exact).abs() <= 1e-6 * exact.abs());
    worth
}

#[test]
fn as_much_is_kept_as_the_budget_pays_for() {
    on_every_engine(|compiler| {
        for (prices, ties, squares) in [
            (COUNTED, false, false),
            (COUNTED, true, false),
            (BYTES, false, true),
            (ROUNDS, false, true),
        ] {
            for share in [0.0, 0.003, 0.1, 0.5, 0.97, 1.0, 2.0] {
                let case = Case::new(17, ties);
                let all = SITES.map(|elements| (elements, 0));
                let budget = (share * prices.cost(all)) as f32;
                check(compiler, &case, prices, squares, budget);
            }
        }
    });
}

/// Worths between 1.9922 and 2 have 255 as their second digit, and the last of them as their third, too: where not all
/// can be paid for, no digit is low enough, and what is kept is decided by the digits behind, or not at all.
#[test]
fn even_the_highest_digit_can_be_too_much() {
    on_every_engine(|compiler| {
        for (lowest, spread) in [(1.8115, 0.006), (1.818_181_7, 0.0)] {
            let mut case = Case::new(17, false);
            let elements: Vec<usize> = case.elements().map(|(i, _)| i).collect();
            let drawn = noise(29, elements.len());
            for (i, v) in elements.into_iter().zip(drawn) {
                case.scores[i] = lowest + spread * v.abs();
                case.mask[i] = 1.0;
                let key = key(worth(case.scores[i], true));
                assert_eq!(key >> 16 & 255, 255);
                assert!(spread > 0.0 || key >> 8 & 255 == 255);
            }
            for budget in [0.0, 100.0, 700.0] {
                check(compiler, &case, COUNTED, false, budget);
            }
        }
    });
}

fn check(
    compiler: &autorep::kernels::Compiler,
    case: &Case,
    prices: Prices,
    squares: bool,
    budget: f32,
) {
    let scalars = StepScalars {
        budget,
        ..Default::default()
    };
    let groups: &[Group] = if squares { &case.groups } else { &[] };
    let (length, sites) = (case.scores.len(), SITES.len());
    let recipe = threshold::select(compiler, length, sites, prices, groups).unwrap();
    let blocks = case.blocks.concat();
    let table: Vec<u32> = bytemuck::cast_slice(groups).to_vec();
    let states = case.states.concat();
    // As another step has left it.
    let mut cut = vec![77u32; threshold::cut_words(sites)];
    cut[2] = 3;
    let histogram = vec![0u32; threshold::histogram_words(sites)];
    let mut arguments = vec![
        Data::Uniform(bytemuck::bytes_of(&scalars)),
        Data::In(&case.scores),
        Data::InOut(&case.mask),
        Data::Words(&blocks),
        Data::InOutWords(&[5; 8]),
        Data::InOutWords(&cut),
        Data::InOutWords(&histogram),
    ];
    if squares {
        arguments.extend([Data::In(&states), Data::Words(&table)]);
    }
    let got = run(compiler, &recipe, &arguments);
    let what = format!("budget {budget} of {prices:?}, {}", compiler.tiling);
    let twin_prices = metrics::Prices {
        relu: prices.relu,
        square: prices.square,
        relu_site: prices.relu_site,
        square_site: prices.square_site,
    };
    let items = case.items(squares);
    let wanted = twin::threshold(&items, sites, &twin_prices, budget.into());
    let theta = got[5][0].to_bits();
    let cost = |least: u32| {
        let mut kept = [(0, 0); SITES.len()];
        for item in items.iter().filter(|item| key(item.worth as f32) >= least) {
            kept[item.site].0 += item.relus;
            kept[item.site].1 += item.squares;
        }
        prices.cost(kept)
    };
    // To 24 bits: nothing lies between this threshold and the twin's but what agrees with it there.
    assert!(cost(theta) <= f64::from(budget), "{what}");
    let next = items
        .iter()
        .map(|item| item.worth)
        .filter(|&w| key(w as f32) < theta);
    let next = next.fold(f64::NEG_INFINITY, f64::max);
    let is_last = next == f64::NEG_INFINITY || cost(key(next as f32) & !255) > f64::from(budget);
    assert!(is_last, "{what}: {next} could be paid for");
    if wanted.is_finite() {
        let above = key(wanted as f32);
        // Just past those that agree with it where not all of them can be paid for.
        let agree = above & !255..=(above | 255) + 1;
        assert!(
            agree.contains(&theta) || cost(theta) == cost(above),
            "{what}"
        );
    }
    let mut counts = [5u32; 8];
    for (i, site) in case.elements() {
        let keep = key(worth(case.scores[i], case.mask[i] > 0.5)) >= theta;
        assert_eq!(got[2][i], f32::from(u8::from(keep)), "mask {i}, {what}");
        counts[site] += u32::from(keep);
    }
    let found: Vec<u32> = got[4].iter().map(|v| v.to_bits()).collect();
    assert_eq!(found, counts, "{what}");
    let inside: Vec<usize> = case.elements().map(|(i, _)| i).collect();
    let padding = (0..length).filter(|i| inside.binary_search(i).is_err());
    for i in padding {
        assert_eq!(got[2][i], case.mask[i], "padding {i}, {what}");
    }
    assert!(
        got[6].iter().all(|v| v.to_bits() == 0),
        "{what}: bins are left"
    );
}
