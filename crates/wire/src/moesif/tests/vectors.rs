//! The cases of the original's serializer, one by one, written and read back.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weir_kit::{Timestamp, schema};
use weir_model::{Body, Captured, Consumer, Exchange, ExchangeId, Headers, Peer, Request, Response};

use crate::moesif::attribute;
use crate::moesif::config::{Config, FIELDS};
use crate::moesif::decode::{self, Reporter};
use crate::moesif::encode::Encoder;
use crate::moesif::sampling::{self, Sampler};
use crate::moesif::served;
use crate::parts::{self, body, url};

pub(super) fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../testdata/vectors/moesif-cases.json")).unwrap()
}

pub(super) fn config_of(vectors: &Value, case: &Value) -> Config {
    let mut settings = vectors["defaults"].clone();
    for (name, value) in case["config"].as_object().unwrap() {
        settings[name] = value.clone();
    }
    Config::read(schema::check(FIELDS, settings).unwrap()).unwrap()
}

/// The exchange that a vector describes, as the gateway would record it under these settings.
fn exchange_of(case: &Value, config: &Config) -> Exchange {
    let (asked, answered) = (&case["input"]["request"], &case["input"]["response"]);
    let text = |name: &str| asked[name].as_str().unwrap();
    let time = |part: &Value| part["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let (path, query) = url::split_target(text("target"));
    let capture = config.capture();
    let headers = headers_of(&asked["headers"]);
    let request = Request {
        method: text("verb").into(),
        scheme: text("scheme").into(),
        host: text("host").into(),
        path: path.into(),
        query: query.map(Into::into),
        body: body_of(asked, &headers, capture.request_body_bytes),
        headers,
        ..Request::default()
    };
    let started_at = time(asked);
    let mut exchange = Exchange::new(ExchangeId::new(started_at), started_at, request);
    exchange.client = parts::peer(text("peer_ip"));
    exchange.server = Peer { address: None, port: Some(asked["port"].as_u64().unwrap() as u16) };
    let headers = headers_of(&answered["headers"]);
    exchange.response = Some(Response {
        status: answered["status"].as_u64().unwrap() as u16,
        body: body_of(answered, &headers, capture.response_body_bytes),
        headers,
        ..Response::default()
    });
    exchange.timings.total = Some(time(answered).since(started_at));
    let gateway = &case["input"]["gateway"];
    exchange.service = gateway["service"]["name"].as_str().map(Into::into);
    exchange
}

fn headers_of(fields: &Value) -> Headers {
    fields
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}

/// A body as the gateway keeps it: no more than was wished for.
fn body_of(message: &Value, headers: &Headers, wished: usize) -> Body {
    let Some(text) = message["body_base64"].as_str() else { return Body::default() };
    let bytes = STANDARD.decode(text).unwrap();
    let size = Some(bytes.len() as u64);
    let captured = match bytes.len() {
        _ if wished == 0 => Captured::No(weir_model::WhyNot::Off),
        length if length <= wished => Captured::Whole(bytes.into()),
        _ => Captured::Cut(bytes[..wished].to_vec().into()),
    };
    Body { size, coding: body::coding_of(headers, &captured), captured, media_type: None }
}

/// What the gateway's policy finds out while the call is under way.
fn identify(exchange: &mut Exchange, case: &Value, config: &Config) {
    let verdict = super::governing::verdict(config, case);
    exchange.identity = verdict.identity;
    for (name, value) in verdict.attributes {
        exchange.attributes.set(name, value);
    }
}

/// The event of a vector; `None` when sampling leaves it out.
fn event_of(case: &Value, encoder: &Encoder, exchange: &Exchange) -> Option<Value> {
    let served = &case["served"]["config"];
    let served = served.is_object().then(|| Arc::new(served::config(served.to_string().as_bytes()).unwrap()));
    let sampler = Sampler::new(served, encoder.config().sample_rate);
    let caller = encoder.caller(exchange);
    let rate = sampler.rate(exchange, encoder.facts(exchange, &caller));
    let random = case["input"]["random_percent"].as_f64().unwrap_or(0.0);
    let event = encoder.event(exchange, sampling::weight(rate));
    sampling::keeps(rate, random).then(|| serde_json::to_value(event).unwrap())
}

#[test]
#[expect(clippy::print_stdout, reason = "says how many vectors were run")]
fn events_are_those_of_the_original() {
    let vectors = vectors();
    let cases = vectors["cases"].as_array().unwrap();
    let (mut written, mut dropped) = (0, 0);
    for case in cases {
        let name = &case["name"];
        let encoder = Encoder::new(config_of(&vectors, case));
        let mut exchange = exchange_of(case, encoder.config());
        identify(&mut exchange, case, encoder.config());
        let Some(mut event) = event_of(case, &encoder, &exchange) else {
            assert_eq!(
                (&case["expected"]["dropped"], &case["expected"]["reason"]),
                (&json!(true), &json!("sampled")),
                "{name}"
            );
            dropped += 1;
            continue;
        };
        let transaction = event.as_object_mut().unwrap().remove("transaction_id").unwrap();
        assert_eq!(transaction, exchange.id.to_string());
        assert_eq!(event, case["expected"]["event"], "{name}");
        written += 1;
    }
    println!("{} cases of moesif-cases.json written: {written} events, {dropped} sampled out", cases.len());
    assert_eq!((written, dropped), (67, 2));
}

#[test]
#[expect(clippy::print_stdout, reason = "says how many vectors were run")]
fn events_of_the_original_are_read() {
    let vectors = vectors();
    let mut read = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let expected = &case["expected"]["event"];
        if expected.is_null() {
            continue;
        }
        let name = case["name"].as_str().unwrap();
        let reporter = Reporter { application_id: "app", ..Reporter::default() };
        let exchange = decode::event(&expected.to_string(), &reporter).unwrap();
        check_read(name, &exchange, expected);
        // What is read is written again as it was.
        let settings = json!({"application_id": "app", "disable_gzip_payload_decompression": true});
        let encoder = Encoder::new(Config::read(settings).unwrap());
        let mut again = serde_json::to_value(encoder.event(&exchange, 1)).unwrap();
        again.as_object_mut().unwrap().remove("transaction_id");
        assert_eq!(&again, expected, "{name}");
        read += 1;
    }
    println!("{read} events of moesif-cases.json read and written again");
    assert_eq!(read, 67);
}

/// Compares what was read with the event, member by member.
fn check_read(name: &str, exchange: &Exchange, event: &Value) {
    let (asked, answered) = (&event["request"], &event["response"]);
    let request = &exchange.request;
    let port = exchange.server.port.unwrap();
    let uri = format!("{}://{}:{port}{}", request.scheme, url::without_port(&request.host), request.target());
    assert_eq!(uri, asked["uri"], "{name}");
    assert_eq!(
        (json!(request.method), json!(exchange.status())),
        (asked["verb"].clone(), answered["status"].clone()),
        "{name}"
    );
    assert_eq!(json!(exchange.client.address), asked["ip_address"], "{name}");
    let ended = answered["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(exchange.started_at + exchange.duration().unwrap(), ended, "{name}");
    for (headers, body, message) in [
        (&request.headers, &request.body, asked),
        (&exchange.response.as_ref().unwrap().headers, &exchange.response.as_ref().unwrap().body, answered),
    ] {
        assert_eq!(*headers, headers_of(&message["headers"]), "{name}");
        let stored = body.bytes().map(|bytes| match message["transfer_encoding"].as_str().unwrap() {
            "json" => serde_json::from_slice(bytes).unwrap(),
            _ => json!(STANDARD.encode(bytes)),
        });
        assert_eq!(stored.unwrap_or_default(), message["body"], "{name}");
    }
    let identity = &exchange.identity;
    assert_eq!(json!(identity.user), event["user_id"], "{name}");
    assert_eq!(json!(identity.company), event["company_id"], "{name}");
    assert_eq!(json!(identity.session), event["session_token"], "{name}");
    assert_eq!(json!(exchange.weight), event["weight"], "{name}");
    assert_eq!(json!(exchange.attributes.text(attribute::BLOCKED_BY)), event["blocked_by"], "{name}");
    assert_eq!(json!(exchange.service), event["metadata"]["kong"]["service_name"], "{name}");
}

#[test]
fn consumers_of_the_gateway_name_users_without_headers() {
    let vectors = vectors();
    let case = &vectors["cases"][0];
    let config = config_of(&vectors, case);
    let mut exchange = exchange_of(case, &config);
    exchange.consumer = Some(Consumer {
        id: Some("i".into()),
        username: Some("bob".into()),
        custom_id: None,
        credential: Some("cred-1".into()),
    });
    let expected = config.identity.session_token.of(&config.application_id, None, Some("cred-1"));
    let encoder = Encoder::new(config);
    let event = serde_json::to_value(encoder.event(&exchange, 1)).unwrap();
    assert_eq!((&event["user_id"], &event["session_token"]), (&json!("bob"), &json!(expected)));
    assert_ne!(event["session_token"], "cred-1");
    exchange.identity.user = Some("alice".into());
    let event = serde_json::to_value(encoder.event(&exchange, 1)).unwrap();
    assert_eq!(event["user_id"], "alice", "what is known already counts");
}
