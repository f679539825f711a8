//! Exchanges of every shape, for the round trips of all formats.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weir_kit::Timestamp;
use weir_model::{
    Body, Captured, CompactString, Exchange, ExchangeId, Headers, Peer, Request, Response, Timings, WhyNot,
};

/// Exchanges as a gateway or a foreign reporter makes them: header values are bytes, anything optional may be missing.
pub(crate) fn exchanges() -> impl Strategy<Value = Exchange> {
    let start = (0i64..4_000_000_000_000_000).prop_map(Timestamp::from_micros);
    (start, requests(), option::of(responses()), timings(), peers(), peers()).prop_map(
        |(started_at, request, response, timings, client, server)| {
            let mut exchange = Exchange::new(ExchangeId::new(started_at), started_at, request);
            exchange.response = response;
            exchange.timings = timings;
            exchange.client = client;
            exchange.server = server;
            exchange
        },
    )
}

fn requests() -> impl Strategy<Value = Request> {
    let version = prop::sample::select(vec!["", "1.0", "1.1", "2", "3"]);
    (
        "[A-Z]{1,9}",
        "https?",
        "[a-z]{1,8}\\.test(:[1-9][0-9]{1,3})?",
        "/[!\"$->@-~]{0,20}",
        option::of("[!\"$-~]{0,20}"),
        version,
        headers(),
        bodies(),
    )
        .prop_map(|(method, scheme, host, path, query, version, mut headers, body)| {
            headers.push("Host", host.clone());
            let version = version.to_owned();
            Request {
                method: method.into(),
                scheme: scheme.into(),
                host: host.into(),
                path: path.into(),
                query: query.map(Into::into),
                version: version.into(),
                headers,
                body,
                ..Request::default()
            }
        })
}

fn responses() -> impl Strategy<Value = Response> {
    let version = prop::sample::select(vec!["", "1.1", "2"]);
    (1u16..1000, option::of("[A-Z ]{1,8}"), version, headers(), bodies()).prop_map(
        |(status, reason, version, headers, body)| Response {
            status,
            reason: reason.map(Into::into),
            version: version.into(),
            headers,
            body,
            ..Response::default()
        },
    )
}

fn headers() -> impl Strategy<Value = Headers> {
    let known = prop_oneof![
        Just((CompactString::from("Content-Type"), Bytes::from_static(b"text/plain"))),
        Just(("content-type".into(), Bytes::from_static(b"multipart/byteranges"))),
        Just(("Content-Encoding".into(), Bytes::from_static(b"gzip"))),
        Just(("Transfer-Encoding".into(), Bytes::from_static(b"chunked"))),
        (0u32..5000).prop_map(|size| ("Content-Length".into(), Bytes::from(size.to_string()))),
    ];
    let any = ("[A-Za-z][A-Za-z0-9-]{0,9}", vec(any::<u8>(), 0..12))
        .prop_map(|(name, value)| (format!("X-{name}").into(), Bytes::from(value)));
    vec(prop_oneof![known, any], 0..6).prop_map(Headers)
}

fn bodies() -> impl Strategy<Value = Body> {
    let media_type = option::of(Just(CompactString::from("text/csv")));
    let bytes = vec(any::<u8>(), 0..60).prop_map(Bytes::from);
    let whole =
        (bytes.clone(), media_type).prop_map(|(bytes, media_type)| Body { media_type, ..Body::whole(bytes) });
    prop_oneof![
        Just(Body::default()),
        (0u64..100_000).prop_map(Body::of_size),
        whole,
        bytes.prop_map(|bytes| Body { captured: Captured::Cut(bytes), ..Body::of_size(1_000) }),
        Just(Body { captured: Captured::No(WhyNot::Budget), ..Body::of_size(5) }),
    ]
}

fn timings() -> impl Strategy<Value = Timings> {
    let part = || option::of((0u64..100_000_000).prop_map(Duration::from_micros));
    (part(), part(), part(), part(), part(), part(), part(), part()).prop_map(
        |(blocked, dns, connect, tls, send, wait, receive, total)| Timings {
            blocked,
            dns,
            connect,
            tls,
            send,
            wait,
            receive,
            total,
        },
    )
}

fn peers() -> impl Strategy<Value = Peer> {
    let address = option::of(prop_oneof![
        any::<[u8; 4]>().prop_map(std::net::IpAddr::from),
        any::<[u8; 16]>().prop_map(std::net::IpAddr::from),
    ]);
    (address, option::of(any::<u16>()))
        .prop_map(|(address, port)| Peer { address: address.map(|address| address.to_canonical()), port })
}

/// An exchange for this path, answered with 200.
pub(crate) fn one(path: &str) -> Exchange {
    let start = Timestamp::from_seconds(1_795_175_820);
    let request =
        Request { method: "GET".into(), host: "a.test".into(), path: path.into(), ..Request::default() };
    let mut exchange = Exchange::new(ExchangeId::new(start), start, request);
    exchange.response = Some(Response { status: 200, ..Response::default() });
    exchange
}
