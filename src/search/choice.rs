//! What a search may choose among, and what it makes of its choice.

use super::methods::Method;
use super::objective::Objective;
use super::settle::{Squares, settle};
use super::strategy::Strategy;
use super::{granularity, indicator};
use crate::graph::{Layout, Tensors};
use crate::kernels::dapa::VARIANCE_FLOOR;
use crate::kernels::indicator::Rule;
use crate::kernels::squares::Group;
use crate::reference::squares::{with_square, without_square};
use crate::settings::Granularity;
use crate::step::{Scoring, SquareScoring};
use crate::train::Trainer;
use std::ops::Range;

/// What a search may choose among.
pub(super) struct Choice {
    /// Elements that are kept or dropped as one.
    pub runs: Vec<Range<usize>>,
    /// How scores are trained; `None` where there are none.
    pub scoring: Option<Scoring>,
    /// What is kept or dropped as one.
    pub granularity: Granularity,
}

impl Choice {
    pub fn new(
        trainer: &Trainer,
        method: &Method,
        strategy: &dyn Strategy,
        objective: &Objective,
    ) -> Self {
        let settings = &trainer.settings;
        let granularity = match objective.prices.relu_site > 0.0 {
            // The last ReLU of a site costs what all of them do.
            true => Granularity::Site,
            false => settings.search.granularity,
        };
        let runs = granularity::runs(&trainer.layout, granularity);
        let squares = method
            .squares(&settings.search)
            .filter(|_| objective.prices.has_squares());
        let squares = squares.map(|fit| {
            let groups = granularity::squares(&trainer.layout, granularity);
            let draws = matches!(strategy.rule(), Some(Rule::Hysteresis | Rule::Fixed));
            let scores = match draws {
                true => indicator::squares(groups.len(), settings.seed),
                // They are measured.
                false => vec![0.0; groups.len()],
            };
            SquareScoring {
                groups,
                scores,
                fit,
            }
        });
        let groups = match granularity {
            Granularity::Element => Vec::new(),
            _ => {
                let group = |run: &Range<usize>| [run.start as u32, run.len() as u32];
                runs.iter().map(group).collect()
            }
        };
        let scoring = strategy.rule().map(|rule| Scoring {
            rule,
            groups,
            prices: objective.prices,
            squares,
        });
        Self {
            runs,
            scoring,
            granularity,
        }
    }

    /// Groups of squares, where they are chosen among.
    pub fn squares(&self) -> &[Group] {
        let squares = self.scoring.as_ref().and_then(|s| s.squares.as_ref());
        squares.map_or(&[], |squares| &squares.groups)
    }

    fn squares_of(&self, states: &[[f32; 4]]) -> Squares {
        Squares {
            groups: self.squares().to_vec(),
            scores: states.iter().map(|state| state[0]).collect(),
            kept: states.iter().map(|state| state[3] > 0.5).collect(),
        }
    }

    /// The ReLUs that a search has come to, and what it costs. `states` are those of the squares, see
    /// [`PhaseResult::squares`](crate::train::phase::PhaseResult::squares).
    pub fn end(
        &self,
        layout: &Layout,
        objective: &Objective,
        tensors: &Tensors,
        states: &[[f32; 4]],
    ) -> (usize, f64) {
        let squares = self.squares_of(states);
        let cost = objective.cost(layout, &tensors.mask, &squares);
        let relu_count = tensors.kept(layout).iter().sum();
        let share = |cost: f64| 100.0 * cost / objective.full.max(1e-9);
        if self.scoring.is_some() && (cost - objective.budget).abs() > 0.1 * objective.budget {
            log::warn!(
                "the search ends at {:.2} % of the full cost where {:.2} % were allowed: what the \
                 budget is brought to now was not searched for. Search for longer \
                 (--search-epochs), or with another method",
                share(cost),
                share(objective.budget)
            );
        }
        (relu_count, cost)
    }

    /// Brings masks and squares within the budget, and if asked for spends what is left of it.
    /// `states` are those of the squares.
    pub fn settle(
        &self,
        layout: &Layout,
        objective: &Objective,
        tensors: &mut Tensors,
        states: &[[f32; 4]],
        spend: bool,
    ) {
        if self.scoring.is_none() {
            return;
        }
        let mut squares = self.squares_of(states);
        let before: usize = tensors.kept(layout).iter().sum();
        let scores = tensors.scores.clone();
        let mask = &mut tensors.mask;
        settle(
            layout,
            objective,
            &self.runs,
            &scores,
            mask,
            &mut squares,
            spend,
        );
        let after: usize = tensors.kept(layout).iter().sum();
        log::info!("the search ends with {before} ReLUs; {after} will stay");
        let fit = self
            .scoring
            .as_ref()
            .and_then(|s| s.squares.as_ref())
            .map(|s| s.fit);
        let official = fit.and_then(|fit| fit.official());
        for (group, kept) in squares.groups.iter().zip(squares.kept) {
            let moments =
                group.first_moment as usize..(group.first_moment + group.channels) as usize;
            let moments: Vec<[f32; 2]> = moments
                .map(|c| [tensors.state[2 * c], tensors.state[2 * c + 1]])
                .collect();
            for (c, [mean, variance]) in coefficients(tensors, group).zip(moments) {
                let is_line = c[3] > 0.5;
                let before = [c[0], c[1], c[2], c[3]].map(f64::from);
                let mean = f64::from(mean);
                let variance = f64::from(variance).max(VARIANCE_FLOOR);
                let after = match (kept, is_line) {
                    (false, false) => without_square(before, mean, variance),
                    (true, true) => with_square(before, mean, variance, official),
                    _ => before,
                };
                c.copy_from_slice(&after.map(|v| v as f32));
            }
        }
    }

    /// Takes the marks of lines away, which have done their work: their squares are 0.
    pub fn clear_marks(&self, tensors: &mut Tensors) {
        for group in self.squares() {
            for c in coefficients(tensors, group) {
                c[3] = 0.0;
            }
        }
    }
}

/// The coefficients of the channels of a group.
fn coefficients<'t>(
    tensors: &'t mut Tensors,
    group: &Group,
) -> impl Iterator<Item = &'t mut [f32]> {
    let first = 4 * group.first_coefficient as usize;
    let length = 4 * group.channels as usize;
    tensors.params[first..first + length].chunks_exact_mut(4)
}
