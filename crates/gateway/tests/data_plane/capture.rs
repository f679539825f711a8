//! What is recorded of a call, and what is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use weir_gateway::snapshot::SnapshotHandle;
use weir_gateway::{Gateway, Settings};
use weir_model::{Captured, Exchange, WhyNot};

use crate::harness::{
    Client, PATIENCE, TestGateway, answering, mirror, scripted, service_at, settings, snapshot_of,
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-B: 2\r\nSet-Cookie: s3cret\r\n\r\nok";

fn with_bodies(bytes: usize) -> Settings {
    let mut settings = settings();
    settings.capture.request_body_bytes = bytes;
    settings.capture.response_body_bytes = bytes;
    settings
}

#[test]
fn a_record_has_all_that_was_seen() {
    let mut settings = with_bodies(100);
    settings.capture.node = Some("node-1".to_owned());
    settings.capture.environment = Some("test".to_owned());
    let gateway = TestGateway::start(settings, snapshot_of(service_at(answering(OK))));
    let mut client = gateway.connect();
    let head = "POST /a%20b?x=1&apikey=s3cret HTTP/1.1\r\nHost: A.test:81\r\nX-B: 1\r\nX-A: 2\r\n\
                Authorization: s3cret\r\nContent-Length: 2\r\n\r\n";
    client.call(&format!("{head}hi"));
    let exchange = gateway.exchange();
    assert_eq!(exchange.origin.source, "gateway");
    assert_eq!(exchange.origin.node.as_deref(), Some("node-1"));
    assert_eq!(exchange.origin.environment.as_deref(), Some("test"));
    assert_eq!(exchange.service.as_deref(), Some("the-service"));
    assert_eq!(exchange.route.as_deref(), Some("the-route"));
    assert_eq!(exchange.client.address, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(exchange.client.port, Some(client.stream.local_addr().unwrap().port()));
    assert_eq!(exchange.server.port, Some(gateway.address().port()));
    let request = &exchange.request;
    assert_eq!((request.method.as_str(), request.scheme.as_str()), ("POST", "http"));
    assert_eq!((request.host.as_str(), request.version.as_str()), ("a.test:81", "1.1"));
    assert_eq!(request.target(), "/a%20b?x=1&apikey=[redacted]");
    assert_eq!(request.headers_size, Some(head.len() as u64));
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["host", "x-b", "x-a", "authorization", "content-length"]);
    assert_eq!(request.headers.text("authorization").as_deref(), Some("[redacted]"));
    assert_eq!(request.body.size, Some(2));
    assert_eq!(request.body.captured, Captured::Whole("hi".into()));
    let response = exchange.response.as_ref().unwrap();
    assert_eq!((response.status, response.version.as_str()), (200, "1.1"));
    assert_eq!(response.headers.text("set-cookie").as_deref(), Some("[redacted]"));
    assert!(response.headers.get("via").is_some());
    assert_eq!(response.body.captured, Captured::Whole("ok".into()));
    let timings = &exchange.timings;
    let (send, wait, receive) = (timings.send.unwrap(), timings.wait.unwrap(), timings.receive.unwrap());
    assert_eq!(timings.total.unwrap(), send + wait + receive);
    assert!(timings.connect.is_some() && timings.dns.is_some());
    assert!(!format!("{exchange:?}").contains("s3cret"));
}

#[test]
fn bodies_are_kept_up_to_their_cap_and_counted_beyond_it() {
    let gateway = TestGateway::start(with_bodies(10), snapshot_of(service_at(mirror())));
    let mut client = gateway.connect();
    let answer = client
        .call(&format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n{}", "x".repeat(5000)));
    let exchange = gateway.exchange();
    assert_eq!(exchange.request.body.size, Some(5000));
    assert_eq!(exchange.request.body.captured, Captured::Cut("xxxxxxxxxx".into()));
    let response = exchange.response.unwrap();
    assert_eq!(response.body.size, Some(answer.body.len() as u64));
    assert_eq!(response.body.captured, Captured::Cut("POST / HTT".into()));
    let gateway = TestGateway::before(mirror());
    gateway.connect().call("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(gateway.exchange().response.unwrap().body.captured, Captured::No(WhyNot::Off));
}

#[test]
fn a_body_over_budget_is_left_out_and_counted() {
    let mut settings = with_bodies(100_000);
    settings.capture.body_budget_bytes = 20_000;
    let gateway = TestGateway::start(settings, snapshot_of(service_at(answering(OK))));
    let mut client = gateway.connect();
    let call = |length: usize| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length))
    };
    assert_eq!(client.call(&call(50_000)).text(), "ok");
    assert_eq!(client.call(&call(10_000)).text(), "ok");
    let exchanges = gateway.exchanges(2);
    assert_eq!(exchanges[0].request.body.captured, Captured::No(WhyNot::Budget));
    assert_eq!(exchanges[0].request.body.size, Some(50_000));
    assert!(matches!(&exchanges[1].request.body.captured, Captured::Whole(body) if body.len() == 10_000));
    let counts = gateway.handle.counts().capture;
    assert_eq!((counts.body_budget, counts.no_chunk, counts.offered), (1, 0, 2));
}

#[test]
fn a_client_that_leaves_is_recorded() {
    let (gateway, service_saw) = {
        let saw = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&saw);
        let service = scripted(move |mut client| {
            client.try_request();
            // The gateway hangs up when its client does.
            flag.store(client.is_closed(), Ordering::SeqCst);
        });
        (TestGateway::before(service), saw)
    };
    let mut client = gateway.connect();
    client.send(b"GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(200));
    drop(client);
    let exchange = gateway.exchange();
    assert_eq!((exchange.status(), exchange.error.as_deref()), (Some(499), Some("client.aborted")));
    assert_eq!(exchange.request.path, "/left");
    assert!(exchange.timings.wait.unwrap() >= Duration::from_millis(100));
    std::thread::sleep(Duration::from_millis(100));
    assert!(service_saw.load(Ordering::SeqCst));
}

#[test]
fn a_client_that_leaves_while_it_sends_is_recorded() {
    let gateway = TestGateway::start(with_bodies(100), snapshot_of(service_at(mirror())));
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    std::thread::sleep(Duration::from_millis(100));
    drop(client);
    let exchange = gateway.exchange();
    assert_eq!((exchange.status(), exchange.error.as_deref()), (Some(499), Some("client.aborted")));
    assert_eq!(exchange.request.body.captured, Captured::Cut("abc".into()));
}

#[test]
fn a_client_that_leaves_while_it_reads_is_recorded_with_what_it_got() {
    let service = scripted(|mut client: Client| {
        client.try_request();
        client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while !client.is_gone() {
            client.send(b"3\r\nabc\r\n");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let gateway = TestGateway::start(with_bodies(6), snapshot_of(service_at(service)));
    let mut client = gateway.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    client.exactly(8);
    drop(client);
    let exchange = gateway.exchange();
    assert_eq!((exchange.status(), exchange.error.as_deref()), (Some(200), Some("client.aborted")));
    let body = exchange.response.unwrap().body;
    assert!(body.size.unwrap() >= 3);
    assert!(matches!(&body.captured, Captured::Cut(kept) if kept.starts_with(b"abc")), "{body:?}");
}

#[test]
fn an_answer_that_breaks_off_is_recorded_and_seen_by_the_client() {
    let service = scripted(|mut client: Client| {
        client.try_request();
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    });
    let gateway = TestGateway::before(service);
    let mut client = gateway.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    assert_eq!(client.rest(), b"abc");
    let exchange = gateway.exchange();
    assert_eq!((exchange.status(), exchange.error.as_deref()), (Some(200), Some("upstream.closed")));
}

/// With a sink that does not take anything, records fill the pool; every further one is dropped and counted, and no call
/// notices.
#[test]
fn when_nobody_takes_records_calls_go_on_and_every_drop_is_counted() {
    let blocked = Arc::new(AtomicBool::new(true));
    let taken = Arc::new(AtomicU64::new(0));
    let (gate, count) = (Arc::clone(&blocked), Arc::clone(&taken));
    let sink = Arc::new(move |exchanges: Vec<Exchange>| {
        while gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        count.fetch_add(exchanges.len() as u64, Ordering::SeqCst);
    });
    let mut settings = settings();
    settings.workers = 2;
    settings.capture.pool_bytes = 4 * 64 * 1024;
    let snapshots = SnapshotHandle::new(snapshot_of(service_at(answering(OK))));
    let handle = Gateway::start(settings, snapshots, sink).unwrap();
    let address = handle.addresses()[0];
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Pad: {}\r\n\r\n", "p".repeat(2_000));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let request = request.clone();
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                for _ in 0..100 {
                    assert_eq!(client.call(&request).status, 200);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let counter = handle.counter();
    // The answer may arrive a moment before its record is put away.
    std::thread::sleep(Duration::from_millis(100));
    let counts = counter.counts();
    assert_eq!((counts.requests, counts.capture.offered), (400, 400));
    assert!(counts.capture.no_chunk > 100, "{counts:?}");
    blocked.store(false, Ordering::SeqCst);
    handle.shutdown(PATIENCE);
    let counts = counter.counts().capture;
    assert_eq!(counts.delivered, taken.load(Ordering::SeqCst));
    assert_eq!(counts.offered, counts.delivered + counts.no_chunk);
    assert_eq!((counts.held(), counts.undecodable), (0, 0));
}
