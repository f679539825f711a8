//! Sends batches to one of the nodes.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use url::Url;
use weir_kit::{ConfigError, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter};

use super::bulk::{self, Outcome, Profile};
use super::config::Config;
use crate::parts::http::{Caller, Options};
use crate::parts::record::{self, RecordOptions};

/// Only what is read of the answer.
const FILTER: &str = "errors,items.*.status,items.*.error";
/// Most bytes of an answer: a few hundred for each document.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let mut config: Config = kind::read(settings)?;
    config.record.check()?;
    config.record.detailed_recording |= config.extended_stats;
    config.record.raw_request_decoded |= config.decode_base64;
    config.record.raw_response_decoded |= config.decode_base64;
    let (queue, capture) = (config.bulk_config.queue(), config.record.capture());
    let options =
        Options { tls: config.tls.chosen()?, max_answer_bytes: MAX_ANSWER_BYTES, ..Options::default() };
    let exporter = Elasticsearch {
        caller: Caller::new(&options)?,
        nodes: nodes(&config.elasticsearch_url)?,
        turn: AtomicUsize::new(0),
        authorization: authorization(&config)?,
        profile: Profile {
            index: config.index_name,
            mcp_index: config.mcp_index_name,
            rolling: config.rolling_index,
            document_type: matches!(config.version.as_str(), "3" | "5" | "6").then_some(config.document_type),
            extended: config.extended_stats,
        },
        options: config.record,
    };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

/// The addresses for bulk calls.
fn nodes(urls: &str) -> Result<Vec<String>, ConfigError> {
    let node = |text: &str| {
        let failed = |cause: String| ConfigError::one("elasticsearch_url", format!("{text:?}: {cause}"));
        let mut url = Url::parse(text).map_err(|error| failed(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(failed("not an http or https URL".to_owned()));
        }
        let path = format!("{}/_bulk", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.set_query(Some(&format!("filter_path={FILTER}")));
        Ok(url.into())
    };
    urls.split(',').map(str::trim).filter(|url| !url.is_empty()).map(node).collect()
}

fn authorization(config: &Config) -> Result<Option<HeaderValue>, ConfigError> {
    let pair = |name: &Option<String>, secret: &Option<weir_kit::Secret>| {
        let secret = secret.as_ref().map(weir_kit::Secret::expose).unwrap_or_default();
        STANDARD.encode(format!("{}:{secret}", name.as_deref().unwrap_or_default()))
    };
    let is_given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let text = if is_given(&config.auth_api_key_id) {
        format!("ApiKey {}", pair(&config.auth_api_key_id, &config.auth_api_key))
    } else if is_given(&config.auth_basic_username) {
        format!("Basic {}", pair(&config.auth_basic_username, &config.auth_basic_password))
    } else {
        return Ok(None);
    };
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| ConfigError::one("auth_api_key", "cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[derive(Debug)]
struct Elasticsearch {
    caller: Caller,
    nodes: Vec<String>,
    /// Which node is asked; the next one after a failure.
    turn: AtomicUsize,
    authorization: Option<HeaderValue>,
    profile: Profile,
    options: RecordOptions,
}

#[async_trait]
impl Exporter for Elasticsearch {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let mut body = Vec::new();
        for entry in record::entries(batch.exchanges, &self.options) {
            bulk::write(&entry, &self.profile, &mut body);
        }
        let outcome = self.send(body).await;
        if matches!(outcome, Err(ExportError::Retry { .. })) {
            self.turn.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

impl Elasticsearch {
    async fn send(&self, body: Vec<u8>) -> Result<Delivered, ExportError> {
        let turn = self.turn.load(Ordering::Relaxed);
        let Some(node) = self.nodes.get(turn % self.nodes.len().max(1)) else {
            return Err(ExportError::Refused { cause: "no node is named".to_owned() });
        };
        let mut request = self.caller.request(Method::POST, node);
        request = request.header(CONTENT_TYPE, "application/x-ndjson");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let answer = self.caller.send(request.body(body)).await?;
        if let Some(cause) = answer.settled()? {
            return Err(ExportError::Refused { cause });
        }
        match bulk::read(&answer.body) {
            Outcome::Stored(refused) => Ok(Delivered::with_rejected(refused)),
            Outcome::Busy(cause) => Err(ExportError::Retry { after: None, cause }),
        }
    }
}
