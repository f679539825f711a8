//! Bulk calls, and what comes of the answers that Elasticsearch's documentation lists (recorded; neither Elasticsearch nor
//! OpenSearch can be had here).

use std::sync::Arc;

use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::testing::{Answer, Received, Server};
use weir_pipeline::{Batch, Delivered, ExportError};

use super::EXPORTER;
use super::bulk::{Outcome, read};

async fn export(exporter_settings: Value, calls: i64) -> Result<Delivered, ExportError> {
    let settings = weir_kit::schema::check(EXPORTER.fields, exporter_settings).unwrap();
    let exporter = (EXPORTER.build)(settings).unwrap().exporter;
    let exchange = |number: i64| {
        let at = Timestamp::from_seconds(1_795_175_537 + number * 86_400);
        let request =
            Request { method: "GET".into(), path: format!("/{number}").into(), ..Request::default() };
        Arc::new(Exchange::new(ExchangeId::with_random(at, [7; 16]), at, request))
    };
    let exchanges: Vec<Arc<Exchange>> = (0..calls).map(exchange).collect();
    exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await
}

fn lines(received: &Received) -> Vec<Value> {
    let text = std::str::from_utf8(&received.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const DONE: &str = r#"{"errors":false,"items":[{"index":{"status":201}}]}"#;

#[tokio::test]
async fn documents_have_tyks_members_recorded_exchange() {
    let server = Server::start(Vec::new(), Answer::with(200, DONE)).await.unwrap();
    let url = format!("http://{}/es/", server.address());
    let settings = json!({"elasticsearch_url": url, "version": "7", "rolling_index": true,
        "auth_basic_username": "u", "auth_basic_password": "p"});
    assert_eq!(export(settings, 2).await.unwrap(), Delivered::default());
    let received = server.received();
    assert!(received[0].line.starts_with("POST /es/_bulk?filter_path=errors,items.*.status"));
    assert!(
        received[0].headers.iter().any(|header| header.eq_ignore_ascii_case("authorization: Basic dTpw"))
    );
    let lines = lines(&received[0]);
    assert_eq!(lines.len(), 4);
    let id = "019aa100-0000-7000-8000-000000000000".len();
    assert_eq!(lines[0]["index"]["_id"].as_str().unwrap().len(), id);
    assert_eq!(lines[0]["index"]["_index"], "tyk_analytics-2026.11.20");
    assert_eq!(lines[2]["index"]["_index"], "tyk_analytics-2026.11.21", "by the day of the call");
    assert_eq!(lines[0]["index"].get("_type"), None);
    let mut members: Vec<&str> = lines[1].as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(
        members.join(" "),
        "@timestamp alias api_id api_key api_name api_version content_length http_method \
        ip_address oauth_id org_id request_time_ms request_uri request_uri_full response_code tags"
    );
}

#[tokio::test]
async fn old_versions_have_types_and_extended_documents_dumps_recorded_exchange() {
    let server = Server::start(Vec::new(), Answer::with(200, DONE)).await.unwrap();
    let url = format!("http://{}", server.address());
    let settings = json!({"elasticsearch_url": url, "extended_stats": true, "decode_base64": true,
        "auth_api_key_id": "id", "auth_api_key": "k"});
    export(settings.clone(), 1).await.unwrap();
    export(settings, 1).await.unwrap();
    let received = server.received();
    assert!(
        received[0]
            .headers
            .iter()
            .any(|header| header.eq_ignore_ascii_case("authorization: ApiKey aWQ6aw=="))
    );
    let first = lines(&received[0]);
    assert_eq!(first[0]["index"]["_type"], "tyk_analytics");
    assert_eq!(first[1]["raw_request"], "GET /0 HTTP/1.1\r\n\r\n");
    assert_eq!(first[0], lines(&received[1])[0], "what is sent again has the same id");
}

#[tokio::test]
async fn the_next_node_is_asked_after_a_failure_recorded_exchange() {
    let (bad, good) = (
        Server::start(Vec::new(), Answer::with(503, "")).await.unwrap(),
        Server::start(Vec::new(), Answer::with(200, DONE)).await.unwrap(),
    );
    let urls = format!("http://{}, http://{}", bad.address(), good.address());
    let settings = weir_kit::schema::check(EXPORTER.fields, json!({"elasticsearch_url": urls})).unwrap();
    let exporter = (EXPORTER.build)(settings).unwrap().exporter;
    let at = Timestamp::from_seconds(1);
    let exchanges = [Arc::new(Exchange::new(ExchangeId::new(at), at, Request::default()))];
    let batch = Batch { exchanges: &exchanges, next_position: 1 };
    assert!(matches!(exporter.export(&batch).await, Err(ExportError::Retry { .. })));
    assert_eq!(exporter.export(&batch).await.unwrap(), Delivered::default());
    assert_eq!((bad.received().len(), good.received().len()), (1, 1));
}

#[test]
fn answers_are_read_document_by_document() {
    let item = |status: u64, error: Value| json!({"index": {"status": status, "error": error}});
    let mapping = json!({"type": "mapper_parsing_exception", "reason": "failed to parse"});
    for (answer, outcome) in [
        (json!({"errors": false, "items": []}), Outcome::Stored(Vec::new())),
        (
            json!({"errors": true, "items": [item(201, json!(null)), item(400, mapping.clone())]}),
            Outcome::Stored(vec![(1, "400: mapper_parsing_exception: failed to parse".to_owned())]),
        ),
        (
            json!({"errors": true, "items": [item(404, json!("IndexMissing"))]}),
            Outcome::Stored(vec![(0, "404: IndexMissing".to_owned())]),
        ),
        (
            json!({"errors": true, "items": [item(400, mapping), item(429, json!({"type": "a", "reason": "b"}))]}),
            Outcome::Busy("429: a: b".to_owned()),
        ),
    ] {
        assert_eq!(read(answer.to_string().as_bytes()), outcome);
    }
    assert_eq!(read(b"<html>"), Outcome::Busy("not the answer of a bulk call: <html>".to_owned()));
}

#[test]
fn addresses_that_are_none_are_told() {
    let settings =
        weir_kit::schema::check(EXPORTER.fields, json!({"elasticsearch_url": "ftp://a.test"})).unwrap();
    let error = (EXPORTER.build)(settings).err().unwrap();
    assert_eq!(error.to_string(), "elasticsearch_url: \"ftp://a.test\": not an http or https URL");
}
