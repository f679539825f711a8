//! The embedded store answers as the memory store does: random exchanges, random questions.
//!
//! A failing seed is printed with the question; add it to the list of seeds when the fault is found.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use weir_model::{Exchange, ProjectId};
use weir_query::{Filter, Listing, Order};
use weir_store::testing::{
    Random, all_pages, assert_tables_agree, everything, odd_aggregation, odd_exchanges, odd_filter, odd_range,
};
use weir_store::{EmbeddedSettings, EmbeddedStore, MemoryStore, Store, Total};

fn settings(directory: &std::path::Path) -> EmbeddedSettings {
    EmbeddedSettings {
        writer_bytes: 15 << 20,
        // Counts are exact, however slow the machine.
        count_time: Duration::from_secs(600),
        ..EmbeddedSettings::new(directory)
    }
}

/// Asks both stores the same random questions.
async fn agree(
    memory: &MemoryStore,
    embedded: &EmbeddedStore,
    exchanges: &[Arc<Exchange>],
    seed: u64,
    questions: usize,
) {
    let mut random = Random::seeded(seed);
    for question in 0..questions {
        let listing = Listing {
            project: ProjectId::default(),
            range: odd_range(&mut random),
            filter: odd_filter(&mut random, exchanges, 3),
            order: if random.one_in(2) { Order::NewestFirst } else { Order::OldestFirst },
            limit: 20 + random.below(200) as usize,
            after: None,
        };
        let about = format!("seed {seed}, question {question}: {listing:?}");
        let (expected, expected_totals) = all_pages(memory, &listing).await;
        let (found, totals) = all_pages(embedded, &listing).await;
        assert!(found == expected, "{about}: {} found, {} expected", found.len(), expected.len());
        for (total, expected) in totals.iter().zip(&expected_totals) {
            assert_total(*total, *expected, exchanges.len(), &about);
        }

        let aggregation = odd_aggregation(&mut random, exchanges);
        let about = format!("seed {seed}, question {question}: {aggregation:?}");
        let expected = memory.aggregate(&aggregation).await.unwrap();
        let found = embedded.aggregate(&aggregation).await.unwrap();
        assert!(!found.approximate, "{about}");
        assert_tables_agree(&found, &expected, &about);
    }
}

/// So many exchanges are read to count exactly.
const READ_TO_COUNT: usize = 1_000;

/// Totals are exact unless so many exchanges would have to be read that an estimate is meant.
fn assert_total(total: Total, expected: Total, exchanges: usize, about: &str) {
    match (total, expected) {
        (Total::About(estimate), Total::Exactly(count)) if exchanges > READ_TO_COUNT => {
            assert!(estimate.abs_diff(count) <= count / 5, "{about}: {estimate} for {count}");
        }
        _ => assert_eq!(total, expected, "{about}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_tail_after_a_flush_and_after_opening_again() {
    for seed in 1..=2 {
        let directory = tempfile::tempdir().unwrap();
        let memory = MemoryStore::new();
        let embedded = EmbeddedStore::open(settings(directory.path())).unwrap();
        let exchanges = odd_exchanges(seed, 480);
        for (index, part) in exchanges.chunks(80).enumerate() {
            memory.append(part, 0).await.unwrap();
            embedded.append(part, index as u64 + 1).await.unwrap();
            agree(&memory, &embedded, &exchanges, seed * 100 + index as u64, 15).await;
            // Some of the traffic stays in the tail.
            if index % 2 == 0 {
                embedded.flush().await.unwrap();
            }
        }
        embedded.flush().await.unwrap();
        agree(&memory, &embedded, &exchanges, seed * 1_000, 60).await;
        drop(embedded);
        let embedded = EmbeddedStore::open(settings(directory.path())).unwrap();
        assert_eq!(embedded.durable_position(), 6);
        agree(&memory, &embedded, &exchanges, seed * 2_000, 30).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_partitions() {
    let directory = tempfile::tempdir().unwrap();
    let memory = MemoryStore::new();
    // Every commit fills a partition.
    let small = || EmbeddedSettings { partition_bytes: 1, ..settings(directory.path()) };
    let embedded = EmbeddedStore::open(small()).unwrap();
    let exchanges = odd_exchanges(11, 400);
    for (index, part) in exchanges.chunks(80).enumerate() {
        memory.append(part, 0).await.unwrap();
        embedded.append(part, index as u64 + 1).await.unwrap();
        embedded.flush().await.unwrap();
        // Known ids are recognised in any partition.
        embedded.append(&exchanges[..80], index as u64 + 1).await.unwrap();
    }
    agree(&memory, &embedded, &exchanges, 11, 60).await;
    drop(embedded);
    let embedded = EmbeddedStore::open(small()).unwrap();
    embedded.append(&exchanges, 6).await.unwrap();
    assert_eq!(embedded.status().await.unwrap().exchanges, 400);
    agree(&memory, &embedded, &exchanges, 12, 30).await;
    let partitions = std::fs::read_dir(directory.path().join("partitions")).unwrap().count();
    assert!(partitions >= 5, "{partitions} partitions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_traffic_arrives() {
    let directory = tempfile::tempdir().unwrap();
    let quick = EmbeddedSettings {
        commit_interval: Duration::from_millis(20),
        partition_bytes: 300_000,
        ..settings(directory.path())
    };
    let embedded = Arc::new(EmbeddedStore::open(quick).unwrap());
    let exchanges = odd_exchanges(21, 3_000);
    let ours = |count: usize| {
        exchanges[..count].iter().filter(|exchange| exchange.project == ProjectId::default()).count() as u64
    };
    let writing = tokio::spawn({
        let (embedded, exchanges) = (embedded.clone(), exchanges.clone());
        async move {
            for (index, part) in exchanges.chunks(10).enumerate() {
                embedded.append(part, index as u64 + 1).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    });
    // Whatever moves between tail, commits and partitions, an exchange is seen once.
    let mut last = 0;
    while !writing.is_finished() {
        let listing = Listing { filter: Filter::Any, ..everything(Order::NewestFirst, 5) };
        let Total::Exactly(count) = embedded.list(&listing).await.unwrap().total else { panic!("not exact") };
        assert!(last <= count && count <= ours(exchanges.len()), "{last} {count}");
        last = count;
    }
    writing.await.unwrap();
    embedded.flush().await.unwrap();
    assert_eq!(embedded.durable_position(), 300);
    let memory = MemoryStore::new();
    memory.append(&exchanges, 0).await.unwrap();
    agree(&memory, &embedded, &exchanges, 21, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_total_that_would_take_many_reads_is_estimated() {
    let directory = tempfile::tempdir().unwrap();
    let embedded = EmbeddedStore::open(settings(directory.path())).unwrap();
    let exchanges = odd_exchanges(41, 6_000);
    for (index, part) in exchanges.chunks(2_000).enumerate() {
        embedded.append(part, index as u64 + 1).await.unwrap();
        embedded.flush().await.unwrap();
    }
    let filter = Filter::Words(vec!["card".to_owned(), "declined".to_owned()]);
    let is_meant = |exchange: &&Arc<Exchange>| {
        exchange.project == ProjectId::default() && weir_query::evaluate::matches(&filter, exchange)
    };
    let expected = exchanges.iter().filter(is_meant).count() as u64;
    let listing = Listing { filter: filter.clone(), ..everything(Order::NewestFirst, 20) };
    let page = embedded.list(&listing).await.unwrap();
    assert_eq!(page.exchanges.len(), 20);
    let Total::About(estimate) = page.total else { panic!("{:?} without reading thousands", page.total) };
    assert!(estimate.abs_diff(expected) <= expected / 10, "{estimate} for {expected}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_erasures() {
    for (seed, partition_bytes) in [(51, 1), (52, 2 << 30)] {
        let directory = tempfile::tempdir().unwrap();
        let sized = || EmbeddedSettings { partition_bytes, ..settings(directory.path()) };
        let (memory, embedded) = (MemoryStore::new(), EmbeddedStore::open(sized()).unwrap());
        let exchanges = odd_exchanges(seed, 400);
        let mut random = Random::seeded(seed);
        let mut erased = 0;
        for (index, part) in exchanges.chunks(80).enumerate() {
            let position = index as u64 + 1;
            memory.append(part, position).await.unwrap();
            embedded.append(part, position).await.unwrap();
            if random.one_in(2) {
                embedded.flush().await.unwrap();
            }
            let narrow = [odd_filter(&mut random, &exchanges, 2), odd_filter(&mut random, &exchanges, 0)];
            let filter = Filter::And(narrow.into());
            let expected = memory.erase(&ProjectId::default(), &filter).await.unwrap();
            let found = embedded.erase(&ProjectId::default(), &filter).await.unwrap();
            assert_eq!(found, expected, "seed {seed}, part {index}: {filter:?}");
            erased += found;
            agree(&memory, &embedded, &exchanges, seed * 100 + index as u64, 15).await;
        }
        assert!(erased > 20, "{erased} were erased");
        embedded.flush().await.unwrap();
        drop(embedded);
        let embedded = EmbeddedStore::open(sized()).unwrap();
        agree(&memory, &embedded, &exchanges, seed * 1_000, 30).await;
        let (kept, counted) = (memory.status().await.unwrap(), embedded.status().await.unwrap());
        assert_eq!(counted.exchanges, kept.exchanges);
    }
}
