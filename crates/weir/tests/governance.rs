//! Governance by the plugin `moesif`: rules that a service hands out are enforced on calls, and calls pass without it.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use support::{PATIENCE, Weir, upstream};

const APPLICATION_ID: &str = "an-application-id-of-the-length-that-is-usual-0123456789";

/// The service behind the plugin: hands out configuration and rules, and keeps what it is sent.
#[derive(Clone)]
struct Service {
    url: String,
    state: Arc<Mutex<Served>>,
}

#[derive(Default)]
struct Served {
    config: Value,
    rules: Value,
    tag: String,
    is_down: bool,
    events: Vec<Value>,
}

impl Service {
    async fn start(config: Value, rules: Value) -> Self {
        let served = Served { config, rules, tag: "t1".to_owned(), ..Served::default() };
        let state = Arc::new(Mutex::new(served));
        let app = Router::new()
            .route(
                "/v1/config",
                get(async |State(state): State<Arc<Mutex<Served>>>| hand_out(&state, |s| &s.config)),
            )
            .route(
                "/v1/rules",
                get(async |State(state): State<Arc<Mutex<Served>>>| hand_out(&state, |s| &s.rules)),
            )
            .route("/v1/events/batch", post(take))
            .with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, state }
    }

    /// New rules, as somebody set them at the service.
    fn rule(&self, tag: &str, rules: Value) {
        let mut state = self.state.lock().unwrap();
        (state.tag, state.rules) = (tag.to_owned(), rules);
    }

    fn goes_down(&self) {
        self.state.lock().unwrap().is_down = true;
    }

    /// The event of a call to this path with this status.
    async fn event(&self, path: &str, status: u16) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let wanted = |event: &&Value| {
                event["response"]["status"] == status
                    && event["request"]["uri"].as_str().unwrap().ends_with(path)
            };
            let found = self.state.lock().unwrap().events.iter().find(wanted).cloned();
            if let Some(event) = found {
                return event;
            }
            assert!(Instant::now() < deadline, "no event of {path} with {status}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

fn tags(state: &Served) -> [(&'static str, String); 2] {
    [("X-Moesif-Config-ETag", state.tag.clone()), ("X-Moesif-Rules-Tag", state.tag.clone())]
}

fn hand_out(state: &Mutex<Served>, what: fn(&Served) -> &Value) -> Response {
    let state = state.lock().unwrap();
    if state.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    (tags(&state), Json(what(&state).clone())).into_response()
}

async fn take(State(state): State<Arc<Mutex<Served>>>, request: Request) -> Response {
    let named = request.headers().get("x-moesif-application-id").cloned();
    let body = axum::body::to_bytes(request.into_body(), 64 << 20).await.unwrap();
    let mut state = state.lock().unwrap();
    if state.is_down || named.is_none_or(|id| id != APPLICATION_ID) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    state.events.extend(serde_json::from_slice::<Vec<Value>>(&body).unwrap());
    (StatusCode::CREATED, tags(&state)).into_response()
}

fn rule(id: &str, kind: &str, response: Value, conditions: Value) -> Value {
    json!({
        "_id": id, "name": id, "type": kind, "block": true, "applied_to": "matching", "applied_to_unidentified": false,
        "variables": [], "regex_config": conditions, "response": response, "org_id": "o", "app_id": "a",
        "created_at": "2024-01-01T00:00:00.000Z"
    })
}

fn when(path: &str, value: &str) -> Value {
    json!([{"conditions": [{"path": path, "value": value}]}])
}

fn config() -> Value {
    json!({
        "org_id": "o", "app_id": "a", "sample_rate": 100, "block_bot_traffic": false, "user_sample_rate": {},
        "company_sample_rate": {}, "user_rules": {"u1": [{"rules": "quota", "values": {"0": "free"}}]},
        "company_rules": {}, "ip_addresses_blocked_by_name": {}, "regex_config": [], "billing_config_jsons": {}
    })
}

fn rules() -> Value {
    let mut quota = rule(
        "quota",
        "user",
        json!({"status": 429, "headers": {"X-Plan": "{{0}}"}, "body": {"message": "plan {{0}} allows {{1}}"}}),
        json!([]),
    );
    quota["variables"] = json!([{"name": "0", "path": "plan"}, {"name": "1", "path": "quota"}]);
    let legal = json!({"status": 451, "headers": {"X-Gov": "yes"}, "body": {"error": "blocked"}});
    let mut deprecated = rule(
        "old",
        "regex",
        json!({"status": 200, "headers": {"X-Deprecated": "true"}, "body": {}}),
        json!([]),
    );
    deprecated["block"] = false.into();
    let no_payments = json!({"status": 403, "headers": {}, "body": {"error": "no payments"}});
    json!([
        rule("admin", "regex", legal, when("request.route", "^/admin/")),
        quota,
        deprecated,
        rule("pay", "regex", no_payments, when("request.body.operationName", "^Pay$")),
    ])
}

/// A weir whose gateway has the plugin for this service, and its id.
async fn governed(service: &str, more: &[(&str, &str)]) -> (Weir, String) {
    let weir = Weir::start().await;
    weir.route_everything_to(&upstream().await).await;
    let mut form = vec![
        ("name", "moesif"),
        ("config.application_id", APPLICATION_ID),
        ("config.api_endpoint", service),
        ("config.user_id_header", "X-User"),
    ];
    form.extend(more);
    let answer = weir.configure("/plugins", &form).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    let plugin: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    (weir, plugin["id"].as_str().unwrap().to_owned())
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn call(weir: &Weir, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
    let url = weir.proxy(path);
    let mut request = if body.is_some() { weir.client.post(url) } else { weir.client.get(url) };
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, headers, body: answer.text().await.unwrap() }
}

/// Calls until the answer has this status: rules are fetched beside the calls, which never wait for them.
async fn until(weir: &Weir, path: &str, status: u16) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = call(weir, path, &[], None).await;
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path} is answered {} and not {status}", answer.status);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_the_service_are_enforced_and_reported() {
    let service = Service::start(config(), rules()).await;
    let (weir, _) = governed(&service.url, &[]).await;

    let blocked = until(&weir, "/admin/keys?x=1", 451).await;
    assert_eq!(serde_json::from_str::<Value>(&blocked.body).unwrap(), json!({"error": "blocked"}));
    assert_eq!(
        (blocked.header("content-type"), blocked.header("x-gov")),
        (Some("application/json"), Some("yes"))
    );
    assert_eq!(blocked.header("x-deprecated"), Some("true"), "headers of all rules that match");

    let quota = call(&weir, "/items/1", &[("X-User", "u1")], None).await;
    assert_eq!((quota.status, quota.header("x-plan")), (429, Some("free")));
    assert_eq!(
        serde_json::from_str::<Value>(&quota.body).unwrap(),
        json!({"message": "plan free allows UNKNOWN"})
    );
    let others = call(&weir, "/items/2", &[("X-User", "u2")], None).await;
    assert_eq!(
        (others.status, others.header("x-deprecated"), others.header("x-plan")),
        (200, Some("true"), None)
    );

    let pay = r#"{"operationName": "Pay", "query": "mutation Pay { pay }"}"#;
    assert_eq!(call(&weir, "/echo", &[], Some(pay)).await.status, 403);
    let look = r#"{"operationName": "Look",  "query": "{ look }"}"#;
    let passed = call(&weir, "/echo", &[], Some(look)).await;
    assert_eq!((passed.status, passed.body.as_str()), (200, look), "passed on unchanged");
    assert_eq!(call(&weir, "/echo", &[], Some("{malformed")).await.status, 200);

    // The claims are {"sub":"u1"}.
    let token = "Bearer e30.eyJzdWIiOiJ1MSJ9.c2ln";
    assert_eq!(call(&weir, "/items/3", &[("authorization", token)], None).await.status, 429);

    let event = service.event("/admin/keys?x=1", 451).await;
    assert_eq!(
        (&event["blocked_by"], &event["response"]["body"]),
        (&json!("admin"), &json!({"error": "blocked"}))
    );
    assert_eq!(event["response"]["headers"]["x-gov"], "yes");
    let event = service.event("/items/1", 429).await;
    assert_eq!((&event["blocked_by"], &event["user_id"]), (&json!("quota"), &json!("u1")));
    let event = service.event("/items/2", 200).await;
    assert_eq!((&event["blocked_by"], &event["user_id"]), (&Value::Null, &json!("u2")));
    let event = service.event("/items/3", 429).await;
    assert_eq!(event["user_id"], "u1", "known from a token that is not recorded");
    assert!(!event.to_string().contains("eyJzdWIi"), "{event}");
    let event = service.event("/echo", 403).await;
    assert_eq!(
        (&event["blocked_by"], &event["request"]["body"]["operationName"]),
        (&json!("pay"), &json!("Pay"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_carry_their_id_both_ways() {
    let service = Service::start(config(), json!([])).await;
    let (weir, plugin) = governed(&service.url, &[]).await;
    let answer = call(&weir, "/a", &[], None).await;
    let id = answer.header("x-moesif-transaction-id").unwrap().to_owned();
    let event = service.event("/a", 200).await;
    assert_eq!(event["transaction_id"], id.as_str());
    assert_eq!(event["request"]["headers"]["x-moesif-transaction-id"], id.as_str());
    let given = call(&weir, "/b", &[("X-Moesif-Transaction-Id", "mine")], None).await;
    assert_eq!(given.header("x-moesif-transaction-id"), Some("mine"));

    let off = [("config.disable_transaction_id", "true")];
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(off).finish();
    let patch = weir.client.patch(weir.admin(&format!("/plugins/{plugin}")));
    let patch = patch.header("content-type", "application/x-www-form-urlencoded").body(form);
    assert_eq!(patch.send().await.unwrap().status(), 200);
    let answer = call(&weir, "/c", &[], None).await;
    assert_eq!(answer.header("x-moesif-transaction-id"), None, "changes hold from the next call on");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_change_without_a_restart_and_outlive_their_service() {
    let service = Service::start(config(), json!([])).await;
    let (weir, plugin) = governed(&service.url, &[]).await;
    let open = call(&weir, "/admin/keys", &[], None).await;
    assert_eq!(open.status, 200);
    service.event("/admin/keys", 200).await;
    // The answer to the next events names another tag.
    service.rule("t2", rules());
    until(&weir, "/admin/keys", 451).await;

    service.goes_down();
    assert_eq!(call(&weir, "/admin/keys", &[], None).await.status, 451);
    assert_eq!(call(&weir, "/items/1", &[], None).await.status, 200);

    let deleted = weir.client.delete(weir.admin(&format!("/plugins/{plugin}"))).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    assert_eq!(call(&weir, "/admin/keys", &[], None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_pass_while_the_service_is_away() {
    // A port that nobody listens on.
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (weir, _) = governed(&format!("http://{away}"), &[]).await;
    let answer = call(&weir, "/admin/keys", &[("X-User", "u1")], None).await;
    assert_eq!(answer.status, 200);
    // One that accepts and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (weir, _) = governed(&format!("http://{}", silent.local_addr().unwrap()), &[]).await;
    assert_eq!(call(&weir, "/admin/keys", &[], None).await.status, 200);
    let body = r#"{"operationName": "Pay"}"#;
    assert_eq!(call(&weir, "/echo", &[], Some(body)).await.body, body);
    // Who called is known without it.
    let list = weir.wait_for("/api/v1/exchanges?limit=10", |list| list["total"]["value"] == 2).await;
    assert!(list["exchanges"].as_array().unwrap().iter().all(|row| row["status"] == 200), "{list:#}");
}
