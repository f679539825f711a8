//! The plugin `moesif` as its documentation configures it, against a service that records.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Read;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde_json::{Value, json};
use support::{Weir, upstream};

type Events = Arc<Mutex<Vec<Value>>>;

/// A service that takes everything, and wants nothing of the user `quiet`.
async fn service() -> (Events, String) {
    let events = Events::default();
    let config = r#"{"sample_rate":100,"user_sample_rate":{"quiet":0},"company_sample_rate":{},"user_rules":{},
        "company_rules":{},"regex_config":[]}"#;
    let taken = events.clone();
    let take = async move |headers: HeaderMap, body: Bytes| {
        assert_eq!(headers["x-moesif-application-id"], "app-1");
        assert_eq!(headers["content-encoding"], "deflate");
        let mut text = String::new();
        flate2::read::ZlibDecoder::new(&*body).read_to_string(&mut text).unwrap();
        let batch: Vec<Value> = serde_json::from_str(&text).unwrap();
        taken.lock().unwrap().extend(batch);
        axum::http::StatusCode::CREATED
    };
    let app = Router::new()
        .route("/v1/config", get(async move || config))
        .route("/v1/rules", get(async || "[]"))
        .route("/v1/events/batch", post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (events, format!("http://{address}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_through_the_gateway_arrive_as_events() {
    let (events, endpoint) = service().await;
    let weir = Weir::start().await;
    weir.route_everything_to(&upstream().await).await;
    let plugin = [
        ("name", "moesif"),
        ("config.application_id", "app-1"),
        ("config.api_endpoint", &endpoint),
        ("config.user_id_header", "X-User"),
        ("config.request_body_masks", "pin"),
        ("config.request_query_masks", "page"),
        ("config.enable_compression", "true"),
    ];
    assert_eq!(weir.configure("/services/shop/plugins", &plugin).await.status(), 201);
    for user in ["alice", "quiet", "quiet"] {
        let call = weir.client.post(weir.proxy("/echo?page=7&size=2")).header("X-User", user);
        let call =
            call.header("Content-Type", "application/json").body(r#"{"pin":1234,"a":[9007199254740993]}"#);
        assert_eq!(call.send().await.unwrap().status(), 200);
    }
    let ledger = weir
        .wait_for("/api/v1/ledger", |ledger| target(ledger)["delivered"] == 1 && target(ledger)["held"] == 0)
        .await;
    assert_eq!(
        (&target(&ledger)["dropped"], &ledger["balanced"]),
        (&json!({"sampled": 2}), &json!(true)),
        "{ledger:#}"
    );
    let events = events.lock().unwrap().clone();
    assert_eq!(events.len(), 1);
    let (event, port) = (&events[0], weir.address("proxy").port());
    assert_eq!(event["request"]["uri"], format!("http://127.0.0.1:{port}/echo?page=*****&size=2"));
    assert_eq!(
        (&event["request"]["body"], &event["request"]["transfer_encoding"]),
        (&json!({"a": [9007199254740993u64]}), &json!("json"))
    );
    assert_eq!(
        (&event["user_id"], &event["weight"], &event["direction"]),
        (&json!("alice"), &json!(1), &json!("Incoming"))
    );
    assert_eq!((&event["response"]["status"], &event["request"]["verb"]), (&json!(200), &json!("POST")));
    assert_eq!(event["metadata"]["kong"]["service_name"], "shop");
    let listed = weir.ask("/api/v1/exchanges?limit=10").await;
    let ids: Vec<&Value> = listed["exchanges"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert!(ids.contains(&&event["transaction_id"]), "the event's id is the exchange's");
}

fn target(ledger: &Value) -> &Value {
    let targets = ledger["targets"].as_array().unwrap();
    targets.iter().find(|target| target["kind"] == "moesif").unwrap_or(&Value::Null)
}
