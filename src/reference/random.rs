//! Twin of `shaders/common/random.wgsl`: the same bits.

/// PCG's RXS-M-XS output permutation over one step of its generator, as a hash: "pcg" in
/// Jarzynski & Olano, "Hash functions for GPU rendering", JCGT 9(3), 2020.
pub fn pcg(word: u32) -> u32 {
    let state = word.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let mixed = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (mixed >> 22) ^ mixed
}

/// 32 random bits of their own for every seed, epoch, image and purpose.
pub fn random(seed: u32, epoch: u32, image: u32, purpose: u32) -> u32 {
    let hash = pcg(epoch.wrapping_add(pcg(seed)));
    pcg(purpose.wrapping_add(pcg(image.wrapping_add(hash))))
}

/// A whole number in `0..bound`, for bounds up to 65,536.
pub fn below(bits: u32, bound: u32) -> u32 {
    ((bits >> 16) * bound) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_unrelated() {
        // Offsets of a crop against those of another purpose, image and epoch: every pair of
        // the 9 × 9 about equally often (expected 1,000 each, standard deviation 31).
        let images = 81_000;
        let others: [fn(u32) -> u32; 3] = [
            |image| random(7, 3, image, 1),
            |image| random(7, 3, image + 1, 0),
            |image| random(7, 4, image, 0),
        ];
        for other in others {
            let mut counts = [[0u32; 9]; 9];
            for image in 0..images {
                let (a, b) = (below(random(7, 3, image, 0), 9), below(other(image), 9));
                counts[a as usize][b as usize] += 1;
            }
            for count in counts.iter().flatten() {
                assert!((850..1150).contains(count), "{counts:?}");
            }
        }
    }
}
