//! What can be asked of exchanges.
//!
//! In reading order: [`ast`] (the question), [`parse`] (its text form), [`check`] (names, types, limits), [`text`] (the one
//! tokenizer), [`evaluate`] (what a filter means for one exchange), [`table`] (the answer).
//!
//! Pure: no IO, no task, no clock.

pub mod ast;
pub mod table;

pub use ast::{Aggregation, Cursor, Dimension, Filter, Listing, Measure, Op, Order, TimeRange};
