//! Events, and what comes of the answers that Splunk's documentation lists (recorded; Splunk itself cannot be had here).

use std::sync::Arc;

use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::testing::{Answer, Server};
use weir_pipeline::{Batch, Delivered, ExportError};

use super::EXPORTER;
use super::event::{DEFAULT_FIELDS, Profile, event, key};
use crate::tyk::record::{Record, Time};

#[test]
fn an_event_has_the_chosen_fields() {
    let record = Record {
        method: "GET".into(),
        api_key: "0123456789".into(),
        tags: Some(vec!["key-0123456789".into(), "a".into()]),
        time_stamp: Time { seconds: 1_795_175_537, nanos: 725_064_306 },
        ..Record::default()
    };
    let profile = Profile {
        fields: ["method", "api_key", "tags"].map(ToOwned::to_owned).to_vec(),
        shown_of_keys: Some(4),
        ignore_tag_prefixes: vec!["key-".into()],
    };
    assert_eq!(
        event(&record, &profile),
        json!({"time": 1_795_175_537.725, "event": {"method": "GET", "api_key": "****6789", "tags": ["a"]}})
    );
    for (text, shown, hidden) in [
        ("abcdef", None, "abcdef"),
        ("abcdef", Some(0), "****"),
        ("abc", Some(4), "----"),
        ("", Some(0), "----"),
    ] {
        assert_eq!(key(text, shown), hidden);
    }
}

async fn export(server: &Server, mut settings: Value, calls: usize) -> Result<Delivered, ExportError> {
    settings["collector_token"] = json!("t0ken");
    settings["collector_url"] = json!(format!("http://{}/ignored", server.address()));
    let settings = weir_kit::schema::check(EXPORTER.fields, settings).unwrap();
    let exporter = (EXPORTER.build)(settings).unwrap().exporter;
    let exchange = |number: usize| {
        let at = Timestamp::from_seconds(1);
        let request = Request { path: format!("/{number}").into(), ..Request::default() };
        Arc::new(Exchange::new(ExchangeId::new(at), at, request))
    };
    let exchanges: Vec<Arc<Exchange>> = (0..calls).map(exchange).collect();
    exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await
}

fn paths(body: &[u8]) -> Vec<String> {
    let events = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    events.map(|event| event.unwrap()["event"]["path"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_batch_is_one_call_recorded_exchange() {
    let server =
        Server::start(Vec::new(), Answer::with(200, r#"{"text":"Success","code":0}"#)).await.unwrap();
    assert_eq!(export(&server, json!({}), 3).await.unwrap(), Delivered::default());
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].line, "POST /services/collector/event/1.0 HTTP/1.1");
    assert!(
        received[0].headers.iter().any(|header| header.eq_ignore_ascii_case("authorization: Splunk t0ken"))
    );
    assert_eq!(paths(&received[0].body), ["/0", "/1", "/2"]);
    let first: Value =
        serde_json::Deserializer::from_slice(&received[0].body).into_iter().next().unwrap().unwrap();
    assert_eq!(first["event"].as_object().unwrap().len(), DEFAULT_FIELDS.len());
}

#[tokio::test]
async fn a_bad_event_is_refused_alone_recorded_exchange() {
    let bad = r#"{"text":"Invalid data format","code":6,"invalid-event-number":1}"#;
    let server = Server::start(vec![Answer::with(400, bad)], Answer::with(200, "")).await.unwrap();
    let delivered = export(&server, json!({}), 4).await.unwrap();
    assert_eq!(delivered.rejected.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1]);
    let sent: Vec<Vec<String>> = server.received().iter().map(|call| paths(&call.body)).collect();
    assert_eq!(sent, [vec!["/0", "/1", "/2", "/3"], vec!["/2", "/3"]]);
}

#[tokio::test]
async fn calls_are_split_and_busy_or_unauthorised_is_tried_again_recorded_exchange() {
    let server = Server::start(Vec::new(), Answer::with(200, "")).await.unwrap();
    export(&server, json!({"batch_max_content_length": 1}), 3).await.unwrap();
    assert_eq!(server.received().len(), 3);
    for (status, answer) in [
        (503, r#"{"text":"Server is busy","code":9}"#),
        (403, r#"{"text":"Invalid token","code":4}"#),
        (401, r#"{"text":"Token is required","code":2}"#),
    ] {
        let server = Server::start(Vec::new(), Answer::with(status, answer)).await.unwrap();
        let outcome = export(&server, json!({}), 1).await;
        assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
    }
}
