//! The exporter's settings: Kong's names, types, defaults and units (kong-galileo, section 2), and three of our own.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret, kind};
use weir_pipeline::{CaptureWish, QueueSettings};

use super::encode::Profile;

/// The collector of the original product. Its name no longer resolves; settings name another.
pub const DEFAULT_HOST: &str = "collector.galileo.mashape.com";

const ANY_NUMBER: FieldKind = FieldKind::Number { min: f64::MIN, max: f64::MAX };

/// What the settings may hold.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        secret: true,
        ..FieldSpec::new("service_token", FieldKind::Text, "identifies the account at the collector")
    },
    FieldSpec::new("environment", FieldKind::Text, "environment that entries are reported under"),
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("log_bodies", FieldKind::Boolean, "capture and send request and response bodies")
    },
    FieldSpec {
        default: Some("10"),
        ..FieldSpec::new("retry_count", ANY_NUMBER, "attempts for one batch, the first included")
    },
    FieldSpec {
        default: Some("30"),
        ..FieldSpec::new("connection_timeout", ANY_NUMBER, "seconds to connect, and to wait for each read")
    },
    FieldSpec {
        default: Some("2"),
        ..FieldSpec::new(
            "flush_timeout",
            ANY_NUMBER,
            "seconds of silence after which an incomplete batch is sent",
        )
    },
    FieldSpec {
        default: Some("1000"),
        ..FieldSpec::new("queue_size", ANY_NUMBER, "entries in a full batch")
    },
    FieldSpec {
        required: true,
        default: Some("\"collector.galileo.mashape.com\""),
        ..FieldSpec::new("host", FieldKind::Text, "name or address of the collector, without port")
    },
    FieldSpec {
        required: true,
        default: Some("443"),
        ..FieldSpec::new("port", FieldKind::Integer { min: 0, max: 65_535 }, "port of the collector")
    },
    FieldSpec {
        default: Some("true"),
        ..FieldSpec::new("https", FieldKind::Boolean, "whether to speak TLS to the collector")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("https_verify", FieldKind::Boolean, "whether to check the collector's certificate")
    },
    FieldSpec {
        default: Some("1048576"),
        ..FieldSpec::new(
            "max_body_bytes",
            FieldKind::Integer { min: 0, max: 15_000_000 },
            "bytes; larger bodies are not sent (ours)",
        )
    },
    FieldSpec {
        default: Some("100"),
        ..FieldSpec::new(
            "max_fields",
            FieldKind::Integer { min: 1, max: 1_000 },
            "most request headers, response headers and query arguments of an entry, each (ours)",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "start_milliseconds",
            FieldKind::Boolean,
            "keep the milliseconds of the start (ours)",
        )
    },
];

/// The settings, checked and completed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Identifies the account; travels in the body.
    pub service_token: Secret,
    /// Environment of the entries.
    pub environment: Option<String>,
    /// Whether bodies are captured and sent.
    pub log_bodies: bool,
    /// Attempts in all; 0 is 1.
    pub retry_count: f64,
    /// Seconds.
    pub connection_timeout: f64,
    /// Seconds.
    pub flush_timeout: f64,
    /// Entries in a full batch.
    pub queue_size: f64,
    /// Without port.
    pub host: String,
    /// Of the collector.
    pub port: u16,
    /// Whether to speak TLS.
    pub https: bool,
    /// Whether to check the certificate.
    pub https_verify: bool,
    /// Larger bodies are not sent.
    pub max_body_bytes: usize,
    /// Headers and arguments per entry.
    pub max_fields: usize,
    /// Whether the start keeps its milliseconds.
    pub start_milliseconds: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service_token: Secret::default(),
            environment: None,
            log_bodies: false,
            retry_count: 10.0,
            connection_timeout: 30.0,
            flush_timeout: 2.0,
            queue_size: 1_000.0,
            host: DEFAULT_HOST.to_owned(),
            port: 443,
            https: true,
            https_verify: false,
            max_body_bytes: 1024 * 1024,
            max_fields: 100,
            start_milliseconds: false,
        }
    }
}

impl Config {
    /// Reads the settings.
    pub fn read(settings: Value) -> Result<Self, ConfigError> {
        let config: Self = kind::read(settings)?;
        if config.service_token.expose().is_empty() {
            return Err(ConfigError::one("service_token", weir_kit::schema::REQUIRED));
        }
        if config.host.is_empty() || config.host.contains(['/', '@', ' ', '?', '#']) {
            return Err(ConfigError::one("host", format!("not a host name: {:?}", config.host)));
        }
        Ok(config)
    }

    /// Where batches go. The path is fixed.
    pub fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let bare_ipv6 = self.host.contains(':') && !self.host.starts_with('[');
        let host = if bare_ipv6 { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}/1.1.0/single", self.port)
    }

    /// How long to connect and to wait for each read; 30 seconds when the setting makes no sense.
    pub fn timeout(&self) -> Duration {
        seconds(self.connection_timeout)
            .filter(|timeout| !timeout.is_zero())
            .unwrap_or(Duration::from_secs(30))
    }

    /// How entries are written.
    pub fn profile(&self) -> Profile {
        Profile {
            log_bodies: self.log_bodies,
            milliseconds: self.start_milliseconds,
            max_fields: self.max_fields.clamp(1, 1_000),
        }
    }

    /// How batches are made and repeated. The original waits 4, 9, 16 ... 60 seconds after failures.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate")]
    pub fn queue(&self) -> QueueSettings {
        let flush = seconds(self.flush_timeout).unwrap_or_default();
        QueueSettings {
            max_batch_size: (self.queue_size as usize).clamp(1, super::decode::MAX_ENTRIES),
            max_idle_delay: Some(flush),
            max_coalescing_delay: oldest_batch(flush),
            initial_retry_delay: Duration::from_secs(4),
            max_retry_delay: Duration::from_secs(60),
            max_attempts: Some((self.retry_count as u32).max(1)),
            timeout: self.timeout().saturating_mul(2).max(Duration::from_secs(60)),
            ..QueueSettings::default()
        }
    }

    /// What the gateway must capture.
    pub fn capture(&self) -> CaptureWish {
        let bytes = if self.log_bodies { self.max_body_bytes } else { 0 };
        CaptureWish { request_body_bytes: bytes, response_body_bytes: bytes }
    }
}

/// Seconds as written in settings; `None` when negative or beyond reason.
pub(super) fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok().map(|time| time.min(Duration::from_secs(24 * 3600)))
}

/// How old an incomplete batch may grow under steady traffic; the original let it wait for ever (kong-galileo, section 7.2).
pub(super) fn oldest_batch(flush: Duration) -> Duration {
    if flush.is_zero() { flush } else { (flush * 5).max(Duration::from_secs(10)) }
}
