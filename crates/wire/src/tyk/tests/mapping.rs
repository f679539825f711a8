//! Records to exchanges and back: what is the same, and what is lost by name.

use std::time::Duration;

use proptest::prelude::*;
use weir_kit::Timestamp;
use weir_model::{Consumer, Exchange, ExchangeId, Value, recording};

use super::vectors::{all, hex};
use crate::testing::exchanges;
use crate::tyk::encode::{Dumps, Profile, record};
use crate::tyk::hash::KeyHash;
use crate::tyk::record::{Record, Time};
use crate::tyk::{NAMES, decode, msgpack};

fn read(record: &Record<'_>) -> Exchange {
    decode::exchange(record, ExchangeId::new)
}

/// What a record loses on its way through an exchange; the list of the format's page.
fn without_losses<'a>(record: &Record<'a>) -> Record<'a> {
    let mut left = record.clone();
    left.time_stamp.nanos -= left.time_stamp.nanos % 1_000;
    left.expire_at.nanos = 0;
    let total = left.latency.total.max(left.request_time).max(0);
    left.latency.upstream = left.latency.upstream.clamp(0, total);
    left.latency.total = total;
    left.request_time = total;
    left.latency.gateway = total - left.latency.upstream;
    left.collection_name = "".into();
    left.time_zone = "UTC".into();
    left
}

#[test]
fn every_vector_comes_back_through_an_exchange() {
    for vector in all()["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let bytes = hex(&vector["msgpack_hex"]);
        let before = msgpack::decode(&bytes).unwrap();
        let exchange = read(&before);
        let after = record(&exchange, &Profile::default());
        assert_eq!(after, without_losses(&before), "{name}");
    }
}

#[test]
fn a_detailed_record_becomes_a_whole_exchange() {
    let all = all();
    let named = |name: &str| {
        let vectors = all["vectors"].as_array().unwrap();
        hex(&vectors.iter().find(|vector| vector["name"] == name).unwrap()["msgpack_hex"])
    };
    let bytes = named("live-keyed-chunked-upload-detailed");
    let exchange = read(&msgpack::decode(&bytes).unwrap());
    assert_eq!(exchange.started_at, "2026-11-20T11:57:00.672203Z".parse().unwrap());
    assert_eq!((exchange.request.method.as_str(), exchange.request.path.as_str()), ("POST", "/b"));
    assert_eq!(exchange.request.host, "gw.example");
    assert_eq!(exchange.request.body.bytes().unwrap(), "{\"a\":1}");
    let response = exchange.response.as_ref().unwrap();
    assert_eq!((response.status, response.reason.as_deref()), (200, Some("OK")));
    assert_eq!(response.headers.text("x-up").unwrap(), "1");
    assert_eq!(response.body.size, Some(43));
    assert_eq!(exchange.service.as_deref(), Some("Keyed API"));
    assert_eq!(exchange.attributes.text(NAMES.api_id), Some("keyed1"));
    assert_eq!(exchange.attributes.text(NAMES.alias), Some("team-blue"));
    assert_eq!(exchange.identity.session.as_deref(), Some("3f0cbe7d"));
    let rejected = named("live-missing-key-401-detailed");
    let exchange = read(&msgpack::decode(&rejected).unwrap());
    assert_eq!((exchange.status(), exchange.identity.session), (Some(401), None));
}

#[test]
fn a_cut_or_broken_dump_is_read_as_far_as_it_goes() {
    let time_stamp = Time { seconds: 1_000, nanos: 0 };
    let with = |raw: &'static str| read(&Record { raw_request: raw.into(), time_stamp, ..Record::default() });
    // POST /x HTTP/1.1, Host: a, Content-Length: 5, hello
    let whole = "UE9TVCAveCBIVFRQLzEuMQ0KSG9zdDogYQ0KQ29udGVudC1MZW5ndGg6IDUNCg0KaGVsbG8=";
    assert_eq!(with(whole).request.body.bytes().unwrap(), "hello");
    assert!(!with(whole).request.body.is_cut());
    let cut = with(&whole[..whole.len() - 3]);
    assert_eq!(cut.request.body.bytes().unwrap(), "hel");
    assert!(cut.request.body.is_cut());
    assert_eq!(with(&whole[..40]).request.headers.text("host").unwrap(), "a");
    for raw in ["***", "=", "A", "UE9T\u{e9}"] {
        assert!(with(raw).request.headers.is_empty(), "{raw}");
    }
}

#[test]
fn a_call_of_our_gateway_becomes_a_record() {
    let start: Timestamp = "2026-11-20T11:57:00Z".parse().unwrap();
    let request = weir_model::Request {
        method: "GET".into(),
        host: "shop.test".into(),
        path: "/users/12".into(),
        query: Some("a=1".into()),
        version: "1.1".into(),
        headers: [("X-Tier", "gold"), ("Accept", "*/*"), ("User-Agent", "probe/1")].into_iter().collect(),
        ..weir_model::Request::default()
    };
    let mut exchange = Exchange::new(ExchangeId::new(start), start, request);
    exchange.service = Some("shop".into());
    exchange.consumer = Some(Consumer {
        username: Some("blue".into()),
        credential: Some("cred".into()),
        ..Consumer::default()
    });
    exchange.timings.total = Some(Duration::from_millis(3_600_012));
    exchange.timings.wait = Some(Duration::from_millis(9));
    let answer =
        weir_model::Response { status: 204, version: "1.1".into(), ..weir_model::Response::default() };
    exchange.response = Some(answer);
    let normalise = crate::tyk::normalise::NormaliseSettings {
        enabled: true,
        normalise_numbers: true,
        ..Default::default()
    };
    let profile = Profile {
        dumps: Dumps::Always,
        templates: false,
        org_id: "o1".to_owned(),
        hash_keys: Some(KeyHash::Murmur32),
        tag_headers: vec!["x-tier".to_owned()],
        node_tags: vec!["edge".to_owned()],
        normaliser: crate::tyk::normalise::Normaliser::new(&normalise).0,
        expire_after: Some(Duration::from_secs(60)),
    };
    let record = record(&exchange, &profile);
    assert_eq!((record.path.as_ref(), record.raw_path.as_ref()), ("/users/{id}", "/users/12"));
    assert_eq!(record.original_path, "/users/12?a=1");
    assert_eq!((record.year, record.month, record.day, record.hour), (2026, 11, 20, 12));
    assert_eq!(
        (record.latency.total, record.latency.upstream, record.latency.gateway),
        (3_600_012, 9, 3_600_003)
    );
    let key = crate::tyk::hash::hash("cred", KeyHash::Murmur32);
    assert_eq!((record.api_key.as_ref(), record.alias.as_ref()), (key.as_str(), "blue"));
    let key_tag = format!("key-{key}");
    assert_eq!(record.tags.unwrap(), ["x-tier-gold", "edge", &key_tag, "org-o1", "api-shop"]);
    assert_eq!(record.expire_at.seconds - record.time_stamp.seconds, 60);
    let dump = super::base64(&record.raw_request);
    assert_eq!(
        dump,
        "GET /users/12?a=1 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: probe/1\r\nAccept: */*\r\nX-Tier: gold\r\n\r\n"
    );
    assert_eq!(super::base64(&record.raw_response), "HTTP/1.1 204 No Content\r\n\r\n");
}

#[test]
fn what_the_gateway_knows_of_api_and_key_is_in_the_record() {
    let request = weir_model::Request { path: "/api/users/12".into(), ..weir_model::Request::default() };
    let start = Timestamp::from_seconds(1_000);
    let mut exchange = Exchange::new(ExchangeId::new(start), start, request);
    exchange.service = Some("shop".into());
    exchange.timings.total = Some(Duration::ZERO);
    let of = |exchange: &Exchange| {
        let profile = Profile { node_tags: vec!["edge".to_owned()], ..Profile::default() };
        let record = record(exchange, &profile);
        let tags: Vec<String> = record.tags.unwrap().iter().map(ToString::to_string).collect();
        let paths = [record.path.to_string(), record.raw_path.to_string()];
        let expires = record.expire_at.seconds - record.time_stamp.seconds;
        (paths, record.track_path, tags.join(" "), expires, !record.raw_request.is_empty())
    };
    let plain = ["/api/users/12"; 2].map(str::to_owned);
    let century = 100 * 365 * 86_400;
    assert_eq!(of(&exchange), (plain, false, "edge org-default api-shop".to_owned(), century, false));
    exchange.attributes.set(NAMES.listen_path, "/api/");
    exchange.attributes.set(recording::ENDPOINT, "/users/{id}");
    exchange.attributes.set(recording::TAGS, Value::Json(r#"["gold","x-tier-1"]"#.into()));
    exchange.attributes.set(recording::KEEP_FOR, 60);
    exchange.attributes.set(recording::DETAILED, true);
    let paths = ["/users/{id}".to_owned(), "/users/12".to_owned()];
    let tags = "gold x-tier-1 edge org-default api-shop".to_owned();
    assert_eq!(of(&exchange), (paths, true, tags, 60, true));
    exchange.attributes.set(NAMES.strip_listen_path, false);
    assert_eq!(of(&exchange).0[1], "/api/users/12");
    // Nothing says no: without a yes the general setting counts.
    exchange.attributes.set(recording::DETAILED, false);
    exchange.attributes.set(NAMES.detailed, false);
    assert!(!of(&exchange).4);
    assert_ne!(record(&exchange, &Profile { dumps: Dumps::Always, ..Profile::default() }).raw_request, "");
}

proptest! {
    #[test]
    fn any_record_comes_back_through_an_exchange(mut before in super::hostile::record()) {
        before.time_stamp.seconds = before.time_stamp.seconds.rem_euclid(4_000_000_000);
        before.latency.total %= 1_000_000;
        before.request_time %= 1_000_000;
        let exchange = read(&before);
        let once = record(&exchange, &Profile::default());
        // The first passage may lose what the page names; after it nothing changes any more.
        let twice_read = read(&once);
        let twice = record(&twice_read, &Profile::default());
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn any_exchange_becomes_a_record(exchange in exchanges()) {
        let profile = Profile { dumps: Dumps::Always, ..Profile::default() };
        let record = record(&exchange, &profile);
        let mut bytes = Vec::new();
        msgpack::encode(&record, crate::tyk::record::Layout::Current, &mut bytes);
        prop_assert!(msgpack::decode(&bytes).is_ok());
    }
}
