//! Sends batches to a collector.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;
use weir_kit::{Clock, ConfigError, SystemClock, Timestamp};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter};

use super::config::Config;
use super::encode::{CallPlan, Plan, Profile, plan};
use crate::parts::shortened;

/// Names a call so that a collector can recognise it when it comes again.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Most bytes of a collector's answer that are read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Builds an exporter from its settings.
pub fn build(settings: Value) -> Result<Built, ConfigError> {
    let config = Config::read(settings)?;
    let (queue, capture) = (config.queue(), config.capture());
    let exporter = Galileo {
        collector: Collector::new(config.url(), config.timeout(), config.https_verify)?,
        token: config.service_token.expose().to_owned(),
        environment: config.environment.clone(),
        profile: config.profile(),
    };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

/// Sends ALF 1.1.0 to one collector.
#[derive(Debug)]
struct Galileo {
    collector: Collector,
    token: String,
    environment: Option<String>,
    profile: Profile,
}

#[async_trait]
impl Exporter for Galileo {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let plan = plan(batch.exchanges, &self.token, self.environment.as_deref(), &self.profile);
        self.collector.deliver(plan).await
    }
}

/// Calls that were answered for good, by key, with the entries that were refused.
type Settled = HashMap<String, Vec<(usize, String)>>;

/// The other side.
#[derive(Debug)]
pub(super) struct Collector {
    client: Client,
    url: String,
    /// Calls of the batch in progress whose fate is settled: a batch that takes several calls and fails in the middle is
    /// repeated whole, and what was accepted must not be sent again.
    settled: Mutex<Settled>,
}

impl Collector {
    pub(super) fn new(url: String, timeout: Duration, verify: bool) -> Result<Self, ConfigError> {
        let client = Client::builder()
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout)
            .read_timeout(timeout)
            .pool_idle_timeout(Duration::from_secs(60))
            .redirect(redirect::Policy::none())
            .tls_danger_accept_invalid_certs(!verify)
            .http1_only()
            .no_proxy()
            .build()
            .map_err(|error| ConfigError::one("https", format!("no TLS client: {error}")))?;
        Ok(Self { client, url, settled: Mutex::default() })
    }

    /// Makes the calls of a plan, in order, until one fails.
    pub(super) async fn deliver(&self, plan: Plan) -> Result<Delivered, ExportError> {
        let keys: Vec<String> = plan.calls.iter().map(|call| call.key.clone()).collect();
        // What is left of another batch, given up in the meantime, means nothing any more.
        self.settled().retain(|key, _| keys.contains(key));
        let mut rejected = plan.too_large;
        for call in plan.calls {
            let key = call.key.clone();
            let known = self.settled().get(&key).cloned();
            let refused = match known {
                Some(refused) => refused,
                None => self.send(call).await?,
            };
            self.settled().insert(key, refused.clone());
            rejected.extend(refused);
        }
        self.settled().clear();
        rejected.sort();
        Ok(Delivered::with_rejected(rejected))
    }

    async fn send(&self, call: CallPlan) -> Result<Vec<(usize, String)>, ExportError> {
        let request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, &call.key)
            .body(call.body);
        let answer = request.send().await.map_err(|error| retry(None, describe(&error)))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = read_capped(answer).await?;
        match judge(status, &headers, &text, SystemClock.now()) {
            Verdict::Accepted => Ok(not_saved(&text, &call.exchanges)),
            Verdict::Refused(cause) => {
                tracing::warn!(status = status.as_u16(), "the collector refused a batch");
                Ok(call.exchanges.into_iter().map(|index| (index, cause.clone())).collect())
            }
            Verdict::Failed { after, cause } => Err(retry(after, cause)),
        }
    }

    fn settled(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn retry(after: Option<Duration>, cause: String) -> ExportError {
    ExportError::Retry { after, cause }
}

/// An error with its causes; the first line alone seldom says what happened.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

async fn read_capped(mut answer: Response) -> Result<Vec<u8>, ExportError> {
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| retry(None, describe(&error)))? {
        let room = MAX_ANSWER_BYTES - text.len();
        text.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if text.len() == MAX_ANSWER_BYTES {
            break;
        }
    }
    Ok(text)
}

/// What an answer means (kong-galileo, section 7.5, with 408, 429 and 503 as failures that are repeated).
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Refused(String),
    Failed { after: Option<Duration>, cause: String },
}

fn judge(status: StatusCode, headers: &HeaderMap, text: &[u8], now: Timestamp) -> Verdict {
    let cause = || {
        let words = shortened(String::from_utf8_lossy(text).trim(), 200);
        format!("the collector answered {}: {words}", status.as_u16())
    };
    match status.as_u16() {
        200..=299 => Verdict::Accepted,
        408 | 429 | 500..=599 => Verdict::Failed { after: retry_after(headers, now), cause: cause() },
        _ => Verdict::Refused(cause()),
    }
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_micros(date.as_microsecond()).since(now))
}

/// Entries that a collector did not save although it took the call: those its errors name (`entries[3]`), and as many of
/// the last ones as are otherwise missing from its count.
fn not_saved(answer: &[u8], exchanges: &[usize]) -> Vec<(usize, String)> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        errors: Vec<String>,
        sent: usize,
        saved: usize,
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else { return Vec::new() };
    let missing = answer.sent.saturating_sub(answer.saved).min(exchanges.len());
    let mut refused: Vec<(usize, String)> = Vec::new();
    for error in &answer.errors {
        let named = entry_number(error).and_then(|number| exchanges.get(number));
        if let Some(index) = named.filter(|index| refused.iter().all(|(known, _)| known != *index)) {
            refused.push((*index, shortened(error, 200)));
        }
    }
    refused.truncate(missing);
    let words = answer.errors.first().map_or("not saved by the collector", String::as_str);
    let unnamed = missing - refused.len();
    let others: Vec<usize> = exchanges
        .iter()
        .rev()
        .filter(|index| refused.iter().all(|(known, _)| known != *index))
        .copied()
        .collect();
    refused.extend(others.into_iter().take(unnamed).map(|index| (index, shortened(words, 200))));
    refused
}

fn entry_number(error: &str) -> Option<usize> {
    error.split_once("entries[")?.1.split_once(']')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry_after: Option<&str>) -> Verdict {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(RETRY_AFTER, text.parse().unwrap());
        }
        let now = "2016-04-11T12:00:00Z".parse().unwrap();
        judge(StatusCode::from_u16(status).unwrap(), &headers, b"why\n", now)
    }

    #[test]
    fn answers_are_judged_by_status() {
        for status in [200, 201, 207] {
            assert_eq!(judged(status, None), Verdict::Accepted, "{status}");
        }
        for status in [301, 304, 400, 401, 404, 413] {
            let cause = format!("the collector answered {status}: why");
            assert_eq!(judged(status, None), Verdict::Refused(cause), "{status}");
        }
        for status in [408, 429, 500, 503, 599] {
            let cause = format!("the collector answered {status}: why");
            assert_eq!(judged(status, None), Verdict::Failed { after: None, cause }, "{status}");
        }
    }

    #[test]
    fn a_named_time_is_honoured() {
        for (text, seconds) in [("7", Some(7)), ("Mon, 11 Apr 2016 12:01:00 GMT", Some(60)), ("soon", None)] {
            let Verdict::Failed { after, .. } = judged(503, Some(text)) else { panic!("{text}") };
            assert_eq!(after, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn entries_that_were_not_saved_are_named() {
        let names = |answer: &str| not_saved(answer.as_bytes(), &[10, 11, 12, 13]);
        assert_eq!(names(r#"{"errors":[],"sent":4,"saved":4}"#), []);
        assert_eq!(names("Valid ALFs: 1/1"), []);
        let named = names(r#"{"errors":["ALF[0] entries[2]: bad"],"sent":4,"saved":3}"#);
        assert_eq!(named, [(12, "ALF[0] entries[2]: bad".to_owned())]);
        let indices = |answer| names(answer).into_iter().map(|(index, _)| index).collect::<Vec<_>>();
        assert_eq!(indices(r#"{"errors":["ALF[0] entries[3]: bad"],"sent":4,"saved":2}"#), [13, 12]);
        assert_eq!(indices(r#"{"errors":["ALF[0] unknown token"],"sent":4,"saved":0}"#), [13, 12, 11, 10]);
        assert_eq!(indices(r#"{"errors":[],"sent":9999,"saved":0}"#).len(), 4);
    }
}
