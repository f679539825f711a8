//! Properties of the guard: pieces do not matter, nothing panics, and the library agrees on where messages end.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::machine::{Scan, Then};
use super::{Guarded, Limits, Machine, Refusal, Seen, Waits};

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Fate {
    passed: Vec<u8>,
    /// For each head: its length unless it was refused, whether it asks for another protocol, why it was refused.
    seen: Vec<(Option<usize>, bool, Option<Refusal>)>,
    ended: bool,
}

fn summary(seen: Seen) -> (Option<usize>, bool, Option<Refusal>) {
    let refusal = seen.refusal.map(|(refusal, _)| refusal);
    (refusal.is_none().then_some(seen.head_bytes), seen.upgrade, refusal)
}

/// Feeds the pieces as a connection would.
fn feed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Fate {
    let mut machine = Machine::new(Limits::default());
    let mut fate = Fate { passed: Vec::new(), seen: Vec::new(), ended: false };
    let mut held = Vec::new();
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            let Scan { pass, then } = machine.scan(&held, |seen| fate.seen.push(summary(seen)));
            fate.passed.extend(held.drain(..pass));
            if machine.is_paused() {
                machine.resume();
                continue;
            }
            match then {
                Then::Nothing | Then::Wait => break,
                Then::RefuseHead(_) => {
                    fate.ended = true;
                    return fate;
                }
                Then::BreakBody(_) => {
                    // How much of a broken body gets through does depend on the pieces.
                    fate.passed.clear();
                    fate.ended = true;
                    return fate;
                }
            }
        }
    }
    fate
}

/// A request with its bytes, and what the service must see of it.
#[derive(Debug, Clone)]
struct Sent {
    bytes: Vec<u8>,
    path: String,
    body: Vec<u8>,
}

fn request() -> impl Strategy<Value = Sent> {
    let body = prop_oneof![
        Just(None),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|body| Some((body, None))),
        (prop::collection::vec(any::<u8>(), 0..200), 1..50_usize, any::<bool>())
            .prop_map(|(body, size, extended)| Some((body, Some((size, extended))))),
    ];
    let fields = prop::collection::vec(("[a-z]{1,8}", "[ -~]{0,20}"), 0..5);
    ("/[a-z0-9/%?=&]{0,20}", fields, body).prop_map(|(path, fields, body)| {
        let path = path.replace('%', "%25");
        let mut bytes = format!("POST {path} HTTP/1.1\r\nHost: a.test\r\n").into_bytes();
        for (name, value) in fields {
            bytes.extend(format!("x-{name}: {value}\r\n").into_bytes());
        }
        let mut kept = Vec::new();
        match body {
            None => bytes.extend(b"\r\n"),
            Some((body, None)) => {
                bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
                bytes.extend(&body);
                kept = body;
            }
            Some((body, Some((size, extended)))) => {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(size) {
                    let extension = if extended { ";a=\"b\"" } else { "" };
                    bytes.extend(format!("{:x}{extension}\r\n", chunk.len()).into_bytes());
                    bytes.extend(chunk);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(if extended { &b"0\r\nx-t: 1\r\n\r\n"[..] } else { b"0\r\n\r\n" });
                kept = body;
            }
        }
        Sent { bytes, path, body: kept }
    })
}

/// Bytes that are nearly requests.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let hostile = prop::sample::select(vec![
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        ":",
        "\0",
        ";",
        "0",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Host: b\r\n",
        "\x0b",
        ",",
        "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "Upgrade: x\r\nConnection: upgrade\r\n",
    ]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, hostile), 0..4);
    (prop::collection::vec(request(), 1..4), changes).prop_map(|(requests, changes)| {
        let mut bytes: Vec<u8> = requests.into_iter().flat_map(|request| request.bytes).collect();
        for (at, removed, inserted) in changes {
            let at = at.index(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted.bytes());
        }
        bytes
    })
}

/// What the library read of a stream behind the guard: path and body (`None`: it broke off) of each request.
#[derive(Debug, Default)]
struct Read {
    requests: Vec<(String, Option<Vec<u8>>)>,
    unseen: usize,
    refusals: usize,
}

fn through_the_library(bytes: &[u8], piece: usize) -> Read {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let second = Duration::from_secs(1);
        let waits = Waits { idle: second, head: second, body: second, write: second };
        let guarded = Guarded::http1(server, BytesMut::new(), Limits::default(), waits);
        let shared = std::sync::Arc::clone(guarded.shared());
        let read: Rc<RefCell<Read>> = Rc::default();
        let noted = Rc::clone(&read);
        let service = service_fn(move |request: Request<Incoming>| {
            let (noted, shared) = (Rc::clone(&noted), std::sync::Arc::clone(&shared));
            async move {
                let seen = shared.take_seen().map(|(_, seen)| seen);
                shared.decide(false);
                let path = request.uri().path_and_query().unwrap().to_string();
                match seen {
                    None => noted.borrow_mut().unseen += 1,
                    Some(Seen { refusal: Some(_), .. }) => noted.borrow_mut().refusals += 1,
                    Some(_) => {
                        let body = request.into_body().collect().await.ok();
                        let body = body.map(|body| body.to_bytes().to_vec());
                        noted.borrow_mut().requests.push((path, body));
                    }
                }
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
            }
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .half_close(true)
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(guarded), service);
        let sending = async {
            for piece in bytes.chunks(piece) {
                if client.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            let _closed = client.shutdown().await;
            let mut answers = Vec::new();
            let _end = client.read_to_end(&mut answers).await;
        };
        let both = async { tokio::join!(serving, sending) };
        let ended = tokio::time::timeout(Duration::from_secs(10), both).await;
        assert!(ended.is_ok(), "hangs on {:?}", String::from_utf8_lossy(bytes));
        Rc::try_unwrap(read).map(RefCell::into_inner).unwrap_or_default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn pieces_do_not_matter(bytes in nearly(), size in 1..60_usize) {
        prop_assert_eq!(feed(bytes.chunks(size)), feed(std::iter::once(&bytes[..])));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1..60_usize) {
        prop_assert_eq!(feed(bytes.chunks(size)), feed(std::iter::once(&bytes[..])));
    }

    #[test]
    fn proper_requests_reach_the_service_as_they_were_sent(
        requests in prop::collection::vec(request(), 1..5),
        piece in 1..400_usize,
    ) {
        let bytes: Vec<u8> = requests.iter().flat_map(|request| request.bytes.clone()).collect();
        let fate = feed(std::iter::once(&bytes[..]));
        prop_assert_eq!(&fate.passed, &bytes);
        prop_assert_eq!(fate.seen.len(), requests.len());
        let read = through_the_library(&bytes, piece);
        let sent: Vec<_> = requests.into_iter().map(|request| (request.path, Some(request.body))).collect();
        prop_assert_eq!(read.requests, sent);
    }

    /// Whatever is sent: the library reads no request that the guard did not see, and both agree on how many there are.
    #[test]
    fn the_library_sees_what_the_guard_saw(bytes in nearly(), piece in 1..400_usize) {
        let fate = feed(std::iter::once(&bytes[..]));
        let read = through_the_library(&bytes, piece);
        prop_assert_eq!(read.unseen, 0);
        let refused = fate.seen.iter().filter(|(_, _, refusal)| refusal.is_some()).count();
        let whole = read.requests.iter().filter(|(_, body)| body.is_some()).count();
        // A body that breaks off ends the stream for both; so does a head that the library finds fault with.
        prop_assert!(read.requests.len() + read.refusals <= fate.seen.len());
        prop_assert!(whole + 1 >= fate.seen.len() - refused, "{:?} and {:?} of {}", read, fate.seen, String::from_utf8_lossy(&bytes));
    }
}
