//! Sends batches to a collector.

use std::collections::{HashMap, VecDeque};
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
use crate::parts::http::{Answer, Caller, Options, Verdict};
use crate::parts::shortened;

/// Names a call so that a collector can recognise it when it comes again.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Builds an exporter from its settings.
pub fn build(settings: Value) -> Result<Built, ConfigError> {
    let config = Config::read(settings)?;
    let (queue, capture) = (config.queue(), config.capture());
    let exporter = Galileo {
        collector: Collector::new(config.url(), config.timeout(), config.https_verify, Rules::Second)?,
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

/// What is known of a call, by its key.
#[derive(Debug, Clone)]
enum Fate {
    /// It was answered for good, and these entries were refused.
    Settled(Vec<(usize, String)>),
    /// It was refused whole; its halves are tried instead.
    Split,
}

/// What became of the calls of a batch so far: a batch that takes several calls and fails in the middle is repeated whole,
/// and what was accepted must not be sent again.
#[derive(Debug, Default)]
struct Progress {
    /// Key of the first call.
    batch: String,
    fates: HashMap<String, Fate>,
    /// How often a call was split although size was not the matter.
    splits: usize,
}

/// How often a call is split because something in it was refused: enough to find three bad entries in a thousand, little
/// enough for a collector that refuses everything.
const MAX_SPLITS: usize = 32;

/// What a collector's answers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// kong-galileo, section 7.5: 408, 429 and 5xx are repeated.
    Second,
    /// kong-analytics, section 4.2: everything but success and a refusal of the content is repeated.
    First,
}

/// The other side.
#[derive(Debug)]
pub(super) struct Collector {
    caller: Caller,
    url: String,
    rules: Rules,
    progress: Mutex<Progress>,
}

impl Collector {
    pub(super) fn new(
        url: String,
        timeout: Duration,
        verify: bool,
        rules: Rules,
    ) -> Result<Self, ConfigError> {
        let caller = Caller::new(&Options { timeout, verify_certificate: verify, ..Options::default() })?;
        Ok(Self { caller, url, rules, progress: Mutex::default() })
    }

    /// Makes the calls of a plan, in order, until one fails. A call that is refused whole is split, so that an entry that
    /// can never succeed is refused alone.
    pub(super) async fn deliver(&self, plan: Plan) -> Result<Delivered, ExportError> {
        let batch = plan.calls.first().map(CallPlan::key).unwrap_or_default();
        let mut rejected = plan.too_large;
        if self.progress().batch != batch {
            // What is left of another batch, given up in the meantime, means nothing any more.
            *self.progress() = Progress { batch, ..Progress::default() };
        }
        let mut calls = VecDeque::from(plan.calls);
        while let Some(call) = calls.pop_front() {
            let key = call.key();
            let known = self.progress().fates.get(&key).cloned();
            let fate = match known {
                Some(fate) => fate,
                None => self.send(&call).await?,
            };
            match &fate {
                Fate::Settled(refused) => rejected.extend(refused.iter().cloned()),
                Fate::Split => {
                    for half in call.halves().into_iter().flatten().rev() {
                        calls.push_front(half);
                    }
                }
            }
            self.progress().fates.insert(key, fate);
        }
        *self.progress() = Progress::default();
        rejected.sort();
        Ok(Delivered::with_rejected(rejected))
    }

    async fn send(&self, call: &CallPlan) -> Result<Fate, ExportError> {
        let request = self
            .caller
            .request(Method::POST, &self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, call.key())
            .body(call.body.clone());
        let answer = self.caller.send(request).await?;
        match self.judge(&answer) {
            Verdict::Accepted => Ok(Fate::Settled(not_saved(&answer.body, &call.indexes()))),
            Verdict::Refused(cause) => {
                if self.should_split(&answer, call.entries.len()) {
                    return Ok(Fate::Split);
                }
                tracing::warn!(
                    status = answer.status.as_u16(),
                    entries = call.entries.len(),
                    "the collector refused entries"
                );
                Ok(Fate::Settled(call.indexes().into_iter().map(|index| (index, cause.clone())).collect()))
            }
            Verdict::Failed { after, cause } => Err(ExportError::Retry { after, cause }),
        }
    }

    fn judge(&self, answer: &Answer) -> Verdict {
        let about_the_content = matches!(answer.status.as_u16(), 400 | 413);
        match answer.verdict() {
            Verdict::Refused(cause) if self.rules == Rules::First && !about_the_content => {
                Verdict::Failed { after: None, cause }
            }
            verdict => verdict,
        }
    }

    /// Whether smaller calls may do better. A collector that counts the entries has looked at each of them already.
    fn should_split(&self, answer: &Answer, entries: usize) -> bool {
        match answer.status.as_u16() {
            _ if entries < 2 => false,
            413 => true,
            400 if summary(&answer.body).is_none() => {
                let mut progress = self.progress();
                progress.splits += 1;
                progress.splits <= MAX_SPLITS
            }
            _ => false,
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a collector counts.
#[derive(Deserialize)]
struct Summary {
    #[serde(default)]
    errors: Vec<String>,
    sent: usize,
    saved: usize,
}

fn summary(answer: &[u8]) -> Option<Summary> {
    serde_json::from_slice(answer).ok()
}

/// Entries that a collector did not save although it took the call: those its errors name (`entries[3]`), and as many of
/// the last ones as are otherwise missing from its count.
fn not_saved(answer: &[u8], exchanges: &[usize]) -> Vec<(usize, String)> {
    let Some(answer) = summary(answer) else { return Vec::new() };
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
