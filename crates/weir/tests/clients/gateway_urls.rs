//! `requests-runscope`, which turns the addresses that a program calls into Gateway URLs.

use serde_json::json;

use crate::harness::Client;
use crate::support::{Weir, upstream};

#[tokio::test]
async fn calls_of_requests_runscope_pass_and_are_recorded_under_their_bucket() {
    let weir = Weir::start_with(&[
        ("WEIR_GATEWAY__GATEWAY_URLS__HOST", "runscope.net"),
        ("WEIR_GATEWAY__GATEWAY_URLS__TARGETS", "[\"127.0.0.1:*\"]"),
        ("WEIR_GATEWAY__GATEWAY_URLS__TOKENS", "{\"locked\": \"s3cr3t\"}"),
    ])
    .await;
    let upstream = upstream().await;
    let client = Client::installed("requests-runscope");
    let target = format!("{upstream}/pets?kind=dog");
    let script =
        client.python("fetch.py", &[&weir.proxy(""), "b1", "", &target, "http://example.org/"]).await;
    let [passed, refused] = script.saw.as_array().unwrap().as_slice() else { panic!("{:#}", script.saw) };
    assert_eq!(passed["status"], 200, "{passed:#}");
    assert_eq!(passed["url"], "http://127-0-0-1-b1.runscope.net/pets?kind=dog");
    assert_eq!(passed["body"], json!({"ok": true, "path": "/pets"}).to_string());
    assert_eq!(refused["status"], 403, "{refused:#}");
    let id = passed["headers"]["runscope-message-id"].as_str().unwrap().to_owned();
    script.end().await;

    let script = client.python("fetch.py", &[&weir.proxy(""), "locked", "s3cr3t", &target]).await;
    assert_eq!(script.saw[0]["status"], 200, "{:#}", script.saw);
    script.end().await;

    weir.wait_for("/api/v1/exchanges", |list| list["total"]["value"] == 3).await;
    let call = weir.ask(&format!("/api/v1/exchanges/{id}")).await;
    assert_eq!(call["request"]["url"], target.as_str(), "as if it had been called itself");
    let attributes = call["attributes"].as_array().unwrap();
    assert!(attributes.contains(&json!({"name": "runscope.bucket", "value": "b1"})), "{attributes:#?}");
    let names: Vec<&str> = call["request"]["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|header| header["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"x-client") && !names.iter().any(|name| name.starts_with("runscope")),
        "{names:?}"
    );
}
