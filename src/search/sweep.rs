//! Many searches from one teacher: which there are, and what they say together.

use super::agreement::{Kept, Overlap, overlap};
use super::budget::Budget;
use super::methods;
use crate::run::summary::Summary;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// One search of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Name of its folder: method, what is varied, budget, seed.
    pub name: String,
    /// Settings over those of the sweep, as `key=value`.
    pub sets: Vec<String>,
    /// What it shares with its repetitions under other seeds.
    pub row: String,
}

/// What a sweep varies.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grid {
    /// Methods.
    pub methods: Vec<String>,
    /// Settings and their values, as (`search.degree`, [`1`, `2`]).
    pub varied: Vec<(String, Vec<String>)>,
    /// Budgets.
    pub budgets: Vec<String>,
    /// Seeds.
    pub seeds: Vec<u32>,
}

impl Grid {
    /// Every combination once, seeds last: the first of each row are the first to be seen.
    /// A method that does not search keeps all or none: it is left out at other budgets.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut names = HashSet::new();
        for &seed in &self.seeds {
            for method in &self.methods {
                for choice in self.choices() {
                    for budget in &self.budgets {
                        let chooses = methods::find(method).is_ok_and(|method| method.searches);
                        if !chooses && !is_all_or_none(budget) {
                            continue;
                        }
                        let mut row = vec![method.clone()];
                        row.extend(choice.iter().map(|(key, value)| format!("{key}-{value}")));
                        row.push(budget.clone());
                        let row = file_name(&row.join("-"));
                        let mut sets = vec![
                            format!("search.method={method}"),
                            format!("search.budget={budget}"),
                            format!("seed={seed}"),
                        ];
                        sets.extend(choice.iter().map(|(key, value)| format!("{key}={value}")));
                        let name = format!("{row}-s{seed}");
                        if names.insert(name.clone()) {
                            entries.push(Entry { name, sets, row });
                        }
                    }
                }
            }
        }
        entries
    }

    /// Every combination of the varied settings.
    fn choices(&self) -> Vec<Vec<(String, String)>> {
        let mut choices = vec![Vec::new()];
        for (key, values) in &self.varied {
            choices = choices
                .into_iter()
                .flat_map(|choice: Vec<(String, String)>| {
                    values.iter().map(move |value| {
                        let mut longer = choice.clone();
                        longer.push((key.clone(), value.clone()));
                        longer
                    })
                })
                .collect();
        }
        choices
    }
}

fn is_all_or_none(budget: &str) -> bool {
    match budget.parse() {
        Ok(Budget::Count(count)) => count == 0,
        Ok(Budget::Share(share)) => share == 0.0 || share == 1.0,
        _ => false,
    }
}

/// A text as part of a file's name on any system.
fn file_name(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let percent = text.replace('%', "pct");
    percent
        .chars()
        .map(|c| if safe(c) { c } else { '_' })
        .collect()
}

/// Mean and spread of a value over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation of the sample (n − 1); `None` for a single value.
    pub deviation: Option<f64>,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        Self {
            mean,
            deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
        }
    }
}

/// A row of a sweep's table: the same search under several seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Method, what is varied, budget.
    pub name: String,
    /// Seeds that are done.
    pub seeds: Vec<u32>,
    /// ReLUs kept, the most of all seeds.
    pub relus: usize,
    /// Squares kept, the mean.
    pub squares: f64,
    /// What the activations cost, the most of all seeds, in the unit of the budget.
    pub cost: f64,
    /// The unit: `ReLUs`, or bytes, rounds or ms in a protocol.
    pub unit: String,
    /// Validation accuracy, a share of 1.
    pub validation: Spread,
    /// Test accuracy, a share of 1.
    pub test: Spread,
    /// What its seeds keep alike, in the mean of all pairs, and what chance would; `None` for a
    /// single seed and where nothing is chosen.
    pub overlap: Option<Overlap>,
    /// Whether no other row with this unit is as accurate (validation) at a lower cost, or more at
    /// the same.
    pub pareto: bool,
}

/// A search of a sweep that is done.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Which it is.
    pub entry: Entry,
    /// What became of it.
    pub summary: Summary,
    /// Which elements of the network have kept their ReLU.
    pub kept: Kept,
}

/// The mean over all pairs of a search's seeds.
fn mean_overlap(group: &[&Finished]) -> Option<Overlap> {
    let pairs = group.iter().enumerate().flat_map(|(index, a)| {
        let others = group[index + 1..].iter();
        others.filter_map(|b| overlap(&a.kept, &b.kept))
    });
    let pairs: Vec<Overlap> = pairs.collect();
    let mean = |of: fn(&Overlap) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    (!pairs.is_empty()).then(|| Overlap {
        share: mean(|pair| pair.share),
        chance: mean(|pair| pair.chance),
    })
}

/// Rows from searches that are done, by unit, the cheapest first.
pub fn rows(searches: &[Finished]) -> Vec<Row> {
    let mut groups: BTreeMap<&str, Vec<&Finished>> = BTreeMap::new();
    for search in searches {
        groups.entry(&search.entry.row).or_default().push(search);
    }
    let mut rows: Vec<Row> = groups
        .into_iter()
        .map(|(name, members)| {
            let group: Vec<&Summary> = members.iter().map(|search| &search.summary).collect();
            let of = |value: &dyn Fn(&Summary) -> f64| {
                Spread::of(
                    &group
                        .iter()
                        .map(|summary| value(summary))
                        .collect::<Vec<_>>(),
                )
            };
            let squares = |s: &Summary| s.sites.iter().map(|site| site.squares as f64).sum();
            Row {
                name: name.to_owned(),
                seeds: group.iter().map(|summary| summary.seed).collect(),
                relus: group.iter().map(|s| s.relu_count).max().unwrap_or(0),
                squares: of(&squares).mean,
                cost: group.iter().map(|s| cost(s)).fold(0.0, f64::max),
                unit: group.first().map_or(String::new(), |s| unit(s)),
                validation: of(&|s| s.result.val_top1),
                test: of(&|s| s.result.test_top1),
                overlap: mean_overlap(&members),
                pareto: false,
            }
        })
        .collect();
    rows.sort_by(|a, b| {
        let accuracy = b.validation.mean.total_cmp(&a.validation.mean);
        let cost = a.unit.cmp(&b.unit).then(a.cost.total_cmp(&b.cost));
        cost.then(accuracy).then(a.name.cmp(&b.name))
    });
    // The cheapest first, the most accurate of equals first: a row is on the front if it beats all
    // before it.
    let mut best: HashMap<String, f64> = HashMap::new();
    for row in &mut rows {
        let best = best.entry(row.unit.clone()).or_insert(f64::NEG_INFINITY);
        row.pareto = row.validation.mean > *best;
        *best = best.max(row.validation.mean);
    }
    rows
}

fn cost(summary: &Summary) -> f64 {
    let spent = summary.spent.as_ref();
    spent.map_or(summary.relu_count as f64, |spent| spent.cost)
}

/// What a budget is counted in.
fn unit(summary: &Summary) -> String {
    let given = summary.spent.as_ref().map(|spent| spent.given.parse());
    let unit = match given {
        Some(Ok(Budget::Bytes(_))) => "bytes",
        Some(Ok(Budget::Rounds(_))) => "rounds",
        Some(Ok(Budget::Milliseconds(_))) => "ms",
        _ => return "ReLUs".into(),
    };
    format!("{unit}, {}", summary.cost.as_deref().unwrap_or("relu"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let list = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
        Grid {
            methods: list(&["autorep", "none"]),
            varied: vec![("search.degree".into(), list(&["1", "2"]))],
            budgets: list(&["12.9k", "10%", "0"]),
            seeds: vec![7, 8],
        }
    }

    #[test]
    fn a_grid_is_every_combination_under_a_name_of_its_own() {
        let entries = grid().entries();
        // Two seeds, two degrees, three budgets of autorep and one of none.
        assert_eq!(entries.len(), 2 * 2 * (3 + 1));
        let mut names: Vec<&str> = entries.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names[1], "autorep-search.degree-1-10pct-s7");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), entries.len());
        let sets = [
            "search.method=autorep",
            "search.budget=10%",
            "seed=7",
            "search.degree=1",
        ];
        assert_eq!(entries[1].sets, sets);
        assert!(entries[..8].iter().all(|entry| entry.name.ends_with("s7")));
        let twice = Grid {
            budgets: vec!["0".into(), "0".into(), "100.0%".into(), "7".into()],
            ..grid()
        };
        let none = twice
            .entries()
            .into_iter()
            .filter(|e| e.row.starts_with("none"));
        assert_eq!(none.count(), 2 * 2 * 2, "0 and 100.0%, once each");
        assert_eq!(file_name("a/b\\c:d 1%"), "a_b_c_d_1pct");
    }

    #[test]
    fn spread_is_that_of_a_sample() {
        let spread = Spread::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(spread.mean, 2.5);
        assert!((spread.deviation.unwrap() - (5.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(&[0.5]).deviation, None);
    }
}
