//! The plugin's say in calls under way, by the same vectors: who calls, and what the client is answered.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::{Value, json};
use weir_kit::{Secret, Timestamp, schema};
use weir_model::ExchangeId;
use weir_pipeline::{Policy, PolicyCall, Verdict};

use super::vectors::{config_of, vectors};
use crate::moesif::config::{Config, FIELDS};
use crate::moesif::policy::Governor;
use crate::moesif::remote::{Remote, Served};
use crate::moesif::rules::Rules;
use crate::moesif::{TRANSACTION_ID, attribute, served};
use crate::parts;

fn governor(config: &Config, served: &Value) -> Governor {
    let remote = Arc::new(Remote::new(config).unwrap());
    if served["rules"].is_array() {
        let (rules, bad) = served::rules(served["rules"].to_string().as_bytes()).unwrap();
        assert!(bad.is_empty(), "{bad:?}");
        let config = served::config(served["config"].to_string().as_bytes()).unwrap();
        let served = Served { config: Some(Arc::new(config)), rules: Arc::new(rules), ..Served::default() };
        remote.enforce(Rules::of(&served));
    }
    Governor::new(config, remote)
}

fn headers(fields: &Value) -> HeaderMap {
    let fields = fields.as_object().unwrap().iter();
    fields.map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap())).collect()
}

/// What the policy of these settings says of the call of a vector.
pub(super) fn verdict(config: &Config, case: &Value) -> Verdict {
    let (asked, gateway) = (&case["input"]["request"], &case["input"]["gateway"]);
    let headers = headers(&asked["headers"]);
    let method: Method = asked["verb"].as_str().unwrap().parse().unwrap();
    let uri: Uri = asked["target"].as_str().unwrap().parse().unwrap();
    let key = gateway["credential"]["key"].as_str().map(Secret::new);
    let hosts: Vec<String> = serde_json::from_value(gateway["route"]["hosts"].clone()).unwrap_or_default();
    let governor = governor(config, &case["served"]);
    governor.request(&PolicyCall {
        id: ExchangeId::new(Timestamp::from_seconds(0)),
        method: &method,
        uri: &uri,
        host: asked["host"].as_str().unwrap(),
        route_hosts: &hosts,
        tls: false,
        headers: &headers,
        client: parts::peer(asked["peer_ip"].as_str().unwrap()),
        credential: gateway["credential"]["id"].as_str(),
        key: key.as_ref(),
        body: None,
    })
}

#[test]
#[expect(clippy::print_stdout, reason = "says how many vectors were run")]
fn clients_are_answered_as_by_the_original() {
    let vectors = vectors();
    let mut answered = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let verdict = verdict(&config_of(&vectors, case), case);
        let expected = &case["expected"]["client_response"];
        if expected.is_null() {
            assert!(verdict.answer.is_none() && verdict.response_headers.is_empty(), "{}", case["name"]);
            continue;
        }
        answered += 1;
        let mut set: HeaderMap = verdict.response_headers.into_iter().collect();
        if let Some(answer) = verdict.answer {
            assert_eq!(answer.status.as_u16(), expected["status"], "{}", case["name"]);
            assert_eq!(
                serde_json::from_slice::<Value>(&answer.body).unwrap(),
                expected["body"],
                "{}",
                case["name"]
            );
            set.insert("content-type", answer.content_type);
        } else {
            assert_eq!((expected["status"].as_u64(), &expected["body"]), (Some(200), &Value::Null));
        }
        assert_eq!(set, headers(&expected["headers"]), "{}", case["name"]);
    }
    println!("{answered} answers of moesif-cases.json given");
    assert_eq!(answered, 5);
}

/// A call with these headers and this body, under settings and rules; and how much of the body was wanted.
fn asked(settings: Value, rules: Value, fields: &Value, body: Option<&str>) -> (usize, Verdict) {
    let mut all = json!({"application_id": "app"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let config = Config::read(schema::check(FIELDS, all).unwrap()).unwrap();
    let governor = governor(&config, &json!({"rules": rules, "config": {}}));
    let headers = headers(fields);
    let call = PolicyCall {
        id: ExchangeId::from_bytes([7; 16]),
        method: &Method::POST,
        uri: &Uri::from_static("/graphql?x=1"),
        host: "a",
        route_hosts: &[],
        tls: false,
        headers: &headers,
        client: parts::peer("198.51.100.7"),
        credential: None,
        key: None,
        body: None,
    };
    let wanted = governor.body_wanted(&call);
    (wanted, governor.request(&PolicyCall { body: body.map(str::as_bytes), ..call }))
}

fn blocks(path: &str, value: &str) -> Value {
    json!([{"_id": "r", "type": "regex", "block": true, "response": {"status": 403, "body": {}},
            "regex_config": [{"conditions": [{"path": path, "value": value}]}]}])
}

#[test]
fn bodies_are_wanted_only_by_rules_about_them_and_only_of_json() {
    let rules = || blocks("request.body.operationName", "^Pay$");
    let json = json!({"content-type": "application/json"});
    let wanted = |settings: Value, rules: Value, fields: &Value| asked(settings, rules, fields, None).0;
    assert_eq!(wanted(json!({}), rules(), &json), 100_000);
    assert_eq!(wanted(json!({"request_max_body_size_limit": 500}), rules(), &json), 500);
    assert_eq!(wanted(json!({"request_max_body_size_limit": 9e9}), rules(), &json), 1024 * 1024);
    assert_eq!(
        wanted(json!({}), rules(), &json!({"content-type": "Application/GraphQL+JSON; a=b"})),
        100_000
    );
    assert_eq!(wanted(json!({}), rules(), &json!({})), 100_000);
    assert_eq!(wanted(json!({}), rules(), &json!({"content-type": "image/png"})), 0);
    assert_eq!(wanted(json!({}), blocks("request.route", "x"), &json), 0);
    assert_eq!(wanted(json!({}), json!([]), &json), 0);
    for (body, blocked) in [
        (Some(r#"{"operationName":"Pay"}"#), true),
        (Some(r#"{"operationName":"\u0050ay"}"#), true),
        (Some(r#"{"operationName":"Look"}"#), false),
        (Some("{malformed"), false),
        (Some("[1]"), false),
        (Some("\u{0}"), false),
        (Some(&"{\"a\":".repeat(10_000)), false),
        (None, false),
    ] {
        let verdict = asked(json!({}), rules(), &json, body).1;
        assert_eq!(verdict.answer.is_some(), blocked, "{body:.60?}");
        let attributes = if blocked { vec![(attribute::BLOCKED_BY, "r".into())] } else { Vec::new() };
        assert_eq!(verdict.attributes, attributes);
    }
}

#[test]
fn rules_see_the_address_that_is_reported() {
    let rules = || blocks("request.ip_address", r"^203\.0\.113\.9$");
    let fields = json!({"x-forwarded-for": "203.0.113.9, 10.0.0.1"});
    assert!(asked(json!({}), rules(), &fields, None).1.answer.is_some());
    assert!(asked(json!({"trusted_ips": ["10.0.0.0/8"]}), rules(), &fields, None).1.answer.is_none());
}

#[test]
fn calls_are_named_both_ways_by_the_clients_id_or_ours() {
    let name = HeaderName::from_static(TRANSACTION_ID);
    let id = HeaderValue::from_static("07070707-0707-0707-0707-070707070707");
    for (settings, fields, request, response) in [
        (json!({}), json!({}), Some(&id), Some(&id)),
        (json!({}), json!({"X-Moesif-Transaction-Id": " "}), Some(&id), Some(&id)),
        (
            json!({}),
            json!({"X-Moesif-Transaction-Id": "mine"}),
            None,
            Some(&HeaderValue::from_static("mine")),
        ),
        (json!({"disable_transaction_id": true}), json!({}), None, None),
    ] {
        let verdict = asked(settings, json!([]), &fields, None).1;
        let named = |value: Option<&HeaderValue>| {
            value.map(|value| (name.clone(), value.clone())).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(verdict.request_headers, named(request), "{fields}");
        assert_eq!(verdict.response_headers, named(response), "{fields}");
    }
}

#[test]
fn answers_tell_of_callers_only_where_a_header_is_configured() {
    let governor = |settings: Value| {
        let mut all = json!({"application_id": "app", "defaults": "current"});
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        governor(&Config::read(schema::check(FIELDS, all).unwrap()).unwrap(), &json!({}))
    };
    assert!(!governor(json!({})).reads_responses());
    let governor = governor(json!({"company_id_header": "X-Org"}));
    assert!(governor.reads_responses());
    let told = governor.response(&headers(&json!({"x-org": "acme", "x-consumer-id": "c"})));
    assert_eq!((told.company.as_deref(), told.user), (Some("acme"), None));
}
