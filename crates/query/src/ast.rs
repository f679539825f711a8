//! The question, as data. Fields are resolved ([`Field`]), values typed; `check` makes these from names and texts.

use std::borrow::Cow;
use std::time::Duration;

use weir_kit::Timestamp;
use weir_model::{ExchangeId, Field, FieldValue, ProjectId};

/// Exchanges that began at or after `from` and before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// First instant inside.
    pub from: Timestamp,
    /// First instant after.
    pub to: Timestamp,
}

impl TimeRange {
    /// All time.
    pub const ALL: Self = Self { from: Timestamp::MIN, to: Timestamp::MAX };

    /// Whether the instant lies inside.
    pub fn contains(self, instant: Timestamp) -> bool {
        self.from <= instant && instant < self.to
    }
}

/// Which exchanges.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every exchange.
    Any,
    /// Those that match all.
    And(Vec<Filter>),
    /// Those that match at least one.
    Or(Vec<Filter>),
    /// Those that do not match.
    Not(Box<Filter>),
    /// Those with at least one value of `field` for which `op` holds.
    Test {
        /// The field.
        field: Field,
        /// The comparison, with its operands.
        op: Op,
    },
    /// Those whose path, query, headers or bodies hold all these words next to each other and in this order; one word is
    /// a phrase of one. Already in the form of the tokenizer.
    Words(Vec<String>),
}

/// A comparison of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// There is a value.
    Exists,
    /// Equal to one of these. Text compares with case; numbers compare across integer and float.
    In(Vec<FieldValue<'static>>),
    /// Text that begins so.
    Prefix(String),
    /// Text that matches a pattern with `*` for any run of characters; every other character is itself.
    Like(String),
    /// A number or instant within bounds.
    Range {
        /// At or above (`true`), or strictly above.
        from: Option<(FieldValue<'static>, bool)>,
        /// At or below (`true`), or strictly below.
        to: Option<(FieldValue<'static>, bool)>,
    },
}

/// In which order exchanges are listed. Ties are broken by id in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By start, latest first.
    NewestFirst,
    /// By start, earliest first.
    OldestFirst,
}

/// Where a listing goes on: after the exchange with this start and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Start of the last exchange listed.
    pub started_at: Timestamp,
    /// Its id.
    pub id: ExchangeId,
}

/// «Show me these exchanges.»
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// Whose.
    pub project: ProjectId,
    /// When.
    pub range: TimeRange,
    /// Which.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// How many at most.
    pub limit: usize,
    /// Where to go on.
    pub after: Option<Cursor>,
}

/// «Count these exchanges, cut so.»
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregation {
    /// Whose.
    pub project: ProjectId,
    /// When.
    pub range: TimeRange,
    /// Which.
    pub filter: Filter,
    /// One row for each combination of values; none gives one row.
    pub dimensions: Vec<Dimension>,
    /// The columns of each row, after the dimensions.
    pub measures: Vec<Measure>,
    /// Rows are ordered by this measure (index), largest first; by dimensions ascending when `None`.
    pub order_by: Option<usize>,
    /// How many rows at most.
    pub limit: usize,
}

/// A way to cut.
#[derive(Debug, Clone, PartialEq)]
pub enum Dimension {
    /// By start, in intervals of this width counted from the epoch.
    Time(Duration),
    /// By value. An exchange without a value falls in the group `null`; one with several falls in each.
    Field(Field),
    /// By bands of a number: below the first bound (band 0), between two, at or above the last. The cell is the number
    /// of the band. Text that writes a number counts as it, in open families.
    Bands {
        /// A number field.
        field: Field,
        /// Ascending.
        bounds: Vec<f64>,
    },
}

/// A figure. Every count and sum multiplies by the exchange's weight.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// How many calls.
    Count,
    /// Share of calls that failed: status 500 and above, no answer, or an error inside the answer; 0 to 1.
    ErrorRatio,
    /// Sum of a number field.
    Sum(Field),
    /// Mean of a number field; `null` without values.
    Mean(Field),
    /// Smallest value of a field of numbers, earliest of instants.
    Min(Field),
    /// Largest value of a field of numbers, latest of instants.
    Max(Field),
    /// Quantile (0 to 1) of a number field, within 1 % of its value (DDSketch).
    Quantile(Field, f64),
    /// How many different values; estimated (HyperLogLog), exact below a few hundred.
    Distinct(Field),
}

impl Dimension {
    /// The name of its column: that of the field.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Time(_) => "start_time".into(),
            Self::Field(field) | Self::Bands { field, .. } => field.name(),
        }
    }
}

impl Measure {
    /// The name of its column, as `check` reads it: `count`, `p99.9(http.server.request.duration)`.
    pub fn name(&self) -> Cow<'static, str> {
        let (function, field) = match self {
            Self::Count => return "count".into(),
            Self::ErrorRatio => return "error_ratio".into(),
            Self::Sum(field) => ("sum".to_owned(), field),
            Self::Mean(field) => ("mean".to_owned(), field),
            Self::Min(field) => ("min".to_owned(), field),
            Self::Max(field) => ("max".to_owned(), field),
            // Rounded, for 0.999 × 100 is not exactly 99.9.
            Self::Quantile(field, quantile) => (format!("p{}", (quantile * 1e8).round() / 1e6), field),
            Self::Distinct(field) => ("distinct".to_owned(), field),
        };
        format!("{function}({})", field.name()).into()
    }
}
