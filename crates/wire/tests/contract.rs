//! Every exporter and every receiver keeps its contract. A new kind needs a case here, or the last test fails.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request, Response};
use weir_pipeline::testing::{
    Answer, ExporterCase, ReceiverCase, check_exporter, check_local_exporter, check_receiver,
};
use weir_pipeline::{Batch, ExportError, Exporter, ExporterKind};
use weir_wire::galileo::encode;
use weir_wire::registry::{EXPORTERS, RECEIVERS, exporter};

fn build(kind: &ExporterKind, settings: Value) -> Box<dyn Exporter> {
    let settings = weir_kit::schema::check(kind.fields, settings).unwrap();
    (kind.build)(settings).unwrap().exporter
}

#[tokio::test]
async fn csv_exporter() {
    let folder = tempfile::tempdir().unwrap();
    let kind = exporter("csv").unwrap();
    check_local_exporter(&|| build(kind, json!({"csv_dir": folder.path()}))).await;
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(!files.is_empty());
}

#[tokio::test]
async fn dogstatsd_exporter() {
    let (kind, socket) = (exporter("dogstatsd").unwrap(), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let address = socket.local_addr().unwrap().to_string();
    check_local_exporter(&|| build(kind, json!({"address": address}))).await;
}

#[tokio::test]
async fn elasticsearch_exporter() {
    let kind = exporter("elasticsearch").unwrap();
    let build = |address: SocketAddr| {
        let url = format!("http://{address}");
        build(kind, json!({"elasticsearch_url": url, "version": "7"}))
    };
    check_exporter(ExporterCase {
        build: &build,
        accepts: Answer::with(200, "{\"errors\":false,\"items\":[]}"),
    })
    .await;
}

#[tokio::test]
async fn galileo_exporter() {
    let kind = exporter("galileo").unwrap();
    let build = |address: SocketAddr| {
        let (host, port) = (address.ip().to_string(), address.port());
        build(kind, json!({"service_token": "tok-1", "host": host, "port": port, "https": false}))
    };
    check_exporter(ExporterCase { build: &build, accepts: Answer::with(200, "") }).await;
}

#[tokio::test]
async fn graylog_exporter() {
    let (kind, socket) = (exporter("graylog").unwrap(), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let port = socket.local_addr().unwrap().port();
    check_local_exporter(&|| build(kind, json!({"host": "127.0.0.1", "port": port}))).await;
}

#[tokio::test]
async fn http_exporter() {
    let kind = exporter("http").unwrap();
    let build = |address: SocketAddr| {
        let url = format!("http://{address}");
        build(kind, json!({"url": url}))
    };
    check_exporter(ExporterCase { build: &build, accepts: Answer::with(202, "") }).await;
}

#[tokio::test]
async fn influx_exporter() {
    let kind = exporter("influx").unwrap();
    let build = |address: SocketAddr| {
        let url = format!("http://{address}");
        build(kind, json!({"address": url, "database_name": "d"}))
    };
    check_exporter(ExporterCase { build: &build, accepts: Answer::with(204, "") }).await;
}

#[tokio::test]
async fn influx2_exporter() {
    let kind = exporter("influx2").unwrap();
    let build = |address: SocketAddr| {
        let url = format!("http://{address}");
        build(kind, json!({"address": url, "bucket": "b", "organization": "o", "token": "t"}))
    };
    check_exporter(ExporterCase { build: &build, accepts: Answer::with(204, "") }).await;
}

/// What it writes is checked in `kafka.rs`, against a real implementation of the protocol.
#[tokio::test]
async fn kafka_exporter() {
    nobody_listens("kafka", json!({"broker": [unused_address().to_string()], "topic": "t", "timeout": 2}))
        .await;
}

#[tokio::test]
async fn mashape_analytics_exporter() {
    let kind = exporter("mashape-analytics").unwrap();
    let build = |address: SocketAddr| {
        let (host, port) = (address.ip().to_string(), address.port());
        build(kind, json!({"service_token": "tok-1", "host": host, "port": port}))
    };
    check_exporter(ExporterCase { build: &build, accepts: Answer::with(200, "") }).await;
}

#[tokio::test]
async fn moesif_exporter() {
    let kind = exporter("moesif").unwrap();
    let build = |address: SocketAddr| {
        build(kind, json!({"application_id": "app-1", "api_endpoint": format!("http://{address}")}))
    };
    check_exporter(ExporterCase { build: &build, accepts: Answer::with(201, "") }).await;
}

/// What they write is checked in `mongo.rs`, against a server that speaks the protocol.
#[tokio::test]
async fn mongo_exporter() {
    nobody_listens("mongo", no_mongo()).await;
}

#[tokio::test]
async fn mongo_pump_aggregate_exporter() {
    nobody_listens("mongo-pump-aggregate", no_mongo()).await;
}

#[tokio::test]
async fn mongo_pump_selective_exporter() {
    nobody_listens("mongo-pump-selective", no_mongo()).await;
}

#[tokio::test]
async fn prometheus_exporter() {
    let kind = exporter("prometheus").unwrap();
    check_local_exporter(&|| build(kind, json!({"listen_address": "127.0.0.1:0"}))).await;
}

#[tokio::test]
async fn s3_exporter() {
    let kind = exporter("s3").unwrap();
    let build = |address: SocketAddr| {
        let url = format!("http://{address}");
        build(kind, json!({"endpoint": url, "bucket": "b", "access_key_id": "i", "secret_access_key": "s"}))
    };
    check_exporter(ExporterCase { build: &build, accepts: Answer::with(200, "") }).await;
}

#[tokio::test]
async fn splunk_exporter() {
    let kind = exporter("splunk").unwrap();
    let build = |address: SocketAddr| {
        let url = format!("http://{address}");
        build(kind, json!({"collector_url": url, "collector_token": "t"}))
    };
    check_exporter(ExporterCase {
        build: &build,
        accepts: Answer::with(200, "{\"text\":\"Success\",\"code\":0}"),
    })
    .await;
}

/// What they write is checked in `postgres.rs`, against a real server.
#[tokio::test]
async fn sql_exporter() {
    nobody_listens("sql", no_database()).await;
}

#[tokio::test]
async fn sql_aggregate_exporter() {
    nobody_listens("sql_aggregate", no_database()).await;
}

#[tokio::test]
async fn statsd_exporter() {
    let (kind, socket) = (exporter("statsd").unwrap(), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let address = socket.local_addr().unwrap().to_string();
    check_local_exporter(&|| build(kind, json!({"address": address, "tags": ["path", "api_name"]}))).await;
}

#[tokio::test]
async fn stdout_exporter() {
    let kind = exporter("stdout").unwrap();
    check_local_exporter(&|| build(kind, json!({"format": "json"}))).await;
}

#[tokio::test]
async fn syslog_exporter() {
    let (kind, socket) = (exporter("syslog").unwrap(), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let address = socket.local_addr().unwrap().to_string();
    check_local_exporter(&|| build(kind, json!({"network_addr": address}))).await;
}

#[tokio::test]
async fn runscope_exporter() {
    let kind = exporter("runscope").unwrap();
    for (batch_size, strict) in [(1, false), (7, false), (1, true)] {
        let build = |address: SocketAddr| {
            let endpoint = format!("http://{address}");
            let settings = json!({"api_endpoint": endpoint, "bucket_key": "b1", "access_token": "t1", "log_body": true,
                "batch_size": batch_size, "strict_kong": strict});
            build(kind, settings)
        };
        check_exporter(ExporterCase { build: &build, accepts: Answer::with(200, "{}") }).await;
    }
}

#[tokio::test]
async fn tyk_exporter() {
    let storage = json!({"host": "127.0.0.1", "port": unused_address().port(), "timeout": 2});
    nobody_listens("tyk", json!({"storage": storage})).await;
}

/// For outputs that are tested whole with their real server: without one, a batch is kept for later.
async fn nobody_listens(kind: &str, settings: Value) {
    let exporter = build(exporter(kind).unwrap(), settings);
    let at = Timestamp::from_seconds(1);
    let exchanges = [Arc::new(Exchange::new(ExchangeId::new(at), at, Request::default()))];
    let outcome = exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await;
    assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
}

fn unused_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn no_database() -> Value {
    json!({"connection_string": "host=/nowhere user=u"})
}

fn no_mongo() -> Value {
    json!({"mongo_url": format!("mongodb://{}/d?serverSelectionTimeoutMS=500", unused_address())})
}

#[test]
fn galileo_receiver() {
    let exchange = |number: i64| {
        let at = Timestamp::from_seconds(1_600_000_000 + number);
        let request =
            Request { method: "GET".into(), host: "a.test".into(), path: "/a".into(), ..Request::default() };
        let mut exchange = Exchange::new(ExchangeId::new(at), at, request);
        exchange.response = Some(Response { status: 200, ..Response::default() });
        Arc::new(exchange)
    };
    let batch: Vec<Arc<Exchange>> = (0..3).map(exchange).collect();
    let mut calls = encode::plan(&batch, "tok-1", None, &encode::Profile::default()).calls;
    let receiver = RECEIVERS.iter().find(|kind| kind.name == "galileo").unwrap();
    check_receiver(&ReceiverCase {
        receiver: &*(receiver.build)(json!({})).unwrap(),
        mount: "/1.1.0/single",
        parameters: &[],
        headers: &HeaderMap::new(),
        body: &calls.remove(0).body,
        exchanges: 3,
    });
}

#[test]
fn moesif_receiver() {
    let event = |number: u32| {
        let time = "2026-01-01T00:00:00Z";
        json!({"request": {"time": time, "uri": format!("http://a.test/{number}"), "verb": "GET"},
               "response": {"time": time, "status": 200}})
    };
    let body = json!([event(1), event(2), event(3)]).to_string();
    let receiver = RECEIVERS.iter().find(|kind| kind.name == "moesif").unwrap();
    let id = http::HeaderName::from_static("x-moesif-application-id");
    check_receiver(&ReceiverCase {
        receiver: &*(receiver.build)(json!({})).unwrap(),
        mount: "/v1/events/batch",
        parameters: &[],
        headers: &HeaderMap::from_iter([(id, "a".parse().unwrap())]),
        body: body.as_bytes(),
        exchanges: 3,
    });
}

#[test]
fn runscope_receiver() {
    let message = |number: u32| json!({"request": {"method": "GET", "url": format!("http://a.test/{number}")}, "response": {"status": 200}});
    let body = json!([message(1), message(2), message(3)]).to_string();
    let receiver = RECEIVERS.iter().find(|kind| kind.name == "runscope").unwrap();
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, "Bearer t1".parse().unwrap())]);
    check_receiver(&ReceiverCase {
        receiver: &*(receiver.build)(json!({})).unwrap(),
        mount: "/buckets/{bucket_key}/messages",
        parameters: &[("bucket_key".to_owned(), "b1".to_owned())],
        headers: &headers,
        body: body.as_bytes(),
        exchanges: 3,
    });
}

#[test]
fn every_kind_has_a_case() {
    let cases = include_str!("contract.rs");
    let missing = |suffix: &str, names: BTreeSet<&'static str>| {
        let lacks = |name: &&str| !cases.contains(&format!("fn {}_{suffix}()", name.replace('-', "_")));
        let missing: Vec<&str> = names.into_iter().filter(lacks).collect();
        assert!(missing.is_empty(), "without a test {suffix}: {missing:?}");
    };
    missing("exporter", EXPORTERS.iter().map(|kind| kind.name).collect());
    missing("receiver", RECEIVERS.iter().map(|kind| kind.name).collect());
}
