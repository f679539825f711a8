//! GELF 1.1: a record as a message, a message in chunks. Pure.

use serde_json::{Map, Value, json};

use crate::parts::record;
use crate::tyk::record::Record;

/// Fields that Tyk Pump's `graylog` knows; the default without the two dumps.
pub const FIELDS: &[&str] = &[
    "method",
    "path",
    "response_code",
    "api_key",
    "api_version",
    "api_name",
    "api_id",
    "org_id",
    "oauth_id",
    "request_time",
    "ip_address",
];

/// Content of a chunk: with its head it fits a packet of an ordinary network.
const CHUNK: usize = 1_420;
/// Most chunks of a message.
const MOST_CHUNKS: usize = 128;

/// The message of one record. The text is JSON of the fields, as the original sends it; each field stands beside it for
/// searching.
pub fn message(record: &Record<'_>, fields: &[String]) -> Vec<u8> {
    let mut members = Map::new();
    for name in fields {
        members.insert(name.clone(), record::value(record, name).unwrap_or_default());
    }
    let mut message = Map::new();
    message.insert("version".to_owned(), json!("1.1"));
    message.insert("host".to_owned(), json!("tyk-pumps"));
    message.insert("timestamp".to_owned(), seconds(record));
    message.insert("level".to_owned(), json!(6));
    for (name, value) in &members {
        // Lists and truth values are not allowed there.
        let value = match value {
            Value::String(_) | Value::Number(_) => value.clone(),
            _ => Value::String(record::text(record, name)),
        };
        message.insert(format!("_{name}"), value);
    }
    // A text that is empty is not allowed.
    message.insert("short_message".to_owned(), Value::String(Value::Object(members).to_string()));
    Value::Object(message).to_string().into_bytes()
}

fn seconds(record: &Record<'_>) -> Value {
    let time = record.time_stamp;
    json!(time.seconds as f64 + f64::from(time.nanos / 1_000_000) / 1_000.0)
}

/// The datagrams of a message; nothing when it is too long for GELF over UDP. `id` tells the chunks of one message from
/// those of another.
pub fn datagrams(message: Vec<u8>, id: [u8; 8]) -> Option<Vec<Vec<u8>>> {
    if message.len() <= CHUNK {
        return Some(vec![message]);
    }
    let count = message.len().div_ceil(CHUNK);
    if count > MOST_CHUNKS {
        return None;
    }
    let chunk = |(number, content): (usize, &[u8])| {
        let mut datagram = vec![0x1E, 0x0F];
        datagram.extend_from_slice(&id);
        // Both are below 129.
        datagram.extend_from_slice(&[number as u8, count as u8]);
        datagram.extend_from_slice(content);
        datagram
    };
    Some(message.chunks(CHUNK).enumerate().map(chunk).collect())
}
