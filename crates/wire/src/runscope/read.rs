//! Messages as they are met: every member may be missing, and most may be of another type than documented
//! (kong-runscope, B2).

use serde::Deserialize;

use crate::parts::lenient::{Many, Members, Number, Text, Unread};

/// The messages of a call, unread.
pub(super) type Messages<'a> = Unread<'a, { super::decode::MAX_MESSAGES }>;

/// What is reported of one exchange.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) unique_identifier: Text<'a>,
    #[serde(borrow)]
    pub(super) request: Option<Request<'a>>,
    #[serde(borrow)]
    pub(super) response: Option<Response<'a>>,
}

/// What was asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    pub(super) method: Text<'a>,
    #[serde(borrow)]
    pub(super) url: Text<'a>,
    #[serde(borrow)]
    pub(super) headers: Fields<'a>,
    #[serde(borrow)]
    pub(super) form: Fields<'a>,
    #[serde(borrow)]
    pub(super) body: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) body_encoding: Text<'a>,
    pub(super) timestamp: Number,
}

/// What was answered.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response<'a> {
    pub(super) status: Number,
    #[serde(borrow)]
    pub(super) reason: Text<'a>,
    #[serde(borrow)]
    pub(super) headers: Fields<'a>,
    #[serde(borrow)]
    pub(super) body: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) body_encoding: Text<'a>,
    pub(super) size_bytes: Number,
    pub(super) timestamp: Number,
    pub(super) response_time: Number,
}

/// Headers or form fields: an object whose values are single or lists. An encoder that cannot tell an empty object from
/// an empty list writes `[]`.
pub(super) type Fields<'a> = Members<'a>;

/// The values of one name. Reading a value that is nothing else fails never.
pub(super) fn values<'a>(raw: &'a serde_json::value::RawValue) -> Vec<Text<'a>> {
    let text = raw.get();
    if text.starts_with('[') {
        return serde_json::from_str::<Many<Text<'a>>>(text).map(|many| many.0).unwrap_or_default();
    }
    vec![serde_json::from_str(text).unwrap_or_default()]
}
