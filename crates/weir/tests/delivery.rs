//! A collector that is away: what waits for it outlives stops and kills, and arrives when it is back.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::receiver::{Mood, Recorder};
use support::{Weir, upstream};
use weir_pipeline::testing::free_port;

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_plugins_target_outlives_a_stop_and_a_kill() {
    let port = free_port().to_string();
    let mut weir = Weir::start().await;
    weir.route_everything_to(&upstream().await).await;
    let galileo = [
        ("name", "galileo"),
        ("config.service_token", "tok-1"),
        ("config.host", "127.0.0.1"),
        ("config.port", &port),
        ("config.https", "false"),
        ("config.flush_timeout", "0.1"),
    ];
    assert_eq!(weir.configure("/services/shop/plugins", &galileo).await.status(), 201);
    call(&weir, 0..10).await;
    weir.wait_for("/api/v1/ledger", |ledger| held(ledger) == 10).await;
    weir.stop();
    weir.launch().await;
    call(&weir, 10..20).await;
    weir.wait_for("/api/v1/ledger", |ledger| held(ledger) == 20).await;
    weir.kill();
    weir.launch().await;
    assert_eq!(held(&weir.ask("/api/v1/ledger").await), 20);

    let collector = Weir::start_with(&[("WEIR_SERVER__LISTEN", &format!("127.0.0.1:{port}"))]).await;
    let list = collector.wait_for("/api/v1/exchanges?limit=100", |list| list["total"]["value"] == 20).await;
    let mut paths: Vec<&str> =
        list["exchanges"].as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), 20, "each once");
    let ledger = weir.wait_for("/api/v1/ledger", |ledger| held(ledger) == 0).await;
    assert_eq!(ledger["balanced"], true);
    let target = galileo_target(&ledger);
    assert_eq!((&target["offered"], &target["delivered"]), (&20.into(), &20.into()), "{target}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_is_put_right_without_a_restart_or_a_loss() {
    let weir = Weir::start().await;
    weir.route_everything_to(&upstream().await).await;
    let (wrong, right) = (Recorder::start(200).await, Recorder::start(200).await);
    wrong.set(Mood::Answer(503));
    let port = wrong.address.port().to_string();
    let galileo = [
        ("name", "galileo"),
        ("config.service_token", "tok-wrong"),
        ("config.host", "127.0.0.1"),
        ("config.port", &port),
        ("config.https", "false"),
        ("config.flush_timeout", "0.05"),
    ];
    let answer = weir.configure("/services/shop/plugins", &galileo).await;
    assert_eq!(answer.status(), 201);
    let plugin: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    call(&weir, 0..5).await;
    weir.wait_for("/api/v1/ledger", |ledger| galileo_target(ledger)["retries"].as_u64() > Some(0)).await;

    let url = weir.admin(&format!("/plugins/{}", plugin["id"].as_str().unwrap()));
    let change = serde_json::json!({"config": {"port": right.address.port(), "service_token": "tok-right"}});
    let request = weir.client.patch(url).header("content-type", "application/json");
    assert_eq!(request.body(change.to_string()).send().await.unwrap().status(), 200);
    call(&weir, 5..10).await;
    let ledger = weir
        .wait_for("/api/v1/ledger", |ledger| {
            let target = galileo_target(ledger);
            target["offered"] == 10 && target["held"] == 0
        })
        .await;
    assert_eq!(galileo_target(&ledger)["delivered"], 10, "{ledger:#}");
    let mut entries = 0;
    for call in right.calls() {
        let alf = call.json();
        assert_eq!(alf["serviceToken"], "tok-right");
        entries += alf["har"]["log"]["entries"].as_array().unwrap().len();
    }
    assert_eq!(entries, 10);
}

async fn call(weir: &Weir, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let answer = weir.client.get(weir.proxy(&format!("/items/{number}"))).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

fn galileo_target(ledger: &Value) -> &Value {
    let targets = ledger["targets"].as_array().unwrap();
    targets.iter().find(|target| target["kind"] == "galileo").expect("a target for the plugin")
}

fn held(ledger: &Value) -> u64 {
    galileo_target(ledger)["held"].as_u64().unwrap()
}
