//! The outputs for MongoDB against a server that speaks its protocol (SecantusDB; MongoDB itself is in no registry).
#![allow(clippy::unwrap_used)]

#[path = "support/foreign.rs"]
mod foreign;

use std::sync::Arc;
use std::time::Duration;

use foreign::Foreign;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::{Client, Database};
use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Operation, Protocol, Request, Response};
use weir_pipeline::{Batch, Delivered, ExportError, Exporter};
use weir_wire::registry::exporter;

/// 2026-11-20T11:00:00Z
const HOUR: i64 = 1_795_172_400;

struct Server {
    address: String,
    _process: Foreign,
}

impl Server {
    fn start() -> Self {
        let mut process = Foreign::start("document-database", &[]);
        Self { address: process.line(), _process: process }
    }

    fn build(&self, kind: &str, settings: Value) -> Box<dyn Exporter> {
        build(kind, &format!("mongodb://{}/tyk", self.address), settings)
    }

    async fn database(&self) -> Database {
        Client::with_uri_str(format!("mongodb://{}", self.address)).await.unwrap().database("tyk")
    }
}

fn build(kind: &str, url: &str, mut settings: Value) -> Box<dyn Exporter> {
    settings["mongo_url"] = json!(url);
    let kind = exporter(kind).unwrap();
    (kind.build)(weir_kit::schema::check(kind.fields, settings).unwrap()).unwrap().exporter
}

fn call(seconds: i64, status: u16, millis: u64) -> Exchange {
    let at = Timestamp::from_seconds(HOUR + seconds);
    let path = format!("/users/{seconds}");
    let request =
        Request { method: "GET".into(), host: "a.test".into(), path: path.into(), ..Request::default() };
    let mut exchange = Exchange::new(ExchangeId::new(at), at, request);
    exchange.response = Some(Response { status, ..Response::default() });
    exchange.timings.total = Some(Duration::from_millis(millis));
    exchange.operation = Some(Operation {
        protocol: Protocol::Rest,
        template: "/users/{id}.json".into(),
        name: None,
        kind: None,
        error: None,
    });
    exchange.attributes.set("tyk.org_id", "acme");
    exchange
}

async fn deliver(exporter: &dyn Exporter, exchanges: &[Exchange]) -> Result<Delivered, ExportError> {
    let exchanges: Vec<Arc<Exchange>> = exchanges.iter().cloned().map(Arc::new).collect();
    exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await
}

async fn count(database: &Database, collection: &str) -> u64 {
    database.collection::<Document>(collection).count_documents(doc! {}).await.unwrap()
}

async fn one(database: &Database, collection: &str, filter: Document) -> Document {
    let found = database.collection::<Document>(collection).find_one(filter).await.unwrap();
    found.unwrap_or_else(|| panic!("nothing in {collection}"))
}

async fn indexes(database: &Database, collection: &str) -> Vec<String> {
    let mut names = database.collection::<Document>(collection).list_index_names().await.unwrap();
    names.sort_unstable();
    names
}

fn bucket(seconds: i64) -> Document {
    doc! {"timestamp": DateTime::from_millis((HOUR + seconds) * 1_000)}
}

#[tokio::test]
async fn documents_are_those_of_tyks_pump_and_stored_once() {
    let server = Server::start();
    let (exporter, database) = (server.build("mongo", json!({})), server.database().await);
    let calls: Vec<Exchange> = (0..3).map(|number| call(number, 404, 20)).collect();
    assert_eq!(deliver(&*exporter, &calls[..2]).await.unwrap(), Delivered::default());
    // As after a lost answer, or by another process after a crash.
    deliver(&*exporter, &calls).await.unwrap();
    deliver(&*server.build("mongo", json!({})), &calls).await.unwrap();
    assert_eq!(count(&database, "tyk_analytics").await, 3);
    let document = one(&database, "tyk_analytics", doc! {"rawpath": "/users/1"}).await;
    let keys: Vec<&str> = document.keys().map(String::as_str).collect();
    assert_eq!(
        keys.join(" "),
        "_id method host path rawpath contentlength useragent day month year hour responsecode apikey timestamp \
         apiversion apiname apiid orgid oauthid requesttime rawrequest rawresponse ipaddress geo network latency \
         tags alias trackpath expireAt originalpath listenpath"
    );
    assert_eq!(document.get_datetime("timestamp").unwrap().timestamp_millis(), (HOUR + 1) * 1_000 + 20);
    assert_eq!(document.get_i32("responsecode").unwrap(), 404);
    assert_eq!(document.get_i64("requesttime").unwrap(), 20);
    assert_eq!(document.get_str("path").unwrap(), "/users/{id}.json");
    assert_eq!(document.get_document("latency").unwrap().get_i64("total").unwrap(), 20);
    assert_eq!(indexes(&database, "tyk_analytics").await, ["_id_", "apiid_1", "logBrowserIndex", "orgid_1"]);
}

#[tokio::test]
async fn a_collection_can_be_capped_and_have_no_index() {
    let server = Server::start();
    let settings = json!({"collection_name": "c", "collection_cap_enable": true, "omit_index_creation": true,
        "collection_cap_max_size_bytes": 65536});
    deliver(&*server.build("mongo", settings), &[call(0, 200, 1)]).await.unwrap();
    let database = server.database().await;
    assert_eq!(indexes(&database, "c").await, ["_id_"]);
    let answer = database.run_command(doc! {"listCollections": 1, "filter": {"name": "c"}}).await.unwrap();
    let listed = answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
    let options = listed[0].as_document().unwrap().get_document("options").unwrap();
    assert!(options.get_bool("capped").unwrap());
}

#[tokio::test]
async fn organisations_have_collections_of_their_own() {
    let server = Server::start();
    let (exporter, database) = (server.build("mongo-pump-selective", json!({})), server.database().await);
    let (mut other, mut strange) = (call(1, 200, 1), call(2, 200, 1));
    other.attributes.set("tyk.org_id", "other");
    strange.attributes.set("tyk.org_id", "a$b");
    let delivered = deliver(&*exporter, &[call(0, 200, 1), other, strange]).await.unwrap();
    let reason = "no collection can be named after the organisation \"a$b\"".to_owned();
    assert_eq!(delivered.rejected, [(2, reason)]);
    assert_eq!(count(&database, "z_tyk_analyticz_acme").await, 1);
    assert_eq!(count(&database, "z_tyk_analyticz_other").await, 1);
    assert_eq!(
        indexes(&database, "z_tyk_analyticz_acme").await,
        ["_id_", "apiid_1", "expireAt_1", "logBrowserIndex"]
    );
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_alone() {
    let server = Server::start();
    let settings = json!({"max_document_size_bytes": 2000, "max_insert_batch_size_bytes": 1500,
        "record": {"detailed_recording": true}});
    let exporter = server.build("mongo", settings);
    let (mut detailed, mut endless) = (call(1, 200, 1), call(2, 200, 1));
    detailed.request.headers.push("X-Long", "x".repeat(3_000));
    endless.request.path = "/".repeat(3_000).into();
    let calls = [call(0, 200, 1), detailed, endless, call(3, 200, 1)];
    let delivered = deliver(&*exporter, &calls).await.unwrap();
    let [(number, reason)] = delivered.rejected.as_slice() else { panic!("{delivered:?}") };
    assert_eq!(*number, 2);
    assert!(reason.ends_with("bytes without its dumps; max_document_size_bytes is 2000"), "{reason}");
    let database = server.database().await;
    assert_eq!(count(&database, "tyk_analytics").await, 3);
    let raw = |document: Document| document.get_str("rawrequest").unwrap().len();
    assert!(raw(one(&database, "tyk_analytics", doc! {"rawpath": "/users/0"}).await) > 0);
    assert_eq!(raw(one(&database, "tyk_analytics", doc! {"rawpath": "/users/1"}).await), 0);
}

#[tokio::test]
async fn aggregates_add_up_once_in_the_bucket_of_their_own_time() {
    let server = Server::start();
    let settings = json!({"use_mixed_collection": true});
    let (exporter, database) =
        (server.build("mongo-pump-aggregate", settings.clone()), server.database().await);
    let first = [call(10, 200, 30), call(20, 500, 10), call(3_700, 200, 7)];
    deliver(&*exporter, &first).await.unwrap();
    // The same batch again: by the same process, and by another after a crash.
    deliver(&*exporter, &first).await.unwrap();
    deliver(&*server.build("mongo-pump-aggregate", settings), &first).await.unwrap();
    deliver(&*exporter, &[call(30, 200, 20), call(40, 404, 4)]).await.unwrap();
    for collection in ["z_tyk_analyticz_aggregate_acme", "tyk_analytics_aggregates"] {
        assert_eq!(count(&database, collection).await, 2, "{collection}");
        assert_eq!(indexes(&database, collection).await, ["_id_", "expireAt_1", "orgid_1", "timestamp_1"]);
        let document = one(&database, collection, bucket(0)).await;
        assert_eq!(document.get_str("orgid").unwrap(), "acme");
        assert_eq!(document.get_document("timeid").unwrap().get_i64("hour").unwrap(), 11);
        let total = document.get_document("total").unwrap();
        let number = |name: &str| total.get_i64(name).unwrap();
        assert_eq!((number("hits"), number("success"), number("errortotal")), (4, 2, 2));
        assert_eq!((number("totalrequesttime"), total.get_f64("requesttime").unwrap()), (64, 16.0));
        assert_eq!((number("maxlatency"), number("minlatency")), (30, 20), "failures lower nothing");
        assert_eq!(total.get_document("errormap").unwrap(), &doc! {"500": 1_i64, "404": 1_i64});
        let apis = document.get_document("apiid").unwrap();
        assert_eq!(apis.get_document("a\\u2etest").unwrap().get_i64("hits").unwrap(), 4);
        let endpoints = document.get_document("lists").unwrap().get_array("endpoints").unwrap();
        let endpoint = endpoints[0].as_document().unwrap();
        assert_eq!(endpoint.get_str("identifier").unwrap(), "/users/{id}.json");
        assert_eq!(endpoint.get_f64("latency").unwrap(), 16.0);
        let codes = endpoint.get_array("errorlist").unwrap();
        assert_eq!(codes[0].as_document().unwrap(), &doc! {"code": "404", "count": 1_i64});
        let later = one(&database, collection, bucket(3_600)).await;
        assert_eq!(later.get_document("total").unwrap().get_i64("hits").unwrap(), 1);
    }
}

#[tokio::test]
async fn a_full_document_is_gone_on_with_in_a_narrower_one() {
    let server = Server::start();
    let database = server.database().await;
    let name = "z_tyk_analyticz_aggregate_acme";
    let mut full = bucket(0);
    full.extend(doc! {"orgid": "acme", "filler": "x".repeat(16 * 1024 * 1024 - 200)});
    database.collection::<Document>(name).insert_one(full).await.unwrap();
    let calls = [call(40 * 60, 200, 1), call(3_700, 200, 1)];
    let strict = server.build("mongo-pump-aggregate", json!({}));
    let delivered = deliver(&*strict, &calls).await.unwrap();
    assert_eq!(delivered.rejected.len(), 1, "{delivered:?}");
    assert_eq!(delivered.rejected[0].0, 0);
    let healing = server.build("mongo-pump-aggregate", json!({"enable_aggregate_self_healing": true}));
    for _ in 0..2 {
        assert_eq!(deliver(&*healing, &calls).await.unwrap(), Delivered::default());
    }
    for (seconds, hits) in [(30 * 60, 1), (3_600, 1)] {
        let document = one(&database, name, bucket(seconds)).await;
        assert_eq!(document.get_document("total").unwrap().get_i64("hits").unwrap(), hits, "{seconds}");
    }
}

#[tokio::test]
async fn a_user_and_certificates_are_needed_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut process = Foreign::start("document-database", &[certificate.as_path(), key.as_path()]);
    let port = process.line().rsplit_once(':').unwrap().1.to_owned();
    let host = format!("localhost:{port}/tyk?authSource=admin&serverSelectionTimeoutMS=5000");
    let deliver = async |user: &str, settings: Value| {
        deliver(&*build("mongo", &format!("mongodb://{user}{host}"), settings), &[call(0, 200, 1)]).await
    };
    let trusting = json!({"mongo_use_ssl": true, "mongo_ssl_ca_file": certificate});
    assert_eq!(deliver("weir:s3cret@", trusting.clone()).await.unwrap(), Delivered::default());
    let any = json!({"mongo_use_ssl": true, "mongo_ssl_insecure_skip_verify": true});
    assert_eq!(deliver("weir:s3cret@", any).await.unwrap(), Delivered::default());
    for (user, settings) in [
        ("weir:wrong@", trusting),
        ("weir:s3cret@", json!({"mongo_use_ssl": true})),
        ("weir:s3cret@", json!({})),
    ] {
        let outcome = deliver(user, settings).await;
        let Err(ExportError::Retry { cause, .. }) = outcome else { panic!("{outcome:?}") };
        assert!(!cause.contains("wrong") && !cause.contains("s3cret"), "{cause}");
    }
}

#[test]
fn settings_that_cannot_be_kept_are_told() {
    for (settings, said) in [
        (json!({"mongo_url": "mongodb://h"}), "mongo_url: names no database: mongodb://host/database"),
        (json!({"mongo_url": "http://h/d"}), "mongo_url: "),
        (
            json!({"mongo_url": "mongodb://h/d", "mongo_ssl_allow_invalid_hostnames": true}),
            "mongo_ssl_allow_invalid_hostnames: is not supported",
        ),
    ] {
        for kind in ["mongo", "mongo-pump-selective", "mongo-pump-aggregate"] {
            let kind = exporter(kind).unwrap();
            let settings = weir_kit::schema::check(kind.fields, settings.clone()).unwrap();
            let error = (kind.build)(settings).err().unwrap().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
