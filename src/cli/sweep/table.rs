//! What a sweep has come to, for people and as `sweep.json`.

use super::standing::{State, Unfinished};
use crate::cli::common::{load_result, percent};
use crate::files::write_atomic;
use crate::report::published::Published;
use crate::run::model_file::{self, Unpacked};
use crate::run::summary::Summary;
use crate::search::agreement::Overlap;
use crate::search::sweep::{Row, Spread};
use anyhow::Result;
use serde::Serialize;
use std::io::{self, Write, stdout};
use std::path::Path;

/// Unfinished runs that are named on a terminal; `sweep.json` has all.
const NAMED: usize = 20;

/// `sweep.json`.
#[derive(Serialize)]
pub struct Table {
    /// Searches that were asked for.
    pub searches: usize,
    /// Those that are done.
    pub finished: usize,
    /// What they came to.
    pub rows: Vec<Row>,
    /// What others published.
    pub published: Vec<Comparison>,
    /// What is not done.
    pub unfinished: Vec<Unfinished>,
}

/// What others published for as many ReLUs as a row has.
#[derive(Serialize)]
pub struct Comparison {
    row: String,
    method: String,
    /// Whose ReLUs they were.
    model: String,
    /// Top-1, a share of 1, read between the published points.
    test: f64,
}

/// Comparisons of rows with the published curves for the data set of a search, if there are any.
pub fn published(folder: &Path, summary: &Summary, rows: &[Row]) -> Result<Vec<Comparison>> {
    let published = Published::load()?;
    let Unpacked { model, spec, .. } = model_file::unpack(load_result(folder)?)?;
    let dataset = published.dataset(&summary.dataset, spec.input, &model.classes);
    let curves = dataset.into_iter().flat_map(|set| published.curves(set));
    let comparisons = curves.flat_map(|curve| {
        rows.iter().filter_map(|row| {
            Some(Comparison {
                row: row.name.clone(),
                method: curve.method.clone(),
                model: curve.model.clone(),
                test: curve.at(row.relus as f64)? / 100.0,
            })
        })
    });
    Ok(comparisons.collect())
}

impl Table {
    /// Names of what is not done and stands like this.
    pub fn named(&self, state: State) -> Vec<&str> {
        let runs = self.unfinished.iter().filter(|run| run.state == state);
        runs.map(|run| run.name.as_str()).collect()
    }

    /// Writes `sweep.json`.
    pub fn write(&self, out: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(write_atomic(&out.join("sweep.json"), text.as_bytes())?)
    }

    /// Prints it for people.
    pub fn print(&self, out: &Path) -> io::Result<()> {
        let spread = |spread: Spread| match spread.deviation {
            Some(deviation) => format!("{} ± {:.2}", percent(spread.mean), 100.0 * deviation),
            None => percent(spread.mean),
        };
        let width = self
            .rows
            .iter()
            .map(|row| row.name.len())
            .max()
            .unwrap_or(0)
            .max(6);
        let mut to = stdout();
        let mut unit = "";
        for row in &self.rows {
            if row.unit != unit {
                unit = &row.unit;
                writeln!(
                    to,
                    "\n  {:<width$} {:>5} {:>9} {:>9} {:>9} {:>16} {:>16} {:>9}   (cost in {unit})",
                    "search", "seeds", "ReLUs", "squares", "cost", "validation", "test", "overlap"
                )?;
            }
            writeln!(
                to,
                "{} {:<width$} {:>5} {:>9} {:>9.0} {:>9.0} {:>16} {:>16} {:>9}",
                if row.pareto { '*' } else { ' ' },
                row.name,
                row.seeds.len(),
                row.relus,
                row.squares,
                row.cost,
                spread(row.validation),
                spread(row.test),
                match row.overlap {
                    Some(Overlap { share, chance }) => format!("{share:.2}/{chance:.2}"),
                    None => String::new(),
                }
            )?;
        }
        if !self.published.is_empty() {
            writeln!(to, "\nPublished, for as many ReLUs:")?;
        }
        for other in &self.published {
            writeln!(
                to,
                "  {:<width$} {}{}: {}",
                other.row,
                other.method,
                match other.model.as_str() {
                    "" => " on a network of its own".to_owned(),
                    model => format!(" on {model}"),
                },
                percent(other.test)
            )?;
        }
        self.print_unfinished(&mut to)?;
        writeln!(
            to,
            "\n* no other row costs as little and is as accurate on the validation images\n\
         overlap: what two seeds keep alike, and what chance would\n\
         {} of {} searches are done; written to {}",
            self.finished,
            self.searches,
            out.display()
        )
    }

    /// Prints what is not done, what needs somebody first.
    fn print_unfinished(&self, to: &mut dyn Write) -> io::Result<()> {
        let states = [
            (State::Failed, "failed"),
            (
                State::OtherSettings,
                "made with other settings: move them away, or sweep into another --out",
            ),
            (State::Stopped, "stopped"),
            (State::Running, "running"),
            (State::NotBegun, "not begun"),
        ];
        for (state, title) in states {
            let of_state = || self.unfinished.iter().filter(|run| run.state == state);
            let count = of_state().count();
            if count > 0 {
                writeln!(to, "\n{count} {title}")?;
            }
            for run in of_state().take(NAMED) {
                let last = run.last.as_deref().unwrap_or_default();
                writeln!(to, "{}", format!("  {}  {last}", run.name).trim_end())?;
            }
            if count > NAMED {
                writeln!(to, "  and {} more, all in sweep.json", count - NAMED)?;
            }
        }
        Ok(())
    }
}
