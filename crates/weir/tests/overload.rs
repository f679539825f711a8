//! More traffic than the store can take: calls keep going, the ledger balances to the last call, memory stays bounded.
//!
//! `WEIR_TEST_OVERLOAD_SECONDS` sets the length of the storm (20 by default, 120 for the full drill).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Weir, upstream};

/// Settings of the drill, and what they bound together: capture, journal tail, index, and the program itself.
const MEMORY: &[(&str, &str)] = &[
    ("WEIR_GATEWAY__CAPTURE__MEMORY", "16MiB"),
    ("WEIR_JOURNAL__MAX_BYTES", "256MiB"),
    ("WEIR_STORE__WRITER_MEMORY", "64MiB"),
];
const RESIDENT_BYTES_MAX: u64 = 600 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_costs_calls_nothing_and_every_exchange_is_accounted_for() {
    let seconds = std::env::var("WEIR_TEST_OVERLOAD_SECONDS").map_or(20, |text| text.parse().unwrap());
    let weir = Arc::new(Weir::start_with(MEMORY).await);
    weir.route_everything_to(&upstream().await).await;

    let stop = Arc::new(AtomicBool::new(false));
    let (answered, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..32)
        .map(|caller| {
            let (weir, stop) = (weir.clone(), stop.clone());
            let (answered, failed) = (answered.clone(), failed.clone());
            tokio::spawn(async move {
                let body = format!("caller {caller} {}", "lorem ipsum dolor ".repeat(100));
                while !stop.load(Ordering::Relaxed) {
                    let sent = weir.client.post(weir.proxy("/echo")).body(body.clone()).send().await;
                    let whole = match sent {
                        Ok(answer) if answer.status() == 200 => {
                            answer.bytes().await.is_ok_and(|echo| echo == body.as_bytes())
                        }
                        _ => false,
                    };
                    let counter = if whole { &answered } else { &failed };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut resident_max = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        resident_max = resident_max.max(weir.resident_bytes());
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let calls = answered.load(Ordering::Relaxed);
    assert_eq!(failed.load(Ordering::Relaxed), 0, "calls failed");

    let ledger = settled(&weir).await;
    let source = &ledger["sources"][0];
    let store =
        ledger["targets"].as_array().unwrap().iter().find(|target| target["name"] == "store").unwrap();
    println!(
        "{calls} calls in {seconds} s, {} MB resident at most; source {source}; store {store}",
        resident_max / 1_000_000
    );
    assert_eq!(ledger["balanced"], true);
    assert_eq!(source["offered"], calls, "every call was offered");
    assert_eq!(sum(source, "accepted"), calls);
    assert_eq!(source["accepted"], store["offered"], "what was accepted was offered to the store");
    assert_eq!(sum(store, "delivered"), store["offered"].as_u64().unwrap());
    assert_eq!(weir.ask("/api/v1/exchanges?limit=1").await["total"]["value"], store["delivered"]);
    assert!(resident_max < RESIDENT_BYTES_MAX, "{resident_max} bytes resident");
}

/// The ledger once nothing is held anywhere.
async fn settled(weir: &Weir) -> Value {
    let deadline = Instant::now() + Duration::from_secs(600);
    loop {
        let ledger = weir.ask("/api/v1/ledger").await;
        let held = |part: &str| ledger[part].as_array().unwrap().iter().any(|row| row["held"] != 0);
        if !held("sources") && !held("targets") {
            return ledger;
        }
        assert!(Instant::now() < deadline, "the backlog never drained: {ledger:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn sum(row: &Value, arrived: &str) -> u64 {
    let dropped: u64 =
        row["dropped"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    row[arrived].as_u64().unwrap() + dropped + row["held"].as_u64().unwrap()
}
