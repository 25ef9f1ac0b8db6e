//! Many searches from one teacher: which there are, and what they say together.

use super::run::Summary;
use serde::Serialize;
use std::collections::BTreeMap;

/// One search of a sweep.
#[derive(Debug, Clone, PartialEq)]
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
    /// Every combination, seeds last: the first of each row are the first to be seen.
    ///
    /// Method `none` has one budget of its own kind, none or all: it is left out at others, and
    /// so is its repetition at the same one.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for &seed in &self.seeds {
            for method in &self.methods {
                for choice in self.choices() {
                    for budget in &self.budgets {
                        if method == "none" && !["0", "0%", "100%"].contains(&budget.as_str()) {
                            continue;
                        }
                        let mut row = vec![method.clone()];
                        row.extend(choice.iter().map(|(key, value)| {
                            let last = key.rsplit('.').next().unwrap_or(key);
                            format!("{last}-{value}")
                        }));
                        row.push(budget.clone());
                        let row = file_name(&row.join("-"));
                        let mut sets = vec![
                            format!("search.method={method}"),
                            format!("search.budget={budget}"),
                            format!("seed={seed}"),
                        ];
                        sets.extend(choice.iter().map(|(key, value)| format!("{key}={value}")));
                        entries.push(Entry {
                            name: format!("{row}-s{seed}"),
                            sets,
                            row,
                        });
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
    /// Validation accuracy, a share of 1.
    pub validation: Spread,
    /// Test accuracy, a share of 1.
    pub test: Spread,
    /// Whether no other row is at least as accurate (validation) for fewer ReLUs, or more for as
    /// many.
    pub pareto: bool,
}

/// Rows from the summaries of finished searches, fewest ReLUs first.
pub fn rows(summaries: &[(Entry, Summary)]) -> Vec<Row> {
    let mut groups: BTreeMap<&str, Vec<&Summary>> = BTreeMap::new();
    for (entry, summary) in summaries {
        groups.entry(&entry.row).or_default().push(summary);
    }
    let mut rows: Vec<Row> = groups
        .into_iter()
        .map(|(name, group)| {
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
                validation: of(&|s| s.result.val_top1),
                test: of(&|s| s.result.test_top1),
                pareto: false,
            }
        })
        .collect();
    rows.sort_by(|a, b| {
        let accuracy = b.validation.mean.total_cmp(&a.validation.mean);
        a.relus
            .cmp(&b.relus)
            .then(accuracy)
            .then(a.name.cmp(&b.name))
    });
    // Fewest ReLUs first, the most accurate of equals first: a row is on the front if it beats
    // all before it.
    let mut best = f64::NEG_INFINITY;
    for row in &mut rows {
        row.pareto = row.validation.mean > best;
        best = best.max(row.validation.mean);
    }
    rows
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
        assert_eq!(names[1], "autorep-degree-1-10pct-s7");
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
