//! What can be asked of exchanges.
//!
//! In reading order: [`ast`] (the question), [`parse`] (its text form), [`check`] (names, types, limits), [`text`] (the one
//! tokenizer), [`body`] (members of JSON bodies), [`evaluate`] (what filters, dimensions and measures mean for one
//! exchange), [`table`] (the answer).
//!
//! Pure: no IO, no task, no clock.

pub mod ast;
pub mod body;
pub mod check;
pub mod evaluate;
pub mod json;
pub mod mistake;
pub mod parse;
pub mod syntax;
pub mod table;
pub mod text;
pub mod time;

pub use ast::{Aggregation, Cursor, Dimension, Filter, Listing, Measure, Op, Order, TimeRange};
pub use mistake::{Mistake, Place};
