//! What changed between two measurements.

use super::statistics::ratio;

/// One thing that both measurements, or one of them, took the time of.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Seconds before; `None` where it is new.
    pub before: Option<f64>,
    /// Seconds after; `None` where it is gone.
    pub after: Option<f64>,
}

/// Times that differ by less than this share are called the same.
pub const SAME: f64 = 0.03;

/// How a time changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Less time than before.
    Faster,
    /// More time than before.
    Slower,
    /// About the same.
    Same,
    /// There was nothing before.
    New,
    /// There is nothing any more.
    Gone,
}

impl Change {
    /// Time after over time before, where there are both.
    pub fn ratio(&self) -> Option<f64> {
        let (before, after) = self.before.zip(self.after)?;
        (before > 0.0).then(|| ratio(after, before))
    }

    /// Seconds more than before.
    pub fn difference(&self) -> f64 {
        self.after.unwrap_or(0.0) - self.before.unwrap_or(0.0)
    }

    /// How the time changed.
    pub fn verdict(&self) -> Verdict {
        match (self.before, self.after, self.ratio()) {
            (None, _, _) => Verdict::New,
            (_, None, _) => Verdict::Gone,
            (_, _, Some(ratio)) if ratio < 1.0 - SAME => Verdict::Faster,
            (_, _, Some(ratio)) if ratio > 1.0 + SAME => Verdict::Slower,
            _ => Verdict::Same,
        }
    }
}

/// Pairs the times of the same names; the largest differences come first.
pub fn changes<'a>(
    before: impl IntoIterator<Item = (&'a str, f64)>,
    after: impl IntoIterator<Item = (&'a str, f64)>,
) -> Vec<Change> {
    let mut changes: Vec<Change> = before
        .into_iter()
        .map(|(name, seconds)| Change {
            name: name.to_owned(),
            before: Some(seconds),
            after: None,
        })
        .collect();
    for (name, seconds) in after {
        match changes.iter_mut().find(|change| change.name == name) {
            Some(change) => change.after = Some(seconds),
            None => changes.push(Change {
                name: name.to_owned(),
                before: None,
                after: Some(seconds),
            }),
        }
    }
    changes.sort_by(|a, b| b.difference().abs().total_cmp(&a.difference().abs()));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_paired_judged_and_sorted() {
        let before = [
            ("gate", 0.010),
            ("conv", 0.100),
            ("pool", 0.004),
            ("old", 0.002),
        ];
        let after = [
            ("conv", 0.080),
            ("gate", 0.0102),
            ("pool", 0.005),
            ("new", 0.003),
        ];
        let changes = changes(before, after);
        let names: Vec<&str> = changes.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["conv", "new", "old", "pool", "gate"]);
        let verdicts: Vec<Verdict> = changes.iter().map(Change::verdict).collect();
        use Verdict::*;
        assert_eq!(verdicts, [Faster, New, Gone, Slower, Same]);
        assert!((changes[0].ratio().unwrap() - 0.8).abs() < 1e-12);
        assert!((changes[0].difference() + 0.02).abs() < 1e-12);
        assert_eq!(changes[1].ratio(), None);
    }
}
