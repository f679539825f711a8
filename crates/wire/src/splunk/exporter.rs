//! Sends batches to an HTTP Event Collector.

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, QueueSettings};

use super::event::{self, DEFAULT_FIELDS, Profile};
use crate::parts::http::{Answer, Caller, Options};
use crate::parts::record::{self, RECORD, RecordOptions};
use crate::parts::tls::{SSL_CA_FILE, SSL_CERT_FILE, SSL_INSECURE_SKIP_VERIFY, SSL_KEY_FILE, TlsSettings};

/// Where a collector takes events.
const PATH: &str = "/services/collector/event/1.0";

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        secret: true,
        ..FieldSpec::new("collector_token", FieldKind::Text, "token of the collector")
    },
    FieldSpec {
        required: true,
        ..FieldSpec::new("collector_url", FieldKind::Url, "its address; the path is always the collector's")
    },
    SSL_INSECURE_SKIP_VERIFY,
    SSL_CA_FILE,
    SSL_CERT_FILE,
    SSL_KEY_FILE,
    FieldSpec::new(
        "ssl_server_name",
        FieldKind::Text,
        "accepted without effect: the certificate must name the host of the address",
    ),
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("obfuscate_api_keys", FieldKind::Boolean, "hide keys but for their end")
    },
    FieldSpec {
        default: Some("0"),
        ..FieldSpec::new(
            "obfuscate_api_keys_length",
            FieldKind::Integer { min: 0, max: 1_000 },
            "characters of a hidden key that are shown",
        )
    },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new(
            "fields",
            FieldKind::Array(&FieldKind::Text),
            "fields of an event; empty: 14 of them",
        )
    },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new(
            "ignore_tag_prefix_list",
            FieldKind::Array(&FieldKind::Text),
            "tags that begin with one of these are left out",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "enable_batch",
            FieldKind::Boolean,
            "accepted without effect: events travel together",
        )
    },
    FieldSpec {
        default: Some("838860800"),
        ..FieldSpec::new(
            "batch_max_content_length",
            FieldKind::Integer { min: 1, max: 838_860_800 },
            "most bytes of a call",
        )
    },
    FieldSpec {
        default: Some("0"),
        ..FieldSpec::new(
            "max_retries",
            FieldKind::Integer { min: 0, max: 1_000_000 },
            "attempts after the first; 0: for as long as the journal keeps the calls",
        )
    },
    RECORD,
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Config {
    collector_token: Secret,
    collector_url: String,
    #[serde(flatten)]
    tls: TlsSettings,
    obfuscate_api_keys: bool,
    obfuscate_api_keys_length: usize,
    fields: Vec<String>,
    ignore_tag_prefix_list: Vec<String>,
    batch_max_content_length: usize,
    max_retries: u32,
    record: RecordOptions,
}

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let mut config: Config = kind::read(settings)?;
    config.record.check()?;
    record::unknown_field("fields", &config.fields)?;
    if config.fields.is_empty() {
        config.fields = DEFAULT_FIELDS.iter().map(|name| (*name).to_owned()).collect();
    }
    let token = format!("Splunk {}", config.collector_token.expose());
    let mut token = HeaderValue::from_str(&token)
        .map_err(|_| ConfigError::one("collector_token", "cannot stand in a header"))?;
    token.set_sensitive(true);
    let mut url = Url::parse(&config.collector_url)
        .map_err(|error| ConfigError::one("collector_url", error.to_string()))?;
    url.set_path(PATH);
    let queue = QueueSettings {
        max_attempts: (config.max_retries > 0).then(|| config.max_retries.saturating_add(1)),
        ..QueueSettings::default()
    };
    let capture = config.record.capture();
    let exporter = Splunk {
        caller: Caller::new(&Options { tls: config.tls.chosen()?, ..Options::default() })?,
        url: url.into(),
        token,
        profile: Profile {
            fields: config.fields,
            shown_of_keys: config.obfuscate_api_keys.then_some(config.obfuscate_api_keys_length),
            ignore_tag_prefixes: config.ignore_tag_prefix_list,
        },
        max_bytes: config.batch_max_content_length,
        options: config.record,
    };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

#[derive(Debug)]
struct Splunk {
    caller: Caller,
    url: String,
    token: HeaderValue,
    profile: Profile,
    max_bytes: usize,
    options: RecordOptions,
}

#[async_trait]
impl Exporter for Splunk {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let entries = record::entries(batch.exchanges, &self.options);
        let events = entries.map(|entry| event::event(&entry.record, &self.profile).to_string());
        let events: Vec<String> = events.collect();
        let mut rejected = Vec::new();
        let mut first = 0;
        while first < events.len() {
            let count = fitting(&events, first, self.max_bytes);
            first += self.send(&events, first, count, &mut rejected).await?;
        }
        Ok(Delivered::with_rejected(rejected))
    }
}

/// How many events from `first` on fit a call; at least one.
fn fitting(events: &[String], first: usize, max_bytes: usize) -> usize {
    let mut bytes = 0;
    let fits = |event: &&String| {
        bytes += event.len();
        bytes <= max_bytes
    };
    events.iter().skip(first).take_while(fits).count().max(1)
}

impl Splunk {
    /// Sends some events and gives how many of them are settled. A collector that finds a bad event has kept those before
    /// it and looked at none after it.
    async fn send(
        &self,
        events: &[String],
        first: usize,
        count: usize,
        rejected: &mut Vec<(usize, String)>,
    ) -> Result<usize, ExportError> {
        let body = events.iter().skip(first).take(count).map(String::as_str).collect::<String>();
        let request = self.caller.request(Method::POST, &self.url);
        let request = request.header(AUTHORIZATION, self.token.clone()).body(body);
        let answer = self.caller.send(request).await?;
        let Some(cause) = answer.settled()? else { return Ok(count) };
        if let Some(bad) = invalid_event(&answer).filter(|bad| *bad < count) {
            rejected.push((first + bad, cause));
            return Ok(bad + 1);
        }
        rejected.extend((first..first + count).map(|index| (index, cause.clone())));
        Ok(count)
    }
}

/// Number of the event that a collector refuses, counted from the first of the call.
fn invalid_event(answer: &Answer) -> Option<usize> {
    let answer: Value = serde_json::from_slice(&answer.body).ok()?;
    usize::try_from(answer.get("invalid-event-number")?.as_u64()?).ok()
}
