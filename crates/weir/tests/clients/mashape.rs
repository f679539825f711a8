//! The Python middleware of Mashape Analytics: ALF 1.0.0, one report for each call.

use serde_json::{Value, json};

use crate::harness::Client;
use crate::support::Weir;

#[tokio::test]
async fn a_python_wsgi_application_reports_its_calls() {
    let weir = Weir::start_with(&[("WEIR_COLLECTOR__TOKENS", "{\"tok-py\": \"pets\"}")]).await;
    let address = weir.address("server");
    let client = Client::installed("mashape-analytics");
    let arguments = [address.ip().to_string(), address.port().to_string(), "tok-py".to_owned()];
    let script = client.python("wsgi.py", &arguments.each_ref().map(String::as_str)).await;
    assert_eq!(
        script.saw,
        json!([{"status": 200, "body": "[{\"name\":\"Rex\"}]"}, {"status": 302, "body": ""}])
    );
    script.end().await;

    let path = "/api/v1/exchanges?project=pets&order=asc";
    let list = weir.wait_for(path, |list| list["total"]["value"] == 2).await;
    let mut calls = Vec::new();
    for row in list["exchanges"].as_array().unwrap() {
        calls
            .push(weir.ask(&format!("/api/v1/exchanges/{}?project=pets", row["id"].as_str().unwrap())).await);
    }
    let [posted, moved] = calls.as_slice() else { panic!("{calls:#?}") };
    assert_eq!((&posted["request"]["method"], &posted["request"]["path"]), (&json!("POST"), &json!("/pets")));
    assert_eq!(posted["request"]["query"], "kind=dog&empty=");
    assert_eq!(posted["client"]["address"], "203.0.113.7", "the first of X-Forwarded-For");
    assert_eq!(posted["origin"]["environment"], "staging");
    assert_eq!(posted["origin"]["node"], "mashape-analytics-agent-python 1.1.0");
    assert_eq!(header(&posted["request"], "x-client"), "test", "names arrive in upper case and are folded");
    assert_eq!(
        (&posted["request"]["body"]["size"], &posted["response"]["body"]["size"]),
        (&json!(5), &json!(16))
    );
    assert_eq!(header(&posted["response"], "x-shop"), "pets");
    assert_eq!(posted["response"]["reason"], "OK");
    assert_eq!(
        (&moved["response"]["status"], header(&moved["response"], "location")),
        (&json!(302), "/pets")
    );
}

fn header<'a>(message: &'a Value, name: &str) -> &'a str {
    let headers = message["headers"].as_array().unwrap();
    let found = headers.iter().find(|header| header["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {headers:#?}"))["value"].as_str().unwrap()
}
