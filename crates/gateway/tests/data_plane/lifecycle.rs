//! Starting, changing, limiting and stopping a gateway while calls pass.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weir_gateway::snapshot::SnapshotHandle;
use weir_gateway::{Gateway, StartError};

use crate::harness::{Client, PATIENCE, TestGateway, answering, scripted, service_at, settings, snapshot_of};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const A: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
const B: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb";

fn slow(millis: u64) -> SocketAddr {
    scripted(move |mut client: Client| {
        while client.try_request().is_some() {
            std::thread::sleep(Duration::from_millis(millis));
            client.send(A);
        }
    })
}

#[test]
fn the_configuration_changes_under_load_without_a_failed_call() {
    let (a, b) = (answering(A), answering(B));
    let mut settings = settings();
    settings.workers = 2;
    let gateway = TestGateway::start(settings, snapshot_of(service_at(a)));
    let address = gateway.address();
    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.call(GET);
                    assert_eq!(answer.status, 200);
                    assert!(matches!(answer.text().as_str(), "a" | "b"));
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut swaps = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        swaps += 1;
        gateway.snapshots.swap(snapshot_of(service_at(if swaps % 2 == 0 { a } else { b })));
        std::thread::sleep(Duration::from_millis(1));
    }
    gateway.snapshots.swap(snapshot_of(service_at(b)));
    let mut client = Client::connect(address);
    assert_eq!(client.call(GET).text(), "b");
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    let calls = calls.load(Ordering::Relaxed) + 1;
    assert!(swaps > 50 && calls > 50, "{swaps} changes, {calls} calls");
    let exchanges = gateway.finish();
    assert_eq!(exchanges.len() as u64, calls);
    assert!(exchanges.iter().all(|exchange| exchange.error.is_none() && exchange.status() == Some(200)));
}

#[test]
fn calls_under_way_end_before_a_graceful_stop() {
    let gateway = TestGateway::before(slow(500));
    let mut idle = gateway.connect();
    assert_eq!(idle.call(GET).text(), "a");
    let mut busy = gateway.connect();
    busy.send(GET.as_bytes());
    std::thread::sleep(Duration::from_millis(100));
    let address = gateway.address();
    let began = Instant::now();
    let stopping = std::thread::spawn(move || gateway.finish());
    assert!(idle.is_closed());
    assert!(began.elapsed() < Duration::from_millis(350), "{:?}", began.elapsed());
    let answer = busy.answer();
    assert_eq!((answer.text().as_str(), answer.field("connection")), ("a", Some("close")));
    assert!(busy.is_closed());
    let exchanges = stopping.join().unwrap();
    assert_eq!(exchanges.len(), 2);
    assert!(exchanges.iter().all(|exchange| exchange.error.is_none()));
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_silent_connection_does_not_delay_the_stop() {
    let gateway = TestGateway::before(answering(A));
    let mut silent = gateway.connect();
    let mut late = gateway.connect();
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    let stopping = std::thread::spawn(move || gateway.finish());
    std::thread::sleep(Duration::from_millis(100));
    // Its first word comes after the stop was asked for, but in time.
    assert_eq!(late.call(GET).text(), "a");
    assert!(silent.is_closed());
    assert_eq!(stopping.join().unwrap().len(), 1);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn calls_that_outlast_a_stop_are_cut_off_and_recorded() {
    let gateway = TestGateway::before(slow(30_000));
    let mut client = gateway.connect();
    client.send(GET.as_bytes());
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    let TestGateway { handle, .. } = gateway;
    let counter = handle.counter();
    handle.shutdown(Duration::from_millis(300));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let counts = counter.counts();
    assert_eq!((counts.requests, counts.capture.offered, counts.capture.delivered), (1, 1, 1));
    assert_eq!(counts.connections_active, 0);
}

#[test]
fn connections_beyond_the_limit_are_closed_and_counted() {
    let mut settings = settings();
    settings.max_connections = 2;
    let gateway = TestGateway::start(settings, snapshot_of(service_at(answering(A))));
    let mut first = gateway.connect();
    let mut second = gateway.connect();
    assert_eq!((first.call(GET).status, second.call(GET).status), (200, 200));
    assert!(gateway.connect().is_closed());
    let counts = gateway.handle.counts();
    assert_eq!(
        (counts.connections_active, counts.connections_refused, counts.connections_accepted),
        (2, 1, 3)
    );
    drop(first);
    let began = Instant::now();
    while gateway.handle.counts().connections_handled == 0 {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(gateway.connect().call(GET).status, 200);
}

#[test]
fn workers_share_the_connections_of_one_address() {
    let mut settings = settings();
    settings.workers = 3;
    let gateway = TestGateway::start(settings, snapshot_of(service_at(answering(A))));
    let clients: Vec<Client> = (0..60).map(|_| gateway.connect()).collect();
    for mut client in clients {
        assert_eq!(client.call(GET).text(), "a");
    }
    let counts = gateway.handle.counts();
    assert_eq!((counts.connections_accepted, counts.requests), (60, 60));
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut settings = settings();
    settings.listen = vec![taken.local_addr().unwrap()];
    let snapshots = SnapshotHandle::new(weir_gateway::snapshot::Snapshot::empty());
    let error = Gateway::start(settings, snapshots, Arc::new(drop)).unwrap_err();
    assert!(matches!(&error, StartError::Bind { address, .. } if *address == taken.local_addr().unwrap()));
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()), "{error}");
}

#[test]
fn many_gateways_live_in_one_process() {
    let service = answering(A);
    let gateways: Vec<TestGateway> = (0..4).map(|_| TestGateway::before(service)).collect();
    for gateway in &gateways {
        assert_eq!(gateway.connect().call(GET).text(), "a");
    }
    for gateway in gateways {
        let began = Instant::now();
        assert_eq!(gateway.finish().len(), 1);
        assert!(began.elapsed() < PATIENCE);
    }
}
