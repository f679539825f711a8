//! Files, set-up, figures, health, the page, and who may ask.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use support::{Fixture, exchange};
use weir_kit::{Secret, Timestamp};
use weir_model::{Exchange, ExchangeId, ProjectId};
use weir_query::table::Table;
use weir_query::{Aggregation, Listing};
use weir_server::{Figure, FigureKind, Figures, ReadyCheck};
use weir_store::{Page, Position, Store, StoreError, StoreStatus};

#[tokio::test]
async fn files_are_read_as_they_come() {
    let fixture = Fixture::start().await;
    let lines: String =
        (0..3_000).map(|n| if n % 20 == 0 { "\n".into() } else { format!("/{n}\n") }).collect();
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
        lines.as_bytes().chunks(777).map(|piece| Ok(piece.to_vec())).collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let request = fixture.client.post(fixture.url("/api/v1/import?format=lines&project=old")).body(body);
    let report = fixture.send(request).await.json();
    assert_eq!(
        (report["offered"].as_u64(), report["accepted"].as_u64(), report["rejected"].as_u64()),
        (Some(3_000), Some(2_850), Some(150))
    );
    let rejections = report["rejections"].as_array().unwrap();
    assert_eq!(rejections.len(), 100);
    assert_eq!(rejections[1], json!({"line": 21, "reason": "line 21 is empty"}));
    fixture.stored(2_850).await;
    assert_eq!(fixture.get("/api/v1/exchanges?project=old").await.json()["total"]["value"], 2_850);
    let ledger = fixture.get("/api/v1/ledger").await.json();
    assert_eq!(
        ledger["sources"][0],
        json!({"name": "import", "offered": 3_000, "accepted": 2_850, "dropped": {"malformed": 150}, "held": 0})
    );
    let problem = fixture.post("/api/v1/import", &json!("")).await;
    assert_eq!((problem.status, problem.json()["errors"][0]["parameter"].as_str()), (400, Some("format")));
    let problem = fixture.post("/api/v1/import?format=xml", &json!("")).await;
    assert_eq!(problem.json()["errors"][0]["detail"], "expected one of lines, found \"xml\"");
    let packed =
        fixture.client.post(fixture.url("/api/v1/import?format=lines")).header("content-encoding", "gzip");
    assert_eq!(fixture.send(packed.body("x")).await.status, 415);
}

#[tokio::test]
async fn files_are_written_page_by_page() {
    let fixture = Fixture::start().await;
    fixture.hold((0..230).map(exchange).collect()).await;
    let answer = fixture.get("/api/v1/export?format=ndjson").await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines: Vec<String> =
        answer.body.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line).into()).collect();
    assert_eq!(
        (lines.len(), lines[0].as_str(), lines[229].as_str()),
        (231, "\"/users/229\"", "\"/users/0\"")
    );
    let answer = fixture.get("/api/v1/export?q=status:5xx&from=now-1h&order=desc").await;
    assert_eq!(
        answer.json(),
        json!({"entries": ["/users/0", "/users/10", "/users/20", "/users/30", "/users/40", "/users/50"]})
    );
    assert!(answer.header("content-disposition").ends_with(".har\""));
    assert_eq!(fixture.get("/api/v1/export?format=xml").await.status, 400);
}

#[tokio::test]
async fn set_up_shows_addresses_and_the_first_exchange() {
    let fixture = Fixture::with(|parts| parts.settings.collector_token = Some("tok".into())).await;
    let setup = fixture.get("/api/v1/setup").await.json();
    assert_eq!(
        setup,
        json!({
            "version": "0.0.0-test",
            "addresses": {
                "proxy": "http://127.0.0.1:8000", "proxy_tls": null, "admin": null,
                "server": format!("http://{}", fixture.address)
            },
            "exchanges": 0, "first_exchange": null, "token": "tok"
        })
    );
    fixture.hold((0..3).map(exchange).collect()).await;
    let setup = fixture.get("/api/v1/setup").await.json();
    assert_eq!(
        (setup["exchanges"].as_u64(), setup["first_exchange"]["path"].as_str()),
        (Some(3), Some("/users/2"))
    );
}

struct Gateway;

impl Figures for Gateway {
    fn figures(&self) -> Vec<Figure> {
        let figure = |route: &str, value| Figure {
            name: "weir_gateway_requests",
            about: "requests proxied",
            kind: FigureKind::Counter,
            labels: vec![("route", route.to_owned())],
            value,
        };
        vec![figure("a", 3.0), figure("b\"\n", 4.5)]
    }
}

#[tokio::test]
async fn figures_are_told_to_machines() {
    let fixture = Fixture::with(|parts| parts.figures.push(Arc::new(Gateway))).await;
    fixture.post("/toy", &json!({"paths": ["/a", 5]})).await;
    fixture.stored(1).await;
    fixture.get("/api/v1/exchanges/nothing").await;
    let answer = fixture.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    for line in [
        "weir_source_offered_total{source=\"toy\"} 2",
        "weir_source_accepted_total{source=\"toy\"} 1",
        "weir_source_dropped_total{source=\"toy\",reason=\"malformed\"} 1",
        "weir_target_delivered_total{target=\"store\",kind=\"memory\"} 1",
        "weir_store_exchanges 1",
        "weir_http_requests_total{path=\"/api/v1/exchanges/{id}\",status=\"404\"} 1",
        "weir_gateway_requests_total{route=\"a\"} 3",
        "weir_gateway_requests_total{route=\"b\\\"\\n\"} 4.5",
        "# TYPE weir_gateway_requests counter",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line || found == format!("{line}.0")), "{line}\n{text}");
    }
    if cfg!(target_os = "linux") {
        assert!(
            text.contains("process_resident_memory_bytes ") && text.contains("process_cpu_seconds_total ")
        );
    }
}

#[tokio::test]
async fn health_is_told() {
    let fixture = Fixture::with(|parts| {
        parts.ready.push(ReadyCheck { name: "gateway", check: Box::new(|| Err("no snapshot yet".into())) });
    })
    .await;
    assert_eq!(fixture.get("/healthz").await.status, 200);
    let ready = fixture.get("/readyz").await;
    assert_eq!((ready.status, ready.body.as_ref()), (503, &b"gateway: no snapshot yet\n"[..]));
    assert_eq!(Fixture::start().await.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_token_guards_the_api_and_signing_in_gives_a_cookie() {
    let fixture = Fixture::with(|parts| parts.settings.token = Some(Secret::new("s3cret"))).await;
    for path in ["/api/v1/exchanges", "/api/v1/ledger", "/api/v1/setup", "/api/v1/live", "/api/v1/nothing"] {
        let answer = fixture.get(path).await;
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (401, "Bearer realm=\"weir\""),
            "{path}"
        );
    }
    for path in ["/healthz", "/readyz", "/api/openapi.json", "/"] {
        assert_eq!(fixture.get(path).await.status, 200, "{path}");
    }
    let url = fixture.url("/api/v1/ledger");
    assert_eq!(fixture.send(fixture.client.get(&url).bearer_auth("s3cret")).await.status, 200);
    assert_eq!(fixture.send(fixture.client.get(&url).bearer_auth("wrong")).await.status, 401);
    assert_eq!(fixture.post("/api/v1/session", &json!({"token": "wrong"})).await.status, 401);
    assert_eq!(fixture.post("/api/v1/session", &json!({})).await.status, 400);
    let signed_in = fixture.post("/api/v1/session", &json!({"token": "s3cret"})).await;
    let cookie = signed_in.header("set-cookie").to_owned();
    assert_eq!(signed_in.status, 204);
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("s3cret"));
    let value = cookie.split(';').next().unwrap();
    assert_eq!(fixture.send(fixture.client.get(&url).header("cookie", value)).await.status, 200);
    let signed_out = fixture.send(fixture.client.delete(fixture.url("/api/v1/session"))).await;
    assert!(signed_out.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test]
async fn foreign_names_and_foreign_pages_are_kept_out() {
    let fixture = Fixture::with(|parts| {
        parts.admin = Some(axum::Router::new().route("/services", axum::routing::any(|| async { "admin" })));
    })
    .await;
    let get = |path: &str, host: &'static str| fixture.client.get(fixture.url(path)).header("host", host);
    for path in ["/api/v1/ledger", "/metrics", "/admin/services"] {
        assert_eq!(fixture.send(get(path, "evil.example.com")).await.status, 421, "{path}");
        assert_eq!(fixture.send(get(path, "localhost")).await.status, 200, "{path}");
    }
    let post = |origin: &'static str| {
        fixture.client.post(fixture.url("/admin/services")).header("origin", origin).body("x")
    };
    assert_eq!(fixture.send(post("http://evil.example.com")).await.status, 403);
    let own: &'static str = Box::leak(format!("http://{}", fixture.address).into_boxed_str());
    assert_eq!(fixture.send(post(own)).await.status, 200);
    assert_eq!(fixture.post("/admin/services", &json!({})).await.status, 200);
}

#[tokio::test]
async fn every_answer_is_dressed() {
    let fixture = Fixture::start().await;
    for path in ["/", "/api/v1/fields", "/nothing.js", "/nothing"] {
        let answer = fixture.get(path).await;
        assert!(answer.header("content-security-policy").contains("default-src 'self'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-request-id").len(), 36, "{path}");
    }
    let request = fixture.client.get(fixture.url("/api/v1/fields")).header("x-request-id", "abc-1");
    assert_eq!(fixture.send(request).await.header("x-request-id"), "abc-1");
    let request = fixture.client.get(fixture.url("/api/v1/fields")).header("x-request-id", "a b");
    assert_eq!(fixture.send(request).await.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn the_page_is_served_for_its_views_and_nothing_else() {
    let fixture = Fixture::start().await;
    for path in ["/", "/traffic", "/traffic/01890000"] {
        let answer = fixture.get(path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
    // With the page built in, its parts never change under their names, and come packed to those who read that.
    let page = String::from_utf8(fixture.get("/").await.body.to_vec()).unwrap();
    let assets: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(assets.is_empty(), page.contains("without its page"));
    for asset in assets {
        let request = fixture.client.get(fixture.url(asset)).header("accept-encoding", "gzip, br");
        let answer = fixture.send(request).await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (200, "public, max-age=31536000, immutable")
        );
        assert!(answer.header("vary").contains("accept-encoding"), "{asset}");
        let again = fixture.client.get(fixture.url(asset)).header("if-none-match", answer.header("etag"));
        assert_eq!(fixture.send(again).await.status, 304);
    }
    assert_eq!(fixture.get("/assets/missing-123.js").await.status, 404);
    assert_eq!(fixture.post("/traffic", &json!({})).await.status, 404);
    assert_eq!(fixture.get("/v1/config").await.status, 404);
}

#[tokio::test]
async fn the_description_is_served_and_remembered() {
    let fixture = Fixture::start().await;
    let answer = fixture.get("/api/openapi.json").await;
    assert_eq!(answer.json()["openapi"], "3.1.0");
    let again =
        fixture.client.get(fixture.url("/api/openapi.json")).header("if-none-match", answer.header("etag"));
    assert_eq!(fixture.send(again).await.status, 304);
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_on_one_port() {
    let fixture = Fixture::start().await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let response = client.get(fixture.url("/api/v1/fields")).send().await.unwrap();
    assert_eq!((response.version(), response.status().as_u16()), (reqwest::Version::HTTP_2, 200));
    let response = client.post(fixture.url("/toy")).body(r#"{"paths":["/a"]}"#).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert!(fixture.raw(b"nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    assert!(fixture.raw(huge.as_bytes()).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let fixture = Fixture::with(|parts| parts.settings.header_timeout = Duration::from_millis(200)).await;
    let started = std::time::Instant::now();
    let answer = fixture.raw(b"GET / HTTP/1.1\r\nhost: x\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(started.elapsed() < Duration::from_millis(650), "{:?}", started.elapsed());
}

/// A store that never answers, and tells when a question is given up.
struct Stuck(tokio::sync::mpsc::Sender<&'static str>);

/// Tells that it was dropped.
struct Given(tokio::sync::mpsc::Sender<&'static str>);

impl Drop for Given {
    fn drop(&mut self) {
        self.0.try_send("given up").unwrap();
    }
}

#[async_trait]
impl Store for Stuck {
    async fn erase(&self, _: &ProjectId, _: &weir_query::Filter) -> Result<u64, StoreError> {
        std::future::pending().await
    }

    async fn append(&self, _: &[Arc<Exchange>], _: Position) -> Result<(), StoreError> {
        Ok(())
    }
    fn durable_position(&self) -> Position {
        0
    }
    async fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn list(&self, _: &Listing) -> Result<Page, StoreError> {
        let _given = Given(self.0.clone());
        self.0.send("asked").await.unwrap();
        std::future::pending().await
    }
    async fn aggregate(&self, _: &Aggregation) -> Result<Table, StoreError> {
        Err(StoreError::TooLarge("a million groups".into()))
    }
    async fn get(&self, _: &ProjectId, _: ExchangeId) -> Result<Option<Exchange>, StoreError> {
        Err(StoreError::Failed("disk /secret/path is gone".into()))
    }
    async fn expire(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn shrink(&self, _: u64) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn status(&self) -> Result<StoreStatus, StoreError> {
        Err(StoreError::Busy("opening".into()))
    }
}

#[tokio::test]
async fn a_question_that_is_given_up_stops() {
    let (sender, mut told) = tokio::sync::mpsc::channel(8);
    let fixture = Fixture::with(|parts| {
        parts.store = Arc::new(Stuck(sender));
        parts.settings.question_timeout = Duration::from_millis(300);
    })
    .await;
    let request = fixture.client.get(fixture.url("/api/v1/exchanges")).send();
    let asked = tokio::time::timeout(Duration::from_millis(100), request).await;
    assert!(asked.is_err());
    assert_eq!(told.recv().await, Some("asked"));
    assert_eq!(told.recv().await, Some("given up"));

    let answer = fixture.get("/api/v1/exchanges").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(fixture.post("/api/v1/aggregate", &json!({})).await.status, 422);
    let failed = fixture.get("/api/v1/exchanges/01890000-0000-7000-8000-000000000000").await;
    assert_eq!((failed.status, failed.json()["detail"].as_str().unwrap().contains("secret")), (500, false));
    assert_eq!(fixture.get("/readyz").await.status, 503);
    assert_eq!(fixture.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn open_requests_end_before_the_server_does() {
    let (sender, mut told) = tokio::sync::mpsc::channel(8);
    let fixture = Fixture::with(|parts| {
        parts.store = Arc::new(Stuck(sender));
        parts.settings.question_timeout = Duration::from_millis(300);
    })
    .await;
    let request = fixture.client.get(fixture.url("/api/v1/exchanges")).send();
    let answer = tokio::spawn(request);
    assert_eq!(told.recv().await, Some("asked"));
    fixture.stop().await;
    assert_eq!(answer.await.unwrap().unwrap().status().as_u16(), 503);
}

#[tokio::test]
async fn every_described_get_answers_as_described() {
    let fixture = Fixture::start().await;
    fixture.hold(vec![exchange(1)]).await;
    let id = exchange(1).id.to_string();
    let profiles = json!([{"id": id}, {"id": id, "kind": "company"}, {"id": id, "kind": "subscription"}]);
    fixture.post("/toy/t/users", &profiles).await;
    let rule = json!({"name": "closed", "applies_to": "anyone", "block": true, "answer": {"status": 451}});
    let rule =
        fixture.post("/api/v1/governance/rules", &rule).await.json()["id"].as_str().unwrap().to_owned();
    let document = fixture.get("/api/openapi.json").await.json();
    let mut checked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() || path.ends_with("/live") {
            continue;
        }
        let id = if path.contains("/governance/") { &rule } else { &id };
        let asked = path.replace("{id}", id).replace("{side}", "request").replace("{name}", "status");
        let answer = fixture.get(&asked).await;
        assert_eq!(answer.status, 200, "{asked}");
        let content = &methods["get"]["responses"]["200"]["content"];
        if let Some(schema) = content.get("application/json").map(|content| &content["schema"]) {
            conforms(&document, schema, &answer.json(), path);
            checked += 1;
        }
    }
    assert!(checked >= 7, "{checked}");
    for (path, body) in
        [("/api/v1/explore", json!({})), ("/api/v1/aggregate", json!({"group_by": ["status"]}))]
    {
        let schema =
            &document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"];
        conforms(&document, schema, &fixture.post(path, &body).await.json(), path);
    }
}

/// Checks a value against the parts of JSON Schema that the document uses: every member is described, every required
/// one is there, types fit.
fn conforms(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return conforms(document, &document["components"]["schemas"][name], value, at);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        // Flattened: each part describes some members.
        let described: Vec<&str> = parts.iter().flat_map(|part| members(document, part)).collect();
        for name in value.as_object().unwrap().keys() {
            assert!(described.contains(&name.as_str()), "{at}: {name} is not described");
        }
        return;
    }
    if let Some(options) = schema["oneOf"].as_array() {
        let nullable = options.iter().any(|option| option["type"] == "null");
        let other = options.iter().find(|option| option["type"] != "null").unwrap();
        if !(nullable && value.is_null()) {
            conforms(document, other, value, at);
        }
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |allowed: &Value| allowed == kind || (allowed == "number" && kind == "integer");
    let fits = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(fits),
        Value::Null => true,
        one => fits(one),
    };
    assert!(fits, "{at}: {value} is not {}", schema["type"]);
    if let Value::Array(items) = value {
        items.iter().for_each(|item| conforms(document, &schema["items"], item, at));
    }
    if let (Value::Object(object), Some(properties)) = (value, schema["properties"].as_object()) {
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(object.contains_key(required.as_str().unwrap()), "{at}: {required} is missing");
        }
        for (name, member) in object {
            let schema = properties.get(name).unwrap_or_else(|| panic!("{at}: {name} is not described"));
            conforms(document, schema, member, &format!("{at}/{name}"));
        }
    }
}

fn members<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a str> {
    match schema["$ref"].as_str() {
        Some(reference) => {
            members(document, &document["components"]["schemas"][reference.rsplit('/').next().unwrap()])
        }
        None => schema["properties"].as_object().unwrap().keys().map(String::as_str).collect(),
    }
}
