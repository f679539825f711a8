//! The measures of one group while it is counted. Every store adds to these, so figures mean the same everywhere.

use std::cmp::Ordering;

use weir_query::Measure;
use weir_query::evaluate::{Number, Subject, failed};
use weir_query::table::Cell;

use crate::sketch::{Distinct, Quantiles, hash_of};

/// One measure of one group.
#[derive(Debug, Clone)]
pub(crate) enum Figure {
    Count(u64),
    ErrorRatio {
        failed: u64,
        all: u64,
    },
    Sum(Sum),
    Mean {
        sum: Sum,
        weight: u64,
    },
    Min(Option<Number>),
    Max(Option<Number>),
    Quantile(Quantiles, f64),
    /// Another quantile of the numbers that an earlier figure of the group keeps.
    QuantileOf(usize, f64),
    Distinct(Distinct),
}

/// Figures of a group with nothing counted yet. Different values are counted exactly up to `exact_distinct` of them.
pub(crate) fn empty_figures(measures: &[Measure], exact_distinct: usize) -> Vec<Figure> {
    let field_of = |measure: &Measure| match measure {
        Measure::Quantile(field, _) => Some(field.clone()),
        _ => None,
    };
    let figure = |measure: &Measure| {
        let field = field_of(measure);
        let first = measures.iter().position(|other| field.is_some() && field_of(other) == field);
        match (measure, first) {
            (Measure::Quantile(_, quantile), Some(first)) if !std::ptr::eq(&measures[first], measure) => {
                Figure::QuantileOf(first, *quantile)
            }
            _ => Figure::new(measure, exact_distinct),
        }
    };
    measures.iter().map(figure).collect()
}

/// The cell of each figure of a group.
pub(crate) fn finish(figures: &[Figure]) -> impl Iterator<Item = Cell> {
    figures.iter().map(|figure| match figure {
        Figure::QuantileOf(first, quantile) => match &figures[*first] {
            Figure::Quantile(quantiles, _) => quantile_cell(quantiles, *quantile),
            _ => Cell::Null,
        },
        figure => figure.finish(),
    })
}

fn quantile_cell(quantiles: &Quantiles, quantile: f64) -> Cell {
    quantiles.quantile(quantile).map_or(Cell::Null, Cell::Float)
}

impl Figure {
    fn new(measure: &Measure, exact_distinct: usize) -> Self {
        match measure {
            Measure::Count => Self::Count(0),
            Measure::ErrorRatio => Self::ErrorRatio { failed: 0, all: 0 },
            Measure::Sum(_) => Self::Sum(Sum::default()),
            Measure::Mean(_) => Self::Mean { sum: Sum::default(), weight: 0 },
            Measure::Min(_) => Self::Min(None),
            Measure::Max(_) => Self::Max(None),
            Measure::Quantile(_, quantile) => Self::Quantile(Quantiles::default(), *quantile),
            Measure::Distinct(_) => Self::Distinct(Distinct::exact_up_to(exact_distinct)),
        }
    }

    /// Counts an exchange that stands for `weight` calls.
    pub(crate) fn add(&mut self, measure: &Measure, subject: &Subject<'_>, weight: u64) {
        match measure {
            Measure::Count | Measure::ErrorRatio => self.add_call(failed(subject.exchange()), weight),
            Measure::Sum(field)
            | Measure::Mean(field)
            | Measure::Min(field)
            | Measure::Max(field)
            | Measure::Quantile(field, _) => {
                subject.each_number(field, |number| self.add_number(number, weight))
            }
            Measure::Distinct(field) => {
                for value in subject.values(field) {
                    self.add_hash(hash_of(&value));
                }
            }
        }
    }

    /// Counts `weight` calls; for measures of calls.
    pub(crate) fn add_call(&mut self, call_failed: bool, weight: u64) {
        match self {
            Self::Count(count) => *count = count.saturating_add(weight),
            Self::ErrorRatio { failed, all } => {
                *all = all.saturating_add(weight);
                *failed = failed.saturating_add(if call_failed { weight } else { 0 });
            }
            _ => {}
        }
    }

    /// Counts a number that stands for `weight` of its kind; for measures of a number field.
    pub(crate) fn add_number(&mut self, number: Number, weight: u64) {
        let is_instant = matches!(number, Number::Time(_));
        match self {
            // Instants have a first and a last, and no sum.
            Self::Sum(_) | Self::Mean { .. } | Self::Quantile(..) if is_instant => {}
            Self::Sum(sum) => sum.add(number, weight),
            Self::Mean { sum, weight: all } => {
                sum.add(number, weight);
                *all = all.saturating_add(weight);
            }
            Self::Min(least) if least.is_none_or(|least| compare(number, least).is_lt()) => {
                *least = Some(number)
            }
            Self::Max(most) if most.is_none_or(|most| compare(number, most).is_gt()) => *most = Some(number),
            Self::Quantile(quantiles, _) => quantiles.add(number.as_f64(), weight),
            _ => {}
        }
    }

    /// Counts a value by its hash; for the measure of different values.
    pub(crate) fn add_hash(&mut self, hash: u64) {
        if let Self::Distinct(distinct) = self {
            distinct.add(hash);
        }
    }

    /// Takes over what was counted elsewhere for the same measure.
    pub(crate) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Count(count), Self::Count(more)) => *count = count.saturating_add(more),
            (Self::ErrorRatio { failed, all }, Self::ErrorRatio { failed: more_failed, all: more }) => {
                *all = all.saturating_add(more);
                *failed = failed.saturating_add(more_failed);
            }
            (Self::Sum(sum), Self::Sum(more)) => sum.merge(&more),
            (Self::Mean { sum, weight }, Self::Mean { sum: more, weight: more_weight }) => {
                sum.merge(&more);
                *weight = weight.saturating_add(more_weight);
            }
            (least @ Self::Min(_), Self::Min(Some(number)))
            | (least @ Self::Max(_), Self::Max(Some(number))) => {
                least.add_number(number, 1);
            }
            (Self::Quantile(quantiles, _), Self::Quantile(more, _)) => quantiles.merge(&more),
            (Self::Distinct(distinct), Self::Distinct(more)) => distinct.merge(&more),
            // Of a group without a value; figures of different measures never meet.
            _ => {}
        }
    }

    /// Roughly how many bytes it holds beyond its own size.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Quantile(quantiles, _) => quantiles.heap_bytes(),
            Self::Distinct(distinct) => distinct.heap_bytes(),
            _ => 0,
        }
    }

    fn finish(&self) -> Cell {
        match self {
            Self::Count(count) => Cell::Integer(i64::try_from(*count).unwrap_or(i64::MAX)),
            Self::ErrorRatio { all: 0, .. } | Self::Mean { weight: 0, .. } => Cell::Null,
            Self::ErrorRatio { failed, all } => Cell::Float(*failed as f64 / *all as f64),
            Self::Sum(sum) => sum.finish(),
            Self::Mean { sum, weight } => Cell::Float(sum.as_f64() / *weight as f64),
            Self::Min(number) | Self::Max(number) => match number {
                None => Cell::Null,
                Some(Number::Integer(number)) => Cell::Integer(*number),
                Some(Number::Float(number)) => Cell::Float(*number),
                Some(Number::Time(instant)) => Cell::Time(*instant),
            },
            Self::Quantile(quantiles, quantile) => quantile_cell(quantiles, *quantile),
            // Needs its group, see `finish`.
            Self::QuantileOf(..) => Cell::Null,
            Self::Distinct(distinct) => Cell::Integer(i64::try_from(distinct.estimate()).unwrap_or(i64::MAX)),
        }
    }
}

fn compare(left: Number, right: Number) -> Ordering {
    match (left, right) {
        (Number::Integer(left), Number::Integer(right)) => left.cmp(&right),
        (Number::Time(left), Number::Time(right)) => left.cmp(&right),
        _ => left.as_f64().total_cmp(&right.as_f64()),
    }
}

/// A sum that is exact for whole numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    whole: i128,
    fraction: f64,
    has_fraction: bool,
}

impl Sum {
    fn add(&mut self, number: Number, weight: u64) {
        match number {
            Number::Integer(number) => {
                self.whole = self.whole.saturating_add(i128::from(number) * i128::from(weight));
            }
            number => {
                self.fraction += number.as_f64() * weight as f64;
                self.has_fraction = true;
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.whole = self.whole.saturating_add(other.whole);
        self.fraction += other.fraction;
        self.has_fraction |= other.has_fraction;
    }

    fn as_f64(&self) -> f64 {
        self.whole as f64 + self.fraction
    }

    fn finish(&self) -> Cell {
        match i64::try_from(self.whole) {
            Ok(whole) if !self.has_fraction => Cell::Integer(whole),
            _ => Cell::Float(self.as_f64()),
        }
    }
}
