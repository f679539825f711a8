//! A distribution in little space that merges without loss: counts in bins whose width grows with the value, so every
//! percentile is within one percent of the truth.

use std::collections::BTreeMap;

/// Ratio of the ends of a bin: 1 % to either side of its middle.
const RATIO: f64 = 1.01 / 0.99;
/// The bin of everything below one millisecond.
const BELOW_ONE: i32 = -1;

/// How often values occurred, by bin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch(pub BTreeMap<i32, i64>);

impl Sketch {
    /// Counts a value of milliseconds.
    pub fn add(&mut self, millis: i64, count: i64) {
        *self.0.entry(bin(millis)).or_default() += count;
    }

    /// Counts what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (bin, count) in &other.0 {
            *self.0.entry(*bin).or_default() += count;
        }
    }

    /// The value in milliseconds that this share of all values (0 to 1) does not exceed; `None` without values.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total: i64 = self.0.values().sum();
        let rank = (share.clamp(0.0, 1.0) * (total - 1) as f64).round() as i64;
        let mut passed = 0;
        for (bin, count) in &self.0 {
            passed += count;
            if passed > rank {
                return Some(middle(*bin));
            }
        }
        None
    }
}

fn bin(millis: i64) -> i32 {
    if millis < 1 {
        return BELOW_ONE;
    }
    // At most 2,183 for the largest number there is.
    ((millis as f64).ln() / RATIO.ln()).ceil() as i32
}

/// The value that a bin stands for.
pub(super) fn middle(bin: i32) -> f64 {
    if bin <= BELOW_ONE { 0.0 } else { 2.0 * RATIO.powi(bin) / (RATIO + 1.0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_sketch_has_no_quantile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
        let mut zeros = Sketch::default();
        zeros.add(0, 3);
        assert_eq!(zeros.quantile(0.99), Some(0.0));
        assert_eq!(bin(1), 0);
        assert_eq!(bin(i64::MAX), 2_184);
    }

    proptest! {
        #[test]
        fn quantiles_are_within_one_percent_and_merging_changes_nothing(
            mut values in prop::collection::vec(0i64..10_000_000, 1..300),
            share in 0.0f64..=1.0,
            cut in 0usize..300,
        ) {
            let (mut whole, mut left, mut right) = (Sketch::default(), Sketch::default(), Sketch::default());
            for (index, value) in values.iter().enumerate() {
                whole.add(*value, 1);
                if index < cut { left.add(*value, 1) } else { right.add(*value, 1) }
            }
            left.merge(&right);
            prop_assert_eq!(&left, &whole);
            values.sort_unstable();
            let truth = values[(share * (values.len() - 1) as f64).round() as usize] as f64;
            let found = whole.quantile(share).unwrap();
            prop_assert!((found - truth).abs() <= truth * 0.01 + 1e-6, "{} is not {}", found, truth);
        }
    }
}
