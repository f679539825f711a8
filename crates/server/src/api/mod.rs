//! The endpoints under `/api/v1`, one file per group.

pub(crate) mod bodies;
pub(crate) mod exchanges;
pub(crate) mod export;
pub(crate) mod fields;
pub(crate) mod figures;
pub(crate) mod governance;
pub(crate) mod import;
pub(crate) mod ledger;
pub(crate) mod live;
pub(crate) mod profiles;
pub(crate) mod session;
pub(crate) mod setup;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use weir_kit::{Clock, Timestamp};
use weir_model::ProjectId;
use weir_pipeline::{ImporterKind, RendererKind};
use weir_query::Filter;
use weir_state::{Profiles, StateError};
use weir_store::{Store, StoreError};

use crate::error::Problem;
use crate::governance::Governed;
use crate::metrics::Requests;
use crate::parts::{Addresses, Figures, Mask, Pipeline, ReadyCheck, Settings};

/// The name of the store among the targets.
const STORE: &str = "store";
/// How long an erasure waits for exchanges that are on their way to the store.
const SETTLING_TIME: Duration = Duration::from_secs(5);

/// What every endpoint may use.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) pipeline: Arc<dyn Pipeline>,
    pub(crate) profiles: Profiles,
    pub(crate) governed: Governed,
    pub(crate) mask: Mask,
    pub(crate) importers: &'static [ImporterKind],
    pub(crate) renderers: &'static [RendererKind],
    pub(crate) figures: Vec<Arc<dyn Figures>>,
    pub(crate) ready: Vec<ReadyCheck>,
    pub(crate) addresses: Addresses,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) version: &'static str,
    pub(crate) settings: Settings,
    pub(crate) requests: Requests,
    pub(crate) live_readers: Arc<Semaphore>,
    /// Cancelled when the server stops; ends what would go on for ever.
    pub(crate) stopping: CancellationToken,
}

impl App {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits for the store, but not for ever.
    pub(crate) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Problem> {
        within(self.settings.question_timeout, question).await
    }

    /// Removes exchanges from the store. It takes as long as it takes: what has begun to go is not called back.
    pub(crate) async fn erase(&self, project: &ProjectId, filter: &Filter) -> Result<u64, Problem> {
        self.settle().await;
        let erased = self.store.erase(project, filter).await?;
        tracing::info!(erased, project = project.as_str(), "exchanges were erased on request");
        Ok(erased)
    }

    /// Waits until the store has what the journal held for it when this was asked, but not for ever.
    async fn settle(&self) {
        let account = || {
            let targets = self.pipeline.ledger().targets;
            let store = targets.into_iter().find(|target| target.name == STORE && !target.removed)?;
            Some((store.offered, store.delivered + store.dropped.values().sum::<u64>()))
        };
        let Some((offered, _)) = account() else { return };
        let deadline = Instant::now() + SETTLING_TIME;
        while account().is_some_and(|(_, settled)| settled < offered) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Reads the JSON body of a question.
    pub(crate) async fn question(&self, body: Body) -> Result<Value, Problem> {
        let most = self.settings.question_bytes;
        let bytes = to_bytes(body, most).await.map_err(|_| {
            let detail = format!("the body could not be read, or has more than {most} bytes");
            Problem::with_status(StatusCode::PAYLOAD_TOO_LARGE, detail)
        })?;
        if bytes.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| Problem::invalid(format!("the body is not JSON: {error}")))
    }
}

/// Waits for the store at most this long; what is given up is dropped, which stops the work behind it.
pub(crate) async fn within<T>(
    limit: Duration,
    question: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Problem> {
    match tokio::time::timeout(limit, question).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::busy(format!(
            "the question took more than {} s; narrow the time range or the filter",
            limit.as_secs_f64()
        ))),
    }
}

/// Runs work that waits for the disk away from the threads that serve connections.
pub(crate) async fn state<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, Problem> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "the state could not be read or written");
        let detail = "the state could not be read or written; the log of the server says why";
        Problem::with_status(StatusCode::INTERNAL_SERVER_ERROR, detail)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| failed(&error)),
        Err(error) => Err(failed(&error)),
    }
}

/// An answer in JSON. Answers hold captured traffic, so nothing between us and the reader may keep them.
pub(crate) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let headers =
                [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "private, no-store")];
            (headers, body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            Problem::with_status(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written")
                .into_response()
        }
    }
}

/// Milliseconds since then, with a fraction.
pub(crate) fn took_ms(since: Instant) -> f64 {
    crate::views::milliseconds(since.elapsed())
}

/// An entity tag for content that never changes under this name.
pub(crate) fn tag(name: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{name}\"")).unwrap_or(HeaderValue::from_static("\"-\""))
}

/// Whether the client already has what this tag names (RFC 9110 section 13.1.2).
pub(crate) fn has_already(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let tag = tag.to_str().unwrap_or("");
    known
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}
