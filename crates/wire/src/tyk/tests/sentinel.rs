//! A master and a replica under the eye of a Sentinel; the master dies, and the replica takes its place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Value, cmd, from_redis_value};
use serde_json::json;
use weir_kit::schema;
use weir_pipeline::Batch;

use super::server::Server;
use crate::testing::one;
use crate::tyk::connection::{Redis, RedisSettings};
use crate::tyk::{EXPORTER, config, msgpack};

const MASTER: &str = "weir";
const LIST: &str = "analytics-tyk-system-analytics";
const PATIENCE: Duration = Duration::from_secs(60);

/// The three servers.
pub(in crate::tyk) struct Watched {
    pub(in crate::tyk) master: Server,
    pub(in crate::tyk) replica: Server,
    sentinel: Server,
}

impl Watched {
    pub(in crate::tyk) async fn start() -> Self {
        let master = Server::start().await;
        let of = master.port;
        let replica = Server::start_with(|port, _| {
            let line = format!("--port {port} --repl-diskless-sync-delay 0 --replicaof 127.0.0.1 {of}");
            line.split(' ').map(ToOwned::to_owned).collect()
        })
        .await;
        let sentinel = Server::start_with(|port, folder| {
            let file = folder.join("sentinel.conf");
            let settings = format!(
                "port {port}\nsentinel monitor {MASTER} 127.0.0.1 {of} 1\n\
                 sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 2000\n"
            );
            std::fs::write(&file, settings).unwrap();
            vec![file.display().to_string(), "--sentinel".to_owned()]
        })
        .await;
        let watched = Self { master, replica, sentinel };
        let (replica, sentinel) = (watched.replica.redis(), watched.sentinel.redis());
        until("the replica follows", async || {
            let said = replica.command(cmd("INFO").arg("replication")).await.unwrap();
            from_redis_value::<String>(said).unwrap().contains("master_link_status:up")
        })
        .await;
        until("the sentinel knows the replica", async || {
            let known = sentinel.command(cmd("SENTINEL").arg("REPLICAS").arg(MASTER)).await;
            matches!(known.unwrap(), Value::Array(known) if !known.is_empty())
        })
        .await;
        watched
    }

    /// What to connect with.
    pub(in crate::tyk) fn settings(&self) -> RedisSettings {
        RedisSettings {
            addrs: Some(vec![format!("127.0.0.1:{}", self.sentinel.port)]),
            master_name: Some(MASTER.to_owned()),
            timeout: 2,
            ..RedisSettings::default()
        }
    }

    /// Waits until the replica has as many records in the list.
    pub(in crate::tyk) async fn replicated(&self, count: usize) {
        let replica = self.replica.redis();
        until("the replica has all", async || {
            let length = replica.command(cmd("LLEN").arg(LIST)).await.unwrap();
            from_redis_value::<usize>(length).unwrap() == count
        })
        .await;
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn records_go_to_the_new_master_when_the_old_one_dies() {
    let watched = Watched::start().await;
    let storage = watched.settings();
    let storage = json!({"addrs": storage.addrs, "master_name": storage.master_name, "timeout": 2});
    let settings = schema::check(config::FIELDS, json!({"storage": storage})).unwrap();
    let exporter = (EXPORTER.build)(settings).unwrap().exporter;
    let batch = |numbers: std::ops::Range<usize>| -> Vec<_> {
        numbers.map(|number| Arc::new(one(&format!("/{number:03}")))).collect()
    };
    let (before, after) = (batch(0..50), batch(50..100));
    exporter.export(&Batch { exchanges: &before, next_position: 1 }).await.unwrap();
    watched.replicated(50).await;
    watched.master.signal("-KILL");
    until("the new master takes records", async || {
        exporter.export(&Batch { exchanges: &after, next_position: 2 }).await.is_ok()
    })
    .await;
    let found = watched.replica.redis().command(cmd("LRANGE").arg(LIST).arg(0).arg(-1)).await.unwrap();
    let found: Vec<Vec<u8>> = from_redis_value(found).unwrap();
    let mut paths: Vec<String> =
        found.iter().map(|value| msgpack::decode(value).unwrap().raw_path.into_owned()).collect();
    paths.sort();
    // What was under way when the master died may have come twice.
    paths.dedup();
    assert_eq!(paths, (0..100).map(|number| format!("/{number:03}")).collect::<Vec<_>>());
}

/// Whoever asks the Sentinel gets the master that there is.
pub(in crate::tyk) async fn current_master(watched: &Watched) -> Redis {
    let redis = Redis::new(watched.settings());
    until("there is a master", async || redis.command(cmd("SET").arg("there").arg(1)).await.is_ok()).await;
    redis
}
