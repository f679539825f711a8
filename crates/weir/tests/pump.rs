//! The crash drill of the pump: killed at random instants while it drains Redis; every record is in the store, exactly once.
//!
//! `WEIR_PUMP_RECORDS` sets how many records there are (200,000 for the full drill).

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use redis::Pipeline;
use serde_json::{Value, json};
use support::redis::Server;
use support::{PATIENCE, Weir};
use weir_wire::tyk::lists;
use weir_wire::tyk::record::{Layout, Record, Time};
use weir_wire::tyk::{msgpack, protobuf};

/// How often weir is killed.
const KILLS: usize = 20;
/// Records in one batch of CSV, as many as in a chunk of the pump: what a kill may double in it.
const BATCH: u64 = 2_000;

fn records() -> u64 {
    std::env::var("WEIR_PUMP_RECORDS").ok().and_then(|count| count.parse().ok()).unwrap_or(40_000)
}

/// A record as a gateway writes it, recognisable by its path.
fn record(number: u64) -> Record<'static> {
    Record {
        method: "GET".into(),
        host: "upstream.example:8080".into(),
        path: format!("/drill/{number}").into(),
        raw_path: format!("/drill/{number}").into(),
        original_path: format!("/drill/{number}").into(),
        user_agent: "curl/8.5.0".into(),
        response_code: if number.is_multiple_of(10) { 500 } else { 200 },
        api_key: "00000000".into(),
        time_stamp: Time { seconds: 1_795_175_820 + (number / 1_000) as i64, nanos: 345_678_901 },
        api_version: "Non Versioned".into(),
        api_name: "Widgets".into(),
        api_id: "b84fe1a04e5648927971c0557971565c".into(),
        org_id: "664a14650619d40001f1f00f".into(),
        request_time: 12,
        tags: Some(vec!["key-00000000".into(), "org-664a14650619d40001f1f00f".into()]),
        ..Record::default()
    }
}

/// Pushes records, spread over every list in its own encoding.
fn fill(server: &Server, numbers: std::ops::Range<u64>) {
    let mut connection = server.connection();
    let lists = lists::all(lists::KEY_PREFIX);
    let mut commands = Pipeline::new();
    for number in numbers {
        let (list, encoding) = &lists[(number % lists.len() as u64) as usize];
        let mut value = Vec::new();
        match encoding {
            lists::Encoding::Msgpack => msgpack::encode(&record(number), Layout::Current, &mut value),
            lists::Encoding::Protobuf => protobuf::encode(&record(number), &mut value),
        }
        commands.cmd("RPUSH").arg(list).arg(value).ignore();
        if commands.len() == 1_000 {
            let () = commands.query(&mut connection).unwrap();
            commands.clear();
        }
    }
    if !commands.is_empty() {
        let () = commands.query(&mut connection).unwrap();
    }
}

fn pump_of(server: &Server) -> Vec<(String, String)> {
    [
        ("WEIR_PUMP__ENABLED", "true".to_owned()),
        ("WEIR_PUMP__REDIS__HOST", "127.0.0.1".to_owned()),
        ("WEIR_PUMP__REDIS__PORT", server.port.to_string()),
        ("WEIR_PUMP__DELAY", "20ms".to_owned()),
        ("WEIR_STORE__COMMIT_INTERVAL", "200ms".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn borrowed(variables: &[(String, String)]) -> Vec<(&str, &str)> {
    variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_every_record_is_in_the_store_exactly_once() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let server = Server::start().await;
    let count = records();
    fill(&server, 0..count / 2);
    let folder = tempfile::tempdir().unwrap();
    let mut variables = pump_of(&server);
    let csv = json!({"kind": "csv", "config": {"csv_dir": folder.path()}});
    variables.push(("WEIR_TARGETS".to_owned(), json!({"csv": csv}).to_string()));
    let mut weir = Weir::start_role("server", &borrowed(&variables)).await;
    let mut draining = 0;
    for kill in 0..KILLS {
        // Gateways go on writing.
        if kill == KILLS / 2 {
            fill(&server, count / 2..count);
        }
        if kill % 4 == 3 {
            // While it starts, takes up the journal and reads its first chunk again.
            tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
        } else {
            let share = count / 2 / (KILLS as u64 / 2);
            let goal = left(&server).saturating_sub(random.random_range(0..share));
            wait_for_drain(&server, goal).await;
            tokio::time::sleep(Duration::from_micros(random.random_range(0..20_000))).await;
        }
        weir.kill();
        draining += usize::from(left(&server) > 0);
        weir.spawn();
    }
    weir.wait_until_ready().await;
    wait_until_delivered(&weir, &server, count).await;
    let counts = counts_by_path(&weir).await;
    let wrong: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).take(10).collect();
    assert!(wrong.is_empty(), "not exactly once: {wrong:?}");
    assert_eq!(counts.len() as u64, count);
    assert_eq!(weir.ask("/api/v1/ledger").await["balanced"], true);
    let rows = rows_by_path(folder.path());
    assert_eq!(rows.len() as u64, count, "every record is in the CSV");
    let doubled: u64 = rows.values().sum::<u64>() - count;
    println!(
        "{KILLS} kills, {draining} of them with records left in Redis; {count} records, each in the store once; \
         {doubled} doubled in the CSV"
    );
    assert!(draining >= KILLS / 4, "too few kills met a pump at work");
    assert!(doubled <= KILLS as u64 * BATCH, "{doubled} rows are doubled");
}

/// Records that are still in Redis, taken over or not.
fn left(server: &Server) -> u64 {
    let count = "local sum = 0
        for _, key in ipairs(redis.call('KEYS', '*')) do
            if redis.call('TYPE', key).ok == 'list' then sum = sum + redis.call('LLEN', key) end
        end
        return sum";
    redis::cmd("EVAL").arg(count).arg(0).query(&mut server.connection()).unwrap()
}

async fn wait_for_drain(server: &Server, goal: u64) {
    let deadline = Instant::now() + PATIENCE;
    while left(server) > goal {
        assert!(Instant::now() < deadline, "the pump does not come to {goal}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn wait_until_delivered(weir: &Weir, server: &Server, count: u64) {
    let deadline = Instant::now() + PATIENCE + Duration::from_millis(count);
    loop {
        let ledger = weir.ask("/api/v1/ledger").await;
        let idle = ledger["targets"].as_array().unwrap().iter().all(|target| target["held"] == 0);
        if idle && server.keys() == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{ledger:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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

/// How often each path of the drill stands in the files of a folder.
fn rows_by_path(folder: &std::path::Path) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            if let Some(path) = line.split(',').find(|cell| cell.starts_with("/drill/")) {
                *rows.entry(path.to_owned()).or_default() += 1;
            }
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pump_conf_is_read_as_it_is_and_its_filters_hold() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (all, errors) = (folder.path().join("all"), folder.path().join("errors"));
    let conf = json!({
        "analytics_storage_type": "redis",
        "analytics_storage_config": {"type": "redis", "host": "127.0.0.1", "port": 1},
        "purge_delay": 1, "purge_chunk": 50, "dont_purge_uptime_data": true,
        "pumps": {
            "all": {"type": "csv", "meta": {"csv_dir": all}},
            "errors": {"type": "csv", "filters": {"response_codes": [500]}, "meta": {"csv_dir": errors}},
        },
    });
    let file = folder.path().join("pump.conf");
    std::fs::write(&file, conf.to_string()).unwrap();
    fill(&server, 0..300);
    let port = server.port.to_string();
    let variables = [("WEIR_PUMP__CONFIG", file.to_str().unwrap()), ("TYK_PMP_REDIS_PORT", &port)];
    let mut weir = Weir::start_role("pump", &variables).await;
    let deadline = Instant::now() + PATIENCE;
    while server.keys() > 0 || !all.exists() || rows_by_path(&all).len() < 300 {
        assert!(Instant::now() < deadline, "{} keys left", server.keys());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    weir.stop();
    assert_eq!(rows_by_path(&all).len(), 300);
    assert_eq!(rows_by_path(&errors).len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_and_a_silent_output_delay_no_other() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good");
    // Takes connections and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let conf = json!({
        "analytics_storage_config": {"type": "redis", "host": "127.0.0.1", "port": server.port},
        "purge_delay": 1,
        "pumps": {
            "elasticsearch": {"meta": {"elasticsearch_url": format!("http://{gone}"), "version": "7"}},
            "good": {"type": "csv", "meta": {"csv_dir": good}},
            "splunk": {"meta": {"collector_url": format!("http://{}", silent.local_addr().unwrap()),
                "collector_token": "t"}},
        },
    });
    let file = folder.path().join("pump.conf");
    std::fs::write(&file, conf.to_string()).unwrap();
    fill(&server, 0..3_000);
    let weir = Weir::start_role(
        "server",
        &[("WEIR_PUMP__ENABLED", "true"), ("WEIR_PUMP__CONFIG", file.to_str().unwrap())],
    )
    .await;
    let account = |ledger: &Value, name: &str| {
        let targets = ledger["targets"].as_array().unwrap();
        targets.iter().find(|target| target["name"] == name).unwrap().clone()
    };
    let ledger = weir
        .wait_for("/api/v1/ledger", |ledger| {
            account(ledger, "pump:good")["delivered"] == 3_000
                && account(ledger, "store")["delivered"] == 3_000
        })
        .await;
    for dead in ["pump:elasticsearch", "pump:splunk"] {
        let account = account(&ledger, dead);
        assert_eq!((&account["delivered"], &account["held"]), (&json!(0), &json!(3_000)), "{dead}");
    }
    assert_eq!(rows_by_path(&good).len(), 3_000);
    assert_eq!(server.keys(), 0, "the lists do not wait for the dead either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_fails_no_call_and_loses_no_record() {
    let server = Server::start().await;
    let port = server.port.to_string();
    let tyk = json!({"kind": "tyk", "config": {"storage": {"host": "127.0.0.1", "port": port, "timeout": 1},
        "storage_expiration_time": -1}});
    let targets = json!({"tyk": tyk}).to_string();
    let weir = Weir::start_with(&[("WEIR_TARGETS", &targets)]).await;
    weir.route_everything_to(&support::upstream().await).await;
    let call = async |number: u64| {
        let answer = weir.client.get(weir.proxy(&format!("/drill/{number}"))).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    for number in 0..100 {
        call(number).await;
    }
    server.signal("-STOP");
    for number in 100..600 {
        call(number).await;
    }
    server.signal("-CONT");
    for number in 600..700 {
        call(number).await;
    }
    weir.wait_for("/api/v1/ledger", |ledger| {
        let targets = ledger["targets"].as_array().unwrap();
        let tyk = targets.iter().find(|target| target["name"] == "tyk");
        tyk.is_some_and(|target| target["delivered"] == 700)
    })
    .await;
    let list = lists::name(lists::KEY_PREFIX, None, lists::Encoding::Msgpack);
    let values: Vec<Vec<u8>> =
        redis::cmd("LRANGE").arg(list).arg(0).arg(-1).query(&mut server.connection()).unwrap();
    let mut paths: Vec<String> =
        values.iter().map(|value| msgpack::decode(value).unwrap().raw_path.into_owned()).collect();
    paths.sort();
    // What was under way when Redis froze may arrive twice: it is sent again, since nobody said that it arrived.
    paths.dedup();
    assert_eq!(paths.len(), 700);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_gateway_writes_our_pump_reads() {
    let server = Server::start().await;
    let port = server.port.to_string();
    let tyk = json!({"kind": "tyk", "config": {"storage": {"host": "127.0.0.1", "port": port},
        "enable_detailed_recording": true, "enable_multiple_analytics_keys": true}});
    let targets = json!({"tyk": tyk}).to_string();
    let gateway = Weir::start_role("gateway", &[("WEIR_TARGETS", &targets)]).await;
    gateway.route_everything_to(&support::upstream().await).await;
    let reader = Weir::start_role("server", &borrowed(&pump_of(&server))).await;
    let url = gateway.proxy("/echo?a=1");
    let answer = gateway.client.post(url).body("hello tyk").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let list =
        reader.wait_for("/api/v1/exchanges", |list| !list["exchanges"].as_array().unwrap().is_empty()).await;
    let id = list["exchanges"][0]["id"].as_str().unwrap();
    let one: Value = reader.ask(&format!("/api/v1/exchanges/{id}")).await;
    assert_eq!(
        (one["request"]["method"].as_str(), one["request"]["path"].as_str()),
        (Some("POST"), Some("/echo"))
    );
    let body =
        reader.client.get(reader.server(&format!("/api/v1/exchanges/{id}/response/body"))).send().await;
    assert_eq!(body.unwrap().text().await.unwrap(), "hello tyk");
}

#[test]
fn a_gateway_configuration_becomes_a_target() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("tyk.conf");
    let text = json!({"enable_analytics": true, "listen_port": 8080, "storage": {"host": "redis.test", "hosts": null},
        "analytics_config": {"enable_detailed_recording": true}});
    std::fs::write(&conf, text.to_string()).unwrap();
    let (success, said) = support::run(&["convert", "tyk-gateway", conf.to_str().unwrap()]);
    assert!(success && said.contains("not taken over: listen_port"), "{said}");
    let settings = folder.path().join("weir.toml");
    let toml: String =
        said.lines().filter(|line| !line.starts_with("not taken")).collect::<Vec<_>>().join("\n");
    std::fs::write(&settings, toml).unwrap();
    let (success, said) = support::run(&["check", "--settings", settings.to_str().unwrap()]);
    assert!(success, "{said}");
}
