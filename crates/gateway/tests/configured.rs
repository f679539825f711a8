//! Configured through the Admin API, asked through the proxy: what users see of both together.

#![allow(clippy::unwrap_used)]

mod admin_support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use admin_support::Running;
use axum::Json;
use axum::extract::Request;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use weir_gateway::{Gateway, GatewayHandle, Settings};
use weir_model::{Exchange, Value as AttributeValue};

const PATIENCE: Duration = Duration::from_secs(20);

/// Tells what it was asked: target and headers.
async fn mirror(request: Request) -> Json<Value> {
    let mut headers = json!({});
    for (name, value) in request.headers() {
        headers[name.as_str()] = value.to_str().unwrap().into();
    }
    Json(json!({"target": request.uri().to_string(), "headers": headers}))
}

struct Whole {
    admin: Running,
    gateway: GatewayHandle,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    /// Address of the mirror.
    service: String,
    client: reqwest::Client,
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Whole {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(mirror)).await });
        let admin = Running::start(false).await;
        let exchanges: Arc<Mutex<Vec<Exchange>>> = Arc::default();
        let told = Arc::clone(&exchanges);
        let sink = Arc::new(move |more: Vec<Exchange>| told.lock().unwrap().extend(more));
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings =
            Settings { listen: vec![local], listen_tls: vec![], workers: 1, ..Settings::default() };
        let gateway = Gateway::start(settings, admin.snapshot.clone(), sink).unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { admin, gateway, exchanges, service, client }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.admin.json("POST", path, &body).await;
        assert_eq!(status, 201, "{path}: {answer}");
        answer
    }

    /// A service with one route over everything, and consumer ann with key k1.
    async fn with_route() -> Self {
        let whole = Self::start().await;
        whole.post("/services", json!({"name": "s", "url": whole.service})).await;
        whole.post("/services/s/routes", json!({"name": "r", "paths": ["/"]})).await;
        whole.post("/consumers", json!({"username": "ann", "custom_id": "17"})).await;
        whole.post("/consumers/ann/key-auth", json!({"key": "k1"})).await;
        whole
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answered {
        let url = format!("http://{}{target}", self.gateway.addresses()[0]);
        let mut request = self.client.request(method.parse().unwrap(), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answered { status, headers, body: serde_json::from_str(&text).unwrap_or_default() }
    }

    async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answered {
        self.ask("GET", target, headers).await
    }

    async fn key_auth(&self, config: Value) {
        let (status, answer) =
            self.admin.json("PUT", PLUGIN, &json!({"name": "key-auth", "config": config})).await;
        assert_eq!(status, 200, "{answer}");
    }
}

const PLUGIN: &str = "/plugins/00000000-0000-0000-0000-000000000001";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_checked() {
    let whole = Whole::with_route().await;
    whole.key_auth(json!({})).await;
    let many = [("apikey", "k1"), ("apikey", "k1")];
    for (target, headers, status, message) in [
        ("/x", &[][..], 401, "No API key found in request"),
        ("/x", &[("apikey", "wrong")][..], 401, "Invalid authentication credentials"),
        ("/x?apikey=wrong", &[][..], 401, "Invalid authentication credentials"),
        ("/x", &many[..], 401, "Duplicate API key found"),
        ("/x?apikey=k1&apikey=k1", &[][..], 401, "Duplicate API key found"),
        ("/x", &[("apikey", "k1")][..], 200, ""),
        ("/x?apikey=k1", &[][..], 200, ""),
        ("/x?api%6bey=k%31", &[][..], 200, ""),
    ] {
        let answer = whole.get(target, headers).await;
        assert_eq!(answer.status, status, "{target} {headers:?}");
        assert_eq!(answer.body["message"].as_str().unwrap_or_default(), message, "{target} {headers:?}");
        if status == 401 {
            assert_eq!(answer.headers["www-authenticate"], "Key realm=\"kong\"");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_learns_who_calls_and_nothing_made_up() {
    let whole = Whole::with_route().await;
    whole.key_auth(json!({})).await;
    let spoofed = [("apikey", "k1"), ("x-consumer-username", "root"), ("x-anonymous-consumer", "true")];
    let headers = &whole.get("/x", &spoofed).await.body["headers"];
    assert_eq!(headers["x-consumer-username"], "ann");
    assert_eq!(headers["x-consumer-custom-id"], "17");
    assert!(headers["x-consumer-id"].is_string());
    assert!(headers["x-credential-identifier"].is_string());
    assert_eq!(headers["x-anonymous-consumer"], Value::Null);
    assert_eq!(headers["apikey"], "k1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_credentials_do_not_reach_the_service() {
    let whole = Whole::with_route().await;
    whole.key_auth(json!({"hide_credentials": true})).await;
    let by_header = whole.get("/x?a=1", &[("apikey", "k1")]).await.body;
    assert_eq!((&by_header["headers"]["apikey"], &by_header["target"]), (&Value::Null, &json!("/x?a=1")));
    let by_query = whole.get("/x?a=1&apikey=k1&b=2", &[]).await.body;
    assert_eq!(by_query["target"], "/x?a=1&b=2");
    assert_eq!(whole.get("/x?apikey=k1", &[]).await.body["target"], "/x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_names_preflights_and_anonymous_callers() {
    let whole = Whole::with_route().await;
    whole.key_auth(json!({"key_names": ["x-key"], "key_in_query": false, "run_on_preflight": false})).await;
    assert_eq!(whole.get("/", &[("x-key", "k1")]).await.status, 200);
    assert_eq!(whole.get("/?x-key=k1", &[]).await.status, 401);
    assert_eq!(whole.ask("OPTIONS", "/", &[]).await.status, 200);

    whole.post("/consumers", json!({"username": "nobody"})).await;
    whole.key_auth(json!({"anonymous": "nobody"})).await;
    let headers = &whole.get("/", &[]).await.body["headers"];
    assert_eq!(
        (&headers["x-consumer-username"], &headers["x-anonymous-consumer"]),
        (&json!("nobody"), &json!("true"))
    );
    assert_eq!(whole.get("/", &[("apikey", "k1")]).await.body["headers"]["x-consumer-username"], "ann");
    whole.key_auth(json!({"anonymous": "missing"})).await;
    assert_eq!(whole.get("/", &[]).await.status, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_end_and_go_with_their_consumer() {
    let whole = Whole::with_route().await;
    whole.key_auth(json!({})).await;
    whole.post("/consumers/ann/key-auth", json!({"key": "old", "ttl": 1, "created_at": 1_000})).await;
    assert_eq!(whole.get("/", &[("apikey", "old")]).await.status, 401);
    assert_eq!(whole.get("/", &[("apikey", "k1")]).await.status, 200);
    whole.admin.json("DELETE", "/consumers/ann", &Value::Null).await;
    assert_eq!(whole.get("/", &[("apikey", "k1")]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exporters_of_a_consumer_are_asked_and_records_hold_no_keys() {
    let whole = Whole::with_route().await;
    whole.key_auth(json!({"key_names": ["x-secret-name"]})).await;
    let config = json!({"service_token": "t"});
    let of_ann = whole.post("/consumers/ann/plugins", json!({"name": "galileo", "config": config})).await;
    whole.post("/consumers/ann/key-auth", json!({"key": "very-secret"})).await;
    assert_eq!(whole.get("/x", &[]).await.status, 401);
    assert_eq!(whole.get("/x", &[("x-secret-name", "very-secret")]).await.status, 200);
    assert_eq!(whole.get("/x?x-secret-name=very-secret", &[]).await.status, 200);
    let Whole { gateway, exchanges, .. } = whole;
    tokio::task::spawn_blocking(move || gateway.shutdown(PATIENCE)).await.unwrap();
    let exchanges = exchanges.lock().unwrap();
    let asked: Vec<&[_]> = exchanges.iter().map(|exchange| exchange.plugins.as_slice()).collect();
    let own = [of_ann["id"].as_str().unwrap().to_owned()];
    let of_known: Vec<_> = asked.iter().filter(|plugins| !plugins.is_empty()).collect();
    assert_eq!(of_known, [&own, &own], "{asked:?}");
    assert!(!format!("{exchanges:?}").contains("very-secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn correlation_ids_are_made_kept_and_echoed() {
    let whole = Whole::with_route().await;
    let config = json!({"echo_downstream": true, "header_name": "X-Request-ID", "generator": "uuid"});
    let plugin = whole.post("/plugins", json!({"name": "correlation-id", "config": config})).await;
    let path = format!("/plugins/{}", plugin["id"].as_str().unwrap());
    let answer = whole.get("/", &[]).await;
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(answer.body["headers"]["x-request-id"], id);
    assert_eq!(id.len(), 36);
    let kept = whole.get("/", &[("x-request-id", "mine")]).await;
    assert_eq!(kept.headers["x-request-id"], "mine");

    whole.admin.json("PATCH", &path, &json!({"config": {"generator": "uuid#counter"}})).await;
    for number in 1..=2 {
        let id = whole.get("/", &[]).await.body["headers"]["x-request-id"].as_str().unwrap().to_owned();
        assert!(id.ends_with(&format!("#{number}")), "{id}");
    }
    whole
        .admin
        .json("PATCH", &path, &json!({"config": {"generator": "tracker", "echo_downstream": false}}))
        .await;
    let answer = whole.get("/", &[]).await;
    assert_eq!(answer.headers.get("x-request-id"), None);
    let tracker = answer.body["headers"]["x-request-id"].as_str().unwrap();
    assert_eq!(tracker.split('-').count(), 5, "{tracker}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_are_on_every_record_of_their_scope() {
    let whole = Whole::with_route().await;
    whole.key_auth(json!({})).await;
    let facts =
        json!({"tyk.api_id": "api-1", "weight": 2, "share": 0.5, "internal": true, "tags": ["a", "b"]});
    whole.post("/services/s/plugins", json!({"name": "attributes", "config": {"attributes": facts}})).await;
    whole.get("/x", &[("apikey", "k1")]).await;
    assert_eq!(whole.get("/refused", &[]).await.status, 401);
    let Whole { gateway, exchanges, .. } = whole;
    tokio::task::spawn_blocking(move || gateway.shutdown(PATIENCE)).await.unwrap();

    let exchanges = exchanges.lock().unwrap();
    let mut said: Vec<(&str, Option<u16>)> =
        exchanges.iter().map(|exchange| (exchange.request.path.as_str(), exchange.status())).collect();
    said.sort_unstable();
    assert_eq!(said, [("/refused", Some(401)), ("/x", Some(200))]);
    for exchange in exchanges.iter() {
        let attribute = |name: &str| exchange.attributes.get(name).cloned().unwrap();
        assert_eq!(attribute("tyk.api_id"), "api-1".into());
        assert_eq!(attribute("weight"), 2.into());
        assert_eq!(attribute("share"), AttributeValue::Float(0.5));
        assert_eq!(attribute("internal"), true.into());
        assert_eq!(attribute("tags"), AttributeValue::Json(r#"["a","b"]"#.into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_apis_are_served() {
    let whole = Whole::start().await;
    let nothing = whole.get("/p", &[]).await;
    assert_eq!(
        (nothing.status, &nothing.body["message"]),
        (404, &json!("no Route matched with those values"))
    );
    whole
        .post(
            "/apis/",
            json!({"name": "a", "request_host": "a.test", "upstream_url": format!("{}/base", whole.service)}),
        )
        .await;
    whole.post("/apis/", json!({"name": "b", "request_path": "/b", "strip_request_path": true, "upstream_url": whole.service})).await;
    assert_eq!(whole.get("/x?q=1", &[("host", "a.test")]).await.body["target"], "/base/x?q=1");
    assert_eq!(whole.get("/x", &[("x-host-override", "a.test")]).await.body["target"], "/base/x");
    assert_eq!(whole.get("/b/c", &[]).await.body["target"], "/c");
    let unknown = whole.get("/bc", &[("host", "h.test")]).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(
        unknown.body,
        json!({"message": "API not found with these values", "request_host": ["h.test"], "request_path": "/bc"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_for_tls_tells_plain_callers() {
    let whole = Whole::with_route().await;
    whole.admin.json("PATCH", "/routes/r", &json!({"protocols": ["https"]})).await;
    let answer = whole.get("/x", &[]).await;
    assert_eq!((answer.status, &answer.body["message"]), (426, &json!("Please use HTTPS protocol")));
    assert_eq!(answer.headers["upgrade"], "TLS/1.2, HTTP/1.1");
    whole.admin.json("PATCH", "/routes/r", &json!({"https_redirect_status_code": 301})).await;
    assert_eq!(whole.get("/x", &[]).await.status, 301);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_hosts_and_balancing() {
    let whole = Whole::start().await;
    let address = whole.service.strip_prefix("http://").unwrap().to_owned();
    whole.post("/upstreams", json!({"name": "backend"})).await;
    whole.post("/upstreams/backend/targets", json!({"target": address})).await;
    whole.post("/services", json!({"name": "s", "host": "backend", "path": "/s"})).await;
    whole.post("/services/s/routes", json!({"name": "r", "paths": ["/a"]})).await;
    for (asked, target) in
        [("/a/b", "/s/b"), ("/a", "/s"), ("/a/", "/s/"), ("/ab", "/s/b"), ("/x/../a/b?", "/s/b?")]
    {
        assert_eq!(whole.get(asked, &[]).await.body["target"], target, "{asked}");
    }
    whole.admin.json("PATCH", "/routes/r", &json!({"strip_path": false, "preserve_host": true})).await;
    let kept = whole.get("/a/b", &[("host", "me.test")]).await.body;
    assert_eq!((&kept["target"], &kept["headers"]["host"]), (&json!("/s/a/b"), &json!("me.test")));
}
