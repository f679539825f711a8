#![doc = include_str!("README.md")]
//!
//! ---
//! JSON lines to a URL; what is not answered with success is sent again.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, ExporterKind, QueueSettings};

use crate::parts::http::{Caller, Options};
use crate::parts::record::{self, Json, RECORD, RecordOptions};
use crate::parts::tls::{SSL_CA_FILE, SSL_CERT_FILE, SSL_INSECURE_SKIP_VERIFY, SSL_KEY_FILE, TlsSettings};
use crate::weir;

/// Sends batches as JSON lines to a URL.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "http",
    aliases: &["webhook"],
    about: "sends calls as JSON lines to a URL",
    fields: FIELDS,
    build,
};

/// Names a batch so that the receiver can recognise it when it comes again.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

const FIELDS: &[FieldSpec] = &[
    FieldSpec { required: true, ..FieldSpec::new("url", FieldKind::Url, "where batches go") },
    FieldSpec {
        default: Some("\"POST\""),
        ..FieldSpec::new("method", FieldKind::OneOf(&["POST", "PUT", "PATCH"]), "method of the call")
    },
    FieldSpec {
        default: Some("{}"),
        secret: true,
        ..FieldSpec::new("headers", FieldKind::Map(&FieldKind::Text), "headers of the call, by name")
    },
    FieldSpec {
        default: Some("\"weir\""),
        ..FieldSpec::new(
            "format",
            FieldKind::OneOf(&["weir", "tyk"]),
            "what a line holds: the whole exchange in weir's own form, or Tyk's traffic record",
        )
    },
    FieldSpec {
        default: Some("0"),
        ..FieldSpec::new(
            "max_body_bytes",
            FieldKind::Integer { min: 0, max: 16 << 20 },
            "most bytes of each body that the gateway captures for this output",
        )
    },
    FieldSpec {
        default: Some("1000"),
        ..FieldSpec::new("batch_size", FieldKind::Integer { min: 1, max: 50_000 }, "most lines of a call")
    },
    FieldSpec {
        default: Some("\"30s\""),
        ..FieldSpec::new("timeout", FieldKind::Duration, "how long to connect and to wait for the answer")
    },
    SSL_INSECURE_SKIP_VERIFY,
    SSL_CA_FILE,
    SSL_CERT_FILE,
    SSL_KEY_FILE,
    RECORD,
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Config {
    url: String,
    method: String,
    headers: BTreeMap<String, Secret>,
    format: Format,
    max_body_bytes: usize,
    batch_size: usize,
    timeout: String,
    #[serde(flatten)]
    tls: TlsSettings,
    record: RecordOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Weir,
    Tyk,
}

fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    config.record.check()?;
    let timeout = weir_kit::units::duration(&config.timeout);
    let timeout = timeout.map_err(|message| ConfigError::one("timeout", message))?;
    let options = Options { timeout, tls: config.tls.chosen()?, ..Options::default() };
    let method = Method::from_bytes(config.method.as_bytes());
    let mut capture = config.record.capture();
    capture.request_body_bytes = capture.request_body_bytes.max(config.max_body_bytes);
    capture.response_body_bytes = capture.response_body_bytes.max(config.max_body_bytes);
    let queue = QueueSettings {
        max_batch_size: config.batch_size.max(1),
        timeout: timeout.saturating_mul(2).max(Duration::from_secs(60)),
        ..QueueSettings::default()
    };
    let exporter = Webhook {
        caller: Caller::new(&options)?,
        url: config.url,
        method: method.map_err(|error| ConfigError::one("method", error.to_string()))?,
        headers: headers(&config.headers)?,
        format: config.format,
        options: config.record,
    };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

/// Values are never quoted: they may be secrets.
fn headers(written: &BTreeMap<String, Secret>) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    for (name, value) in written {
        let failed = |what| ConfigError::one("headers", format!("{name:?}: {what}"));
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| failed("not the name of a header"))?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| failed("not a header's value"))?;
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

#[derive(Debug)]
struct Webhook {
    caller: Caller,
    url: String,
    method: Method,
    headers: HeaderMap,
    format: Format,
    options: RecordOptions,
}

#[async_trait]
impl Exporter for Webhook {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let key = match batch.exchanges {
            [only] => only.id.to_string(),
            [first, .., last] => format!("{}.{}", first.id, last.id),
            [] => return Ok(Delivered::default()),
        };
        let request = self
            .caller
            .request(self.method.clone(), &self.url)
            .headers(self.headers.clone())
            .header(IDEMPOTENCY_KEY, key)
            .body(self.lines(batch));
        match self.caller.send(request).await?.settled()? {
            None => Ok(Delivered::default()),
            Some(cause) => Err(ExportError::Refused { cause }),
        }
    }
}

impl Webhook {
    /// Text, numbers and truth values always serialise, and a list of bytes takes all that is written to it.
    fn lines(&self, batch: &Batch<'_>) -> Vec<u8> {
        let mut lines = Vec::new();
        match self.format {
            Format::Weir => {
                for exchange in batch.exchanges {
                    let written = serde_json::to_writer(&mut lines, &weir::encode::record(exchange));
                    debug_assert!(written.is_ok());
                    lines.push(b'\n');
                }
            }
            Format::Tyk => {
                for entry in record::entries(batch.exchanges, &self.options) {
                    let written = serde_json::to_writer(&mut lines, &Json(&entry.record));
                    debug_assert!(written.is_ok());
                    lines.push(b'\n');
                }
            }
        }
        lines
    }
}
