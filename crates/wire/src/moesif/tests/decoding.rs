//! What becomes of events as senders write them, and of bytes that are none.

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_model::{Captured, Exchange, Peer, WhyNot};

use crate::moesif::decode::{self, MAX_EVENTS, Reporter};
use crate::moesif::{TRANSACTION_ID, attribute};

const KONG: &str = "kong-plugin-moesif/2.1.2";

fn reporter() -> Reporter<'static> {
    Reporter { application_id: "app", user_agent: None, peer: Peer::new([198, 51, 100, 7].into(), Some(999)) }
}

/// An event with some members changed; `null` stays `null`, as Python sends it.
fn event(request: Value, response: Value) -> Value {
    let mut event = json!({
        "request": {"time": "2024-05-06T07:08:09.005", "uri": "https://api.test:8443/a?b=1", "verb": "GET"},
        "response": {"time": "2024-05-06T07:08:09.045", "status": 200},
    });
    for (part, changes) in [("request", request), ("response", response)] {
        for (name, value) in changes.as_object().unwrap() {
            event[part][name] = value.clone();
        }
    }
    event
}

fn read(event: &Value) -> Exchange {
    decode::event(&event.to_string(), &reporter()).unwrap()
}

fn refused(event: &Value) -> String {
    decode::event(&event.to_string(), &reporter()).unwrap_err()
}

fn text(exchange: &Exchange) -> &str {
    std::str::from_utf8(exchange.request.body.bytes().unwrap()).unwrap()
}

#[test]
fn a_whole_event_is_read() {
    let mut event = event(
        json!({"headers": {"Host": "api.test", "accept": ["a", "b"], "x-null": null, "x-number": 5}, "ip_address": "192.0.2.1",
               "api_version": "2"}),
        json!({"ip_address": "192.0.2.2", "headers": {"etag": "e"}}),
    );
    for (name, value) in [
        ("user_id", json!(42)),
        ("company_id", json!("")),
        ("subscription_id", json!("s")),
        ("session_token", json!("t")),
        ("weight", json!("3")),
        ("direction", json!("Outgoing")),
        ("blocked_by", json!("rule")),
        ("metadata", json!({"kong": {"service_name": "items", "route_hosts": ["h"]}, "mine": {"a": 1.0}})),
        ("span", json!({"id": "1"})),
        ("unknown", json!([[[]]])),
    ] {
        event[name] = value;
    }
    let exchange = read(&event);
    assert_eq!(exchange.started_at.to_string(), "2024-05-06T07:08:09.005Z");
    assert_eq!(exchange.duration().unwrap().as_millis(), 40);
    let request = &exchange.request;
    assert_eq!(
        (request.scheme.as_str(), request.host.as_str()),
        ("https", "api.test"),
        "as the client named it"
    );
    assert_eq!((request.target().as_str(), request.method.as_str()), ("/a?b=1", "GET"));
    assert_eq!(exchange.server, Peer::new([192, 0, 2, 2].into(), Some(8443)));
    assert_eq!(exchange.client, Peer::new([192, 0, 2, 1].into(), None));
    let fields: Vec<String> = request
        .headers
        .iter()
        .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
        .collect();
    assert_eq!(fields, ["host=api.test", "accept=a", "accept=b", "x-number=5"]);
    let identity = &exchange.identity;
    assert_eq!((identity.user.as_deref(), identity.company.as_deref()), (Some("42"), None));
    assert_eq!((identity.subscription.as_deref(), identity.session.as_deref()), (Some("s"), Some("t")));
    assert_eq!(
        (exchange.weight, exchange.status(), exchange.service.as_deref()),
        (3, Some(200), Some("items"))
    );
    assert_eq!(exchange.attributes.text(attribute::DIRECTION), Some("Outgoing"));
    assert_eq!(exchange.attributes.text(attribute::BLOCKED_BY), Some("rule"));
    let json = |name| format!("{:?}", exchange.attributes.get(name).unwrap());
    assert_eq!(json(attribute::METADATA), r#"Json("{\"mine\":{\"a\":1.0}}")"#);
    assert_eq!(json(attribute::ROUTE_HOSTS), r#"Json("[\"h\"]")"#);
}

#[test]
fn nulls_are_absent() {
    let mut event = event(
        json!({"headers": null, "body": null, "transfer_encoding": null, "ip_address": null, "api_version": null}),
        json!({"headers": null, "body": null, "transfer_encoding": null}),
    );
    for name in [
        "user_id",
        "weight",
        "metadata",
        "session_token",
        "direction",
        "transaction_id",
        "span",
        "blocked_by",
    ] {
        event[name] = Value::Null;
    }
    let exchange = read(&event);
    assert_eq!((exchange.weight, exchange.attributes.is_empty()), (1, true));
    assert_eq!(exchange.client, Peer::new([198, 51, 100, 7].into(), None), "who called");
    event["response"] = Value::Null;
    assert_eq!(read(&event).response, None);
    event["response"] = json!({"time": null, "status": null, "headers": null});
    assert_eq!(read(&event).response, None);
    event["response"] = json!({"time": "2024-05-06T07:08:10Z", "status": "0"});
    assert_eq!((read(&event).response, read(&event).duration()), (None, None));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let with = |name: &str, value: Value| event(json!({name: value}), json!({}));
    for (event, reason) in [
        (json!({}), "request is missing"),
        (with("time", json!(null)), "request.time is missing"),
        (with("time", json!("now")), "request.time: not a time: \"now\""),
        (with("uri", json!("")), "request.uri is missing"),
        (with("verb", json!(null)), "request.verb is missing"),
        (event(json!({}), json!({"status": null})), "response.status is missing"),
        (event(json!({}), json!({"status": "OK"})), "response.status \"OK\" is not a status"),
        (event(json!({}), json!({"status": 70_000})), "response.status \"70000\" is not a status"),
        (
            with("headers", json!(7)),
            "request.headers: invalid type: integer `7`, expected an object with header fields",
        ),
        (json!({"request": "GET /"}), "request: invalid type: string \"GET /\", expected struct Request"),
    ] {
        assert!(refused(&event).starts_with(reason), "{}", refused(&event));
    }
}

#[test]
fn times_of_every_sender_are_read() {
    let at = |time: &str, user_agent| {
        let event = event(json!({"time": time}), json!({})).to_string();
        decode::event(&event, &Reporter { user_agent, ..reporter() }).unwrap().started_at.to_string()
    };
    for (time, kong, others) in [
        ("2024-05-06T07:08:09.5", ".005Z", ".500Z"),
        ("2024-05-06T07:08:09.45", ".045Z", ".450Z"),
        ("2024-05-06T07:08:09.045", ".045Z", ".045Z"),
        ("2024-05-06T07:08:09.45Z", ".045Z", ".450Z"),
        ("2024-05-06T07:08:09", "Z", "Z"),
        ("2024-05-06T07:08:09.123456789+00:00", ".123456Z", ".123456Z"),
        ("2024-05-06T09:08:09.5+02:00", ".500Z", ".500Z"),
    ] {
        assert_eq!(at(time, Some(KONG)), format!("2024-05-06T07:08:09{kong}"), "{time}");
        assert_eq!(at(time, Some("moesifwsgi/1.0")), format!("2024-05-06T07:08:09{others}"), "{time}");
        assert_eq!(at(time, None), format!("2024-05-06T07:08:09{others}"), "{time}");
    }
}

#[test]
fn targets_without_host_are_completed() {
    let read_uri = |uri: &str, headers: Value| {
        let request = read(&event(json!({"uri": uri, "headers": headers}), json!({}))).request;
        format!("{} {} {}", request.scheme, request.host, request.target())
    };
    assert_eq!(read_uri("/a?b=1", json!({"Host": "H.test:81"})), "http h.test:81 /a?b=1");
    assert_eq!(read_uri("/a", json!({":authority": "h.test", ":scheme": "https"})), "https h.test /a");
    assert_eq!(read_uri("//a//b", json!({})), "http  //a//b");
    assert_eq!(read_uri("http://h.test:80/a", json!({})), "http h.test /a");
    assert_eq!(read_uri("http://h.test:8000/a", json!({"host": "h.test:81"})), "http h.test:81 /a");
    assert_eq!(read_uri("http://h.test:8000/a", json!({"host": "other.test"})), "http h.test:8000 /a");
}

#[test]
fn bodies_are_read_however_they_are_written() {
    let body = |body: Value, encoding: Value, kind: &str| {
        let headers = json!({"content-type": kind});
        read(&event(json!({"body": body, "transfer_encoding": encoding, "headers": headers}), json!({})))
    };
    let json_kind = "application/json";
    for (given, encoding, kind, stored) in [
        (json!({"a": 9007199254740993u64}), json!("json"), json_kind, r#"{"a":9007199254740993}"#),
        (json!([1]), json!(null), "", "[1]"),
        (json!([1]), json!(""), "", "[1]"),
        (json!("aGVsbG8="), json!("base64"), "text/plain", "hello"),
        (json!("aGVsbG8"), json!("BASE64"), "text/plain", "hello"),
        (json!("aGVs\nbG8="), json!("base64"), "text/plain", "hello"),
        (json!("eyJhIjoxfQ=="), json!("base64"), json_kind, r#"{"a":1}"#),
        (json!("eyJhIjoxfQ=="), json!(null), json_kind, r#"{"a":1}"#),
        (json!("eyJhIjoxfQ=="), json!(null), "text/plain", "eyJhIjoxfQ=="),
        (json!("plain text"), json!("chunked"), "text/plain", "plain text"),
        (json!("{\"a\":1}"), json!(null), json_kind, r#"{"a":1}"#),
        (json!("word"), json!("json"), json_kind, "\"word\""),
        (json!(true), json!("json"), json_kind, "true"),
    ] {
        assert_eq!(text(&body(given.clone(), encoding, kind)), stored, "{given}");
    }
    let broken = body(json!("no base64!"), json!("base64"), "");
    assert_eq!(text(&broken), "no base64!");
    assert!(broken.attributes.get(attribute::REQUEST_BODY_NOT_BASE64).is_some());
    let empty = body(json!(""), json!("base64"), "");
    assert_eq!(empty.request.body.captured, Captured::No(WhyNot::Unknown));
}

#[test]
fn a_coding_that_was_removed_is_noticed() {
    let headers =
        json!({"content-encoding": "gzip", "content-length": "20", "content-type": "application/json"});
    let parsed = read(&event(json!({"headers": headers, "body": {"a": 1}}), json!({}))).request.body;
    assert_eq!((parsed.coding.name(), parsed.size), ("", Some(20)));
    let packed = json!({"headers": headers, "body": "H4sIAAAAAAACA6tWqlKyMqwFADwKK0EHAAAA", "transfer_encoding": "base64"});
    let packed = read(&event(packed, json!({}))).request.body;
    assert_eq!(packed.coding.name(), "gzip");
    assert_eq!(packed.decoded(100).unwrap(), r#"{"z":1}"#);
}

#[test]
fn missing_bodies_say_why() {
    let mut event = event(json!({}), json!({}));
    event["metadata"] = json!({"kong": {}, "capture": {"request_body": "too_large", "response_body": "odd"}});
    let exchange = read(&event);
    assert_eq!(exchange.request.body.captured, Captured::No(WhyNot::TooLarge));
    assert_eq!(exchange.response.unwrap().body.captured, Captured::No(WhyNot::Unknown));
    assert!(exchange.attributes.get(attribute::METADATA).is_none());
}

#[test]
fn the_same_event_has_the_same_id() {
    let with = |transaction: Value, header: Value, application_id| {
        let mut event = event(json!({"headers": {TRANSACTION_ID: header}}), json!({}));
        event["transaction_id"] = transaction;
        decode::event(&event.to_string(), &Reporter { application_id, ..reporter() }).unwrap()
    };
    let id = |transaction: Value, header: Value| with(transaction, header, "app").id;
    let v4 = json!("3f1c9d5e-7a77-4d0e-8a51-3c1d2f8f7a10");
    assert_eq!(id(v4.clone(), json!(null)), id(v4.clone(), json!("other")), "the event's own id counts");
    assert_ne!(id(v4.clone(), json!(null)), with(v4.clone(), json!(null), "app2").id);
    assert_ne!(id(v4.clone(), json!(null)), id(json!("3f1c9d5e-7a77-4d0e-8a51-3c1d2f8f7a11"), json!(null)));
    assert_eq!(id(json!(null), json!("h1")), id(json!(null), json!("h1")));
    assert_ne!(id(json!(null), json!("h1")), id(json!(null), json!("h2")));
    assert_ne!(
        id(json!(null), json!(null)),
        id(json!(null), json!(null)),
        "nothing tells them apart, so nothing joins them"
    );
    let kept = with(v4, json!(null), "app").attributes;
    assert_eq!(kept.text(attribute::TRANSACTION_ID), Some("3f1c9d5e-7a77-4d0e-8a51-3c1d2f8f7a10"));
    let own = read(&event(json!({}), json!({})));
    let again = with(json!(own.id.to_string()), json!(null), "app");
    assert_eq!((again.id, again.attributes.is_empty()), (own.id, true), "weir's own events keep theirs");
}

#[test]
fn one_bad_event_takes_no_others_with_it() {
    let good = event(json!({}), json!({}));
    let batch = json!([good, {"request": {}}, 7, null, good]).to_string();
    let decoded = decode::batch(batch.as_bytes(), &reporter()).unwrap();
    assert_eq!((decoded.offered, decoded.accepted.len()), (5, 2));
    let rejected: Vec<usize> = decoded.rejected.iter().map(|rejected| rejected.index).collect();
    assert_eq!(rejected, [1, 2, 3]);
    assert_eq!(decoded.rejected[0].reason, "event[1]: request.time is missing");
    assert_eq!(decoded.accepted[0].0.token, "app");
    assert_eq!(decode::batch(b"[]", &reporter()).unwrap().offered, 0);
    assert_eq!(decode::one(good.to_string().as_bytes(), &reporter()).unwrap().accepted.len(), 1);
}

#[test]
fn calls_that_are_no_events_are_refused() {
    for body in ["", "null", "7", "<html>", "{\"request\":", "[{}"] {
        for outcome in
            [decode::one(body.as_bytes(), &reporter()), decode::batch(body.as_bytes(), &reporter())]
        {
            assert_eq!(outcome.unwrap_err().status.as_u16(), 400, "{body}");
        }
    }
    assert_eq!(
        decode::batch(b"{}", &reporter()).unwrap_err().reason,
        "a batch must be an array of events, not \"{}\""
    );
    assert_eq!(decode::one(b"[]", &reporter()).unwrap_err().status.as_u16(), 400);
    let many = format!("[{}0]", "0,".repeat(MAX_EVENTS));
    assert_eq!(decode::batch(many.as_bytes(), &reporter()).unwrap_err().status.as_u16(), 413);
}

#[test]
fn text_that_is_not_unicode_is_read() {
    let event = event(json!({"headers": {"x": "HALF"}}), json!({})).to_string();
    let half = event.replace("HALF", "\\ud83d");
    let x = |exchange: &Exchange| exchange.request.headers.text("x").unwrap().into_owned();
    assert_eq!(x(&decode::event(&half, &reporter()).unwrap()), "\u{FFFD}");
    let mut bytes = event.replace("HALF", "~").into_bytes();
    *bytes.iter_mut().find(|byte| **byte == b'~').unwrap() = 0xFF;
    let decoded = decode::one(&bytes, &reporter()).unwrap();
    assert_eq!(x(&decoded.accepted[0].1), "\u{FFFD}");
}

#[test]
fn what_would_take_too_much_memory_is_refused_within_its_limits() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let plain = event(json!({"body": "DEEP", "headers": "FIELDS"}), json!({})).to_string();
    let with = |body: &str, fields: &str| plain.replace("\"DEEP\"", body).replace("\"FIELDS\"", fields);
    // A body is its text, however deep.
    let exchange = decode::event(&with(&deep, "{}"), &reporter()).unwrap();
    assert_eq!(text(&exchange).len(), deep.len());
    assert!(decode::event(&with("1", &format!("{{\"a\":{deep}}}")), &reporter()).is_err());
    let unknown = format!("{{\"unknown\":{deep},{}", &with("1", "{}")[1..]);
    assert!(decode::event(&unknown, &reporter()).is_ok());
    let many: String = (0..10_001).map(|number| format!("\"h{number}\":\"\",")).collect();
    let reason = decode::event(&with("1", &format!("{{{many}\"z\":1}}")), &reporter()).unwrap_err();
    assert!(reason.contains("more than 10000 header fields"), "{reason}");
    let long = format!("{{\"{}\":[{}1]}}", "n".repeat(100_000), "1,".repeat(9_000));
    let reason = decode::event(&with("1", &long), &reporter()).unwrap_err();
    assert!(reason.contains("bytes of header fields"), "{reason}");
}

proptest! {
    #[test]
    fn any_bytes_are_accepted_or_rejected(body: Vec<u8>) {
        let outcomes = [decode::one(&body, &reporter()), decode::batch(&body, &reporter())];
        for decoded in outcomes.into_iter().flatten() {
            prop_assert_eq!(decoded.offered, decoded.accepted.len() + decoded.rejected.len());
        }
    }

    /// Near misses go deeper than noise does: any member may hold any value.
    #[test]
    fn any_member_may_hold_anything(path in 0usize..24, value in values()) {
        let names = ["request", "response", "metadata", "span", "weight", "user_id", "transaction_id", "direction",
            "time", "uri", "verb", "headers", "body", "transfer_encoding", "ip_address", "status"];
        let mut event = event(json!({}), json!({}));
        match path {
            0..8 => event[names[path]] = value,
            8..16 => event["request"][names[path]] = value,
            _ => event["response"][names[path - 8]] = value,
        }
        let batch = json!([event]).to_string();
        let decoded = decode::batch(batch.as_bytes(), &Reporter { user_agent: Some(KONG), ..reporter() }).unwrap();
        prop_assert_eq!(decoded.accepted.len() + decoded.rejected.len(), 1);
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9T:.Z+-]{0,30}".prop_map(Value::from),
        "[A-Za-z0-9+/=]{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map("[a-z_]{0,12}", inner, 0..6)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}
