//! Gateway URLs: hosts that say where a call goes on to and under which bucket it is recorded.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};
use weir_gateway::gateway_url::{BUCKET_ATTRIBUTE, GatewayUrls};
use weir_gateway::snapshot::{Snapshot, SnapshotHandle};
use weir_gateway::{Gateway, GatewayHandle, Settings};
use weir_model::Exchange;

/// Tells what it was asked, or sends on to another of its pages.
async fn target(request: Request) -> Response {
    let host = request.headers()["host"].to_str().unwrap().to_owned();
    if request.uri().path() == "/moved" {
        return Redirect::temporary(&format!("http://{host}/there?x=1")).into_response();
    }
    let names: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
    Json(json!({"target": request.uri().to_string(), "host": host, "names": names})).into_response()
}

struct Bench {
    gateway: GatewayHandle,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    port: String,
    client: reqwest::Client,
}

impl Bench {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(target)).await });
        let exchanges: Arc<Mutex<Vec<Exchange>>> = Arc::default();
        let told = Arc::clone(&exchanges);
        let sink = Arc::new(move |more: Vec<Exchange>| told.lock().unwrap().extend(more));
        let tokens = [("locked".to_owned(), "s3cr3t".to_owned())];
        let urls = GatewayUrls::new("gw.test", &["127.0.0.1:*".to_owned()], tokens).unwrap();
        let settings = Settings {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            listen_tls: vec![],
            workers: 1,
            gateway_urls: Some(urls),
            ..Settings::default()
        };
        let gateway = Gateway::start(settings, SnapshotHandle::new(Snapshot::empty()), sink).unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { gateway, exchanges, port, client }
    }

    async fn get(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let url = format!("http://{}{path}", self.gateway.addresses()[0]);
        let mut request = self.client.get(url).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// The records, once there are as many.
    async fn recorded(&self, count: usize) -> Vec<Exchange> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let exchanges = self.exchanges.lock().unwrap().clone();
            if exchanges.len() >= count {
                return exchanges;
            }
            assert!(Instant::now() < deadline, "{} of {count} records came", exchanges.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn json_of(answer: reqwest::Response) -> Value {
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_where_its_host_says_and_is_recorded_under_its_bucket() {
    let bench = Bench::start().await;
    let answer = bench
        .get(
            "127-0-0-1-b1.gw.test",
            "/path?q=1",
            &[("runscope-request-port", &bench.port), ("x-mine", "kept")],
        )
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let id = answer.headers()["runscope-message-id"].to_str().unwrap().to_owned();
    let seen = json_of(answer).await;
    assert_eq!(seen["target"], "/path?q=1");
    assert_eq!(seen["host"], format!("127.0.0.1:{}", bench.port));
    let names: Vec<&str> =
        seen["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(names.contains(&"x-mine") && !names.iter().any(|name| name.starts_with("runscope")), "{names:?}");

    let exchange = bench.recorded(1).await.remove(0);
    assert_eq!(exchange.id.to_string(), id);
    assert_eq!(exchange.attributes.text(BUCKET_ATTRIBUTE), Some("b1"));
    assert_eq!(exchange.request.host, format!("127.0.0.1:{}", bench.port));
    assert_eq!((exchange.request.target().as_str(), exchange.status()), ("/path?q=1", Some(200)));
    assert_eq!(exchange.service.as_deref(), Some("127.0.0.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_url_records_and_goes_nowhere() {
    let bench = Bench::start().await;
    let answer = bench.get("b1.gw.test", "/hook?a=1", &[]).await;
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("runscope-message-id")), (200, true));
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
    let exchange = bench.recorded(1).await.remove(0);
    assert_eq!(exchange.attributes.text(BUCKET_ATTRIBUTE), Some("b1"));
    assert_eq!((exchange.request.target().as_str(), exchange.status()), ("/hook?a=1", Some(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_targets_and_known_tokens_pass() {
    let bench = Bench::start().await;
    let port = ("runscope-request-port", bench.port.as_str());
    assert_eq!(bench.get("localhost-b1.gw.test", "/", &[port]).await.status(), 403);
    assert_eq!(bench.get("169-254-169-254-b1.gw.test", "/latest", &[]).await.status(), 403);
    assert_eq!(bench.get("127-0-0-1-b1.gw.test", "/", &[("runscope-request-port", "x")]).await.status(), 400);
    let locked = "127-0-0-1-locked.gw.test";
    assert_eq!(bench.get(locked, "/", &[port]).await.status(), 401);
    assert_eq!(bench.get(locked, "/", &[port, ("runscope-bucket-auth", "wrong")]).await.status(), 401);
    assert_eq!(bench.get(locked, "/", &[port, ("runscope-bucket-auth", "s3cr3t")]).await.status(), 200);
    let by_query = bench.get(locked, "/?a=1&Runscope-Bucket-Auth=s3cr3t", &[port]).await;
    assert_eq!(json_of(by_query).await["target"], "/?a=1");
    assert_eq!(bench.get("127-0-0-1-b1.other.test", "/", &[port]).await.status(), 404, "no gateway URL");
    let told = format!("{:?}", bench.recorded(8).await);
    assert!(!told.contains("s3cr3t"), "a token was recorded: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirections_that_a_host_cannot_say_are_left_alone() {
    let bench = Bench::start().await;
    let port = ("runscope-request-port", bench.port.as_str());
    let answer = bench.get("127-0-0-1-b1.gw.test", "/moved", &[port]).await;
    assert_eq!(answer.status(), 307);
    assert_eq!(answer.headers()["location"], format!("http://127.0.0.1:{}/there?x=1", bench.port));
}
