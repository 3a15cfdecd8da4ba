//! Quantiles in bounded memory.

use std::collections::BTreeMap;

/// How many buckets a histogram may have: about 3 MB.
const BUCKETS: usize = 1 << 16;

/// Counts of values in buckets that are as narrow as memory allows.
///
/// A value's bucket is the leading bits of its IEEE 754 form, so a bucket's width is a power of two relative to its values.
/// At first all 64 bits count and every distinct value has a bucket: quantiles are exact. Each time there are more than
/// [`BUCKETS`], neighbours are joined by dropping one more bit. With `m` of the 52 bits of the fraction left, a quantile is
/// off by at most 2^-(m+1) of itself; values that span ten powers of two keep 12 bits, 0.02 %. Which bits are dropped
/// depends on the set of values alone, not on their order nor on how they were merged.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    dropped_bits: u32,
    buckets: BTreeMap<u64, u64>,
}

/// A quantile, and by how much of itself it may be off (0 when exact).
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Quantile {
    pub(super) value: f64,
    pub(super) relative_error: f64,
}

impl Histogram {
    pub(super) fn add(&mut self, value: f64) {
        *self.buckets.entry(ordered_bits(value) >> self.dropped_bits).or_default() += 1;
        self.join_neighbours_to_fit();
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.drop_bits(self.dropped_bits.max(other.dropped_bits));
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(bucket >> (self.dropped_bits - other.dropped_bits)).or_default() += count;
        }
        self.join_neighbours_to_fit();
    }

    /// The smallest value that at least this share of the values does not exceed; `None` when there are no values.
    pub(super) fn quantile(&self, share: f64) -> Option<Quantile> {
        let count: u64 = self.buckets.values().sum();
        // Rounding is harmless: beyond 2^53 values, a rank more or less is far below the buckets' width.
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        let (bucket, _) = self.buckets.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        })?;
        let lowest = bucket << self.dropped_bits;
        let (from, to) = (value_of(lowest), value_of(lowest | ((1 << self.dropped_bits) - 1)));
        let value = from + (to - from) / 2.0;
        let relative_error =
            if from == to { 0.0 } else { ((to - value) / value).abs().max(((value - from) / value).abs()) };
        Some(Quantile { value, relative_error })
    }

    fn join_neighbours_to_fit(&mut self) {
        while self.buckets.len() > BUCKETS {
            self.drop_bits(self.dropped_bits + 1);
        }
    }

    fn drop_bits(&mut self, dropped_bits: u32) {
        let more = dropped_bits - self.dropped_bits;
        if more == 0 {
            return;
        }
        let mut joined = BTreeMap::new();
        for (bucket, count) in &self.buckets {
            *joined.entry(bucket >> more).or_default() += count;
        }
        *self = Self { dropped_bits, buckets: joined };
    }
}

const SIGN: u64 = 1 << 63;

/// Bits that are ordered as the values are: all flipped for negative ones, else the sign. Zero has one form.
fn ordered_bits(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn value_of(ordered_bits: u64) -> f64 {
    f64::from_bits(if ordered_bits & SIGN == 0 { !ordered_bits } else { ordered_bits ^ SIGN })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = f64>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.add(value));
        histogram
    }

    #[test]
    fn quantiles_of_few_distinct_values_are_exact() {
        let values = histogram([5.0, -2.5, 0.0, -0.0, 1e300, -1e-300]);
        let exact = |share| values.quantile(share).map(|quantile| (quantile.value, quantile.relative_error));
        assert_eq!(exact(0.0), Some((-2.5, 0.0)));
        assert_eq!(exact(0.3), Some((-1e-300, 0.0)));
        assert_eq!(exact(0.5), Some((0.0, 0.0)));
        assert_eq!(exact(0.8), Some((5.0, 0.0)));
        assert_eq!(exact(1.0), Some((1e300, 0.0)));
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn quantiles_of_many_distinct_values_stay_within_their_error_and_memory() {
        let count = 300_000;
        let values = histogram((1..=count).map(|i| f64::from(i) * 0.001));
        assert!(values.buckets.len() <= BUCKETS);
        for share in [0.001, 0.25, 0.5, 0.95, 1.0] {
            let quantile = values.quantile(share).unwrap();
            let exact = (share * f64::from(count)).ceil() * 0.001;
            assert!(quantile.relative_error > 0.0 && quantile.relative_error < 0.0005, "{quantile:?}");
            assert!(
                (quantile.value - exact).abs() <= quantile.relative_error * quantile.value.abs() * 1.001,
                "{quantile:?} {exact}"
            );
        }
    }

    #[test]
    fn how_values_were_merged_does_not_show() {
        let all: Vec<f64> = (0..100_000).map(|i| f64::from(i).sqrt()).collect();
        let whole = histogram(all.iter().copied());
        let mut merged = histogram(all[70_000..].iter().copied());
        merged.merge(&histogram(all[..70_000].iter().copied()));
        assert_eq!((merged.dropped_bits, merged.buckets), (whole.dropped_bits, whole.buckets));
    }
}
