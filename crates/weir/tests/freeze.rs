//! Redis freezes under load: no call notices, and every record is there when it thaws.
//!
//! In the suite it is frozen for 5 seconds. The full drill is `WEIR_TEST_FREEZE_SECONDS=60`; calls a second and latencies are
//! printed for people, beside those of another weir whose Redis is not frozen. The same callers call both by turns, so that
//! whatever else the machine does falls on both alike. Before it they are measured for as long without any freeze, which says
//! how far two weirs are apart that should not differ. The slowest hundredth of the calls of a minute are few, so that it
//! takes several rounds to compare them: `WEIR_TEST_FREEZE_ROUNDS=5`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
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
/// Calls a second of one caller: below what this machine can, so that all runs have the same load.
const CALLS_PER_SECOND: u32 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_slows_no_call_and_loses_no_record() {
    let setting =
        |name, otherwise| std::env::var(name).map_or(otherwise, |text| text.parse::<u32>().unwrap());
    let length = Duration::from_secs(setting("WEIR_TEST_FREEZE_SECONDS", 5).into());
    let rounds = setting("WEIR_TEST_FREEZE_ROUNDS", 1);
    let upstream = upstream().await;
    let [calm, frozen] = [Recording::start(&upstream).await, Recording::start(&upstream).await];

    let (mut before, mut during) = <([Vec<Call>; 2], [Vec<Call>; 2])>::default();
    let mut after = json!({"retries": 0});
    for _ in 0..rounds {
        load([&calm, &frozen], length, &mut before).await;
        let undisturbed = settled(&frozen.weir).await;
        let calls = json!(frozen.calls.load(Ordering::Relaxed));
        assert_eq!((&undisturbed["delivered"], &undisturbed["retries"]), (&calls, &after["retries"]));
        frozen.redis.signal("-STOP");
        load([&calm, &frozen], length, &mut during).await;
        let held = target(&frozen.weir.ask("/api/v1/ledger").await)["held"].as_u64().unwrap();
        frozen.redis.signal("-CONT");
        let thawed = Instant::now();
        after = settled(&frozen.weir).await;
        println!("{held} records waited and were written {:.0?} after the thaw", thawed.elapsed());
        assert!(held > 0, "nothing waited: Redis was not frozen");
    }
    for (name, calls) in
        ["before, one", "before, other", "never frozen", "frozen"].iter().zip(before.iter().chain(&during))
    {
        println!("{name}: {}", Latencies::of(calls).summary(length * rounds));
    }

    let never = settled(&calm.weir).await;
    assert_eq!(never["retries"], 0);
    // What was under way when Redis froze may be there twice, however often it was tried meanwhile.
    for (recording, account, most_twice) in [(&calm, never, 0), (&frozen, after, 1_000 * rounds as usize)] {
        let calls = recording.calls.load(Ordering::Relaxed);
        assert_eq!((&account["delivered"], &account["dropped"]), (&json!(calls), &json!({})));
        let records = times_written(&recording.redis).await;
        assert!((0..calls).eq(records.keys().copied()), "each call has its record, and there is no other");
        let twice = records.values().filter(|times| **times > 1).count();
        println!("{twice} of {calls} records are there twice");
        assert!(records.values().all(|times| *times <= 2) && twice <= most_twice);
    }
}

/// A weir that records in a Redis of its own.
struct Recording {
    redis: Server,
    weir: Weir,
    /// How many calls it got.
    calls: AtomicU64,
}

impl Recording {
    async fn start(upstream: &str) -> Arc<Self> {
        let redis = Server::start().await;
        let storage = json!({"host": "127.0.0.1", "port": redis.port, "timeout": 1});
        let tyk = json!({"kind": "tyk", "config": {"storage": storage, "storage_expiration_time": -1}});
        let targets = json!({"records": tyk}).to_string();
        let weir = Weir::start_with(&[("WEIR_TARGETS", &targets)]).await;
        weir.route_everything_to(upstream).await;
        Arc::new(Self { redis, weir, calls: AtomicU64::new(0) })
    }
}

/// Calls with numbers of their own, each answered in full; they are added to those of each.
async fn load(both: [&Arc<Recording>; 2], length: Duration, calls: &mut [Vec<Call>; 2]) {
    let stop = Arc::new(AtomicBool::new(false));
    let caller = |seed| tokio::spawn(call_until(stop.clone(), both.map(Arc::clone), seed));
    let callers: Vec<_> = (0..CALLERS).map(caller).collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        for (all, more) in calls.iter_mut().zip(caller.await.unwrap()) {
            all.extend(more);
        }
    }
}

/// Calls the two by turns; gives the calls of each.
async fn call_until(stop: Arc<AtomicBool>, both: [Arc<Recording>; 2], seed: u64) -> [Vec<Call>; 2] {
    let connect = |recording: &Arc<Recording>| TcpStream::connect(recording.weir.address("proxy"));
    let mut connections =
        [BufReader::new(connect(&both[0]).await.unwrap()), BufReader::new(connect(&both[1]).await.unwrap())];
    let mut calls = [Vec::new(), Vec::new()];
    let mut pace = Pace::new(Duration::from_secs(1) / CALLS_PER_SECOND, seed);
    let mut turn = seed as usize % 2;
    while !stop.load(Ordering::Relaxed) {
        pace.next().await;
        let number = both[turn].calls.fetch_add(1, Ordering::Relaxed);
        let head = format!("GET /drill/{number} HTTP/1.1\r\nhost: a.test\r\n\r\n");
        let sent = Instant::now();
        connections[turn].write_all(head.as_bytes()).await.unwrap();
        let body: Value = serde_json::from_slice(&answer(&mut connections[turn]).await).unwrap();
        assert_eq!(body["path"], format!("/drill/{number}"));
        calls[turn].push(Call::since(sent));
        turn = 1 - turn;
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
