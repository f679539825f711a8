//! The specification's examples, round trips, and what foreign bytes do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Body, Captured, Exchange, ExchangeId, Headers, Origin, Peer, Request, Response, Timings};
use weir_pipeline::Decoded;

use super::config::{Config, FIELDS};
use super::decode::{self, Context};
use super::encode::{self, Profile, plan};
use super::message;
use crate::parts::{body, content_length, url};

const SENT_BY_KONG: Profile = Profile { log_body: true, strict: true };

fn context(bucket: &str) -> Context<'_> {
    Context { bucket, token: "t1", received_at: Timestamp::from_seconds(1_460_376_001), seed: b"call" }
}

fn text_of(exchange: &Exchange, profile: &Profile) -> Vec<u8> {
    let mut text = Vec::new();
    message::write(&encode::message(exchange, profile), &mut text);
    text
}

fn json_of(exchange: &Exchange, profile: &Profile) -> Value {
    serde_json::from_slice(&text_of(exchange, profile)).unwrap()
}

/// The exchange of the specification's example (A3).
fn example() -> Exchange {
    let started_at = Timestamp::from_millis(1_460_376_000_742);
    let request = Request {
        method: "POST".into(),
        scheme: "http".into(),
        host: "shop.example.test".into(),
        path: "/items".into(),
        query: Some("src=web".into()),
        version: "1.1".into(),
        headers: Headers::from_iter([
            ("Host", "shop.example.test"),
            ("Accept", "application/json"),
            ("Accept", "text/plain"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ]),
        body: Body::whole("sku=42&qty=3"),
        ..Request::default()
    };
    let mut exchange = Exchange::new(ExchangeId::new(started_at), started_at, request);
    exchange.server = Peer::new([127, 0, 0, 1].into(), Some(8_000));
    exchange.response = Some(Response {
        status: 201,
        headers: Headers::from_iter([("Content-Type", "application/json"), ("Content-Length", "17")]),
        body: Body::whole("{\"ok\":true,\"n\":1}"),
        ..Response::default()
    });
    exchange.timings.total = Some(Duration::from_millis(48));
    exchange
}

#[test]
fn the_example_comes_out_byte_for_byte() {
    // A time of .790 loses its last zero in every encoder of JSON.
    let expected = concat!(
        r#"{"request":{"method":"POST","url":"http://shop.example.test:8000/items?src=web","#,
        r#""headers":{"host":"shop.example.test","accept":["application/json","text/plain"],"#,
        r#""content-type":"application/x-www-form-urlencoded"},"#,
        r#""body":"sku=42&qty=3","form":{"sku":"42","qty":"3"},"timestamp":1460376000.742},"#,
        r#""response":{"status":201,"headers":{"content-type":"application/json","content-length":"17"},"#,
        r#""size_bytes":"17","body":"{\"ok\":true,\"n\":1}","timestamp":1460376000.79,"response_time":0.048}}"#,
    );
    assert_eq!(String::from_utf8(text_of(&example(), &SENT_BY_KONG)).unwrap(), expected);
    let ours = json_of(&example(), &Profile { log_body: true, strict: false });
    let mut expected: Value = serde_json::from_str(expected).unwrap();
    expected["unique_identifier"] = json!(ours["unique_identifier"].as_str().unwrap());
    expected["response"]["size_bytes"] = json!(17);
    assert_eq!(ours, expected, "what differs when Kong's faults are left out");
}

#[test]
fn bodies_are_written_as_the_original_did() {
    let without = json_of(&example(), &Profile { log_body: false, strict: true });
    assert_eq!((&without["request"]["body"], &without["request"]["form"]), (&json!(""), &json!({})));
    assert_eq!(
        (&without["response"]["body"], &without["response"]["size_bytes"]),
        (&json!(""), &json!("17"))
    );

    let mut binary = example();
    binary.request.body = Body::default();
    binary.response.as_mut().unwrap().body = Body::whole(vec![b'a', 0xFF, b'"', b'\\', 0, b'\n']);
    let text = text_of(&binary, &SENT_BY_KONG);
    let raw = b"\"body\":\"a\xFF\\\"\\\\\\u0000\\n\"";
    assert!(text.windows(raw.len()).any(|part| part == raw), "bytes stay as they are");
    let ours = json_of(&binary, &Profile { log_body: true, strict: false });
    assert_eq!(ours["request"].get("body"), None, "no body at hand");
    assert_eq!(ours["response"]["body_encoding"], "base64");
    assert_eq!(ours["response"]["body"], "Yf8iXAAK");

    let mut unanswered = example();
    unanswered.response = None;
    assert_eq!(json_of(&unanswered, &SENT_BY_KONG)["response"]["status"], 0);
    assert_eq!(json_of(&unanswered, &Profile::default()).get("response"), None);
}

#[test]
fn forms_are_taken_apart() {
    let form = |text: &'static str| {
        let mut exchange = example();
        exchange.request.body = Body::whole(text);
        json_of(&exchange, &SENT_BY_KONG)["request"]["form"].clone()
    };
    assert_eq!(form("a=1&b&a=2&c=%E6%9D%B1+x&a"), json!({"a": ["1", "2", true], "b": true, "c": "東 x"}));
    assert_eq!(form(""), json!({}));
    let mut other = example();
    other.request.headers = Headers::from_iter([("content-type", "text/plain")]);
    assert_eq!(json_of(&other, &SENT_BY_KONG)["request"]["form"], json!({}));
}

#[test]
fn urls_always_have_the_port_of_the_gateway() {
    let url = |host: &str, port: Option<u16>, scheme: &str| {
        let mut exchange = example();
        exchange.request.host = host.into();
        exchange.request.scheme = scheme.into();
        exchange.server.port = port;
        json_of(&exchange, &SENT_BY_KONG)["request"]["url"].as_str().unwrap().to_owned()
    };
    assert_eq!(url("a.test", Some(8000), "http"), "http://a.test:8000/items?src=web");
    assert_eq!(url("a.test:9000", Some(8000), "http"), "http://a.test:8000/items?src=web");
    assert_eq!(url("a.test:9000", None, "http"), "http://a.test:9000/items?src=web");
    assert_eq!(url("a.test", None, "https"), "https://a.test:443/items?src=web");
    assert_eq!(url("[::1]:80", None, "http"), "http://[::1]:80/items?src=web");
}

#[test]
fn at_most_a_hundred_headers_travel() {
    let mut exchange = example();
    exchange.request.headers = (0..150).map(|number| (format!("x-{number}"), "v")).collect();
    assert_eq!(json_of(&exchange, &SENT_BY_KONG)["request"]["headers"].as_object().unwrap().len(), 100);
}

/// What a message carries of an exchange: the losses that README.md lists, and no other.
fn carried(exchange: &Exchange, profile: &Profile) -> Exchange {
    let asked = &exchange.request;
    let name = url::without_port(&asked.host);
    let usual = if asked.scheme == "https" { 443 } else { 80 };
    let named = asked
        .host
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(':'))
        .map(|port| port.parse().unwrap());
    let port: u16 = exchange.server.port.or(named).unwrap_or(usual);
    let request = Request {
        method: asked.method.clone(),
        scheme: asked.scheme.clone(),
        host: if port == usual { name.into() } else { format!("{name}:{port}").into() },
        path: asked.path.clone(),
        query: asked.query.clone(),
        headers: carried_headers(&asked.headers),
        body: carried_body(&asked.headers, &asked.body, None, profile),
        ..Request::default()
    };
    let mut carried = Exchange::new(exchange.id, exchange.started_at, request);
    carried.origin = Origin { source: "runscope".into(), ..Origin::default() };
    carried.response = exchange.response.as_ref().map(|answer| Response {
        status: answer.status,
        headers: carried_headers(&answer.headers),
        body: {
            let kept = match &answer.body.captured {
                Captured::No(_) => None,
                Captured::Whole(bytes) | Captured::Cut(bytes) => Some(bytes.len() as u64),
            };
            let size = answer.body.size.or(kept);
            carried_body(&answer.headers, &answer.body, size, profile)
        },
        ..Response::default()
    });
    carried.timings =
        Timings { total: exchange.duration().filter(|_| carried.response.is_some()), ..Timings::default() };
    carried.attributes.set("runscope.bucket_key", "b1");
    carried.attributes.set("runscope.unique_identifier", exchange.id.to_string());
    carried
}

/// Values of one name stand together.
fn carried_headers(headers: &Headers) -> Headers {
    let mut carried = Headers::default();
    for (name, _) in headers.iter() {
        let name = name.to_lowercase();
        if carried.get(&name).is_none() {
            for value in headers.all(&name) {
                carried.push(name.clone(), String::from_utf8_lossy(value).into_owned());
            }
        }
    }
    carried
}

fn carried_body(headers: &Headers, given: &Body, size: Option<u64>, profile: &Profile) -> Body {
    let kept = match &given.captured {
        Captured::Whole(bytes) if profile.log_body && !bytes.is_empty() => Some(bytes.clone()),
        _ => None,
    };
    let headers = carried_headers(headers);
    let length = kept.as_ref().map(|bytes| bytes.len() as u64);
    let size = size.or(length).or(content_length(&headers));
    let captured = match kept {
        Some(bytes) => Captured::Whole(bytes),
        None if size == Some(0) => Captured::Whole(Bytes::new()),
        None => Captured::default(),
    };
    let coding = body::coding_of(&headers, &captured);
    Body { size, captured, coding, media_type: None }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_but_for_the_listed_losses(
        exchanges in proptest::collection::vec(crate::testing::exchanges(), 1..4),
        log_body: bool,
        batch_size in 1usize..4,
    ) {
        let profile = Profile { log_body, strict: false };
        let batch: Vec<Arc<Exchange>> = exchanges.into_iter().map(Arc::new).collect();
        let plan = plan(&batch, &profile, batch_size);
        prop_assert_eq!(plan.calls.len(), batch.len().div_ceil(batch_size));
        for call in plan.calls {
            let decoded = decode::call(&call.body, &context("b1")).unwrap();
            prop_assert_eq!(&decoded.rejected, &[]);
            let again = decode::call(&call.body, &Context { seed: b"other", ..context("b1") }).unwrap();
            prop_assert_eq!(&decoded.accepted, &again.accepted, "a repeated call is recognised");
            for (index, (credential, mut arrived)) in call.exchanges.into_iter().zip(decoded.accepted) {
                prop_assert_eq!(credential.token, "t1");
                arrived.id = batch[index].id;
                prop_assert_eq!(arrived, carried(&batch[index], &profile));
            }
        }
    }

    #[test]
    fn what_the_original_writes_is_read(exchange in crate::testing::exchanges(), log_body: bool) {
        let text = text_of(&exchange, &Profile { log_body, strict: true });
        let decoded = decode::call(&text, &context("b1")).unwrap();
        prop_assert_eq!(&decoded.rejected, &[]);
        let arrived = &decoded.accepted[0].1;
        prop_assert_eq!(arrived.status(), exchange.status());
        prop_assert_eq!(arrived.started_at, exchange.started_at.floor(Duration::from_millis(1)));
        prop_assert_eq!(&arrived.request.target(), &exchange.request.target());
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _outcome = decode::call(&bytes, &context("b"));
    }

    #[test]
    fn damaged_calls_never_panic(
        exchange in crate::testing::exchanges(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut: prop::sample::Index,
        strict: bool,
    ) {
        let mut body = text_of(&exchange, &Profile { log_body: true, strict });
        for (index, byte) in damage {
            let index = index.index(body.len());
            body[index] = byte;
        }
        if let Ok(decoded) = decode::call(&body, &context("b")) {
            prop_assert_eq!(decoded.offered, decoded.accepted.len() + decoded.rejected.len());
        }
        let _outcome = decode::call(&body[..cut.index(body.len())], &context("b"));
    }
}

fn call(messages: &Value) -> Decoded {
    decode::call(messages.to_string().as_bytes(), &context("b1")).unwrap()
}

fn read(change: impl FnOnce(&mut Value)) -> Result<Exchange, String> {
    let mut message = json!({
        "request": {"method": "GET", "url": "http://a.test:80/x?a=1", "headers": {}, "form": {},
                    "timestamp": 1460376000.742},
        "response": {"status": 200, "headers": {}, "size_bytes": "5", "timestamp": 1460376000.79,
                     "response_time": 0.048},
    });
    change(&mut message);
    let decoded = call(&message);
    match decoded.rejected.into_iter().next() {
        Some(rejected) => Err(rejected.reason),
        None => Ok(decoded.accepted.into_iter().next().unwrap().1),
    }
}

#[test]
fn messages_are_read_however_they_are_written() {
    let plain = read(|_| {}).unwrap();
    assert_eq!((plain.request.host.as_str(), plain.request.target().as_str()), ("a.test", "/x?a=1"));
    assert_eq!(plain.started_at.to_string(), "2016-04-11T12:00:00.742Z");
    assert_eq!(plain.duration(), Some(Duration::from_millis(48)));
    assert_eq!(plain.response.unwrap().body.size, Some(5));

    let odd = read(|it| {
        it["request"]["headers"] = json!({"a": true, "b": 7, "c": null, "d": ["x", 1, null]});
        it["request"]["timestamp"] = json!("1460376000.742");
        it["response"]["headers"] = json!([]);
        it["request"]["form"] = json!([]);
        it["response"]["status"] = json!("200");
    });
    let odd = odd.unwrap();
    let shown: Vec<(&str, &[u8])> =
        odd.request.headers.iter().map(|(name, value)| (name, value.as_ref())).collect();
    let expected: [(&str, &[u8]); 6] =
        [("a", b"true"), ("b", b"7"), ("c", b""), ("d", b"x"), ("d", b"1"), ("d", b"")];
    assert_eq!(shown, expected);
    assert_eq!((odd.started_at, odd.status()), (plain.started_at, Some(200)));

    let form = read(|it| {
        it["request"]["form"] = json!({"a": ["1", "b c"], "flag": true, "empty": ""});
    });
    assert_eq!(form.unwrap().request.body.bytes().unwrap(), "a=1&a=b%20c&empty=&flag");

    let answered_only = read(|it| {
        it.as_object_mut().unwrap().remove("request");
    });
    let answered_only = answered_only.unwrap();
    assert_eq!(answered_only.started_at, plain.started_at, "the end less the response time");
    assert_eq!((answered_only.request, answered_only.response.unwrap().status), (Request::default(), 200));
    let asked_only = read(|it| {
        it.as_object_mut().unwrap().remove("response");
    });
    assert_eq!(asked_only.unwrap().response, None);

    let timeless = read(|it| {
        it["request"]["timestamp"] = Value::Null;
        it["response"]["timestamp"] = Value::Null;
    });
    assert_eq!(timeless.unwrap().started_at, Timestamp::from_seconds(1_460_376_001), "when it arrived");
    let untimed = read(|it| it["response"]["response_time"] = Value::Null);
    assert_eq!(untimed.unwrap().duration(), Some(Duration::from_millis(48)), "from start and end");

    let not_base64 = read(|it| {
        it["response"]["body"] = json!("no!");
        it["response"]["body_encoding"] = json!("base64");
    });
    let not_base64 = not_base64.unwrap();
    assert!(not_base64.attributes.get("runscope.response_body_not_base64").is_some());
    assert_eq!(not_base64.response.unwrap().body.bytes().unwrap(), "no!");
}

#[test]
fn bytes_that_are_not_text_cost_only_themselves() {
    let mut text = text_of(&example(), &SENT_BY_KONG);
    let at = text.windows(3).position(|part| part == b"sku").unwrap();
    text[at] = 0xFF;
    let decoded = decode::call(&text, &context("b1")).unwrap();
    assert_eq!(decoded.accepted[0].1.request.body.bytes().unwrap(), "\u{FFFD}ku=42&qty=3");
    let text = String::from_utf8(text_of(&example(), &SENT_BY_KONG)).unwrap().replace("POST", "P\\ud83dST");
    let decoded = decode::call(text.as_bytes(), &context("b1")).unwrap();
    assert_eq!(decoded.accepted[0].1.request.method, "P\u{FFFD}ST");
}

#[test]
fn what_cannot_be_read_is_named() {
    for (change, reason) in [
        (
            (|it| it["request"]["url"] = json!("/x")) as fn(&mut Value),
            "request.url \"/x\" is not an absolute URL",
        ),
        (|it| it["request"]["url"] = Value::Null, "request.url is missing"),
        (|it| it["request"]["method"] = json!(""), "request.method is missing"),
        (|it| it["response"]["status"] = json!(70_000), "response.status 70000 is not a status"),
        (
            |it| it["request"]["timestamp"] = json!(1_460_376_000_742i64),
            "request.timestamp 1460376000742 is not a time in Unix seconds",
        ),
        (|it| *it = json!({}), "neither request nor response"),
    ] {
        assert_eq!(read(change).unwrap_err(), reason);
    }
    let at = read(|it| it["response"]["headers"] = json!("x")).unwrap_err();
    assert!(at.starts_with("response.headers: invalid type: string"), "{at}");
    for (body, status) in [("", 400), ("7", 400), ("{", 400), ("[{]", 400)] {
        assert_eq!(decode::call(body.as_bytes(), &context("b")).unwrap_err().status, status, "{body}");
    }
}

#[test]
fn one_bad_message_does_not_harm_the_rest() {
    let good = json!({"request": {"method": "GET", "url": "http://a.test/"}});
    let decoded = call(&json!([good, 7, {"request": {}}, good]));
    assert_eq!((decoded.offered, decoded.accepted.len()), (4, 2));
    let indexes: Vec<usize> = decoded.rejected.iter().map(|rejected| rejected.index).collect();
    assert_eq!(indexes, [1, 2]);
    let ids: Vec<ExchangeId> = decoded.accepted.iter().map(|(_, exchange)| exchange.id).collect();
    assert_ne!(ids[0], ids[1], "equal messages of one call are two");
}

#[test]
fn hostile_sizes_are_refused() {
    let many = format!("[{}0]", "0,".repeat(decode::MAX_MESSAGES));
    assert_eq!(decode::call(many.as_bytes(), &context("b")).unwrap_err().status, 413);
    let deep = "[".repeat(5_000_000);
    assert_eq!(decode::call(deep.as_bytes(), &context("b")).unwrap_err().status, 400);
    let wide: serde_json::Map<String, Value> =
        (0..10_001).map(|number| (number.to_string(), json!(""))).collect();
    let reason = read(|it| it["request"]["headers"] = Value::Object(wide)).unwrap_err();
    assert!(reason.contains("more than 10000 members"), "{reason}");
    let long = read(|it| it["request"]["url"] = json!("x".repeat(100_000))).unwrap_err();
    assert!(long.len() < 400, "{}", long.len());
}

fn settings(change: impl FnOnce(&mut Value)) -> Result<Config, String> {
    let mut given = json!({"bucket_key": "b1", "access_token": "t1"});
    change(&mut given);
    let checked = weir_kit::schema::check(FIELDS, given).map_err(|error| error.to_string())?;
    Config::read(checked).map_err(|error| error.to_string())
}

#[test]
fn settings_have_the_defaults_of_the_original() {
    let config = settings(|_| {}).unwrap();
    let expected = Config {
        bucket_key: "b1".into(),
        access_token: serde_json::from_value(json!("t1")).unwrap(),
        ..Config::default()
    };
    assert_eq!(config, expected, "the table and the struct agree");
    assert_eq!(config.url().unwrap().as_str(), "https://api.runscope.com/buckets/b1/messages");
    assert_eq!((config.timeout(), config.keepalive()), (Duration::from_secs(10), Duration::from_millis(30)));
    assert_eq!((config.queue().max_attempts, config.capture().request_body_bytes), (Some(1), 0));
    assert_eq!(settings(|it| it["bucket"] = json!("b1")).unwrap(), config);
}

#[test]
fn settings_that_make_no_sense_are_named() {
    for (change, message) in [
        (
            (|it| it["bucket"] = json!("b2")) as fn(&mut Value),
            "bucket_key: given as bucket_key and as bucket with different values",
        ),
        (|it| it["bucket_key"] = json!(""), "bucket_key: required field missing"),
        (|it| it["access_token"] = Value::Null, "access_token: required field missing"),
        (|it| it["access_token"] = json!("a\nb"), "access_token: has a character that no header can hold"),
        (
            |it| it["api_endpoint"] = json!("api.test"),
            "api_endpoint: expected an http or https URL, not \"api.test\"",
        ),
        (|it| it["timeout"] = json!("x"), "timeout: expected a number, not \"x\""),
        (|it| it["other"] = json!(1), "other: unknown field"),
    ] {
        assert_eq!(settings(change).unwrap_err(), message);
    }
}

#[test]
fn the_path_of_the_endpoint_is_kept_and_its_query_lost() {
    for (endpoint, url) in [
        ("http://a.test:9000", "http://a.test:9000/buckets/b1/messages"),
        ("http://a.test/", "http://a.test//buckets/b1/messages"),
        ("http://a.test/v1?x=1", "http://a.test/v1/buckets/b1/messages"),
        ("http://a.test/v1/", "http://a.test/v1//buckets/b1/messages"),
        ("http://a.test?x=/1", "http://a.test/buckets/b1/messages"),
    ] {
        let config = settings(|it| it["api_endpoint"] = json!(endpoint)).unwrap();
        assert_eq!(config.url().unwrap().as_str(), url, "{endpoint}");
    }
}
