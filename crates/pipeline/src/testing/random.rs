//! Exchanges with every field filled at random.

use std::net::IpAddr;
use std::time::Duration;

use rand::Rng;
use rand::seq::IndexedRandom;
use weir_kit::Timestamp;
use weir_kit::inflate::Coding;
use weir_model::body::ContentCoding;
use weir_model::{
    Attributes, Body, Captured, CompactString, Consumer, Exchange, ExchangeId, Finding, Headers, Identity,
    Operation, Origin, Peer, ProjectId, Protocol, Request, Response, Severity, Timings, Value, WhyNot,
};

/// An exchange in which any field may hold anything its type allows, odd text and empty text included.
pub fn random_exchange(rng: &mut impl Rng) -> Exchange {
    // From 1970 to 2100; ids hold no earlier time.
    let started_at = Timestamp::from_micros(rng.random_range(0..4_102_444_800_000_000));
    let mut exchange =
        Exchange::new(ExchangeId::with_random(started_at, rng.random()), started_at, request(rng));
    if rng.random() {
        exchange.project = ProjectId::from(text(rng).as_str());
    }
    exchange.origin = Origin { source: text(rng), node: maybe(rng, text), environment: maybe(rng, text) };
    exchange.service = maybe(rng, text);
    exchange.route = maybe(rng, text);
    exchange.consumer = maybe(rng, |rng| Consumer {
        id: maybe(rng, text),
        username: maybe(rng, text),
        custom_id: maybe(rng, text),
        credential: maybe(rng, text),
    });
    exchange.identity = Identity {
        user: maybe(rng, text),
        company: maybe(rng, text),
        subscription: maybe(rng, text),
        session: maybe(rng, text),
    };
    exchange.client = peer(rng);
    exchange.server = peer(rng);
    exchange.response = maybe(rng, response);
    exchange.timings = timings(rng);
    exchange.error = maybe(rng, text);
    exchange.operation = maybe(rng, |rng| Operation {
        protocol: *Protocol::ALL.choose(rng).unwrap_or(&Protocol::Rest),
        template: text(rng),
        name: maybe(rng, text),
        kind: maybe(rng, text),
        error: maybe(rng, text),
    });
    exchange.findings = some(rng, |rng| Finding {
        kind: text(rng),
        severity: *Severity::ALL.choose(rng).unwrap_or(&Severity::Info),
        location: text(rng),
        evidence: text(rng),
    });
    exchange.weight = if rng.random() { 1 } else { rng.random() };
    exchange.plugins = some(rng, text);
    exchange.attributes = attributes(rng);
    exchange
}

fn request(rng: &mut impl Rng) -> Request {
    Request {
        method: text(rng),
        scheme: text(rng),
        host: text(rng),
        path: text(rng),
        query: maybe(rng, text),
        version: text(rng),
        headers: headers(rng),
        headers_size: maybe(rng, |rng| rng.random()),
        trailers: headers(rng),
        body: body(rng),
    }
}

fn response<R: Rng>(rng: &mut R) -> Response {
    Response {
        status: rng.random(),
        reason: maybe(rng, text),
        version: text(rng),
        headers: headers(rng),
        headers_size: maybe(rng, |rng| rng.random()),
        trailers: headers(rng),
        body: body(rng),
    }
}

fn headers(rng: &mut impl Rng) -> Headers {
    some(rng, |rng| (text(rng), bytes(rng))).into_iter().collect()
}

fn body(rng: &mut impl Rng) -> Body {
    Body {
        size: maybe(rng, |rng| rng.random()),
        captured: match rng.random_range(0..3) {
            0 => Captured::No(*WhyNot::ALL.choose(rng).unwrap_or(&WhyNot::Unknown)),
            1 => Captured::Whole(bytes(rng).into()),
            _ => Captured::Cut(bytes(rng).into()),
        },
        coding: match rng.random_range(0..5) {
            0 => ContentCoding::Known(Coding::Gzip),
            1 => ContentCoding::Known(Coding::Deflate),
            2 => ContentCoding::Known(Coding::Zstd),
            3 => ContentCoding::Other("compress".into()),
            _ => ContentCoding::Known(Coding::Identity),
        },
        media_type: maybe(rng, text),
    }
}

fn timings<R: Rng>(rng: &mut R) -> Timings {
    let part = |rng: &mut R| maybe(rng, |rng| Duration::from_nanos(rng.random()));
    Timings {
        blocked: part(rng),
        dns: part(rng),
        connect: part(rng),
        tls: part(rng),
        send: part(rng),
        wait: part(rng),
        receive: part(rng),
        total: part(rng),
    }
}

fn attributes(rng: &mut impl Rng) -> Attributes {
    let mut attributes = Attributes::default();
    for _ in 0..rng.random_range(0..4) {
        let value = match rng.random_range(0..5) {
            0 => Value::Bool(rng.random()),
            1 => Value::Integer(rng.random()),
            2 => Value::Float(rng.random()),
            3 => Value::Text(text(rng)),
            _ => Value::Json(format!("[{:?}]", text(rng)).into()),
        };
        attributes.set(text(rng).into_string(), value);
    }
    attributes
}

fn peer(rng: &mut impl Rng) -> Peer {
    let address = match rng.random_range(0..3) {
        0 => None,
        1 => Some(IpAddr::from(rng.random::<[u8; 4]>())),
        _ => Some(IpAddr::from(rng.random::<[u8; 16]>())),
    };
    Peer { address, port: maybe(rng, |rng| rng.random()) }
}

fn text<R: Rng>(rng: &mut R) -> CompactString {
    // Lengths around 128, where a length takes a second byte, must occur.
    let longest = *[0, 3, 20, 200].choose(rng).unwrap_or(&0);
    (0..rng.random_range(0..=longest))
        .map(|_| if rng.random_ratio(1, 20) { 'é' } else { rng.random_range('!'..='~') })
        .collect()
}

fn bytes(rng: &mut impl Rng) -> Vec<u8> {
    let longest = *[0, 30, 3_000].choose(rng).unwrap_or(&0);
    (0..rng.random_range(0..=longest)).map(|_| rng.random()).collect()
}

fn maybe<R: Rng, T>(rng: &mut R, make: impl FnOnce(&mut R) -> T) -> Option<T> {
    if rng.random() { Some(make(rng)) } else { None }
}

fn some<R: Rng, T>(rng: &mut R, mut make: impl FnMut(&mut R) -> T) -> Vec<T> {
    (0..rng.random_range(0..5)).map(|_| make(rng)).collect()
}
