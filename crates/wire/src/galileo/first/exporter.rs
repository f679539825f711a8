//! The settings of the first generation, and what sends by them.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret, kind, schema};
use weir_pipeline::{Batch, Built, CaptureWish, Delivered, ExportError, Exporter, QueueSettings};

use super::encode;
use crate::galileo::config::{oldest_batch, seconds};
use crate::galileo::decode::MAX_ENTRIES;
use crate::galileo::encode::{self as second, Profile};
use crate::galileo::exporter::{Collector, Rules};

/// The collector of the original product. Its name no longer resolves; settings name another.
pub const DEFAULT_HOST: &str = "socket.analytics.mashape.com";

const DEFAULT_PATH: &str = "/1.0.0/batch";
const ANY_NUMBER: FieldKind = FieldKind::Number { min: f64::MIN, max: f64::MAX };

/// What the settings may hold (kong-analytics, section 2, as of Kong 0.5.4).
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        secret: true,
        ..FieldSpec::new("service_token", FieldKind::Text, "identifies the account at the collector")
    },
    FieldSpec::new("environment", FieldKind::Text, "environment that entries are reported under"),
    FieldSpec { default: Some("100"), ..FieldSpec::new("batch_size", ANY_NUMBER, "entries in a full batch") },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("log_body", FieldKind::Boolean, "capture and send request and response bodies")
    },
    FieldSpec {
        default: Some("2"),
        ..FieldSpec::new("delay", ANY_NUMBER, "seconds of silence after which an incomplete batch is sent")
    },
    FieldSpec {
        required: true,
        default: Some("\"socket.analytics.mashape.com\""),
        ..FieldSpec::new("host", FieldKind::Text, "name or address of the collector, without port")
    },
    FieldSpec {
        required: true,
        default: Some("80"),
        ..FieldSpec::new(
            "port",
            FieldKind::Integer { min: 0, max: 65_535 },
            "port of the collector; never TLS",
        )
    },
    FieldSpec {
        required: true,
        default: Some("\"/1.0.0/batch\""),
        ..FieldSpec::new("path", FieldKind::Text, "where batches go")
    },
    FieldSpec {
        default: Some("10"),
        ..FieldSpec::new(
            "max_sending_queue_size",
            ANY_NUMBER,
            "MB; accepted for compatibility, the journal is the queue",
        )
    },
    FieldSpec {
        default: Some("\"1.0.0\""),
        ..FieldSpec::new(
            "alf_version",
            FieldKind::OneOf(&["1.0.0", "1.1.0"]),
            "version of the format to send (ours)",
        )
    },
];

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    service_token: Secret,
    environment: Option<String>,
    batch_size: f64,
    log_body: bool,
    delay: f64,
    host: String,
    port: u16,
    path: String,
    #[serde(rename = "max_sending_queue_size")]
    _max_sending_queue_size: f64,
    alf_version: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service_token: Secret::default(),
            environment: None,
            batch_size: 100.0,
            log_body: false,
            delay: 2.0,
            host: DEFAULT_HOST.to_owned(),
            port: 80,
            path: DEFAULT_PATH.to_owned(),
            _max_sending_queue_size: 10.0,
            alf_version: "1.0.0".to_owned(),
        }
    }
}

/// Builds an exporter from its settings.
pub fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    if config.service_token.expose().is_empty() {
        return Err(ConfigError::one("service_token", schema::REQUIRED));
    }
    if !config.path.starts_with('/') {
        return Err(ConfigError::one("path", format!("not a path: {:?}", config.path)));
    }
    let newer = config.alf_version == "1.1.0";
    let path = if newer && config.path == DEFAULT_PATH { "/1.1.0/single" } else { &config.path };
    let url = format!("http://{}:{}{path}", config.host, config.port);
    let profile = Profile { log_bodies: config.log_body, ..Profile::default() };
    let bytes = if config.log_body { 1024 * 1024 } else { 0 };
    Ok(Built {
        queue: queue(&config),
        capture: CaptureWish { request_body_bytes: bytes, response_body_bytes: bytes },
        exporter: Box::new(Analytics {
            collector: Collector::new(url, Duration::from_secs(30), false, Rules::First)?,
            token: config.service_token.expose().to_owned(),
            environment: config.environment,
            profile,
            newer,
        }),
    })
}

/// The original repeats for ever, after 1, 4, 9 ... 60 seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate")]
fn queue(config: &Config) -> QueueSettings {
    let delay = seconds(config.delay).unwrap_or_default();
    QueueSettings {
        max_batch_size: (config.batch_size as usize).clamp(1, MAX_ENTRIES),
        max_idle_delay: Some(delay),
        max_coalescing_delay: oldest_batch(delay),
        initial_retry_delay: Duration::from_secs(1),
        max_retry_delay: Duration::from_secs(60),
        max_attempts: None,
        ..QueueSettings::default()
    }
}

#[derive(Debug)]
struct Analytics {
    collector: Collector,
    token: String,
    environment: Option<String>,
    profile: Profile,
    /// Whether to send ALF 1.1.0.
    newer: bool,
}

#[async_trait]
impl Exporter for Analytics {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let plan = if self.newer { second::plan } else { encode::plan };
        self.collector
            .deliver(plan(batch.exchanges, &self.token, self.environment.as_deref(), &self.profile))
            .await
    }
}
