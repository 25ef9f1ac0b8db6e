//! Counter-based random numbers for the data room: the `n`-th number of a stream is a hash
//! of the stream's key and `n`, so streams need no warming up, share no state, and can be
//! read in any order by any number of threads.

/// An endless, reproducible stream of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    key: u64,
    counter: u64,
}

impl Stream {
    /// The stream of `index` within `purpose`; any change of the three gives an unrelated one.
    pub fn new(seed: u64, purpose: u64, index: u64) -> Self {
        let key = mix(mix(mix(seed) ^ purpose) ^ index);
        Self { key, counter: 0 }
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.counter += 1;
        mix(self.key ^ self.counter.wrapping_mul(GOLDEN))
    }

    /// Uniform in `low..high`.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        // 24 bits are what an f32 holds exactly, so that the result never rounds up to `high`
        // by more than the final multiply-add does.
        let unit = (self.bits() >> 40) as f32 / (1u32 << 24) as f32;
        low + (high - low) * unit
    }

    /// Uniform in `0..bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // Multiply-shift: the bias is below bound / 2^64.
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// True half of the time.
    pub fn coin(&mut self) -> bool {
        self.bits() >> 63 == 1
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64: a bijection in which every input bit moves every output bit.
fn mix(bits: u64) -> u64 {
    let z = bits.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
