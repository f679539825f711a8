//! Sends messages to a bucket (kong-runscope, A4).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use weir_kit::ConfigError;
use weir_model::ExchangeId;
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter};

use super::config::Config;
use super::encode::{CallPlan, Profile, plan};
use crate::parts::http::{Caller, Options, Verdict};
use crate::parts::shortened;

/// Calls with a single message that are under way at a time; the original made one for each request at once.
pub(super) const CONCURRENT_CALLS: usize = 16;

/// Most bytes of an answer that are read: the fates of the largest batch have room.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Builds an exporter from its settings.
pub fn build(settings: Value) -> Result<Built, ConfigError> {
    let config = Config::read(settings)?;
    let (queue, capture) = (config.queue(), config.capture());
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", config.access_token.expose()))
        .map_err(|_| ConfigError::one("access_token", "has a character that no header can hold"))?;
    authorization.set_sensitive(true);
    let url = config.url().map_err(|reason| ConfigError::one("api_endpoint", reason))?;
    let exporter = Runscope {
        caller: Caller::new(&Options {
            timeout: config.timeout(),
            keep_alive: config.keepalive(),
            verify_certificate: config.tls_verify,
            max_answer_bytes: MAX_ANSWER_BYTES,
            ..Options::default()
        })?,
        host: url.host_str().and_then(|host| HeaderValue::from_str(host).ok()).filter(|_| config.strict_kong),
        url: url.into(),
        authorization,
        profile: config.profile(),
        batch_size: config.batch_size,
        attempts: queue.max_attempts.unwrap_or(u32::MAX),
        progress: Mutex::default(),
    };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

/// Sends messages to one bucket.
#[derive(Debug)]
struct Runscope {
    caller: Caller,
    url: String,
    /// The host without its port, as the original names it.
    host: Option<HeaderValue>,
    authorization: HeaderValue,
    profile: Profile,
    batch_size: usize,
    attempts: u32,
    progress: Mutex<Progress>,
}

/// How far the batch in progress has come: it may take many calls, and what is settled must not be sent again when the
/// others are.
#[derive(Debug, Default)]
struct Progress {
    batch: Option<(ExchangeId, u64)>,
    attempts: u32,
    /// Calls that were answered for good, by their first exchange, with what was refused of them.
    settled: HashMap<usize, Refused>,
}

/// Exchanges of a batch that were refused, by index, with the reason.
type Refused = Vec<(usize, String)>;

#[async_trait]
impl Exporter for Runscope {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let plan = plan(batch.exchanges, &self.profile, self.batch_size);
        let first = batch.exchanges.first().map(|exchange| (exchange.id, batch.next_position));
        let open = self.begin(first, plan.calls);
        let last_attempt = self.progress().attempts >= self.attempts;
        let mut outcomes = stream::iter(open).map(|call| self.send(call)).buffered(CONCURRENT_CALLS);
        let mut failed: Vec<(Vec<usize>, ExportError)> = Vec::new();
        while let Some((exchanges, outcome)) = outcomes.next().await {
            match outcome {
                Ok(refused) => {
                    self.progress().settled.insert(exchanges[0], refused);
                }
                Err(error) => failed.push((exchanges, error)),
            }
        }
        self.end(plan.too_large, failed, last_attempt)
    }
}

impl Runscope {
    /// The calls that are still to be made.
    fn begin(&self, batch: Option<(ExchangeId, u64)>, calls: Vec<CallPlan>) -> Vec<CallPlan> {
        let mut progress = self.progress();
        if progress.batch != batch {
            *progress = Progress { batch, ..Progress::default() };
        }
        progress.attempts += 1;
        let is_open = |call: &CallPlan| !progress.settled.contains_key(&call.exchanges[0]);
        calls.into_iter().filter(is_open).collect()
    }

    /// What became of the batch. It is repeated when a call failed, as long as there are attempts; in the end only what
    /// never arrived is lost.
    fn end(
        &self,
        too_large: Refused,
        failed: Vec<(Vec<usize>, ExportError)>,
        last_attempt: bool,
    ) -> Result<Delivered, ExportError> {
        let mut progress = self.progress();
        let nothing_arrived = progress.settled.is_empty();
        let mut rejected = too_large;
        let mut failed = failed.into_iter();
        if (nothing_arrived || !last_attempt)
            && let Some((_, error)) = failed.next()
        {
            return Err(error);
        }
        for (exchanges, error) in failed {
            rejected.extend(exchanges.into_iter().map(|index| (index, error.to_string())));
        }
        rejected.extend(std::mem::take(&mut *progress).settled.into_values().flatten());
        rejected.sort();
        Ok(Delivered { rejected, ..Delivered::default() })
    }

    /// Makes a call; gives its exchanges and what was refused of them.
    async fn send(&self, call: CallPlan) -> (Vec<usize>, Result<Refused, ExportError>) {
        let CallPlan { body, exchanges } = call;
        let mut request = self.caller.request(Method::POST, &self.url);
        if let Some(host) = &self.host {
            request = request.header(HOST, host).header(CONNECTION, "Keep-Alive");
        }
        let request = request
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let outcome = match self.caller.send(request).await {
            Err(error) => Err(error),
            Ok(answer) => match answer.verdict() {
                Verdict::Accepted => Ok(refused(&answer.body, &exchanges)),
                Verdict::Refused(cause) => {
                    tracing::warn!(status = answer.status.as_u16(), "messages were refused");
                    Ok(exchanges.iter().map(|index| (*index, cause.clone())).collect())
                }
                Verdict::Failed { after, cause } => Err(ExportError::Retry { after, cause }),
            },
        };
        (exchanges, outcome)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages that were not taken although the call was: the answer lists the fate of each in order.
fn refused(answer: &[u8], exchanges: &[usize]) -> Refused {
    #[derive(Deserialize)]
    struct Answer {
        data: Vec<Fate>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Fate {
        status: String,
        error: Option<Trouble>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Trouble {
        message: String,
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else { return Vec::new() };
    let fates = answer.data.into_iter().zip(exchanges);
    let refused = fates.filter(|(fate, _)| fate.status == "error").map(|(fate, index)| {
        let message = fate.error.unwrap_or_default().message;
        let message = if message.is_empty() { "refused without a reason".to_owned() } else { message };
        (*index, shortened(&message, 200))
    });
    refused.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_messages_are_named() {
        let names = |answer: &str| refused(answer.as_bytes(), &[10, 11, 12]);
        assert_eq!(names("pong"), []);
        assert_eq!(names(r#"{"data":{}}"#), []);
        assert_eq!(names(r#"{"data":[{"status":"success"},{"status":"warning","error":null}]}"#), []);
        let answer = r#"{"data":[{"status":"success"},{"status":"error","error":{"code":400,"message":"no"}},
            {"status":"error"},{"status":"error"}]}"#;
        assert_eq!(names(answer), [(11, "no".to_owned()), (12, "refused without a reason".to_owned())]);
    }
}
