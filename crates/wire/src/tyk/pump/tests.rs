//! The pump against a real Redis, into a real pipeline.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::{Pipeline as Commands, cmd, from_redis_value};
use tempfile::TempDir;
use weir_kit::SystemClock;
use weir_model::{Exchange, ExchangeId};
use weir_pipeline::SourceAccount;
use weir_pipeline::{
    Batch, Delivered, ExportError, Exporter, Filter, Pipeline, PipelineSettings, ProcessorSettings,
    Processors, QueueSettings, Start, TargetSpec,
};

use super::{Pump, PumpHandle, PumpSettings, SOURCE};
use crate::tyk::connection::Redis;
use crate::tyk::lists::{self, Encoding, KEY_PREFIX};
use crate::tyk::record::{Layout, Record, Time};
use crate::tyk::tests::sentinel::{Watched, current_master};
use crate::tyk::tests::server::Server;
use crate::tyk::{NAMES, msgpack, protobuf};

/// Keeps all it gets.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Arc<Exchange>>>>);

#[async_trait]
impl Exporter for Kept {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        self.0.lock().unwrap().extend_from_slice(batch.exchanges);
        Ok(Delivered::default())
    }
}

impl Kept {
    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> =
            self.0.lock().unwrap().iter().map(|exchange| exchange.request.path.to_string()).collect();
        paths.sort();
        paths
    }

    fn ids(&self) -> Vec<ExchangeId> {
        let mut ids: Vec<ExchangeId> = self.0.lock().unwrap().iter().map(|exchange| exchange.id).collect();
        ids.sort();
        ids
    }
}

/// A pipeline with one target.
struct Place {
    pipeline: Pipeline,
    kept: Kept,
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = PipelineSettings::in_directory(folder.path().join("journal"));
        let processors = Processors::standard(ProcessorSettings::default());
        let pipeline = Pipeline::open(settings, processors, Arc::new(SystemClock)).unwrap();
        let kept = Kept::default();
        let queue = QueueSettings { max_coalescing_delay: Duration::ZERO, ..QueueSettings::default() };
        let target = TargetSpec {
            name: "kept".to_owned(),
            kind: "kept".to_owned(),
            fingerprint: String::new(),
            exporter: Arc::new(kept.clone()),
            queue,
            filter: Filter::All,
            start: Start::Now,
        };
        pipeline.targets().add(target).await.unwrap();
        Self { pipeline, kept, folder }
    }

    fn pump(&self, server: &Server, change: impl FnOnce(&mut PumpSettings)) -> PumpHandle {
        let mut settings = PumpSettings::new(server.settings(), self.folder.path().join("pump"));
        settings.delay = Duration::from_millis(10);
        change(&mut settings);
        Pump::start(settings, self.pipeline.intake().clone()).unwrap()
    }

    fn account(&self) -> SourceAccount {
        let sources = self.pipeline.ledger().snapshot().sources;
        sources.into_iter().find(|account| account.name == SOURCE).unwrap()
    }

    async fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.kept.0.lock().unwrap().len() < count {
            assert!(Instant::now() < deadline, "{} of {count}", self.kept.0.lock().unwrap().len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn record(path: &str) -> Record<'_> {
    Record {
        method: "GET".into(),
        raw_path: path.into(),
        path: path.into(),
        response_code: 200,
        time_stamp: Time { seconds: 1_795_175_820, nanos: 0 },
        ..Record::default()
    }
}

fn encoded(record: &Record<'_>, encoding: Encoding) -> Vec<u8> {
    let mut bytes = Vec::new();
    match encoding {
        Encoding::Msgpack => msgpack::encode(record, Layout::Current, &mut bytes),
        Encoding::Protobuf => protobuf::encode(record, &mut bytes),
    }
    bytes
}

async fn push(redis: &Redis, list: &str, values: impl IntoIterator<Item = Vec<u8>>) {
    let mut commands = Commands::new();
    for value in values {
        commands.cmd("RPUSH").arg(list).arg(value).ignore();
    }
    let (): () = redis.pipeline(&commands).await.unwrap();
}

async fn keys(redis: &Redis) -> Vec<String> {
    from_redis_value(redis.command(cmd("KEYS").arg("*")).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_is_drained_in_both_encodings() {
    let (server, place) = (Server::start().await, Place::new().await);
    let redis = server.redis();
    let mut expected = Vec::new();
    for (list, encoding) in lists::all(KEY_PREFIX) {
        let paths: Vec<String> = (0..7).map(|number| format!("/{list}/{number}")).collect();
        push(&redis, &list, paths.iter().map(|path| encoded(&record(path), encoding))).await;
        expected.extend(paths);
    }
    expected.sort();
    let pump = place.pump(&server, |settings| settings.chunk = 3);
    place.wait_for(expected.len()).await;
    pump.stop(Duration::from_secs(10)).await;
    assert_eq!(place.kept.paths(), expected);
    assert_eq!(keys(&redis).await, Vec::<String>::new());
    let account = place.account();
    assert_eq!((account.offered, account.accepted), (154, 154));
}

/// Redis keeps the chunk although it was taken: as when the process ends between the journal and the cut.
async fn allow_no_cut(redis: &Redis) {
    redis.command(cmd("ACL").arg("SETUSER").arg("default").arg("-ltrim").arg("-del")).await.unwrap();
}

async fn allow_all(redis: &Redis) {
    redis.command(cmd("ACL").arg("SETUSER").arg("default").arg("+@all")).await.unwrap();
}

async fn wait_until_empty(redis: &Redis) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !keys(redis).await.is_empty() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_read_again_is_not_taken_again_and_equal_records_are_not_one() {
    let (server, place) = (Server::start().await, Place::new().await);
    let redis = server.redis();
    let list = lists::name(KEY_PREFIX, None, Encoding::Msgpack);
    let same = encoded(&record("/same"), Encoding::Msgpack);
    push(&redis, &list, vec![same.clone(); 20]).await;
    allow_no_cut(&redis).await;
    // The second finds in the journal what the first did, and reads other chunks of the same list. While a chunk is not cut
    // off, the one behind it is taken, and no other.
    for chunk in [4, 7] {
        let pump = place.pump(&server, |settings| settings.chunk = chunk);
        place.wait_for(2 * chunk).await;
        let (account, deadline) = (|| place.account(), Instant::now() + Duration::from_secs(30));
        let cuts = async || -> u64 { from_redis_value(redis.command(&refused()).await.unwrap()).unwrap() };
        let before = cuts().await;
        while cuts().await < before + 3 {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        pump.stop(Duration::from_secs(10)).await;
        assert_eq!(account().accepted, 2 * chunk as u64, "read again and again, taken once");
    }
    allow_all(&redis).await;
    let pump = place.pump(&server, |settings| settings.chunk = 3);
    wait_until_empty(&redis).await;
    pump.stop(Duration::from_secs(10)).await;
    place.wait_for(20).await;
    assert_eq!(place.account().accepted, 20);
    let mut ids = place.kept.ids();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

/// How often Redis refused a command.
fn refused() -> redis::Cmd {
    let mut count = cmd("EVAL");
    count
        .arg("return tonumber(redis.call('INFO', 'errorstats'):match('errorstat_NOPERM:count=(%d+)') or 0)")
        .arg(0);
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_journal_a_chunk_that_is_read_again_has_the_same_ids() {
    let (server, place) = (Server::start().await, Place::new().await);
    let redis = server.redis();
    let list = lists::name(KEY_PREFIX, None, Encoding::Msgpack);
    let same = encoded(&record("/same"), Encoding::Msgpack);
    push(&redis, &list, vec![same.clone(); 10]).await;
    allow_no_cut(&redis).await;
    let pump = place.pump(&server, |_| {});
    place.wait_for(10).await;
    pump.stop(Duration::from_secs(10)).await;
    allow_all(&redis).await;
    // Another journal, the same folder of the pump: the same node.
    let other = Place::new().await;
    let pump = other.pump(&server, |settings| settings.directory = place.folder.path().join("pump"));
    other.wait_for(10).await;
    wait_until_empty(&redis).await;
    assert_eq!(other.kept.ids(), place.kept.ids());
    // What comes in a later take-over is something else, even when it is equal.
    push(&redis, &list, vec![same; 10]).await;
    other.wait_for(20).await;
    pump.stop(Duration::from_secs(10)).await;
    let mut ids = other.kept.ids();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_values_are_set_aside_and_take_nothing_with_them() {
    let (server, place) = (Server::start().await, Place::new().await);
    let redis = server.redis();
    let list = lists::name(KEY_PREFIX, Some(3), Encoding::Msgpack);
    let good = |path| encoded(&record(path), Encoding::Msgpack);
    push(&redis, &list, [good("/a"), b"hello".to_vec(), good("/b"), Vec::new()]).await;
    redis.command(cmd("SET").arg("analytics-tyk-system-analytics_4").arg("no list")).await.unwrap();
    let pump = place.pump(&server, |_| {});
    place.wait_for(2).await;
    pump.stop(Duration::from_secs(10)).await;
    assert_eq!(place.kept.paths(), ["/a", "/b"]);
    let account = place.account();
    assert_eq!((account.offered, account.accepted, account.dropped["undecodable"]), (4, 2, 2));
    let aside = std::fs::read_to_string(place.folder.path().join("pump/set-aside.ndjson")).unwrap();
    let lines: Vec<serde_json::Value> =
        aside.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (lines[0]["bytes"].as_str(), lines[0]["list"].as_str()),
        (Some("aGVsbG8="), Some(list.as_str()))
    );
    assert_eq!(lines[0]["reason"], "record: expected a map, not 0x68");
    assert_eq!(keys(&redis).await, ["analytics-tyk-system-analytics_4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_and_within_a_byte_limit_all_comes_through() {
    let (server, place) = (Server::start().await, Place::new().await);
    let redis = server.redis();
    let list = lists::name(KEY_PREFIX, None, Encoding::Msgpack);
    let paths: Vec<String> = (0..250).map(|number| format!("/{number:03}/{}", "x".repeat(1_000))).collect();
    push(&redis, &list, paths.iter().map(|path| encoded(&record(path), Encoding::Msgpack))).await;
    let pump = place.pump(&server, |settings| settings.chunk_bytes = 10_000);
    place.wait_for(250).await;
    pump.stop(Duration::from_secs(10)).await;
    redis.command(cmd("ACL").arg("SETUSER").arg("default").arg("-eval")).await.unwrap();
    push(&redis, &list, paths.iter().map(|path| encoded(&record(path), Encoding::Msgpack))).await;
    let pump = place.pump(&server, |_| {});
    place.wait_for(500).await;
    pump.stop(Duration::from_secs(10)).await;
    let twice: Vec<String> = paths.iter().flat_map(|path| [path.clone(), path.clone()]).collect();
    assert_eq!(place.kept.paths(), twice);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_clear_become_hashes_and_organisations_projects() {
    let (server, place) = (Server::start().await, Place::new().await);
    let redis = server.redis();
    let clear = Record {
        api_key: "default-s3cr3t".into(),
        org_id: "o1".into(),
        tags: Some(vec!["key-default-s3cr3t".into(), "org-o1".into()]),
        ..record("/a")
    };
    push(&redis, "analytics-tyk-system-analytics", [encoded(&clear, Encoding::Msgpack)]).await;
    let pump = place.pump(&server, |settings| {
        settings.projects.insert("o1".to_owned(), "shop".to_owned());
    });
    place.wait_for(1).await;
    pump.stop(Duration::from_secs(10)).await;
    let kept = place.kept.0.lock().unwrap()[0].clone();
    assert_eq!(kept.project.as_str(), "shop");
    assert!(!format!("{kept:?}").contains("s3cr3t"), "{kept:?}");
    assert_eq!(kept.attributes.text(NAMES.api_key).unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_late_is_found() {
    let place = Place::new().await;
    let server = Server::start().await;
    server.signal("-STOP");
    let pump = place.pump(&server, |settings| settings.redis.timeout = 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal("-CONT");
    push(&server.redis(), "analytics-tyk-system-analytics", [encoded(&record("/a"), Encoding::Msgpack)])
        .await;
    place.wait_for(1).await;
    pump.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_names_another_master_in_the_middle_and_every_record_is_taken() {
    let watched = Watched::start().await;
    let name = |number: usize| format!("/{number:04}");
    let list = lists::name(KEY_PREFIX, None, Encoding::Msgpack);
    let values = |numbers: std::ops::Range<usize>| {
        numbers.map(|number| encoded(&record(&name(number)), Encoding::Msgpack)).collect::<Vec<_>>()
    };
    push(&watched.master.redis(), &list, values(0..2_000)).await;
    watched.replicated(2_000).await;
    let place = Place::new().await;
    let pump = place.pump(&watched.master, |settings| {
        settings.redis = watched.settings();
        settings.chunk = 20;
    });
    place.wait_for(100).await;
    watched.master.signal("-KILL");
    let master = current_master(&watched).await;
    push(&master, &list, values(2_000..2_500)).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let taken = || {
        let mut paths = place.kept.paths();
        paths.dedup();
        paths
    };
    while taken().len() < 2_500 {
        assert!(Instant::now() < deadline, "{} of 2500", taken().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(taken(), (0..2_500).map(name).collect::<Vec<_>>());
    // What the old master did not tell the new one is taken again under the same ids.
    let mut ids = place.kept.ids();
    ids.dedup();
    assert_eq!(ids.len(), 2_500);
    pump.stop(Duration::from_secs(10)).await;
}
