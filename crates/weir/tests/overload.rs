//! More traffic than the store can take: calls keep going, the ledger balances to the last call, memory stays bounded.
//!
//! In the suite it is a flood of 20 seconds. The full drill, `WEIR_TEST_OVERLOAD_SECONDS=120`, first finds out what the store
//! takes on this machine, then sends twice that with capture; and before and after it, since a machine has better and worse
//! minutes, for a quarter of the time in all each: without capture, and without it while processes of the priority of indexing
//! keep the processors busy. What capture adds to the latter is what it costs a call; what the latter adds to the former is what
//! a call pays on this machine for sharing it with any work.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::fmt;
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use serde_json::Value;
use support::load::{Call, Latencies, Pace, answer};
use support::{Memory, Weir, upstream};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Small rooms, so that they overflow: what they bound together is stated by [`OWN_BYTES_MAX`].
const ROOMS: &[(&str, &str)] = &[
    ("WEIR_GATEWAY__CAPTURE__MEMORY", "16MiB"),
    ("WEIR_JOURNAL__MAX_BYTES", "32MiB"),
    ("WEIR_STORE__WRITER_MEMORY", "32MiB"),
];
/// 16 MB capture, 64 MB of the journal's queue and 64 MB of its tail, 256 MB of the store's tail, 32 MB for its writer and
/// as much for what it merges, and the program itself.
const OWN_BYTES_MAX: u64 = 600 * 1024 * 1024;
const CALLERS: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_costs_calls_nothing_and_every_exchange_is_accounted_for() {
    let drill = std::env::var("WEIR_TEST_OVERLOAD_SECONDS").ok().map(|text| text.parse().unwrap());
    let seconds: u64 = drill.unwrap_or(20);
    let upstream = upstream().await;
    let twice = match drill {
        Some(seconds) => Some(2.0 * store_rate(&upstream, Duration::from_secs(seconds / 4)).await),
        None => None,
    };
    let calm = Weir::start_with(&[("WEIR_GATEWAY__CAPTURE__ENABLED", "false")]).await;
    calm.route_everything_to(&upstream).await;
    let (mut without, mut beside_work) = (Storm::default(), Storm::default());
    let mut undisturbed = async |weir: &Weir| {
        let part = Duration::from_secs(seconds) / 8;
        without.add(storm(weir, part, twice).await);
        if drill.is_some() {
            let _work = Work::start();
            beside_work.add(storm(weir, part, twice).await);
        }
    };
    undisturbed(&calm).await;
    let weir = Weir::start_with(ROOMS).await;
    weir.route_everything_to(&upstream).await;
    let with = storm(&weir, Duration::from_secs(seconds), twice).await;
    let ledger = settled(&weir).await;
    let source = &ledger["sources"][0];
    let store =
        ledger["targets"].as_array().unwrap().iter().find(|target| target["name"] == "store").unwrap();
    undisturbed(&calm).await;
    println!("twice the store: {twice:.0?} calls/s");
    for (name, storm) in
        [("without capture", &without), ("beside other work", &beside_work), ("with capture", &with)]
    {
        println!("{name}: {storm}");
    }
    println!("source {source}\nstore {store}");
    assert_eq!(ledger["balanced"], true);
    let calls = with.calls.len() as u64;
    assert_eq!(source["offered"], calls, "every call was offered");
    assert_eq!(sum(source, "accepted"), calls);
    assert_eq!(source["accepted"], store["offered"], "what was accepted was offered to the store");
    assert_eq!(sum(store, "delivered"), store["offered"].as_u64().unwrap());
    assert_eq!(weir.ask("/api/v1/exchanges?limit=1").await["total"]["value"], store["delivered"]);
    assert!(calls > store["delivered"].as_u64().unwrap(), "the store was not overloaded");
    assert!(with.memory.own_bytes < OWN_BYTES_MAX, "{:?}", with.memory);
}

/// The journal keeps what the store has not committed, so the store must commit before a small journal is full of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_journal_does_not_wait_for_the_interval_of_commits() {
    let upstream = upstream().await;
    let weir =
        Weir::start_with(&[("WEIR_JOURNAL__MAX_BYTES", "4MiB"), ("WEIR_STORE__COMMIT_INTERVAL", "1h")]).await;
    weir.route_everything_to(&upstream).await;
    // Three times what the journal has room for.
    let deadline = Instant::now() + Duration::from_secs(60);
    while kept_and_dropped(&weir).await.0 < 190.0 {
        assert!(Instant::now() < deadline, "the store stopped: {:#}", weir.ask("/api/v1/ledger").await);
        storm(&weir, Duration::from_secs(1), Some(50.0)).await;
    }
}

/// Processes that use all of two processors that nobody else wants, as the index's two threads do.
struct Work(Vec<Child>);

impl Work {
    fn start() -> Self {
        let busy = || Command::new("nice").args(["-n", "10", "sh", "-c", "while :; do :; done"]).spawn();
        Self((0..2).map(|_| busy().unwrap()).collect())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _may_have_ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// How many exchanges a second the store takes: what it kept while far more came. Under a flood it has little of the processor
/// left, so the rate that it clearly cannot take is looked for from there upwards.
async fn store_rate(upstream: &str, length: Duration) -> f64 {
    let weir = Weir::start_with(ROOMS).await;
    weir.route_everything_to(upstream).await;
    let mut calls_per_second = None;
    for _ in 0..6 {
        let (kept_before, dropped_before) = kept_and_dropped(&weir).await;
        let begun = Instant::now();
        let calls = storm(&weir, length, calls_per_second).await.calls.len() as f64;
        settled(&weir).await;
        let took = begun.elapsed().as_secs_f64();
        let (kept, dropped) = kept_and_dropped(&weir).await;
        let rate = (kept - kept_before) / took;
        let dropped = dropped - dropped_before;
        println!(
            "at {calls_per_second:.0?} calls/s the store kept {rate:.0}/s, {dropped} calls were dropped"
        );
        if calls_per_second.is_some() && dropped > calls / 3.0 {
            return rate;
        }
        calls_per_second = Some((2.0 * rate).max(2.0 * calls_per_second.unwrap_or(1.0)));
    }
    panic!("the store takes more than this machine can send");
}

/// What the store has taken, and what the gateway had to drop.
async fn kept_and_dropped(weir: &Weir) -> (f64, f64) {
    let ledger = weir.ask("/api/v1/ledger").await;
    let store = ledger["targets"].as_array().unwrap().iter().find(|target| target["name"] == "store");
    let dropped = ledger["sources"][0]["dropped"].as_object();
    let dropped = dropped.map_or(0.0, |counts| counts.values().filter_map(Value::as_f64).sum());
    (store.unwrap()["delivered"].as_f64().unwrap(), dropped)
}

/// What a storm was like. Latencies are for people: they depend on the machine and are not asserted.
#[derive(Default)]
struct Storm {
    calls: Vec<Call>,
    length: Duration,
    /// The most that weir had.
    memory: Memory,
}

impl Storm {
    fn add(&mut self, more: Self) {
        self.calls.extend(more.calls);
        self.length += more.length;
        self.memory = self.memory.most(more.memory);
    }
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.calls.is_empty() {
            return f.write_str("not measured");
        }
        let calls = Latencies::of(&self.calls).summary(self.length);
        write!(f, "{calls}; {:?}", self.memory)
    }
}

/// Calls at this rate a second, or as many as fit in the time, each answered in full and unchanged.
async fn storm(weir: &Weir, length: Duration, rate: Option<f64>) -> Storm {
    let stop = Arc::new(AtomicBool::new(false));
    let address = weir.address("proxy");
    let interval = rate.map(|rate| Duration::from_secs_f64(CALLERS as f64 / rate));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(call_until(stop.clone(), address, caller, interval)))
        .collect();
    let mut memory = Memory::default();
    let begun = Instant::now();
    while begun.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(250)).await;
        memory = memory.most(weir.memory());
    }
    stop.store(true, Ordering::Relaxed);
    let mut calls = Vec::new();
    for caller in callers {
        calls.extend(caller.await.unwrap());
    }
    Storm { calls, length, memory }
}

/// One connection that sends call after call, with this time between them on average when there is one; gives the calls.
async fn call_until(
    stop: Arc<AtomicBool>,
    address: SocketAddr,
    seed: u64,
    interval: Option<Duration>,
) -> Vec<Call> {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut connection = BufReader::new(TcpStream::connect(address).await.unwrap());
    let mut calls = Vec::new();
    let mut pace = interval.map(|interval| Pace::new(interval, seed));
    while !stop.load(Ordering::Relaxed) {
        let body = words(&mut random);
        let mut call =
            format!("POST /echo HTTP/1.1\r\nhost: a.test\r\ncontent-length: {}\r\n\r\n", body.len());
        call.push_str(&body);
        if let Some(pace) = &mut pace {
            pace.next().await;
        }
        let sent = Instant::now();
        connection.write_all(call.as_bytes()).await.unwrap();
        let answer = answer(&mut connection).await;
        calls.push(Call::since(sent));
        assert!(answer == body.as_bytes(), "the answer is not what was sent");
    }
    calls
}

/// 33 KB of words that no other call has: the dear case for a full-text index. Made quickly, since the calls of other callers
/// would wait for it.
fn words(random: &mut impl Rng) -> String {
    let mut body = String::with_capacity(3_000 * 11);
    for _ in 0..3_000 {
        let number: u64 = random.random();
        body.extend(
            (0..10).map(|digit| char::from(b"0123456789abcdef"[(number >> (4 * digit) & 15) as usize])),
        );
        body.push(' ');
    }
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
