//! The exporter's settings: Kong's names, types, defaults and units (kong-runscope, A1), and five of our own.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::Url;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret, kind, schema};
use weir_pipeline::{CaptureWish, QueueSettings};

use super::encode::Profile;
use super::exporter::CONCURRENT_CALLS;

/// The service of the original product, which no longer exists; settings name another.
pub const DEFAULT_ENDPOINT: &str = "https://api.runscope.com";

/// Most messages of one call that the exporter makes.
const MAX_BATCH: i64 = 1_000;

const ANY_NUMBER: FieldKind = FieldKind::Number { min: f64::MIN, max: f64::MAX };

/// What the settings may hold.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        default: Some("\"https://api.runscope.com\""),
        ..FieldSpec::new("api_endpoint", FieldKind::Url, "URL of the service; a path is kept")
    },
    FieldSpec {
        required: true,
        aliases: &["bucket"],
        ..FieldSpec::new("bucket_key", FieldKind::Text, "the bucket that messages go to")
    },
    FieldSpec {
        required: true,
        secret: true,
        default: Some("\"\""),
        ..FieldSpec::new("access_token", FieldKind::Text, "allows to write to the bucket")
    },
    FieldSpec {
        default: Some("10000"),
        ..FieldSpec::new("timeout", ANY_NUMBER, "milliseconds to connect, and to wait for each read")
    },
    FieldSpec {
        default: Some("30"),
        ..FieldSpec::new("keepalive", ANY_NUMBER, "milliseconds that an idle connection is kept")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("log_body", FieldKind::Boolean, "capture and send request and response bodies")
    },
    FieldSpec {
        default: Some("0"),
        ..FieldSpec::new("retry_count", ANY_NUMBER, "attempts for one batch; 0 and 1 are one (ours)")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "tls_verify",
            FieldKind::Boolean,
            "whether to check the service's certificate (ours)",
        )
    },
    FieldSpec {
        default: Some("1"),
        ..FieldSpec::new(
            "batch_size",
            FieldKind::Integer { min: 1, max: MAX_BATCH },
            "most messages in one call; more than one are sent as a list (ours)",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "strict_kong",
            FieldKind::Boolean,
            "write messages exactly as Kong's plugin did, with its faults (ours)",
        )
    },
    FieldSpec {
        default: Some("1048576"),
        ..FieldSpec::new(
            "max_body_bytes",
            FieldKind::Integer { min: 0, max: 15_000_000 },
            "bytes; larger bodies are not sent (ours)",
        )
    },
];

/// The settings, checked and completed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the service is.
    pub api_endpoint: String,
    /// Where messages go.
    pub bucket_key: String,
    /// Travels in a header.
    pub access_token: Secret,
    /// Milliseconds.
    pub timeout: f64,
    /// Milliseconds.
    pub keepalive: f64,
    /// Whether bodies are captured and sent.
    pub log_body: bool,
    /// Attempts in all; 0 is 1.
    pub retry_count: f64,
    /// Whether to check the certificate.
    pub tls_verify: bool,
    /// Messages in one call.
    pub batch_size: usize,
    /// Whether messages are written as the original did.
    pub strict_kong: bool,
    /// Larger bodies are not sent.
    pub max_body_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_endpoint: DEFAULT_ENDPOINT.to_owned(),
            bucket_key: String::new(),
            access_token: Secret::default(),
            timeout: 10_000.0,
            keepalive: 30.0,
            log_body: false,
            retry_count: 0.0,
            tls_verify: false,
            batch_size: 1,
            strict_kong: false,
            max_body_bytes: 1024 * 1024,
        }
    }
}

impl Config {
    /// Reads the settings.
    pub fn read(settings: Value) -> Result<Self, ConfigError> {
        let config: Self = kind::read(settings)?;
        for (name, value) in
            [("bucket_key", config.bucket_key.as_str()), ("access_token", config.access_token.expose())]
        {
            if value.is_empty() {
                return Err(ConfigError::one(name, schema::REQUIRED));
            }
        }
        if config.access_token.expose().contains(|byte: char| !(' '..='~').contains(&byte)) {
            return Err(ConfigError::one("access_token", "has a character that no header can hold"));
        }
        config.url().map_err(|reason| ConfigError::one("api_endpoint", reason))?;
        Ok(config)
    }

    /// Where messages go. A path of the endpoint is kept, a query is not; a slash at its end gives two slashes, as it
    /// always did.
    ///
    /// # Errors
    /// When the endpoint is not an absolute URL with a host.
    pub fn url(&self) -> Result<Url, String> {
        let problem = || format!("not an http or https URL with a host: {:?}", self.api_endpoint);
        let mut url = Url::parse(&self.api_endpoint).map_err(|_| problem())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(problem());
        }
        url.set_query(None);
        url.set_fragment(None);
        // The parser adds a slash where nobody wrote a path.
        let prefix = if has_path(&self.api_endpoint) { url.path().to_owned() } else { String::new() };
        let mut bucket = Url::parse("http://bucket").map_err(|_| problem())?;
        bucket.path_segments_mut().map_err(|()| problem())?.push(&self.bucket_key);
        url.set_path(&format!("{prefix}/buckets{}/messages", bucket.path()));
        Ok(url)
    }

    /// How long to connect and to wait for each read; 10 seconds when the setting makes no sense.
    pub fn timeout(&self) -> Duration {
        milliseconds(self.timeout).filter(|timeout| !timeout.is_zero()).unwrap_or(Duration::from_secs(10))
    }

    /// How long an idle connection is kept; not at all when the setting makes no sense.
    pub fn keepalive(&self) -> Duration {
        milliseconds(self.keepalive).unwrap_or_default()
    }

    /// How messages are written.
    pub fn profile(&self) -> Profile {
        Profile { log_body: self.log_body, strict: self.strict_kong }
    }

    /// How batches are made and repeated: by default, as in the original, every message in a call of its own, several calls
    /// at a time, and once. With
    /// several attempts the waits are those of the plugin `galileo`: 4, 9, 16 ... 60 seconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate")]
    pub fn queue(&self) -> QueueSettings {
        QueueSettings {
            max_batch_size: self.batch_size.clamp(CONCURRENT_CALLS, MAX_BATCH as usize),
            max_coalescing_delay: if self.batch_size > 1 { Duration::from_secs(1) } else { Duration::ZERO },
            initial_retry_delay: Duration::from_secs(4),
            max_retry_delay: Duration::from_secs(60),
            max_attempts: Some((self.retry_count as u32).max(1)),
            timeout: self.timeout().saturating_mul(2).max(Duration::from_secs(60)),
            ..QueueSettings::default()
        }
    }

    /// What the gateway must capture.
    pub fn capture(&self) -> CaptureWish {
        let bytes = if self.log_body { self.max_body_bytes } else { 0 };
        CaptureWish { request_body_bytes: bytes, response_body_bytes: bytes }
    }
}

/// Whether something stands between the host and the query.
fn has_path(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    rest.get(..end).is_some_and(|rest| rest.contains('/'))
}

/// Milliseconds as written in settings; `None` when negative or beyond reason.
fn milliseconds(number: f64) -> Option<Duration> {
    let time = Duration::try_from_secs_f64(number / 1_000.0).ok()?;
    Some(time.min(Duration::from_secs(24 * 3600)))
}
