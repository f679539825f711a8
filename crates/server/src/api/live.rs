//! Exchanges as they pass, as server-sent events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use weir_model::{Exchange, Field, ProjectId};
use weir_query::{Filter, evaluate};

use super::App;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::parts::{Tap, Wanted};
use crate::views::ExchangeRow;

/// How often something is sent, so that both ends notice a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Rows are counted against the limit in windows of this length.
const WINDOW: Duration = Duration::from_secs(1);

/// Exchanges that match, as they pass.
#[utoipa::path(
    get, path = "/api/v1/live", operation_id = "watchLive", tag = "exchanges",
    params(
        ("q" = Option<String>, Query, description = "query text"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/event-stream", description = "`event: exchange` with an ExchangeRow and its id; `event: dropped` with `{\"dropped\": n}`, the running count of matching exchanges that this reader was too slow for; a comment at least every 15 s. At most 200 rows a second are sent."),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "too many readers"),
    )
)]
pub(crate) async fn live(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref(), &["q", "project"]);
    let project = parameters.project();
    let filter = Arc::new(parameters.filter(app.now()));
    parameters.done()?;
    let place = app.live_readers.clone().try_acquire_owned().map_err(|_| {
        Problem::busy(format!(
            "{} readers of live exchanges are connected already",
            app.settings.max_live_readers
        ))
    })?;
    // What is cheap to tell is told where exchanges pass, so that only wanted ones count as missed. What needs bodies or
    // texts would slow the intake down; it is told here.
    let (first, second) =
        if is_cheap(&filter) { (filter, None) } else { (Arc::new(Filter::Any), Some(filter)) };
    let tap = app.pipeline.subscribe(wanted(project, first));
    let reader = Reader {
        tap,
        filter: second,
        waiting: VecDeque::new(),
        missed: 0,
        over_rate: 0,
        told: 0,
        told_at: Instant::now(),
        window: Instant::now(),
        in_window: 0,
        opening: true,
        app,
        _place: place,
    };
    let events = stream::unfold(reader, |mut reader| async {
        let event = reader.event().await?;
        Some((Ok::<_, std::convert::Infallible>(event), reader))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

fn wanted(project: ProjectId, filter: Arc<Filter>) -> Wanted {
    Box::new(move |exchange: &Exchange| exchange.project == project && evaluate::matches(&filter, exchange))
}

/// Whether the filter looks at table columns, headers and attributes only.
fn is_cheap(filter: &Filter) -> bool {
    match filter {
        Filter::Any => true,
        Filter::And(parts) | Filter::Or(parts) => parts.iter().all(is_cheap),
        Filter::Not(inner) => is_cheap(inner),
        Filter::Test { field, .. } => !matches!(field, Field::RequestBody(_) | Field::ResponseBody(_)),
        Filter::Words(_) => false,
    }
}

struct Reader {
    app: Arc<App>,
    tap: Box<dyn Tap>,
    /// What the tap has not looked at.
    filter: Option<Arc<Filter>>,
    waiting: VecDeque<Arc<Exchange>>,
    /// Passed unseen at the tap, so far.
    missed: u64,
    /// Seen and not sent because of the limit of rows a second, so far.
    over_rate: u64,
    /// The count of dropped ones that was sent last, and when.
    told: u64,
    told_at: Instant,
    window: Instant,
    in_window: u32,
    opening: bool,
    /// Frees the place of this reader when it goes.
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// The next piece of the stream; `None` when the server stops.
    async fn event(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.opening) {
            // Sent at once, so that the reader knows it is connected.
            return Some(Bytes::from_static(b"retry: 2000\n\n: connected\n\n"));
        }
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if let Some(rows) = self.rows() {
                return Some(rows);
            }
            let dropped = self.missed + self.over_rate;
            // Told once in a while, not for each.
            let tell = if dropped > self.told { self.told_at + WINDOW } else { heartbeat };
            if dropped > self.told && Instant::now() >= tell {
                (self.told, self.told_at) = (dropped, Instant::now());
                return Some(Bytes::from(format!("event: dropped\ndata: {{\"dropped\":{dropped}}}\n\n")));
            }
            let stopping = self.app.stopping.clone();
            tokio::select! {
                () = stopping.cancelled() => return None,
                (exchanges, missed) = self.tap.next() => {
                    self.missed = missed;
                    self.waiting.extend(exchanges);
                }
                () = sleep_until(tell.min(heartbeat)) => {
                    if Instant::now() >= heartbeat {
                        return Some(Bytes::from_static(b": still here\n\n"));
                    }
                }
            }
        }
    }

    /// The waiting exchanges as events, as far as the limit allows; the rest counts as dropped.
    fn rows(&mut self) -> Option<Bytes> {
        if self.window.elapsed() >= WINDOW {
            (self.window, self.in_window) = (Instant::now(), 0);
        }
        let mut out = Vec::new();
        for exchange in self.waiting.drain(..) {
            if self.filter.as_ref().is_some_and(|filter| !evaluate::matches(filter, &exchange)) {
                continue;
            }
            if self.in_window >= self.app.settings.live_rows_per_second {
                self.over_rate += 1;
                continue;
            }
            self.in_window += 1;
            // JSON holds no line ends, so a row is one line.
            let row = serde_json::to_string(&ExchangeRow::new(&exchange)).unwrap_or_default();
            out.extend_from_slice(
                format!("event: exchange\nid: {}\ndata: {row}\n\n", exchange.id).as_bytes(),
            );
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    }
}
