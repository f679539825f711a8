//! Redis freezes under load: no call notices, and every record is there when it thaws.
//!
//! In the suite it is frozen for 5 seconds. The full drill is `WEIR_TEST_FREEZE_SECONDS=60`; calls a second and latencies are
//! printed for people, beside those of as long a time without a freeze.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::load::{Call, Latencies, Pace, answer};
use support::redis::Server;
use support::{Weir, upstream};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use weir_wire::tyk::{lists, msgpack};

const CALLERS: u64 = 16;
/// Calls a second of one caller: below what this machine can, so that the two runs have the same load.
const CALLS_PER_SECOND: u32 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_slows_no_call_and_loses_no_record() {
    let seconds = std::env::var("WEIR_TEST_FREEZE_SECONDS").ok().map_or(5, |text| text.parse().unwrap());
    let length = Duration::from_secs(seconds);
    let redis = Server::start().await;
    let storage = json!({"host": "127.0.0.1", "port": redis.port, "timeout": 1});
    let tyk = json!({"kind": "tyk", "config": {"storage": storage, "storage_expiration_time": -1}});
    let targets = json!({"records": tyk}).to_string();
    let weir = Weir::start_with(&[("WEIR_TARGETS", &targets)]).await;
    weir.route_everything_to(&upstream().await).await;
    let counter = Arc::new(AtomicU64::new(0));

    let calm = load(&weir, &counter, length).await;
    let before = settled(&weir).await;
    redis.signal("-STOP");
    let frozen = load(&weir, &counter, length).await;
    let held = target(&weir.ask("/api/v1/ledger").await)["held"].as_u64().unwrap();
    redis.signal("-CONT");
    let thawed = Instant::now();
    let after = settled(&weir).await;
    println!("without a freeze: {calm:?}\nfrozen for {seconds} s: {frozen:?}");
    println!("{held} records waited and were written {:.0?} after the thaw", thawed.elapsed());

    let calls = counter.load(Ordering::Relaxed);
    assert!(held > 0, "nothing waited: Redis was not frozen");
    assert_eq!((&before["delivered"], &before["retries"]), (&json!(calm.calls), &json!(0)));
    assert_eq!((&after["delivered"], &after["dropped"]), (&json!(calls), &json!({})));
    let records = times_written(&redis).await;
    assert!((0..calls).eq(records.keys().copied()), "each call has its record, and there is no other");
    // What was under way when Redis froze may be there twice, however often it was tried meanwhile.
    let twice = records.values().filter(|times| **times > 1).count();
    println!("{twice} of {calls} records are there twice");
    assert!(records.values().all(|times| *times <= 2) && twice <= 1_000);
}

#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Load {
    calls: u64,
    calls_per_second: u64,
    latency_p50: Duration,
    latency_p99: Duration,
    latency_p99_of_a_second: Duration,
    latency_max: Duration,
}

/// Calls with numbers of their own, each answered in full.
async fn load(weir: &Weir, counter: &Arc<AtomicU64>, length: Duration) -> Load {
    let stop = Arc::new(AtomicBool::new(false));
    let call = |seed| tokio::spawn(call_until(stop.clone(), weir.address("proxy"), counter.clone(), seed));
    let callers: Vec<_> = (0..CALLERS).map(call).collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let latencies = Latencies::of(callers).await;
    Load {
        calls: latencies.calls(),
        calls_per_second: latencies.per_second(length),
        latency_p50: latencies.at(0.5),
        latency_p99: latencies.at(0.99),
        latency_p99_of_a_second: latencies.at_in_a_second(0.99),
        latency_max: latencies.longest(),
    }
}

async fn call_until(
    stop: Arc<AtomicBool>,
    address: SocketAddr,
    counter: Arc<AtomicU64>,
    seed: u64,
) -> Vec<Call> {
    let mut connection = BufReader::new(TcpStream::connect(address).await.unwrap());
    let mut calls = Vec::new();
    let mut pace = Pace::new(Duration::from_secs(1) / CALLS_PER_SECOND, seed);
    while !stop.load(Ordering::Relaxed) {
        pace.next().await;
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let head = format!("GET /drill/{number} HTTP/1.1\r\nhost: a.test\r\n\r\n");
        let sent = Instant::now();
        connection.write_all(head.as_bytes()).await.unwrap();
        let body: Value = serde_json::from_slice(&answer(&mut connection).await).unwrap();
        assert_eq!(body["path"], format!("/drill/{number}"));
        calls.push(Call::since(sent));
    }
    calls
}

fn target(ledger: &Value) -> &Value {
    let targets = ledger["targets"].as_array().unwrap();
    targets.iter().find(|target| target["name"] == "records").unwrap()
}

/// The account of the records once none of them waits any more.
async fn settled(weir: &Weir) -> Value {
    let ledger = weir
        .wait_for("/api/v1/ledger", |ledger| {
            let held = |part: &str| ledger[part].as_array().unwrap().iter().any(|row| row["held"] != 0);
            !held("sources") && !held("targets")
        })
        .await;
    assert_eq!(ledger["balanced"], true);
    target(&ledger).clone()
}

/// How often each call has a record, by its number.
async fn times_written(redis: &Server) -> BTreeMap<u64, u32> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", redis.port)).unwrap();
    let mut connection = client.get_connection().unwrap();
    let list = lists::name(lists::KEY_PREFIX, None, lists::Encoding::Msgpack);
    let values: Vec<Vec<u8>> = redis::cmd("LRANGE").arg(list).arg(0).arg(-1).query(&mut connection).unwrap();
    let mut times = BTreeMap::new();
    for value in &values {
        let path = msgpack::decode(value).unwrap().raw_path.into_owned();
        let number: u64 = path.strip_prefix("/drill/").unwrap().parse().unwrap();
        *times.entry(number).or_default() += 1;
    }
    times
}
