//! Lines, and calls as InfluxDB's documentation has them (recorded; InfluxDB 2 cannot be had here).

use std::sync::Arc;

use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::testing::{Answer, Server};
use weir_pipeline::{Batch, ExportError, ExporterKind};

use super::{EXPORTER, SECOND, line};
use crate::parts::record::Entry;
use crate::tyk::record::{Record, Time};

#[test]
fn lines_are_escaped_and_told_apart_below_the_microsecond() {
    let record = Record {
        method: "GET".into(),
        path: "/a b,c=d\\".into(),
        user_agent: "say \"hi\\\"\nline".into(),
        request_time: 12,
        time_stamp: Time { seconds: 1_795_175_537, nanos: 725_064_000 },
        ..Record::default()
    };
    let mut random = [0; 16];
    random[14..].copy_from_slice(&[0, 42]);
    let id = ExchangeId::with_random(Timestamp::from_seconds(1), random);
    let entry = Entry { id, weight: 1, record };
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut out = String::new();
    let fields = names(&["request_time", "track_path", "user_agent"]);
    line::write(&entry, &fields, &names(&["method", "path", "alias"]), &mut out);
    assert_eq!(
        out,
        "analytics,method=GET,path=/a\\ b\\,c\\=d request_time=12i,track_path=false,\
         user_agent=\"say \\\"hi\\\\\\\"\nline\" 1795175537725064042\n"
    );
    let mut exact = entry;
    exact.record.time_stamp.nanos += 7;
    out.clear();
    line::write(&exact, &names(&["request_time"]), &[], &mut out);
    assert_eq!(out, "analytics request_time=12i 1795175537725064007\n");
}

async fn export(kind: &ExporterKind, settings: Value) -> Result<(), ExportError> {
    let settings = weir_kit::schema::check(kind.fields, settings).unwrap();
    let exporter = (kind.build)(settings).unwrap().exporter;
    let at = Timestamp::from_seconds(1);
    let request = Request { method: "GET".into(), path: "/a".into(), ..Request::default() };
    let exchange = Arc::new(Exchange::new(ExchangeId::new(at), at, request));
    exporter.export(&Batch { exchanges: &[exchange], next_position: 1 }).await.map(|_| ())
}

#[tokio::test]
async fn points_are_written_recorded_exchange() {
    let server = Server::start(Vec::new(), Answer::with(204, "")).await.unwrap();
    let address = format!("http://{}", server.address());
    let settings = json!({"address": address, "bucket": "b c", "organization": "o", "token": "t0ken",
        "tags": ["method"]});
    export(&SECOND, settings).await.unwrap();
    let first = json!({"address": address, "database_name": "d", "username": "u", "password": "p"});
    export(&EXPORTER, first).await.unwrap();
    let received = server.received();
    assert_eq!(received[0].line, "POST /api/v2/write?org=o&bucket=b+c&precision=ns HTTP/1.1");
    assert!(
        received[0].headers.iter().any(|header| header.eq_ignore_ascii_case("authorization: Token t0ken"))
    );
    assert!(received[0].body.starts_with(b"analytics,method=GET request_time=0i 1000000"));
    assert_eq!(received[1].line, "POST /write?db=d&precision=ns HTTP/1.1");
    assert!(
        received[1].headers.iter().any(|header| header.eq_ignore_ascii_case("authorization: Basic dTpw"))
    );
}

#[tokio::test]
async fn a_missing_bucket_is_made_recorded_exchange() {
    let missing = Answer::with(404, r#"{"code":"not found","message":"bucket \"b\" not found"}"#);
    let organisations = Answer::with(200, r#"{"orgs":[{"id":"0a","name":"o"}]}"#);
    let answers = vec![missing.clone(), organisations, Answer::with(201, "{}")];
    let server = Server::start(answers, missing).await.unwrap();
    let settings = json!({"address": format!("http://{}", server.address()), "bucket": "b", "organization": "o",
        "token": "t", "create_missing_bucket": true,
        "new_bucket_config": {"description": "d", "retention_rules": [{"every_seconds": 3600}]}});
    let outcome = export(&SECOND, settings.clone()).await;
    assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
    let received = server.received();
    assert_eq!(received[1].line, "GET /api/v2/orgs?org=o HTTP/1.1");
    assert_eq!(received[2].line, "POST /api/v2/buckets HTTP/1.1");
    let made: Value = serde_json::from_slice(&received[2].body).unwrap();
    assert_eq!((made["orgID"].as_str(), made["name"].as_str()), (Some("0a"), Some("b")));
    assert_eq!(made["retentionRules"][0]["everySeconds"], 3_600);
    let mut without = settings;
    without["create_missing_bucket"] = json!(false);
    assert!(matches!(export(&SECOND, without).await, Err(ExportError::Retry { .. })));
    assert_eq!(server.received().len(), 4);
}

#[test]
fn a_point_without_fields_is_a_mistake() {
    let settings = json!({"address": "http://a.test", "database_name": "d", "fields": []});
    let settings = weir_kit::schema::check(EXPORTER.fields, settings).unwrap();
    assert_eq!(
        (EXPORTER.build)(settings).err().unwrap().to_string(),
        "fields: a point needs at least one field"
    );
}
