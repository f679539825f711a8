//! Foreign reports, from the socket to the store.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use support::{Fixture, TOY_LIMIT};
use weir_kit::Secret;
use weir_model::{Exchange, ProjectId};
use weir_pipeline::{JournalStatus, LedgerSnapshot, NoRoom, Receipt};
use weir_server::{Pipeline, Tap, UnknownCredentials, Wanted};
use weir_store::Store;

#[tokio::test]
async fn a_report_is_stored_and_answered_in_its_own_words() {
    let fixture = Fixture::start().await;
    let answer = fixture.post("/toy", &json!({"token": "t", "paths": ["/a", 5, "/b"]})).await;
    assert_eq!(
        answer.json(),
        json!({"offered": 3, "saved": 2, "rejected": ["[1] 5 is not a path"], "project": "default"})
    );
    assert_eq!((answer.status, answer.header("connection")), (200, "keep-alive"));
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    fixture.stored(2).await;
    let row = &fixture.get("/api/v1/exchanges?q=path:/b").await.json()["exchanges"][0];
    assert_eq!((row["source"].as_str(), row["client"].as_str()), (Some("toy"), Some("127.0.0.1")));
    let ledger = fixture.get("/api/v1/ledger").await.json();
    assert_eq!(
        ledger["sources"],
        json!([{"name": "toy", "offered": 3, "accepted": 2, "dropped": {"malformed": 1}, "held": 0}])
    );
    assert_eq!(
        (ledger["balanced"].as_bool(), ledger["targets"][0]["offered"].as_u64()),
        (Some(true), Some(2))
    );
}

#[tokio::test]
async fn a_receiver_answers_questions_at_the_desk() {
    let fixture = Fixture::with(|parts| {
        parts.settings.credentials.insert("t".to_owned(), ProjectId::from("shop"));
        parts.settings.unknown_credentials = UnknownCredentials::Refuse;
    })
    .await;
    let mut exchanges: Vec<Exchange> = (0..4).map(support::exchange).collect();
    let id = exchanges[3].id;
    for exchange in &mut exchanges[1..] {
        exchange.project = ProjectId::from("shop");
    }
    fixture.hold(exchanges).await;
    for (path, status, text) in [
        ("/toy/t/paths", 200, "/users/1 /users/2"),
        ("/toy/t/paths?method:POST", 200, "/users/3"),
        (format!("/toy/t/paths?{id}").as_str(), 200, "/users/3"),
        ("/toy/t/paths?staus:1", 400, "unknown field"),
        ("/toy/other/paths", 401, "who are you?"),
    ] {
        let answer = fixture.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let body = String::from_utf8_lossy(&answer.body);
        assert!(body.starts_with(text), "{path}: {body}");
    }
}

#[tokio::test]
async fn credentials_decide_whose_traffic_it_is() {
    let fixture = Fixture::with(|parts| {
        parts.settings.credentials.insert("known-token-1".into(), ProjectId::from("shop"));
        parts.settings.unknown_credentials = UnknownCredentials::Refuse;
    })
    .await;
    let answer = fixture.post("/toy/known-token-1/events", &json!({"paths": ["/a"]})).await;
    assert_eq!(answer.json()["project"], "shop");
    let answer = fixture.post("/toy", &json!({"token": "other-token-22", "paths": [1, "/a"]})).await;
    assert_eq!(
        answer.json(),
        json!({"offered": 2, "saved": 0, "rejected": ["[0] 1 is not a path", "[1] unknown token …n-22"], "project": null})
    );
    fixture.stored(1).await;
    assert_eq!(fixture.get("/api/v1/exchanges?project=shop").await.json()["total"]["value"], 1);
    assert_eq!(fixture.get("/api/v1/exchanges").await.json()["total"]["value"], 0);
    let dropped = fixture.get("/api/v1/ledger").await.json()["sources"][0]["dropped"].clone();
    assert_eq!(dropped, json!({"malformed": 1, "unknown_credential": 1}));
}

#[tokio::test]
async fn odd_clients_are_served() {
    let fixture = Fixture::start().await;
    let body = r#"{"paths":["/a"]}"#;
    let chunked = format!(
        "POST /toy HTTP/1.1\r\nhost: any.example.org\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let get_with_body =
        format!("GET /toy HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    // The first generation of senders puts an empty line after each body.
    let stray_line = format!("{get_with_body}\r\n{get_with_body}\r\n{get_with_body}");
    let old = format!("POST /toy/ HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let expecting = format!(
        "POST /toy HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut count = 0;
    for (name, request, answers) in [
        ("chunked", chunked, 1),
        ("GET with a body", get_with_body, 1),
        ("stray empty lines", stray_line, 3),
        ("HTTP/1.0", old, 1),
        ("expect", expecting, 1),
    ] {
        let answer = fixture.raw(request.as_bytes()).await;
        assert_eq!(answer.matches(" 200 OK\r\n").count(), answers, "{name}: {answer}");
        assert_eq!(answer.matches("\r\ncontent-length: ").count(), answers, "{name}: {answer}");
        assert!(answer.contains("\r\nX-Toy-ETag: t1\r\n"), "header names keep their spelling: {answer}");
        count += answers as u64;
        fixture.stored(count).await;
    }
}

#[tokio::test]
async fn what_was_sent_arrives_even_when_the_sender_has_gone() {
    let fixture = Fixture::start().await;
    let address = fixture.address;
    let sent = tokio::task::spawn_blocking(move || {
        for n in 0..50 {
            let body = format!(r#"{{"paths":["/{n}"]}}"#);
            let head = format!("POST /toy HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
            let mut stream = TcpStream::connect(address).unwrap();
            // In one piece and in two: the server may meet the end before it has looked at anything.
            if n % 2 == 0 {
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            } else {
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(body.as_bytes()).unwrap();
            }
            // Gone at once.
            drop(stream);
        }
    });
    sent.await.unwrap();
    fixture.stored(50).await;
}

#[tokio::test]
async fn packed_reports_are_unpacked_under_the_limit() {
    let fixture = Fixture::start().await;
    let send = async |coding: &'static str, body: Vec<u8>| {
        let request = fixture.client.post(fixture.url("/toy")).header("content-encoding", coding).body(body);
        let answer = fixture.send(request).await;
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    };
    // `printf '{"paths":["/a"]}' | gzip -n`
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xabV*H,\xc9(V\xb2\x8aV\xd2OT\x8a\xad\x05\x00Hw\xb5\xa9\x10\x00\x00\x00";
    assert_eq!(send("gzip", gzip.to_vec()).await.0, 200);
    assert_eq!(send("x-gzip", gzip.to_vec()).await.0, 200);
    assert_eq!(send("identity", br#"{"paths":[]}"#.to_vec()).await.0, 200);
    let (status, body) = send("gzip", b"not gzip".to_vec()).await;
    assert_eq!((status, body.starts_with("toy: broken Gzip data")), (400, true), "{body}");
    assert_eq!(send("compress", b"x".to_vec()).await.0, 415);
    assert_eq!(send("gzip, gzip, gzip, gzip", gzip.to_vec()).await.0, 400);
    // A bomb: little on the wire, much more than the limit inside (raw DEFLATE of a run of one byte, by hand).
    let bomb = zeros_in_deflate(TOY_LIMIT * 4);
    assert!(bomb.len() < TOY_LIMIT / 10);
    let (status, body) = send("deflate", bomb).await;
    assert_eq!((status, body), (413, format!("toy: the body has more than {TOY_LIMIT} bytes")));
    assert_eq!(send("identity", vec![b' '; TOY_LIMIT + 1]).await.0, 413);
    assert_eq!(send("identity", b"[".to_vec()).await.0, 400);
}

/// A raw DEFLATE stream (RFC 1951) of at least this many zero bytes: fixed Huffman codes, a literal 0, then copies of
/// 258 bytes at distance 1.
fn zeros_in_deflate(count: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = vec![true, true, false];
    bits.extend([false, false, true, true, false, false, false, false]); // literal 0: 00110000
    for _ in 0..count / 258 + 1 {
        bits.extend([true, true, false, false, false, true, false, true]); // length 258: 11000101
        bits.extend([false; 5]); // distance 1: 00000
    }
    bits.extend([false; 7]); // end of block
    bits.chunks(8)
        .map(|chunk| chunk.iter().enumerate().fold(0, |byte, (index, bit)| byte | (u8::from(*bit) << index)))
        .collect()
}

#[tokio::test]
async fn other_methods_are_told_what_to_use() {
    let fixture = Fixture::start().await;
    let answer = fixture.send(fixture.client.delete(fixture.url("/toy"))).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST, GET"));
    assert_eq!(fixture.post("/nothing/here", &json!({})).await.status, 404);
}

#[tokio::test]
async fn pages_of_other_origins_may_report() {
    let fixture = Fixture::start().await;
    let asked = fixture.client.request(reqwest::Method::OPTIONS, fixture.url("/toy"));
    let asked =
        asked.header("origin", "https://shop.example").header("access-control-request-headers", "x-token");
    let allowed = fixture.send(asked.header("access-control-request-method", "POST")).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-headers")), (204, "x-token"));
    assert_eq!(allowed.header("access-control-allow-methods"), "POST, GET");
    let report = fixture.client.post(fixture.url("/toy")).header("origin", "https://shop.example");
    let answer = fixture.send(report.body(r#"{"paths":["/a"]}"#)).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, "*"));
    assert_eq!(answer.header("content-security-policy"), "");
}

#[tokio::test]
async fn the_collector_needs_neither_token_nor_host() {
    let fixture = Fixture::with(|parts| parts.settings.token = Some(Secret::new("t"))).await;
    let request = fixture.client.post(fixture.url("/toy")).header("host", "collector.example.com");
    assert_eq!(fixture.send(request.body(r#"{"paths":["/a"]}"#)).await.status, 200);
    assert_eq!(fixture.get("/api/v1/exchanges").await.status, 401);
}

#[tokio::test]
async fn a_slow_sender_is_cut_off_and_a_full_house_says_so() {
    let fixture = Fixture::with(|parts| {
        parts.settings.body_timeout = Duration::from_millis(200);
        parts.settings.collector_bytes = 10;
    })
    .await;
    let slow = fixture.raw(b"POST /toy HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{").await;
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    let answer = fixture.post("/toy", &json!({"paths": ["/a", "/b"]})).await;
    assert_eq!((answer.status, answer.body.starts_with(b"toy: too many reports")), (503, true));
}

/// A pipeline that never has room.
struct Full(Arc<weir_pipeline::Pipeline>);

#[async_trait]
impl Pipeline for Full {
    async fn submit(&self, _: &str, _: Vec<Exchange>) -> Result<Receipt, NoRoom> {
        Err(NoRoom::Full)
    }
    async fn room(&self, _: Duration) -> Result<(), NoRoom> {
        Err(NoRoom::Full)
    }
    fn rejected(&self, source: &str, reason: &'static str, count: u64) {
        self.0.intake().dropped_before(source, reason, count);
    }
    fn ledger(&self) -> LedgerSnapshot {
        self.0.status().ledger
    }
    fn journal(&self) -> JournalStatus {
        self.0.status().journal
    }
    fn subscribe(&self, wanted: Wanted) -> Box<dyn Tap> {
        Box::new(self.0.tap().subscribe(wanted))
    }
}

#[tokio::test]
async fn without_room_the_protocol_says_so() {
    let fixture = Fixture::with(|parts| {
        // The first pipeline stays with the fixture; this one only refuses.
        let other = tempfile::tempdir().unwrap().keep();
        let settings = weir_pipeline::PipelineSettings::in_directory(other);
        let pipeline = weir_pipeline::Pipeline::open(
            settings,
            weir_pipeline::Processors::default(),
            parts.clock.clone(),
        );
        parts.pipeline = Arc::new(Full(Arc::new(pipeline.unwrap())));
    })
    .await;
    let answer = fixture.post("/toy", &json!({"paths": ["/a"]})).await;
    assert_eq!((answer.status, answer.json()["saved"].as_u64()), (503, Some(0)));
    let answer = fixture.post("/api/v1/import?format=lines", &json!("x")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(fixture.store.status().await.unwrap().exchanges, 0);
}
