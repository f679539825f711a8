//! What of a call stands in its record, by what the gateway, the API and the key say: through the gateway into a real Redis.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::redis::Server;
use support::{Weir, upstream};
use weir_wire::tyk::record::Record;
use weir_wire::tyk::{lists, msgpack};

/// A weir that records to a Redis of its own, with the services `plain` and `special` and the keys of `ann` and `bob`.
struct Recording {
    weir: Weir,
    redis: Server,
    calls: u64,
}

impl Recording {
    async fn start(tyk: Value, variables: &[(&str, &str)]) -> Self {
        let redis = Server::start().await;
        let weir = Weir::start_with(variables).await;
        let this = Self { weir, redis, calls: 0 };
        let mut config = json!({"storage": {"host": "127.0.0.1", "port": this.redis.port}});
        config.as_object_mut().unwrap().extend(tyk.as_object().unwrap().clone());
        this.configure("/plugins", &json!({"name": "tyk", "config": config})).await;
        let upstream = upstream().await;
        for service in ["plain", "special"] {
            this.configure("/services", &json!({"name": service, "url": upstream})).await;
            let route = json!({"name": service, "paths": [format!("/{service}/")]});
            this.configure(&format!("/services/{service}/routes"), &route).await;
            this.configure(&format!("/services/{service}/plugins"), &json!({"name": "key-auth"})).await;
        }
        for consumer in ["ann", "bob"] {
            this.configure("/consumers", &json!({"username": consumer})).await;
            let key = json!({"id": key_id(consumer), "key": consumer});
            this.configure(&format!("/consumers/{consumer}/key-auth"), &key).await;
        }
        this
    }

    async fn configure(&self, path: &str, body: &Value) {
        let request = self.weir.client.post(self.weir.admin(path)).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 201, "{path}: {text}");
    }

    async fn call(&mut self, path: &str, key: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = self.weir.client.post(self.weir.proxy(path)).header("apikey", key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.calls += 1;
        request.body("some body").send().await.unwrap().status().as_u16()
    }

    /// What every record says, by the path and the query that the client sent.
    async fn records(&self) -> BTreeMap<String, Record<'static>> {
        let delivered = |ledger: &Value| {
            let targets = ledger["targets"].as_array().unwrap();
            targets.iter().any(|target| target["kind"] == "tyk" && target["delivered"] == self.calls)
        };
        self.weir.wait_for("/api/v1/ledger", delivered).await;
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.redis.port)).unwrap();
        let mut connection = client.get_connection().unwrap();
        let list = lists::name(lists::KEY_PREFIX, None, lists::Encoding::Msgpack);
        let values: Vec<Vec<u8>> =
            redis::cmd("LRANGE").arg(list).arg(0).arg(-1).query(&mut connection).unwrap();
        let read = |value: Vec<u8>| {
            let record = msgpack::decode(Vec::leak(value)).unwrap();
            (record.original_path.to_string(), record)
        };
        values.into_iter().map(read).collect()
    }
}

/// Ids of keys, so that their hashes are known.
fn key_id(consumer: &str) -> String {
    format!("00000000-0000-0000-0000-{:012}", consumer.len() + usize::from(consumer == "bob"))
}

fn is_detailed(record: &Record<'_>) -> bool {
    !record.raw_request.is_empty() && !record.raw_response.is_empty()
}

fn detailed(yes: bool) -> Value {
    json!({"name": "recording", "config": {"detailed": yes}})
}

#[tokio::test(flavor = "multi_thread")]
async fn detailed_recording_is_on_when_the_gateway_the_api_or_the_key_says_so() {
    let mut off = Recording::start(json!({}), &[]).await;
    off.configure("/services/special/plugins", &detailed(true)).await;
    off.configure("/consumers/ann/plugins", &detailed(true)).await;
    // A no undoes no yes.
    off.configure("/consumers/bob/plugins", &detailed(false)).await;
    for (path, key) in [
        ("/plain/echo?bob", "bob"),
        ("/plain/echo?ann", "ann"),
        ("/special/echo?bob", "bob"),
        ("/special/echo?ann", "ann"),
    ] {
        assert_eq!(off.call(path, key, &[]).await, 200);
    }
    // Nobody is known, so only the API speaks.
    assert_eq!(off.call("/plain/echo?nobody", "wrong", &[]).await, 401);
    assert_eq!(off.call("/special/echo?nobody", "wrong", &[]).await, 401);
    let records = off.records().await;
    let whole: Vec<(&str, bool)> =
        records.iter().map(|(path, record)| (path.as_str(), is_detailed(record))).collect();
    assert_eq!(
        whole,
        [
            ("/plain/echo?ann", true),
            ("/plain/echo?bob", false),
            ("/plain/echo?nobody", false),
            ("/special/echo?ann", true),
            ("/special/echo?bob", true),
            ("/special/echo?nobody", true),
        ]
    );
    // The body was captured for the record alone: the gateway captures none of its own, and of bob's call on `plain` none.
    let dump = base64(&records["/special/echo?bob"].raw_request);
    assert!(
        dump.starts_with("POST /special/echo?bob HTTP/1.1\r\n") && dump.ends_with("\r\n\r\nsome body"),
        "{dump}"
    );
    assert!(!dump.to_ascii_lowercase().contains("apikey: bob"), "keys are masked: {dump}");

    let mut on = Recording::start(json!({"enable_detailed_recording": true}), &[]).await;
    on.configure("/services/special/plugins", &detailed(false)).await;
    on.configure("/consumers/bob/plugins", &detailed(false)).await;
    assert_eq!(on.call("/special/echo?bob", "bob", &[]).await, 200);
    assert!(is_detailed(&on.records().await["/special/echo?bob"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_captured_of_those_calls_only_that_are_to_be_recorded_whole() {
    let nothing = [
        ("WEIR_GATEWAY__CAPTURE__REQUEST_BODY_BYTES", "0"),
        ("WEIR_GATEWAY__CAPTURE__RESPONSE_BODY_BYTES", "0"),
    ];
    let mut recording = Recording::start(json!({}), &nothing).await;
    let few = json!({"name": "recording", "config": {"detailed": true, "body_bytes": 4}});
    recording.configure("/consumers/ann/plugins", &few).await;
    for key in ["ann", "bob"] {
        assert_eq!(recording.call(&format!("/plain/echo?{key}"), key, &[]).await, 200);
    }
    let records = recording.records().await;
    assert!(!is_detailed(&records["/plain/echo?bob"]));
    let list =
        recording.weir.wait_for("/api/v1/exchanges?limit=10", |list| list["total"]["value"] == 2).await;
    for row in list["exchanges"].as_array().unwrap() {
        let path = format!("/api/v1/exchanges/{}", row["id"].as_str().unwrap());
        let exchange = recording.weir.ask(&path).await;
        let captured: Vec<&Value> =
            ["request", "response"].iter().map(|side| &exchange[side]["body"]["captured_size"]).collect();
        let expected = if exchange["consumer"]["username"] == "ann" { json!(4) } else { json!(0) };
        assert_eq!(captured, [&expected, &expected], "{exchange:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_aliases_endpoints_and_expiry_are_those_of_api_and_key() {
    let database = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/maxmind/GeoIP2-City-Test.mmdb");
    let variables = [("WEIR_IDENTIFY__GEO_DATABASE", database), ("WEIR_GATEWAY__TRUSTED_IPS", "127.0.0.1")];
    let tyk = json!({
        "hash_keys": true, "org_id": "org1", "tags": ["edge"], "ignored_ips": ["192.0.2.0/24"],
        "expire_analytics_after": 1000, "normalise_urls": {"enabled": true, "normalise_numbers": true},
    });
    let mut recording = Recording::start(tyk, &variables).await;
    let facts = json!({"tyk.api_id": "special1", "tyk.listen_path": "/special/", "tyk.api_version": "v2"});
    recording
        .configure(
            "/services/special/plugins",
            &json!({"name": "attributes", "config": {"attributes": facts}}),
        )
        .await;
    let api = json!({
        "tags": ["internal"], "tag_headers": ["X-Team", "apikey"], "keep_for": 60,
        "track_endpoints": [{"method": "POST", "path": "/echo/{name}"}], "suffix_matching": true,
    });
    recording.configure("/services/special/plugins", &json!({"name": "recording", "config": api})).await;
    recording
        .configure("/consumers/ann/plugins", &json!({"name": "recording", "config": {"tags": ["gold"]}}))
        .await;
    let from_sweden = ("x-forwarded-for", "89.160.20.128");
    for (path, key, headers) in [
        ("/special/echo/x", "ann", &[("x-team", "blue"), ("x-team", "red"), from_sweden][..]),
        ("/special/echo/x/12", "bob", &[]),
        ("/plain/users/12", "ann", &[]),
    ] {
        assert_eq!(recording.call(path, key, headers).await, 200);
    }
    // No record, but an account of it; and none for calls that no API matches.
    recording.call("/plain/ignored", "ann", &[("x-forwarded-for", "192.0.2.7")]).await;
    assert_eq!(recording.call("/nowhere", "ann", &[]).await, 404);
    let records = recording.records().await;
    assert_eq!(
        records.keys().collect::<Vec<_>>(),
        ["/plain/users/12", "/special/echo/x", "/special/echo/x/12"]
    );

    let special = &records["/special/echo/x"];
    assert_eq!((special.path.as_ref(), special.raw_path.as_ref()), ("/echo/{name}", "/echo/x"));
    assert_eq!((special.track_path, special.listen_path.as_ref()), (true, "/special/"));
    assert_eq!((special.api_id.as_ref(), special.api_version.as_ref()), ("special1", "v2"));
    assert_eq!((special.api_name.as_ref(), special.alias.as_ref()), ("special", "ann"));
    let hash = weir_wire::tyk::hash::hash(&key_id("ann"), weir_wire::tyk::hash::KeyHash::Murmur32);
    assert_eq!(special.api_key, hash);
    let tags: Vec<&str> = special.tags.as_ref().unwrap().iter().map(AsRef::as_ref).collect();
    let key_tag = format!("key-{hash}");
    assert_eq!(
        tags,
        ["gold", "x-team-blue", "x-team-red", "internal", "edge", &key_tag, "org-org1", "api-special1"]
    );
    assert_eq!(special.expire_at.seconds - special.time_stamp.seconds, 60);
    assert_eq!((special.geo.country.as_ref(), special.ip_address.as_ref()), ("SE", "89.160.20.128"));
    assert!((special.geo.latitude - 58.4167).abs() < 1e-9);

    let other = &records["/special/echo/x/12"];
    assert_eq!((other.path.as_ref(), other.track_path), ("/echo/x/{id}", false));
    let plain = &records["/plain/users/12"];
    assert_eq!((plain.path.as_ref(), plain.raw_path.as_ref()), ("/plain/users/{id}", "/plain/users/12"));
    assert_eq!(plain.expire_at.seconds - plain.time_stamp.seconds, 1_000);
    assert_eq!(plain.geo.country, "");
    // The store knows the place, too.
    let list = recording.weir.ask("/api/v1/exchanges?limit=10").await;
    let found =
        list["exchanges"].as_array().unwrap().iter().find(|row| row["path"] == "/special/echo/x").unwrap();
    let exchange = recording.weir.ask(&format!("/api/v1/exchanges/{}", found["id"].as_str().unwrap())).await;
    assert!(exchange.to_string().contains("Linköping"), "{exchange:#}");
}

fn base64(text: &str) -> String {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    String::from_utf8(bytes).unwrap()
}
