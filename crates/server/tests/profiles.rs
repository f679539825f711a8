//! Users, companies and subscriptions, and the rules and rates for reporters, by the API.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{Fixture, exchange};

fn ids(list: &Value) -> Vec<&str> {
    list["profiles"].as_array().unwrap().iter().map(|profile| profile["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_reporters_say_of_users_is_merged_listed_and_forgotten() {
    let fixture = Fixture::start().await;
    let ann =
        json!({"metadata": {"name": "Ann", "email": "ann@acme.example", "plan": "free"}, "key": "s3cr3t"});
    let users = json!([
        {"id": "ann", "company": "acme", "properties": ann},
        {"id": "", "properties": {}},
        {"id": "bob", "properties": {"metadata": {"first_name": "Bob", "last_name": "Jones"}}},
        {"id": "ann", "properties": {"metadata": {"plan": "gold"}}},
    ]);
    let answer = fixture.post("/toy/t/users", &users).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.starts_with("[(1, \"an id of 0 bytes; 1 to 1024 are possible\")]"), "{text}");

    let ann = fixture.get("/api/v1/users/ann").await.json();
    assert_eq!(
        ann,
        json!({
            "id": "ann", "name": "Ann", "email": "ann@acme.example", "company": "acme",
            "first_seen": support::NOW, "last_seen": support::NOW, "sessions": [],
            "properties": {
                "key": "[masked]", "metadata": {"name": "Ann", "email": "ann@acme.example", "plan": "gold"}
            }
        })
    );
    let all = fixture.get("/api/v1/users").await.json();
    assert_eq!((ids(&all), &all["next"]), (vec!["bob", "ann"], &Value::Null));
    assert_eq!(all["profiles"][0]["name"], "Bob Jones");
    let first = fixture.get("/api/v1/users?limit=1").await.json();
    let next = first["next"].as_str().unwrap();
    let second = fixture.get(&format!("/api/v1/users?limit=1&cursor={next}")).await.json();
    assert_eq!((ids(&first), ids(&second), &second["next"]), (vec!["bob"], vec!["ann"], &Value::Null));
    assert_eq!(ids(&fixture.get("/api/v1/users?search=GOLD").await.json()), ["ann"]);
    assert_eq!(ids(&fixture.get("/api/v1/users?company=acme").await.json()), ["ann"]);
    assert_eq!(ids(&fixture.get("/api/v1/users?project=other").await.json()), [""; 0]);
    assert_eq!(ids(&fixture.get("/api/v1/companies").await.json()), [""; 0]);
    assert_eq!(ids(&fixture.get("/api/v1/subscriptions").await.json()), [""; 0]);

    let delete = fixture.client.delete(fixture.url("/api/v1/users/ann"));
    assert_eq!(fixture.send(delete).await.status, 204);
    let gone = fixture.get("/api/v1/users/ann").await;
    assert_eq!(gone.status, 404);
    assert_eq!(gone.json()["detail"], "no reporter said anything of a user \"ann\"");
    for (path, parameter) in [("/api/v1/users?cursor=x", "cursor"), ("/api/v1/companies?limit=0", "limit")] {
        let wrong = fixture.get(path).await;
        assert_eq!(
            (wrong.status, &wrong.json()["errors"][0]["parameter"]),
            (400, &json!(parameter)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn users_of_the_traffic_are_listed_without_profile() {
    let fixture = Fixture::start().await;
    fixture.hold((0..12).map(exchange).collect()).await;
    fixture.post("/toy/t/users", &json!([{"id": "u1"}])).await;
    let users = fixture.get("/api/v1/users").await.json();
    assert_eq!(ids(&users), ["u1"]);
    let without: Vec<(&str, i64)> = users["without_profile"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| (user["id"].as_str().unwrap(), user["count"].as_i64().unwrap()))
        .collect();
    assert_eq!((without[0], without.len()), (("u0", 3), 4), "{without:?}");
    assert!(!without.iter().any(|(id, _)| *id == "u1"));
    assert_eq!(fixture.get("/api/v1/users?search=u").await.json()["without_profile"], Value::Null);
    assert_eq!(fixture.get("/api/v1/companies").await.json()["without_profile"], json!([]));
    assert_eq!(fixture.get("/api/v1/subscriptions").await.json()["without_profile"], Value::Null);
}

#[tokio::test]
async fn rules_and_rates_are_kept_checked_and_published_under_one_tag() {
    let fixture = Fixture::start().await;
    let tag = async || {
        let answer = fixture.post("/toy/t/users", &json!([])).await;
        String::from_utf8_lossy(&answer.body).split(' ').nth(1).unwrap().to_owned()
    };
    let empty = tag().await;
    let rule = json!({
        "name": "no debts", "applies_to": "users", "members": {"ann": {}}, "block": true,
        "answer": {"status": 429, "headers": {"Retry-After": "60"}, "body": {"error": "pay first"}}
    });
    let added = fixture.post("/api/v1/governance/rules", &rule).await;
    assert_eq!(added.status, 201);
    let place = added.header("location").to_owned();
    let added = added.json();
    assert_eq!((&added["name"], &added["answer"]["status"]), (&json!("no debts"), &json!(429)));
    let rules = fixture.get("/api/v1/governance/rules").await.json();
    assert_eq!(rules["rules"], json!([added]));
    assert_eq!(rules["tag"].as_str().unwrap(), tag().await);
    assert_ne!(tag().await, empty);
    assert_eq!(fixture.get(&place).await.json(), added);
    assert_eq!(fixture.get(&format!("{place}?project=other")).await.status, 404);

    let mut stricter = rule.clone();
    stricter["answer"]["status"] = json!(451);
    let put = |path: &str, body: &Value| fixture.client.put(fixture.url(path)).body(body.to_string());
    let replaced = fixture.send(put(&place, &stricter)).await.json();
    assert_eq!((&replaced["id"], &replaced["answer"]["status"]), (&added["id"], &json!(451)));
    let with_rule = tag().await;
    let rates = json!({"rate": 10, "users": {"ann": 100}});
    let set = fixture.send(put("/api/v1/governance/sampling", &rates)).await;
    assert_eq!((set.status, &set.json()["rate"]), (200, &json!(10)));
    assert_eq!(fixture.get("/api/v1/governance/sampling").await.json()["users"], json!({"ann": 100}));
    assert_ne!(tag().await, with_rule);

    let wrong = fixture.send(put("/api/v1/governance/sampling", &json!({"rate": 130}))).await;
    assert_eq!(wrong.status, 400);
    let expected = json!([{"pointer": "/rate", "detail": "expected a percentage from 0 to 100, found 130"}]);
    assert_eq!(wrong.json()["errors"], expected);
    let unread = fixture.post("/api/v1/governance/rules", &json!({"name": "x"})).await;
    assert_eq!(unread.status, 400);
    assert!(unread.json()["detail"].as_str().unwrap().contains("applies_to"), "{}", unread.json());

    assert_eq!(fixture.send(fixture.client.delete(fixture.url(&place))).await.status, 204);
    assert_eq!(fixture.send(fixture.client.delete(fixture.url(&place))).await.status, 404);
    fixture.send(put("/api/v1/governance/sampling", &json!({}))).await;
    assert_eq!(tag().await, empty);
}
