//! Exporters end to end at saturation: exchanges through intake, journal, encoder and HTTP to a receiver that takes everything,
//! as fast as it goes. One JSON object per line; `journal` is the floor, the same way with nobody at its end.
//!
//! Run with `cargo bench -p weir-wire --bench exporters`. Processor time is that of the whole process, the receiver's included.

#![allow(clippy::unwrap_used)]

mod sample;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::http::StatusCode;
use serde_json::{Value, json};
use weir_kit::SystemClock;
use weir_model::Exchange;
use weir_pipeline::*;
use weir_wire::registry;

const EXCHANGES: usize = 20_000;
/// Exchanges that come together, as from the gateway's buffers.
const TOGETHER: usize = 100;
const SENDERS: usize = 4;
const ROUNDS: usize = 5;

/// The exporters with settings for large batches, and the status that each takes for success.
fn exporters(receiver: SocketAddr, with_bodies: bool) -> Vec<(&'static str, u16, Value)> {
    let (host, port, url) = (receiver.ip().to_string(), receiver.port(), format!("http://{receiver}"));
    vec![
        (
            "galileo",
            200,
            json!({
                "service_token": "t", "host": host, "port": port, "https": false,
                "log_bodies": with_bodies, "queue_size": 1_000,
            }),
        ),
        (
            "mashape-analytics",
            200,
            json!({"service_token": "t", "host": host, "port": port, "log_body": with_bodies, "batch_size": 1_000}),
        ),
        ("moesif", 201, json!({"application_id": "a", "api_endpoint": url, "batch_size": 1_000})),
        (
            "runscope",
            200,
            json!({
                "access_token": "t", "bucket_key": "b", "api_endpoint": url, "log_body": with_bodies,
                "batch_size": 1_000,
            }),
        ),
    ]
}

/// Takes everything and does nothing with it.
struct Nowhere;

#[async_trait]
impl Exporter for Nowhere {
    async fn export(&self, _batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        Ok(Delivered::default())
    }
}

/// Answers every call with this status; counts the bytes of bodies.
async fn receiver(status: u16) -> (SocketAddr, Arc<AtomicU64>) {
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = bytes.clone();
    let answer = move |body: axum::body::Bytes| async move {
        counted.fetch_add(body.len() as u64, Ordering::Relaxed);
        (StatusCode::from_u16(status).unwrap(), "{}")
    };
    let app = axum::Router::new().fallback(answer).layer(axum::extract::DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    (address, bytes)
}

/// What one round gave.
struct Round {
    exchanges_per_second: f64,
    cpu_microseconds: f64,
}

async fn round(exporter: Arc<dyn Exporter>, queue: QueueSettings, exchanges: &[Exchange]) -> Round {
    let directory = tempfile::tempdir().unwrap();
    let settings = PipelineSettings::in_directory(directory.path());
    let pipeline = Pipeline::open(settings, Processors::default(), Arc::new(SystemClock)).unwrap();
    let target = TargetSpec {
        name: "bench".to_owned(),
        kind: "bench".to_owned(),
        fingerprint: String::new(),
        exporter,
        queue,
        filter: Filter::All,
        start: Start::Now,
    };
    pipeline.targets().add(target).await.unwrap();
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let sent = exchanges.chunks(exchanges.len() / SENDERS).map(|share| {
        let (intake, share) = (pipeline.intake().clone(), share.to_vec());
        tokio::spawn(async move {
            for together in share.chunks(TOGETHER) {
                let mut submission = intake.submission("bench", together.len());
                for exchange in together {
                    submission.add(exchange.id, exchange.started_at, |place| place.clone_from(exchange));
                }
                submission.send(Duration::from_secs(60)).await.unwrap();
            }
        })
    });
    for sender in sent.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    loop {
        let account = pipeline.ledger().snapshot().targets.remove(0);
        assert_eq!(account.retries, 0, "{:?}", account.last_error);
        if account.delivered == exchanges.len() as u64 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let round = Round {
        exchanges_per_second: exchanges.len() as f64 / begun.elapsed().as_secs_f64(),
        cpu_microseconds: (cpu_seconds() - cpu) * 1e6 / exchanges.len() as f64,
    };
    pipeline.shutdown(Duration::ZERO).await;
    round
}

/// Processor time of this process, in seconds; Linux counts it in hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks = |at: usize| after_name.split_whitespace().nth(at).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// Prints the medians of the rounds.
fn report(name: &str, body_bytes: usize, sent_bytes: u64, rounds: &[Round]) {
    let median = |figure: fn(&Round) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let rate = median(|round| round.exchanges_per_second);
    let each = sent_bytes as f64 / (rounds.len() * EXCHANGES) as f64;
    let line = json!({
        "bench": "exporter",
        "exporter": name,
        "body_bytes": body_bytes,
        "exchanges_per_second": rate.round(),
        "sent_megabytes_per_second": (rate * each / 1e5).round() / 10.0,
        "cpu_microseconds_per_exchange": (median(|round| round.cpu_microseconds) * 10.0).round() / 10.0,
    });
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}

#[tokio::main]
async fn main() {
    for body_bytes in [0, 2_048] {
        let exchanges: Vec<Exchange> =
            (0..EXCHANGES).map(|number| sample::exchange(number, body_bytes)).collect();
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let queue =
                QueueSettings { max_coalescing_delay: Duration::from_millis(20), ..QueueSettings::default() };
            rounds.push(round(Arc::new(Nowhere), queue, &exchanges).await);
        }
        report("journal", body_bytes, 0, &rounds);
        for place in 0..4 {
            let unused = "127.0.0.1:1".parse().unwrap();
            let status = exporters(unused, false)[place].1;
            let (address, bytes) = receiver(status).await;
            let (name, _, settings) = exporters(address, body_bytes > 0).remove(place);
            let kind = registry::exporter(name).unwrap();
            let mut rounds = Vec::new();
            for _ in 0..ROUNDS {
                let settings = weir_kit::schema::check(kind.fields, settings.clone()).unwrap();
                let built = (kind.build)(settings).unwrap();
                rounds.push(round(built.exporter.into(), built.queue, &exchanges).await);
            }
            report(name, body_bytes, bytes.load(Ordering::Relaxed), &rounds);
        }
    }
}
