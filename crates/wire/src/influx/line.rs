//! A record as a line of InfluxDB's line protocol. Pure.

use serde_json::Value;

use crate::parts::record::{self, Entry};

/// Adds the line of one record: `analytics,method=GET request_time=12i 1795175537725064123`.
///
/// Points with the same tags and time are one point to InfluxDB. Times of calls are whole microseconds, so the nanoseconds
/// below tell calls apart: they come from the id, and are the same when the call is sent again.
pub fn write(entry: &Entry<'_>, fields: &[String], tags: &[String], out: &mut String) {
    out.push_str("analytics");
    for name in tags {
        let value = record::text(&entry.record, name);
        // An empty tag is not allowed.
        if !value.is_empty() {
            out.push(',');
            escape(name, out);
            out.push('=');
            escape(&value, out);
        }
    }
    for (index, name) in fields.iter().enumerate() {
        out.push(if index == 0 { ' ' } else { ',' });
        escape(name, out);
        out.push('=');
        match record::value(&entry.record, name) {
            Some(Value::Number(number)) => out.push_str(&format!("{number}i")),
            Some(Value::Bool(truth)) => out.push_str(if truth { "true" } else { "false" }),
            _ => quote(&record::text(&entry.record, name), out),
        }
    }
    out.push_str(&format!(" {}\n", nanoseconds(entry)));
}

fn nanoseconds(entry: &Entry<'_>) -> i64 {
    let nanos = entry.record.time_stamp.nanoseconds();
    if nanos % 1_000 != 0 {
        return nanos;
    }
    let [.., high, low] = entry.id.to_bytes();
    nanos.saturating_add(i64::from(u16::from_be_bytes([high, low])) % 1_000)
}

/// Names and values of tags: a line end becomes a space, which is escaped like commas and equals signs.
fn escape(text: &str, out: &mut String) {
    // A backslash at the end would escape what follows.
    for letter in text.trim_end_matches('\\').chars() {
        match letter {
            ',' | '=' | ' ' => out.extend(['\\', letter]),
            '\n' | '\r' | '\t' => out.push_str("\\ "),
            _ => out.push(letter),
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}
