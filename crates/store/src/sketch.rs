//! Sketches: quantiles (DDSketch, α = 1 %) and numbers of different values (HyperLogLog).
//!
//! DDSketch is that of Masson, Rim and Lee (VLDB 2019) with the logarithmic mapping and without collapsing: quantiles
//! depend on the values alone, never on the order or grouping in which they were added, so stores can be compared by equality.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// γ of α = 0.01: each bin spans this ratio.
const GAMMA: f64 = 1.01 / 0.99;

/// Smaller magnitudes count as zero.
const MIN_MAGNITUDE: f64 = 1e-9;

/// Counts of numbers in bins of equal ratio.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quantiles {
    count: u64,
    zero: u64,
    positive: Bins,
    negative: Bins,
}

impl Quantiles {
    /// Counts `number` `weight` times.
    pub(crate) fn add(&mut self, number: f64, weight: u64) {
        self.count = self.count.saturating_add(weight);
        if number.abs() < MIN_MAGNITUDE || number.is_nan() {
            self.zero = self.zero.saturating_add(weight);
        } else if number > 0.0 {
            self.positive.add(bin(number), weight);
        } else {
            self.negative.add(bin(-number), weight);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.zero = self.zero.saturating_add(other.zero);
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
    }

    /// The number at rank `quantile` × (count - 1), within 1 % of its value; `None` without numbers.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        let last = self.count.checked_sub(1)?;
        let rank = (quantile.clamp(0.0, 1.0) * last as f64) as u64;
        let mut below = 0u64;
        let mut passes = |count: u64| {
            below = below.saturating_add(count);
            below > rank
        };
        for (bin, count) in self.negative.iter().rev() {
            if passes(count) {
                return Some(-middle(bin));
            }
        }
        if passes(self.zero) {
            return Some(0.0);
        }
        let mut found = None;
        for (bin, count) in self.positive.iter() {
            found = Some(middle(bin));
            if passes(count) {
                break;
            }
        }
        found
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        8 * (self.positive.counts.len() + self.negative.counts.len())
    }
}

fn bin(magnitude: f64) -> i32 {
    (magnitude.ln() / GAMMA.ln()).ceil() as i32
}

fn middle(bin: i32) -> f64 {
    2.0 * GAMMA.powi(bin) / (1.0 + GAMMA)
}

/// Counts by bin, from the first bin used. Finite floats span fewer than 40,000 bins.
#[derive(Debug, Clone, Default)]
struct Bins {
    first: i32,
    counts: Vec<u64>,
}

impl Bins {
    fn add(&mut self, bin: i32, count: u64) {
        if self.counts.is_empty() {
            self.first = bin;
        }
        if bin < self.first {
            let missing = usize::try_from(self.first - bin).unwrap_or(0);
            self.counts.splice(..0, std::iter::repeat_n(0, missing));
            self.first = bin;
        }
        let index = usize::try_from(bin - self.first).unwrap_or(0);
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] = self.counts[index].saturating_add(count);
    }

    fn merge(&mut self, other: &Self) {
        for (bin, count) in other.iter().filter(|(_, count)| *count > 0) {
            self.add(bin, count);
        }
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, u64)> {
        (self.first..).zip(self.counts.iter().copied()).collect::<Vec<_>>().into_iter()
    }
}

/// The hash by which a value is counted; the same within one process.
pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// log2 of the number of registers: a standard error of 0.8 %.
const PRECISION: u32 = 14;

/// Counts different hashes: exactly at first, then by HyperLogLog with Ertl's improved estimator (2017).
#[derive(Debug, Clone)]
pub(crate) enum Distinct {
    Exact { hashes: HashSet<u64>, limit: usize },
    Registers(Box<[u8]>),
}

impl Distinct {
    pub(crate) fn exact_up_to(limit: usize) -> Self {
        Self::Exact { hashes: HashSet::new(), limit }
    }

    pub(crate) fn add(&mut self, hash: u64) {
        match self {
            Self::Exact { hashes, limit } => {
                hashes.insert(hash);
                if hashes.len() > *limit {
                    let mut registers = vec![0; 1 << PRECISION].into_boxed_slice();
                    hashes.iter().for_each(|hash| register(&mut registers, *hash));
                    *self = Self::Registers(registers);
                }
            }
            Self::Registers(registers) => register(registers, hash),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        match other {
            Self::Exact { hashes, .. } => hashes.iter().for_each(|hash| self.add(*hash)),
            Self::Registers(theirs) => {
                let mut merged = theirs.clone();
                match self {
                    Self::Exact { hashes, .. } => hashes.iter().for_each(|hash| register(&mut merged, *hash)),
                    Self::Registers(ours) => {
                        merged
                            .iter_mut()
                            .zip(ours.iter())
                            .for_each(|(merged, ours)| *merged = (*merged).max(*ours));
                    }
                }
                *self = Self::Registers(merged);
            }
        }
    }

    pub(crate) fn estimate(&self) -> u64 {
        match self {
            Self::Exact { hashes, .. } => hashes.len() as u64,
            Self::Registers(registers) => estimate(registers).round() as u64,
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Exact { hashes, .. } => hashes.capacity() * 9,
            Self::Registers(registers) => registers.len(),
        }
    }
}

fn register(registers: &mut [u8], hash: u64) {
    let index = (hash >> (64 - PRECISION)) as usize;
    // The bit set below the rest bounds the run of zeros.
    let run = (hash << PRECISION | 1 << (PRECISION - 1)).leading_zeros() as u8 + 1;
    registers[index] = registers[index].max(run);
}

/// Algorithm 6 of Otmar Ertl, «New cardinality estimation algorithms for HyperLogLog sketches», arXiv 1702.01284.
fn estimate(registers: &[u8]) -> f64 {
    const LEVELS: usize = 64 - PRECISION as usize;
    let size = registers.len() as f64;
    let mut histogram = [0u32; LEVELS + 2];
    registers.iter().for_each(|register| histogram[usize::from(*register).min(LEVELS + 1)] += 1);
    let mut z = size * tau(1.0 - f64::from(histogram[LEVELS + 1]) / size);
    for level in (1..=LEVELS).rev() {
        z = 0.5 * (z + f64::from(histogram[level]));
    }
    z += size * sigma(f64::from(histogram[0]) / size);
    size * size / (2.0 * std::f64::consts::LN_2 * z)
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_reference_implementation() {
        let mut ours = Quantiles::default();
        let mut reference =
            sketches_ddsketch::DDSketch::new(sketches_ddsketch::Config::new(0.01, 100_000, 1e-9));
        for number in 0..10_000 {
            let number = f64::from(number * 7_919 % 10_007).powi(2) - 1_000.0;
            ours.add(number, 1);
            reference.add(number);
        }
        // At 0 and 1 the reference gives the exact extremes, which it keeps beside the bins.
        for quantile in [0.01, 0.05, 0.5, 0.9, 0.99, 0.999] {
            let (ours, reference) =
                (ours.quantile(quantile).unwrap(), reference.quantile(quantile).unwrap().unwrap());
            assert!((ours - reference).abs() <= 1e-9 * reference.abs(), "{quantile}: {ours} {reference}");
        }
        assert_eq!(Quantiles::default().quantile(0.5), None);
    }

    #[test]
    fn different_values_are_counted_within_two_percent() {
        for count in [0u64, 1, 500, 3_000, 40_000, 300_000] {
            let (mut whole, mut half) = (Distinct::exact_up_to(512), Distinct::exact_up_to(512));
            for number in 0..count {
                if number % 2 == 0 {
                    whole.add(hash_of(&number))
                } else {
                    half.add(hash_of(&number))
                }
                whole.add(hash_of(&(number / 2 * 2)));
            }
            whole.merge(&half);
            let estimate = whole.estimate();
            let allowed = if count <= 512 { 0 } else { count / 50 };
            assert!(estimate.abs_diff(count) <= allowed, "{estimate} for {count}");
        }
    }

    proptest::proptest! {
        #[test]
        fn quantiles_are_within_one_percent_and_merge(
            numbers in proptest::collection::vec(-1e12..1e12f64, 1..200),
            quantile in 0.0..1.0f64,
        ) {
            let (mut left, mut right, mut all) = (Quantiles::default(), Quantiles::default(), Quantiles::default());
            for (index, number) in numbers.iter().enumerate() {
                all.add(*number, 2);
                if index % 3 == 0 { left.add(*number, 2) } else { right.add(*number, 2) }
            }
            left.merge(&right);
            proptest::prop_assert_eq!(left.quantile(quantile), all.quantile(quantile));
            let mut sorted: Vec<f64> = numbers.iter().flat_map(|number| [*number; 2]).collect();
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[(quantile * (sorted.len() - 1) as f64) as usize];
            let found = all.quantile(quantile).unwrap();
            proptest::prop_assert!((found - exact).abs() <= 0.0100001 * exact.abs(), "{} for {}", found, exact);
        }
    }
}
