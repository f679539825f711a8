//! Objects as a store like S3 is sent them, header by header (recorded); what a real server makes of them is in `object_store.rs`.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::Batch;
use weir_pipeline::testing::{Answer, Server};

use super::EXPORTER;

async fn put(server: &Server, mut settings: Value) {
    settings["endpoint"] = json!(format!("http://{}", server.address()));
    settings["bucket"] = json!("calls");
    settings["access_key_id"] = json!("id");
    settings["secret_access_key"] = json!("s3cret");
    let settings = weir_kit::schema::check(EXPORTER.fields, settings).unwrap();
    let exporter = (EXPORTER.build)(settings).unwrap().exporter;
    let exchange = |number: i64| {
        let at = Timestamp::from_seconds(1_795_175_537 + number);
        let request = Request { path: format!("/{number}").into(), ..Request::default() };
        Arc::new(Exchange::new(ExchangeId::with_random(at, [7; 16]), at, request))
    };
    let exchanges = [exchange(0), exchange(1)];
    exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await.unwrap();
}

#[tokio::test]
async fn a_batch_is_one_object_with_a_name_of_its_own_recorded_exchange() {
    let server = Server::start(Vec::new(), Answer::with(200, "")).await.unwrap();
    put(&server, json!({"session_token": "t0ken"})).await;
    put(&server, json!({"format": "tyk", "prefix": "/a b/"})).await;
    put(&server, json!({"format": "tyk", "prefix": "/a b/"})).await;
    let received = server.received();
    assert!(received[0].line.starts_with("PUT /calls/weir/2026/11/20/"), "{}", received[0].line);
    assert!(received[0].line.ends_with(".ndjson HTTP/1.1"));
    assert!(received[1].line.starts_with("PUT /calls/a%20b/2026/11/20/"), "{}", received[1].line);
    assert_eq!(received[1].line, received[2].line, "what is sent again replaces what was there");
    let header = |name: &str| {
        let found = received[0].headers.iter().find(|header| header.to_lowercase().starts_with(name));
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let authorization = header("authorization: ");
    assert!(
        authorization.contains(
            "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"
        )
    );
    assert!(!authorization.contains("s3cret"));
    assert!(header("x-amz-security-token").ends_with("t0ken"));
    let lines = |index: usize| -> Vec<Value> {
        let text = std::str::from_utf8(&received[index].body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(lines(0)[1]["request"]["path"], "/1");
    assert_eq!(lines(1)[1]["raw_path"], "/1");
}
