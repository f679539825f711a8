//! The crash drill: weir is killed at random instants under load; what it had acknowledged is there, exactly once.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use support::Weir;
use tokio::sync::Mutex;

/// How often weir is killed.
const KILLS: usize = 50;
/// Calls that report at the same time.
const REPORTERS: usize = 4;
/// Exchanges in one report.
const BATCH: u64 = 25;

#[tokio::test(flavor = "multi_thread")]
async fn killed_fifty_times_every_acknowledged_exchange_is_there_exactly_once() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    // Short commits, so that kills fall before, into and after them.
    let mut weir = Weir::start_with(&[("WEIR_STORE__COMMIT_INTERVAL", "200ms")]).await;
    let url = Arc::new(Mutex::new(weir.server("/1.1.0/single")));
    let next_report = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicU64::new(0));
    let reporters: Vec<_> = (0..REPORTERS)
        .map(|_| tokio::spawn(report(url.clone(), next_report.clone(), stop.clone())))
        .collect();
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(random.random_range(0..600))).await;
        weir.kill();
        weir.launch().await;
        *url.lock().await = weir.server("/1.1.0/single");
    }
    stop.store(1, Ordering::SeqCst);
    for reporter in reporters {
        reporter.await.unwrap();
    }

    // Every report was repeated under its key until it was acknowledged, so all of them must be there, once.
    let expected = next_report.load(Ordering::SeqCst) * BATCH;
    weir.wait_for("/api/v1/ledger", |ledger| ledger["targets"][0]["held"] == 0).await;
    let counts = counts_by_path(&weir).await;
    let wrong: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).take(10).collect();
    assert!(wrong.is_empty(), "not exactly once: {wrong:?}");
    assert_eq!(counts.len() as u64, expected);
    println!("{KILLS} kills, {expected} acknowledged exchanges, each there once");
    assert_eq!(weir.ask("/api/v1/ledger").await["balanced"], true);
}

/// Reports batch after batch; a report that was not acknowledged is sent again, as a careful sender would.
async fn report(url: Arc<Mutex<String>>, next: Arc<AtomicU64>, stop: Arc<AtomicU64>) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    while stop.load(Ordering::SeqCst) == 0 {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let body = batch(number);
        loop {
            let target = url.lock().await.clone();
            let sent = client
                .post(target)
                .header("idempotency-key", format!("report-{number}"))
                .body(body.to_string())
                .send()
                .await;
            match sent {
                Ok(answer) if answer.status() == 200 => break,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

fn batch(number: u64) -> Value {
    let entries: Vec<Value> = (0..BATCH)
        .map(|index| {
            json!({
                "startedDateTime": "2026-11-20T12:00:00Z", "time": 3,
                "request": {"method": "GET", "url": format!("http://a.test/{number}/{index}"), "httpVersion": "HTTP/1.1",
                    "queryString": [], "headers": [{"name": "x-load", "value": "x".repeat(500)}], "headersSize": 0,
                    "bodySize": 0, "bodyCaptured": false},
                "response": {"status": 200, "statusText": "", "httpVersion": "HTTP/1.1", "headers": [], "headersSize": 0,
                    "bodySize": 0, "bodyCaptured": false},
                "timings": {"send": 1, "wait": 1, "receive": 1},
            })
        })
        .collect();
    json!({"version": "1.1.0", "serviceToken": "tok-1",
           "har": {"log": {"creator": {"name": "drill", "version": "1"}, "entries": entries}}})
}

async fn counts_by_path(weir: &Weir) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = weir.ask(&format!("/api/v1/exchanges?limit=1000{cursor}")).await;
        for row in page["exchanges"].as_array().unwrap() {
            *counts.entry(row["path"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return counts,
        }
    }
}
