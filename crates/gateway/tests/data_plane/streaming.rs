//! Bodies in motion: large, slow, both ways at once, with trailers, and other protocols.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use weir_gateway::Settings;
use weir_model::Captured;

use crate::harness::{Client, TestGateway, answering, field, scripted, service_at, settings, snapshot_of};

/// The same with nothing captured, headers captured, and bodies captured.
fn captures() -> [Settings; 3] {
    let mut off = settings();
    off.capture.enabled = false;
    let mut bodies = settings();
    bodies.capture.request_body_bytes = 1_000;
    bodies.capture.response_body_bytes = 1_000;
    [off, settings(), bodies]
}

fn for_each_capture(service: SocketAddr, test: impl Fn(&TestGateway)) {
    for settings in captures() {
        test(&TestGateway::start(settings, snapshot_of(service_at(service))));
    }
}

/// Bytes that differ from their neighbours, so that loss and disorder show.
fn pattern(from: u64, length: usize) -> Vec<u8> {
    (from..from + length as u64).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn huge_bodies_pass_unchanged_in_little_memory() {
    const TOTAL: u64 = 100_000_000;
    const PIECE: usize = 100_000;
    // Sends back what it gets, while it gets it.
    let service = scripted(|mut client: Client| {
        client.head();
        client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {TOTAL}\r\n\r\n").as_bytes());
        let mut left = TOTAL as usize;
        while left > 0 {
            let piece = client.exactly(left.min(PIECE)).unwrap();
            left -= piece.len();
            client.send(&piece);
        }
    });
    let mut settings = settings();
    settings.capture.request_body_bytes = 1_000;
    settings.capture.response_body_bytes = 1_000;
    let gateway = TestGateway::start(settings, snapshot_of(service_at(service)));
    let mut client = gateway.connect();
    let mut writer = client.stream.try_clone().unwrap();
    let before = resident_bytes();
    let sending = std::thread::spawn(move || {
        write!(writer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {TOTAL}\r\n\r\n").unwrap();
        for at in (0..TOTAL).step_by(PIECE) {
            writer.write_all(&pattern(at, PIECE)).unwrap();
        }
    });
    assert!(client.head().unwrap().starts_with("HTTP/1.1 200 "));
    let mut most = 0;
    for at in (0..TOTAL).step_by(PIECE) {
        assert!(client.exactly(PIECE).unwrap() == pattern(at, PIECE), "differs at {at}");
        if at % 10_000_000 == 0 {
            most = most.max(resident_bytes());
        }
    }
    sending.join().unwrap();
    assert!(most.saturating_sub(before) < 40_000_000, "{before} to {most} bytes");
    let exchange = gateway.exchange();
    assert_eq!(exchange.request.body.size, Some(TOTAL));
    assert_eq!(exchange.response.as_ref().unwrap().body.size, Some(TOTAL));
    assert_eq!(exchange.request.body.captured, Captured::Cut(pattern(0, 1_000).into()));
    assert_eq!(exchange.error, None);
}

#[test]
fn a_slow_reader_slows_the_service_down() {
    let (told, sent) = mpsc::channel();
    let service = scripted(move |mut client: Client| {
        client.try_request();
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n");
        client.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let piece = vec![b'x'; 100_000];
        let mut total = 0;
        // Stops when nothing more is taken.
        while let Ok(length) = client.stream.write(&piece) {
            total += length;
        }
        told.send(total).unwrap();
    });
    let gateway = TestGateway::before(service);
    let mut client = gateway.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let total = sent.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(total < 30_000_000, "{total} bytes went somewhere");
}

#[test]
fn events_pass_at_once() {
    let service = scripted(|mut client: Client| {
        client.head();
        client.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        for _ in 0..3 {
            client.send(b"8\r\ndata: 1\n\r\n");
            // The next event only comes when the client has got this one.
            client.exactly(1);
        }
        client.send(b"0\r\n\r\n");
    });
    for_each_capture(service, |gateway| {
        let mut client = gateway.connect();
        // The body of the request is what drives the service on.
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
        assert!(client.head().unwrap().starts_with("HTTP/1.1 200 "));
        for _ in 0..3 {
            assert_eq!(client.until(b"data: 1\n\r\n").unwrap(), b"8\r\ndata: 1\n\r\n");
            client.send(b"x");
        }
        assert_eq!(client.until(b"\r\n\r\n").unwrap(), b"0\r\n\r\n");
    });
}

#[test]
fn trailers_pass_both_ways() {
    let service = scripted(|mut client: Client| {
        let request = String::from_utf8(client.try_request().unwrap()).unwrap();
        assert!(request.ends_with("abcx-request: 1\r\n"), "{request}");
        assert_eq!(field(&request, "te"), Some("trailers"));
        client.send(
            b"HTTP/1.1 200 OK\r\nTrailer: x-answer\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-answer: 2\r\n\r\n",
        );
    });
    for_each_capture(service, |gateway| {
        let mut client = gateway.connect();
        let answer = client.call(
            "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: x-request\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\nX-Request: 1\r\n\r\n",
        );
        assert_eq!((answer.text().as_str(), answer.trailers.as_str()), ("ok", "x-answer: 2\r\n"));
        if gateway.handle.counts().capture.offered > 0 {
            let exchange = gateway.exchange();
            assert_eq!(exchange.request.trailers.text("x-request").as_deref(), Some("1"));
            assert_eq!(exchange.response.unwrap().trailers.text("x-answer").as_deref(), Some("2"));
        }
    });
}

#[test]
fn an_early_answer_is_passed_on_while_the_request_is_still_sent() {
    let service = scripted(|mut client: Client| {
        client.head();
        client.send(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntoo");
        client.stream.shutdown(Shutdown::Write).unwrap();
        client.rest();
    });
    for_each_capture(service, |gateway| {
        let mut client = gateway.connect();
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
        let answer = client.answer();
        assert_eq!((answer.status, answer.text().as_str()), (413, "too"));
    });
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: x\r\n\r\n";

#[test]
fn a_connection_that_changes_protocol_becomes_a_tunnel() {
    let service = scripted(|mut client: Client| {
        let request = client.head().unwrap();
        assert_eq!(field(&request, "upgrade"), Some("websocket"));
        assert_eq!(field(&request, "connection"), Some("keep-alive, Upgrade"));
        client.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Accept: y\r\n\r\nhello",
        );
        while let Some(piece) = client.exactly(4) {
            client.send(&piece);
            client.send(b"!");
        }
    });
    for_each_capture(service, |gateway| {
        let mut client = gateway.connect();
        // Bytes right behind the request belong to the other protocol, whatever they look like.
        client.send(UPGRADE.as_bytes()).send(b"GET ");
        let answer = client.answer();
        assert_eq!((answer.status, answer.field("sec-websocket-accept")), (101, Some("y")));
        assert_eq!(answer.field("upgrade"), Some("websocket"));
        assert_eq!(client.exactly(10).unwrap(), b"helloGET !");
        client.send(b"\x00\r\n\xff");
        assert_eq!(client.exactly(5).unwrap(), b"\x00\r\n\xff!");
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert!(client.is_closed());
        if gateway.handle.counts().capture.offered > 0 {
            let exchange = gateway.exchange();
            assert_eq!((exchange.status(), exchange.error.as_deref()), (Some(101), None));
            assert_eq!(exchange.request.body.size, Some(8));
            assert_eq!(exchange.response.unwrap().body.size, Some(15));
        }
    });
}

#[test]
fn a_refused_change_of_protocol_leaves_the_connection_usable() {
    let service = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
    for_each_capture(service, |gateway| {
        let mut client = gateway.connect();
        client.send(UPGRADE.as_bytes()).send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().text(), "no");
        assert_eq!(client.answer().text(), "no");
        assert_eq!(client.call("GET / HTTP/1.1\r\nHost: a\r\n\r\n").text(), "no");
    });
}

#[test]
fn many_calls_in_one_packet_are_answered_in_order() {
    let service = scripted(|mut client| {
        while let Some(request) = client.try_request() {
            let line = request.split(|byte| *byte == b'\r').next().unwrap().to_vec();
            client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", line.len()).as_bytes());
            client.send(&line);
        }
    });
    for_each_capture(service, |gateway| {
        let mut client = gateway.connect();
        let many: String = (0..100).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
        client.send(many.as_bytes());
        for n in 0..100 {
            assert_eq!(client.answer().text(), format!("GET /{n} HTTP/1.1"));
        }
    });
}

#[test]
fn a_stalled_answer_is_cut_and_blamed_on_the_service() {
    let service = scripted(|mut client: Client| {
        client.try_request();
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        std::thread::sleep(Duration::from_secs(10));
    });
    let mut service = service_at(service);
    service.read_timeout = Duration::from_millis(300);
    let gateway = TestGateway::start(settings(), snapshot_of(service));
    let mut client = gateway.connect();
    let began = Instant::now();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    let mut got = Vec::new();
    let _reset = client.stream.read_to_end(&mut got);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(gateway.exchange().error.as_deref(), Some("upstream.timeout"));
}
