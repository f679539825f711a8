//! The SDKs of Moesif: events, users, companies, subscriptions, configuration, and rules that the caller feels.

use serde_json::{Value, json};

use crate::harness::{Client, Running};
use crate::support::Weir;

/// As long as the Node SDK wants it.
const APPLICATION_ID: &str = "weir-shop-application-0000000000000000000000000000000001";

/// A weir with a closed part and a user in debt.
async fn weir() -> Weir {
    let weir = Weir::start_with(&[
        ("WEIR_COLLECTOR__UNKNOWN_CREDENTIALS", "refuse"),
        ("WEIR_COLLECTOR__TOKENS", &format!("{{\"{APPLICATION_ID}\": \"shop\"}}")),
    ])
    .await;
    let closed = json!({
        "name": "closed", "applies_to": "anyone", "block": true,
        "when": [[{"path": "request.route", "pattern": "/forbidden"}]],
        "answer": {"status": 451, "headers": {"X-Why": "law"}, "body": {"error": "closed by law"}}
    });
    let debts = json!({
        "name": "debts", "applies_to": "users", "members": {"debtor": {"0": "42 EUR"}}, "block": true,
        "variables": {"0": "metadata.debts"},
        "answer": {"status": 429, "headers": {"Retry-After": "60"}, "body": {"error": "you owe {{0}}"}}
    });
    for rule in [closed, debts] {
        let url = weir.server("/api/v1/governance/rules?project=shop");
        let answer = weir.client.post(url).body(rule.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }
    weir
}

async fn rule_id(weir: &Weir, name: &str) -> String {
    let rules = weir.ask("/api/v1/governance/rules?project=shop").await;
    let rules = rules["rules"].as_array().unwrap();
    rules.iter().find(|rule| rule["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
}

/// The exchanges that match, when there are this many.
async fn exchanges(weir: &Weir, question: &str, count: usize) -> Vec<Value> {
    let path = format!("/api/v1/exchanges?project=shop&q={question}");
    let enough = |answer: &Value| answer["exchanges"].as_array().unwrap().len() >= count;
    let list = weir.wait_for(&path, enough).await;
    let list = list["exchanges"].as_array().unwrap();
    assert_eq!(list.len(), count, "{question}: {list:#?}");
    let mut whole = Vec::new();
    for row in list {
        let id = row["id"].as_str().unwrap();
        whole.push(weir.ask(&format!("/api/v1/exchanges/{id}?project=shop&bodies=true")).await);
    }
    whole
}

/// The one of these with this method and path.
fn only<'a>(exchanges: &'a [Value], method: &str, path: &str) -> &'a Value {
    let is_it =
        |exchange: &&Value| exchange["request"]["method"] == method && exchange["request"]["path"] == path;
    exchanges.iter().find(is_it).unwrap_or_else(|| panic!("no {method} {path} in {exchanges:#?}"))
}

/// A fact about an exchange that has no place of its own.
fn attribute<'a>(exchange: &'a Value, name: &str) -> &'a Value {
    let found = exchange["attributes"].as_array().unwrap().iter().find(|fact| fact["name"] == name);
    found.map_or(&Value::Null, |fact| &fact["value"])
}

async fn profile(weir: &Weir, path: &str) -> Value {
    weir.ask(&format!("/api/v1/{path}?project=shop")).await
}

#[tokio::test]
async fn a_python_wsgi_application_reports_and_obeys() {
    let weir = weir().await;
    let client = Client::installed("moesif-python");
    let script = client.python("wsgi.py", &[&weir.server(""), APPLICATION_ID]).await;
    assert_eq!(
        script.saw,
        json!({
            "list": 200, "create": 201, "packed": 200, "forbidden": [451, "law", {"error": "closed by law"}],
            "debtor": [429, "60", {"error": "you owe 42 EUR"}]
        })
    );
    script.end().await;

    let calls = exchanges(&weir, "user:ann", 4).await;
    let listed = only(&calls, "GET", "/items");
    assert_eq!(
        (&listed["request"]["query"], &listed["identity"]["company"]),
        (&json!("page=2"), &json!("acme"))
    );
    let created = only(&calls, "POST", "/items");
    assert_eq!(created["response"]["status"], 201);
    let text = created["request"]["body"]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), json!({"name": "lamp", "password": "[masked]"}));
    assert_eq!(only(&calls, "GET", "/packed")["response"]["body"]["text"], "{\"packed\": true}");
    let forbidden = only(&calls, "GET", "/forbidden/1");
    assert_eq!(forbidden["response"]["status"], 451);
    assert_eq!(*attribute(forbidden, "moesif.blocked_by"), rule_id(&weir, "closed").await);
    let debtor = &exchanges(&weir, "user:debtor", 1).await[0];
    assert_eq!(debtor["response"]["status"], 429);

    let ann = profile(&weir, "users/ann").await;
    assert_eq!((&ann["name"], &ann["company"]), (&json!("Ann"), &json!("acme")));
    assert_eq!(ann["properties"]["metadata"], json!({"name": "Ann", "plan": "gold"}));
    assert_eq!(profile(&weir, "users/debtor").await["properties"]["metadata"]["debts"], json!([1, 2]));
    assert_eq!(profile(&weir, "companies/acme").await["properties"]["company_domain"], "acme.example");
    assert_eq!(profile(&weir, "companies").await["profiles"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_python_asgi_application_reports_and_obeys() {
    let weir = weir().await;
    let client = Client::installed("moesif-python");
    let script = client.python("asgi.py", &[&weir.server(""), APPLICATION_ID]).await;
    assert_eq!(script.saw, json!({"list": 200, "create": 201, "forbidden": [451, "law"]}));
    let calls = exchanges(&weir, "user:ann", 3).await;
    script.end().await;
    assert_eq!(only(&calls, "GET", "/items")["response"]["status"], 200);
    let created = only(&calls, "POST", "/items");
    assert_eq!(created["response"]["status"], 201);
    let text = created["request"]["body"]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), json!({"name": "lamp"}));
    let forbidden = only(&calls, "GET", "/forbidden/1");
    assert_eq!(forbidden["response"]["status"], 451);
    assert_eq!(*attribute(forbidden, "moesif.blocked_by"), rule_id(&weir, "closed").await);
}

#[tokio::test]
async fn the_python_client_makes_every_call_it_has() {
    let weir = weir().await;
    let client = Client::installed("moesif-python");
    let script: Running = client.python("api.py", &[&weir.server(""), APPLICATION_ID]).await;
    assert_eq!(script.saw, json!({"same_tag": true, "sample_rate": 100, "rules": 2}));
    script.end().await;
    let calls = exchanges(&weir, "host:api.acme.example", 3).await;
    assert!(calls.iter().all(|call| attribute(call, "moesif.direction") == "Outgoing"), "{calls:#?}");
    assert_eq!(profile(&weir, "users").await["profiles"].as_array().unwrap().len(), 3);
    let subscription = profile(&weir, "subscriptions/sub-1").await;
    assert_eq!(
        (&subscription["company"], &subscription["properties"]["status"]),
        (&json!("acme"), &json!("active"))
    );
    assert_eq!(profile(&weir, "subscriptions/sub-2").await["company"], "other");

    // An application that nobody knows is told so, and kept out.
    let answer = weir
        .client
        .post(weir.server("/v1/users"))
        .header("x-moesif-application-id", "stranger")
        .body("{\"user_id\":\"eve\"}")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn a_node_application_reports_and_obeys() {
    let weir = weir().await;
    let client = Client::installed("moesif-node");
    let script = client.node("server.cjs", &[&weir.server(""), APPLICATION_ID]).await;
    assert_eq!(
        script.saw,
        json!({
            "list": 200, "create": 201, "forbidden": [451, "law", {"error": "closed by law"}],
            "debtor": [429, {"error": "you owe 42 EUR"}]
        })
    );
    let calls = exchanges(&weir, "user:ann -method:ACTION", 3).await;
    let action = &exchanges(&weir, "method:ACTION", 1).await[0];
    let debtor = &exchanges(&weir, "user:debtor", 1).await[0];
    script.end().await;
    assert_eq!(only(&calls, "GET", "/items")["request"]["query"], "page=2");
    let created = only(&calls, "POST", "/items");
    assert!(!created["request"]["body"]["text"].as_str().unwrap().contains("s3cr3t"), "{created:#}");
    let forbidden = only(&calls, "GET", "/forbidden/1");
    assert_eq!(forbidden["response"]["status"], 451);
    assert_eq!(*attribute(forbidden, "moesif.blocked_by"), rule_id(&weir, "closed").await);
    assert_eq!(*attribute(debtor, "moesif.blocked_by"), rule_id(&weir, "debts").await);
    assert_eq!(*attribute(action, "moesif.action_name"), "Clicked Sign Up");

    let ann = profile(&weir, "users/ann").await;
    assert_eq!(ann["properties"]["metadata"], json!({"name": "Ann", "plan": "gold"}));
    assert_eq!(profile(&weir, "users/bob").await["email"], "bob@acme.example");
    assert_eq!(profile(&weir, "companies/acme").await["properties"]["metadata"], json!({"size": 12}));
    assert_eq!(profile(&weir, "subscriptions/sub-1").await["properties"]["status"], "active");
}
