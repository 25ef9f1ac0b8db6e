//! Two kinds of numbers to compute a folded network with: real ones, and the fixed-point numbers of
//! engines, which live in a ring of 64 bits and lose digits wherever they are brought back to scale.

use crate::reference::random::random;

/// Purpose words of the two halves of a random share.
const HIGH: u32 = 0x5348_4948;
const LOW: u32 = 0x5348_4c4f;

/// How an engine brings a product, which has twice the fractional bits, back to its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncation {
    /// Each of two parties shifts its own share towards zero, as in CrypTen: free, but now and then,
    /// with a chance of |x|·2^2f / 2^64, the result is off by 2^(64−f).
    Shares,
    /// With a random carry, as in SPU: off by less than one unit in the last place, always.
    Carry,
}

/// Numbers with so many fractional bits, in a ring of 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedPoint {
    /// Fractional bits.
    pub bits: u32,
    /// How products are brought back to them.
    pub truncation: Truncation,
}

/// What a folded network is computed with.
pub trait Numbers: Sync {
    /// A number.
    type Value: Copy + Default + Send + Sync;

    /// The number nearest to `value`.
    fn encode(&self, value: f64) -> Self::Value;
    /// What the number stands for.
    fn decode(&self, value: Self::Value) -> f64;
    /// What a product of two numbers, or a sum of such products, stands for.
    fn decode_product(&self, product: Self::Value) -> f64;
    /// a + b.
    fn add(a: Self::Value, b: Self::Value) -> Self::Value;
    /// sum + a·b, not yet brought back to scale.
    fn multiply_add(sum: Self::Value, a: Self::Value, b: Self::Value) -> Self::Value;
    /// Brings a product back to scale. `element` and `step` choose the random shares.
    fn truncate(&self, product: Self::Value, element: u32, step: u32) -> Self::Value;
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
    fn add(a: f64, b: f64) -> f64 {
        a + b
    }
    fn multiply_add(sum: f64, a: f64, b: f64) -> f64 {
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
}

impl Numbers for FixedPoint {
    type Value = i64;

    fn encode(&self, value: f64) -> i64 {
        // The cast saturates, and is 0 for what is no number.
        (value * self.scale()).round() as i64
    }
    fn decode(&self, value: i64) -> f64 {
        value as f64 / self.scale()
    }
    fn decode_product(&self, product: i64) -> f64 {
        product as f64 / self.scale() / self.scale()
    }
    fn add(a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }
    fn multiply_add(sum: i64, a: i64, b: i64) -> i64 {
        sum.wrapping_add(a.wrapping_mul(b))
    }
    fn truncate(&self, product: i64, element: u32, step: u32) -> i64 {
        let word = |purpose| u64::from(random(self.bits, step, element, purpose));
        let share = (word(HIGH) << 32 | word(LOW)) as i64;
        match self.truncation {
            Truncation::Shares => {
                let one = 1i64 << self.bits;
                (share / one).wrapping_add(product.wrapping_sub(share) / one)
            }
            Truncation::Carry => {
                let carry = share & ((1 << self.bits) - 1);
                product.wrapping_add(carry) >> self.bits
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
        // 24 are to be expected, with a standard deviation of 5.
        assert!((5..50).contains(&wrong), "{wrong}");
    }

    #[test]
    fn what_is_too_large_wraps_around() {
        let engine = FixedPoint {
            bits: 18,
            truncation: Truncation::Carry,
        };
        let large = engine.encode(10_000.0);
        let square = FixedPoint::multiply_add(0, large, large);
        // 10^8·2^36 is above 2^62, and below 2^63; (10^9)·2^36 is not.
        assert!((engine.decode_product(square) - 1e8).abs() < 1.0);
        let large = engine.encode(31_623.0);
        let square = FixedPoint::multiply_add(0, large, large);
        assert!(engine.decode_product(square) < 0.0);
    }
}
