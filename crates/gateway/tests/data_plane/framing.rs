//! The framing policy, row by row, over raw sockets.

use std::time::Duration;

use crate::harness::{Client, TestGateway, mirror, service_at, settings, snapshot_of};

/// What became of a request: the status, and whether the connection was closed after it.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Passed,
    Refused(u16),
    /// Closed without an answer.
    Dropped,
}

use Fate::{Dropped, Passed, Refused};

/// Sends the bytes; then, if they passed, an ordinary request that must be answered as well.
fn fate(gateway: &TestGateway, bytes: &[u8]) -> Fate {
    let mut client = gateway.connect();
    client.send(bytes);
    let Some(answer) = client.try_answer("GET") else { return Dropped };
    if answer.status == 200 {
        if answer.head.starts_with("HTTP/1.1") {
            client.send(b"GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let next = client.try_answer("GET").map(|next| next.text()).unwrap_or_default();
            assert!(
                next.starts_with("GET /next HTTP/1.1\r\n"),
                "not usable after {:?}: {next}",
                answer.text()
            );
        }
        return Passed;
    }
    assert_eq!(answer.field("content-type"), Some("application/json; charset=utf-8"), "{}", answer.head);
    assert!(answer.text().starts_with("{\"message\":"), "{}", answer.text());
    assert!(client.is_closed(), "the connection stays open after {bytes:?}");
    Refused(answer.status)
}

#[test]
fn every_row_of_the_policy_holds() {
    let gateway = TestGateway::before(mirror());
    let get = |fields: &str| format!("GET /x HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n").into_bytes();
    let post = |fields: &str, body: &str| {
        format!("POST /x HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n{body}").into_bytes()
    };
    let raw = |text: &str| text.as_bytes().to_vec();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let rows: Vec<(&str, Vec<u8>, Fate)> = vec![
        ("plain", get(""), Passed),
        ("length", post("Content-Length: 3\r\n", "abc"), Passed),
        ("chunks", post(chunked, "3\r\nabc\r\n0\r\n\r\n"), Passed),
        // Where the body ends.
        (
            "length and chunks",
            post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunks and length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        ("gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), Refused(501)),
        (
            "gzip and chunked lines",
            post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            Refused(501),
        ),
        ("identity", post("Transfer-Encoding: identity\r\n", ""), Refused(501)),
        ("xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), Refused(400)),
        ("chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), Refused(400)),
        ("chunked not last", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), Refused(400)),
        ("chunked quoted", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), Refused(400)),
        ("chunked with a parameter", post("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"), Refused(400)),
        ("empty coding", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), Refused(400)),
        ("chunked in capitals", post("Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n"), Passed),
        ("tab before chunked", post("Transfer-Encoding:\tchunked\r\n", "0\r\n\r\n"), Passed),
        (
            "vertical tab before chunked",
            post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked in HTTP/1.0",
            raw("POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Refused(400),
        ),
        ("differing lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"), Refused(400)),
        ("equal lengths", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), Refused(400)),
        ("list of lengths", post("Content-Length: 3, 3\r\n", "abc"), Refused(400)),
        ("signed length", post("Content-Length: +5\r\n", "abcde"), Refused(400)),
        ("negative length", post("Content-Length: -1\r\n", ""), Refused(400)),
        ("hexadecimal length", post("Content-Length: 0x3\r\n", "abc"), Refused(400)),
        ("empty length", post("Content-Length:\r\n", ""), Refused(400)),
        ("huge length", post("Content-Length: 99999999999999999999\r\n", ""), Refused(400)),
        ("spaced length", post("Content-Length: 1 2\r\n", "abc"), Refused(400)),
        // Chunks.
        ("extension", post(chunked, "3;a=b\r\nabc\r\n0\r\n\r\n"), Passed),
        ("quoted extension", post(chunked, "3;a=\"b;c\"\r\nabc\r\n0\r\n\r\n"), Passed),
        ("line feed in extension", post(chunked, "3;a\nb\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("carriage return in extension", post(chunked, "3;a\rb\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("bare line feed after size", post(chunked, "3\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("bare line feed after data", post(chunked, "3\r\nabc\n0\r\n\r\n"), Refused(400)),
        ("size missing", post(chunked, "\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("signed size", post(chunked, "+3\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("0x size", post(chunked, "0x3\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("size too long", post(chunked, "00000000000000003\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("size overflow", post(chunked, "ffffffffffffffff1\r\nabc\r\n"), Refused(400)),
        ("data longer than size", post(chunked, "3\r\nabcd\r\n0\r\n\r\n"), Refused(400)),
        ("space before size", post(chunked, " 3\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        (
            "trailer",
            post("Trailer: x-t\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"),
            Passed,
        ),
        ("broken trailer", post(chunked, "3\r\nabc\r\n0\r\nX T: 1\r\n\r\n"), Refused(400)),
        ("line feed in trailers", post(chunked, "3\r\nabc\r\n0\r\nX-T: 1\n\r\n"), Refused(400)),
        // Host and target.
        ("Host twice", get("Host: b.test\r\n"), Refused(400)),
        ("Host twice, equal", get("Host: a.test\r\n"), Refused(400)),
        ("no Host", raw("GET /x HTTP/1.1\r\n\r\n"), Refused(400)),
        ("no Host in HTTP/1.0", raw("GET /x HTTP/1.0\r\n\r\n"), Passed),
        ("empty Host", raw("GET /x HTTP/1.1\r\nHost:\r\n\r\n"), Passed),
        ("Host with a path", raw("GET /x HTTP/1.1\r\nHost: a.test/b\r\n\r\n"), Refused(400)),
        ("Host with a user", raw("GET /x HTTP/1.1\r\nHost: u@a.test\r\n\r\n"), Refused(400)),
        ("Host with two ports", raw("GET /x HTTP/1.1\r\nHost: a.test:1:2\r\n\r\n"), Refused(400)),
        ("Host is IPv6", raw("GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), Passed),
        ("Host is broken IPv6", raw("GET /x HTTP/1.1\r\nHost: [::1\r\n\r\n"), Refused(400)),
        ("absolute form", raw("GET http://a.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n"), Passed),
        ("absolute form, other Host", raw("GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n"), Passed),
        (
            "absolute form with a user",
            raw("GET http://u@b.test/x HTTP/1.1\r\nHost: b.test\r\n\r\n"),
            Refused(400),
        ),
        ("absolute form of ftp", raw("GET ftp://b.test/x HTTP/1.1\r\nHost: b.test\r\n\r\n"), Refused(400)),
        ("target without a slash", raw("GET x HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("space in the target", raw("GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("tab in the target", raw("GET /a\tb HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("angle brackets", raw("GET /?a=<b> HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("quotes in the query", raw("GET /?a=\"b\" HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("braces and quotes in the path", raw("GET /{\"b\":[1]} HTTP/1.1\r\nHost: a.test\r\n\r\n"), Passed),
        ("braces in the query", raw("GET /?a={b:[1]} HTTP/1.1\r\nHost: a.test\r\n\r\n"), Passed),
        ("UTF-8 in the target", raw("GET /\u{e9} HTTP/1.1\r\nHost: a.test\r\n\r\n"), Passed),
        ("Latin-1 in the target", b"GET /\xe9 HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(), Refused(400)),
        ("fragment", raw("GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("star", raw("GET * HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("CONNECT", raw("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"), Refused(405)),
        // Lines and fields.
        ("bare line feeds", raw("GET /x HTTP/1.1\nHost: a.test\n\n"), Refused(400)),
        ("one bare line feed", raw("GET /x HTTP/1.1\r\nHost: a.test\nA: b\r\n\r\n"), Refused(400)),
        ("bare carriage return", get("A: b\rC: d\r\n"), Refused(400)),
        ("NUL", get("A: b\0c\r\n"), Refused(400)),
        ("folded line", get("A: b\r\n c\r\n"), Refused(400)),
        ("folded first line", raw("GET /x HTTP/1.1\r\n Host: a.test\r\n\r\n"), Refused(400)),
        ("space before the colon", get("A : b\r\n"), Refused(400)),
        ("no colon", get("A\r\n"), Refused(400)),
        ("empty name", get(": b\r\n"), Refused(400)),
        ("bracket in the name", get("A(b: c\r\n"), Refused(400)),
        ("high bytes in a value", get("A: \u{e9}\r\n"), Passed),
        ("high bytes in a name", get("\u{e9}: a\r\n"), Refused(400)),
        ("two spaces in the request line", raw("GET  /x HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("tab in the request line", raw("GET\t/x HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("empty line first", raw("\r\nGET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"), Passed),
        ("two empty lines first", raw("\r\n\r\nGET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("HTTP/0.9", raw("GET /x\r\n\r\n"), Refused(400)),
        ("HTTP/1.2", raw("GET /x HTTP/1.2\r\nHost: a.test\r\n\r\n"), Refused(505)),
        ("HTTP/3.0", raw("GET /x HTTP/3.0\r\nHost: a.test\r\n\r\n"), Refused(505)),
        ("http/1.1", raw("GET /x http/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("bracket in the method", raw("G(T /x HTTP/1.1\r\nHost: a.test\r\n\r\n"), Refused(400)),
        ("not HTTP at all", raw("\x16\x03\x01\x02\x00\x01\r\n\r\n"), Refused(400)),
        ("unknown expectation", get("Expect: the-unexpected\r\n"), Refused(417)),
        // Sizes.
        ("100 fields", get(&"A: b\r\n".repeat(99)), Passed),
        ("120 fields", get(&"A: b\r\n".repeat(119)), Refused(431)),
        ("head of 500 KB", get(&format!("A: {}\r\n", "a".repeat(500_000))), Refused(431)),
        ("head of 60 KB", get(&format!("A: {}\r\n", "a".repeat(60_000))), Passed),
        ("target of 15 KB", raw(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(15_000))), Passed),
        (
            "target of 20 KB",
            raw(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(20_000))),
            Refused(414),
        ),
        (
            "target of 500 KB",
            raw(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(500_000))),
            Refused(414),
        ),
    ];
    let mut wrong = Vec::new();
    let count = rows.len();
    for (name, bytes, expected) in rows {
        let fate = fate(&gateway, &bytes);
        if fate != expected {
            wrong.push(format!("{name}: {fate:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let exchanges = gateway.finish();
    assert!(exchanges.len() >= count, "{} records of {count} requests", exchanges.len());
    let refused = exchanges.iter().filter(|exchange| exchange.error.as_deref() == Some("client.bad_request"));
    assert!(refused.count() > 50);
}

#[test]
fn more_fields_are_a_setting() {
    let mut settings = settings();
    settings.head.headers = 200;
    let gateway = TestGateway::start(settings, snapshot_of(service_at(mirror())));
    let request = |count| format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(fate(&gateway, request(119).as_bytes()), Passed);
    assert_eq!(fate(&gateway, request(200).as_bytes()), Refused(431));
}

#[test]
fn requests_pass_in_pieces_of_any_size() {
    let gateway = TestGateway::before(mirror());
    let request = b"POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;ext\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /y HTTP/1.1\r\nHost: a.test\r\n\r\n";
    for size in [1, 2, 3, 7, 40] {
        let mut client = gateway.connect();
        for piece in request.chunks(size) {
            client.send(piece);
            std::thread::sleep(Duration::from_micros(300));
        }
        assert!(client.answer().text().ends_with("hello world"), "pieces of {size}");
        assert!(client.answer().text().starts_with("GET /y "), "pieces of {size}");
    }
}

#[test]
fn a_refusal_waits_for_its_turn_and_ends_the_connection() {
    let gateway = TestGateway::before(mirror());
    let mut client = gateway.connect();
    client.send(
        b"GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi\
          GET /3 HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\nGET /4 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    );
    assert!(client.answer().text().starts_with("GET /1 "));
    assert!(client.answer().text().ends_with("hi"));
    assert_eq!(client.answer().status, 400);
    assert!(client.is_closed());
    let paths: Vec<_> = gateway.exchanges(3).into_iter().map(|exchange| exchange.request.path).collect();
    assert_eq!(paths, ["/1", "/2", "/3"]);
}

#[test]
fn a_smuggled_request_never_reaches_the_service() {
    let service = mirror();
    let gateway = TestGateway::before(service);
    for framing in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        "Transfer-Encoding:\x0bchunked\r\nContent-Length: 6\r\n",
        "Content-Length : 6\r\n",
        "X: y\nContent-Length: 6\r\n",
    ] {
        let mut client = gateway.connect();
        client.send(
            format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
                .as_bytes(),
        );
        let all = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(all.starts_with("HTTP/1.1 400 "), "{framing:?}: {all}");
        assert!(!all.contains("smuggled"), "{framing:?}: {all}");
    }
}

#[test]
fn a_slow_head_is_answered_408() {
    let mut settings = settings();
    settings.head_timeout = Duration::from_millis(300);
    let gateway = TestGateway::start(settings, snapshot_of(service_at(mirror())));
    let mut client = gateway.connect();
    client.send(b"GET /slow?apikey=1 HTTP/1.1\r\nHo");
    assert_eq!(client.answer().status, 408);
    assert!(client.is_closed());
    let exchange = gateway.exchange();
    assert_eq!(exchange.error.as_deref(), Some("client.timeout"));
    assert_eq!(exchange.request.path, "/slow");
    assert_eq!(exchange.request.query.as_deref(), Some("apikey=[redacted]"));
}

#[test]
fn a_slow_body_is_answered_408() {
    let mut settings = settings();
    settings.body_timeout = Duration::from_millis(300);
    let gateway = TestGateway::start(settings, snapshot_of(service_at(mirror())));
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(client.answer().status, 408);
    assert_eq!(gateway.exchange().error.as_deref(), Some("client.timeout"));
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let mut settings = settings();
    settings.idle_timeout = Duration::from_millis(300);
    let gateway = TestGateway::start(settings, snapshot_of(service_at(mirror())));
    let mut silent = gateway.connect();
    assert!(silent.is_closed());
    let mut used = gateway.connect();
    assert_eq!(used.call("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert!(used.is_closed());
}

#[test]
fn a_call_longer_than_the_idle_timeout_is_not_cut() {
    let mut settings = settings();
    settings.idle_timeout = Duration::from_millis(200);
    let service = crate::harness::scripted(|mut client: Client| {
        client.try_request();
        std::thread::sleep(Duration::from_millis(600));
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let gateway = TestGateway::start(settings, snapshot_of(service_at(service)));
    assert_eq!(gateway.connect().call("GET / HTTP/1.1\r\nHost: a\r\n\r\n").text(), "ok");
}
