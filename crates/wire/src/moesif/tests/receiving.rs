//! The Collection API, call by call, without a server.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Peer, ProjectId};
use weir_pipeline::governance::{Governance, Sampling};
use weir_pipeline::testing::{ReceiverCase, check_receiver};
use weir_pipeline::{
    Call, Credential, Desk, DeskError, Outcome, ProfileUpdate, Question, Receiver, Rejected, Reply,
};

use super::super::receiver::Moesif;

/// Knows the application `app` and remembers what it is told.
#[derive(Default)]
struct Clerk {
    told: Mutex<Vec<ProfileUpdate>>,
    is_full: bool,
}

#[async_trait]
impl Desk for Clerk {
    fn project(&self, credential: &Credential) -> Option<ProjectId> {
        (credential.token == "app").then(|| ProjectId::from("shop"))
    }
    async fn list(&self, _: &ProjectId, _: &Question<'_>) -> Result<Vec<Exchange>, DeskError> {
        Ok(Vec::new())
    }
    async fn get(&self, _: &ProjectId, _: ExchangeId) -> Result<Option<Exchange>, DeskError> {
        Ok(None)
    }
    async fn erase(&self, _: &ProjectId, _: &str) -> Result<u64, DeskError> {
        Ok(0)
    }
    async fn upsert(
        &self,
        _: &ProjectId,
        updates: Vec<ProfileUpdate>,
    ) -> Result<Vec<(usize, String)>, DeskError> {
        if self.is_full {
            return Err(DeskError::Failed("no disk".to_owned()));
        }
        let too_long = |(index, update): (usize, &ProfileUpdate)| {
            (update.id == "huge").then(|| (index, "too large".to_owned()))
        };
        let refused = updates.iter().enumerate().filter_map(too_long).collect();
        self.told.lock().unwrap().extend(updates);
        Ok(refused)
    }
    fn governance(&self, _: &ProjectId) -> Arc<Governance> {
        Arc::new(Governance { tag: "t1".to_owned(), sampling: Sampling::default(), rules: Vec::new() })
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn with_call<T>(path: &str, headers: &HeaderMap, body: &str, then: impl FnOnce(&Call<'_>) -> T) -> T {
    let mount = Moesif.mounts().iter().find(|mount| mount.path == path).unwrap();
    then(&Call {
        method: &Method::from_bytes(mount.method.as_bytes()).unwrap(),
        mount: mount.path,
        parameters: &[],
        query: None,
        headers,
        body: body.as_bytes(),
        peer: Peer::default(),
        received_at: Timestamp::from_seconds(1_700_000_000),
    })
}

async fn ask(desk: &Clerk, path: &str, headers: &HeaderMap, body: &str) -> Reply {
    let mount = Moesif.mounts().iter().find(|mount| mount.path == path).unwrap();
    let call = Call {
        method: &Method::from_bytes(mount.method.as_bytes()).unwrap(),
        mount: mount.path,
        parameters: &[],
        query: None,
        headers,
        body: body.as_bytes(),
        peer: Peer::default(),
        received_at: Timestamp::from_seconds(1_700_000_000),
    };
    Moesif.answer(&call, desk).await
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    let found = reply.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value.as_str())
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

#[test]
fn the_contract_of_receivers_is_kept() {
    let event = json!({
        "request": {"time": "2026-11-20T12:00:00Z", "uri": "https://a.example/x", "verb": "GET", "headers": {}},
        "response": {"time": "2026-11-20T12:00:00.1Z", "status": 200, "headers": {}, "body": {"a": [1, 2]}}
    });
    let action = json!({"action_name": "a", "request": {"uri": "https://a.example/x"}});
    let headers = headers(&[("x-moesif-application-id", "app")]);
    for (mount, body, exchanges) in [
        ("/v1/events", event.to_string(), 1),
        ("/v1/events/batch", json!([event, event]).to_string(), 2),
        ("/collector/v1/events/batch", json!([event]).to_string(), 1),
        ("/v1/actions", action.to_string(), 1),
        ("/collector/v1/actions/batch", json!([action, action]).to_string(), 2),
    ] {
        check_receiver(&ReceiverCase {
            receiver: &Moesif,
            mount,
            parameters: &[],
            headers: &headers,
            body: body.as_bytes(),
            exchanges,
        });
    }
}

#[test]
fn replies_say_what_became_of_events() {
    let headers = headers(&[("x-moesif-application-id", "app")]);
    let reply =
        |outcome: Outcome| with_call("/v1/events/batch", &headers, "[]", |call| Moesif.reply(call, &outcome));
    let governance = Some("t1".to_owned());
    let rejected = vec![Rejected { index: 0, reason: "event[0]: request is missing".to_owned() }];
    let all = reply(Outcome { offered: 2, saved: 2, governance: governance.clone(), ..Outcome::default() });
    assert_eq!(all.status, StatusCode::CREATED);
    for name in ["x-moesif-config-etag", "x-moesif-rules-tag", "x-moesif-rules-etag"] {
        assert_eq!(header(&all, name), "t1", "{name}");
    }
    assert_eq!(reply(Outcome::default()).status, StatusCode::CREATED, "an empty batch");
    let some = Outcome { offered: 2, saved: 1, rejected: rejected.clone(), governance, ..Outcome::default() };
    assert_eq!(reply(some).status, StatusCode::CREATED);
    let none = reply(Outcome { offered: 1, rejected: rejected.clone(), ..Outcome::default() });
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        body(&none),
        json!({"error": {"code": "bad_request", "message": "event[0]: request is missing"}})
    );
    let unknown = reply(Outcome { offered: 1, rejected, unknown_credential: true, ..Outcome::default() });
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
    let busy = reply(Outcome { offered: 1, busy: true, ..Outcome::default() });
    assert_eq!((busy.status, header(&busy, "retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
}

#[test]
fn an_application_must_be_named() {
    for headers in [headers(&[]), headers(&[("x-moesif-application-id", " ")])] {
        let malformed = with_call("/v1/events", &headers, "{}", |call| Moesif.decode(call)).unwrap_err();
        assert_eq!(malformed.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn configuration_and_rules_have_one_tag_and_are_sent_once() {
    let desk = Clerk::default();
    let app = headers(&[("x-moesif-application-id", "app")]);
    for path in ["/v1/config", "/v1/rules", "/collector/v1/config", "/collector/v1/rules"] {
        let reply = ask(&desk, path, &app, "").await;
        assert_eq!((reply.status, header(&reply, "etag")), (StatusCode::OK, "\"t1\""), "{path}");
        assert_eq!(header(&reply, "x-moesif-config-etag"), "t1");
        assert_eq!(header(&reply, "x-moesif-rules-tag"), "t1");
        for known in ["\"t1\"", "W/\"t1\"", "\"x\", \"t1\""] {
            let again = headers(&[("x-moesif-application-id", "app"), ("if-none-match", known)]);
            let reply = ask(&desk, path, &again, "").await;
            assert_eq!((reply.status, reply.body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
        }
    }
    assert_eq!(body(&ask(&desk, "/v1/config", &app, "").await)["sample_rate"], 100);
    assert_eq!(body(&ask(&desk, "/v1/rules", &app, "").await), json!([]));
    let probe = ask(&desk, "/health/probe", &headers(&[]), "").await;
    assert_eq!((probe.status, &body(&probe)["status"]), (StatusCode::OK, &json!(true)));
    for (path, headers, status) in [
        ("/v1/config", headers(&[]), StatusCode::UNAUTHORIZED),
        ("/v1/rules", headers(&[("x-moesif-application-id", "other")]), StatusCode::UNAUTHORIZED),
        ("/v1/traces", app, StatusCode::NOT_IMPLEMENTED),
    ] {
        let reply = ask(&desk, path, &headers, "{}").await;
        assert_eq!(reply.status, status, "{path}");
        assert!(body(&reply)["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn entities_are_kept_one_by_one() {
    let desk = Clerk::default();
    let app = headers(&[("x-moesif-application-id", "app")]);
    for (path, document, status) in [
        ("/v1/users", json!({"user_id": "u1"}), 201),
        ("/v1/users/batch", json!([{"user_id": "u2"}, {}, {"user_id": "huge"}]), 201),
        ("/v1/users/batch", json!([]), 201),
        ("/v1/users/batch", json!([{}, {"user_id": "huge"}]), 400),
        ("/v1/users", json!({"user_id": null}), 400),
        ("/v1/users/batch", json!({"user_id": "u"}), 400),
        ("/collector/v1/companies/batch", json!([{"company_id": "c1"}]), 201),
        ("/v1/subscriptions", json!({"subscription_id": "s1", "company_id": "c1"}), 201),
    ] {
        let reply = ask(&desk, path, &app, &document.to_string()).await;
        assert_eq!(reply.status.as_u16(), status, "{path} {document}: {:?}", body(&reply));
        assert_eq!(header(&reply, "x-moesif-config-etag"), "t1");
    }
    let ids: Vec<String> = desk.told.lock().unwrap().iter().map(|update| update.id.clone()).collect();
    assert_eq!(ids, ["u1", "u2", "huge", "huge", "c1", "s1"]);
    let full = Clerk { is_full: true, ..Clerk::default() };
    let reply = ask(&full, "/v1/users", &app, "{\"user_id\":\"u\"}").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
}
