//! Learning rates over a phase, and the order of its images.

use crate::reference::random::{below, random};
use crate::settings::{Descent, Fall};

/// The rate at `step` of `steps`: a linear rise over the warm-up, then half a cosine or a
/// straight line down to the share `final_rate` of the largest.
pub fn rate(descent: &Descent, step: u64, steps: u64) -> f32 {
    let steps = steps.max(1) as f64;
    let warmup = f64::from(descent.warmup) * steps;
    let at = step as f64;
    let share = if at < warmup {
        (at + 1.0) / (warmup + 1.0)
    } else {
        let progress = (at - warmup) / (steps - warmup).max(1.0);
        let last = f64::from(descent.final_rate);
        match descent.fall {
            Fall::Cosine => cosine(progress, last),
            Fall::Linear => 1.0 - (1.0 - last) * progress.clamp(0.0, 1.0),
        }
    };
    (f64::from(descent.rate) * share) as f32
}

/// Half a cosine from 1 at `progress` 0 to `last` at 1.
pub fn cosine(progress: f64, last: f64) -> f64 {
    let progress = progress.clamp(0.0, 1.0);
    last + (1.0 - last) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

/// Purpose word of the random stream that shuffles.
const SHUFFLE: u32 = 0x5348_5546;

/// The images of an epoch in the order they are seen: a permutation of `images` that depends on
/// seed and epoch alone (Fisher–Yates).
pub fn shuffled(images: &[u32], seed: u32, epoch: u32) -> Vec<u32> {
    let mut order = images.to_vec();
    for i in (1..order.len()).rev() {
        let bits = random(seed, epoch, i as u32, SHUFFLE);
        // `below` is exact up to 65,536; larger bounds take the high half of a product.
        let j = match u32::try_from(i + 1) {
            Ok(bound) if bound <= 65_536 => below(bits, bound) as usize,
            _ => ((u64::from(bits) * (i as u64 + 1)) >> 32) as usize,
        };
        order.swap(i, j);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls() {
        let descent = Descent {
            rate: 2.0,
            warmup: 0.2,
            final_rate: 0.1,
            ..Default::default()
        };
        let rates: Vec<f32> = (0..100).map(|step| rate(&descent, step, 100)).collect();
        assert!(rates[..20].windows(2).all(|w| w[0] < w[1]));
        assert!(rates[20..].windows(2).all(|w| w[0] > w[1]));
        assert!(rates[0] > 0.0 && (rates[20] - 2.0).abs() < 0.01);
        assert!((rates[99] - 0.2).abs() < 0.01);
    }

    #[test]
    fn a_triangular_rate_falls_evenly() {
        let descent = Descent {
            rate: 1.0,
            warmup: 0.25,
            final_rate: 0.0,
            fall: Fall::Linear,
            ..Default::default()
        };
        let rates: Vec<f32> = (0..400).map(|step| rate(&descent, step, 400)).collect();
        let slope = |pair: &[f32]| f64::from(pair[1]) - f64::from(pair[0]);
        for pair in rates[..100].windows(2) {
            assert!((slope(pair) - 1.0 / 101.0).abs() < 1e-6);
        }
        assert_eq!(rates[100], 1.0);
        for pair in rates[100..].windows(2) {
            assert!((slope(pair) + 1.0 / 300.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_shuffle_is_a_permutation_of_its_own() {
        for length in [1, 2, 1000, 70_000] {
            let images: Vec<u32> = (0..length).collect();
            let order = shuffled(&images, 1, 2);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, images);
            if length > 2 {
                assert_ne!(order, shuffled(&images, 1, 3));
                assert_ne!(order, shuffled(&images, 2, 2));
                assert_eq!(order, shuffled(&images, 1, 2));
            }
        }
    }
}
