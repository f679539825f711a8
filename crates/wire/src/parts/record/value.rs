//! Fields of a record by name, for outputs whose settings list the fields to send.

use serde_json::{Map, Value, json};
use weir_kit::ConfigError;

use crate::tyk::record::Record;

/// The names that [`value`] knows (tyk-pump, sections 4.7 and 4.8); some have a second spelling beside.
pub const FIELD_NAMES: &[&str] = &[
    "method",
    "host",
    "path",
    "raw_path",
    "content_length",
    "user_agent",
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
    "tags",
    "alias",
    "track_path",
    "latency_total",
    "latency_upstream",
    "latency_gateway",
    "original_path",
    "listen_path",
    "country",
];

/// The field of this name; `None` for a name that nobody knows.
pub fn value(record: &Record<'_>, name: &str) -> Option<Value> {
    Some(match name {
        "method" => json!(record.method),
        "host" => json!(record.host),
        "path" => json!(record.path),
        "raw_path" => json!(record.raw_path),
        "content_length" => json!(record.content_length),
        "user_agent" => json!(record.user_agent),
        "response_code" | "code" => json!(record.response_code),
        "api_key" | "key" => json!(record.api_key),
        "time_stamp" | "timestamp" => json!(record.time_stamp.rfc3339()),
        "api_version" => json!(record.api_version),
        "api_name" => json!(record.api_name),
        "api_id" | "api" => json!(record.api_id),
        "org_id" => json!(record.org_id),
        "oauth_id" | "client_id" => json!(record.oauth_id),
        "raw_request" => json!(record.raw_request),
        "request_time" => json!(record.request_time),
        "raw_response" => json!(record.raw_response),
        "ip_address" => json!(record.ip_address),
        "tags" => json!(record.tags.as_deref().unwrap_or_default()),
        "alias" => json!(record.alias),
        "track_path" | "tracked" => json!(record.track_path),
        "latency_total" => json!(record.latency.total),
        "latency_upstream" => json!(record.latency.upstream),
        "latency_gateway" => json!(record.latency.gateway),
        "original_path" => json!(record.original_path),
        "listen_path" => json!(record.listen_path),
        "country" => json!(record.geo.country),
        _ => return None,
    })
}

/// The field of this name as plain text; tags are joined by commas. Empty for a name that nobody knows.
pub fn text(record: &Record<'_>, name: &str) -> String {
    match value(record, name) {
        Some(Value::String(text)) => text,
        Some(Value::Array(_)) => record.tags.as_deref().unwrap_or_default().join(","),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// The first of these names that nobody knows, as a mistake in the setting `key`.
pub fn unknown_field(key: &str, names: &[String]) -> Result<(), ConfigError> {
    let empty = Record::default();
    match names.iter().find(|name| value(&empty, name).is_none()) {
        None => Ok(()),
        Some(name) => Err(ConfigError::one(key, format!("{name:?} is none of {}", FIELD_NAMES.join(", ")))),
    }
}

/// The record as an object, with the names that log lines and messages of the pump have (tyk-pump, sections 4.6 and 4.8).
pub fn members(record: &Record<'_>) -> Map<String, Value> {
    let members = json!({
        "timestamp": record.time_stamp.rfc3339(),
        "method": record.method,
        "path": record.path,
        "raw_path": record.raw_path,
        "response_code": record.response_code,
        "alias": record.alias,
        "api_key": record.api_key,
        "api_version": record.api_version,
        "api_name": record.api_name,
        "api_id": record.api_id,
        "org_id": record.org_id,
        "oauth_id": record.oauth_id,
        "raw_request": record.raw_request,
        "request_time_ms": record.request_time,
        "raw_response": record.raw_response,
        "ip_address": record.ip_address,
        "host": record.host,
        "content_length": record.content_length,
        "user_agent": record.user_agent,
    });
    match members {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_known() {
        let record =
            Record { tags: Some(vec!["a".into(), "b".into()]), response_code: 404, ..Record::default() };
        for name in FIELD_NAMES {
            assert!(value(&record, name).is_some(), "{name}");
        }
        assert_eq!(value(&record, "password"), None);
        assert_eq!(text(&record, "tags"), "a,b");
        assert_eq!(text(&record, "response_code"), "404");
        assert_eq!(text(&record, "track_path"), "false");
        let error = unknown_field("fields", &["path".into(), "password".into()]).unwrap_err();
        assert!(error.to_string().starts_with("fields: \"password\" is none of method, "), "{error}");
    }
}
