//! More traffic than the store can take: calls keep going, the ledger balances to the last call, memory stays bounded.
//!
//! `WEIR_TEST_OVERLOAD_SECONDS` sets the length of the storm (20 by default, 120 for the full drill).

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use serde_json::Value;
use support::{Weir, upstream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Small rooms, so that they overflow: what they bound together is stated by [`RESIDENT_BYTES_MAX`].
const ROOMS: &[(&str, &str)] = &[
    ("WEIR_GATEWAY__CAPTURE__MEMORY", "16MiB"),
    ("WEIR_JOURNAL__MAX_BYTES", "32MiB"),
    ("WEIR_STORE__WRITER_MEMORY", "32MiB"),
];
/// 16 MB capture, 64 MB of the journal's queue and 64 MB of its tail, 256 MB of the store's tail, 32 MB for its writer and
/// as much for what it merges, and the program itself.
const RESIDENT_BYTES_MAX: u64 = 600 * 1024 * 1024;
const CALLERS: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_costs_calls_nothing_and_every_exchange_is_accounted_for() {
    let seconds = std::env::var("WEIR_TEST_OVERLOAD_SECONDS").map_or(20, |text| text.parse().unwrap());
    let upstream = upstream().await;
    let calm = Weir::start_with(&[("WEIR_GATEWAY__CAPTURE__ENABLED", "false")]).await;
    calm.route_everything_to(&upstream).await;
    let without = storm(&calm, Duration::from_secs(seconds / 4)).await;
    drop(calm);

    let weir = Weir::start_with(ROOMS).await;
    weir.route_everything_to(&upstream).await;
    let with = storm(&weir, Duration::from_secs(seconds)).await;

    let ledger = settled(&weir).await;
    let source = &ledger["sources"][0];
    let store =
        ledger["targets"].as_array().unwrap().iter().find(|target| target["name"] == "store").unwrap();
    println!("without capture: {without:?}\nwith capture: {with:?}\nsource {source}\nstore {store}");
    assert_eq!(ledger["balanced"], true);
    assert_eq!(source["offered"], with.calls, "every call was offered");
    assert_eq!(sum(source, "accepted"), with.calls);
    assert_eq!(source["accepted"], store["offered"], "what was accepted was offered to the store");
    assert_eq!(sum(store, "delivered"), store["offered"].as_u64().unwrap());
    assert_eq!(weir.ask("/api/v1/exchanges?limit=1").await["total"]["value"], store["delivered"]);
    assert!(with.calls > store["delivered"].as_u64().unwrap(), "the store was not overloaded");
    assert!(with.resident_bytes_max < RESIDENT_BYTES_MAX, "{} bytes resident", with.resident_bytes_max);
}

/// What a storm was like. Latencies are for people: they depend on the machine and are not asserted.
#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Storm {
    calls: u64,
    calls_per_second: u64,
    latency_p50: Duration,
    latency_p99: Duration,
    resident_bytes_max: u64,
}

/// As many calls as fit in the time, each answered in full and unchanged.
async fn storm(weir: &Weir, length: Duration) -> Storm {
    let stop = Arc::new(AtomicBool::new(false));
    let address = weir.address("proxy");
    let callers: Vec<_> =
        (0..CALLERS).map(|caller| tokio::spawn(call_until(stop.clone(), address, caller))).collect();
    let mut resident_bytes_max = 0;
    let begun = Instant::now();
    while begun.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(250)).await;
        resident_bytes_max = resident_bytes_max.max(weir.resident_bytes());
    }
    stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for caller in callers {
        latencies.extend(caller.await.unwrap());
    }
    latencies.sort_unstable();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
    Storm {
        calls: latencies.len() as u64,
        calls_per_second: latencies.len() as u64 / length.as_secs().max(1),
        latency_p50: at(0.5),
        latency_p99: at(0.99),
        resident_bytes_max,
    }
}

/// One connection that sends call after call; gives how long each took.
async fn call_until(stop: Arc<AtomicBool>, address: SocketAddr, seed: u64) -> Vec<Duration> {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut connection = BufReader::new(TcpStream::connect(address).await.unwrap());
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        // Words that no other call has: the dear case for a full-text index.
        let words: Vec<String> =
            (0..800).map(|_| format!("{:x}", random.random_range(0..u64::MAX) >> 24)).collect();
        let body = words.join(" ");
        let head = format!("POST /echo HTTP/1.1\r\nhost: a.test\r\ncontent-length: {}\r\n\r\n", body.len());
        let sent = Instant::now();
        connection.write_all((head + &body).as_bytes()).await.unwrap();
        assert_eq!(answer(&mut connection).await, body.as_bytes());
        latencies.push(sent.elapsed());
    }
    latencies
}

async fn answer(connection: &mut BufReader<TcpStream>) -> Vec<u8> {
    let mut line = String::new();
    connection.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    let mut length = None;
    loop {
        line.clear();
        connection.read_line(&mut line).await.unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = Some(value.parse().unwrap());
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length.expect("the echo has a length")];
    connection.read_exact(&mut body).await.unwrap();
    body
}

/// The ledger once nothing is held anywhere.
async fn settled(weir: &Weir) -> Value {
    let deadline = Instant::now() + Duration::from_secs(600);
    loop {
        let ledger = weir.ask("/api/v1/ledger").await;
        assert_eq!(ledger["balanced"], true, "{ledger:#}");
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
