//! How wide the inputs of the activation sites spread, and whether they run away.
//!
//! Where polynomials stand for ReLUs an outlier of one layer is squared into the next. What then
//! grows is seen in the running moments of the sites long before the loss is: each site's spread
//! should be that of the one before, give or take a small factor.

use crate::graph::{Activations, Layout, Model};
use crate::kernels::dapa::Form;
use crate::private::{Real, evaluate, fold};
use crate::step::Evaluation;

/// A site's inputs, as the running moments have them.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteHealth {
    /// Name of the site.
    pub site: String,
    /// Root mean square of the inputs' deviation from their channel's mean.
    pub spread: f64,
    /// Its ratio to that of the site before; 1 for the first.
    pub gain: f64,
    /// Largest kurtosis of a channel: 3 in a normal distribution, large where there are outliers.
    /// Measured where polynomials follow it.
    pub kurtosis: f64,
}

/// Gains above this are not those of a trained network.
const MOST_GAIN: f64 = 30.0;

/// The health of all sites, from the state arena; nothing where no polynomial is fitted.
pub fn sites(layout: &Layout, state: &[f32], activations: &Activations) -> Vec<SiteHealth> {
    if !matches!(activations, Activations::Gate { fit: Some(_), .. }) {
        return Vec::new();
    }
    let mut before: Option<f64> = None;
    let sites = layout.sites.iter();
    sites
        .map(|site| {
            let values = |slot: usize| &state[layout.state.slots[slot].range()];
            let variances = values(site.moments)
                .chunks_exact(2)
                .map(|m| f64::from(m[1]));
            let channels = site.shape.channels as f64;
            let spread = (variances.sum::<f64>() / channels).sqrt();
            let kurtoses = values(site.kurtosis).iter().map(|&k| f64::from(k));
            let gain = before.map_or(1.0, |before| spread / before.max(1e-6));
            before = Some(spread);
            SiteHealth {
                site: site.name.clone(),
                spread,
                gain,
                kurtosis: kurtoses.fold(0.0, f64::max),
            }
        })
        .collect()
}

/// What makes the loss of an evaluation infinite or not a number, as the subject of a sentence: the first
/// tensor that is not finite, or the first layer whose values `f32` does not hold, on grey images.
pub fn culprit(model: &Model) -> String {
    let arenas = [
        (&model.layout.params, &model.tensors.params),
        (&model.layout.state, &model.tensors.state),
    ];
    for (arena, values) in arenas {
        let is_bad = |values: &[f32]| values.iter().any(|value| !value.is_finite());
        let mut slots = arena.slots.iter();
        if let Some(slot) = slots.find(|slot| is_bad(&values[slot.range()])) {
            return format!("`{}`", slot.name);
        }
    }
    let Ok(folded) = fold(model) else {
        return "some layer's output".into();
    };
    let images: Vec<f32> = vec![0.25; folded.input().len()];
    let ranges = evaluate(&folded, &Real, &images).ranges;
    let mut steps = folded.steps.iter().zip(ranges);
    let overflows = |value: f64| value.is_nan() || value > f64::from(f32::MAX);
    match steps.find(|(_, range)| overflows(range.value) || overflows(range.product)) {
        Some((step, _)) => format!("the output of layer `{}`", step.name),
        None => "some layer's output".into(),
    }
}

/// The first site whose inputs spread far wider than those of the site before.
pub fn runaway(sites: &[SiteHealth]) -> Option<&SiteHealth> {
    sites.iter().find(|site| site.gain > MOST_GAIN)
}

/// The site that comes nearest to it.
pub fn widest(sites: &[SiteHealth]) -> Option<&SiteHealth> {
    sites.iter().max_by(|a, b| a.gain.total_cmp(&b.gain))
}

/// What keeps a network with such activations from blowing up, in words.
pub fn advice(activations: &Activations) -> &'static str {
    match activations {
        Activations::Gate { fit: Some(fit), .. } if fit.form == Form::Hermite => {
            "--degree 1, a larger budget"
        }
        _ => "polynomials that stay bounded, --polynomial hermite",
    }
}

/// Whether a network has forgotten all that its teacher knew, and not for want of training: it
/// guesses, and its cross-entropy, on the held-out images or on average over the epoch that led
/// there (`trained_ce`), is far above that of guessing.
pub fn has_collapsed(
    result: &Evaluation,
    trained_ce: f64,
    teacher_top1: f64,
    classes: usize,
) -> bool {
    let chance = 1.0 / classes as f64;
    let guesses = result.top1 < 1.5 * chance;
    // Not a number is no small loss, either, nor is that of the few images which are not astray.
    let is_sane = |loss: f64| loss <= 3.0 * (classes as f64).ln();
    let is_lost = 2 * result.astray > result.images;
    let is_wild = is_lost || !is_sane(result.loss) || !is_sane(trained_ce);
    guesses && is_wild && teacher_top1 > 3.0 * chance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(gain: f64) -> SiteHealth {
        SiteHealth {
            site: format!("site of gain {gain}"),
            spread: 1.0,
            gain,
            kurtosis: 3.0,
        }
    }

    #[test]
    fn the_first_site_that_runs_away_is_named() {
        let sound = [site(1.0), site(2.5), site(0.4)];
        assert_eq!(runaway(&sound), None);
        assert_eq!(widest(&sound), Some(&sound[1]));
        let sick = [site(1.0), site(50.0), site(900.0)];
        assert_eq!(runaway(&sick), Some(&sick[1]));
    }

    #[test]
    fn a_collapse_is_told_from_a_slow_start() {
        let result = |top1, loss| Evaluation {
            top1,
            loss,
            ..Default::default()
        };
        assert!(has_collapsed(&result(0.1, 60_410.0), 2.3, 0.52, 10));
        assert!(has_collapsed(&result(0.1, f64::NAN), 2.3, 0.52, 10));
        let astray = Evaluation {
            astray: 300,
            images: 500,
            ..result(0.1, 2.3)
        };
        assert!(has_collapsed(&astray, 2.3, 0.52, 10));
        // Back from afar, with nothing left.
        assert!(has_collapsed(&result(0.1, 2.5), 1400.0, 0.52, 10));
        // Untrained, but not wrong; wrong about some images, but right about most; a teacher that
        // knows nothing either.
        assert!(!has_collapsed(&result(0.1, 2.3), 2.4, 0.52, 10));
        assert!(!has_collapsed(&result(0.5, 1e9), 1e9, 0.52, 10));
        assert!(!has_collapsed(&result(0.1, 60_410.0), 2.3, 0.12, 10));
    }
}
