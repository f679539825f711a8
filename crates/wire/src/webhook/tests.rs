//! What a receiver is sent.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::testing::{Answer, Received, Server};
use weir_pipeline::{Batch, ExportError};

use super::EXPORTER;

async fn export(server: &Server, mut settings: Value) -> Result<(), ExportError> {
    settings["url"] = json!(format!("http://{}/in?a=b", server.address()));
    let settings = weir_kit::schema::check(EXPORTER.fields, settings).unwrap();
    let exporter = (EXPORTER.build)(settings).unwrap().exporter;
    let exchange = |number: i64| {
        let at = Timestamp::from_seconds(number);
        let request =
            Request { method: "GET".into(), path: format!("/{number}").into(), ..Request::default() };
        Arc::new(Exchange::new(ExchangeId::with_random(at, [7; 16]), at, request))
    };
    let exchanges = [exchange(1), exchange(2)];
    exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await.map(|_| ())
}

fn lines(received: &Received) -> Vec<Value> {
    let text = std::str::from_utf8(&received.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_batch_is_one_call_with_a_line_for_each() {
    let server = Server::start(Vec::new(), Answer::with(204, "")).await.unwrap();
    let settings = json!({"headers": {"Authorization": "Bearer s3cret"}, "method": "PUT"});
    export(&server, settings.clone()).await.unwrap();
    export(&server, settings).await.unwrap();
    export(&server, json!({"format": "tyk"})).await.unwrap();
    let received = server.received();
    assert_eq!(received[0].line, "PUT /in?a=b HTTP/1.1");
    let has = |name: &str| received[0].headers.iter().any(|header| header.to_lowercase().starts_with(name));
    assert!(has("authorization: bearer s3cret") && has("content-type: application/x-ndjson"));
    let key = |index: usize| {
        received[index].headers.iter().find(|header| header.to_lowercase().starts_with("idempotency-key"))
    };
    assert!(key(0).is_some());
    assert_eq!(key(0), key(1), "a repeated batch has the same key");
    assert_eq!(lines(&received[0])[1]["request"]["path"], "/2");
    assert_eq!(lines(&received[2])[1]["raw_path"], "/2");
}

#[tokio::test]
async fn a_missing_permission_is_tried_again_and_a_refusal_is_not() {
    for (status, again) in [(401, true), (403, true), (429, true), (500, true), (400, false), (301, false)] {
        let server = Server::start(Vec::new(), Answer::with(status, "why")).await.unwrap();
        let outcome = export(&server, json!({})).await.unwrap_err();
        assert_eq!(matches!(outcome, ExportError::Retry { .. }), again, "{status}");
    }
}

#[test]
fn values_of_headers_are_not_shown() {
    let settings = json!({"url": "http://a.test/", "headers": {"X-Key": "s3cret\n"}});
    let settings = weir_kit::schema::check(EXPORTER.fields, settings).unwrap();
    let error = (EXPORTER.build)(settings).err().unwrap();
    assert_eq!(error.to_string(), "headers: \"X-Key\": not a header's value");
}
