//! `weir migrate-plugins` against the Admin API.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{Weir, run};

#[tokio::test(flavor = "multi_thread")]
async fn plugins_of_the_first_generation_become_galileo() {
    let weir = Weir::start().await;
    weir.route_everything_to("http://127.0.0.1:9").await;
    let old = [("name", "analytics"), ("service_token", "tok-1"), ("batch_size", "7"), ("delay", "3")];
    assert_eq!(weir.configure("/services/shop/plugins", &old).await.status(), 201);
    let own = [("name", "mashape-analytics"), ("config.service_token", "tok-2"), ("config.host", "alf.test")];
    assert_eq!(weir.configure("/plugins", &own).await.status(), 201);
    let before = plugins(&weir).await;

    let admin = weir.admin("");
    let command = ["migrate-plugins", "--admin", &admin, "--collector", "http://weir.test:8002"];
    let (fine, text) = run(&command);
    assert!(fine && text.contains("2 to migrate") && !text.contains("tok-"), "{text}");
    assert_eq!(plugins(&weir).await, before, "only shown");

    let (fine, text) = run(&[&command[..], &["--apply"]].concat());
    assert!(fine && text.contains("2 migrated"), "{text}");
    let after = plugins(&weir).await;
    assert_eq!(after.len(), 2);
    for plugin in &after {
        let config = &plugin["config"];
        assert_eq!(plugin["name"], "galileo");
        assert_eq!((&config["https"], &config["retry_count"]), (&json!(false), &json!(10)));
        if config["service_token"] == "tok-1" {
            assert_eq!(&plugin["service"], service_of(&before));
            assert_eq!((&config["queue_size"], &config["flush_timeout"]), (&json!(7), &json!(3)));
            assert_eq!((&config["host"], &config["port"]), (&json!("weir.test"), &json!(8002)));
        } else {
            assert_eq!((&config["host"], &config["port"]), (&json!("alf.test"), &json!(80)));
        }
    }
    let (fine, text) = run(&command);
    assert!(fine && text.contains("no plugin of the first generation"), "{text}");
}

async fn plugins(weir: &Weir) -> Vec<Value> {
    let text = weir.client.get(weir.admin("/plugins")).send().await.unwrap().text().await.unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["data"].as_array().unwrap().clone()
}

fn service_of(plugins: &[Value]) -> &Value {
    plugins.iter().map(|plugin| &plugin["service"]).find(|service| !service.is_null()).unwrap()
}
