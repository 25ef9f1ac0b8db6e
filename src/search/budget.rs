//! How many ReLUs may stay, and the selection that meets that number exactly.

use crate::graph::Layout;
use crate::train::schedule::cosine;
use std::fmt;
use std::str::FromStr;

/// A number of ReLUs, or a share of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// So many.
    Count(usize),
    /// So large a share, 0…1.
    Share(f64),
}

/// Why a text is no budget, or a budget does not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// Not a number.
    #[error("`{0}` is no budget: write a count (4915, 12.9k), a share (10%) or 0")]
    Syntax(String),
    /// More than there are.
    #[error("a budget of {budget} ReLUs is above the {total} that the network has: choose less")]
    TooLarge {
        /// ReLUs asked for.
        budget: usize,
        /// ReLUs of the network.
        total: usize,
    },
}

impl FromStr for Budget {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let syntax = || BudgetError::Syntax(text.to_owned());
        let trimmed = text.trim().to_lowercase();
        let number = |digits: &str| -> Result<f64, BudgetError> {
            let value: f64 = digits.trim().parse().map_err(|_| syntax())?;
            if value.is_finite() && value >= 0.0 {
                Ok(value)
            } else {
                Err(syntax())
            }
        };
        if let Some(digits) = trimmed.strip_suffix('%') {
            let share = number(digits)? / 100.0;
            return if share <= 1.0 {
                Ok(Budget::Share(share))
            } else {
                Err(syntax())
            };
        }
        let (digits, unit) = match trimmed.strip_suffix(['k', 'm']) {
            Some(digits) if trimmed.ends_with('k') => (digits, 1e3),
            Some(digits) => (digits, 1e6),
            None => (trimmed.as_str(), 1.0),
        };
        let count = number(digits)? * unit;
        // 12.9k is a whole number of ReLUs; 12.9 is none.
        if (count - count.round()).abs() > 1e-6 || count > 1e15 {
            return Err(syntax());
        }
        Ok(Budget::Count(count.round() as usize))
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Budget::Count(count) => write!(f, "{count}"),
            Budget::Share(share) => write!(f, "{}%", 100.0 * share),
        }
    }
}

impl Budget {
    /// The number of ReLUs for a network that has `total`; a share is rounded down.
    ///
    /// # Errors
    /// [`BudgetError::TooLarge`].
    pub fn resolve(self, total: usize) -> Result<usize, BudgetError> {
        let budget = match self {
            Budget::Count(count) => count,
            // 10 % of 57,344 in floating point must not fall below 5,734.
            Budget::Share(share) => (share * total as f64 + 1e-6).floor() as usize,
        };
        if budget > total {
            return Err(BudgetError::TooLarge { budget, total });
        }
        Ok(budget)
    }
}

/// The target at `step` of `steps`: it falls from `total` along half a cosine and has reached
/// `budget` after the share `anneal` of the steps. With `anneal` 0 it is the budget throughout.
pub fn target(step: u64, steps: u64, total: usize, budget: usize, anneal: f64) -> usize {
    let ramp = anneal * steps as f64;
    if ramp < 1.0 || step as f64 >= ramp {
        return budget;
    }
    let share = cosine((step as f64 + 1.0) / ramp, 0.0);
    budget + (share * (total - budget) as f64).round() as usize
}

/// Makes `mask` keep exactly `budget` elements: superfluous ones go in the order of their
/// scores, lowest first; missing ones come back, highest first. Equal scores go by position,
/// so the selection is reproducible. Padding between sites is never touched.
pub fn meet_exactly(layout: &Layout, scores: &[f32], mask: &mut [f32], budget: usize) {
    let elements: Vec<usize> = layout.sites.iter().flat_map(|site| site.range()).collect();
    let kept = elements.iter().filter(|&&i| mask[i] != 0.0).count();
    let (from, to, count) = if kept > budget {
        (true, 0.0, kept - budget)
    } else {
        (false, 1.0, budget - kept)
    };
    let mut candidates: Vec<usize> = elements;
    candidates.retain(|&i| (mask[i] != 0.0) == from);
    candidates.sort_by(|&a, &b| {
        let order = scores[a].total_cmp(&scores[b]);
        let order = if from { order } else { order.reverse() };
        order.then(a.cmp(&b))
    });
    for &i in candidates.iter().take(count) {
        mask[i] = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ModelSpec;
    use crate::reference::random::random;

    #[test]
    fn budgets_are_read_as_people_write_them() {
        let parse = |text: &str| text.parse::<Budget>();
        assert_eq!(parse("12.9k"), Ok(Budget::Count(12_900)));
        assert_eq!(parse("12.9K"), Ok(Budget::Count(12_900)));
        assert_eq!(parse("4915"), Ok(Budget::Count(4915)));
        assert_eq!(parse("0"), Ok(Budget::Count(0)));
        assert_eq!(parse("0.5m"), Ok(Budget::Count(500_000)));
        assert_eq!(parse(" 10 % "), Ok(Budget::Share(0.1)));
        for bad in [
            "", "k", "%", "-1", "1e400", "nan", "12.5", "101%", "ten", "1kk", "-0.1%",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shares_round_down_and_totals_bound() {
        assert_eq!(Budget::Share(0.1).resolve(57_344), Ok(5734));
        assert_eq!(Budget::Share(0.1).resolve(100), Ok(10));
        assert_eq!(Budget::Share(1.0).resolve(57_344), Ok(57_344));
        assert!(Budget::Count(57_345).resolve(57_344).is_err());
    }

    #[test]
    fn the_target_falls_to_the_budget_and_stays() {
        let at = |step| target(step, 1000, 5000, 500, 0.6);
        assert!(at(0) > 4900);
        assert!((0..1000).all(|step| at(step) >= at(step + 1)));
        assert!((600..1000).all(|step| at(step) == 500));
        assert_eq!(target(0, 1000, 5000, 500, 0.0), 500);
    }

    #[test]
    fn any_mask_meets_any_budget_with_the_best_scores() {
        let spec = ModelSpec {
            name: "resnet8".into(),
            width: 0.25,
            input: (9, 7),
            classes: 3,
        };
        let network = spec.build().unwrap();
        let layout = Layout::new(&network);
        let total = network.relu_total();
        for case in 0..40u32 {
            let draw = |i: usize, purpose| random(case, 0, i as u32, purpose);
            // Few distinct scores, so that ties occur.
            let scores: Vec<f32> = (0..layout.elements)
                .map(|i| (draw(i, 0) % 50) as f32 - 25.0)
                .collect();
            let mut mask = vec![0f32; layout.elements];
            let density = draw(0, 1) % 5;
            for site in &layout.sites {
                for i in site.range() {
                    mask[i] = f32::from(u8::from(draw(i, 2) % 4 < density));
                }
            }
            let before = mask.clone();
            let budget = match case % 4 {
                0 => 0,
                1 => total,
                _ => draw(1, 3) as usize % total,
            };
            meet_exactly(&layout, &scores, &mut mask, budget);
            assert_eq!(mask.iter().filter(|m| **m != 0.0).count(), budget);
            let inside: Vec<usize> = layout.sites.iter().flat_map(|s| s.range()).collect();
            assert!((0..mask.len()).all(|i| inside.contains(&i) || mask[i] == 0.0));
            // Whatever changed, nothing better of the same kind was passed over.
            let changed = |i: &&usize| mask[**i] != before[**i];
            for &i in inside.iter().filter(changed) {
                for &j in &inside {
                    if before[j] == before[i] && mask[j] == before[j] {
                        let better = if mask[i] == 1.0 {
                            scores[i] >= scores[j]
                        } else {
                            scores[i] <= scores[j]
                        };
                        assert!(better, "case {case}: {i} changed, {j} did not");
                    }
                }
            }
        }
    }
}
