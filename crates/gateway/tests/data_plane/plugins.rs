//! Plugins in their phases.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, response};
use weir_gateway::answer::Answer;
use weir_gateway::plugins::{Authenticated, Call, CallOutcome, Chain, Phases, Plugin, Slot};
use weir_gateway::snapshot::{Route, Snapshot};
use weir_pipeline::CaptureWish;

use crate::harness::{TestGateway, chain_of, field, mirror, route, service_at, settings, snapshot_with};

/// Does a little in every phase.
struct Everywhere {
    id: Arc<str>,
    refuse: bool,
    logged: Arc<Mutex<Vec<CallOutcome>>>,
}

#[async_trait(?Send)]
impl Plugin for Everywhere {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn phases(&self) -> Phases {
        Phases::ACCESS.and(Phases::HEADER_FILTER).and(Phases::BODY_FILTER).and(Phases::LOG)
    }

    fn capture(&self) -> Option<CaptureWish> {
        Some(CaptureWish::default())
    }

    async fn access(&self, call: &mut Call) -> Option<Answer> {
        tokio::task::yield_now().await;
        call.consumer = Some(std::rc::Rc::new(Authenticated {
            id: Some("consumer-id".into()),
            username: Some("ann".into()),
            ..Authenticated::default()
        }));
        call.request.headers.insert("x-consumer-username", HeaderValue::from_static("ann"));
        call.response_headers.insert("x-aside", HeaderValue::from_static("1"));
        self.refuse.then(|| Answer::message(StatusCode::FORBIDDEN, "no"))
    }

    fn header_filter(&self, _call: &mut Call, response: &mut response::Parts) {
        response.headers.insert("x-filtered", HeaderValue::from_static("1"));
    }

    fn body_filter(&self, _call: &mut Call, piece: Bytes, last: bool) -> Bytes {
        let mut upper = piece.to_ascii_uppercase();
        if last {
            upper.extend_from_slice(b"THE END");
        }
        upper.into()
    }

    fn log(&self, _call: &Call, outcome: &CallOutcome) {
        self.logged.lock().unwrap().push(*outcome);
    }
}

fn everywhere(refuse: bool) -> (Chain, Arc<Mutex<Vec<CallOutcome>>>) {
    let logged: Arc<Mutex<Vec<CallOutcome>>> = Arc::default();
    let plugin = Everywhere { id: "plugin-id".into(), refuse, logged: Arc::clone(&logged) };
    (chain_of(plugin), logged)
}

fn gateway(chain: Chain) -> TestGateway {
    let snapshot = snapshot_with(service_at(mirror()), Route { chain, ..route() }, "/");
    TestGateway::start(settings(), snapshot)
}

const GET: &str = "GET /path HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[test]
fn each_phase_has_its_say() {
    let (chain, logged) = everywhere(false);
    let gateway = gateway(chain);
    let answer = gateway.connect().call(GET);
    let seen = answer.text();
    assert!(seen.starts_with("GET /PATH HTTP/1.1\r\n") && seen.ends_with("THE END"), "{seen}");
    assert_eq!(field(&seen, "x-consumer-username"), Some("ANN"));
    assert_eq!((answer.field("x-aside"), answer.field("x-filtered")), (Some("1"), Some("1")));
    let exchange = gateway.exchange();
    assert_eq!(exchange.plugins, ["plugin-id"]);
    assert_eq!(exchange.consumer.unwrap().username.as_deref(), Some("ann"));
    assert_eq!(exchange.request.headers.text("x-consumer-username").as_deref(), Some("ann"));
    assert_eq!(exchange.request.headers.get("x-forwarded-for"), None);
    assert_eq!(exchange.response.unwrap().headers.text("x-filtered").as_deref(), Some("1"));
    let logged = logged.lock().unwrap();
    assert_eq!(logged.len(), 1);
    assert_eq!((logged[0].status, logged[0].error), (200, None));
    assert_eq!(logged[0].response_size, answer.body.len() as u64);
}

#[test]
fn a_plugin_may_answer_instead() {
    let (chain, logged) = everywhere(true);
    let gateway = gateway(chain);
    let mut client = gateway.connect();
    let answer = client.call("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((answer.status, answer.text().as_str()), (403, r#"{"message":"no"}"#));
    assert_eq!((answer.field("x-aside"), answer.field("x-filtered")), (Some("1"), Some("1")));
    let exchange = gateway.exchange();
    assert_eq!((exchange.status(), exchange.error.as_deref()), (Some(403), None));
    assert_eq!(exchange.service.as_deref(), Some("the-service"));
    assert_eq!(exchange.timings.wait, None);
    assert_eq!(logged.lock().unwrap()[0].status, 403);
}

#[test]
fn a_consumer_may_have_a_configuration_of_its_own() {
    struct Named(Arc<str>);
    impl Plugin for Named {
        fn id(&self) -> &Arc<str> {
            &self.0
        }
        fn phases(&self) -> Phases {
            Phases::NONE
        }
        fn capture(&self) -> Option<CaptureWish> {
            Some(CaptureWish::default())
        }
    }
    let (chain, _) = everywhere(false);
    let authentication = chain.slots()[0].clone();
    let mut logger = Slot::for_anyone(Arc::new(Named("for anyone".into())));
    logger.by_consumer.insert("consumer-id".into(), Arc::new(Named("for ann".into())));
    let gateway = gateway(Chain::new(vec![authentication, logger]));
    gateway.connect().call(GET);
    assert_eq!(gateway.exchange().plugins, ["plugin-id", "for ann"]);
}

#[test]
fn what_a_plugin_keeps_credentials_under_is_not_recorded() {
    struct Keeper(Arc<str>, [String; 1]);
    impl Plugin for Keeper {
        fn id(&self) -> &Arc<str> {
            &self.0
        }
        fn phases(&self) -> Phases {
            Phases::NONE
        }
        fn credentials(&self) -> &[String] {
            &self.1
        }
    }
    let gateway = gateway(chain_of(Keeper("keeper".into(), ["X-Ticket".to_owned()])));
    gateway.connect().call("GET /?x-ticket=s3cret&a=1 HTTP/1.1\r\nHost: a\r\nX-Ticket: s3cret\r\n\r\n");
    let exchange = gateway.exchange();
    assert_eq!(exchange.request.query.as_deref(), Some("x-ticket=[redacted]&a=1"));
    assert_eq!(exchange.request.headers.text("x-ticket").as_deref(), Some("[redacted]"));
}

#[test]
fn global_plugins_see_calls_without_a_route() {
    let (chain, logged) = everywhere(false);
    let gateway = TestGateway::start(settings(), Snapshot { global: chain, ..Snapshot::empty() });
    let answer = gateway.connect().call(GET);
    assert_eq!((answer.status, answer.field("x-filtered")), (404, Some("1")));
    assert_eq!(gateway.exchange().plugins, ["plugin-id"]);
    assert_eq!(logged.lock().unwrap()[0].status, 404);
}

#[test]
fn only_calls_that_a_plugin_asked_for_are_recorded_when_capture_is_off() {
    let mut settings = settings();
    settings.capture.enabled = false;
    let (chain, _) = everywhere(false);
    let mut snapshot = snapshot_with(service_at(mirror()), route(), "/");
    snapshot.routes.push(Route { chain, ..route() });
    let routes = [("/".to_owned(), 0), ("/path".to_owned(), 1)];
    snapshot.router = Box::new(weir_gateway::snapshot::PrefixRouter::new(routes));
    let gateway = TestGateway::start(settings, snapshot);
    let mut client = gateway.connect();
    client.call("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
    client.call(GET);
    let counts = gateway.handle.counter();
    let exchanges = gateway.finish();
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].request.path, "/path");
    assert_eq!((counts.counts().requests, counts.counts().capture.offered), (2, 1));
}
