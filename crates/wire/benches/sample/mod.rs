//! The exchange that benchmarks are made of.

use std::time::Duration;

use weir_kit::Timestamp;
use weir_model::{Body, Exchange, ExchangeId, Headers, Request, Response, Timings};

/// A call as a browser makes it, with bodies of this size, both ways.
pub(crate) fn exchange(number: usize, body_bytes: usize) -> Exchange {
    let started_at = Timestamp::from_micros(1_767_225_600_000_000 + number as i64 * 1_234);
    let body = |what: &str| {
        let item = format!("{{\"{what}\":{number},\"name\":\"item \\\"{number}\\\"\",\"price\":12.5}},");
        Body::whole(item.repeat(body_bytes.div_ceil(item.len())).into_bytes())
    };
    let request = Request {
        method: "POST".into(),
        scheme: "https".into(),
        host: "shop.example.test".into(),
        path: format!("/v1/customers/{number}/orders").into(),
        query: Some(format!("page={number}&sort=price%20desc&expand=items").into()),
        version: "1.1".into(),
        headers: Headers::from_iter([
            ("Host", "shop.example.test".to_owned()),
            (
                "User-Agent",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36".to_owned(),
            ),
            ("Accept", "application/json, text/plain, */*".to_owned()),
            ("Accept-Encoding", "gzip, deflate, br".to_owned()),
            ("Content-Type", "application/json".to_owned()),
            ("Content-Length", body_bytes.to_string()),
            ("X-Request-Id", format!("0197a5c2-7d4b-7b1c-9b0e-{number:012}")),
        ]),
        body: body("request"),
        ..Request::default()
    };
    let mut exchange = Exchange::new(ExchangeId::new(started_at), started_at, request);
    exchange.client = weir_model::Peer::new([203, 0, 113, 7].into(), Some(4_711));
    exchange.server = weir_model::Peer::new([192, 0, 2, 10].into(), Some(443));
    exchange.response = Some(Response {
        status: 201,
        version: "1.1".into(),
        headers: Headers::from_iter([
            ("Content-Type", "application/json; charset=utf-8".to_owned()),
            ("Content-Length", body_bytes.to_string()),
            ("Date", "Thu, 01 Jan 2026 00:00:00 GMT".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
        ]),
        body: body("response"),
        ..Response::default()
    });
    let part = |micros: u64| Some(Duration::from_micros(micros));
    exchange.timings =
        Timings { send: part(350), wait: part(15_250), receive: part(1_000), ..Timings::default() };
    exchange
}
