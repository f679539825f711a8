//! The answer to an aggregation.

use weir_kit::Timestamp;

/// Rows of figures: first the dimensions, then the measures, in the order asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
    /// Whether rows beyond the limit were left out.
    pub more: bool,
    /// Whether a figure is an estimate beyond what its measure says (a sampled or top-N-by-segment answer).
    pub approximate: bool,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Start of an interval, or a time value.
    Time(Timestamp),
    /// True or false.
    Bool(bool),
}
