//! The shapes of answers. Core types are not serialisable: these convert from them, and the OpenAPI document is made of
//! these.

pub(crate) mod exchange;
pub(crate) mod row;
pub(crate) mod table;

pub(crate) use exchange::ExchangeDetail;
pub(crate) use row::{ExchangeList, ExchangeRow};
pub(crate) use table::Table;

use std::time::Duration;

use weir_model::CompactString;

/// Milliseconds with a fraction, to the microsecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

/// A copy of a text of an exchange.
pub(crate) fn owned(text: &Option<CompactString>) -> Option<String> {
    text.as_deref().map(ToOwned::to_owned)
}

/// A text that is there only when it says something.
pub(crate) fn text_or_none(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}
