//! A record as a message (tyk-pump, section 4.6). Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::tyk::record::Record;

/// JSON of the record, with constant members beside those of the record, which win.
pub fn message(record: &Record<'_>, constant: &BTreeMap<String, String>) -> Vec<u8> {
    let mut message = json!({
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
        "tags": record.tags.as_deref().unwrap_or_default(),
    });
    if let Value::Object(members) = &mut message {
        for (name, value) in constant {
            members.entry(name.as_str()).or_insert_with(|| Value::String(value.clone()));
        }
    }
    message.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_members_stand_beside_those_of_the_record() {
        let record = Record { method: "GET".into(), ..Record::default() };
        let constant = [("env", "test"), ("method", "mine")].map(|(name, value)| (name.into(), value.into()));
        let message: Value = serde_json::from_slice(&message(&record, &constant.into())).unwrap();
        assert_eq!((message["method"].as_str(), message["env"].as_str()), (Some("GET"), Some("test")));
        assert_eq!(message.as_object().unwrap().len(), 21);
    }
}
