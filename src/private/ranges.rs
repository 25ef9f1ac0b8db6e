//! How large numbers grow from one activation site to the next, which decides how many bits an engine
//! needs.

#[cfg(doc)]
use super::evaluate::BEYOND;
use super::evaluate::{Evaluation, Range};
use super::folded::{Folded, FoldedOp};
use super::numbers::FixedPoint;
use serde::Serialize;

/// The numbers of an activation site, and of all that is computed between the site before and it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SiteRange {
    /// The site's name; of what follows the last site, that of the last layer.
    pub name: String,
    /// Largest |x| that enters the site.
    pub input: f64,
    /// Largest |y| that leaves it.
    pub output: f64,
    /// Largest product, or sum of products, that is brought back to scale.
    pub product: f64,
    /// Sum of all products' sizes for one image, on the average.
    pub products: f64,
    /// Share of what its polynomials are given that lies beyond [`BEYOND`] standard deviations of what
    /// they were fitted to; 0 where there are none.
    pub beyond: f64,
    /// Largest distance from the mean of that, in these deviations.
    pub farthest: f64,
}

impl SiteRange {
    /// Bits that a ring must have for the products, with twice the fractional `bits` and a sign.
    pub fn ring(&self, bits: u32) -> u32 {
        let whole = self.product.max(1.0).log2().ceil();
        // What is no number has overflowed any ring.
        if !whole.is_finite() {
            return u32::MAX;
        }
        whole as u32 + 2 * bits + 1
    }

    /// Truncations that are off by far, of one image, on the average.
    pub fn failures(&self, numbers: &FixedPoint) -> f64 {
        match self.products > 0.0 {
            // A chance is proportional to the size: the sum of chances to the sum of sizes.
            true => numbers.failure(1.0) * self.products,
            false => 0.0,
        }
    }
}

/// The ranges of a network's sites, in order, and of what follows the last.
pub fn site_ranges(folded: &Folded, evaluation: &Evaluation) -> Vec<SiteRange> {
    let mut sites = Vec::new();
    let mut since = Range::default();
    let steps = folded.steps.iter().zip(&evaluation.ranges).enumerate();
    let last = folded.steps.len().saturating_sub(1);
    for (index, (step, range)) in steps {
        since.product = since.product.max(range.product);
        since.products += range.products;
        let is_site = matches!(step.op, FoldedOp::Site(_));
        if is_site || index == last {
            let input = step.inputs.first().map(|&input| evaluation.ranges[input]);
            let measured = is_site && range.fitted > 0.0;
            sites.push(SiteRange {
                name: step.name.clone(),
                input: input.unwrap_or_default().value,
                output: range.value,
                product: since.product,
                products: since.products,
                beyond: if measured {
                    range.beyond / range.fitted
                } else {
                    0.0
                },
                farthest: if measured { range.farthest } else { 0.0 },
            });
            since = Range::default();
        }
    }
    sites
}
