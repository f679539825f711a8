//! The fault drill: receivers of every protocol refuse, stall, reset, answer nonsense, vanish, and weir is killed in the middle.
//! Asserted from the ledger and from what the receivers kept: nothing is lost, order is kept, what comes twice can be
//! recognised, the books balance at every look, memory stays within its bound, and the proxied calls notice nothing.
//!
//! `WEIR_DRILL_SECONDS=600` makes it ten minutes; without it every trouble comes once.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::Value;
use support::receiver::{Call, Mood, Recorder};
use support::{Memory, PATIENCE, Weir, upstream};
use weir_wire::galileo::encode::KeyParts;

/// Most memory of its own that weir may have while receivers are away.
const OWN_BYTES_MAX: u64 = 400 * 1024 * 1024;

/// What the drill must know of a protocol.
struct Protocol {
    plugin: &'static str,
    /// Status that means success.
    accepted: u16,
    /// Settings beside the address, which is written as `host` and `port` or as one address under the name given.
    settings: &'static [(&'static str, &'static str)],
    address: Address,
    /// Whether our own collector takes it.
    collected: bool,
    /// What the protocol has to recognise an entry by: where it stands under a key of the call, or an id of its own.
    identity: Identity,
}

enum Address {
    HostAndPort,
    Url(&'static str),
}

#[derive(Clone, Copy)]
enum Identity {
    KeyOfCall,
    /// Found at this place of an entry.
    Member(&'static str),
}

const PROTOCOLS: &[Protocol] = &[
    Protocol {
        plugin: "galileo",
        accepted: 200,
        settings: &[
            ("config.service_token", "tok-1"),
            ("config.https", "false"),
            ("config.flush_timeout", "0.05"),
            ("config.queue_size", "20"),
            ("config.retry_count", "1000000"),
            ("config.connection_timeout", "2"),
        ],
        address: Address::HostAndPort,
        collected: true,
        identity: Identity::KeyOfCall,
    },
    Protocol {
        plugin: "mashape-analytics",
        accepted: 200,
        settings: &[("config.service_token", "tok-2"), ("config.delay", "0.05"), ("config.batch_size", "20")],
        address: Address::HostAndPort,
        collected: true,
        identity: Identity::KeyOfCall,
    },
    Protocol {
        plugin: "moesif",
        accepted: 201,
        settings: &[("config.application_id", "app-1"), ("config.batch_size", "20")],
        address: Address::Url("config.api_endpoint"),
        collected: false,
        identity: Identity::Member("transaction_id"),
    },
    Protocol {
        plugin: "runscope",
        accepted: 200,
        // Lists, because single messages travel side by side and have no order.
        settings: &[
            ("config.access_token", "t1"),
            ("config.bucket_key", "b1"),
            ("config.batch_size", "20"),
            ("config.retry_count", "1000000"),
            ("config.timeout", "2000"),
        ],
        address: Address::Url("config.api_endpoint"),
        collected: true,
        identity: Identity::Member("unique_identifier"),
    },
];

const TROUBLES: &[Mood] = &[
    Mood::Reset,
    Mood::TakeAndReset,
    Mood::Stall,
    Mood::Answer(400),
    Mood::Answer(413),
    Mood::Answer(429),
    Mood::Answer(500),
    Mood::Garbage,
    Mood::Vanish,
];

/// A receiver with the protocol it speaks.
struct Other {
    protocol: &'static Protocol,
    recorder: Recorder,
}

#[tokio::test(flavor = "multi_thread")]
async fn troubled_receivers_lose_nothing_and_double_nothing() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    // One worker, because calls of different workers have no order among each other.
    let mut weir = Weir::start_with(&[("WEIR_GATEWAY__WORKERS", "1")]).await;
    weir.route_everything_to(&upstream().await).await;
    let mut others = Vec::new();
    for protocol in PROTOCOLS {
        let recorder = Recorder::start(protocol.accepted).await;
        configure(&weir, protocol, &recorder).await;
        others.push(Other { protocol, recorder });
    }

    let mut drill = Drill::default();
    let seconds = std::env::var("WEIR_DRILL_SECONDS").map_or(0, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut kills = 0;
    loop {
        let mut troubles = TROUBLES.to_vec();
        troubles.shuffle(&mut random);
        for trouble in troubles {
            drill.trouble(&weir, &others, trouble, &mut random).await;
        }
        // Killed while some receivers have a batch that they did not answer, and one has taken it.
        for other in &others {
            other.recorder.set(*[Mood::Stall, Mood::TakeAndReset].choose(&mut random).unwrap());
        }
        drill.call(&weir, 45).await;
        drill.settle_in_journal(&weir).await;
        weir.kill();
        weir.launch().await;
        kills += 1;
        drill.call(&weir, 10).await;
        take_all(&others);
        // What was taken and not answered must not be refused when it comes again: no account could be right then.
        drill.delivered(&weir).await;
        if Instant::now() >= end {
            break;
        }
    }
    let ledger = drill.delivered(&weir).await;
    for other in &others {
        other.check(drill.calls, &ledger);
        if other.protocol.collected {
            other.replay().await;
        }
    }
    println!(
        "{} calls, {kills} kills, {} looks at the books, at most {} MiB of memory",
        drill.calls,
        drill.looks,
        drill.memory.own_bytes >> 20
    );
    assert!(drill.memory.own_bytes < OWN_BYTES_MAX, "{:?}", drill.memory);
}

async fn configure(weir: &Weir, protocol: &Protocol, recorder: &Recorder) {
    let (host, port) = (recorder.address.ip().to_string(), recorder.address.port().to_string());
    let url = format!("http://{}", recorder.address);
    let mut form = vec![("name", protocol.plugin)];
    form.extend_from_slice(protocol.settings);
    match protocol.address {
        Address::HostAndPort => form.extend([("config.host", host.as_str()), ("config.port", port.as_str())]),
        Address::Url(name) => form.push((name, &url)),
    }
    let answer = weir.configure("/services/shop/plugins", &form).await;
    assert_eq!(answer.status(), 201, "{}: {}", protocol.plugin, answer.text().await.unwrap());
}

fn take_all(others: &[Other]) {
    for other in others {
        other.recorder.set(Mood::Take);
    }
}

/// What was done and seen so far.
#[derive(Default)]
struct Drill {
    /// Calls that were answered; they asked for `/items/0`, `/items/1`, ...
    calls: u64,
    looks: u64,
    memory: Memory,
}

impl Drill {
    /// One trouble at all receivers, long enough that each has met it, and then none.
    async fn trouble(&mut self, weir: &Weir, others: &[Other], trouble: Mood, random: &mut impl Rng) {
        let before: Vec<usize> = others.iter().map(|other| other.recorder.count()).collect();
        for other in others {
            other.recorder.set(trouble);
        }
        let count = random.random_range(30..70);
        self.call(weir, count).await;
        // Troubles in which no call is read to its end cannot be waited for; they last a moment.
        let silent = matches!(trouble, Mood::Vanish | Mood::Reset);
        let deadline = Instant::now() + if silent { Duration::from_millis(300) } else { PATIENCE };
        let met = || others.iter().zip(&before).all(|(other, before)| other.recorder.count() > *before);
        while !met() && Instant::now() < deadline {
            self.look(weir).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(silent || met(), "{trouble:?} did not reach every receiver");
        take_all(others);
        self.delivered(weir).await;
    }

    /// Calls, one after the other on one connection, which keeps their order.
    async fn call(&mut self, weir: &Weir, count: u64) {
        let client = reqwest::Client::new();
        for number in self.calls..self.calls + count {
            let answer = client.get(weir.proxy(&format!("/items/{number}"))).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let _body = answer.bytes().await.unwrap();
        }
        self.calls += count;
        self.look(weir).await;
    }

    async fn look(&mut self, weir: &Weir) -> Value {
        let ledger = weir.ask("/api/v1/ledger").await;
        assert_eq!(ledger["balanced"], true, "{ledger:#}");
        self.looks += 1;
        self.memory = self.memory.most(weir.memory());
        ledger
    }

    /// Waits until every call is in the journal, from where nothing is lost.
    async fn settle_in_journal(&mut self, weir: &Weir) {
        self.until(weir, "every call is in the journal", |ledger, calls| {
            targets(ledger).all(|target| target["offered"] == calls)
        })
        .await;
    }

    /// Waits until nothing waits for any receiver.
    async fn delivered(&mut self, weir: &Weir) -> Value {
        self.until(weir, "everything is delivered", |ledger, calls| {
            targets(ledger).all(|target| target["offered"] == calls && target["held"] == 0)
        })
        .await
    }

    async fn until(&mut self, weir: &Weir, words: &str, enough: impl Fn(&Value, u64) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let ledger = self.look(weir).await;
            if enough(&ledger, self.calls) {
                return ledger;
            }
            assert!(Instant::now() < deadline, "not in time: {words}: {ledger:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The accounts of the plugins' targets.
fn targets(ledger: &Value) -> impl Iterator<Item = &Value> {
    ledger["targets"].as_array().unwrap().iter().filter(|target| target["kind"] != "store")
}

impl Other {
    /// What the receiver kept agrees with the books: every call was taken, or refused and counted; in order; and what
    /// was taken twice can be told by what the protocol has for that.
    fn check(&self, calls: u64, ledger: &Value) {
        let plugin = self.protocol.plugin;
        let mut first_taken = Vec::new();
        let mut taken: BTreeMap<u64, HashSet<String>> = BTreeMap::new();
        let (mut refused, mut copies) = (BTreeSet::new(), 0_u64);
        for call in self.recorder.calls() {
            for (number, identity) in self.entries(&call) {
                if call.was_taken() {
                    copies += 1;
                    let identities = taken.entry(number).or_insert_with(|| {
                        first_taken.push(number);
                        HashSet::new()
                    });
                    identities.insert(identity);
                } else if matches!(call.mood, Mood::Answer(400 | 413)) && call.answered {
                    refused.insert(number);
                }
            }
        }
        let missing: Vec<u64> = (0..calls).filter(|number| !taken.contains_key(number)).collect();
        let unexplained: Vec<&u64> = missing.iter().filter(|number| !refused.contains(number)).collect();
        assert!(unexplained.is_empty(), "{plugin}: lost {unexplained:?}");
        let account = targets(ledger).find(|target| target["kind"] == plugin).unwrap();
        assert_eq!(account["dropped"]["refused"].as_u64().unwrap_or(0), missing.len() as u64, "{account:#}");
        assert_eq!(account["delivered"], taken.len(), "{plugin}: {account:#}");
        assert!(first_taken.is_sorted(), "{plugin}: not in order: {first_taken:?}");
        let doubled: Vec<&u64> =
            taken.iter().filter(|(_, identities)| identities.len() > 1).map(|(number, _)| number).collect();
        assert!(doubled.is_empty(), "{plugin}: twice under different names: {doubled:?}");
        println!(
            "{plugin}: {} taken, {} copies recognisable as such, {} refused",
            taken.len(),
            copies - taken.len() as u64,
            missing.len()
        );
    }

    /// All that was taken, handed in the same order to a collector of ours: it keeps every exchange once.
    async fn replay(&self) {
        let collector = Weir::start().await;
        let (mut sent, mut numbers) = (0, HashSet::new());
        for call in self.recorder.calls().iter().filter(|call| call.was_taken()) {
            let found = self.entries(call);
            sent += found.len();
            numbers.extend(found.into_iter().map(|(number, _)| number));
            let path = call.head.split(' ').nth(1).unwrap();
            let mut request = collector.client.post(collector.server(path)).body(call.body.clone());
            for name in ["content-type", "idempotency-key", "authorization", "x-moesif-application-id"] {
                if let Some(value) = call.header(name) {
                    request = request.header(name, value);
                }
            }
            let answer = request.send().await.unwrap();
            assert!(
                answer.status().is_success(),
                "{}: {}",
                self.protocol.plugin,
                answer.text().await.unwrap()
            );
        }
        let count = numbers.len();
        let list =
            collector.wait_for("/api/v1/exchanges?limit=1", |list| list["total"]["value"] == count).await;
        assert_eq!(list["total"]["value"], count);
        println!("{}: of {sent} entries sent, our collector keeps {count}, each once", self.protocol.plugin);
    }

    /// The numbers of the calls in a report, with what the receiver can recognise each by.
    fn entries(&self, call: &Call) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        collect(&call.json(), &mut found);
        let named = found.into_iter().enumerate().map(|(index, (number, entry))| {
            let identity = match self.protocol.identity {
                Identity::KeyOfCall => {
                    let key = KeyParts::of(call.header("idempotency-key").unwrap());
                    format!("{} {}", key.whole, key.before + index)
                }
                Identity::Member(name) => entry[name].as_str().unwrap().to_owned(),
            };
            (number, identity)
        });
        named.collect()
    }
}

/// Finds the entries of a report in any of the formats: objects with a `request` whose address is that of an item.
fn collect(value: &Value, found: &mut Vec<(u64, Value)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => {
            let request = members.get("request");
            let address = request.and_then(|request| request.get("url").or(request.get("uri")));
            match address.and_then(Value::as_str).and_then(|address| address.split_once("/items/")) {
                Some((_, number)) => found.push((number.parse().unwrap(), value.clone())),
                None => members.values().for_each(|member| collect(member, found)),
            }
        }
        _ => {}
    }
}
