//! Sends batches to a collector.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;
use weir_kit::ConfigError;
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter};

use super::config::Config;
use super::encode::{CallPlan, Plan, Profile, plan};
use crate::parts::http::{Caller, Options, Verdict};
use crate::parts::shortened;

/// Names a call so that a collector can recognise it when it comes again.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

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
    caller: Caller,
    url: String,
    /// Calls of the batch in progress whose fate is settled: a batch that takes several calls and fails in the middle is
    /// repeated whole, and what was accepted must not be sent again.
    settled: Mutex<Settled>,
}

impl Collector {
    pub(super) fn new(url: String, timeout: Duration, verify: bool) -> Result<Self, ConfigError> {
        let caller = Caller::new(&Options { timeout, verify_certificate: verify, ..Options::default() })?;
        Ok(Self { caller, url, settled: Mutex::default() })
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
            .caller
            .request(Method::POST, &self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, &call.key)
            .body(call.body);
        let answer = self.caller.send(request).await?;
        match answer.verdict() {
            Verdict::Accepted => Ok(not_saved(&answer.body, &call.exchanges)),
            Verdict::Refused(cause) => {
                tracing::warn!(status = answer.status.as_u16(), "the collector refused a batch");
                Ok(call.exchanges.into_iter().map(|index| (index, cause.clone())).collect())
            }
            Verdict::Failed { after, cause } => Err(ExportError::Retry { after, cause }),
        }
    }

    fn settled(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
