//! A sum without rounding.

/// Bits of a limb; its place is that of a much wider integer, so that many can be added before anything is carried.
const BITS: usize = 32;
/// For every bit of a double, and of 2^63 of them.
const LIMBS: usize = 70;
/// The limb that begins with the bit of 1.
const ONE: usize = 34;
/// How often something is added before carries have to be.
const ADDITIONS: u32 = 1 << 30;

/// The sum of finite doubles and of whole numbers, as a fixed-point number that is wide enough for all of them: what it comes to
/// depends neither on their order nor on how sums were merged, and nothing between overflows.
#[derive(Clone, Debug)]
pub(super) struct ExactSum {
    /// Little end first. What a limb holds beyond its bits belongs to the next one.
    limbs: [i64; LIMBS],
    /// Since the last carry.
    additions: u32,
}

impl ExactSum {
    pub(super) const ZERO: Self = Self { limbs: [0; LIMBS], additions: 0 };

    /// `value` is finite.
    pub(super) fn add_real(&mut self, value: f64) {
        const FRACTION: u32 = 52;
        let bits = value.to_bits();
        let fraction = bits & ((1 << FRACTION) - 1);
        let exponent = (bits >> FRACTION & 0x7ff) as usize;
        // Subnormal numbers have the exponent of the smallest normal ones, without their leading bit.
        let (magnitude, exponent) = if exponent == 0 { (fraction, 1) } else { (fraction | 1 << FRACTION, exponent) };
        // A double's lowest bit is that of 2^(exponent - 1075).
        self.add(magnitude.into(), ONE * BITS + exponent - 1075, value.is_sign_negative());
    }

    pub(super) fn add_whole(&mut self, value: i128) {
        self.add(value.unsigned_abs(), ONE * BITS, value < 0);
    }

    /// `magnitude` times the worth of this bit.
    fn add(&mut self, magnitude: u128, bit: usize, is_negative: bool) {
        if self.additions == ADDITIONS {
            self.carry();
        }
        self.additions += 1;
        let signed = |digit: u32| if is_negative { -i64::from(digit) } else { i64::from(digit) };
        let (mut limb, shift) = (bit / BITS, bit % BITS);
        self.limbs[limb] += signed((magnitude << shift) as u32);
        let mut rest = magnitude >> (BITS - shift);
        while rest != 0 {
            limb += 1;
            self.limbs[limb] += signed(rest as u32);
            rest >>= BITS;
        }
    }

    pub(super) fn merge(&mut self, mut later: Self) {
        self.carry();
        later.carry();
        self.limbs.iter_mut().zip(later.limbs).for_each(|(limb, more)| *limb += more);
        self.additions = 2;
    }

    /// Rounded once; infinite beyond what a double holds.
    pub(super) fn value(&self) -> f64 {
        self.rounded(1)
    }

    /// The sum of so many values, divided by their number: in their range, also where their sum is not.
    pub(super) fn mean(&self, count: u64) -> f64 {
        self.rounded(count)
    }

    fn rounded(&self, divisor: u64) -> f64 {
        let (is_negative, digits) = self.magnitude();
        let Some(top) = digits.iter().rposition(|digit| *digit != 0) else { return 0.0 };
        let lowest = top.saturating_sub(3);
        let leading = digits[lowest..=top].iter().rev().fold(0_u128, |all, digit| all << BITS | u128::from(*digit));
        // What is below decides when the leading bits are half way between two doubles.
        let below = u128::from(digits[..lowest].iter().any(|digit| *digit != 0));
        let leading = (leading | below) as f64 / divisor as f64;
        let exponent = (lowest * BITS) as i32 - (ONE * BITS) as i32;
        // In two steps, because a power of two alone may be out of range.
        let magnitude = leading * power_of_two(exponent / 2) * power_of_two(exponent - exponent / 2);
        if is_negative { -magnitude } else { magnitude }
    }

    /// `None` when it is none, or has more digits than an i128.
    pub(super) fn as_whole(&self) -> Option<i128> {
        let (is_negative, digits) = self.magnitude();
        let (fraction, whole) = digits.split_at(ONE);
        let (whole, beyond) = whole.split_at(128 / BITS);
        if fraction.iter().chain(beyond).any(|digit| *digit != 0) {
            return None;
        }
        let magnitude = whole.iter().rev().fold(0_u128, |all, digit| all << BITS | u128::from(*digit));
        let value = i128::try_from(magnitude).ok()?;
        Some(if is_negative { -value } else { value })
    }

    /// Whether it is negative, and its digits without the sign.
    fn magnitude(&self) -> (bool, [u32; LIMBS]) {
        let mut carried = self.clone();
        carried.carry();
        let is_negative = carried.limbs[LIMBS - 1] < 0;
        if is_negative {
            carried.limbs.iter_mut().for_each(|limb| *limb = -*limb);
            carried.carry();
        }
        (is_negative, carried.limbs.map(|limb| limb as u32))
    }

    /// Leaves each limb but the last with its own bits, not negative.
    fn carry(&mut self) {
        let mut carried = 0;
        let (last, others) = self.limbs.split_last_mut().unwrap_or_else(|| unreachable!("there are {LIMBS} limbs"));
        for limb in others {
            let all = *limb + carried;
            *limb = all & i64::from(u32::MAX);
            carried = all >> BITS;
        }
        *last += carried;
        self.additions = 1;
    }
}

/// `exponent` is that of a normal double.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::ZERO;
        values.iter().for_each(|value| sum.add_real(*value));
        sum
    }

    #[test]
    fn every_double_is_its_own_sum() {
        let values = [0.0, 1.0, -0.1, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -5e-324, 1e-310, 0.3e300];
        for value in values {
            assert_eq!(sum(&[value]).value(), value);
            assert_eq!(sum(&[value, f64::MAX, f64::MIN]).value(), value);
        }
    }

    #[test]
    fn nothing_is_lost_on_the_way() {
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]).value(), 2.0);
        assert_eq!(sum(&[1e308, 1e308, -1e308, 5e-324, -1e308]).value(), 5e-324);
        // Half way between two doubles, and a little more.
        assert_eq!(sum(&[9_007_199_254_740_992.0, 1.0]).value(), 9_007_199_254_740_992.0);
        assert_eq!(sum(&[9_007_199_254_740_992.0, 1.0, 1e-300]).value(), 9_007_199_254_740_994.0);
    }

    #[test]
    fn a_sum_beyond_a_double_is_infinite_and_its_mean_is_not() {
        let large = sum(&[1.5e308, 1.5e308]);
        assert_eq!((large.value(), large.mean(2)), (f64::INFINITY, 1.5e308));
        assert_eq!(sum(&[-1.5e308, -1.5e308]).value(), f64::NEG_INFINITY);
        assert_eq!(sum(&[5e-324, 5e-324]).mean(2), 5e-324);
    }

    #[test]
    fn whole_numbers_stay_whole() {
        let whole = |values: &[i128]| {
            let mut sum = ExactSum::ZERO;
            values.iter().for_each(|value| sum.add_whole(*value));
            sum.as_whole()
        };
        assert_eq!(whole(&[]), Some(0));
        assert_eq!(whole(&[9_007_199_254_740_993; 3]), Some(27_021_597_764_222_979));
        assert_eq!(whole(&[i128::MAX, i128::MAX, -i128::MAX]), Some(i128::MAX));
        assert_eq!(whole(&[-5, 3]), Some(-2));
        assert_eq!(whole(&[i128::MAX, 1]), None);
        assert_eq!(sum(&[0.5]).as_whole(), None);
        assert_eq!(sum(&[1e300]).as_whole(), None);
    }

    #[test]
    fn carries_come_before_a_limb_is_full() {
        let mut sum = ExactSum { additions: ADDITIONS, ..ExactSum::ZERO };
        sum.limbs[ONE] = i64::from(ADDITIONS) * i64::from(u32::MAX);
        sum.add_whole(i128::from(u32::MAX));
        assert_eq!(sum.as_whole(), Some(i128::from(ADDITIONS + 1) * i128::from(u32::MAX)));
        assert!(sum.limbs[ONE] < 1 << 33);
    }

    proptest! {
        #[test]
        fn order_and_merging_do_not_show(bits in prop::collection::vec(any::<u64>(), 0..20), split in 0_usize..20) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).filter(|value| value.is_finite()).collect();
            let whole = sum(&values);
            let (earlier, later) = values.split_at(split.min(values.len()));
            let mut merged = sum(later);
            merged.merge(sum(earlier));
            prop_assert_eq!(merged.value().to_bits(), whole.value().to_bits());
            prop_assert!(!whole.mean(values.len().max(1) as u64).is_nan());
        }
    }
}
