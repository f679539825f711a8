//! DogStatsD: histograms with tags.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, kind};
use weir_model::ExchangeId;
use weir_pipeline::{Batch, Built, CaptureWish, Delivered, ExportError, Exporter, QueueSettings};

use crate::parts::net;
use crate::parts::record::{self, Entry, RecordOptions};

/// The tags when none are named, without `oauth_id`, which is sent only when there is one.
const DEFAULT_TAGS: &[&str] =
    &["path", "method", "response_code", "api_version", "api_name", "api_id", "org_id", "tracked"];

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("\"default\""),
        ..FieldSpec::new("namespace", FieldKind::Text, "first part of the metric's name")
    },
    FieldSpec {
        default: Some("\"localhost:8125\""),
        ..FieldSpec::new(
            "address",
            FieldKind::Text,
            "host and port of the agent (UDP), or `unix://` and the path of its socket",
        )
    },
    FieldSpec {
        default: Some("1"),
        ..FieldSpec::new(
            "sample_rate",
            FieldKind::Number { min: 0.0, max: 1.0 },
            "share of the calls that are sent; 0 means 1",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("async_uds", FieldKind::Boolean, "accepted without effect: sending never waits here")
    },
    FieldSpec {
        default: Some("1"),
        ..FieldSpec::new(
            "async_uds_write_timeout_seconds",
            FieldKind::Integer { min: 0, max: 3_600 },
            "accepted without effect",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("buffered", FieldKind::Boolean, "several metrics in a datagram")
    },
    FieldSpec {
        default: Some("16"),
        ..FieldSpec::new(
            "buffered_max_messages",
            FieldKind::Integer { min: 0, max: 10_000 },
            "most metrics in a datagram",
        )
    },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new(
            "tags",
            FieldKind::Array(&FieldKind::Text),
            "fields that become tags; empty: path, method, response_code, api_version, api_name, api_id, \
             org_id, tracked and oauth_id",
        )
    },
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    pub(super) namespace: String,
    pub(super) address: String,
    pub(super) sample_rate: f64,
    #[serde(rename = "async_uds")]
    pub(super) _async_uds: bool,
    #[serde(rename = "async_uds_write_timeout_seconds")]
    pub(super) _async_uds_write_timeout_seconds: u64,
    pub(super) buffered: bool,
    pub(super) buffered_max_messages: usize,
    pub(super) tags: Vec<String>,
}

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let mut config: Config = kind::read(settings)?;
    record::unknown_field("tags", &config.tags)?;
    if config.sample_rate <= 0.0 {
        config.sample_rate = 1.0;
    }
    let queue = QueueSettings::default();
    Ok(Built { exporter: Box::new(DogStatsd { config }), queue, capture: CaptureWish::default() })
}

#[derive(Debug)]
struct DogStatsd {
    config: Config,
}

#[async_trait]
impl Exporter for DogStatsd {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let (config, options) = (&self.config, RecordOptions::default());
        let most = if config.buffered { config.buffered_max_messages.max(1) } else { 1 };
        let entries = record::entries(batch.exchanges, &options);
        let chosen = entries.filter(|entry| is_chosen(entry.id, config.sample_rate));
        let lines: Vec<String> = chosen.map(|entry| line(&entry, config)).collect();
        let sampled = batch.exchanges.len() - lines.len();
        let datagrams = net::pack(lines.into_iter(), most);
        match config.address.strip_prefix("unix://") {
            Some(path) => send_unix(path, &datagrams).await?,
            None => net::send_datagrams(&config.address, &datagrams).await?,
        }
        Ok(Delivered { sampled, ..Delivered::default() })
    }
}

async fn send_unix(path: &str, datagrams: &[Vec<u8>]) -> Result<(), ExportError> {
    let failed = |error: std::io::Error| net::retry(format_args!("unix {path}"), &error);
    let socket = tokio::net::UnixDatagram::unbound().map_err(failed)?;
    socket.connect(path).map_err(failed)?;
    for datagram in datagrams {
        socket.send(datagram).await.map_err(failed)?;
    }
    Ok(())
}

/// Whether a call is among those that are sent: decided by its id, so that a repeated batch chooses alike.
pub(super) fn is_chosen(id: ExchangeId, rate: f64) -> bool {
    let mut random = [0; 4];
    random.copy_from_slice(&id.to_bytes()[12..]);
    f64::from(u32::from_be_bytes(random)) < rate * 4_294_967_296.0
}

/// `default.request_time:12|h|@0.5|#path:/users,method:GET`
pub(super) fn line(entry: &Entry<'_>, config: &Config) -> String {
    let record = &entry.record;
    let mut line = format!("{}.request_time:{}|h", config.namespace, record.request_time);
    let rate = config.sample_rate / f64::from(entry.weight.max(1));
    if rate < 1.0 {
        line.push_str(&format!("|@{rate}"));
    }
    line.push_str("|#");
    if config.tags.is_empty() {
        let oauth_id = (!record.oauth_id.is_empty()).then_some("oauth_id");
        add_tags(&mut line, entry, DEFAULT_TAGS.iter().copied().chain(oauth_id));
    } else {
        add_tags(&mut line, entry, config.tags.iter().map(String::as_str));
    }
    line
}

/// What would end a tag or the line becomes `_`.
fn add_tags<'a>(line: &mut String, entry: &Entry<'_>, names: impl Iterator<Item = &'a str>) {
    for (index, name) in names.enumerate() {
        if index > 0 {
            line.push(',');
        }
        line.push_str(name);
        line.push(':');
        line.push_str(&record::text(&entry.record, name).replace([',', '|', '#', '\n', '\r'], "_"));
    }
}
