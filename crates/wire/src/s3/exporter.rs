//! Puts each batch as one object.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use weir_kit::{Clock, ConfigError, FieldKind, FieldSpec, Secret, SystemClock, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, QueueSettings};

use super::sign::{self, Signer};
use crate::parts::http::{Caller, Options};
use crate::parts::record::{self, Json, RECORD, RecordOptions};
use crate::parts::tls::{SSL_CA_FILE, SSL_CERT_FILE, SSL_INSECURE_SKIP_VERIFY, SSL_KEY_FILE, TlsSettings};
use crate::tyk::record::Time;
use crate::weir;

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec { required: true, ..FieldSpec::new("bucket", FieldKind::Text, "bucket of the objects") },
    FieldSpec {
        default: Some("\"us-east-1\""),
        ..FieldSpec::new("region", FieldKind::Text, "region of the bucket")
    },
    FieldSpec::new("endpoint", FieldKind::Url, "address of the store, for others than AWS"),
    FieldSpec {
        default: Some("true"),
        ..FieldSpec::new(
            "path_style",
            FieldKind::Boolean,
            "the bucket stands in the path of `endpoint`, not before its host",
        )
    },
    FieldSpec { required: true, ..FieldSpec::new("access_key_id", FieldKind::Text, "id of the key") },
    FieldSpec {
        required: true,
        secret: true,
        ..FieldSpec::new("secret_access_key", FieldKind::Text, "the key")
    },
    FieldSpec {
        secret: true,
        ..FieldSpec::new("session_token", FieldKind::Text, "for a key of limited time")
    },
    FieldSpec {
        default: Some("\"weir/\""),
        ..FieldSpec::new("prefix", FieldKind::Text, "what the names of all objects begin with")
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
        default: Some("10000"),
        ..FieldSpec::new("batch_size", FieldKind::Integer { min: 1, max: 100_000 }, "most calls of an object")
    },
    FieldSpec {
        default: Some("\"60s\""),
        ..FieldSpec::new("flush_interval", FieldKind::Duration, "how long an object may wait to fill up")
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
    bucket: String,
    region: String,
    endpoint: Option<String>,
    path_style: bool,
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    prefix: String,
    format: String,
    batch_size: usize,
    flush_interval: String,
    #[serde(flatten)]
    tls: TlsSettings,
    record: RecordOptions,
}

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    config.record.check()?;
    let delay = weir_kit::units::duration(&config.flush_interval)
        .map_err(|message| ConfigError::one("flush_interval", message))?;
    let queue = QueueSettings {
        max_batch_size: config.batch_size.max(1),
        max_coalescing_delay: delay,
        timeout: Duration::from_secs(120),
        ..QueueSettings::default()
    };
    let (origin, folder) = place(&config)?;
    let capture = config.record.capture();
    let exporter = S3 {
        caller: Caller::new(&Options { tls: config.tls.chosen()?, ..Options::default() })?,
        host: host(&origin)?,
        origin: origin.origin().ascii_serialization(),
        folder,
        signer: Signer {
            key_id: config.access_key_id,
            secret: config.secret_access_key,
            region: config.region,
        },
        token: config.session_token.filter(|token| !token.expose().is_empty()),
        whole: config.format != "tyk",
        options: config.record,
    };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

/// Where objects go: the server, and what their paths begin with.
fn place(config: &Config) -> Result<(Url, String), ConfigError> {
    let aws = format!("https://{}.s3.{}.amazonaws.com", config.bucket, config.region);
    let given = config.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty());
    let failed = |error: url::ParseError| ConfigError::one("endpoint", error.to_string());
    let mut url = Url::parse(given.unwrap_or(&aws)).map_err(failed)?;
    let mut folder = format!("{}/", url.path().trim_end_matches('/'));
    match given {
        Some(_) if config.path_style => folder.push_str(&format!("{}/", config.bucket)),
        Some(_) => {
            let host = format!("{}.{}", config.bucket, url.host_str().unwrap_or_default());
            url.set_host(Some(&host)).map_err(failed)?;
        }
        None => {}
    }
    folder.push_str(config.prefix.trim_start_matches('/'));
    Ok((url, folder))
}

/// As in the header `Host`, without a port that goes without saying.
fn host(url: &Url) -> Result<String, ConfigError> {
    let host = url.host_str().ok_or_else(|| ConfigError::one("endpoint", "names no host"))?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[derive(Debug)]
struct S3 {
    caller: Caller,
    origin: String,
    host: String,
    folder: String,
    signer: Signer,
    token: Option<Secret>,
    whole: bool,
    options: RecordOptions,
}

#[async_trait]
impl Exporter for S3 {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let (Some(first), Some(last)) = (batch.exchanges.first(), batch.exchanges.last()) else {
            return Ok(Delivered::default());
        };
        // The same for the same batch, so that what is sent again replaces what was there.
        let day = Time::from(first.started_at).date("/");
        let path = sign::escaped(&format!("{}{day}/{}.{}.ndjson", self.folder, first.id, last.id));
        let body = self.lines(batch);
        let (date, digest) = (sign::date(SystemClock.now()), sign::digest(&body));
        let mut headers = vec![
            ("content-type", "application/x-ndjson"),
            ("host", self.host.as_str()),
            ("x-amz-content-sha256", digest.as_str()),
            ("x-amz-date", date.as_str()),
        ];
        headers.extend(self.token.as_ref().map(|token| ("x-amz-security-token", token.expose())));
        let authorization = self.signer.authorization("PUT", &path, &headers);
        let mut request = self.caller.request(Method::PUT, &format!("{}{path}", self.origin));
        for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
            request = request.header(*name, *value);
        }
        let answer = self.caller.send(request.header("authorization", authorization).body(body)).await?;
        if answer.status.as_u16() == 404 {
            // A bucket that is missing today may be there tomorrow.
            return Err(ExportError::Retry { after: None, cause: answer.words() });
        }
        match answer.settled()? {
            None => Ok(Delivered::default()),
            Some(cause) => Err(ExportError::Refused { cause }),
        }
    }
}

impl S3 {
    /// Text, numbers and truth values always serialise, and a list of bytes takes all that is written to it.
    fn lines(&self, batch: &Batch<'_>) -> Vec<u8> {
        let mut lines = Vec::new();
        if self.whole {
            for exchange in batch.exchanges {
                let written = serde_json::to_writer(&mut lines, &weir::encode::record(exchange));
                debug_assert!(written.is_ok());
                lines.push(b'\n');
            }
            return lines;
        }
        for entry in record::entries(batch.exchanges, &self.options) {
            let written = serde_json::to_writer(&mut lines, &Json(&entry.record));
            debug_assert!(written.is_ok());
            lines.push(b'\n');
        }
        lines
    }
}
