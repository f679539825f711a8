//! The exporter against a real server, and the receiver's words.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Peer};
use weir_pipeline::{Batch, Call, ExportError, Exporter, Outcome, Receiver, Rejected, Reply};

use super::entry_json;
use crate::galileo::exporter::{self, IDEMPOTENCY_KEY};
use crate::galileo::receiver::Galileo;

/// Status, `Retry-After` and body of an answer.
type Answer = (u16, &'static str, &'static str);
/// What a request consisted of.
type Seen = (Method, Uri, HeaderMap, Bytes);

/// A collector that answers as told, and remembers what it was sent.
#[derive(Clone, Default)]
struct Collector {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Collector {
    async fn start(answers: &[Answer]) -> (Self, SocketAddr) {
        let collector =
            Self { answers: Arc::new(Mutex::new(answers.iter().copied().collect())), ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, address)
    }

    fn entries_of_call(&self, call: usize) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let alf: Value = serde_json::from_slice(&seen[call].3).unwrap();
        let entries = alf["har"]["log"]["entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["request"]["method"].as_str().unwrap().to_owned()).collect()
    }

    fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn header(&self, call: usize, name: &str) -> String {
        self.seen.lock().unwrap()[call].2[name].to_str().unwrap().to_owned()
    }
}

async fn answer(State(collector): State<Collector>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    collector.seen.lock().unwrap().push((parts.method, parts.uri, parts.headers, body));
    let (status, retry_after, text) = collector.answers.lock().unwrap().pop_front().unwrap_or((200, "", ""));
    let mut response = Response::builder().status(status);
    if !retry_after.is_empty() {
        response = response.header("retry-after", retry_after);
    }
    response.body(Body::from(text)).unwrap()
}

fn exporter(address: SocketAddr) -> Box<dyn Exporter> {
    let settings = json!({
        "service_token": "tok-1", "host": address.ip().to_string(), "port": address.port(), "https": false,
    });
    exporter::build(settings).unwrap().exporter
}

fn batch(environments: &[Option<&str>]) -> Vec<Arc<Exchange>> {
    let exchange = |(number, environment): (usize, &Option<&str>)| {
        let at = Timestamp::from_seconds(i64::try_from(number).unwrap());
        let mut exchange = Exchange::new(ExchangeId::new(at), at, weir_model::Request::default());
        exchange.request.method = format!("M{number}").into();
        exchange.request.host = "a.test".into();
        exchange.origin.environment = environment.map(Into::into);
        Arc::new(exchange)
    };
    environments.iter().enumerate().map(exchange).collect()
}

async fn export(
    exporter: &dyn Exporter,
    exchanges: &[Arc<Exchange>],
) -> Result<Vec<(usize, String)>, ExportError> {
    let batch = Batch { exchanges, next_position: 0 };
    exporter.export(&batch).await.map(|delivered| delivered.rejected)
}

#[tokio::test]
async fn a_batch_is_one_post_to_the_fixed_path() {
    let (collector, address) = Collector::start(&[(200, "", "")]).await;
    let exchanges = batch(&[None, None, None]);
    assert_eq!(export(&*exporter(address), &exchanges).await.unwrap(), []);
    assert_eq!(collector.calls(), 1);
    assert_eq!(collector.entries_of_call(0), ["M0", "M1", "M2"]);
    let (method, uri, headers, body) = collector.seen.lock().unwrap()[0].clone();
    assert_eq!((method, uri.path()), (Method::POST, "/1.1.0/single"));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["content-length"], body.len().to_string().as_str());
    let key = format!("{}.{}", exchanges[0].id, exchanges[2].id);
    assert_eq!(headers[IDEMPOTENCY_KEY], key.as_str());
}

#[tokio::test]
async fn environments_travel_apart_and_in_order() {
    let (collector, address) = Collector::start(&[]).await;
    let exchanges = batch(&[Some("a"), Some("a"), Some("b"), Some("a")]);
    export(&*exporter(address), &exchanges).await.unwrap();
    let calls: Vec<Vec<String>> =
        (0..collector.calls()).map(|call| collector.entries_of_call(call)).collect();
    assert_eq!(calls, [vec!["M0", "M1"], vec!["M2"], vec!["M3"]]);
}

#[tokio::test]
async fn failures_are_retried_and_refusals_are_not() {
    let bad = r#"{"errors":["bad"],"sent":2,"saved":0}"#;
    let (collector, address) =
        Collector::start(&[(503, "7", "later"), (429, "", ""), (400, "", bad), (207, "", ""), (302, "", "")])
            .await;
    let (exporter, exchanges) = (exporter(address), batch(&[None, None]));
    let Err(ExportError::Retry { after, cause }) = export(&*exporter, &exchanges).await else { panic!() };
    assert_eq!(after, Some(Duration::from_secs(7)));
    assert_eq!(cause, "the other side answered 503: later");
    let outcome = export(&*exporter, &exchanges).await;
    assert!(matches!(outcome, Err(ExportError::Retry { after: None, .. })), "{outcome:?}");
    let refused = export(&*exporter, &exchanges).await.unwrap();
    let cause = format!("the other side answered 400: {bad}");
    assert_eq!(refused, [(0, cause.clone()), (1, cause)]);
    assert_eq!(export(&*exporter, &exchanges).await.unwrap(), []);
    assert_eq!(export(&*exporter, &exchanges).await.unwrap().len(), 2, "redirects are not followed");
    assert_eq!(collector.calls(), 5);
}

#[tokio::test]
async fn what_was_accepted_is_not_sent_again_when_the_rest_failed() {
    let (collector, address) = Collector::start(&[(200, "", ""), (500, "", ""), (200, "", "")]).await;
    let (exporter, exchanges) = (exporter(address), batch(&[Some("a"), Some("b")]));
    assert!(matches!(export(&*exporter, &exchanges).await, Err(ExportError::Retry { .. })));
    assert_eq!(export(&*exporter, &exchanges).await.unwrap(), []);
    let calls: Vec<Vec<String>> =
        (0..collector.calls()).map(|call| collector.entries_of_call(call)).collect();
    assert_eq!(calls, [["M0"], ["M1"], ["M1"]]);
    assert_eq!(collector.header(1, IDEMPOTENCY_KEY), collector.header(2, IDEMPOTENCY_KEY));
}

/// A collector that refuses every call with more than `max` entries or with a request of method `poison` in it.
async fn picky(
    status: u16,
    words: &'static str,
    max: usize,
    poison: &'static [&'static str],
) -> (Arc<Mutex<Vec<String>>>, SocketAddr) {
    let saved: Arc<Mutex<Vec<String>>> = Arc::default();
    let keep = saved.clone();
    let answer = async move |body: Bytes| {
        let alf: Value = serde_json::from_slice(&body).unwrap();
        let entries = alf["har"]["log"]["entries"].as_array().unwrap();
        let methods: Vec<&str> =
            entries.iter().map(|entry| entry["request"]["method"].as_str().unwrap()).collect();
        if methods.len() > max || methods.iter().any(|method| poison.contains(method)) {
            return (StatusCode::from_u16(status).unwrap(), words);
        }
        keep.lock().unwrap().extend(methods.into_iter().map(ToOwned::to_owned));
        (StatusCode::OK, "")
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (saved, address)
}

#[tokio::test]
async fn an_entry_that_can_never_succeed_is_refused_alone() {
    let exchanges = batch(&[None; 100]);
    for (status, words, max) in [(400, "bad request", usize::MAX), (413, "too large", 7)] {
        let (saved, address) = picky(status, words, max, &["M17", "M18", "M70"]).await;
        let refused = export(&*exporter(address), &exchanges).await.unwrap();
        let indexes: Vec<usize> = refused.iter().map(|(index, _)| *index).collect();
        assert_eq!(indexes, [17, 18, 70], "{status}");
        assert_eq!(refused[0].1, format!("the other side answered {status}: {words}"));
        let expected: Vec<String> =
            (0..100).filter(|number| !indexes.contains(number)).map(|number| format!("M{number}")).collect();
        assert_eq!(*saved.lock().unwrap(), expected, "{status}: in order and each once");
    }
}

#[tokio::test]
async fn a_collector_that_refuses_everything_is_not_asked_for_ever() {
    let (collector, address) = Collector::start(&[(400, "", "no"); 200]).await;
    let exchanges = batch(&[None; 1000]);
    assert_eq!(export(&*exporter(address), &exchanges).await.unwrap().len(), 1000);
    assert!(collector.calls() <= 70, "{}", collector.calls());
    // One that counts has looked at every entry.
    let counted = r#"{"errors":["ALF[0] unknown token"],"sent":1000,"saved":0}"#;
    let (collector, address) = Collector::start(&[(400, "", counted)]).await;
    assert_eq!(export(&*exporter(address), &exchanges).await.unwrap().len(), 1000);
    assert_eq!(collector.calls(), 1);
}

#[tokio::test]
async fn halves_that_were_accepted_are_not_sent_again() {
    let answers = [(413, "", ""), (200, "", ""), (500, "", ""), (200, "", "")];
    let (collector, address) = Collector::start(&answers).await;
    let (exporter, exchanges) = (exporter(address), batch(&[None; 4]));
    assert!(matches!(export(&*exporter, &exchanges).await, Err(ExportError::Retry { .. })));
    assert_eq!(export(&*exporter, &exchanges).await.unwrap(), []);
    let calls: Vec<usize> =
        (0..collector.calls()).map(|call| collector.entries_of_call(call).len()).collect();
    assert_eq!(calls, [4, 2, 2, 2]);
    assert_eq!(collector.entries_of_call(3), ["M2", "M3"]);
}

#[tokio::test]
async fn a_dead_collector_is_a_failure_to_repeat() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = export(&*exporter(address), &batch(&[None])).await;
    assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
}

/// A collector behind TLS with a certificate that nobody vouches for; it takes everything.
async fn start_tls() -> SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::rustls;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            if read > 0 {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        }
    });
    address
}

#[tokio::test]
async fn certificates_are_checked_when_settings_say_so() {
    let address = start_tls().await;
    for verify in [false, true] {
        let settings = json!({
            "service_token": "t", "host": address.ip().to_string(), "port": address.port(), "https_verify": verify,
        });
        let exporter = exporter::build(settings).unwrap().exporter;
        match export(&*exporter, &batch(&[None])).await {
            Ok(rejected) => assert!(!verify && rejected.is_empty(), "{rejected:?}"),
            Err(ExportError::Retry { cause, .. }) => {
                assert!(verify && cause.contains("certificate"), "{cause}")
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn settings_become_queue_and_capture() {
    let built = |settings: Value| exporter::build(settings);
    let completed =
        weir_kit::schema::check(super::super::config::FIELDS, json!({"service_token": "t"})).unwrap();
    assert_eq!(
        super::super::config::Config::read(completed).unwrap(),
        super::super::config::Config { service_token: weir_kit::Secret::new("t"), ..Default::default() }
    );
    let standard = built(json!({"service_token": "t"})).unwrap();
    assert_eq!((standard.queue.max_batch_size, standard.queue.max_attempts), (1000, Some(10)));
    assert_eq!(standard.queue.max_idle_delay, Some(Duration::from_secs(2)));
    assert_eq!(standard.queue.max_coalescing_delay, Duration::from_secs(10), "under steady traffic");
    assert_eq!(standard.capture.request_body_bytes, 0);
    let odd = json!({"service_token": "t", "queue_size": -3, "flush_timeout": -1, "retry_count": 0, "log_bodies": true});
    let odd = built(odd).unwrap();
    assert_eq!((odd.queue.max_batch_size, odd.queue.max_attempts), (1, Some(1)));
    assert!(odd.queue.max_coalescing_delay.is_zero());
    assert_eq!(odd.capture.response_body_bytes, 1_048_576);
    for (settings, key) in [
        (json!({}), "service_token"),
        (json!({"service_token": "t", "host": "a/b"}), "host"),
        (json!({"service_token": "t", "tokn": 1}), ""),
    ] {
        assert_eq!(built(settings).err().unwrap().problems[0].key, key);
    }
}

fn with_call<T>(mount: &'static str, body: &[u8], then: impl FnOnce(&Call<'_>) -> T) -> T {
    let (method, headers) = (Method::POST, HeaderMap::new());
    then(&Call {
        method: &method,
        mount,
        parameters: &[],
        query: None,
        headers: &headers,
        body,
        peer: Peer::default(),
        received_at: Timestamp::from_seconds(0),
    })
}

fn shown(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), std::str::from_utf8(&reply.body).unwrap())
}

fn two_alfs() -> Vec<u8> {
    let alf = |entries: usize| {
        let entries = vec![entry_json(|_| {}); entries];
        json!({"version": "1.1.0", "serviceToken": "t", "har": {"log": {"entries": entries}}})
    };
    json!([alf(2), alf(3)]).to_string().into_bytes()
}

#[test]
fn answers_are_those_of_the_original() {
    let body = two_alfs();
    let reply = |outcome: Outcome| with_call("/1.1.0/batch", &body, |call| Galileo.reply(call, &outcome));
    let rejected = |indices: &[usize]| -> Vec<Rejected> {
        indices.iter().map(|index| Rejected { index: *index, reason: "unknown token".to_owned() }).collect()
    };
    let all = reply(Outcome { offered: 5, saved: 5, ..Outcome::default() });
    assert_eq!(shown(&all), (200, "{\"errors\":[],\"sent\":5,\"saved\":5}\n"));
    assert!(all.headers.contains(&("connection", "keep-alive".to_owned())));
    let some = reply(Outcome { offered: 5, saved: 2, rejected: rejected(&[2, 3, 4]), ..Outcome::default() });
    assert_eq!(shown(&some), (207, "{\"errors\":[\"ALF[1] unknown token\"],\"sent\":5,\"saved\":2}\n"));
    let none =
        reply(Outcome { offered: 5, saved: 0, rejected: rejected(&[0, 1, 2, 3, 4]), ..Outcome::default() });
    let words = "{\"errors\":[\"ALF[0] unknown token\",\"ALF[1] unknown token\"],\"sent\":5,\"saved\":0}\n";
    assert_eq!(shown(&none), (400, words));
    let unknown = Outcome {
        offered: 5,
        rejected: rejected(&[0, 1, 2, 3, 4]),
        unknown_credential: true,
        ..Outcome::default()
    };
    assert_eq!(reply(unknown.clone()).status, 400);
    let old = with_call("/1.0.0/batch", &body, |call| Galileo.reply(call, &unknown));
    assert_eq!(
        shown(&old),
        (207, words),
        "the first generation repeats anything else for ever, or counts it as bad"
    );
    let busy = reply(Outcome { offered: 5, busy: true, ..Outcome::default() });
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(busy.headers.contains(&("retry-after", "1".to_owned())));
    let empty = reply(Outcome::default());
    assert_eq!(shown(&empty), (200, "{\"errors\":[],\"sent\":0,\"saved\":0}\n"));
}

#[test]
fn unreadable_calls_are_refused_in_the_words_of_their_generation() {
    for (mount, given, status) in [
        ("/1.1.0/single", 413, 413),
        ("/1.0.0/batch", 413, 400),
        ("/1.0.0/batch", 401, 400),
        ("/1.0.0/batch", 408, 408),
        ("/1.0.0/batch", 503, 503),
    ] {
        let malformed = weir_pipeline::Malformed {
            status: StatusCode::from_u16(given).unwrap(),
            reason: "too large".to_owned(),
        };
        let reply = with_call(mount, b"", |call| Galileo.refuse(call, &malformed));
        assert_eq!(
            shown(&reply),
            (status, "{\"errors\":[\"too large\"],\"sent\":0,\"saved\":0}\n"),
            "{mount}"
        );
    }
    let error = with_call("/1.1.0/single", b"<html>", |call| Galileo.decode(call)).unwrap_err();
    assert_eq!((error.status.as_u16(), error.reason.as_str()), (400, "not an ALF: \"<html>\""));
}
