//! Two kinds of numbers to compute a folded network with: real ones, and the fixed-point numbers of
//! engines, which live in a ring and lose digits wherever they are brought back to scale.

use crate::reference::random::random;
use serde::Serialize;

/// Purpose words of the two halves of a random share.
const HIGH: u32 = 0x5348_4948;
const LOW: u32 = 0x5348_4c4f;

/// How an engine brings a product, which has twice the fractional bits, back to its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// Each of two parties shifts its own share towards zero, as in CrypTen: free, but now and then,
    /// with a chance of |x|·2^2f / 2^ring, the result is off by 2^(ring−f).
    Shares,
    /// With a random carry, as in SPU: off by less than one unit in the last place, always.
    Carry,
}

/// Numbers with so many fractional bits, in a ring of 2^32 or 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FixedPoint {
    /// Fractional bits.
    pub bits: u32,
    /// Bits of a number in all: 32 or 64.
    pub ring: u32,
    /// How products are brought back to them.
    pub truncation: Truncation,
}

/// What a folded network is computed with.
pub trait Numbers: Sync {
    /// A number.
    type Value: Copy + Default + Send + Sync;

    /// The number that stands for `value`.
    fn encode(&self, value: f64) -> Self::Value;
    /// What the number stands for.
    fn decode(&self, value: Self::Value) -> f64;
    /// What a product of two numbers, or a sum of such products, stands for.
    fn decode_product(&self, product: Self::Value) -> f64;
    /// a + b.
    fn add(&self, a: Self::Value, b: Self::Value) -> Self::Value;
    /// sum + a·b, not yet brought back to scale.
    fn multiply_add(&self, sum: Self::Value, a: Self::Value, b: Self::Value) -> Self::Value;
    /// Brings a product back to scale. The number of the image and, within it, of the truncation choose
    /// the random shares.
    fn truncate(&self, product: Self::Value, draw: u32, image: u32) -> Self::Value;
}

/// Real numbers: what the network means.
pub struct Real;

impl Numbers for Real {
    type Value = f64;

    fn encode(&self, value: f64) -> f64 {
        value
    }
    fn decode(&self, value: f64) -> f64 {
        value
    }
    fn decode_product(&self, product: f64) -> f64 {
        product
    }
    fn add(&self, a: f64, b: f64) -> f64 {
        a + b
    }
    fn multiply_add(&self, sum: f64, a: f64, b: f64) -> f64 {
        sum + a * b
    }
    fn truncate(&self, product: f64, _: u32, _: u32) -> f64 {
        product
    }
}

impl FixedPoint {
    fn scale(&self) -> f64 {
        (1u64 << self.bits) as f64
    }

    /// The number of the ring that `value` stands for: what lies outside wraps around.
    fn wrap(&self, value: i64) -> i64 {
        let beyond = 64 - self.ring;
        value << beyond >> beyond
    }

    /// The chance that the truncation of a product is off by far, of one that stands for `size`.
    pub fn failure(&self, size: f64) -> f64 {
        match self.truncation {
            Truncation::Shares => {
                let exponent = 2 * self.bits as i32 - self.ring as i32;
                (size * 2f64.powi(exponent)).min(1.0)
            }
            Truncation::Carry => 0.0,
        }
    }
}

impl Numbers for FixedPoint {
    type Value = i64;

    fn encode(&self, value: f64) -> i64 {
        // Engines cut off what is beyond the last place. The cast saturates, and is 0 for what is no
        // number.
        self.wrap((value * self.scale()) as i64)
    }
    fn decode(&self, value: i64) -> f64 {
        value as f64 / self.scale()
    }
    fn decode_product(&self, product: i64) -> f64 {
        product as f64 / self.scale() / self.scale()
    }
    fn add(&self, a: i64, b: i64) -> i64 {
        self.wrap(a.wrapping_add(b))
    }
    fn multiply_add(&self, sum: i64, a: i64, b: i64) -> i64 {
        self.wrap(sum.wrapping_add(a.wrapping_mul(b)))
    }
    fn truncate(&self, product: i64, draw: u32, image: u32) -> i64 {
        let word = |purpose| u64::from(random(self.bits, image, draw, purpose));
        let share = self.wrap((word(HIGH) << 32 | word(LOW)) as i64);
        match self.truncation {
            Truncation::Shares => {
                let one = 1i64 << self.bits;
                let other = self.wrap(product.wrapping_sub(share));
                self.wrap(share / one + other / one)
            }
            Truncation::Carry => {
                let carry = share & ((1 << self.bits) - 1);
                self.wrap(product.wrapping_add(carry)) >> self.bits
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_errs_by_a_unit_and_now_and_then_by_a_ring() {
        let engine = |truncation| FixedPoint {
            bits: 16,
            ring: 64,
            truncation,
        };
        let (shares, carry) = (engine(Truncation::Shares), engine(Truncation::Carry));
        // |x|·2^32 / 2^64 is one in 4,096 at 2^20.
        let x = f64::from(1 << 20);
        let product = (x * 4_294_967_296.0) as i64;
        let mut wrong = 0;
        for element in 0..100_000 {
            let got = carry.decode(carry.truncate(product, element, 0));
            assert!((got - x).abs() <= 1.0 / 65_536.0, "{got}");
            let got = shares.decode(shares.truncate(product, element, 0));
            if (got - x).abs() > 3.0 / 65_536.0 {
                // By 2^64 of the product.
                assert!((got.abs() - 2f64.powi(32)).abs() < 2.0 * x, "{got}");
                wrong += 1;
            }
        }
        assert_eq!(shares.failure(x), 1.0 / 4096.0);
        assert_eq!(carry.failure(x), 0.0);
        // 24 are to be expected, with a standard deviation of 5.
        assert!((5..50).contains(&wrong), "{wrong}");
    }

    #[test]
    fn what_is_too_large_wraps_around() {
        let mut engine = FixedPoint {
            bits: 18,
            ring: 64,
            truncation: Truncation::Carry,
        };
        let large = engine.encode(10_000.0);
        let square = engine.multiply_add(0, large, large);
        // 10^8·2^36 is above 2^62, and below 2^63; (10^9)·2^36 is not.
        assert!((engine.decode_product(square) - 1e8).abs() < 1.0);
        let large = engine.encode(31_623.0);
        let square = engine.multiply_add(0, large, large);
        assert!(engine.decode_product(square) < 0.0);
        // In a ring of 32 bits numbers end at 2^13, and products, with 18 bits once more, at 2^-5.
        engine.ring = 32;
        assert_eq!(engine.decode(engine.encode(8191.0)), 8191.0);
        assert_eq!(engine.decode(engine.encode(8193.0)), 8193.0 - 16_384.0);
        let small = engine.encode(0.17);
        let square = |x| engine.decode_product(engine.multiply_add(0, x, x));
        assert!((square(small) - 0.17 * 0.17).abs() < 1e-5);
        assert!(square(engine.encode(0.18)) < 0.0);
    }
}
