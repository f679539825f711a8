//! A record as a syslog message. Pure.

use serde::Deserialize;
use serde_json::Value;
use weir_kit::Timestamp;

use crate::parts::record;
use crate::tyk::record::{Record, Time};

/// How a message is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The old way, as Go's library has it, with a date as in RFC 3339.
    #[default]
    Rfc3164,
    /// The standard.
    Rfc5424,
}

/// How the record is written inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// `map[alias: api_id:x …]`, as Go prints a map.
    #[default]
    Map,
    /// A JSON object.
    Json,
}

/// What all messages of a target have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// How a message is written.
    pub format: Format,
    /// How the record is written inside.
    pub content: Content,
    /// Facility and severity.
    pub priority: u8,
    /// The machine that sends.
    pub host: String,
    /// The program that sends.
    pub tag: String,
}

impl Frame {
    /// One message, without what separates it from the next.
    pub fn message(&self, record: &Record<'_>, now: Timestamp) -> String {
        let (priority, host, tag) = (self.priority, &self.host, &self.tag);
        let content = self.content(record);
        match self.format {
            Format::Rfc3164 => {
                let now = Time { nanos: 0, ..Time::of(now) }.rfc3339();
                format!("<{priority}>{now} {host} {tag}[{}]: {content}", std::process::id())
            }
            Format::Rfc5424 => {
                let at = Time::of(now).rfc3339();
                format!("<{priority}>1 {at} {host} {tag} {} - - {content}", std::process::id())
            }
        }
    }

    fn content(&self, record: &Record<'_>) -> String {
        let members = record::members(record);
        if self.content == Content::Json {
            return Value::Object(members).to_string();
        }
        // Go sorts the names of a map it prints.
        let mut shown: Vec<String> = members
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("timestamp", _) => format!("timestamp:{}", record.time_stamp.go()),
                (_, Value::String(text)) => format!("{name}:{}", one_line(text)),
                _ => format!("{name}:{value}"),
            })
            .collect();
        shown.sort_unstable();
        format!("map[{}]", shown.join(" "))
    }
}

/// A message is one line, whatever was in the call.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            letter if letter.is_control() => line.push(' '),
            letter => line.push(letter),
        }
    }
    line
}
