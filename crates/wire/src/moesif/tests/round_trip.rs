//! What is written and read back: everything but the losses that README.md lists.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_model::{
    Attributes, Body, Captured, Exchange, Headers, Identity, Origin, Peer, Request, Response, Timings, WhyNot,
};

use crate::moesif::attribute;
use crate::moesif::config::Config;
use crate::moesif::decode::{self, Reporter};
use crate::moesif::encode::Encoder;
use crate::parts::{self, body, url};

fn encoder(settings: Value) -> Encoder {
    let mut given = json!({"application_id": "app"});
    given.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Encoder::new(Config::read(given).unwrap())
}

/// Events as they go over the wire and come back.
fn arrived(batch: &[Arc<Exchange>], encoder: &Encoder) -> Vec<Exchange> {
    let events: Vec<_> = batch.iter().map(|exchange| encoder.event(exchange, 1)).collect();
    let body = serde_json::to_vec(&events).unwrap();
    let decoded = decode::batch(&body, &Reporter { application_id: "app", ..Reporter::default() }).unwrap();
    assert_eq!(decoded.rejected, []);
    decoded.accepted.into_iter().map(|(_, exchange)| exchange).collect()
}

/// What events carry of an exchange: the losses that README.md lists, and no other.
fn carried(exchange: &Exchange, max_body: usize) -> Exchange {
    let asked = &exchange.request;
    let headers = carried_headers(&asked.headers);
    let request = Request {
        method: asked.method.clone(),
        scheme: if asked.scheme.is_empty() { "http".into() } else { asked.scheme.clone() },
        host: carried_host(exchange, &headers).into(),
        path: asked.path.clone(),
        query: asked.query.clone(),
        body: carried_body(&headers, &asked.headers, &asked.body, max_body),
        headers,
        ..Request::default()
    };
    let mut carried =
        Exchange::new(exchange.id, exchange.started_at.floor(Duration::from_millis(1)), request);
    carried.origin = Origin { source: "moesif".into(), node: None, environment: None };
    carried.client = Peer { port: None, ..exchange.client };
    carried.server = Peer { address: None, port: Some(port(exchange)) };
    carried.response = exchange.response.as_ref().map(|answer| {
        let headers = carried_headers(&answer.headers);
        let body = carried_body(&headers, &answer.headers, &answer.body, max_body);
        Response { status: answer.status, headers, body, ..Response::default() }
    });
    let ended = exchange.started_at + exchange.duration().unwrap_or_default();
    let whole = ended.floor(Duration::from_millis(1)).since(carried.started_at);
    carried.timings = Timings { total: carried.response.as_ref().map(|_| whole), ..Timings::default() };
    carried.identity = exchange.identity.clone();
    carried.weight = exchange.weight;
    carried.attributes.set(attribute::API_VERSION, "1.0");
    carried
}

fn port(exchange: &Exchange) -> u16 {
    let named = exchange.request.host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let usual = if exchange.request.scheme == "https" { 443 } else { 80 };
    exchange.server.port.or(named).unwrap_or(usual)
}

/// Without a `Host` header the port is that of the gateway, and the usual one goes unsaid.
fn carried_host(exchange: &Exchange, headers: &Headers) -> String {
    let name = url::without_port(&exchange.request.host).to_owned();
    match headers.text("host") {
        Some(host) if url::without_port(&host) == name => host.into_owned(),
        _ => match (exchange.request.scheme.as_str(), port(exchange)) {
            ("https", 443) | ("http" | "", 80) => name,
            (_, port) => format!("{name}:{port}"),
        },
    }
}

/// Names in lower case, those that occur several times together.
fn carried_headers(headers: &Headers) -> Headers {
    let mut carried = Headers::default();
    let mut names: Vec<String> = Vec::new();
    for (name, _) in headers.iter() {
        let name = name.to_lowercase();
        if !names.contains(&name) {
            for value in headers.all(&name) {
                carried.push(name.clone(), Bytes::from(String::from_utf8_lossy(value).into_owned()));
            }
            names.push(name);
        }
    }
    carried
}

fn carried_body(carried: &Headers, headers: &Headers, given: &Body, max_body: usize) -> Body {
    let length = parts::content_length(carried);
    let nothing = |why_not| Body { size: length, captured: Captured::No(why_not), ..Body::default() };
    match &given.captured {
        Captured::Whole(bytes) if bytes.is_empty() => nothing(WhyNot::Unknown),
        Captured::Whole(bytes) if bytes.len() <= max_body => {
            let captured = Captured::Whole(bytes.clone());
            let coding = body::coding_of(carried, &captured);
            let was_packed = headers.get("content-encoding").is_some() && coding.name().is_empty();
            let size = length.or((!was_packed).then_some(bytes.len() as u64));
            Body { size, captured, coding, media_type: None }
        }
        Captured::Whole(_) => nothing(WhyNot::TooLarge),
        Captured::Cut(_) if given.size.is_some_and(|size| size <= max_body as u64) => {
            nothing(WhyNot::Unknown)
        }
        Captured::Cut(_) => nothing(WhyNot::TooLarge),
        Captured::No(WhyNot::Off) => nothing(WhyNot::Unknown),
        Captured::No(why_not) => nothing(*why_not),
    }
}

#[test]
fn everything_that_events_have_a_place_for_arrives() {
    let mut exchange = parts_of_an_exchange();
    exchange.identity = Identity {
        user: Some("u".into()),
        company: Some("c".into()),
        subscription: Some("s".into()),
        session: Some("t".into()),
    };
    exchange.weight = 7;
    let encoder = encoder(json!({}));
    let arrived = arrived(&[Arc::new(exchange.clone())], &encoder).remove(0);
    let mut expected = carried(&exchange, 100_000);
    expected.service = Some("items".into());
    for (name, value) in exchange.attributes.iter() {
        expected.attributes.set(name.to_owned(), value.clone());
    }
    let sorted = |attributes: &Attributes| {
        let mut all: Vec<_> = attributes.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        all.sort();
        all
    };
    assert_eq!(sorted(&arrived.attributes), sorted(&expected.attributes));
    expected.attributes = arrived.attributes.clone();
    assert_eq!(arrived, expected);
}

fn parts_of_an_exchange() -> Exchange {
    use weir_model::attribute::Value;
    let started_at = "2024-05-06T07:08:09.123Z".parse().unwrap();
    let request = Request {
        method: "POST".into(),
        scheme: "https".into(),
        host: "api.test".into(),
        path: "/a//b%20c".into(),
        query: Some("x=1&&y".into()),
        headers: Headers::from_iter([("host", "api.test"), ("accept", "a"), ("accept", "b")]),
        body: Body::whole("{\"n\":1.10,\"big\":123456789012345678901234567890}"),
        ..Request::default()
    };
    let mut exchange = Exchange::new(weir_model::ExchangeId::new(started_at), started_at, request);
    exchange.response =
        Some(Response { status: 201, body: Body::whole(&b"\x00\xFF"[..]), ..Response::default() });
    exchange.timings.total = Some(Duration::from_millis(1_500));
    exchange.client = Peer::new([192, 0, 2, 1].into(), None);
    exchange.server.port = Some(8443);
    exchange.service = Some("items".into());
    for (name, value) in [
        (attribute::DIRECTION, Value::from("Outgoing")),
        (attribute::BLOCKED_BY, Value::from("rule")),
        (attribute::ACTION_NAME, Value::from("list")),
        (attribute::TRACE_ID, Value::from("0af7651916cd43dd8448eb211c80319c")),
        (attribute::TAGS, Value::from("a,b")),
        (attribute::SPAN, Value::Json("{\"id\":\"1\"}".into())),
        (attribute::METADATA, Value::Json("{\"mine\":{\"a\":1.0}}".into())),
        (attribute::ROUTE_HOSTS, Value::Json("[\"api.test\"]".into())),
    ] {
        exchange.attributes.set(name, value);
    }
    exchange
}

/// Recordings of real sites as the source of exchanges.
fn recorded() -> Vec<Arc<Exchange>> {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/har-sites");
    let mut out = weir_pipeline::Imported::default();
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|ending| ending == "har") {
            let mut importer = (crate::har::IMPORTER.open)();
            importer.feed(&std::fs::read(file).unwrap(), &mut out);
            importer.finish(&mut out);
        }
    }
    out.accepted.into_iter().map(Arc::new).collect()
}

#[test]
fn real_traffic_arrives_but_for_the_listed_losses() {
    let batch = recorded();
    let encoder = encoder(json!({"trusted_ips": [], "disable_gzip_payload_decompression": true}));
    let arrived = arrived(&batch, &encoder);
    assert_eq!((batch.len(), arrived.len()), (1_137, 1_137));
    for (sent, arrived) in batch.iter().zip(arrived) {
        let mut expected = carried(sent, 100_000);
        // JSON loses the white space after it; recordings differ in whether the URL names the port, too.
        compare_json_bodies(&mut expected, &arrived);
        assert_eq!(url::without_port(&arrived.request.host), url::without_port(&sent.request.host));
        expected.request.host = arrived.request.host.clone();
        assert_eq!(arrived, expected);
    }
}

fn compare_json_bodies(expected: &mut Exchange, arrived: &Exchange) {
    trim(&mut expected.request.body, &arrived.request.body);
    if let (Some(expected), Some(arrived)) = (&mut expected.response, &arrived.response) {
        trim(&mut expected.body, &arrived.body);
    }
}

fn trim(expected: &mut Body, arrived: &Body) {
    if let (Captured::Whole(sent), Captured::Whole(come)) = (&expected.captured, &arrived.captured)
        && sent.starts_with(b"{") | sent.starts_with(b"[")
        && sent.trim_ascii_end() == &**come
    {
        *expected = arrived.clone();
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_but_for_the_listed_losses(
        exchanges in proptest::collection::vec(crate::testing::exchanges(), 1..4),
        max_body in prop::sample::select(vec![0usize, 30, 100_000]),
    ) {
        let encoder = encoder(json!({
            "trusted_ips": [], "disable_gzip_payload_decompression": true,
            "request_max_body_size_limit": max_body, "response_max_body_size_limit": max_body,
        }));
        let batch: Vec<Arc<Exchange>> = exchanges.into_iter().map(Arc::new).collect();
        let arrived = arrived(&batch, &encoder);
        prop_assert_eq!(arrived.len(), batch.len());
        for (sent, arrived) in batch.iter().zip(arrived) {
            prop_assert_eq!(arrived, carried(sent, max_body));
        }
    }
}
