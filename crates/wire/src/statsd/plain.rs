//! StatsD: names with dots, no tags.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, kind};
use weir_pipeline::{Batch, Built, CaptureWish, Delivered, ExportError, Exporter, QueueSettings};

use super::TIMINGS;
use crate::parts::net;
use crate::parts::record::{self, Entry, RecordOptions};

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("\"localhost:8125\""),
        ..FieldSpec::new("address", FieldKind::Text, "host and port of the server; UDP")
    },
    FieldSpec {
        default: Some("[\"request_time\"]"),
        ..FieldSpec::new("fields", FieldKind::Array(&FieldKind::OneOf(TIMINGS)), "times that are sent")
    },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new(
            "tags",
            FieldKind::Array(&FieldKind::Text),
            "fields whose values become parts of the metric's name",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "separated_method",
            FieldKind::Boolean,
            "`path` is the path alone; otherwise it is method and path",
        )
    },
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    pub(super) address: String,
    pub(super) fields: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) separated_method: bool,
}

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    record::unknown_field("tags", &config.tags)?;
    let queue = QueueSettings::default();
    Ok(Built { exporter: Box::new(Statsd { config }), queue, capture: CaptureWish::default() })
}

#[derive(Debug)]
struct Statsd {
    config: Config,
}

#[async_trait]
impl Exporter for Statsd {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let options = RecordOptions::default();
        let entries = record::entries(batch.exchanges, &options);
        let lines = entries.flat_map(|entry| lines(&entry, &self.config));
        net::send_datagrams(&self.config.address, &net::pack(lines, usize::MAX)).await?;
        Ok(Delivered::default())
    }
}

/// One timing for each field: `request_time.get/users.200:12|ms`.
pub(super) fn lines(entry: &Entry<'_>, config: &Config) -> Vec<String> {
    let mut suffix = String::new();
    for tag in &config.tags {
        suffix.push('.');
        suffix.push_str(&tag_value(entry, tag, config.separated_method));
    }
    let rate = match entry.weight {
        0 | 1 => String::new(),
        weight => format!("|@{}", 1.0 / f64::from(weight)),
    };
    let timing = |field: &String| {
        let millis = record::text(&entry.record, field);
        format!("{field}{suffix}:{millis}|ms{rate}")
    };
    config.fields.iter().map(timing).collect()
}

/// In lower case, without quotes and spaces; what would end the name becomes a hyphen.
fn tag_value(entry: &Entry<'_>, tag: &str, separated_method: bool) -> String {
    let value = match tag {
        "path" => {
            let path = entry.record.path.trim_end_matches('/');
            let method = if separated_method { "" } else { entry.record.method.as_ref() };
            format!("{method}{path}")
        }
        _ => record::text(&entry.record, tag),
    };
    let kept = value.chars().filter(|letter| !letter.is_whitespace() && *letter != '"');
    kept.map(|letter| if matches!(letter, ':' | '|' | '@') { '-' } else { letter })
        .flat_map(char::to_lowercase)
        .collect()
}
