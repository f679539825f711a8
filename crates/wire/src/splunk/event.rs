//! A record as an event. Pure.

use serde_json::{Map, Value, json};

use crate::parts::record;
use crate::tyk::record::Record;

/// The fields of an event when settings name none (tyk-pump, section 4.8).
pub const DEFAULT_FIELDS: &[&str] = &[
    "method",
    "path",
    "response_code",
    "api_key",
    "time_stamp",
    "api_version",
    "api_name",
    "api_id",
    "org_id",
    "oauth_id",
    "raw_request",
    "request_time",
    "raw_response",
    "ip_address",
];

/// How events are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Fields of an event.
    pub fields: Vec<String>,
    /// How many characters of a key are shown; `None` for all.
    pub shown_of_keys: Option<usize>,
    /// Tags that begin with one of these are left out.
    pub ignore_tag_prefixes: Vec<String>,
}

/// The event of one record, with the time of the call in seconds.
pub fn event(record: &Record<'_>, profile: &Profile) -> Value {
    let mut event = Map::new();
    for name in &profile.fields {
        let value = match name.as_str() {
            "api_key" => Value::String(key(&record.api_key, profile.shown_of_keys)),
            "tags" => tags(record, profile),
            _ => record::value(record, name).unwrap_or_default(),
        };
        event.insert(name.clone(), value);
    }
    let time = record.time_stamp;
    let seconds = time.seconds as f64 + f64::from(time.nanos / 1_000_000) / 1_000.0;
    json!({"time": seconds, "event": event})
}

/// `****` and the last characters of a key; a key that is not longer than what may be shown is hidden whole.
pub fn key(key: &str, shown: Option<usize>) -> String {
    let Some(shown) = shown else { return key.to_owned() };
    let length = key.chars().count();
    if length <= shown {
        return "----".to_owned();
    }
    format!("****{}", key.chars().skip(length - shown).collect::<String>())
}

fn tags(record: &Record<'_>, profile: &Profile) -> Value {
    let ignored =
        |tag: &str| profile.ignore_tag_prefixes.iter().any(|prefix| tag.starts_with(prefix.as_str()));
    let kept: Vec<&str> =
        record.tags.iter().flatten().map(AsRef::as_ref).filter(|tag| !ignored(tag)).collect();
    json!(kept)
}
