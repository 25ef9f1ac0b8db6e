//! How much may stay: as people write it, and how the target falls to it.

use crate::train::schedule::cosine;
use std::fmt;
use std::str::FromStr;

/// What an image may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// So many ReLUs.
    Count(usize),
    /// So large a share of the ReLUs, 0…1.
    Share(f64),
    /// Bytes that a party sends, online.
    Bytes(f64),
    /// Rounds of communication.
    Rounds(f64),
    /// Time spent on communication.
    Milliseconds(f64),
}

/// Why a text is no budget, or a budget does not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// Not a number.
    #[error(
        "`{0}` is no budget: write a count of ReLUs (4915, 12.9k), a share (10%) or 0; at the \
         prices of a protocol bytes (400kB), rounds (15rounds) or time (20ms)"
    )]
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
            // `000` is what a list makes of 1,000.
            let digits = digits.trim();
            if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
                return Err(syntax());
            }
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
        type Make = fn(f64) -> Budget;
        let units: [(&str, f64, Make); 8] = [
            ("rounds", 1.0, Budget::Rounds),
            ("round", 1.0, Budget::Rounds),
            ("ms", 1.0, Budget::Milliseconds),
            ("s", 1e3, Budget::Milliseconds),
            ("kb", 1e3, Budget::Bytes),
            ("mb", 1e6, Budget::Bytes),
            ("gb", 1e9, Budget::Bytes),
            ("b", 1.0, Budget::Bytes),
        ];
        for (suffix, unit, make) in units {
            if let Some(digits) = trimmed.strip_suffix(suffix) {
                let value = number(digits)? * unit;
                return if value.is_finite() {
                    Ok(make(value))
                } else {
                    Err(syntax())
                };
            }
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
            Budget::Bytes(bytes) => write!(f, "{bytes}B"),
            Budget::Rounds(rounds) => write!(f, "{rounds}rounds"),
            Budget::Milliseconds(time) => write!(f, "{time}ms"),
        }
    }
}

impl Budget {
    /// The number of ReLUs for a network that has `total`; a share is rounded down. Budgets in
    /// other units bound no number: all may stay.
    ///
    /// # Errors
    /// [`BudgetError::TooLarge`].
    pub fn resolve(self, total: usize) -> Result<usize, BudgetError> {
        let budget = match self {
            Budget::Count(count) => count,
            // 10 % of 57,344 in floating point must not fall below 5,734.
            Budget::Share(share) => (share * total as f64 + 1e-6).floor() as usize,
            Budget::Bytes(_) | Budget::Rounds(_) | Budget::Milliseconds(_) => total,
        };
        if budget > total {
            return Err(BudgetError::TooLarge { budget, total });
        }
        Ok(budget)
    }
}

/// The target at `step` of `steps`: it falls from `full` along half a cosine and has reached
/// `budget` after the share `anneal` of the steps. With `anneal` 0 it is the budget throughout.
pub fn target(step: u64, steps: u64, full: f64, budget: f64, anneal: f64) -> f64 {
    let ramp = anneal * steps as f64;
    if ramp < 1.0 || step as f64 >= ramp {
        return budget;
    }
    let share = cosine((step as f64 + 1.0) / ramp, 0.0);
    budget + share * (full - budget)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_people_write_them() {
        let parse = |text: &str| text.parse::<Budget>();
        assert_eq!(parse("12.9k"), Ok(Budget::Count(12_900)));
        assert_eq!(parse("12.9K"), Ok(Budget::Count(12_900)));
        assert_eq!(parse("4915"), Ok(Budget::Count(4915)));
        assert_eq!(parse("0"), Ok(Budget::Count(0)));
        assert_eq!(parse("0.5m"), Ok(Budget::Count(500_000)));
        assert_eq!(parse(" 10 % "), Ok(Budget::Share(0.1)));
        assert_eq!(parse("400kB"), Ok(Budget::Bytes(400e3)));
        assert_eq!(parse("1.5 MB"), Ok(Budget::Bytes(1.5e6)));
        assert_eq!(parse("15 rounds"), Ok(Budget::Rounds(15.0)));
        assert_eq!(parse("20ms"), Ok(Budget::Milliseconds(20.0)));
        assert_eq!(parse("1.5s"), Ok(Budget::Milliseconds(1500.0)));
        for bad in [
            "", "k", "%", "-1", "1e400", "nan", "12.5", "101%", "ten", "1kk", "-0.1%", "b", "-1kB",
            "nanms", "rounds", "1e308GB",
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
        let at = |step| target(step, 1000, 5000.0, 500.0, 0.6);
        assert!(at(0) > 4900.0);
        assert!((0..1000).all(|step| at(step) >= at(step + 1)));
        assert!((600..1000).all(|step| at(step) == 500.0));
        assert_eq!(target(0, 1000, 5000.0, 500.0, 0.0), 500.0);
    }
}
