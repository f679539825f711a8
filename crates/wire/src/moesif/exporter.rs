//! Sends batches to the service (moesif-plugin, section 3, with the repairs listed there).

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use http::Method;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;
use weir_kit::{Clock, ConfigError, SystemClock};
use weir_model::{Exchange, ExchangeId};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, Policy};

use super::APPLICATION_ID;
use super::config::Config;
use super::encode::Encoder;
use super::policy::Governor;
use super::remote::{Remote, Served};
use super::sampling::{self, Sampler};
use crate::parts::http::{Answer, Caller, Options, retry_after};

/// A call is closed before it grows past this; only a single larger event makes a larger call. Before compression.
pub const GOOD_CALL_BYTES: usize = 8 * 1024 * 1024;

/// Wait before the next attempt while the account is refused.
const PAUSE: Duration = Duration::from_secs(60);

/// Builds an exporter from its settings.
pub fn build(settings: Value) -> Result<Built, ConfigError> {
    let config = Config::read(settings)?;
    for warning in &config.warnings {
        tracing::warn!(plugin = "moesif", warning, "a setting is out of date");
    }
    let (queue, capture) = (config.queue(), config.capture());
    let remote = Remote::shared(&config)?;
    let exporter = Moesif {
        caller: Caller::new(&Options {
            timeout: config.send_timeout,
            keep_alive: config.keep_alive,
            verify_certificate: config.verify_certificate,
            ..Options::default()
        })?,
        governor: Arc::new(Governor::new(&config, remote.clone())),
        remote,
        url: format!("{}/v1/events/batch", config.endpoint),
        sampler: Mutex::default(),
        settled: Mutex::default(),
        encoder: Encoder::new(config),
    };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

/// Sends events to one account of one service.
struct Moesif {
    caller: Caller,
    remote: Arc<Remote>,
    governor: Arc<Governor>,
    url: String,
    encoder: Encoder,
    /// The rates last heard, ready to use.
    sampler: Mutex<Option<(Arc<Served>, Arc<Sampler>)>>,
    /// What became of events of the batch in progress: when its rest fails it is repeated, and what the service has said of
    /// the others holds. `None` for those that were taken.
    settled: Mutex<HashMap<ExchangeId, Option<String>>>,
}

#[async_trait]
impl Exporter for Moesif {
    fn start(&self) {
        self.remote.start();
    }

    fn policy(&self) -> Option<Arc<dyn Policy>> {
        Some(self.governor.clone())
    }

    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        self.remote.start();
        self.remote.first_attempt().await;
        self.forget_other_batches(batch);
        let plan = self.plan(batch.exchanges);
        let mut calls: Vec<Range<usize>> = plan.calls();
        calls.reverse();
        while let Some(call) = calls.pop() {
            let answer = self.send(&plan, call.clone()).await?;
            match judge(&answer) {
                Verdict::Taken => self.settle(&plan, call, None),
                Verdict::Refused(cause) if call.len() == 1 => self.settle(&plan, call, Some(cause)),
                // One of them is at fault; the others need not suffer for it.
                Verdict::Refused(_) => {
                    let middle = call.start + call.len() / 2;
                    calls.push(middle..call.end);
                    calls.push(call.start..middle);
                }
                Verdict::Failed { after, cause } => return Err(ExportError::Retry { after, cause }),
            }
        }
        Ok(self.delivered(batch, plan.sampled))
    }
}

impl Moesif {
    /// What is left of another batch, given up in the meantime, means nothing any more.
    fn forget_other_batches(&self, batch: &Batch<'_>) {
        let mut settled = lock(&self.settled);
        if !settled.is_empty() {
            let known = batch.exchanges.iter().filter_map(|exchange| settled.remove_entry(&exchange.id));
            *settled = known.collect::<Vec<_>>().into_iter().collect();
        }
    }

    /// The events that are to be sent.
    fn plan(&self, exchanges: &[Arc<Exchange>]) -> Plan {
        let sampler = self.sampler();
        let mut plan = Plan::default();
        for exchange in exchanges {
            if lock(&self.settled).contains_key(&exchange.id) {
                continue;
            }
            let caller = self.encoder.caller(exchange);
            let rate = sampler.rate(exchange, self.encoder.facts(exchange, &caller));
            if !sampling::keeps(rate, sampling::random(exchange.id)) {
                plan.sampled += 1;
                continue;
            }
            let start = plan.text.len();
            serde_json::to_writer(&mut plan.text, &self.encoder.event(exchange, sampling::weight(rate)))
                .expect("strings and numbers always serialise");
            plan.events.push((exchange.id, start..plan.text.len()));
        }
        plan
    }

    fn sampler(&self) -> Arc<Sampler> {
        let served = self.remote.served();
        let mut known = lock(&self.sampler);
        match &*known {
            Some((of, sampler)) if Arc::ptr_eq(of, &served) => sampler.clone(),
            _ => {
                let rate = self.encoder.config().sample_rate;
                let sampler = Arc::new(Sampler::new(served.config.clone(), rate));
                *known = Some((served, sampler.clone()));
                sampler
            }
        }
    }

    async fn send(&self, plan: &Plan, call: Range<usize>) -> Result<Answer, ExportError> {
        let config = self.encoder.config();
        let (count, body) = (call.len(), plan.body(call));
        let mut request = self.caller.request(Method::POST, &self.url).timeout(config.send_timeout);
        request = request
            .header(APPLICATION_ID, config.application_id.expose())
            .header(CONTENT_TYPE, "application/json");
        request = if config.compress {
            request.header(CONTENT_ENCODING, "deflate").body(zlib(&body))
        } else {
            request.body(body)
        };
        let answer = self.caller.send(request).await?;
        self.remote.heard(&answer.headers);
        if config.debug {
            tracing::info!(url = self.url, count, status = answer.status.as_u16(), "events sent");
        }
        Ok(answer)
    }

    fn settle(&self, plan: &Plan, call: Range<usize>, refused: Option<String>) {
        let mut settled = lock(&self.settled);
        for (id, _) in plan.events.get(call).unwrap_or_default() {
            settled.insert(*id, refused.clone());
        }
    }

    fn delivered(&self, batch: &Batch<'_>, sampled: usize) -> Delivered {
        let settled = std::mem::take(&mut *lock(&self.settled));
        let refused = |exchange: &Arc<Exchange>| settled.get(&exchange.id).cloned().flatten();
        let exchanges = batch.exchanges.iter().enumerate();
        let rejected = exchanges.filter_map(|(index, exchange)| Some((index, refused(exchange)?)));
        Delivered { rejected: rejected.collect(), sampled }
    }
}

/// Events ready to be sent.
#[derive(Debug, Default)]
struct Plan {
    /// The JSON of all of them, one after the other.
    text: Vec<u8>,
    /// Whose they are and where.
    events: Vec<(ExchangeId, Range<usize>)>,
    /// How many were left out by sampling.
    sampled: usize,
}

impl Plan {
    /// The events split into calls, in order, none larger than is good.
    fn calls(&self) -> Vec<Range<usize>> {
        let (mut calls, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (index, (_, range)) in self.events.iter().enumerate() {
            if bytes > 0 && bytes + range.len() > GOOD_CALL_BYTES {
                calls.push(start..index);
                (start, bytes) = (index, 0);
            }
            bytes += range.len() + 1;
        }
        if start < self.events.len() {
            calls.push(start..self.events.len());
        }
        calls
    }

    fn body(&self, call: Range<usize>) -> Vec<u8> {
        let events = self.events.get(call).unwrap_or_default();
        let bytes: usize = events.iter().map(|(_, range)| range.len() + 1).sum();
        let mut body = Vec::with_capacity(bytes + 2);
        body.push(b'[');
        for (index, (_, range)) in events.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(self.text.get(range.clone()).unwrap_or_default());
        }
        body.push(b']');
        body
    }
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    /// Something in the call will never be taken.
    Refused(String),
    /// Nothing is known to be taken, and nothing is wrong with the events.
    Failed {
        after: Option<Duration>,
        cause: String,
    },
}

/// Only 201 says that events were taken: whatever stands before the service may say 200.
fn judge(answer: &Answer) -> Verdict {
    let cause = answer.words();
    match answer.status.as_u16() {
        201 => Verdict::Taken,
        400 => Verdict::Refused(cause),
        413 => Verdict::Refused(format!("too_large: {cause}")),
        401..=403 => Verdict::Failed { after: Some(PAUSE), cause },
        _ => Verdict::Failed { after: retry_after(&answer.headers, SystemClock.now()), cause },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
