//! Records as a bulk call, and what its answer says of each of them. Pure.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::parts::record::Entry;
use crate::parts::shortened;
use crate::tyk::record::Record;

/// How documents are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Index of the documents.
    pub index: String,
    /// Index of MCP calls.
    pub mcp_index: Option<String>,
    /// Whether each day has an index.
    pub rolling: bool,
    /// Type of the documents; later versions have none.
    pub document_type: Option<String>,
    /// Whether dumps and user agent are in a document.
    pub extended: bool,
}

/// Adds the two lines of one record. Its id is that of the exchange and its index that of its own day, so a document that
/// is sent twice is stored once.
pub fn write(entry: &Entry<'_>, profile: &Profile, out: &mut Vec<u8>) {
    let record = &entry.record;
    let mut index = match &profile.mcp_index {
        Some(index) if record.mcp.is_mcp && !index.is_empty() => index.clone(),
        _ => profile.index.clone(),
    };
    if profile.rolling {
        index.push('-');
        index.push_str(&record.time_stamp.date("."));
    }
    let mut action = Map::new();
    action.insert("_index".to_owned(), json!(index));
    if let Some(document_type) = &profile.document_type {
        action.insert("_type".to_owned(), json!(document_type));
    }
    action.insert("_id".to_owned(), json!(entry.id.to_string()));
    out.extend_from_slice(json!({"index": action}).to_string().as_bytes());
    out.push(b'\n');
    out.extend_from_slice(document(record, profile).to_string().as_bytes());
    out.push(b'\n');
}

fn document(record: &Record<'_>, profile: &Profile) -> Value {
    let mut document = json!({
        "@timestamp": record.time_stamp.rfc3339(),
        "http_method": record.method,
        "request_uri": record.path,
        "request_uri_full": record.raw_path,
        "response_code": record.response_code,
        "ip_address": record.ip_address,
        "api_key": record.api_key,
        "api_version": record.api_version,
        "api_name": record.api_name,
        "api_id": record.api_id,
        "org_id": record.org_id,
        "oauth_id": record.oauth_id,
        "request_time_ms": record.request_time,
        "alias": record.alias,
        "content_length": record.content_length,
        "tags": record.tags.as_deref().unwrap_or_default(),
    });
    if profile.extended {
        document["raw_request"] = json!(record.raw_request);
        document["raw_response"] = json!(record.raw_response);
        document["user_agent"] = json!(record.user_agent);
    }
    document
}

/// What a bulk call came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is stored but these documents: number in the call and what the server said.
    Stored(Vec<(usize, String)>),
    /// Some documents may be stored later; sending all again is safe.
    Busy(String),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    errors: bool,
    #[serde(default)]
    items: Vec<Map<String, Value>>,
}

/// Reads the answer of a bulk call that was taken.
pub fn read(answer: &[u8]) -> Outcome {
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else {
        let said = shortened(String::from_utf8_lossy(answer).trim(), 200);
        return Outcome::Busy(format!("not the answer of a bulk call: {said}"));
    };
    if !answer.errors {
        return Outcome::Stored(Vec::new());
    }
    let mut refused = Vec::new();
    for (number, item) in answer.items.iter().enumerate() {
        let Some(result) = item.values().next() else { continue };
        let status = result["status"].as_u64().unwrap_or(0);
        if status < 300 {
            continue;
        }
        let said = format!("{status}: {}", reason(&result["error"]));
        if status == 429 || status >= 500 {
            return Outcome::Busy(said);
        }
        refused.push((number, said));
    }
    Outcome::Stored(refused)
}

/// An object with type and reason, in old versions a text.
fn reason(error: &Value) -> String {
    let text = match (error["type"].as_str(), error["reason"].as_str()) {
        (Some(kind), Some(reason)) => format!("{kind}: {reason}"),
        _ => error.as_str().unwrap_or_default().to_owned(),
    };
    shortened(&text, 200)
}
