//! The exporter against a real Redis: plain, with a user and a password, over TLS, in a cluster; frozen and back.

use std::sync::Arc;
use std::time::Duration;

use redis::{cmd, from_redis_value};
use serde_json::{Value, json};
use weir_kit::{Secret, schema};
use weir_model::Exchange;
use weir_pipeline::{Batch, Built, ExportError};

use super::server::Server;
use crate::testing::one;
use crate::tyk::connection::{Redis, RedisSettings};
use crate::tyk::lists::{self, Encoding, KEY_PREFIX};
use crate::tyk::{EXPORTER, config, msgpack, protobuf};

const LIST: &str = "analytics-tyk-system-analytics";

fn built(settings: Value) -> Built {
    (EXPORTER.build)(schema::check(config::FIELDS, settings).unwrap()).unwrap()
}

fn storage(server: &Server) -> Value {
    json!({"host": "127.0.0.1", "port": server.port, "timeout": 2})
}

async fn send(built: &Built, exchanges: &[Arc<Exchange>]) -> Result<(), ExportError> {
    built.exporter.export(&Batch { exchanges, next_position: 1 }).await.map(|_| ())
}

async fn values(redis: &Redis, list: &str) -> Vec<Vec<u8>> {
    from_redis_value(redis.command(cmd("LRANGE").arg(list).arg(0).arg(-1)).await.unwrap()).unwrap()
}

fn paths(values: &[Vec<u8>]) -> Vec<String> {
    values.iter().map(|value| msgpack::decode(value).unwrap().raw_path.into_owned()).collect()
}

#[tokio::test]
async fn records_arrive_as_a_gateway_writes_them() {
    let server = Server::start().await;
    let exporter = built(json!({"storage": storage(&server), "ignored_ips": ["192.0.2.7"]}));
    let mut ignored = one("/ignored");
    ignored.client = weir_model::Peer::new("192.0.2.7".parse().unwrap(), None);
    let exchanges = [one("/a"), ignored, one("/b")].map(Arc::new);
    send(&exporter, &exchanges).await.unwrap();
    let redis = server.redis();
    assert_eq!(paths(&values(&redis, LIST).await), ["/a", "/b"]);
    let lives: i64 = from_redis_value(redis.command(cmd("TTL").arg(LIST)).await.unwrap()).unwrap();
    assert!((50..=60).contains(&lives), "{lives}");
}

#[tokio::test]
async fn protobuf_and_ten_lists() {
    let server = Server::start().await;
    let exporter = built(json!({"storage": storage(&server), "serializer_type": "protobuf",
        "enable_multiple_analytics_keys": true, "storage_expiration_time": -1}));
    let exchanges: Vec<Arc<Exchange>> =
        (0..1_200).map(|number| Arc::new(one(&format!("/{number}")))).collect();
    for part in exchanges.chunks(60) {
        send(&exporter, part).await.unwrap();
    }
    let redis = server.redis();
    let mut found = Vec::new();
    let mut used = 0;
    for shard in 0..lists::SHARDS {
        let list = lists::name(KEY_PREFIX, Some(shard), Encoding::Protobuf);
        let values = values(&redis, &list).await;
        used += usize::from(!values.is_empty());
        found.extend(values.iter().map(|value| protobuf::decode(value).unwrap().raw_path.into_owned()));
    }
    found.sort();
    let mut expected: Vec<String> = (0..1_200).map(|number| format!("/{number}")).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert!(used > 3, "{used} lists");
}

#[tokio::test]
async fn a_user_of_the_access_control_list_writes_and_others_do_not() {
    let server = Server::start_with(|port, _| {
        let line = format!("--port {port} --user tyk on >geheim ~analytics-* +@all --user default off");
        line.split(' ').map(ToOwned::to_owned).collect()
    })
    .await;
    let with = |user: &str, password: &str| {
        let mut storage = storage(&server);
        storage["username"] = json!(user);
        storage["password"] = json!(password);
        built(json!({"storage": storage}))
    };
    let exchanges = [Arc::new(one("/a"))];
    send(&with("tyk", "geheim"), &exchanges).await.unwrap();
    let error = send(&with("tyk", "wrong"), &exchanges).await.unwrap_err().to_string();
    assert!(error.contains("WRONGPASS") || error.contains("uthentication"), "{error}");
    assert!(!error.contains("wrong\""), "{error}");
    let settings = RedisSettings {
        username: Some("tyk".to_owned()),
        password: Some(Secret::new("geheim")),
        ..server.settings()
    };
    assert_eq!(paths(&values(&Redis::new(settings), LIST).await), ["/a"]);
}

#[tokio::test]
async fn over_tls_the_certificate_is_checked() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let server = Server::start_with(|port, folder| {
        let file = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let certificate = file("cert.pem", own.cert.pem());
        let key = file("key.pem", own.signing_key.serialize_pem());
        let (port, no) = (port.to_string(), "no".to_owned());
        vec![
            "--port".into(),
            "0".into(),
            "--tls-port".into(),
            port,
            "--tls-cert-file".into(),
            certificate.clone(),
            "--tls-key-file".into(),
            key,
            "--tls-ca-cert-file".into(),
            certificate,
            "--tls-auth-clients".into(),
            no,
        ]
    })
    .await;
    let authority = server.directory.path().join("cert.pem").display().to_string();
    let tls = |more: Value| {
        let mut storage = json!({"host": "localhost", "port": server.port, "use_ssl": true, "timeout": 2});
        storage.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        built(json!({"storage": storage}))
    };
    let exchanges = [Arc::new(one("/a"))];
    send(&tls(json!({"ca_file": authority})), &exchanges).await.unwrap();
    send(&tls(json!({"ssl_insecure_skip_verify": true})), &exchanges).await.unwrap();
    assert!(send(&tls(json!({})), &exchanges).await.is_err());
    assert!(send(&built(json!({"storage": storage(&server)})), &exchanges).await.is_err());
}

#[tokio::test]
async fn a_cluster_of_three_takes_all_lists() {
    let node = |port: u16, _: &std::path::Path| {
        ["--port", &port.to_string(), "--cluster-enabled", "yes"].map(ToOwned::to_owned).into()
    };
    let nodes =
        [Server::start_with(node).await, Server::start_with(node).await, Server::start_with(node).await];
    let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let created = std::process::Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(&addresses)
        .args(["--cluster-yes"])
        .output()
        .unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
    let exporter = built(json!({"storage": {"addrs": addresses, "enable_cluster": true, "timeout": 2},
        "enable_multiple_analytics_keys": true}));
    let exchanges = [Arc::new(one("/a"))];
    for _ in 0..40 {
        send(&exporter, &exchanges).await.unwrap();
    }
    let settings = RedisSettings { addrs: Some(addresses), enable_cluster: true, ..RedisSettings::default() };
    let redis = Redis::new(settings);
    let mut count = 0;
    for shard in 0..lists::SHARDS {
        count += values(&redis, &lists::name(KEY_PREFIX, Some(shard), Encoding::Msgpack)).await.len();
    }
    assert_eq!(count, 40);
}

#[tokio::test]
async fn a_frozen_redis_is_tried_again_and_a_full_list_is_not_filled_further() {
    let server = Server::start().await;
    let mut storage = storage(&server);
    storage["timeout"] = json!(1);
    let exporter = built(json!({"storage": storage, "max_waiting_records": 2}));
    let exchanges = [Arc::new(one("/a"))];
    send(&exporter, &exchanges).await.unwrap();
    server.signal("-STOP");
    for _ in 0..3 {
        assert!(matches!(send(&exporter, &exchanges).await, Err(ExportError::Retry { .. })));
    }
    server.signal("-CONT");
    let redis = server.redis();
    // What was sent before the freeze was noticed is carried out now; what was tried again meanwhile was never sent.
    assert!(values(&redis, LIST).await.len() <= 2);
    redis.command(cmd("DEL").arg(LIST)).await.unwrap();
    for _ in 0..2 {
        send(&exporter, &exchanges).await.unwrap();
    }
    let error = send(&exporter, &exchanges).await.unwrap_err().to_string();
    assert!(error.contains("2 records wait in analytics-tyk-system-analytics"), "{error}");
    redis.command(cmd("LTRIM").arg(LIST).arg(1).arg(-1)).await.unwrap();
    send(&exporter, &exchanges).await.unwrap();
    assert_eq!(values(&redis, LIST).await.len(), 2);
    assert!(Duration::from_secs(1) <= exporter.queue.timeout);
}
