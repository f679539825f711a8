//! A record as a message (tyk-pump, section 4.6). Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::parts::record;
use crate::tyk::record::Record;

/// JSON of the record, with constant members beside those of the record, which win.
pub fn message(record: &Record<'_>, constant: &BTreeMap<String, String>) -> Vec<u8> {
    let mut message = record::members(record);
    message.insert("tags".to_owned(), json!(record.tags.as_deref().unwrap_or_default()));
    for (name, value) in constant {
        message.entry(name.as_str()).or_insert_with(|| Value::String(value.clone()));
    }
    Value::Object(message).to_string().into_bytes()
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
