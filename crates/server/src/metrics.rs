//! `/metrics`, `/healthz`, `/readyz`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::api::App;
use crate::error::Problem;
use crate::parts::{Figure, FigureKind};

/// Answers given, by endpoint and status.
pub(crate) type Requests = Family<Vec<(&'static str, String)>, Counter>;

/// Counts an answer. Paths count by their template, so a stranger cannot make up new ones.
pub(crate) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    app.requests.get_or_create(&vec![("path", path), ("status", status)]).inc();
    response
}

/// All figures, in the text format of OpenMetrics.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut figures = ledger_figures(&app);
    let status = app.ask(app.store.status()).await?;
    let gauge = |name, about, value: u64| Figure {
        name,
        about,
        kind: FigureKind::Gauge,
        labels: Vec::new(),
        value: value as f64,
    };
    figures.push(gauge("weir_store_exchanges", "exchanges in the store", status.exchanges));
    figures.push(gauge("weir_store_bytes", "bytes of the store on disk", status.bytes));
    figures.push(gauge(
        "weir_store_uncommitted",
        "exchanges not yet committed by the store",
        status.uncommitted,
    ));
    let readers = app.settings.max_live_readers.saturating_sub(app.live_readers.available_permits());
    figures.push(gauge("weir_live_readers", "readers of live exchanges", readers as u64));
    figures.extend(process_figures());
    figures.extend(app.figures.iter().flat_map(|part| part.figures()));
    let mut registry = Registry::default();
    registry.register("weir_http_requests", "answers given by the server", app.requests.clone());
    registry.register_collector(Box::new(Collected(figures)));
    let mut body = String::new();
    text::encode(&mut body, &registry).map_err(|_| {
        Problem::with_status(StatusCode::INTERNAL_SERVER_ERROR, "the figures could not be written")
    })?;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], body).into_response())
}

/// The program runs.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The store answers and everything else that must hold does.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut troubles = Vec::new();
    if let Err(problem) = app.ask(app.store.status()).await {
        troubles.push(format!("store: {}", problem.detail));
    }
    for ready in &app.ready {
        if let Err(trouble) = (ready.check)() {
            troubles.push(format!("{}: {trouble}", ready.name));
        }
    }
    if app.stopping.is_cancelled() {
        troubles.push("stopping".to_owned());
    }
    if troubles.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", troubles.join("\n"))).into_response()
}

fn ledger_figures(app: &App) -> Vec<Figure> {
    let (books, journal) = (app.pipeline.ledger(), app.pipeline.journal());
    let mut figures = Vec::new();
    let mut add = |name, about, kind, labels: &[(&'static str, &str)], value: f64| {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        figures.push(Figure { name, about, kind, labels, value });
    };
    use FigureKind::{Counter, Gauge};
    for account in &books.sources {
        let source = [("source", account.name.as_str())];
        add(
            "weir_source_offered",
            "exchanges a source had to report",
            Counter,
            &source,
            account.offered as f64,
        );
        add(
            "weir_source_accepted",
            "exchanges safe in the journal",
            Counter,
            &source,
            account.accepted as f64,
        );
        add("weir_source_held", "exchanges on their way to the journal", Gauge, &source, account.held as f64);
        for (reason, count) in &account.dropped {
            let labels = [("source", account.name.as_str()), ("reason", reason)];
            add(
                "weir_source_dropped",
                "exchanges dropped before the journal",
                Counter,
                &labels,
                *count as f64,
            );
        }
    }
    for account in &books.targets {
        let target = [("target", account.name.as_str()), ("kind", account.kind.as_str())];
        add(
            "weir_target_offered",
            "exchanges that are for a target",
            Counter,
            &target,
            account.offered as f64,
        );
        add(
            "weir_target_delivered",
            "exchanges that a target took",
            Counter,
            &target,
            account.delivered as f64,
        );
        add("weir_target_held", "exchanges that wait for a target", Gauge, &target, account.held as f64);
        add(
            "weir_target_retries",
            "failed attempts that are repeated",
            Counter,
            &target,
            account.retries as f64,
        );
        add("weir_target_lag_seconds", "age of what is being delivered", Gauge, &target, account.lag_seconds);
        for (reason, count) in &account.dropped {
            let labels = [target[0], target[1], ("reason", reason.as_str())];
            add(
                "weir_target_dropped",
                "exchanges that a target will not get",
                Counter,
                &labels,
                *count as f64,
            );
        }
    }
    add("weir_journal_bytes", "bytes of the journal on disk", Gauge, &[], journal.bytes as f64);
    add("weir_journal_max_bytes", "most bytes the journal may have", Gauge, &[], journal.max_bytes as f64);
    figures
}

/// Memory and processor time of this process, where the system tells (Linux).
fn process_figures() -> Vec<Figure> {
    let figure = |name, about, kind, value| Figure { name, about, kind, labels: Vec::new(), value };
    let mut figures = Vec::new();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |name: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse().ok().map(|kibibytes: u32| f64::from(kibibytes) * 1024.0)
    };
    for (name, about, line) in [
        ("process_resident_memory_bytes", "resident memory", "VmRSS:"),
        (
            "weir_mapped_memory_bytes",
            "part of the resident memory that is cache of files (the index), which others get when they need it",
            "RssFile:",
        ),
    ] {
        figures.extend(bytes(line).map(|value| figure(name, about, FigureKind::Gauge, value)));
    }
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold anything but ends with the last parenthesis, utime and stime are the 12th and 13th.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<f64> =
        after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    if let [user, system] = ticks.as_slice() {
        // Linux counts in hundredths of a second on every architecture (USER_HZ).
        let name = "process_cpu_seconds";
        figures.push(figure(name, "processor time used", FigureKind::Counter, (user + system) / 100.0));
    }
    figures
}

/// Figures of one moment as a source of metrics.
struct Collected(Vec<Figure>);

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collected").field(&self.0.len()).finish()
    }
}

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut by_name: BTreeMap<&str, Vec<&Figure>> = BTreeMap::new();
        for figure in &self.0 {
            by_name.entry(figure.name).or_default().push(figure);
        }
        for (name, figures) in by_name {
            let Some(first) = figures.first() else { continue };
            let kind = match first.kind {
                FigureKind::Counter => MetricType::Counter,
                FigureKind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(name, first.about, None, kind)?;
            for figure in &figures {
                if figure.labels.is_empty() {
                    // Without labels there is one figure of this name.
                    encode(first, metric)?;
                    break;
                }
                encode(figure, metric.encode_family(&figure.labels)?)?;
            }
        }
        Ok(())
    }
}

fn encode(figure: &Figure, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match figure.kind {
        FigureKind::Counter => ConstCounter::new(figure.value).encode(encoder),
        FigureKind::Gauge => ConstGauge::new(figure.value).encode(encoder),
    }
}
