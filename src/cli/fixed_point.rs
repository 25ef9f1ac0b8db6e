//! `autorep eval --fixed-point`: what an engine's arithmetic makes of a network.

use super::common::percent;
use crate::data::Images;
use crate::export::fold;
use crate::graph::Model;
use crate::private::{BEYOND, FixedPoint, Real, SiteRange, Truncation, evaluate, site_ranges};
use crate::profile::text::{Look, table};
use anyhow::{Result, bail};
use serde::Serialize;
use std::io::{Write, stdout};

/// What came out, in fixed point beside real numbers.
#[derive(Serialize)]
pub(super) struct Report {
    model: String,
    dataset: String,
    relu_total: usize,
    relu_count: usize,
    images: usize,
    /// Bits in all and behind the point, and how products are truncated.
    #[serde(flatten)]
    numbers: FixedPoint,
    /// With real numbers.
    top1_real: f64,
    top1: f64,
    /// Share of the images whose first class is the same.
    agreement: f64,
    /// Largest difference of a logit.
    largest_error: f64,
    /// Largest logit, with real numbers.
    largest_logit: f64,
    /// Bits that the ring must have.
    ring_needed: u32,
    /// Truncations of one image that are off by far, on the average.
    failures: f64,
    sites: Vec<SiteRow>,
}

/// A site, and all that is computed between the site before and it.
#[derive(Serialize)]
struct SiteRow {
    #[serde(flatten)]
    range: SiteRange,
    ring_needed: u32,
    failures: f64,
}

impl Report {
    /// Evaluates `images` in both ways.
    ///
    /// # Errors
    /// Where the network has no folded form.
    pub(super) fn new(
        model: &Model,
        numbers: FixedPoint,
        dataset: &str,
        images: &Images,
    ) -> Result<Self> {
        let folded = fold(model)?;
        let pixels = images.unit();
        if images.is_empty() {
            bail!("{dataset}: no image can be read; `autorep data info` says why");
        }
        let real = evaluate(&folded, &Real, &pixels);
        let fixed = evaluate(&folded, &numbers, &pixels);
        let classes = folded.classes.len();
        let [first_real, first] = [&real.logits, &fixed.logits].map(|logits| {
            let rows = logits.chunks(classes);
            rows.map(largest).collect::<Vec<usize>>()
        });
        let share = |matches: &dyn Fn(usize) -> bool| {
            (0..images.len()).filter(|&i| matches(i)).count() as f64 / images.len() as f64
        };
        let label = |index: usize| images.labels[index] as usize;
        let pairs = real.logits.iter().zip(&fixed.logits);
        // The ranges are those of real numbers: what has wrapped around no longer shows its size.
        let rows = site_ranges(&folded, &real)
            .into_iter()
            .map(|range| SiteRow {
                ring_needed: range.ring(numbers.bits),
                failures: range.failures(&numbers),
                range,
            });
        let sites: Vec<SiteRow> = rows.collect();
        Ok(Self {
            model: folded.name.clone(),
            dataset: dataset.to_owned(),
            relu_total: folded.relu_total,
            relu_count: folded.relus(),
            images: images.len(),
            numbers,
            top1_real: share(&|index| first_real[index] == label(index)),
            top1: share(&|index| first[index] == label(index)),
            agreement: share(&|index| first[index] == first_real[index]),
            largest_error: pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max),
            largest_logit: real.logits.iter().map(|v| v.abs()).fold(0.0, f64::max),
            ring_needed: sites.iter().map(|row| row.ring_needed).max().unwrap_or(0),
            failures: sites.iter().map(|row| row.failures).sum(),
            sites,
        })
    }

    /// Writes it to standard output.
    pub(super) fn print(&self, json: bool) -> Result<()> {
        let mut out = stdout().lock();
        match json {
            true => writeln!(out, "{}", serde_json::to_string_pretty(self)?)?,
            false => write!(out, "{}", self.text())?,
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} with {} of {} ReLUs on {} images of {}: {} fractional bits of {}, truncated as {} does\n\n",
            self.model,
            self.relu_count,
            self.relu_total,
            self.images,
            self.dataset,
            self.numbers.bits,
            self.numbers.ring,
            match self.numbers.truncation {
                Truncation::Shares => "CrypTen",
                Truncation::Carry => "SPU",
            },
        );
        text += &format!(
            "  top-1 {}, with real numbers {}; the same first class for {}\n",
            percent(self.top1),
            percent(self.top1_real),
            percent(self.agreement)
        );
        text += &format!(
            "  largest error of a logit {:.4}, of {:.1}\n\n",
            self.largest_error, self.largest_logit
        );
        let rows: Vec<Vec<String>> = self
            .sites
            .iter()
            .map(|row| {
                vec![
                    row.range.name.clone(),
                    format!("{:.1}", row.range.input),
                    format!("{:.1}", row.range.output),
                    format!("{:.1}", row.range.farthest),
                    percent(row.range.beyond),
                    format!("{:.1}", row.range.product),
                    row.ring_needed.to_string(),
                    format!("{:.1e}", row.failures),
                ]
            })
            .collect();
        let beyond = format!("beyond {BEYOND}");
        let head = [
            "site, and what leads to it",
            "largest |x|",
            "largest |y|",
            "largest |t|",
            beyond.as_str(),
            "largest product",
            "bits needed",
            "failed truncations an image",
        ];
        text += &table(Look::PLAIN, &head, &rows);
        text += &format!(
            "\nt is what a polynomial is given, in standard deviations of what it was fitted to, and beyond {BEYOND} \
             what lies further out.\n"
        );
        if self.ring_needed > self.numbers.ring {
            text += &format!(
                "\nNumbers leave the ring: {} bits are needed, there are {}. Take fewer fractional bits, or \
                 search with a larger --set search.range-penalty.\n",
                self.ring_needed, self.numbers.ring
            );
        }
        text
    }
}

/// Index of the largest value; the first of equals, and of those that are no numbers.
fn largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
