//! Lists, single exchanges, bodies, explorations, aggregations, fields.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;

use serde_json::{Value, json};
use support::{Fixture, exchange};
use weir_model::{Attributes, Body, Captured, Finding, Headers, Severity, WhyNot};

async fn with_hundred() -> Fixture {
    let fixture = Fixture::start().await;
    fixture.hold((0..100).map(exchange).collect()).await;
    fixture
}

fn paths(list: &Value) -> Vec<String> {
    let rows = list["exchanges"].as_array().unwrap();
    rows.iter().map(|row| row["path"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_row_has_everything_the_contract_names() {
    let fixture = with_hundred().await;
    let list = fixture.get("/api/v1/exchanges?limit=1&q=path:/users/10").await.json();
    assert_eq!(list["total"], json!({"value": 1, "relation": "eq"}));
    let row = &list["exchanges"][0];
    let id = row["id"].as_str().unwrap();
    assert_eq!(
        row,
        &json!({
            "id": id, "start_time": "2026-11-20T11:49:59Z", "duration_ms": 10.0, "method": "GET", "scheme": "https",
            "host": "api.example.com", "path": "/users/10", "query": "page=2", "status": 502, "endpoint": "/users/{id}",
            "operation": null, "protocol": "rest", "service": null, "route": null, "consumer": null, "user": "u0",
            "company": null, "client": null, "request_size": 36, "response_size": 50, "error": null,
            "source": "gateway", "findings": [], "weight": 1
        })
    );
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_in_both_directions() {
    let fixture = with_hundred().await;
    for (order, first) in [("desc", "/users/0"), ("asc", "/users/99")] {
        let mut seen: Vec<String> = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/exchanges?limit=7&order={order}&cursor={cursor}");
            let list = fixture.get(&path).await.json();
            assert_eq!(list["total"]["value"], 100);
            seen.extend(paths(&list));
            match list["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen.first().unwrap(), first);
        assert_eq!(seen.len(), 100);
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 100);
    }
}

#[tokio::test]
async fn questions_are_narrowed_by_text_and_time() {
    let fixture = with_hundred().await;
    for (query, count) in [
        ("", 100),
        ("q=status:%3E%3D500", 10),
        ("q=status:5xx+-path:/users/10", 9),
        ("q=%22card+declined%22", 100),
        ("q=%22declined+card%22", 0),
        ("q=request.body.amount:%3C5", 5),
        ("q=latency:%3E90ms", 9),
        ("from=now-10m&to=now", 10),
        ("from=2026-11-20T11:00:00Z&to=2026-11-20T11:30:00Z", 30),
        ("from=now/d&q=user:(u1+u2)", 40),
        ("project=other", 0),
    ] {
        let list = fixture.get(&format!("/api/v1/exchanges?{query}")).await.json();
        assert_eq!(list["total"]["value"], count, "{query}: {list}");
    }
}

#[tokio::test]
async fn all_mistakes_come_as_one_problem() {
    let fixture = Fixture::start().await;
    let answer = fixture.get("/api/v1/exchanges?q=staus:1+latency:%3Efast&from=soon&limit=0").await;
    assert_eq!((answer.status, answer.header("content-type")), (400, "application/problem+json"));
    let problem = answer.json();
    assert_eq!(
        problem["errors"],
        json!([
            {"parameter": "from", "detail": "\"soon\" is not a time; write 2026-11-03T14:00:00Z, 2026-11-03, now-6h, now/d or epoch milliseconds"},
            {"parameter": "q", "detail": "unknown field \"staus\"; did you mean status?", "offset": 0, "length": 5},
            {"parameter": "q", "detail": "\"fast\" is not a duration; give a duration, for example latency:>500ms", "offset": 17, "length": 4},
            {"parameter": "limit", "detail": "expected a whole number from 1 to 1000, found \"0\""}
        ])
    );
    let answer = fixture.post("/api/v1/aggregate", &json!({"q": "a (b", "measures": ["p50(path)"]})).await;
    let errors = answer.json()["errors"].clone();
    assert_eq!((errors[0]["pointer"].as_str(), errors[0]["offset"].as_u64()), (Some("/q"), Some(2)));
    assert_eq!(errors[1]["pointer"], "/measures/0");
    for (path, status) in [
        ("/api/v1/exchanges?limt=5", 400),
        ("/api/v1/exchanges?cursor=zzz", 400),
        ("/api/v1/nothing", 404),
        ("/api/v2/exchanges", 404),
        ("/api/v1/exchanges/not-an-id", 404),
        ("/api/v1/exchanges/01890000-0000-7000-8000-000000000000", 404),
        ("/api/v1/fields/nothing/values", 404),
    ] {
        let answer = fixture.get(path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, "application/problem+json"),
            "{path}"
        );
        assert!(!answer.header("x-request-id").is_empty());
    }
    let answer = fixture.send(fixture.client.put(fixture.url("/api/v1/exchanges"))).await;
    assert_eq!((answer.status, answer.json()["status"].as_u64()), (405, Some(405)));
    let answer = fixture.send(fixture.client.post(fixture.url("/api/v1/explore")).body("{")).await;
    assert_eq!(answer.status, 400);
    let answer =
        fixture.send(fixture.client.post(fixture.url("/api/v1/explore")).body("x".repeat(300 << 10))).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn one_exchange_is_whole() {
    let fixture = Fixture::start().await;
    let mut odd = exchange(3);
    odd.request.headers.push("X-Odd", &b"a\xffb"[..]);
    odd.findings.push(Finding {
        kind: "sqli".into(),
        severity: Severity::Warning,
        location: "url.query".into(),
        evidence: "' or 1=1".into(),
    });
    odd.attributes = Attributes::default();
    odd.attributes.set("har.json", weir_model::Value::Json("{\"a\":[1]}".into()));
    odd.request.body = Body { captured: Captured::No(WhyNot::Budget), ..Body::of_size(9) };
    let id = odd.id;
    fixture.hold(vec![odd]).await;
    let detail = fixture.get(&format!("/api/v1/exchanges/{id}")).await.json();
    assert_eq!(detail["request"]["url"], "https://api.example.com:8443/users/3?page=2");
    assert_eq!(detail["request"]["headers"][2], json!({"name": "X-Odd", "value": "a\u{fffd}b"}));
    assert_eq!(
        detail["request"]["body"],
        json!({"size": 9, "captured": "no", "reason": "budget", "captured_size": 0, "media_type": "application/json", "coding": ""})
    );
    assert_eq!(detail["response"]["body"]["captured_size"], 50);
    assert_eq!(detail["response"]["body"]["text"], Value::Null);
    assert_eq!(detail["findings"][0]["severity"], "warning");
    assert_eq!(detail["attributes"][0], json!({"name": "har.json", "value": {"a": [1]}}));
    let with_bodies = fixture.get(&format!("/api/v1/exchanges/{id}?bodies=true")).await;
    assert_eq!(with_bodies.json()["response"]["body"]["text"], "0123456789".repeat(5));
    let again = fixture.client.get(fixture.url(&format!("/api/v1/exchanges/{id}?bodies=true")));
    let again = fixture.send(again.header("if-none-match", with_bodies.header("etag"))).await;
    assert_eq!(again.status, 304);
    let har = fixture.get(&format!("/api/v1/exchanges/{id}/har")).await;
    assert_eq!(har.json(), json!({"entries": ["/users/3"]}));
}

#[tokio::test]
async fn bodies_come_by_range_and_never_as_what_they_claim_to_be() {
    let fixture = Fixture::start().await;
    let mut hostile = exchange(1);
    let response = hostile.response.as_mut().unwrap();
    response.headers = Headers::from_iter([("Content-Type", "text/html\r\nSet-Cookie: a=b")]);
    response.body = Body::whole("<script>alert(1)</script>");
    let id = hostile.id;
    fixture.hold(vec![hostile]).await;
    let path = format!("/api/v1/exchanges/{id}/response/body");
    let whole = fixture.get(&path).await;
    assert_eq!((whole.status, whole.body.as_ref()), (200, &b"<script>alert(1)</script>"[..]));
    assert_eq!(whole.header("content-type"), "application/octet-stream");
    assert_eq!(whole.header("content-disposition"), "attachment");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    assert_eq!(whole.header("set-cookie"), "");
    assert_eq!(whole.header("x-captured-content-type"), "");
    let part = fixture.send(fixture.client.get(fixture.url(&path)).header("range", "bytes=1-6")).await;
    assert_eq!((part.status, part.body.as_ref()), (206, &b"script"[..]));
    assert_eq!(part.header("content-range"), "bytes 1-6/25");
    let outside = fixture.send(fixture.client.get(fixture.url(&path)).header("range", "bytes=99-")).await;
    assert_eq!((outside.status, outside.header("content-range")), (416, "bytes */25"));
    let request = fixture.get(&format!("/api/v1/exchanges/{id}/request/body")).await;
    assert_eq!(request.json()["amount"], 1);
    assert_eq!(request.header("x-captured-content-type"), "application/json");
    assert_eq!(fixture.get(&format!("/api/v1/exchanges/{id}/middle/body")).await.status, 404);
}

#[tokio::test]
async fn packed_bodies_are_unpacked_unless_asked_for_as_captured() {
    let fixture = Fixture::start().await;
    // `printf hello | gzip -n`, whole and cut.
    let packed: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcbH\xcd\xc9\xc9\x07\0\x86\xa6\x106\x05\0\0\0";
    let (mut one, mut other) = (exchange(1), exchange(2));
    for (exchange, captured) in
        [(&mut one, Captured::Whole(packed.into())), (&mut other, Captured::Cut(packed[..12].into()))]
    {
        let coding = weir_model::body::ContentCoding::of_header(Some("gzip"));
        exchange.response.as_mut().unwrap().body = Body { captured, coding, ..Body::of_size(25) };
    }
    let ids = [one.id, other.id];
    fixture.hold(vec![one, other]).await;
    let body = |index: usize, query: &str| format!("/api/v1/exchanges/{}/response/body{query}", ids[index]);
    assert_eq!(fixture.get(&body(0, "")).await.body.as_ref(), b"hello");
    assert_eq!(fixture.get(&body(0, "?coding=wire")).await.body.as_ref(), packed);
    assert_eq!(fixture.get(&body(1, "")).await.status, 422);
    assert_eq!(fixture.get(&body(1, "?coding=wire")).await.body.as_ref(), &packed[..12]);
}

#[tokio::test]
async fn an_exploration_gives_page_histogram_and_total() {
    let fixture = with_hundred().await;
    let answer = fixture
        .post("/api/v1/explore", &json!({"from": "now-1h", "to": "now", "limit": 3, "buckets": 60}))
        .await;
    let explored = answer.json();
    assert_eq!((explored["total"]["value"].as_u64(), paths(&explored).len()), (Some(60), 3));
    assert!(explored["next"].is_string());
    assert_eq!(explored["from"], "2026-11-20T11:00:00Z");
    assert_eq!(explored["histogram"]["interval_ms"], 60_000);
    let buckets = explored["histogram"]["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 60);
    assert_eq!(buckets[0]["start"], "2026-11-20T11:00:00Z");
    let sum =
        |class: &str| buckets.iter().map(|bucket| bucket["counts"][class].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("2xx"), sum("5xx"), sum("none")), (54, 6, 0));
    let next = explored["next"].as_str().unwrap();
    let list =
        fixture.get(&format!("/api/v1/exchanges?from=now-1h&to=now&limit=3&cursor={next}")).await.json();
    assert_eq!(paths(&list), ["/users/3", "/users/4", "/users/5"]);

    let filter = json!({"field": "status", "op": "eq", "value": 502});
    let first =
        fixture.post("/api/v1/explore", &json!({"filter": filter, "limit": 4, "buckets": 0})).await.json();
    assert_eq!(first["histogram"]["buckets"], json!([]));
    let more = json!({"filter": filter, "limit": 4, "buckets": 0, "cursor": first["next"]});
    assert_eq!(paths(&fixture.post("/api/v1/explore", &more).await.json())[0], "/users/40");
    let wrong = fixture.post("/api/v1/explore", &json!({"cursor": "x"})).await;
    assert_eq!((wrong.status, wrong.json()["errors"][0]["pointer"].as_str()), (400, Some("/cursor")));

    let all = fixture.post("/api/v1/explore", &json!({})).await.json();
    assert_eq!((all["total"]["value"].as_u64(), all["exchanges"].as_array().unwrap().len()), (Some(100), 50));
    let counted: u64 = all["histogram"]["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|bucket| bucket["counts"].as_object().unwrap().values())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!(counted, 100);
    let filtered = json!({"q": "method:GET", "filter": {"field": "status", "op": "range", "gte": 500}});
    assert_eq!(fixture.post("/api/v1/explore", &filtered).await.json()["total"]["value"], 6);
    let empty = Fixture::start().await.post("/api/v1/explore", &json!({})).await.json();
    assert_eq!(
        (empty["total"]["value"].as_u64(), empty["histogram"]["buckets"].clone()),
        (Some(0), json!([]))
    );
}

#[tokio::test]
async fn figures_come_in_tables_with_durations_in_milliseconds() {
    let fixture = with_hundred().await;
    let table = fixture
        .post(
            "/api/v1/aggregate",
            &json!({"group_by": ["user"], "measures": ["count", "max(latency)", "error_ratio"], "order_by": "max(latency)", "limit": 2}),
        )
        .await
        .json();
    assert_eq!(table["rows"], json!([["u4", 20, 99.0, 0.0], ["u3", 20, 98.0, 0.0]]));
    assert_eq!(table["more"], true);
    let kinds: Vec<_> =
        table["columns"].as_array().unwrap().iter().map(|column| column["type"].clone()).collect();
    assert_eq!(kinds, ["keyword", "count", "duration", "ratio"]);
    let last =
        json!({"group_by": ["status"], "measures": ["min(time)", "max(time)"], "order_by": "max(time)"});
    let table = fixture.post("/api/v1/aggregate", &last).await.json();
    assert_eq!(table["columns"][1], json!({"name": "min(time)", "type": "time"}));
    let [newest, older] = [0, 1].map(|row: usize| table["rows"][row].as_array().unwrap().clone());
    assert!(newest[1].as_str() < newest[2].as_str() && newest[2].as_str() > older[2].as_str(), "{table}");
    let bands = json!({"group_by": [{"field": "latency", "bounds": [10, 50]}]});
    let table = fixture.post("/api/v1/aggregate", &bands).await.json();
    assert_eq!(table["rows"], json!([[2, 50], [1, 40], [0, 10]]));
    let timed = json!({"interval": "1h", "from": "now-2h", "to": "now", "group_by": ["status_class"]});
    let table = fixture.post("/api/v1/aggregate", &timed).await.json();
    assert_eq!(
        table["rows"],
        json!([
            ["2026-11-20T10:00:00Z", "2xx", 36],
            ["2026-11-20T10:00:00Z", "5xx", 4],
            ["2026-11-20T11:00:00Z", "2xx", 54],
            ["2026-11-20T11:00:00Z", "5xx", 6],
        ])
    );
    assert_eq!(table["columns"][0]["name"], "time");
}

#[tokio::test]
async fn fields_and_their_values_are_listed() {
    let fixture = with_hundred().await;
    let fields = fixture.get("/api/v1/fields").await.json();
    assert!(fields["fields"].as_array().unwrap().iter().any(|field| field["aliases"][0] == "status"));
    assert!(fields["families"].as_array().unwrap().iter().any(|family| family["prefix"] == "request.body."));
    for (path, expected) in [
        (
            "status/values?limit=1",
            json!({"values": [{"value": 200, "count": 90}], "more": true, "approximate": false}),
        ),
        (
            "status/values?q=status:5xx",
            json!({"values": [{"value": 502, "count": 10}], "more": false, "approximate": false}),
        ),
        ("company/values", json!({"values": [], "more": false, "approximate": false})),
        (
            "path/values?prefix=/users/99",
            json!({"values": [{"value": "/users/99", "count": 1}], "more": false, "approximate": false}),
        ),
        (
            "status/values?prefix=5",
            json!({"values": [{"value": 502, "count": 10}], "more": false, "approximate": false}),
        ),
        (
            "request.header.user-agent/values",
            json!({"values": [{"value": "curl/8", "count": 100}], "more": false, "approximate": false}),
        ),
        ("request.body.amount/values?prefix=42", json!({"values": [], "more": false, "approximate": false})),
    ] {
        assert_eq!(fixture.get(&format!("/api/v1/fields/{path}")).await.json(), expected, "{path}");
    }
}

#[tokio::test]
async fn hostile_names_are_data() {
    let fixture = Fixture::start().await;
    let mut hostile = exchange(1);
    hostile.request.path = "/<img src=x>\u{202e}\"\\\n".into();
    hostile.identity.user = Some("\u{0}'; drop table users; --".into());
    let id = hostile.id;
    fixture.hold(vec![hostile]).await;
    let list = fixture.get("/api/v1/exchanges").await;
    assert_eq!(list.header("content-type"), "application/json");
    assert_eq!(paths(&list.json()), ["/<img src=x>\u{202e}\"\\\n"]);
    assert_eq!(fixture.get(&format!("/api/v1/exchanges/{id}")).await.status, 200);
    for path in [
        "/api/v1/exchanges/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/api/v1/exchanges/%00",
        "/api/v1/fields/%ff%fe/values",
        "/api/v1/fields/request.header.%0d%0aX:%20y/values",
        "/api/v1/exchanges?q=%ff%00",
        "/assets/..%2f..%2fCargo.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
    ] {
        let answer = fixture.get(path).await;
        assert!(matches!(answer.status, 200 | 400 | 404), "{path}: {}", answer.status);
        assert!(!String::from_utf8_lossy(&answer.body).contains("root:"), "{path}");
    }
}

#[tokio::test]
async fn what_matches_is_erased_and_nothing_else() {
    let fixture = Fixture::start().await;
    fixture.hold((0..30).map(exchange).collect()).await;
    let erase = async |query: &str| {
        let url = fixture.url(&format!("/api/v1/exchanges{query}"));
        fixture.send(fixture.client.delete(url)).await
    };
    let total = async || fixture.get("/api/v1/exchanges").await.json()["total"]["value"].clone();
    for query in ["", "?q=", "?q=++", "?from=now-1h"] {
        let refused = erase(query).await;
        assert_eq!(refused.status, 400, "{query}");
        assert_eq!(refused.json()["errors"][0]["parameter"], "q", "{query}");
    }
    assert_eq!(erase("?q=staus:500").await.status, 400);
    assert_eq!(erase("?q=status:502&limit=1").await.status, 400);
    assert_eq!(total().await, 30);
    assert_eq!(erase("?q=status:502&project=other").await.json()["erased"], 0);
    assert_eq!(erase("?q=status:502&from=now-15m").await.json()["erased"], 2, "those of the last 15 minutes");
    assert_eq!(total().await, 28);
    assert_eq!(erase("?q=status:502").await.json(), json!({"erased": 1}));
    assert_eq!(erase("?q=status:502").await.json(), json!({"erased": 0}));
    assert_eq!(fixture.get("/api/v1/exchanges?q=status:502").await.json()["total"]["value"], 0);
    assert_eq!(total().await, 27);
    fixture.stop().await;
}
