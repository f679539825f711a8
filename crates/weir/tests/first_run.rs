//! What a newcomer does first: start, send a call through the gateway, find it, send it on to another system.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Weir, upstream};

#[tokio::test]
async fn a_call_through_the_gateway_is_listed_within_a_second() {
    let weir = Weir::start().await;
    weir.route_everything_to(&upstream().await).await;
    let sent = Instant::now();
    let answer = weir
        .client
        .post(weir.proxy("/echo?page=2"))
        .header("content-type", "application/json")
        .header("authorization", "Bearer tok-1")
        .body(r#"{"sku":"weir-42","password":"hunter2"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), r#"{"sku":"weir-42","password":"hunter2"}"#);

    let list = weir.wait_for("/api/v1/exchanges", |list| list["total"]["value"] == 1).await;
    assert!(sent.elapsed() < Duration::from_secs(1), "listed after {:?}", sent.elapsed());
    let row = &list["exchanges"][0];
    assert_eq!(
        (&row["method"], &row["path"], &row["status"]),
        (&json!("POST"), &json!("/echo"), &json!(200))
    );
    assert_eq!(row["service"], "shop");

    let one = weir.ask(&format!("/api/v1/exchanges/{}?bodies=true", row["id"].as_str().unwrap())).await;
    let body = one["request"]["body"]["text"].as_str().unwrap();
    assert!(body.contains("weir-42"), "{body}");
    assert!(!one.to_string().contains("hunter2") && !one.to_string().contains("tok-1"), "a secret was kept");

    for (query, hits) in
        [("weir-42", 1), ("request.body.sku:weir-42", 1), ("status:>=500", 0), ("nowhere", 0)]
    {
        let path = format!("/api/v1/exchanges?q={}", url_encoded(query));
        assert_eq!(weir.ask(&path).await["total"]["value"], hits, "{query}");
    }
}

#[tokio::test]
async fn the_commands_of_the_galileo_documentation_deliver_to_a_second_weir() {
    let collector = Weir::start().await;
    let weir = Weir::start().await;
    let upstream = upstream().await;
    let port = collector.address("server").port().to_string();
    let answer = weir
        .configure("/apis/", &[("name", "orders"), ("request_path", "/orders"), ("upstream_url", &upstream)])
        .await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    let galileo = [
        ("name", "galileo"),
        ("config.service_token", "tok-1"),
        ("config.environment", "staging"),
        ("config.log_bodies", "true"),
        ("config.host", "127.0.0.1"),
        ("config.port", &port),
        ("config.https", "false"),
        ("config.flush_timeout", "0.2"),
    ];
    let answer = weir.configure("/apis/orders/plugins/", &galileo).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    assert_eq!(weir.configure("/apis/orders/plugins/", &galileo).await.status(), 409);

    for number in 0..20 {
        let url = weir.proxy(&format!("/orders/{number}?page={number}&a=1&a=2"));
        let answer = weir.client.post(url).body(format!("body {number}")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    weir.wait_for("/api/v1/exchanges", |list| list["total"]["value"] == 20).await;
    let received = collector.wait_for("/api/v1/exchanges", |list| list["total"]["value"] == 20).await;
    assert_eq!(received["exchanges"][0]["source"], "galileo");

    let sent = by_path(&weir).await;
    for (path, theirs) in by_path(&collector).await {
        let ours = &sent[&path];
        assert_eq!(comparable(ours), comparable(&theirs), "{path}");
        assert_eq!(theirs["origin"]["environment"], "staging");
    }
    let ledger = weir.wait_for("/api/v1/ledger", |ledger| {
        ledger["targets"].as_array().unwrap().iter().all(|target| target["held"] == 0)
    });
    assert_eq!(ledger.await["balanced"], true);
}

/// Every exchange, whole, by its path.
async fn by_path(weir: &Weir) -> std::collections::BTreeMap<String, Value> {
    let mut all = std::collections::BTreeMap::new();
    let list = weir.ask("/api/v1/exchanges?limit=1000").await;
    for row in list["exchanges"].as_array().unwrap() {
        let id = row["id"].as_str().unwrap();
        let one = weir.ask(&format!("/api/v1/exchanges/{id}?bodies=true")).await;
        all.insert(row["path"].as_str().unwrap().to_owned(), one);
    }
    all
}

/// What ALF carries of an exchange; see the losses in the format's README.
fn comparable(one: &Value) -> Value {
    let headers = |message: &Value| {
        let mut headers: Vec<(String, String)> = message["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|header| {
                (
                    header["name"].as_str().unwrap().to_lowercase(),
                    header["value"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        headers.sort();
        headers
    };
    let (request, response) = (&one["request"], &one["response"]);
    let host = request["host"].as_str().unwrap().split(':').next().unwrap();
    json!({
        "method": request["method"], "scheme": request["scheme"], "host": host, "path": request["path"],
        "query": request["query"], "version": request["version"], "headers": headers(request),
        "size": request["body"]["size"], "text": request["body"]["text"],
        "status": response["status"], "response_headers": headers(response),
        "response_size": response["body"]["size"], "response_text": response["body"]["text"],
        "client": one["client"]["address"], "server": one["server"]["address"],
        "second": one["start_time"].as_str().unwrap()[..19],
    })
}

fn url_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
