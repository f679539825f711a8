//! Exporters that have a say in calls.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use weir_gateway::plugins::{
    Asked, Authenticated, Call, Chain, Configured, Directory, Phases, Plugin, PluginRegistry, Slot,
};
use weir_gateway::snapshot::Route;
use weir_gateway::{Settings, answer};
use weir_kit::Secret;
use weir_model::{Captured, Identity};
use weir_pipeline::{
    Batch, CaptureWish, Delivered, ExportError, Exporter, ExporterKind, Policy, PolicyAnswer, PolicyCall,
    Verdict,
};

use crate::harness::{
    TestGateway, answering, chain_of, field, mirror, route, service_at, settings, snapshot_of, snapshot_with,
};

/// Blocks what looks like `/blocked` or has a body with `stop`, and notes what it was shown.
#[derive(Default)]
struct Guard {
    body_bytes: usize,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Policy for Guard {
    fn body_wanted(&self, call: &PolicyCall<'_>) -> usize {
        assert_eq!(call.body, None);
        self.body_bytes
    }

    fn request(&self, call: &PolicyCall<'_>) -> Verdict {
        let body = call.body.map(|body| String::from_utf8_lossy(body).into_owned());
        let shown = |name: &str| call.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        self.seen.lock().unwrap().push(format!(
            "{} {} {:?} {} {:?} {:?} {:?} {body:?}",
            call.method,
            call.uri.path(),
            call.route_hosts,
            call.host,
            shown("authorization"),
            call.credential,
            call.key.map(Secret::expose),
        ));
        let blocked = call.uri.path() == "/blocked" || body.is_some_and(|body| body.contains("stop"));
        let header = |name: &'static str, value: String| {
            (HeaderName::from_static(name), HeaderValue::try_from(value).unwrap())
        };
        Verdict {
            identity: Identity {
                user: shown("authorization").map(|token| format!("user of {}", token.len()).into()),
                session: Some("session".into()),
                ..Identity::default()
            },
            answer: blocked.then(|| PolicyAnswer {
                status: StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
                content_type: HeaderValue::from_static("application/json"),
                body: Bytes::from_static(b"{\"no\":1}"),
            }),
            request_headers: vec![
                header("x-call", call.id.to_string()),
                header("host", "elsewhere".to_owned()),
            ],
            response_headers: vec![
                header("x-call", call.id.to_string()),
                header("x-b", "by policy".to_owned()),
                header("content-length", "1".to_owned()),
                header("transfer-encoding", "chunked".to_owned()),
            ],
            attributes: if blocked { vec![("test.blocked_by", "rule-1".into())] } else { Vec::new() },
        }
    }

    fn reads_responses(&self) -> bool {
        true
    }

    fn response(&self, headers: &HeaderMap) -> Identity {
        let company = headers.get("x-company").map(|value| value.to_str().unwrap().to_owned());
        Identity { company: company.map(Into::into), user: Some("too late".into()), ..Identity::default() }
    }
}

struct Discard;

#[async_trait]
impl Exporter for Discard {
    async fn export(&self, _batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        Ok(Delivered::default())
    }
}

static EXPORTERS: &[ExporterKind] = &[ExporterKind {
    name: "guard",
    about: "",
    aliases: &[],
    fields: &[],
    build: |_| unreachable!("the plugin is built from what its exporter asked"),
}];

fn plugin(id: &str, asked: Asked) -> Arc<dyn Plugin> {
    let config = serde_json::Value::Null;
    let directory = Arc::new(Directory::default());
    let configured = Configured { id: id.into(), config: &config, directory: &directory };
    PluginRegistry::new(EXPORTERS).build("guard", configured, asked).unwrap()
}

fn guard(policy: Guard) -> Slot {
    let wish = CaptureWish { request_body_bytes: 100, response_body_bytes: 100 };
    Slot::for_anyone(plugin("guard-id", Asked { wish, policy: Some(Arc::new(policy)) }))
}

fn gateway_with(settings: Settings, service: std::net::SocketAddr, slots: Vec<Slot>) -> TestGateway {
    let route = Route { chain: Chain::new(slots), hosts: vec!["a.test".to_owned()], ..route() };
    TestGateway::start(settings, snapshot_with(service_at(service), route, "/"))
}

fn guarded(body_bytes: usize) -> (TestGateway, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::default();
    let slot = guard(Guard { body_bytes, seen: Arc::clone(&seen) });
    (gateway_with(settings(), mirror(), vec![slot]), seen)
}

#[test]
fn what_a_policy_knows_is_recorded_and_what_it_adds_is_sent() {
    let (gateway, seen) = guarded(0);
    let answer = gateway
        .connect()
        .call("GET /a HTTP/1.1\r\nHost: a.test\r\nAuthorization: s3cret\r\nX-Call: theirs\r\n\r\n");
    let exchange = gateway.exchange();
    let id = exchange.id.to_string();
    assert_eq!((answer.status, answer.field("x-call")), (200, Some(id.as_str())));
    assert_eq!(answer.field("x-b"), Some("by policy"));
    let sent = answer.text();
    assert_eq!(field(&sent, "x-call"), Some(id.as_str()));
    assert!(!sent.contains("elsewhere") && !sent.contains("theirs"), "{sent}");
    assert_eq!(exchange.identity.user.as_deref(), Some("user of 6"));
    assert_eq!((exchange.identity.session.as_deref(), exchange.identity.company), (Some("session"), None));
    assert_eq!(exchange.request.headers.text("authorization").as_deref(), Some("[redacted]"));
    assert_eq!(exchange.request.headers.text("x-call").as_deref(), Some(id.as_str()));
    assert_eq!((exchange.attributes.len(), exchange.plugins), (0, vec!["guard-id".into()]));
    assert_eq!(*seen.lock().unwrap(), ["GET /a [\"a.test\"] a.test Some(\"s3cret\") None None None"]);
}

#[test]
fn a_blocked_call_is_answered_and_recorded_and_goes_nowhere() {
    let (gateway, _) = guarded(0);
    let mut client = gateway.connect();
    let answer = client.call("GET /blocked HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((answer.status, answer.text().as_str()), (451, "{\"no\":1}"));
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!((answer.field("x-b"), answer.field("content-length")), (Some("by policy"), Some("8")));
    // The connection goes on to serve.
    assert_eq!(client.call("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    let exchange = &gateway.exchanges(2)[0];
    assert_eq!((exchange.status(), exchange.error.as_deref()), (Some(451), None));
    assert_eq!(exchange.attributes.text("test.blocked_by"), Some("rule-1"));
    let body = &exchange.response.as_ref().unwrap().body;
    assert_eq!(body.captured, Captured::Whole("{\"no\":1}".into()));
    assert_eq!((exchange.service.as_deref(), exchange.timings.wait), (Some("the-service"), None));
}

#[test]
fn the_head_of_the_answer_tells_what_the_request_did_not() {
    const NAMED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Company: acme\r\nX-B: its own\r\n\r\nok";
    let gateway = gateway_with(settings(), answering(NAMED), vec![guard(Guard::default())]);
    let answer = gateway.connect().call("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: s3cret\r\n\r\n");
    assert_eq!(answer.field("x-b"), Some("by policy"));
    let identity = gateway.exchange().identity;
    assert_eq!((identity.company.as_deref(), identity.user.as_deref()), (Some("acme"), Some("user of 6")));
}

#[test]
fn a_body_is_seen_and_passed_on_unchanged() {
    let (gateway, seen) = guarded(64);
    let mut client = gateway.connect();
    let long = "x".repeat(200_000);
    for (body, shown) in
        [("hello", true), ("", false), (&long[..64], true), (&long[..65], false), (&long, false)]
    {
        let with_length =
            format!("POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert_eq!(client.call(&with_length).text().split_once("\r\n\r\n").unwrap().1, body);
        let seen_body = if shown { format!("Some({body:?})") } else { "None".to_owned() };
        assert!(seen.lock().unwrap().pop().unwrap().ends_with(&seen_body), "{}", body.len());
        // In two chunks, with a trailer.
        let (a, b) = body.split_at(body.len() / 2);
        let chunk = |part: &str| match part.len() {
            0 => String::new(),
            length => format!("{length:x}\r\n{part}\r\n"),
        };
        let chunked = format!(
            "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n{}{}0\r\nx-end: 1\r\n\r\n",
            chunk(a),
            chunk(b)
        );
        let answer = client.call(&chunked).text();
        let (head, sent) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        assert_eq!(sent, format!("{body}x-end: 1\r\n"), "trailers too");
    }
    for exchange in gateway.exchanges(10) {
        let size = exchange.request.body.size.unwrap();
        match exchange.request.body.captured {
            Captured::Whole(bytes) => assert_eq!(bytes.len() as u64, size),
            Captured::Cut(bytes) => assert_eq!((bytes.len(), size > 100), (100, true)),
            Captured::No(why) => assert_eq!(size, 0, "{why:?}"),
        }
    }
}

#[test]
fn a_call_may_be_blocked_for_its_body() {
    let (gateway, _) = guarded(64);
    let mut client = gateway.connect();
    let answer = client.call("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nstop it!");
    assert_eq!(answer.status, 451);
    assert_eq!(client.call("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    let exchange = &gateway.exchanges(2)[0];
    assert_eq!(exchange.request.body.captured, Captured::Whole("stop it!".into()));
}

#[test]
fn a_body_that_is_too_long_passes_while_it_is_sent() {
    let (gateway, seen) = guarded(4);
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n");
    // The policy has decided without the rest, which is only sent now.
    let began = std::time::Instant::now();
    while seen.lock().unwrap().is_empty() {
        assert!(began.elapsed() < crate::harness::PATIENCE, "the policy waits for the whole body");
        std::thread::sleep(Duration::from_millis(5));
    }
    let answer = client.call("1\r\n6\r\n0\r\n\r\n");
    assert_eq!(answer.text().split_once("\r\n\r\n").unwrap().1, "123456");
}

#[test]
fn a_client_that_stops_sending_is_given_up() {
    let mut settings = settings();
    settings.body_timeout = Duration::from_millis(100);
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let slot = guard(Guard { body_bytes: 64, seen: Arc::clone(&seen) });
    let gateway = gateway_with(settings, mirror(), vec![slot]);
    let mut client = gateway.connect();
    let answer = client.call("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf");
    assert_eq!(answer.status, 408);
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf");
    client.stream.flush().unwrap();
    drop(client);
    let exchanges = gateway.exchanges(2);
    assert_eq!(exchanges[0].error.as_deref(), Some("client.timeout"));
    assert_eq!(exchanges[0].request.body.captured, Captured::Cut("half".into()));
    assert_eq!(exchanges[1].error.as_deref(), Some("client.aborted"));
    assert!(seen.lock().unwrap().is_empty(), "half a body is shown to nobody");
}

#[test]
fn a_body_is_not_looked_at_when_no_memory_is_left_for_it() {
    let mut settings = settings();
    settings.capture.body_budget_bytes = 10;
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let slot = guard(Guard { body_bytes: 64, seen: Arc::clone(&seen) });
    let gateway = gateway_with(settings, mirror(), vec![slot]);
    let answer =
        gateway.connect().call("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nstop, please");
    assert_eq!(answer.status, 200);
    assert!(seen.lock().unwrap()[0].ends_with("None"));
}

#[test]
fn a_policy_sees_the_credential_and_each_consumer_may_have_his_own() {
    struct Auth(Arc<str>);
    #[async_trait(?Send)]
    impl Plugin for Auth {
        fn id(&self) -> &Arc<str> {
            &self.0
        }
        fn phases(&self) -> Phases {
            Phases::ACCESS
        }
        async fn access(&self, call: &mut Call) -> Option<answer::Answer> {
            call.consumer = Some(std::rc::Rc::new(Authenticated {
                id: Some("consumer-id".into()),
                credential: Some("credential-id".into()),
                key: Some(Arc::new(Secret::new("the-key"))),
                ..Authenticated::default()
            }));
            None
        }
    }
    let (for_anyone, for_ann) = (Arc::default(), Arc::default());
    let mut slot = guard(Guard { body_bytes: 0, seen: Arc::clone(&for_anyone) });
    let ann = guard(Guard { body_bytes: 0, seen: Arc::clone(&for_ann) }).anyone.unwrap();
    slot.by_consumer.insert("consumer-id".into(), ann);
    let auth = chain_of(Auth("auth".into())).slots()[0].clone();
    let gateway = gateway_with(settings(), mirror(), vec![auth, slot]);
    gateway.connect().call("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        *for_ann.lock().unwrap(),
        ["GET /a [\"a.test\"] a None Some(\"credential-id\") Some(\"the-key\") None"]
    );
    assert!(for_anyone.lock().unwrap().is_empty());
    assert!(!format!("{:?}", gateway.exchange()).contains("the-key"));
}

#[test]
fn an_exporter_without_a_policy_takes_no_part_in_calls() {
    let silent = plugin("silent", Asked { wish: CaptureWish::default(), policy: None });
    assert_eq!(silent.phases(), Phases::NONE);
    assert!(Discard.policy().is_none());
    let chain = Chain::new(vec![Slot::for_anyone(silent)]);
    assert!(![Phases::ACCESS, Phases::HEADER_FILTER, Phases::LOG].iter().any(|phase| chain.has(*phase)));
    // Identity is that of nobody, and nothing is added.
    let gateway = TestGateway::start(settings(), snapshot_of(service_at(mirror())));
    gateway.connect().call("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let exchange = gateway.exchange();
    assert_eq!((exchange.identity, exchange.attributes.len()), (Identity::default(), 0));
}
