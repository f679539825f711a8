//! Puts each batch as one object.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use weir_kit::{Clock, ConfigError, FieldKind, FieldSpec, Secret, SystemClock, kind};
use weir_model::Exchange;
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, QueueSettings};

use super::parquet::{self, Row};
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
            FieldKind::OneOf(&["weir", "tyk", "parquet"]),
            "of an object: JSON lines with the whole exchange in weir's own form, or with Tyk's traffic record, or a \
             Parquet file of records",
        )
    },
    FieldSpec {
        default: Some("\"zstd\""),
        ..FieldSpec::new(
            "compression",
            FieldKind::OneOf(&["zstd", "none"]),
            "of the columns of a Parquet file; JSON lines are not compressed",
        )
    },
    FieldSpec {
        default: Some("10000"),
        ..FieldSpec::new("batch_size", FieldKind::Integer { min: 1, max: 100_000 }, "most calls of an object")
    },
    FieldSpec {
        default: Some("\"16MiB\""),
        ..FieldSpec::new(
            "object_bytes",
            FieldKind::Size,
            "bytes of calls that fill an object; a Parquet file of them is much smaller",
        )
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
    compression: String,
    batch_size: usize,
    object_bytes: Value,
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
        max_batch_bytes: kind::size("object_bytes", &config.object_bytes)?,
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
        form: match config.format.as_str() {
            "tyk" => Form::Records,
            "parquet" => Form::Parquet { compressed: config.compression != "none" },
            _ => Form::Exchanges,
        },
        options: Arc::new(config.record),
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
    form: Form,
    options: Arc<RecordOptions>,
}

/// What an object holds.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Lines in weir's own form.
    Exchanges,
    /// Lines with Tyk's records.
    Records,
    /// A Parquet file.
    Parquet { compressed: bool },
}

impl Form {
    fn extension(self) -> &'static str {
        match self {
            Self::Exchanges | Self::Records => "ndjson",
            Self::Parquet { .. } => "parquet",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Exchanges | Self::Records => "application/x-ndjson",
            Self::Parquet { .. } => "application/vnd.apache.parquet",
        }
    }

    /// The content of an object.
    fn written(self, exchanges: &[Arc<Exchange>], options: &RecordOptions) -> Result<Vec<u8>, ExportError> {
        let mut lines = Vec::new();
        match self {
            Self::Exchanges => {
                exchanges.iter().for_each(|exchange| line(&mut lines, &weir::encode::record(exchange)));
            }
            Self::Records => {
                record::entries(exchanges, options).for_each(|entry| line(&mut lines, &Json(&entry.record)));
            }
            Self::Parquet { compressed } => {
                let records = record::entries(exchanges, options).map(|entry| entry.record);
                let rows: Vec<Row<'_>> = exchanges
                    .iter()
                    .zip(records)
                    .map(|(exchange, record)| Row { exchange, record })
                    .collect();
                return parquet::write(&rows, compressed)
                    .map_err(|error| ExportError::Refused { cause: format!("no Parquet file: {error}") });
            }
        }
        Ok(lines)
    }
}

/// Text, numbers and truth values always serialise, and a list of bytes takes all that is written to it.
fn line(lines: &mut Vec<u8>, value: &impl Serialize) {
    let written = serde_json::to_writer(&mut *lines, value);
    debug_assert!(written.is_ok());
    lines.push(b'\n');
}

#[async_trait]
impl Exporter for S3 {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let (Some(first), Some(last)) = (batch.exchanges.first(), batch.exchanges.last()) else {
            return Ok(Delivered::default());
        };
        // The same for the same batch, so that what is sent again replaces what was there.
        let day = Time::of(first.started_at).date("/");
        let path = sign::escaped(&format!(
            "{}{day}/{}.{}.{}",
            self.folder,
            first.id,
            last.id,
            self.form.extension()
        ));
        let body = self.content(batch).await?;
        let (date, digest) = (sign::date(SystemClock.now()), sign::digest(&body));
        let mut headers = vec![
            ("content-type", self.form.media_type()),
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
    /// Millions of bytes take a while, which must not hold up what else this thread does.
    async fn content(&self, batch: &Batch<'_>) -> Result<Vec<u8>, ExportError> {
        let (form, exchanges, options) = (self.form, batch.exchanges.to_vec(), self.options.clone());
        let written = tokio::task::spawn_blocking(move || form.written(&exchanges, &options)).await;
        written.unwrap_or_else(|error| Err(ExportError::Retry { after: None, cause: error.to_string() }))
    }
}
