//! The vectors of the original, round trips, and what foreign bytes do.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Attributes, Body, Captured, Exchange, Headers, Origin, Peer, Request, Response, Timings};

use super::encode::{self, Profile, plan};
use super::{decode, encode::MAX_CALL_BYTES};
use crate::parts::{self, body, last, url};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../testdata/vectors/alf-cases.json")).unwrap()
}

fn cases(vectors: &Value, list: &str) -> Vec<Value> {
    vectors[list].as_array().unwrap().clone()
}

fn case_named<'a>(cases: &'a [Value], name: &Value) -> &'a Value {
    cases.iter().find(|case| case["name"] == *name).unwrap()
}

fn profile_of(input: &Value) -> Profile {
    Profile { log_bodies: input["log_bodies"] == true, ..Profile::default() }
}

/// The exchange that a vector describes, as the gateway would record it.
fn exchange_of(input: &Value) -> Exchange {
    let text = |name: &str| input[name].as_str().unwrap().to_owned();
    let headers = headers_of(&input["request_headers"]);
    let target = text("request_target");
    let (path, query) = url::split_target(&target);
    let started_at = Timestamp::from_micros((input["started_at"].as_f64().unwrap() * 1e6).round() as i64);
    let request = Request {
        method: text("method").into(),
        scheme: text("scheme").into(),
        host: headers.text("host").map_or_else(|| text("host"), |host| host.to_lowercase()).into(),
        path: path.into(),
        query: query.map(Into::into),
        version: text("http_version")
            .trim_end_matches(".0")
            .replace('1', "1.0")
            .replace("1.0.1", "1.1")
            .into(),
        headers,
        body: body_of(&input["request_body_base64"]),
        ..Request::default()
    };
    let mut exchange = Exchange::new(weir_model::ExchangeId::new(started_at), started_at, request);
    exchange.client = parts::peer(&text("client_addr"));
    exchange.server = parts::peer(&text("server_addr"));
    exchange.response = Some(Response {
        status: input["status"].as_u64().unwrap() as u16,
        headers: headers_of(&input["response_headers"]),
        body: body_of(&input["response_body_base64"]),
        ..Response::default()
    });
    let part = |name: &str| input["timings_ms"][name].as_f64().and_then(parts::from_millis);
    exchange.timings =
        Timings { send: part("send"), wait: part("wait"), receive: part("receive"), ..Timings::default() };
    exchange
}

fn headers_of(pairs: &Value) -> Headers {
    let pair = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned());
    pairs.as_array().unwrap().iter().map(pair).collect()
}

fn body_of(base64: &Value) -> Body {
    base64.as_str().map_or_else(Body::default, |text| Body::whole(STANDARD.decode(text).unwrap()))
}

/// Lists sorted by name (order across names has no meaning in the original) and all numbers as doubles.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(comparable).collect();
            items.sort_by_key(|item| item["name"].as_str().unwrap_or_default().to_owned());
            Value::Array(items)
        }
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), comparable(value))).collect()
        }
        Value::Number(number) => json!(number.as_f64().unwrap()),
        other => other.clone(),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "says how many vectors were run")]
fn entries_are_those_of_the_original() {
    let vectors = vectors();
    let cases = cases(&vectors, "entry_cases");
    for case in &cases {
        let input = &case["input"];
        let exchange = exchange_of(input);
        let entry = serde_json::to_value(encode::entry(&exchange, &profile_of(input))).unwrap();
        assert_eq!(comparable(&entry), comparable(&case["expected"]), "{}: {}", case["name"], case["why"]);
    }
    println!("{} entry cases of alf-cases.json run", cases.len());
    assert_eq!(cases.len(), 46);
}

#[test]
#[expect(clippy::print_stdout, reason = "says how many vectors were run")]
fn batches_are_those_of_the_original() {
    let vectors = vectors();
    let entry_cases = cases(&vectors, "entry_cases");
    let batch_cases = cases(&vectors, "batch_cases");
    for case in &batch_cases {
        if case.get("entries_of").is_some() {
            check_envelope(case, &entry_cases);
        } else if case.get("generate").is_some() {
            check_generated(case, &entry_cases);
        } else if case.get("fragment").is_some() {
            check_fragment(case);
        } else {
            check_raw_body(case);
        }
    }
    println!("{} batch cases of alf-cases.json run", batch_cases.len());
    assert_eq!(batch_cases.len(), 10);
}

fn check_envelope(case: &Value, entry_cases: &[Value]) {
    let names = case["entries_of"].as_array().unwrap();
    let inputs: Vec<&Value> = names.iter().map(|name| &case_named(entry_cases, name)["input"]).collect();
    let batch: Vec<Arc<Exchange>> = inputs.iter().map(|input| Arc::new(exchange_of(input))).collect();
    let config = &case["config"];
    let plan = plan(
        &batch,
        config["service_token"].as_str().unwrap(),
        config["environment"].as_str(),
        &profile_of(inputs[0]),
    );
    assert_eq!(plan.calls.len(), 1, "{}", case["name"]);
    let text = String::from_utf8(plan.calls[0].body.clone()).unwrap();
    if let Some(expected) = case.get("expected") {
        let mut sent: Value = serde_json::from_str(&text).unwrap();
        let log = &mut sent["har"]["log"];
        assert_eq!(log["entries"].as_array().unwrap().len(), names.len());
        assert_eq!(log["creator"]["name"], "weir");
        log["entries"] = expected["har"]["log"]["entries"].clone();
        log["creator"] = expected["har"]["log"]["creator"].clone();
        assert_eq!(&sent, expected, "{}", case["name"]);
    }
    for part in case["expected_substrings"].as_array().unwrap_or(&Vec::new()) {
        assert!(text.contains(part.as_str().unwrap()), "{part} in {text}");
    }
    for part in case["expected_no_substrings"].as_array().unwrap_or(&Vec::new()) {
        assert!(!text.contains(part.as_str().unwrap()), "{part} in {text}");
    }
}

/// A huge entry is lost alone; the small ones beside it travel, which the vector asks of us.
fn check_generated(case: &Value, entry_cases: &[Value]) {
    let make = |generate: &Value| {
        let base = generate.get("base_case").or(generate.get("entry_of")).unwrap();
        let mut exchange = exchange_of(&case_named(entry_cases, base)["input"]);
        if let Some(count) = generate["request_body_fill"]["count"].as_u64() {
            exchange.request.body = Body::whole(vec![b'.'; count as usize]);
        }
        Arc::new(exchange)
    };
    let generate = &case["generate"];
    let batch: Vec<Arc<Exchange>> = match generate["sequence"].as_array() {
        Some(sequence) => sequence.iter().map(make).collect(),
        None => vec![make(generate)],
    };
    let profile = Profile { log_bodies: true, ..Profile::default() };
    let plan = plan(&batch, "tok-1", None, &profile);
    let sent: Vec<usize> = plan.calls.iter().map(|call| call.entries.len()).collect();
    match case["name"].as_str().unwrap() {
        "batch_just_over_cap" => {
            assert_eq!(sent, [] as [usize; 0]);
            assert_eq!(plan.too_large[0].0, 0);
            assert!(plan.too_large[0].1.starts_with("too_large"));
        }
        "one_huge_entry_takes_small_ones_down" => {
            assert_eq!(sent, [2]);
            assert_eq!(plan.calls[0].indexes(), [0, 2]);
            assert_eq!(plan.too_large.len(), 1);
        }
        "largest_body_that_fits" => assert_eq!((sent.as_slice(), plan.too_large.len()), (&[1][..], 0)),
        other => panic!("unknown case {other}"),
    }
    assert!(plan.calls.iter().all(|call| call.body.len() <= MAX_CALL_BYTES));
}

fn check_raw_body(case: &Value) {
    let raw = match case["raw_body"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(case["raw_body_base64"].as_str().unwrap()).unwrap(),
    };
    let decoded = decode::call(&raw, None).unwrap();
    assert_eq!(decoded.rejected, []);
    if let Some(body) = case["expected"].get("collector_body") {
        assert_eq!(body["sent"], decoded.offered);
    }
    if let Some(value) = case["expected"].get("stored_header_value") {
        let stored = decoded.accepted[0].1.request.headers.text("x-name").unwrap();
        assert_eq!(stored, value.as_str().unwrap());
    }
}

fn check_fragment(case: &Value) {
    let mut entry = json!({
        "startedDateTime": "2016-04-11T12:00:00Z",
        "request": {"method": "GET", "url": "http://a.example.test/"},
        "response": {"status": 200},
    });
    for (name, value) in case["fragment"]["response"].as_object().unwrap() {
        entry["response"][name] = value.clone();
    }
    let exchange = decode::entry_of_json(&entry.to_string()).unwrap();
    let stored = exchange.response.unwrap().body.bytes().unwrap().clone();
    assert_eq!(stored, case["expected"]["stored_body_utf8"].as_str().unwrap(), "{}", case["name"]);
}

/// What ALF carries of an exchange: the losses that README.md lists, and no other.
fn carried(exchange: &Exchange, profile: &Profile) -> Exchange {
    let (asked, version) = (
        &exchange.request,
        match exchange.request.version.as_str() {
            "" => "1.1".to_owned(),
            known => known.to_owned(),
        },
    );
    let head = format!(
        "{} {} {}\r\n",
        asked.method,
        asked.target(),
        match version.as_str() {
            "1.0" => "HTTP/1".to_owned(),
            other => format!("HTTP/{other}"),
        }
    );
    let fields: usize = asked.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let headers_size = Some((head.len() + fields + 2) as u64);
    let request = Request {
        method: asked.method.clone(),
        scheme: asked.scheme.clone(),
        host: asked.host.clone(),
        path: asked.path.clone(),
        query: asked.query.clone(),
        version: version.clone().into(),
        headers: carried_headers(&asked.headers),
        headers_size,
        trailers: Headers::default(),
        body: carried_body(&asked.headers, &asked.body, profile),
    };
    let unit = Duration::from_millis(if profile.milliseconds { 1 } else { 1_000 });
    let mut carried = Exchange::new(exchange.id, exchange.started_at.floor(unit), request);
    carried.origin = Origin { source: "galileo".into(), node: Some("weir 0.1.0".into()), environment: None };
    carried.client = Peer { port: None, ..exchange.client };
    carried.server = Peer { port: None, ..exchange.server };
    carried.response = exchange.response.as_ref().map(|answer| Response {
        status: answer.status,
        version: version.into(),
        headers: carried_headers(&answer.headers),
        body: carried_body(&answer.headers, &answer.body, profile),
        ..Response::default()
    });
    let given = exchange.timings;
    let nothing =
        [given.blocked, given.connect, given.send, given.wait, given.receive].iter().all(Option::is_none);
    carried.timings = Timings {
        blocked: given.blocked,
        connect: given.connect,
        send: Some(given.send.unwrap_or_default()),
        wait: Some(given.wait.or(given.total.filter(|_| nothing)).unwrap_or_default()),
        receive: Some(given.receive.unwrap_or_default()),
        ..Timings::default()
    };
    carried.attributes = Attributes::default();
    carried
}

fn carried_headers(headers: &Headers) -> Headers {
    let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.to_lowercase(), text(value))).collect()
}

fn carried_body(headers: &Headers, given: &Body, profile: &Profile) -> Body {
    let length = parts::content_length(headers);
    let (captured, size) = match &given.captured {
        Captured::Whole(bytes) if profile.log_bodies => {
            (Captured::Whole(bytes.clone()), given.size.or(Some(bytes.len() as u64)))
        }
        _ => (Captured::default(), length.or(given.size).or(Some(0))),
    };
    let announced = length > Some(0)
        || headers.get("transfer-encoding").is_some()
        || last(headers, "content-type") == Some(b"multipart/byteranges");
    let unknown = size == Some(0) && announced && matches!(captured, Captured::No(_));
    let kept = matches!(captured, Captured::Whole(_));
    let media_type = given.media_type.clone().filter(|_| kept && last(headers, "content-type").is_none());
    let coding = body::coding_of(&carried_headers(headers), &captured);
    Body { size: size.filter(|_| !unknown), captured, coding, media_type }
}

/// Recordings of real sites as the source of exchanges.
fn recorded() -> Vec<Exchange> {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/har-sites");
    let mut out = weir_pipeline::Imported::default();
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|ending| ending == "har") {
            let mut importer = (crate::har::IMPORTER.open)();
            importer.feed(&std::fs::read(file).unwrap(), &mut out);
            importer.finish(&mut out);
        }
    }
    out.accepted
}

#[test]
fn real_traffic_arrives_but_for_the_listed_losses() {
    let profile = Profile { log_bodies: true, milliseconds: true, max_fields: 1_000 };
    let batch: Vec<Arc<Exchange>> = recorded().into_iter().map(Arc::new).collect();
    let plan = plan(&batch, "t", None, &profile);
    let mut arrived = Vec::new();
    for call in plan.calls {
        let decoded = decode::call(&call.body, None).unwrap();
        assert_eq!(decoded.rejected, []);
        arrived.extend(decoded.accepted.into_iter().map(|(_, exchange)| exchange));
    }
    assert_eq!((batch.len(), arrived.len()), (1_137, 1_137));
    for (sent, mut arrived) in batch.iter().zip(arrived) {
        arrived.id = sent.id;
        let mut expected = carried(sent, &profile);
        // The `Host` header says which port was meant; recordings differ in whether the URL does, too.
        expected.request.host = arrived.request.host.clone();
        assert_eq!(url::without_port(&arrived.request.host), url::without_port(&sent.request.host));
        assert_eq!(arrived, expected);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_but_for_the_listed_losses(
        exchanges in proptest::collection::vec(crate::testing::exchanges(), 1..4),
        log_bodies: bool,
        milliseconds: bool,
    ) {
        let profile = Profile { log_bodies, milliseconds, max_fields: 1_000 };
        let batch: Vec<Arc<Exchange>> = exchanges.into_iter().map(Arc::new).collect();
        let plan = plan(&batch, "tok-1", None, &profile);
        prop_assert_eq!(plan.calls.len(), 1);
        let decoded = decode::call(&plan.calls[0].body, Some(&plan.calls[0].key())).unwrap();
        prop_assert_eq!(&decoded.rejected, &[]);
        let again = decode::call(&plan.calls[0].body, Some(&plan.calls[0].key())).unwrap();
        prop_assert_eq!(&decoded.accepted, &again.accepted, "a repeated call is recognised");
        let parts = plan.calls[0].halves().into_iter().flatten();
        let in_parts = parts.flat_map(|part| decode::call(&part.body, Some(&part.key())).unwrap().accepted);
        let in_parts: Vec<_> = in_parts.collect();
        if batch.len() > 1 {
            prop_assert_eq!(&decoded.accepted, &in_parts, "and so are its parts");
        }
        for (sent, (credential, mut arrived)) in batch.iter().zip(decoded.accepted) {
            prop_assert_eq!(credential.token, "tok-1");
            arrived.id = sent.id;
            prop_assert_eq!(arrived, carried(sent, &profile));
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _outcome = decode::call(&bytes, None);
        let _counts = decode::entries_per_alf(&bytes);
    }

    #[test]
    fn damaged_calls_never_panic(
        exchange in crate::testing::exchanges(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut: prop::sample::Index,
    ) {
        let profile = Profile { log_bodies: true, ..Profile::default() };
        let mut body = plan(&[Arc::new(exchange)], "t", None, &profile).calls.remove(0).body;
        for (index, byte) in damage {
            let index = index.index(body.len());
            body[index] = byte;
        }
        if let Ok(decoded) = decode::call(&body, None) {
            prop_assert_eq!(decoded.offered, decoded.accepted.len() + decoded.rejected.len());
        }
        let _outcome = decode::call(&body[..cut.index(body.len())], None);
    }
}

fn entry_json(change: impl FnOnce(&mut Value)) -> Value {
    let mut entry = json!({
        "startedDateTime": "2016-04-11T12:00:00Z",
        "clientIPAddress": "203.0.113.7",
        "request": {"method": "GET", "url": "http://a.test/x?a=1", "httpVersion": "HTTP/1.1", "headers": [],
                    "queryString": [], "headersSize": -1, "bodySize": -1},
        "response": {"status": 200, "headers": {}, "headersSize": 0, "bodySize": 0},
        "timings": {"send": 1, "wait": 2, "receive": 3, "blocked": -1},
        "time": 6,
    });
    change(&mut entry);
    entry
}

fn read_entry(change: impl FnOnce(&mut Value)) -> Result<Exchange, String> {
    decode::entry_of_json(&entry_json(change).to_string())
}

#[test]
fn entries_are_read_however_they_are_written() {
    let plain = read_entry(|_| {}).unwrap();
    assert_eq!(plain.timings.duration(), Some(Duration::from_millis(6)));
    assert_eq!((plain.request.body.size, plain.request.headers_size), (None, None));

    let other_time = read_entry(|entry| entry["time"] = json!(9.5)).unwrap();
    assert_eq!(other_time.timings.total, Some(Duration::from_micros(9_500)));

    let mapped = read_entry(|entry| entry["clientIPAddress"] = json!("::ffff:192.0.2.7")).unwrap();
    assert_eq!(mapped.client, parts::peer("192.0.2.7"));

    let shouting = read_entry(|entry| {
        entry["request"]["headers"] =
            json!([{"name": "X_FORWARDED_FOR", "value": 7}, {"name": "My_Own", "value": true}]);
    });
    let names: Vec<_> = shouting.unwrap().request.headers.0.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["x-forwarded-for", "my_own"]);

    let bare = read_entry(|entry| {
        entry["request"]["url"] = json!("http://a.test/x");
        entry["request"]["queryString"] =
            json!([{"name": "flag", "value": true}, {"name": "q", "value": "ä b"}]);
    });
    assert_eq!(bare.unwrap().request.query.unwrap(), "flag=true&q=%C3%A4%20b");

    let aborted = read_entry(|entry| entry["response"] = json!({"status": 0})).unwrap();
    assert_eq!(aborted.response, None);

    let port = read_entry(|entry| {
        entry["request"]["headers"] = json!([{"name": "Host", "value": "A.test:8443"}]);
    });
    assert_eq!(port.unwrap().request.host, "a.test:8443");

    let not_base64 = read_entry(|entry| {
        entry["response"]["content"] = json!({"mimeType": "text/plain", "encoding": "base64", "text": "no!"});
    });
    let not_base64 = not_base64.unwrap();
    assert!(not_base64.attributes.get("galileo.response_body_not_base64").is_some());
    assert_eq!(not_base64.response.unwrap().body.bytes().unwrap(), "no!");
}

#[test]
fn times_are_read_in_every_form_in_use() {
    for (text, read) in [
        ("2016-04-11T12:00:00Z", "2016-04-11T12:00:00Z"),
        ("2016-04-11T12:00:00.742Z", "2016-04-11T12:00:00.742Z"),
        ("2016-04-11T12:00:00.742001Z", "2016-04-11T12:00:00.742001Z"),
        ("2016-04-11T14:00:00+02:00", "2016-04-11T12:00:00Z"),
        ("2016-04-11T12:00:00", "2016-04-11T12:00:00Z"),
        ("2016-04-11T12:00:07.7Z", "2016-04-11T12:00:07.700Z"),
    ] {
        let exchange = read_entry(|entry| entry["startedDateTime"] = json!(text)).unwrap();
        assert_eq!(exchange.started_at.to_string(), read, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let reason = |change: fn(&mut Value)| read_entry(change).unwrap_err();
    assert_eq!(reason(|entry| entry["startedDateTime"] = Value::Null), "startedDateTime is missing");
    assert!(
        reason(|entry| entry["startedDateTime"] = json!("soon"))
            .starts_with("startedDateTime: not a time: \"soon\"")
    );
    assert_eq!(reason(|entry| entry["request"] = Value::Null), "request is missing");
    assert_eq!(
        reason(|entry| entry["request"]["url"] = json!("x")),
        "request.url \"x\" is not an absolute URL"
    );
    assert_eq!(
        reason(|entry| entry["response"]["status"] = json!(70_000)),
        "response.status 70000 is not a status"
    );
    let path = reason(|entry| entry["request"]["headers"] = json!([{"name": "a"}, 7]));
    assert!(path.starts_with("request.headers[1]: invalid type: integer `7`"), "{path}");
}

fn call_json(alf: Value) -> weir_pipeline::Decoded {
    decode::call(alf.to_string().as_bytes(), None).unwrap()
}

#[test]
fn every_version_is_read_by_its_members() {
    let mut entry = entry_json(|_| {});
    entry.as_object_mut().unwrap().remove("clientIPAddress");
    let old = call_json(json!([{
        "version": "1.0.0", "serviceToken": "t", "environment": null, "clientIPAddress": "203.0.113.9",
        "har": {"log": {"version": "1.2", "creator": {"name": "galileo-agent-kong", "version": "1.1.0"},
                        "entries": [with_post_data(&entry, json!({"mimeType": ["text/plain"], "params": {}, "text": "b2th"}))]}},
    }]));
    let (credential, exchange) = &old.accepted[0];
    assert_eq!((credential.token.as_str(), credential.environment.as_deref()), ("t", None));
    assert_eq!(exchange.client, parts::peer("203.0.113.9"));
    assert_eq!(exchange.request.body.bytes().unwrap(), "oka", "base64 by the name of the creator");
    assert_eq!(exchange.origin.node.as_deref(), Some("galileo-agent-kong 1.1.0"));

    let new = call_json(json!({
        "version": "2.0.0", "service": {"token": "t", "environment": "e"}, "creator": {"name": "c", "version": "1"},
        "entries": [entry_json(|entry| entry["request"]["content"] = json!({"text": "aGk=", "encoding": "base64"}))],
    }));
    let (credential, exchange) = &new.accepted[0];
    assert_eq!((credential.token.as_str(), credential.environment.as_deref()), ("t", Some("e")));
    assert_eq!(exchange.origin.environment.as_deref(), Some("e"));
    assert_eq!(exchange.request.body.bytes().unwrap(), "hi");

    let oldest = call_json(json!({
        "serviceToken": "t",
        "har": {"log": {"entries": [with_post_data(&entry_json(|_| {}), json!({"mimeType": "text/plain", "text": ""}))]}},
    }));
    let exchange = &oldest.accepted[0].1;
    assert_eq!(exchange.client, parts::peer("203.0.113.7"), "the entry's own address wins");
    assert_eq!(exchange.request.body.bytes(), None, "an empty text without encoding says nothing");
}

fn with_post_data(entry: &Value, post_data: Value) -> Value {
    let mut entry = entry.clone();
    entry["request"]["postData"] = post_data;
    entry
}

#[test]
fn one_bad_entry_or_alf_does_not_harm_the_rest() {
    let bad = json!({"startedDateTime": "2016-04-11T12:00:00Z"});
    let good = entry_json(|_| {});
    let alf = |entries: Value| json!({"version": "1.1.0", "serviceToken": "t", "har": {"log": {"entries": entries}}});
    let decoded =
        call_json(json!([alf(json!([good, bad, good])), 7, alf(json!({})), alf(json!([bad, good]))]));
    assert_eq!((decoded.offered, decoded.accepted.len()), (6, 3));
    let rejected: Vec<(usize, &str)> =
        decoded.rejected.iter().map(|rejected| (rejected.index, rejected.reason.as_str())).collect();
    assert_eq!(rejected[0], (1, "ALF[0] entries[1]: request is missing"));
    assert!(rejected[1].0 == 3 && rejected[1].1.starts_with("ALF[1] is not an ALF: "), "{rejected:?}");
    assert_eq!(rejected[2], (4, "ALF[3] entries[0]: request is missing"));
}

#[test]
fn half_surrogates_cost_a_character_and_not_the_entry() {
    let text =
        entry_json(|entry| entry["request"]["method"] = json!("G?T")).to_string().replace("G?T", "G\\ud83dT");
    assert_eq!(decode::entry_of_json(&text).unwrap().request.method, "G\u{FFFD}T");
}

#[test]
fn hostile_sizes_are_refused() {
    let many = format!("{{\"serviceToken\":\"t\",\"entries\":[{}0]}}", "0,".repeat(decode::MAX_ENTRIES));
    assert_eq!(decode::call(many.as_bytes(), None).unwrap_err().status, 413);
    let alfs = format!("[{}0]", "0,".repeat(decode::MAX_ENTRIES));
    assert_eq!(decode::call(alfs.as_bytes(), None).unwrap_err().status, 413);
    let wide = entry_json(|entry| entry["request"]["headers"] = json!(vec![json!({}); 10_001]));
    assert!(decode::entry_of_json(&wide.to_string()).unwrap_err().contains("more than 10000 items"));
    let deep = "[".repeat(5_000_000);
    assert_eq!(decode::call(deep.as_bytes(), None).unwrap_err().status, 400);
    let deep_member = entry_json(|entry| entry["request"]["method"] = json!("DEEP")).to_string();
    let deep_member =
        deep_member.replace("\"DEEP\"", &format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000)));
    assert!(decode::entry_of_json(&deep_member).unwrap_err().contains("recursion limit"));
}

#[test]
fn reasons_do_not_quote_without_end() {
    let long = entry_json(|entry| entry["request"] = json!("x".repeat(100_000)));
    let decoded = call_json(json!({"entries": [long]}));
    assert!(decoded.rejected[0].reason.len() < 400, "{}", decoded.rejected[0].reason.len());
}

mod transport;
