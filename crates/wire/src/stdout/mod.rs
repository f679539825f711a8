#![doc = include_str!("README.md")]
//!
//! ---
//! One line for each call, from its record; flushed before the batch counts as delivered.

use std::io::Write;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use weir_kit::{Clock, ConfigError, FieldKind, FieldSpec, SystemClock, Timestamp, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, ExporterKind, QueueSettings};

use crate::parts::record::{self, Entry, Json, RECORD, RecordOptions};

/// Prints records.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "stdout",
    aliases: &[],
    about: "prints a log line for each call",
    fields: FIELDS,
    build,
};

const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("\"text\""),
        ..FieldSpec::new("format", FieldKind::OneOf(&["text", "json"]), "how a line is written")
    },
    FieldSpec {
        default: Some("\"tyk-analytics-record\""),
        ..FieldSpec::new("log_field_name", FieldKind::Text, "name of the member that holds the record")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "use_legacy_payload_format",
            FieldKind::Boolean,
            "leave line ends in decoded payloads as they are",
        )
    },
    RECORD,
];

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    format: Format,
    log_field_name: String,
    use_legacy_payload_format: bool,
    record: RecordOptions,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            format: Format::Text,
            log_field_name: "tyk-analytics-record".to_owned(),
            use_legacy_payload_format: false,
            record: RecordOptions::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Text,
    Json,
}

fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    config.record.check()?;
    let capture = config.record.capture();
    Ok(Built { exporter: Box::new(Stdout { config }), queue: QueueSettings::default(), capture })
}

#[derive(Debug)]
struct Stdout {
    config: Config,
}

#[async_trait]
impl Exporter for Stdout {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let now = SystemClock.now();
        let mut text = Vec::new();
        for entry in record::entries(batch.exchanges, &self.config.record) {
            line(entry, &self.config, now, &mut text);
        }
        let written = tokio::task::spawn_blocking(move || write_out(&text)).await;
        let failed = |cause: String| ExportError::Retry { after: None, cause };
        written
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(format!("standard output: {error}")))?;
        Ok(Delivered::default())
    }
}

fn write_out(text: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}

/// Adds one line for a record, in the form of a log line.
fn line(mut entry: Entry<'_>, config: &Config, now: Timestamp, out: &mut Vec<u8>) {
    if !config.use_legacy_payload_format {
        flatten(&mut entry.record.raw_request, config.record.raw_request_decoded);
        flatten(&mut entry.record.raw_response, config.record.raw_response_decoded);
    }
    // Text, numbers and truth values always serialise, and a list of bytes takes all that is written to it.
    let record = serde_json::to_value(Json(&entry.record)).unwrap_or_default();
    match config.format {
        Format::Json => {
            let mut members = Map::new();
            members.insert("level".to_owned(), json!("info"));
            members.insert("msg".to_owned(), json!(""));
            members.insert("time".to_owned(), json!(now));
            members.insert(config.log_field_name.clone(), record);
            out.extend_from_slice(Value::Object(members).to_string().as_bytes());
        }
        Format::Text => {
            let quoted = Value::String(record.to_string());
            let text = format!("time=\"{now}\" level=info {}={quoted}", config.log_field_name);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out.push(b'\n');
}

/// One line instead of many: line ends of decoded payloads become spaces.
fn flatten(payload: &mut crate::tyk::record::Text<'_>, decoded: bool) {
    if decoded && payload.contains(['\r', '\n']) {
        *payload = payload.replace("\r\n", " ").replace(['\r', '\n'], " ").into();
    }
}

#[cfg(test)]
mod tests {
    use weir_model::ExchangeId;

    use super::*;
    use crate::tyk::record::Record;

    fn written(config: &Config) -> String {
        let now = Timestamp::from_seconds(1_795_175_537);
        let record = Record {
            method: "GET".into(),
            raw_request: "GET / HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            ..Record::default()
        };
        let entry = Entry { id: ExchangeId::new(now), weight: 1, record };
        let mut out = Vec::new();
        line(entry, config, now, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn config(format: Format) -> Config {
        let record = RecordOptions { raw_request_decoded: true, ..RecordOptions::default() };
        Config { format, record, ..Config::default() }
    }

    #[test]
    fn a_json_line_is_a_log_line_with_the_record_inside() {
        let line = written(&config(Format::Json));
        assert_eq!(line.matches('\n').count(), 1);
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["level"], "info");
        assert_eq!(read["msg"], "");
        assert_eq!(read["time"], "2026-11-20T11:52:17Z");
        assert_eq!(read["tyk-analytics-record"]["method"], "GET");
        assert_eq!(read["tyk-analytics-record"]["raw_request"], "GET / HTTP/1.1 host: a  ");
    }

    #[test]
    fn a_text_line_stays_one_line() {
        let legacy =
            Config { use_legacy_payload_format: true, log_field_name: "r".into(), ..config(Format::Text) };
        let line = written(&legacy);
        let record = line.strip_prefix("time=\"2026-11-20T11:52:17Z\" level=info r=").unwrap();
        assert_eq!(record.matches('\n').count(), 1);
        let record: String = serde_json::from_str(record).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        assert_eq!(record["raw_request"], "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }

    #[test]
    fn unknown_fields_to_ignore_are_told() {
        let settings = json!({"format": "json", "record": {"ignore_fields": ["nothing"]}});
        let error = build(settings).err().unwrap();
        assert_eq!(error.to_string(), "record.ignore_fields: no field \"nothing\"");
    }
}
