//! What reaches the service and the client: addresses, fields, statuses, failures.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use weir_gateway::snapshot::{PathHandling, Snapshot, Target, Upstream};

use crate::harness::{
    Client, TestGateway, answering, field, mirror, route, scripted, service_at, settings, snapshot_of,
    snapshot_with,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn nobody() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

#[test]
fn the_service_sees_the_request_and_who_made_it() {
    let service = mirror();
    let gateway = TestGateway::before(service);
    let answer = gateway.connect().call(
        "PUT /a%2Fb//c?x=1&&y=%20? HTTP/1.1\r\nHost: A.test:81\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Forwarded-For: 9.9.9.9\r\n\
         X-Forwarded-Proto: https\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy: x\r\n\
         Proxy-Connection: x\r\nTE: gzip, trailers\r\nContent-Length: 2\r\n\r\nhi",
    );
    let seen = answer.text();
    assert!(seen.starts_with("PUT /a%2Fb//c?x=1&&y=%20? HTTP/1.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nhi"), "{seen}");
    let host = service.to_string();
    for (name, value) in [
        ("host", Some(host.as_str())),
        ("x-forwarded-for", Some("9.9.9.9, 127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("A.test")),
        ("x-forwarded-port", Some("81")),
        ("x-forwarded-path", Some("/a%2Fb//c")),
        ("x-forwarded-prefix", None),
        ("x-real-ip", Some("127.0.0.1")),
        ("te", Some("trailers")),
        ("content-length", Some("2")),
        ("transfer-encoding", None),
        ("x-mine", None),
        ("keep-alive", None),
        ("proxy", None),
        ("proxy-connection", None),
        ("upgrade", None),
    ] {
        assert_eq!(field(&seen, name), value, "{name} in {seen}");
    }
    assert_eq!(seen.matches("x-twice: ").count(), 2);
    assert_eq!(field(&seen, "x-kong-request-id").unwrap().len(), 32);
    assert_eq!(answer.field("x-kong-request-id"), field(&seen, "x-kong-request-id"));
    assert!(answer.field("via").unwrap().starts_with("1.1 weir/"));
    assert!(answer.field("x-kong-proxy-latency").unwrap().parse::<u32>().is_ok());
    assert!(answer.field("x-kong-upstream-latency").unwrap().parse::<u32>().is_ok());
}

#[test]
fn what_a_trusted_proxy_says_is_believed() {
    let mut settings = settings();
    settings.trusted_ips = vec!["127.0.0.0/8".parse().unwrap()];
    let gateway = TestGateway::start(settings, snapshot_of(service_at(mirror())));
    let seen = gateway
        .connect()
        .call(
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 8.8.8.8, 127.0.0.9\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: b.test\r\nX-Forwarded-Port: 444\r\n\r\n",
        )
        .text();
    assert_eq!(field(&seen, "x-forwarded-for"), Some("8.8.8.8, 127.0.0.9, 127.0.0.1"));
    assert_eq!(field(&seen, "x-forwarded-proto"), Some("https"));
    assert_eq!(field(&seen, "x-forwarded-host"), Some("b.test"));
    assert_eq!(field(&seen, "x-forwarded-port"), Some("444"));
    assert_eq!(field(&seen, "x-real-ip"), Some("8.8.8.8"));
    assert_eq!(gateway.exchange().client.address, Some("8.8.8.8".parse().unwrap()));
}

#[test]
fn paths_and_hosts_follow_the_route() {
    let service = mirror();
    for (service_path, prefix, strip, preserve, path, expected) in [
        (Some("/s"), "/a", true, false, "/a/b?q=1", "/s/b?q=1"),
        (Some("/s"), "/a", false, false, "/a/b?", "/s/a/b?"),
        (None, "/a", true, false, "/a", "/"),
        (None, "/a", false, true, "/a/b", "/a/b"),
    ] {
        let mut target = service_at(service);
        target.path = service_path.map(Into::into);
        let route = weir_gateway::snapshot::Route { strip_path: strip, preserve_host: preserve, ..route() };
        assert_eq!(route.path_handling, PathHandling::V0);
        let gateway = TestGateway::start(settings(), snapshot_with(target, route, prefix));
        let seen = gateway.connect().call(&format!("GET {path} HTTP/1.1\r\nHost: a.test:99\r\n\r\n")).text();
        assert!(seen.starts_with(&format!("GET {expected} HTTP/1.1\r\n")), "{seen}");
        let host = if preserve { "a.test:99".to_owned() } else { service.to_string() };
        assert_eq!(field(&seen, "host"), Some(host.as_str()));
        assert_eq!(field(&seen, "x-forwarded-prefix"), strip.then_some("/a"));
    }
}

#[test]
fn the_target_of_the_absolute_form_names_the_host() {
    let service = mirror();
    let route = weir_gateway::snapshot::Route { preserve_host: true, ..route() };
    let gateway = TestGateway::start(settings(), snapshot_with(service_at(service), route, "/"));
    let seen = gateway.connect().call("GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n").text();
    assert!(seen.starts_with("GET /x HTTP/1.1\r\n"), "{seen}");
    assert_eq!(field(&seen, "host"), Some("b.test"));
    let exchange = gateway.exchange();
    assert_eq!((exchange.request.host.as_str(), exchange.request.path.as_str()), ("b.test", "/x"));
}

#[test]
fn calls_without_a_route_are_told_so() {
    let gateway = TestGateway::start(settings(), Snapshot::empty());
    let answer = gateway.connect().call(GET);
    assert_eq!(answer.status, 404);
    assert_eq!(answer.text(), r#"{"message":"no Route matched with those values"}"#);
    assert!(answer.field("server").unwrap().starts_with("weir/"));
    assert!(answer.field("x-kong-response-latency").is_some());
    let exchange = gateway.exchange();
    assert_eq!((exchange.status(), exchange.error, exchange.route), (Some(404), None, None));
}

#[test]
fn a_head_request_gets_no_body_whoever_answers() {
    let gateway = TestGateway::start(settings(), Snapshot::empty());
    let mut client = gateway.connect();
    client.send(b"HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let answer = client.answer_to("HEAD");
    assert_eq!((answer.status, answer.field("content-length")), (404, Some("48")));
    assert_eq!(client.call(GET).status, 404);
    let gateway = TestGateway::before(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"));
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send(b"HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let answer = client.answer_to("HEAD");
        assert_eq!((answer.status, answer.field("content-length")), (200, Some("5")));
    }
    let exchange = &gateway.exchanges(2)[1];
    assert_eq!(exchange.error, None);
    assert_eq!(exchange.response.as_ref().unwrap().body.size, Some(0));
}

#[test]
fn statuses_without_a_body_keep_the_connection() {
    for status in ["204 No Content", "304 Not Modified\r\nContent-Length: 5"] {
        let answer: &'static str = format!("HTTP/1.1 {status}\r\nETag: x\r\n\r\n").leak();
        let gateway = TestGateway::before(answering(answer.as_bytes()));
        let mut client = gateway.connect();
        for _ in 0..3 {
            let answer = client.call(GET);
            assert_eq!(answer.status.to_string(), status[..3]);
            assert_eq!(answer.field("transfer-encoding"), None);
        }
        assert_eq!(gateway.handle.counts().connections_accepted, 1);
    }
}

#[test]
fn interim_answers_are_not_mistaken_for_the_answer() {
    let service = answering(
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    assert_eq!(TestGateway::before(service).connect().call(GET).text(), "ok");
}

#[test]
fn an_answer_that_ends_with_the_connection_is_passed_on() {
    let service = scripted(|mut client| {
        client.try_request();
        client.send(b"HTTP/1.0 200 OK\r\n\r\nto the end");
    });
    let gateway = TestGateway::before(service);
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.call(GET);
        assert_eq!(answer.text(), "to the end");
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    }
}

#[test]
fn failures_say_who_is_to_blame() {
    let garbage = answering(b"this is not HTTP\r\n\r\n");
    let silent = scripted(|mut client| {
        client.try_request();
    });
    let stuck = scripted(|mut client| {
        client.try_request();
        std::thread::sleep(Duration::from_secs(10));
    });
    let cases: Vec<(&str, SocketAddr, u16, &str)> = vec![
        ("nobody listens", nobody(), 502, "upstream.connect"),
        ("not HTTP", garbage, 502, "upstream.invalid_response"),
        ("closes without an answer", silent, 502, "upstream.closed"),
        ("says nothing", stuck, 504, "upstream.timeout"),
    ];
    for (name, address, status, error) in cases {
        let mut service = service_at(address);
        service.read_timeout = Duration::from_millis(300);
        service.retries = 0;
        let gateway = TestGateway::start(settings(), snapshot_of(service));
        let answer = gateway.connect().call(GET);
        assert_eq!(answer.status, status, "{name}");
        assert!(
            answer.text().starts_with(r#"{"message":"The upstream server is timing out"#) || status == 502
        );
        let exchange = gateway.exchange();
        assert_eq!(exchange.error.as_deref(), Some(error), "{name}");
        assert_eq!(exchange.status(), Some(status), "{name}");
    }
    let mut service = service_at(nobody());
    service.host = "no-such-host.invalid".into();
    let gateway = TestGateway::start(settings(), snapshot_of(service));
    let answer = gateway.connect().call(GET);
    assert_eq!((answer.status, answer.text().as_str()), (503, r#"{"message":"name resolution failed"}"#));
    assert_eq!(gateway.exchange().error.as_deref(), Some("upstream.name_resolution"));
}

/// A service whose first `failing` connections close after the request; counts the requests.
fn failing_at_first(failing: u32) -> (SocketAddr, Arc<AtomicU32>) {
    let requests = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&requests);
    let address = scripted(move |mut client| {
        while client.try_request().is_some() {
            if counted.fetch_add(1, Ordering::SeqCst) < failing {
                return;
            }
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    (address, requests)
}

#[test]
fn only_harmless_calls_are_repeated_and_no_more_than_allowed() {
    for (request, failing, retries, status, sent) in [
        (GET, 2, 2, 200, 3),
        (GET, 2, 1, 502, 2),
        (GET, 1, 0, 502, 1),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 1, 1, 200, 2),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 1, 5, 502, 1),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 1, 5, 502, 1),
    ] {
        let (address, requests) = failing_at_first(failing);
        let mut service = service_at(address);
        service.retries = retries;
        let gateway = TestGateway::start(settings(), snapshot_of(service));
        assert_eq!(gateway.connect().call(request).status, status, "{request}");
        assert_eq!(requests.load(Ordering::SeqCst), sent, "{request}");
    }
}

#[test]
fn a_connection_that_the_service_closed_is_replaced() {
    let service = scripted(|mut client| {
        // One answer, promising to stay, then gone.
        client.try_request();
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let mut service = service_at(service);
    service.retries = 0;
    let gateway = TestGateway::start(settings(), snapshot_of(service));
    let mut client = gateway.connect();
    for round in 0..200 {
        assert_eq!(client.call(GET).status, 200, "round {round}");
    }
}

#[test]
fn connections_to_the_service_are_used_again() {
    let connections = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&connections);
    let service = scripted(move |mut client| {
        counted.fetch_add(1, Ordering::SeqCst);
        while client.try_request().is_some() {
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let gateway = TestGateway::before(service);
    for _ in 0..20 {
        let mut client = gateway.connect();
        for _ in 0..5 {
            assert_eq!(client.call(GET).text(), "ok");
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn targets_of_an_upstream_share_the_calls_and_the_dead_ones_are_passed_over() {
    let (a, b) = (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"), nobody());
    let target = |address: SocketAddr| Target { host: "127.0.0.1".into(), port: address.port(), weight: 100 };
    let mut service = service_at(a);
    service.host = "the-upstream".into();
    service.upstream = Some(Arc::new(Upstream::new(vec![target(a), target(b)], None)));
    let gateway = TestGateway::start(settings(), snapshot_of(service.clone()));
    for _ in 0..4 {
        assert_eq!(gateway.connect().call(GET).text(), "a");
    }
    service.upstream = Some(Arc::new(Upstream::new(Vec::new(), None)));
    gateway.snapshots.swap(snapshot_of(service));
    let answer = gateway.connect().call(GET);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.text(), r#"{"message":"failure to get a peer from the ring-balancer"}"#);
}

#[test]
fn a_body_is_asked_for_before_it_is_waited_for() {
    let gateway = TestGateway::before(mirror());
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert!(client.head().unwrap().starts_with("HTTP/1.1 100 "));
    client.send(b"hi");
    let seen = client.answer().text();
    assert!(seen.ends_with("\r\n\r\nhi"), "{seen}");
    assert_eq!(field(&seen, "expect"), None);
}

#[test]
fn routes_for_https_only_say_so() {
    let route = |status| weir_gateway::snapshot::Route {
        accepts_plain: false,
        https_redirect_status: status,
        ..route()
    };
    let start =
        |status| TestGateway::start(settings(), snapshot_with(service_at(mirror()), route(status), "/"));
    let answer = start(StatusCode::UPGRADE_REQUIRED).connect().call(GET);
    assert_eq!((answer.status, answer.text().as_str()), (426, r#"{"message":"Please use HTTPS protocol"}"#));
    assert_eq!(answer.field("upgrade"), Some("TLS/1.2, HTTP/1.1"));
    assert!(answer.field("connection").unwrap().to_lowercase().contains("upgrade"));
    let answer =
        start(StatusCode::MOVED_PERMANENTLY).connect().call("GET /a?b HTTP/1.1\r\nHost: a.test:8000\r\n\r\n");
    assert_eq!((answer.status, answer.field("location")), (301, Some("https://a.test/a?b")));
}

#[test]
fn a_service_that_does_not_take_the_body_is_given_up() {
    let service = scripted(|_client: Client| std::thread::sleep(Duration::from_secs(20)));
    let mut service = service_at(service);
    service.write_timeout = Duration::from_millis(500);
    service.retries = 0;
    let gateway = TestGateway::start(settings(), snapshot_of(service));
    let mut client = gateway.connect();
    let began = Instant::now();
    client.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    client.send(&vec![b'x'; 100_000_000]);
    let answer = client.answer();
    assert_eq!(answer.status, 504);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(gateway.exchange().error.as_deref(), Some("upstream.write_timeout"));
}
