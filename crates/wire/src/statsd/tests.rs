//! The lines, and that they arrive.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::{Batch, ExportError, ExporterKind};

use super::*;
use crate::parts::record::Entry;
use crate::tyk::record::{Latency, Record};

fn entry(weight: u32) -> Entry<'static> {
    let record = Record {
        method: "GET".into(),
        path: "/Users/{id}/".into(),
        response_code: 200,
        ip_address: "::1".into(),
        api_name: "My \"API\", v1|2".into(),
        request_time: 12,
        latency: Latency { total: 12, upstream: 9, gateway: 3 },
        ..Record::default()
    };
    Entry { id: ExchangeId::new(Timestamp::from_seconds(1)), weight, record }
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn statsd_names_are_made_of_tags() {
    let config = |fields: &[&str], tags: &[&str], separated_method| plain::Config {
        fields: names(fields),
        tags: names(tags),
        separated_method,
        ..plain::Config::default()
    };
    for (config, weight, expected) in [
        (config(&["request_time"], &[], false), 1, vec!["request_time:12|ms"]),
        (
            config(&["request_time", "latency_upstream"], &["path", "response_code"], false),
            1,
            vec!["request_time.get/users/{id}.200:12|ms", "latency_upstream.get/users/{id}.200:9|ms"],
        ),
        (
            config(&["latency_gateway"], &["method", "path", "ip_address", "api_name"], true),
            4,
            vec!["latency_gateway.get./users/{id}.--1.myapi,v1-2:3|ms|@0.25"],
        ),
    ] {
        assert_eq!(plain::lines(&entry(weight), &config), expected);
    }
}

#[test]
fn dogstatsd_lines_have_tags() {
    let config = dog::Config { namespace: "pump".into(), sample_rate: 1.0, ..dog::Config::default() };
    assert_eq!(
        dog::line(&entry(1), &config),
        "pump.request_time:12|h|#path:/Users/{id}/,method:GET,response_code:200,api_version:,\
         api_name:My \"API\"_ v1_2,api_id:,org_id:,tracked:false"
    );
    let config = dog::Config { sample_rate: 0.5, tags: names(&["method"]), ..config };
    assert_eq!(dog::line(&entry(2), &config), "pump.request_time:12|h|@0.25|#method:GET");
}

#[test]
fn sampling_takes_about_the_share_that_was_asked_for() {
    let chosen = |rate| {
        let ids = (0..1_000).map(|_| ExchangeId::new(Timestamp::from_seconds(1)));
        ids.filter(|id| dog::is_chosen(*id, rate)).count()
    };
    assert_eq!((chosen(0.0), chosen(1.0)), (0, 1_000));
    assert!((300..700).contains(&chosen(0.5)));
}

async fn export(kind: &ExporterKind, settings: Value, calls: usize) -> Result<(), ExportError> {
    let settings = weir_kit::schema::check(kind.fields, settings).unwrap();
    let built = (kind.build)(settings).unwrap();
    let at = Timestamp::from_seconds(1);
    let request = Request { method: "GET".into(), path: "/a".into(), ..Request::default() };
    let exchange = Arc::new(Exchange::new(ExchangeId::new(at), at, request));
    let exchanges = vec![exchange; calls];
    built.exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await.map(|_| ())
}

#[tokio::test]
async fn a_real_socket_receives_all_of_them() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    export(&EXPORTER, json!({"address": address, "tags": ["path"]}), 3).await.unwrap();
    let mut buffer = [0; 2_000];
    let size = socket.recv(&mut buffer).await.unwrap();
    let line = "request_time.get/a:0|ms";
    assert_eq!(String::from_utf8_lossy(&buffer[..size]), [line; 3].join("\n"));
    export(&DOGSTATSD, json!({"address": address, "tags": ["method"]}), 2).await.unwrap();
    for _ in 0..2 {
        let size = socket.recv(&mut buffer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&buffer[..size]), "default.request_time:0|h|#method:GET");
    }
}

#[tokio::test]
async fn a_real_unix_socket_receives_them_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.socket");
    let settings =
        json!({"address": format!("unix://{}", path.display()), "buffered": true, "tags": ["method"]});
    let outcome = export(&DOGSTATSD, settings.clone(), 1).await;
    assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    export(&DOGSTATSD, settings, 2).await.unwrap();
    let mut buffer = [0; 2_000];
    let size = socket.recv(&mut buffer).await.unwrap();
    let line = "default.request_time:0|h|#method:GET";
    assert_eq!(String::from_utf8_lossy(&buffer[..size]), [line; 2].join("\n"));
}

#[test]
fn unknown_tags_and_fields_are_told() {
    for (kind, settings) in [
        (&EXPORTER, json!({"tags": ["password"]})),
        (&DOGSTATSD, json!({"tags": ["password"]})),
        (&EXPORTER, json!({"fields": ["path"]})),
    ] {
        let built = weir_kit::schema::check(kind.fields, settings).and_then(kind.build);
        assert!(built.is_err());
    }
}
