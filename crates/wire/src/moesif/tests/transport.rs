//! The exporter and the remote configuration against a real server.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response};
use serde_json::{Value, json};
use weir_kit::inflate::{Coding, inflate};
use weir_kit::{Timestamp, schema};
use weir_model::{Exchange, ExchangeId};
use weir_pipeline::{Batch, Delivered, ExportError, Exporter};

use crate::moesif::config::{Config, FIELDS};
use crate::moesif::remote::Remote;
use crate::moesif::{exporter, sampling};

/// What the service does with a call.
#[derive(Clone)]
enum Reply {
    /// Status and headers; no body.
    Is(u16, Vec<(&'static str, String)>),
    /// 400 when the call has an event whose verb is this, else 201.
    Dislikes(&'static str),
    /// 413 when the call has more than so many events, else 201.
    AtMost(usize),
}

/// An answer to a fetch: status, tag of the configuration, tag of the rules, body.
type Served<'a> = (u16, &'static str, &'static str, &'a str);

struct Seen {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A service that answers as told and remembers what it was sent.
#[derive(Clone, Default)]
struct Service {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    /// After those; 201 when there is none.
    otherwise: Option<Reply>,
    /// Answers to `GET /v1/config` and `GET /v1/rules`; 404 when there is none.
    served: Arc<Mutex<[Option<Served<'static>>; 2]>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Service {
    async fn start(replies: Vec<Reply>) -> (Self, SocketAddr) {
        Self { replies: Arc::new(Mutex::new(replies.into())), ..Self::default() }.listen().await
    }

    async fn listen(self) -> (Self, SocketAddr) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (self, address)
    }

    fn serve(&self, config: Served<'static>, rules: Served<'static>) {
        *self.served.lock().unwrap() = [Some(config), Some(rules)];
    }

    /// The verbs of the events of each call.
    fn calls(&self) -> Vec<Vec<String>> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.path == "/v1/events/batch").map(|seen| verbs(&seen.body)).collect()
    }

    fn fetches(&self, path: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path == path).count()
    }
}

fn verbs(body: &[u8]) -> Vec<String> {
    let events: Value = serde_json::from_slice(body).unwrap();
    let events = events.as_array().unwrap();
    events.iter().map(|event| event["request"]["verb"].as_str().unwrap().to_owned()).collect()
}

async fn answer(State(service): State<Service>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let headers = parts.headers.clone();
    service.seen.lock().unwrap().push(Seen { path: path.clone(), headers, body: body.clone() });
    if parts.method == Method::GET {
        let served = service.served.lock().unwrap()[usize::from(path == "/v1/rules")];
        let (status, config_tag, rules_tag, body) = served.unwrap_or((404, "", "", ""));
        let known = parts.headers.get("if-none-match").and_then(|tag| tag.to_str().ok());
        let tag = if path == "/v1/rules" { rules_tag } else { config_tag };
        let is_known = !tag.is_empty() && known == Some(&format!("\"{tag}\""));
        let status = if status == 200 && is_known { 304 } else { status };
        let mut reply = Response::builder().status(status);
        for (name, tag) in [("X-Moesif-Config-ETag", config_tag), ("X-Moesif-Rules-Tag", rules_tag)] {
            if !tag.is_empty() {
                reply = reply.header(name, tag);
            }
        }
        return reply.body(if is_known { Body::empty() } else { body.into() }).unwrap();
    }
    let next = service.replies.lock().unwrap().pop_front().or(service.otherwise.clone());
    let (status, headers) = match next {
        None => (201, Vec::new()),
        Some(Reply::Is(status, headers)) => (status, headers),
        Some(Reply::Dislikes(verb)) if verbs(&body).iter().any(|known| known == verb) => (400, Vec::new()),
        Some(Reply::AtMost(count)) if verbs(&body).len() > count => (413, Vec::new()),
        Some(Reply::Dislikes(_) | Reply::AtMost(_)) => (201, Vec::new()),
    };
    let mut reply = Response::builder().status(status);
    for (name, value) in headers {
        reply = reply.header(name, value);
    }
    reply.body(Body::empty()).unwrap()
}

fn settings(address: SocketAddr, more: Value) -> Value {
    let mut settings = json!({"application_id": "app-1", "api_endpoint": format!("http://{address}/")});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    schema::check(FIELDS, settings).unwrap()
}

fn exporter(address: SocketAddr, more: Value) -> Box<dyn Exporter> {
    exporter::build(settings(address, more)).unwrap().exporter
}

fn batch(count: usize) -> Vec<Arc<Exchange>> {
    let exchange = |number: usize| {
        let start = Timestamp::from_seconds(1_600_000_000 + number as i64);
        let request = weir_model::Request { method: format!("M{number}").into(), ..Default::default() };
        Arc::new(Exchange::new(ExchangeId::new(start), start, request))
    };
    (0..count).map(exchange).collect()
}

async fn export(exporter: &dyn Exporter, exchanges: &[Arc<Exchange>]) -> Result<Delivered, ExportError> {
    exporter.export(&Batch { exchanges, next_position: 1 }).await
}

fn retry(outcome: Result<Delivered, ExportError>) -> (Option<u64>, String) {
    match outcome {
        Err(ExportError::Retry { after, cause }) => (after.map(|after| after.as_secs()), cause),
        other => panic!("{other:?}"),
    }
}

fn is(status: u16) -> Reply {
    Reply::Is(status, Vec::new())
}

#[tokio::test]
async fn a_batch_is_one_call_with_the_headers_of_the_protocol() {
    let (service, address) = Service::start(vec![]).await;
    let exchanges = batch(3);
    assert_eq!(export(&*exporter(address, json!({})), &exchanges).await.unwrap(), Delivered::default());
    assert_eq!(service.calls(), [["M0", "M1", "M2"]]);
    let seen = service.seen.lock().unwrap();
    let call = seen.iter().find(|seen| seen.path == "/v1/events/batch").unwrap();
    assert_eq!(call.headers["x-moesif-application-id"], "app-1");
    assert_eq!(call.headers["content-type"], "application/json");
    assert!(call.headers["user-agent"].to_str().unwrap().starts_with("weir/"));
    assert_eq!(call.headers["content-length"], call.body.len().to_string());
    assert!(call.headers.get("content-encoding").is_none());
    let events: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(events[1]["transaction_id"], exchanges[1].id.to_string());
}

#[tokio::test]
async fn calls_are_compressed_when_settings_say_so() {
    let (service, address) = Service::start(vec![]).await;
    export(&*exporter(address, json!({"enable_compression": true})), &batch(3)).await.unwrap();
    let seen = service.seen.lock().unwrap();
    let call = seen.iter().find(|seen| seen.path == "/v1/events/batch").unwrap();
    assert_eq!(call.headers["content-encoding"], "deflate");
    assert_eq!(call.body[0], 0x78, "a zlib stream, not raw deflate");
    assert_eq!(verbs(&inflate(Coding::Deflate, &call.body, 10_000).unwrap()), ["M0", "M1", "M2"]);
}

#[tokio::test]
async fn only_201_says_that_events_were_taken() {
    for status in [200, 202, 204, 302, 404, 405, 408, 415, 500, 502] {
        let (service, address) = Service::start(vec![is(status)]).await;
        let (exporter, exchanges) = (exporter(address, json!({})), batch(2));
        let (after, cause) = retry(export(&*exporter, &exchanges).await);
        assert_eq!((after, cause.contains(&status.to_string())), (None, true), "{cause}");
        assert_eq!(export(&*exporter, &exchanges).await.unwrap(), Delivered::default());
        assert_eq!(service.calls().len(), 2);
    }
}

#[tokio::test]
async fn the_service_may_ask_for_patience_and_pauses_are_long() {
    let busy = |status| Reply::Is(status, vec![("Retry-After", "7".to_owned())]);
    let (_, address) = Service::start(vec![busy(429), busy(503), is(401), is(402), is(403)]).await;
    let (exporter, exchanges) = (exporter(address, json!({})), batch(1));
    for after in [7, 7, 60, 60, 60] {
        assert_eq!(retry(export(&*exporter, &exchanges).await).0, Some(after));
    }
    assert_eq!(
        export(&*exporter, &exchanges).await.unwrap(),
        Delivered::default(),
        "nothing is lost by a pause"
    );
}

#[tokio::test]
async fn one_bad_event_is_found_and_the_others_are_taken() {
    let service = Service { otherwise: Some(Reply::Dislikes("M5")), ..Service::default() };
    let (service, address) = service.listen().await;
    let delivered = export(&*exporter(address, json!({})), &batch(8)).await.unwrap();
    assert_eq!(delivered.rejected, [(5, "the other side answered 400: ".to_owned())]);
    let calls = service.calls();
    let calls: Vec<String> = calls.iter().map(|verbs| verbs.concat()).collect();
    assert_eq!(calls, ["M0M1M2M3M4M5M6M7", "M0M1M2M3", "M4M5M6M7", "M4M5", "M4", "M5", "M6M7"]);
}

#[tokio::test]
async fn calls_that_are_too_large_are_split() {
    let service = Service { otherwise: Some(Reply::AtMost(2)), ..Service::default() };
    let (service, address) = service.listen().await;
    assert_eq!(export(&*exporter(address, json!({})), &batch(4)).await.unwrap(), Delivered::default());
    let sizes: Vec<usize> = service.calls().iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 2, 2]);
    let service = Service { otherwise: Some(Reply::AtMost(0)), ..Service::default() };
    let (_, address) = service.listen().await;
    let delivered = export(&*exporter(address, json!({})), &batch(1)).await.unwrap();
    assert!(delivered.rejected[0].1.starts_with("too_large"), "{delivered:?}");
}

#[tokio::test]
async fn what_was_settled_is_not_sent_again_when_the_rest_failed() {
    let first = vec![is(400), is(400), is(201), is(400), is(500)];
    let (service, address) = Service::start(first).await;
    let (exporter, exchanges) = (exporter(address, json!({})), batch(4));
    retry(export(&*exporter, &exchanges).await);
    let delivered = export(&*exporter, &exchanges).await.unwrap();
    assert_eq!(delivered.rejected.len(), 1);
    assert_eq!(delivered.rejected[0].0, 1);
    let calls: Vec<String> = service.calls().iter().map(|verbs| verbs.concat()).collect();
    assert_eq!(calls, ["M0M1M2M3", "M0M1", "M0", "M1", "M2M3", "M2M3"]);
    // Another batch begins anew.
    assert_eq!(export(&*exporter, &exchanges).await.unwrap(), Delivered::default());
    assert_eq!(service.calls().last().unwrap().len(), 4);
}

#[tokio::test]
async fn what_the_service_does_not_want_is_sampled_out() {
    let (service, address) = Service::start(vec![]).await;
    let config = r#"{"sample_rate":40,"user_sample_rate":{"vip":100}}"#;
    service.serve((200, "c1", "r1", config), (200, "c1", "r1", "[]"));
    let mut exchanges = batch(200);
    for exchange in exchanges.iter_mut().take(20) {
        Arc::get_mut(exchange).unwrap().identity.user = Some("vip".into());
    }
    let wanted =
        |(index, exchange): (usize, &Arc<Exchange>)| index < 20 || sampling::random(exchange.id) < 40.0;
    let wanted = exchanges.iter().enumerate().filter(|(index, exchange)| wanted((*index, exchange))).count();
    let delivered = export(&*exporter(address, json!({})), &exchanges).await.unwrap();
    assert_eq!((delivered.sampled, delivered.rejected.len()), (200 - wanted, 0));
    assert!((20..200).contains(&wanted));
    let seen = service.seen.lock().unwrap();
    let call = seen.iter().find(|seen| seen.path == "/v1/events/batch").unwrap();
    let events: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(events.as_array().unwrap().len(), wanted);
    assert_eq!((&events[0]["weight"], &events[wanted - 1]["weight"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn a_batch_that_is_sampled_out_whole_makes_no_call() {
    let (service, address) = Service::start(vec![]).await;
    service.serve((200, "c1", "r1", r#"{"sample_rate":0}"#), (200, "c1", "r1", "[]"));
    let delivered = export(&*exporter(address, json!({})), &batch(5)).await.unwrap();
    assert_eq!((delivered.sampled, service.calls().len()), (5, 0));
}

/// Waits for something that another task does.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn another_tag_in_an_answer_fetches_the_configuration_at_once() {
    let tags = |config: &str| {
        Reply::Is(
            201,
            vec![("X-Moesif-Config-ETag", config.to_owned()), ("X-Moesif-Rules-Tag", "r1".to_owned())],
        )
    };
    let (service, address) = Service::start(vec![tags("c1"), tags("c2"), tags("c2"), tags("c3")]).await;
    service.serve((200, "c1", "r1", r#"{"sample_rate":100}"#), (200, "c1", "r1", "[]"));
    let (exporter, exchanges) = (exporter(address, json!({})), batch(2));
    let remote = Remote::shared(&Config::read(settings(address, json!({}))).unwrap()).unwrap();
    assert_eq!(export(&*exporter, &exchanges).await.unwrap().sampled, 0);
    assert_eq!(
        (service.fetches("/v1/config"), service.fetches("/v1/rules")),
        (1, 1),
        "the same tags fetch nothing"
    );
    service.serve((200, "c2", "r1", r#"{"sample_rate":0}"#), (200, "c2", "r1", "[]"));
    assert_eq!(export(&*exporter, &exchanges).await.unwrap().sampled, 0);
    eventually("the new rate", || remote.served().config_tag.as_deref() == Some("c2")).await;
    assert_eq!(
        export(&*exporter, &exchanges).await.unwrap().sampled,
        2,
        "shared with whoever asks for the same account"
    );
    assert_eq!(
        (service.fetches("/v1/config"), service.fetches("/v1/rules")),
        (2, 1),
        "the rules are the same"
    );
}

fn remote(address: SocketAddr) -> Arc<Remote> {
    Remote::shared(&Config::read(settings(address, json!({}))).unwrap()).unwrap()
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let (service, address) = Service::start(vec![]).await;
    let rules = r#"[{"_id":"a","type":"regex"}]"#;
    service.serve((200, "c1", "r1", r#"{"sample_rate":5}"#), (200, "c1", "r1", rules));
    let remote = remote(address);
    remote.refresh().await.unwrap();
    let first = remote.served();
    assert_eq!((first.config.as_ref().unwrap().sample_rate, first.rules[0].id.as_str()), (Some(5.0), "a"));
    let mut changes = remote.changes();
    changes.mark_unchanged();
    remote.refresh().await.unwrap();
    assert!(Arc::ptr_eq(&first, &remote.served()) && !changes.has_changed().unwrap());
    let conditional = |seen: &&Seen| seen.headers.get("if-none-match").is_some_and(|tag| tag == "\"c1\"");
    assert_eq!(service.seen.lock().unwrap().iter().filter(conditional).count(), 1);
    // Without tags everything is fetched every time.
    service.serve((200, "", "", r#"{"sample_rate":6}"#), (200, "", "", "[]"));
    remote.refresh().await.unwrap();
    assert!(changes.has_changed().unwrap() && remote.served().rules.is_empty());
}

#[tokio::test]
async fn whatever_goes_wrong_the_old_holds() {
    let (service, address) = Service::start(vec![]).await;
    let remote = remote(address);
    assert!(remote.refresh().await.is_err(), "404");
    assert_eq!(remote.served().config, None);
    service.serve((200, "c1", "r1", r#"{"sample_rate":5}"#), (200, "c1", "r1", "[{\"_id\":\"a\"}]"));
    remote.refresh().await.unwrap();
    let good = remote.served();
    for (config, rules) in [
        ((500, "c2", "r2", "oops"), (200, "c2", "r2", "[]")),
        ((200, "c2", "r2", "<html>"), (200, "c2", "r2", "[]")),
        ((201, "c2", "r2", "{}"), (200, "c2", "r2", "[]")),
        ((304, "c2", "r1", ""), (200, "c2", "r1", "[]")),
    ] {
        service.serve(config, rules);
        let outcome = remote.refresh().await;
        assert_eq!(
            (&remote.served().config, &remote.served().rules),
            (&good.config, &good.rules),
            "{config:?} {outcome:?}"
        );
    }
    // A new configuration holds although the rules could not be had.
    service.serve((200, "c3", "r3", r#"{"sample_rate":9}"#), (200, "c3", "r3", "<html>"));
    assert!(remote.refresh().await.unwrap_err().starts_with("the rules are not readable"));
    let served = remote.served();
    assert_eq!((served.config.as_ref().unwrap().sample_rate, &served.rules), (Some(9.0), &good.rules));
    drop(service);
}

#[tokio::test]
async fn nobody_there_is_a_failure_to_repeat_and_costs_no_event() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let exporter = exporter(address, json!({}));
    retry(export(&*exporter, &batch(1)).await);
}

/// A service that writes these bytes to whoever calls, and hangs up.
async fn writes(bytes: &'static [u8]) -> SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _read = stream.read(&mut [0; 4096]).await;
            let _written = stream.write_all(bytes).await;
        }
    });
    address
}

#[tokio::test]
async fn garbage_and_resets_are_failures_to_repeat() {
    for bytes in [
        &b""[..],
        b"garbage\r\n\r\n",
        b"HTTP/1.1 201 Created\r\ncontent-le",
        b"HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\nabc",
    ] {
        let exporter = exporter(writes(bytes).await, json!({}));
        retry(export(&*exporter, &batch(1)).await);
    }
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let exporter = exporter(address, json!({"connect_timeout": 50, "send_timeout": 50}));
    let (_, cause) = retry(export(&*exporter, &batch(1)).await);
    assert!(cause.contains("timed out"), "{cause}");
    drop(listener);
}

#[test]
fn fetching_outlives_the_runtime_it_began_on() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let listener = first.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let remote = remote(listener.local_addr().unwrap());
    first.block_on(async { remote.start() });
    drop((first, listener));
    second.block_on(async {
        remote.start();
        remote.first_attempt().await;
    });
}

#[test]
fn the_same_account_has_one_remote() {
    let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let config = |more: Value| Config::read(settings(address, more)).unwrap();
    let one = Remote::shared(&config(json!({}))).unwrap();
    assert!(Arc::ptr_eq(&one, &Remote::shared(&config(json!({"debug": true}))).unwrap()));
    // The original tells accounts apart by the last ten characters only.
    let other = Remote::shared(&config(json!({"application_id": "xpp-1"}))).unwrap();
    assert!(!Arc::ptr_eq(&one, &other));
    let weak = Arc::downgrade(&one);
    drop(one);
    assert!(weak.upgrade().is_none(), "nobody is kept who is not used");
}

#[test]
fn building_needs_no_runtime_and_names_mistakes() {
    let built = exporter::build(json!({"application_id": "a", "batch_size": 3})).unwrap();
    assert_eq!((built.queue.max_batch_size, built.capture.request_body_bytes), (3, 100_000));
    assert_eq!(exporter::build(json!({})).err().unwrap().problems[0].key, "application_id");
}
