//! ALF 1.0.0 member by member, and that our own receiver reads it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Body, Exchange, ExchangeId, Headers, Request, Response, Timings};

use super::encode::plan;
use super::exporter::{self, FIELDS};
use crate::galileo::decode;
use crate::galileo::encode::{CallPlan, Profile};
use crate::parts;

fn exchange() -> Exchange {
    let started_at: Timestamp = "2016-04-11T12:00:00.742Z".parse().unwrap();
    let request = Request {
        method: "POST".into(),
        scheme: "http".into(),
        host: "shop.example.test:8000".into(),
        path: "/items".into(),
        query: Some("a=1&flag".into()),
        version: "1.0".into(),
        headers: Headers::from_iter([
            ("Host", "shop.example.test:8000"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ]),
        body: Body::whole("qty=3&note=%2B"),
        ..Request::default()
    };
    let mut exchange = Exchange::new(ExchangeId::new(started_at), started_at, request);
    exchange.client = parts::peer("203.0.113.7");
    exchange.response = Some(Response {
        status: 201,
        headers: Headers::from_iter([("X-A", "1")]),
        body: Body::whole("ok"),
        ..Response::default()
    });
    let millis = |count| Some(Duration::from_millis(count));
    exchange.timings = Timings { send: millis(3), receive: millis(25), ..Timings::default() };
    exchange
}

fn sent(log_bodies: bool) -> Value {
    let profile = Profile { log_bodies, ..Profile::default() };
    let plan = plan(&[Arc::new(exchange())], "tok-1", Some("staging"), &profile);
    serde_json::from_slice(&plan.calls[0].body).unwrap()
}

#[test]
fn every_member_is_as_the_original_sent_it() {
    let expected = json!([{
        "version": "1.0.0", "serviceToken": "tok-1", "environment": "staging", "clientIPAddress": "203.0.113.7",
        "har": {"log": {"version": "1.2", "creator": {"name": "galileo-agent-kong", "version": "1.1.0"}, "entries": [{
            "startedDateTime": "2016-04-11T12:00:00Z", "time": 28.0,
            "request": {
                "method": "POST", "url": "http://shop.example.test/items?a=1&flag", "httpVersion": "HTTP/1", "cookies": [],
                "queryString": [{"name": "a", "value": "1"}, {"name": "flag", "value": "true"}],
                "headers": [{"name": "host", "value": "shop.example.test:8000"},
                            {"name": "content-type", "value": "application/x-www-form-urlencoded"}],
                "headersSize": 71, "bodySize": 14,
                "postData": {"mimeType": "application/x-www-form-urlencoded", "text": "cXR5PTMmbm90ZT0lMkI=",
                             "params": [{"name": "qty", "value": "3"}, {"name": "note", "value": "+"}]},
            },
            "response": {
                "status": 201, "statusText": "", "httpVersion": "", "cookies": [], "redirectURL": "",
                "headers": [{"name": "x-a", "value": "1"}], "headersSize": 4, "bodySize": 2,
                "content": {"size": 2, "mimeType": "application/octet-stream", "text": "b2s="},
            },
            "cache": {},
            "timings": {"blocked": -1, "connect": -1, "dns": -1, "ssl": -1, "send": 3.0, "wait": -1.0, "receive": 25.0},
        }]}},
    }]);
    assert_eq!(sent(true), expected);
    let without = &sent(false)[0]["har"]["log"]["entries"][0];
    assert_eq!(without["request"]["postData"]["text"], "");
    assert_eq!(without["request"]["postData"]["params"], json!([]));
    assert_eq!((&without["request"]["bodySize"], &without["response"]["bodySize"]), (&json!(0), &json!(2)));
}

#[test]
fn our_receiver_reads_it() {
    let decoded = decode::call(sent(true).to_string().as_bytes(), None).unwrap();
    let (credential, arrived) = &decoded.accepted[0];
    let original = exchange();
    assert_eq!((credential.token.as_str(), credential.environment.as_deref()), ("tok-1", Some("staging")));
    assert_eq!(arrived.request.body.bytes(), original.request.body.bytes());
    assert_eq!(arrived.request.host, original.request.host);
    assert_eq!(arrived.request.target(), original.request.target());
    assert_eq!(arrived.response.as_ref().unwrap().body.bytes().unwrap(), "ok");
    assert_eq!(arrived.client, original.client);
    assert_eq!(arrived.timings, original.timings);
}

#[test]
fn huge_entries_are_lost_alone_and_large_ones_part() {
    let with_body = |bytes: usize| {
        let mut exchange = exchange();
        exchange.request.headers = Headers::default();
        exchange.request.body = Body::whole(vec![b'.'; bytes]);
        Arc::new(exchange)
    };
    let batch = [with_body(1), with_body(16 << 20), with_body(9 << 20), with_body(9 << 20), with_body(1)];
    let profile = Profile { log_bodies: true, ..Profile::default() };
    let plan = plan(&batch, "t", None, &profile);
    let calls: Vec<Vec<usize>> = plan.calls.iter().map(CallPlan::indexes).collect();
    assert_eq!(calls, [[0, 2], [3, 4]]);
    assert_eq!(plan.too_large[0].0, 1);
}

#[test]
fn settings_of_the_old_plugin_are_understood() {
    let completed =
        weir_kit::schema::check(FIELDS, json!({"service_token": "t", "log_body": "true", "batch_size": "7"}));
    let built = exporter::build(completed.unwrap()).unwrap();
    assert_eq!((built.queue.max_batch_size, built.queue.max_attempts), (7, None));
    assert_eq!(built.queue.max_idle_delay, Some(Duration::from_secs(2)));
    assert_eq!(built.queue.max_coalescing_delay, Duration::from_secs(10));
    assert_eq!(built.capture.request_body_bytes, 1 << 20);
    assert_eq!(exporter::build(json!({})).err().unwrap().problems[0].key, "service_token");
    assert_eq!(
        exporter::build(json!({"service_token": "t", "path": "x"})).err().unwrap().problems[0].key,
        "path"
    );
    assert_eq!(crate::registry::exporter("analytics").unwrap().name, "mashape-analytics");
}
