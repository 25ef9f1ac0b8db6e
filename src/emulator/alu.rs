//! Arithmetic of single words, as WGSL defines it.
//!
//! What IEEE 754 defines is computed in `f32`. Functions of which WGSL only bounds the error are computed
//! in `f64` and rounded once: no device is nearer to the truth.

use half::f16;

/// A function of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[rustfmt::skip]
pub(super) enum Unary {
    NegF, NegI, NotB, NotI, AbsF, AbsI, SignF, SignI, Saturate,
    Ceil, Floor, Round, Trunc, Fract,
    Sqrt, InverseSqrt, Exp, Exp2, Log, Log2,
    Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh, Asinh, Acosh, Atanh,
    Radians, Degrees, QuantizeToF16,
    CountOneBits, CountLeadingZeros, CountTrailingZeros, ReverseBits,
    FirstLeadingBitU, FirstLeadingBitI, FirstTrailingBit,
    FtoI, FtoU, ItoF, UtoF, FtoB, ItoB, BtoF, IsNan, IsInf,
}

/// A function of two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[rustfmt::skip]
pub(super) enum Binary {
    AddF, SubF, MulF, DivF, RemF, MinF, MaxF, Pow, Atan2, Step, Ldexp,
    EqF, NeF, LtF, LeF,
    AddI, SubI, MulI, DivI, DivU, RemI, RemU, MinI, MinU, MaxI, MaxU,
    And, Or, Xor, Shl, ShrI, ShrU,
    EqI, NeI, LtI, LeI, LtU, LeU,
}

/// A function of three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[rustfmt::skip]
pub(super) enum Ternary {
    Fma, ClampF, ClampI, ClampU, Mix, SmoothStep,
    /// The second where the third is true, the first where not.
    Select,
    ExtractBitsU, ExtractBitsI,
}

/// How a function's work is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Floating-point operations.
    Flops(u32),
    /// Integer operations.
    Integer,
    /// Comparisons of floats, conversions, selections.
    Other,
}

fn f(word: u32) -> f32 {
    f32::from_bits(word)
}

/// As WGSL has it, of which no bounds are asked, in order or not.
fn within(x: f32, low: f32, high: f32) -> f32 {
    x.max(low).min(high)
}

/// Through `f64`, rounded once.
fn wide(word: u32, function: impl Fn(f64) -> f64) -> u32 {
    (function(f64::from(f(word))) as f32).to_bits()
}

impl Unary {
    #[inline]
    pub(super) fn apply(self, x: u32) -> u32 {
        match self {
            Self::NegF => (-f(x)).to_bits(),
            Self::NegI => x.wrapping_neg(),
            Self::NotB => x ^ 1,
            Self::NotI => !x,
            Self::AbsF => f(x).abs().to_bits(),
            Self::AbsI => (x as i32).wrapping_abs() as u32,
            Self::SignF if f(x) > 0.0 => 1f32.to_bits(),
            Self::SignF if f(x) < 0.0 => (-1f32).to_bits(),
            Self::SignF => 0,
            Self::SignI => (x as i32).signum() as u32,
            Self::Saturate => within(f(x), 0.0, 1.0).to_bits(),
            Self::Ceil => f(x).ceil().to_bits(),
            Self::Floor => f(x).floor().to_bits(),
            Self::Round => f(x).round_ties_even().to_bits(),
            Self::Trunc => f(x).trunc().to_bits(),
            Self::Fract => (f(x) - f(x).floor()).to_bits(),
            Self::Sqrt => f(x).sqrt().to_bits(),
            Self::InverseSqrt => wide(x, |x| 1.0 / x.sqrt()),
            Self::Exp => wide(x, f64::exp),
            Self::Exp2 => wide(x, f64::exp2),
            Self::Log => wide(x, f64::ln),
            Self::Log2 => wide(x, f64::log2),
            Self::Sin => wide(x, f64::sin),
            Self::Cos => wide(x, f64::cos),
            Self::Tan => wide(x, f64::tan),
            Self::Asin => wide(x, f64::asin),
            Self::Acos => wide(x, f64::acos),
            Self::Atan => wide(x, f64::atan),
            Self::Sinh => wide(x, f64::sinh),
            Self::Cosh => wide(x, f64::cosh),
            Self::Tanh => wide(x, f64::tanh),
            Self::Asinh => wide(x, f64::asinh),
            Self::Acosh => wide(x, f64::acosh),
            Self::Atanh => wide(x, f64::atanh),
            Self::Radians => wide(x, f64::to_radians),
            Self::Degrees => wide(x, f64::to_degrees),
            Self::QuantizeToF16 => f16::from_f32(f(x)).to_f32().to_bits(),
            Self::CountOneBits => x.count_ones(),
            Self::CountLeadingZeros => x.leading_zeros(),
            Self::CountTrailingZeros => x.trailing_zeros(),
            Self::ReverseBits => x.reverse_bits(),
            Self::FirstLeadingBitU => 31u32.wrapping_sub(x.leading_zeros()),
            // The first bit that differs from the sign.
            Self::FirstLeadingBitI => {
                let differing = if (x as i32) < 0 { !x } else { x };
                31u32.wrapping_sub(differing.leading_zeros())
            }
            Self::FirstTrailingBit if x == 0 => u32::MAX,
            Self::FirstTrailingBit => x.trailing_zeros(),
            Self::FtoI => f(x) as i32 as u32,
            Self::FtoU => f(x) as u32,
            Self::ItoF => (x as i32 as f32).to_bits(),
            Self::UtoF => (x as f32).to_bits(),
            Self::FtoB => u32::from(f(x) != 0.0),
            Self::ItoB => u32::from(x != 0),
            Self::BtoF => (x as f32).to_bits(),
            Self::IsNan => u32::from(f(x).is_nan()),
            Self::IsInf => u32::from(f(x).is_infinite()),
        }
    }

    /// Whether both sides are floats.
    pub(super) fn is_float(self) -> bool {
        (self as u8) < Self::CountOneBits as u8
            && !matches!(
                self,
                Self::NegI | Self::NotB | Self::NotI | Self::AbsI | Self::SignI
            )
    }

    pub(super) fn work(self) -> Work {
        match self {
            Self::FtoI
            | Self::FtoU
            | Self::ItoF
            | Self::UtoF
            | Self::FtoB
            | Self::ItoB
            | Self::BtoF => Work::Other,
            Self::IsNan | Self::IsInf | Self::NotB => Work::Other,
            _ if self.is_float() => Work::Flops(1),
            _ => Work::Integer,
        }
    }
}

impl Binary {
    #[inline]
    pub(super) fn apply(self, x: u32, y: u32) -> u32 {
        let (i, j) = (x as i32, y as i32);
        match self {
            Self::AddF => (f(x) + f(y)).to_bits(),
            Self::SubF => (f(x) - f(y)).to_bits(),
            Self::MulF => (f(x) * f(y)).to_bits(),
            Self::DivF => (f(x) / f(y)).to_bits(),
            Self::RemF => (f(x) % f(y)).to_bits(),
            Self::MinF => f(x).min(f(y)).to_bits(),
            Self::MaxF => f(x).max(f(y)).to_bits(),
            Self::Pow => (f64::from(f(x)).powf(f64::from(f(y))) as f32).to_bits(),
            Self::Atan2 => (f64::from(f(x)).atan2(f64::from(f(y))) as f32).to_bits(),
            Self::Step => u32::from(f(x) <= f(y)) * 1f32.to_bits(),
            Self::Ldexp => ((f64::from(f(x)) * 2f64.powi(j.clamp(-600, 600))) as f32).to_bits(),
            Self::EqF => u32::from(f(x) == f(y)),
            Self::NeF => u32::from(f(x) != f(y)),
            Self::LtF => u32::from(f(x) < f(y)),
            Self::LeF => u32::from(f(x) <= f(y)),
            Self::AddI => x.wrapping_add(y),
            Self::SubI => x.wrapping_sub(y),
            Self::MulI => x.wrapping_mul(y),
            // By zero, WGSL gives the dividend, and no remainder.
            Self::DivI if j == 0 => x,
            Self::DivI => i.wrapping_div(j) as u32,
            Self::DivU => x.checked_div(y).unwrap_or(x),
            Self::RemI if j == 0 => 0,
            Self::RemI => i.wrapping_rem(j) as u32,
            Self::RemU => x.checked_rem(y).unwrap_or(0),
            Self::MinI => i.min(j) as u32,
            Self::MinU => x.min(y),
            Self::MaxI => i.max(j) as u32,
            Self::MaxU => x.max(y),
            Self::And => x & y,
            Self::Or => x | y,
            Self::Xor => x ^ y,
            Self::Shl => x << (y & 31),
            Self::ShrI => (i >> (y & 31)) as u32,
            Self::ShrU => x >> (y & 31),
            Self::EqI => u32::from(x == y),
            Self::NeI => u32::from(x != y),
            Self::LtI => u32::from(i < j),
            Self::LeI => u32::from(i <= j),
            Self::LtU => u32::from(x < y),
            Self::LeU => u32::from(x <= y),
        }
    }

    /// Whether both sides are floats.
    pub(super) fn is_float(self) -> bool {
        (self as u8) <= Self::Step as u8
    }

    pub(super) fn is_division(self) -> bool {
        matches!(self, Self::DivI | Self::DivU | Self::RemI | Self::RemU)
    }

    pub(super) fn is_shift(self) -> bool {
        matches!(self, Self::Shl | Self::ShrI | Self::ShrU)
    }

    pub(super) fn work(self) -> Work {
        match self {
            Self::EqF | Self::NeF | Self::LtF | Self::LeF => Work::Other,
            Self::Ldexp => Work::Flops(1),
            _ if self.is_float() => Work::Flops(1),
            _ => Work::Integer,
        }
    }
}

impl Ternary {
    #[inline]
    pub(super) fn apply(self, x: u32, y: u32, z: u32) -> u32 {
        match self {
            Self::Fma => f(x).mul_add(f(y), f(z)).to_bits(),
            Self::ClampF => within(f(x), f(y), f(z)).to_bits(),
            Self::ClampI => (x as i32).max(y as i32).min(z as i32) as u32,
            Self::ClampU => x.max(y).min(z),
            Self::Mix => (f(x) * (1.0 - f(z)) + f(y) * f(z)).to_bits(),
            Self::SmoothStep => {
                let t = within((f(z) - f(x)) / (f(y) - f(x)), 0.0, 1.0);
                (t * t * (3.0 - 2.0 * t)).to_bits()
            }
            Self::Select => {
                if z != 0 {
                    y
                } else {
                    x
                }
            }
            Self::ExtractBitsU => {
                let (offset, count) = bit_range(y, z);
                let shifted = x.checked_shr(offset).unwrap_or(0);
                shifted & mask(count)
            }
            Self::ExtractBitsI => {
                let (offset, count) = bit_range(y, z);
                if count == 0 {
                    return 0;
                }
                let up = x << (32 - count - offset);
                ((up as i32) >> (32 - count)) as u32
            }
        }
    }

    /// Whether all sides are floats.
    pub(super) fn is_float(self) -> bool {
        matches!(
            self,
            Self::Fma | Self::ClampF | Self::Mix | Self::SmoothStep
        )
    }

    pub(super) fn work(self) -> Work {
        match self {
            Self::Fma | Self::ClampF => Work::Flops(2),
            Self::Mix => Work::Flops(4),
            Self::SmoothStep => Work::Flops(10),
            Self::Select => Work::Other,
            _ => Work::Integer,
        }
    }
}

/// Offset and count within 32 bits.
fn bit_range(offset: u32, count: u32) -> (u32, u32) {
    let offset = offset.min(32);
    (offset, count.min(32 - offset))
}

fn mask(count: u32) -> u32 {
    1u32.checked_shl(count).map_or(u32::MAX, |bit| bit - 1)
}

/// `base` with `count` bits from `offset` taken from the low bits of `new`.
pub(super) fn insert_bits(base: u32, new: u32, offset: u32, count: u32) -> u32 {
    let (offset, count) = bit_range(offset, count);
    let window = mask(count).checked_shl(offset).unwrap_or(0);
    (base & !window) | (new.checked_shl(offset).unwrap_or(0) & window)
}

/// Fraction in 0.5…1 and exponent.
pub(super) fn frexp(x: f32) -> (f32, i32) {
    if x == 0.0 || !x.is_finite() {
        return (x, 0);
    }
    let bits = f64::from(x).to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    let fraction = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    (fraction as f32, exponent)
}

/// Determinant of an n×n matrix of columns, n from 2 to 4.
pub(super) fn determinant(m: &[u32], n: usize) -> f32 {
    let at = |column: usize, row: usize| f(m[column * n + row]);
    let minor = |c0: usize, c1: usize, r0: usize, r1: usize| {
        at(c0, r0) * at(c1, r1) - at(c1, r0) * at(c0, r1)
    };
    let three = |columns: [usize; 3], rows: [usize; 3]| {
        at(columns[0], rows[0]) * minor(columns[1], columns[2], rows[1], rows[2])
            - at(columns[1], rows[0]) * minor(columns[0], columns[2], rows[1], rows[2])
            + at(columns[2], rows[0]) * minor(columns[0], columns[1], rows[1], rows[2])
    };
    match n {
        2 => minor(0, 1, 0, 1),
        3 => three([0, 1, 2], [0, 1, 2]),
        _ => {
            at(0, 0) * three([1, 2, 3], [1, 2, 3]) - at(1, 0) * three([0, 2, 3], [1, 2, 3])
                + at(2, 0) * three([0, 1, 3], [1, 2, 3])
                - at(3, 0) * three([0, 1, 2], [1, 2, 3])
        }
    }
}
