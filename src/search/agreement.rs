//! Whether choices agree: with what they began with, and with each other.

use serde::Serialize;

/// Rank correlation (Spearman's, with mean ranks for equal values): 1 where two lists order their
/// elements alike, 0 where the one says nothing of the other, as a list does whose values are all
/// the same.
pub fn rank_correlation(a: &[f32], b: &[f32]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let n = a.len() as f64;
    let mean = (n - 1.0) / 2.0;
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(&b) {
        ab += (x - mean) * (y - mean);
        aa += (x - mean) * (x - mean);
        bb += (y - mean) * (y - mean);
    }
    match aa * bb > 0.0 {
        true => ab / (aa * bb).sqrt(),
        false => 0.0,
    }
}

/// The rank of every value, from 0; equal values share the mean of theirs.
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for run in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let mean = first as f64 + (run.len() as f64 - 1.0) / 2.0;
        for &i in run {
            ranks[i] = mean;
        }
        first += run.len();
    }
    ranks
}

/// What two choices among the same elements have in common.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Overlap {
    /// Share of what each keeps that the other keeps, too.
    pub share: f64,
    /// The same for choices of these sizes that were drawn at random.
    pub chance: f64,
}

/// Which elements of a network keep their ReLU, a bit each: a sweep holds those of all its searches at
/// once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    words: Vec<u64>,
    elements: usize,
}

impl FromIterator<bool> for Kept {
    fn from_iter<I: IntoIterator<Item = bool>>(kept: I) -> Self {
        let mut all = Self::default();
        for kept in kept {
            let bit = all.elements % 64;
            if bit == 0 {
                all.words.push(0);
            }
            if let Some(word) = all.words.last_mut() {
                *word |= u64::from(kept) << bit;
            }
            all.elements += 1;
        }
        all
    }
}

/// How many bits are 1.
fn ones(words: impl Iterator<Item = u64>) -> f64 {
    words.map(|word| f64::from(word.count_ones())).sum()
}

/// The overlap of two choices; `None` where one keeps nothing, or both keep all.
pub fn overlap(a: &Kept, b: &Kept) -> Option<Overlap> {
    let (in_a, in_b) = (ones(a.words.iter().copied()), ones(b.words.iter().copied()));
    let both = ones(a.words.iter().zip(&b.words).map(|(a, b)| a & b));
    let size = (in_a * in_b).sqrt();
    let all = a.elements as f64;
    (size > 0.0 && size < all).then(|| Overlap {
        share: both / size,
        chance: size / all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_agree_disagree_or_say_nothing() {
        let a = [0.1, 0.5, 0.5, 3.0, -2.0];
        assert!((rank_correlation(&a, &a) - 1.0).abs() < 1e-12);
        let stretched = a.map(|v: f32| v.exp());
        assert!((rank_correlation(&a, &stretched) - 1.0).abs() < 1e-12);
        let turned = a.map(|v| -v);
        assert!((rank_correlation(&a, &turned) + 1.0).abs() < 1e-12);
        assert_eq!(rank_correlation(&a, &[7.0; 5]), 0.0);
        // By hand: ranks 0, 1, 2 against 0, 2, 1.
        let half = rank_correlation(&[1.0, 2.0, 3.0], &[1.0, 9.0, 2.0]);
        assert!((half - 0.5).abs() < 1e-12);
    }

    #[test]
    fn choices_overlap_as_much_as_they_share() {
        let kept = |text: &str| text.chars().map(|c| c == 'x').collect::<Kept>();
        let found = overlap(&kept("xx......"), &kept("x.x....."));
        let wanted = Overlap {
            share: 0.5,
            chance: 0.25,
        };
        assert_eq!(found, Some(wanted));
        assert_eq!(overlap(&kept("...."), &kept("xx..")), None);
        assert_eq!(overlap(&kept("xxxx"), &kept("xxxx")), None);
        // More than a word has bits.
        let (a, b) = (0..200, 100..300);
        let of =
            |kept: std::ops::Range<usize>| (0..400).map(|i| kept.contains(&i)).collect::<Kept>();
        let wanted = Overlap {
            share: 0.5,
            chance: 0.5,
        };
        assert_eq!(overlap(&of(a), &of(b)), Some(wanted));
    }
}
