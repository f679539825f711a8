//! What was durable survives, and what was not comes back by replay, once.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weir_kit::{ManualClock, Timestamp};
use weir_model::{Exchange, Field, FieldValue, ProjectId};
use weir_query::{Filter, Op, Order};
use weir_store::testing::{all_pages, everything, odd_exchanges};
use weir_store::{EmbeddedSettings, EmbeddedStore, Store, StoreError};

fn settings(directory: &Path) -> EmbeddedSettings {
    EmbeddedSettings {
        writer_bytes: 15 << 20,
        commit_interval: Duration::from_millis(30),
        count_time: Duration::from_secs(600),
        ..EmbeddedSettings::new(directory)
    }
}

/// The exchanges in order of arrival; the position after each batch of ten is the number of exchanges so far.
const BATCH: usize = 10;

async fn append_from(store: &EmbeddedStore, exchanges: &[Arc<Exchange>], position: u64) {
    let start = usize::try_from(position).unwrap();
    for (index, batch) in exchanges[start..].chunks(BATCH).enumerate() {
        store.append(batch, (start + (index + 1) * BATCH) as u64).await.unwrap();
    }
}

async fn assert_holds_once(store: &EmbeddedStore, exchanges: &[Arc<Exchange>]) {
    assert_eq!(store.status().await.unwrap().exchanges, exchanges.len() as u64);
    let mut expected: Vec<&Exchange> = exchanges
        .iter()
        .map(Arc::as_ref)
        .filter(|exchange| exchange.project == ProjectId::default())
        .collect();
    expected.sort_by_key(|exchange| (exchange.started_at, exchange.id));
    let (listed, _) = all_pages(store, &everything(Order::OldestFirst, 500)).await;
    assert!(listed.iter().eq(expected), "an exchange is missing, doubled or changed");
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?
        } else {
            fs::copy(entry.path(), target).map(drop)?
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_dropped_takes_a_replay() {
    let directory = tempfile::tempdir().unwrap();
    let exchanges = odd_exchanges(31, 600);
    let mut positions = Vec::new();
    for round in 1..=6 {
        let store =
            EmbeddedStore::open(EmbeddedSettings { partition_bytes: 200_000, ..settings(directory.path()) })
                .unwrap();
        let position = store.durable_position();
        positions.push(position);
        assert_eq!(store.status().await.unwrap().exchanges, position, "exactly what was durable");
        append_from(&store, &exchanges[..round * 100], position).await;
        assert_holds_once(&store, &exchanges[..round * 100]).await;
        tokio::time::sleep(Duration::from_millis(round as u64 * 20)).await;
    }
    assert!(positions.last() > Some(&0), "some of it was committed: {positions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_files_at_any_moment_takes_a_replay() {
    let directory = tempfile::tempdir().unwrap();
    let exchanges = odd_exchanges(32, 1_000);
    let store = Arc::new(
        EmbeddedStore::open(EmbeddedSettings { partition_bytes: 400_000, ..settings(directory.path()) })
            .unwrap(),
    );
    let writing = tokio::spawn({
        let (store, exchanges) = (store.clone(), exchanges.clone());
        async move {
            for (index, batch) in exchanges.chunks(BATCH).enumerate() {
                store.append(batch, ((index + 1) * BATCH) as u64).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    let mut copies = 0;
    while !writing.is_finished() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let place = tempfile::tempdir().unwrap();
        // A copy takes time, in which files come and go; a file that went away meanwhile spoils it, as no crash would.
        let Ok(()) = copy(directory.path(), place.path()) else { continue };
        let before = store.durable_position();
        let copied = match EmbeddedStore::open(settings(place.path())) {
            Ok(copied) => copied,
            Err(StoreError::Failed(_)) => continue,
            Err(other) => panic!("{other}"),
        };
        let position = copied.durable_position();
        assert!(position <= before, "{position} {before}");
        assert_eq!(copied.status().await.unwrap().exchanges, position, "exactly what was durable");
        append_from(&copied, &exchanges, position).await;
        assert_holds_once(&copied, &exchanges).await;
        copies += 1;
    }
    writing.await.unwrap();
    assert!(copies > 0, "no copy could be opened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_from_an_earlier_position_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let exchanges = odd_exchanges(33, 200);
    let store = EmbeddedStore::open(settings(directory.path())).unwrap();
    append_from(&store, &exchanges, 0).await;
    store.flush().await.unwrap();
    drop(store);
    let store = EmbeddedStore::open(settings(directory.path())).unwrap();
    assert_eq!(store.durable_position(), 200);
    append_from(&store, &exchanges, 0).await;
    assert_holds_once(&store, &exchanges).await;
}

/// Erased exchanges stay erased whatever happens next: a copy of the files made right after the answer stands for a crash,
/// and what is replayed into it begins at its position.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_brings_nothing_back_that_was_erased() {
    let directory = tempfile::tempdir().unwrap();
    let exchanges = odd_exchanges(37, 600);
    let split = EmbeddedSettings {
        partition_bytes: 200_000,
        // Commits come only when somebody asks for one.
        commit_interval: Duration::from_secs(3_600),
        ..settings(directory.path())
    };
    let store = EmbeddedStore::open(split).unwrap();
    let filter =
        Filter::Test { field: Field::named("status").unwrap(), op: Op::In(vec![FieldValue::Integer(404)]) };
    let ours = ProjectId::default();
    let mut left: Vec<Arc<Exchange>> = Vec::new();
    for round in 0..6 {
        let arrived = &exchanges[round * 100..(round + 1) * 100];
        for (index, batch) in arrived.chunks(BATCH).enumerate() {
            store.append(batch, (round * 100 + (index + 1) * BATCH) as u64).await.unwrap();
        }
        left.extend_from_slice(arrived);
        let before = left.len();
        left.retain(|it| it.project != ours || !weir_query::evaluate::matches(&filter, it));
        assert_eq!(store.erase(&ours, &filter).await.unwrap(), (before - left.len()) as u64);
        assert!(before > left.len(), "nothing to erase in round {round}");

        let place = tempfile::tempdir().unwrap();
        copy(directory.path(), place.path()).unwrap();
        let copied = EmbeddedStore::open(settings(place.path())).unwrap();
        let position = copied.durable_position();
        assert_eq!(position, (round as u64 + 1) * 100, "what came before the erasure is durable");
        append_from(&copied, &exchanges[..(round + 1) * 100], position).await;
        assert_holds_once(&copied, &left).await;
    }
    assert_holds_once(&store, &left).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_partition_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let split = EmbeddedSettings { partition_bytes: 1, ..settings(directory.path()) };
    let store = EmbeddedStore::open(split).unwrap();
    let exchanges = odd_exchanges(38, 60);
    for (index, batch) in exchanges.chunks(BATCH).enumerate() {
        store.append(batch, ((index + 1) * BATCH) as u64).await.unwrap();
        store.flush().await.unwrap();
    }
    let partitions = || fs::read_dir(directory.path().join("partitions")).unwrap().count();
    assert!(partitions() >= 5, "{}", partitions());
    for project in [ProjectId::default(), ProjectId::from("other")] {
        store.erase(&project, &Filter::Any).await.unwrap();
    }
    assert_eq!(store.status().await.unwrap().exchanges, 0);
    assert!(partitions() <= 2, "{}", partitions());
    drop(store);
    let store = EmbeddedStore::open(settings(directory.path())).unwrap();
    assert_eq!((store.durable_position(), store.status().await.unwrap().exchanges), (60, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_would_read_too_much_removes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store =
        EmbeddedStore::open(EmbeddedSettings { source_reads: 10, ..settings(directory.path()) }).unwrap();
    let exchanges = odd_exchanges(39, 100);
    store.append(&exchanges, 100).await.unwrap();
    store.flush().await.unwrap();
    let phrase = Filter::Words(vec!["card".to_owned(), "declined".to_owned()]);
    let error = store.erase(&ProjectId::default(), &phrase).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge(_)), "{error}");
    assert_eq!(store.status().await.unwrap().exchanges, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_position_outlives_the_partitions() {
    let directory = tempfile::tempdir().unwrap();
    let exchanges = odd_exchanges(34, 50);
    let store = EmbeddedStore::open(settings(directory.path())).unwrap();
    append_from(&store, &exchanges, 0).await;
    assert_eq!(store.shrink(0).await.unwrap(), 50);
    drop(store);
    let store = EmbeddedStore::open(settings(directory.path())).unwrap();
    assert_eq!(store.durable_position(), 50);
    assert_eq!(store.status().await.unwrap().exchanges, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_ends_its_partition_and_retention_removes_it() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp::from_seconds(1_790_000_000));
    let settings = EmbeddedSettings { clock: Arc::new(clock.clone()), ..settings(directory.path()) };
    let store = EmbeddedStore::open(settings).unwrap();
    let mut exchanges = odd_exchanges(35, 100);
    exchanges.sort_by_key(|exchange| exchange.started_at);
    for (index, part) in exchanges.chunks(25).enumerate() {
        store.append(part, index as u64 + 1).await.unwrap();
        store.flush().await.unwrap();
        clock.advance(Duration::from_secs(86_400));
    }
    // The last of the second partition.
    let before = exchanges[49].started_at + Duration::from_micros(1);
    let begun_later = exchanges[50..].iter().filter(|exchange| exchange.started_at < before).count();
    assert_eq!(store.expire(before).await.unwrap(), 50, "{begun_later}");
    assert_eq!(store.status().await.unwrap().oldest, Some(exchanges[50].started_at));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_formats_and_second_openings_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(settings(directory.path())).unwrap();
    let second = EmbeddedStore::open(settings(directory.path())).map(drop).unwrap_err();
    assert!(matches!(second, StoreError::Failed(_)), "{second}");
    drop(store);
    let partitions = fs::read_dir(directory.path().join("partitions")).unwrap();
    for partition in partitions {
        fs::write(partition.unwrap().path().join("format"), "weir 99").unwrap();
    }
    let error = EmbeddedStore::open(settings(directory.path())).map(drop).unwrap_err();
    let StoreError::Failed(cause) = error else { panic!("{error}") };
    assert!(cause.to_string().contains("weir 99"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appending_waits_for_room() {
    let directory = tempfile::tempdir().unwrap();
    let tight = EmbeddedSettings {
        tail_bytes: 20_000,
        commit_interval: Duration::from_millis(200),
        ..settings(directory.path())
    };
    let store = EmbeddedStore::open(tight).unwrap();
    let exchanges = odd_exchanges(36, 300);
    let mut largest = 0;
    for (index, batch) in exchanges.chunks(BATCH).enumerate() {
        store.append(batch, index as u64 + 1).await.unwrap();
        largest = largest.max(store.status().await.unwrap().uncommitted);
    }
    assert!(largest < 100, "{largest} exchanges were in memory");
    store.flush().await.unwrap();
    assert_eq!(store.status().await.unwrap().exchanges, 300);
}
