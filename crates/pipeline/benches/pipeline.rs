//! What a record costs and how much the journal takes. One JSON object per line.
//!
//! Run with `cargo bench -p weir-pipeline --bench pipeline`; `WEIR_BENCH_DIR` names the disk to write to. `floor_*` is what
//! the machine needs for the same bytes without us: a copy of them in memory, the same groups written and synced to a plain
//! file.

use std::hint::black_box;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use weir_kit::{SystemClock, Timestamp};
use weir_model::{Body, Exchange, ExchangeId, Headers, Request, Response, Timings};
use weir_pipeline::*;

/// Exchanges that come together, as from the gateway's buffers.
const BATCH: usize = 32;

/// An exchange whose record takes about `bytes` bytes, most of it in bodies.
fn exchange(number: usize, bytes: usize) -> Exchange {
    let started_at = Timestamp::from_micros(1_767_225_600_000_000 + number as i64 * 1_234);
    let headers = |names: &[&str]| -> Headers {
        names.iter().map(|name| (*name, "a value of an ordinary length, more or less")).collect()
    };
    let body = Body::whole(vec![b'x'; bytes.saturating_sub(1_000) / 2]);
    let request = Request {
        method: "POST".into(),
        scheme: "https".into(),
        host: "shop.example.test".into(),
        path: format!("/v1/customers/{number}/orders").into(),
        query: Some("expand=items&limit=10".into()),
        version: "1.1".into(),
        headers: headers(&["host", "user-agent", "accept", "content-type", "x-request-id", "traceparent"]),
        body: body.clone(),
        ..Request::default()
    };
    let mut exchange = Exchange::new(ExchangeId::new(started_at), started_at, request);
    exchange.response = Some(Response {
        status: 200,
        version: "1.1".into(),
        headers: headers(&["content-type", "date", "server", "cache-control"]),
        body,
        ..Response::default()
    });
    let part = |micros| Some(Duration::from_micros(micros));
    exchange.timings =
        Timings { send: part(120), wait: part(8_400), receive: part(310), ..Timings::default() };
    exchange.origin.source = "gateway".into();
    exchange.service = Some("orders".into());
    exchange.plugins = vec!["0b1e4c52-6f0c-4ed8-9c44-2ba9d56f1a7d".into()];
    exchange
}

fn report(name: &str, record_bytes: usize, figures: serde_json::Value) {
    let mut line = serde_json::json!({"bench": name, "record_bytes": record_bytes});
    if let (Some(line), Some(figures)) = (line.as_object_mut(), figures.as_object()) {
        line.extend(figures.clone());
    }
    writeln!(std::io::stdout().lock(), "{line}").expect("standard output takes a line");
}

/// Nanoseconds per call: the median of several rounds.
fn nanos(mut work: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            (0..2_000).for_each(|_| work());
            start.elapsed().as_nanos() as f64 / 2_000.0
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn codec(bytes: usize) {
    let exchange = exchange(1, bytes);
    let mut record = Vec::new();
    record::encode(&exchange, &mut record);
    let size = record.len();
    let mut out = Vec::with_capacity(size);
    let measured = [
        (
            "encode",
            nanos(|| {
                out.clear();
                record::encode(black_box(&exchange), &mut out);
            }),
        ),
        ("decode", {
            let record = Bytes::from(record.clone());
            nanos(|| {
                black_box(record::decode(black_box(record.clone())).expect("what was written is read"));
            })
        }),
        (
            "floor_copy",
            nanos(|| {
                out.clear();
                out.extend_from_slice(black_box(&record));
            }),
        ),
        (
            "floor_clone_exchange",
            nanos(|| {
                black_box(black_box(&exchange).clone());
            }),
        ),
    ];
    for (name, nanos) in measured {
        report(name, size, serde_json::json!({"ns": nanos.round()}));
    }
    let processors = Processors::standard(ProcessorSettings::default());
    let fresh = vec![exchange; 2_000];
    let mut rounds: Vec<f64> = (0..5)
        .map(|_| {
            let mut copies = fresh.clone();
            let start = Instant::now();
            copies.iter_mut().for_each(|exchange| {
                black_box(processors.run(exchange));
            });
            start.elapsed().as_nanos() as f64 / 2_000.0
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    report("processors", size, serde_json::json!({"ns": rounds[2].round()}));
}

/// Takes everything and does nothing with it.
struct Nowhere;

#[async_trait]
impl Exporter for Nowhere {
    async fn export(&self, _batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        Ok(Delivered::default())
    }
}

fn directory() -> PathBuf {
    let parent = std::env::var_os("WEIR_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    parent.join(format!("weir-bench-{}", std::process::id()))
}

/// What one run of the journal gave.
struct Run {
    record_bytes: usize,
    records_per_second: f64,
    receipt_p50_us: f64,
    receipt_p99_us: f64,
}

/// Submissions from several senders, each waiting for its receipt before the next, through to a target.
async fn journal(bytes: usize, senders: usize, batches: usize) -> Run {
    let directory = directory();
    let settings = PipelineSettings::in_directory(&directory);
    let pipeline =
        Pipeline::open(settings, Processors::default(), Arc::new(SystemClock)).expect("a usable disk");
    let target = TargetSpec {
        name: "nowhere".to_owned(),
        kind: "nowhere".to_owned(),
        fingerprint: String::new(),
        exporter: Arc::new(Nowhere),
        queue: QueueSettings::default(),
        filter: Filter::All,
        start: Start::Now,
    };
    pipeline.targets().add(target).await.expect("a first target");
    let batch: Vec<Exchange> = (0..BATCH).map(|number| exchange(number, bytes)).collect();
    let start = Instant::now();
    let sent = (0..senders).map(|_| {
        let (intake, batch) = (pipeline.intake().clone(), batch.clone());
        tokio::spawn(async move {
            let mut waits = Vec::new();
            for _ in 0..batches {
                let batch = batch.clone();
                let asked = Instant::now();
                intake.submit("bench", batch).await.expect("room");
                waits.push(asked.elapsed());
            }
            waits
        })
    });
    let mut waits = Vec::new();
    for sender in sent.collect::<Vec<_>>() {
        waits.extend(sender.await.expect("a sender"));
    }
    let took = start.elapsed();
    waits.sort();
    let records = senders * batches * BATCH;
    let mut record = Vec::new();
    record::encode(&batch[0], &mut record);
    let size = record.len();
    let run = Run {
        record_bytes: size,
        records_per_second: records as f64 / took.as_secs_f64(),
        receipt_p50_us: waits[waits.len() / 2].as_micros() as f64,
        receipt_p99_us: waits[waits.len() * 99 / 100].as_micros() as f64,
    };
    pipeline.shutdown(Duration::from_secs(30)).await;
    let delivered = pipeline.ledger().snapshot().targets[0].delivered;
    assert_eq!(delivered, records as u64, "the target did not get everything");
    std::fs::remove_dir_all(&directory).expect("the directory is ours");
    run
}

/// The same bytes in groups of a megabyte, written and synced to a plain file: records per second.
fn floor_disk(record_bytes: usize, records: usize) -> f64 {
    let path = directory();
    let mut file = std::fs::File::create(&path).expect("a usable disk");
    let group = vec![7u8; 1024 * 1024];
    let groups = (record_bytes * records).div_ceil(group.len()).max(1);
    let start = Instant::now();
    for _ in 0..groups {
        file.write_all(&group).and_then(|()| file.sync_data()).expect("a usable disk");
    }
    let written = (groups * group.len() / record_bytes) as f64;
    let per_second = written / start.elapsed().as_secs_f64();
    std::fs::remove_file(&path).expect("the file is ours");
    per_second
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Rounds take turns among the numbers of senders and the plain file, so that what else the disk does falls on all alike.
fn journals() {
    const ROUNDS: usize = 5;
    const SENDERS: [(usize, usize); 3] = [(1, 1_000), (8, 500), (64, 62)];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut runs: [Vec<Run>; SENDERS.len()] = Default::default();
    let mut floors = Vec::new();
    for _ in 0..ROUNDS {
        for ((senders, batches), runs) in SENDERS.iter().zip(&mut runs) {
            runs.push(runtime.block_on(journal(2_048, *senders, *batches)));
        }
        floors.push(floor_disk(2_048, 128_000));
    }
    let floor = median(floors.iter().copied());
    report(
        "floor_write_and_sync",
        2_048,
        serde_json::json!({"rounds": ROUNDS, "records_per_second": floor.round()}),
    );
    for ((senders, _), runs) in SENDERS.iter().zip(&runs) {
        let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure));
        let ratios = runs.iter().zip(&floors).map(|(run, floor)| run.records_per_second / floor);
        report(
            "journal_synced",
            runs[0].record_bytes,
            serde_json::json!({
                "rounds": ROUNDS,
                "senders": senders,
                "records_per_second": of(|run| run.records_per_second).round(),
                "ratio_to_floor": (median(ratios) * 100.0).round() / 100.0,
                "receipt_p50_us": of(|run| run.receipt_p50_us),
                "receipt_p99_us": of(|run| run.receipt_p99_us),
            }),
        );
    }
}

fn main() {
    for bytes in [1_000, 2_048, 12_000] {
        codec(bytes);
    }
    journals();
}
