//! What the plugin `moesif` does on the path of a call, in nanoseconds: the policy alone, asked with the rules that a local
//! server hands out. The median of several runs.
//!
//! Run with `cargo bench -p weir-wire --bench policy`.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use weir_kit::{Timestamp, schema};
use weir_model::{ExchangeId, Peer};
use weir_pipeline::{Built, Policy, PolicyCall};
use weir_wire::moesif;

const CALLS: u32 = 20_000;
const RUNS: usize = 9;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let headers = headers();
    let body: &[u8] = br#"{"operationName":"Look","query":"query Look { items { id name price } }","variables":{"page":1}}"#;
    println!("{:<44} {:>10}", "asked of the policy, per call", "ns");
    for (name, rules, authorization, body) in [
        ("no rules, user by header", json!([]), false, None),
        ("no rules, user by JWT", json!([]), true, None),
        ("10 expressions, none matches", routes(10), false, None),
        ("100 expressions, none matches", routes(100), false, None),
        ("100 rules of users, in none", users(100), false, None),
        ("a rule about the body, 100 bytes", about_body(), false, Some(body)),
    ] {
        let settings = json!({"user_id_header": "x-user"});
        let built = built(&runtime, &rules, &settings, name);
        let policy = built.exporter.policy().expect("a policy");
        wait_for(&*policy, &rules);
        let mut headers = headers.clone();
        if authorization {
            headers.remove("x-user");
        }
        println!("{name:<44} {:>10}", measure(&*policy, &headers, body));
    }
}

fn measure(policy: &dyn Policy, headers: &HeaderMap, body: Option<&[u8]>) -> u128 {
    let uri = Uri::from_static("/v1/customers/17/orders?page=3");
    let call = call(headers, &uri, None);
    let mut runs: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..CALLS {
                assert_eq!(policy.body_wanted(&call) > 0, body.is_some());
                let verdict = policy.request(black_box(&PolicyCall { body, ..call }));
                assert!(verdict.answer.is_none());
                black_box(verdict);
            }
            began.elapsed()
        })
        .collect();
    runs.sort();
    runs[RUNS / 2].as_nanos() / u128::from(CALLS)
}

fn call<'a>(headers: &'a HeaderMap, uri: &'a Uri, body: Option<&'a [u8]>) -> PolicyCall<'a> {
    PolicyCall {
        id: ExchangeId::new(Timestamp::from_seconds(1_767_225_600)),
        method: &Method::POST,
        uri,
        host: "shop.example.test",
        route_hosts: &[],
        tls: true,
        headers,
        client: Peer::new([203, 0, 113, 7].into(), Some(4_711)),
        credential: None,
        key: None,
        body,
    }
}

fn headers() -> HeaderMap {
    [
        ("host", "shop.example.test"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"),
        ("accept", "application/json, text/plain, */*"),
        ("accept-encoding", "gzip, deflate, br"),
        ("content-type", "application/json"),
        ("x-user", "user-17"),
        // Claims: sub, org, name, iat.
        (
            "authorization",
            "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTE3Iiwib3JnIjoiYWNtZSIsIm5hbWUiOiJBbm4iLCJpYXQiOjE3NjcyMjU2MDB9.c2ln",
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
    .collect()
}

/// The last rule tells that the rules are in force: it blocks what nobody else calls.
fn with_mark(mut rules: Vec<Value>) -> Value {
    rules.push(rule(
        9_999,
        "regex",
        &json!([{"conditions": [{"path": "request.route", "value": "^/mark$"}]}]),
    ));
    rules.into()
}

fn rule(number: usize, kind: &str, regex_config: &Value) -> Value {
    json!({
        "_id": format!("rule-{number:04}"), "type": kind, "block": true, "applied_to": "matching",
        "regex_config": regex_config, "response": {"status": 451, "headers": {}, "body": {}}
    })
}

fn routes(count: usize) -> Value {
    let when = |number| json!([{"conditions": [{"path": "request.route", "value": format!("^/v{number}/(secret|admin)/.*")}]}]);
    with_mark((0..count).map(|number| rule(number, "regex", &when(number))).collect())
}

fn users(count: usize) -> Value {
    with_mark((0..count).map(|number| rule(number, "user", &json!([]))).collect())
}

fn about_body() -> Value {
    let when = json!([{"conditions": [{"path": "request.body.operationName", "value": "^Pay$"}]}]);
    with_mark(vec![rule(0, "regex", &when)])
}

/// The plugin, before a service that hands out these rules.
fn built(runtime: &tokio::runtime::Runtime, rules: &Value, settings: &Value, name: &str) -> Built {
    let served = Arc::new(rules.clone());
    let app = Router::new()
        .route("/v1/config", get(async || Json(json!({}))))
        .route("/v1/rules", get(async move || Json((*served).clone())));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    runtime.spawn(async move { axum::serve(listener, app).await });
    let mut all = json!({"application_id": name, "api_endpoint": endpoint});
    if let (Some(all), Some(more)) = (all.as_object_mut(), settings.as_object()) {
        all.extend(more.clone());
    }
    let all = schema::check(moesif::config::FIELDS, all).expect("settings");
    let built = moesif::exporter::build(all).expect("a plugin");
    let _entered = runtime.enter();
    built.exporter.start();
    built
}

fn wait_for(policy: &dyn Policy, rules: &Value) {
    let (headers, uri) = (HeaderMap::new(), Uri::from_static("/mark"));
    let is_due = rules.as_array().is_some_and(|rules| !rules.is_empty());
    while is_due && policy.request(&call(&headers, &uri, None)).answer.is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
}
