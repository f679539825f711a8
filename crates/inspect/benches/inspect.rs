//! What identifying and masking one exchange cost, in microseconds: the median of many runs, per case.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use weir_inspect::{Learner, RedactSettings, Redactor, Templates, identify};
use weir_kit::Timestamp;
use weir_model::body::ContentCoding;
use weir_model::{Body, Exchange, ExchangeId, Request, Response};

const RUNS: usize = 2_000;

fn main() {
    let redactor = Redactor::new(&RedactSettings::default());
    let templates = Templates::default();
    let large = json(10_000, false);
    let with_secrets = json(10_000, true);
    let cases = [
        ("headers only", exchange(None::<(String, &str)>)),
        ("JSON 10 KB, no secret", exchange(Some((large.clone(), "")))),
        ("JSON 10 KB, secrets", exchange(Some((with_secrets, "")))),
        ("JSON 10 KB, gzip", exchange(Some((gzip(large.as_bytes()), "gzip")))),
        ("JSON 1 MB", exchange(Some((json(1_000_000, false), "")))),
    ];
    println!("{:<24} {:>10} {:>10} {:>10}", "us per exchange", "identify", "redact", "learn");
    let mut learner = Learner::default();
    for (name, exchange) in &cases {
        let identified = time(exchange, |exchange| identify(exchange, &templates));
        let redacted = time(exchange, |exchange| redactor.apply(exchange));
        let learned = time(exchange, |exchange| learner.observe(exchange));
        println!("{name:<24} {identified:>10.2} {redacted:>10.2} {learned:>10.2}");
    }
}

/// The median time of one run; each run gets a fresh copy.
fn time(exchange: &Exchange, mut work: impl FnMut(&mut Exchange)) -> f64 {
    let runs = if exchange.response.as_ref().is_some_and(|response| response.body.size > Some(100_000)) {
        50
    } else {
        RUNS
    };
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let mut copy = exchange.clone();
            let begin = Instant::now();
            work(black_box(&mut copy));
            let taken = begin.elapsed();
            black_box(copy);
            taken.as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn exchange(body: Option<(impl Into<bytes::Bytes>, &str)>) -> Exchange {
    let mut request = Request {
        method: "GET".into(),
        path: "/api/v2/customers/0b2c1d9e-6f4a-4a5b-9c3d-1e2f3a4b5c6d/orders/10042".into(),
        query: Some("page=2&per_page=50&sort=created".into()),
        host: "shop.example.com".into(),
        ..Request::default()
    };
    for (name, value) in [
        ("Host", "shop.example.com"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
        ("Accept", "application/json, text/plain, */*"),
        ("Referer", "https://shop.example.com/products?page=2"),
        ("Authorization", "Bearer 0123456789abcdef0123456789abcdef"),
        ("Cookie", "theme=dark; sid=0123456789abcdef"),
        ("X-Request-Id", "0b2c1d9e-6f4a-4a5b-9c3d-1e2f3a4b5c6d"),
    ] {
        request.headers.push(name, value);
    }
    let mut exchange = Exchange::new(ExchangeId::new(Timestamp::default()), Timestamp::default(), request);
    let mut response = Response { status: 200, ..Response::default() };
    response.headers.push("Content-Type", "application/json");
    response.headers.push("Cache-Control", "no-store, max-age=0");
    if let Some((bytes, coding)) = body {
        response.body = Body::whole(bytes);
        response.body.coding = ContentCoding::of_header(Some(coding));
    }
    exchange.response = Some(response);
    exchange
}

fn json(size: usize, secrets: bool) -> String {
    let secret = if secrets { r#","access_token":"0123456789abcdef""# } else { "" };
    let item = format!(
        r#"{{"id":4711,"name":"red harbour shoes","price":{{"value":4990,"currency":"EUR"}},"url":"https://shop.example.com/p/4711","tags":["new","outdoor"]{secret}}}"#
    );
    let items = vec![item.as_str(); size / item.len()];
    format!("[{}]", items.join(","))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}
