//! What a user of the pipeline relies on, one story per test.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use support::*;
use weir_model::ExchangeId;
use weir_pipeline::*;

fn dropped(account: &TargetAccount, reason: &str) -> u64 {
    account.dropped.get(reason).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_and_submitted_is_delivered_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    let sink = Default::default();
    pipeline.targets().add(spec("a", Probe::new(&sink, always(Mood::Take)))).await.unwrap();

    pipeline.intake().offer("gateway", exchanges(70, 1));
    let receipt = pipeline.intake().submit("har", exchanges(200, 2)).await.unwrap();
    assert_eq!(receipt, Receipt { saved: 200, dropped: 0 });
    eventually("all is delivered", || account(&pipeline, "a").delivered == 270).await;
    assert_eq!(sink.count(), 270);

    pipeline.intake().dropped_before("gateway", "no_chunk", 3);
    pipeline.intake().held_before("gateway", 4);
    let sources = pipeline.ledger().snapshot().sources;
    let gateway = &sources[0];
    assert_eq!(
        (gateway.name.as_str(), gateway.offered, gateway.accepted, gateway.held),
        ("gateway", 77, 70, 4)
    );
    assert_eq!(gateway.dropped["no_chunk"], 3);
    assert_eq!((sources[1].offered, sources[1].accepted), (200, 200));
    assert!(pipeline.ledger().balanced());
    pipeline.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_places_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let sink = Default::default();
    {
        let pipeline = open(settings(directory.path())).unwrap();
        pipeline.targets().add(spec("down", Probe::new(&sink, always(Mood::Retry)))).await.unwrap();
        pipeline.intake().submit("har", exchanges(120, 1)).await.unwrap();
        eventually("it is tried", || account(&pipeline, "down").retries > 0).await;
        pipeline.shutdown(Duration::from_millis(20)).await;
    }
    let pipeline = open(settings(directory.path())).unwrap();
    pipeline.intake().submit("har", exchanges(10, 2)).await.unwrap();
    pipeline.targets().add(spec("down", Probe::new(&sink, always(Mood::Take)))).await.unwrap();
    eventually("all is delivered", || account(&pipeline, "down").held == 0).await;
    let account = account(&pipeline, "down");
    assert_eq!((account.offered, account.delivered, sink.count()), (130, 130, 130));
    assert_eq!(pipeline.ledger().snapshot().sources[0].accepted, 130);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slow_target_never_delays_another() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    let (slow, quick) = (Default::default(), Default::default());
    pipeline.targets().add(spec("slow", Probe::new(&slow, always(Mood::Stall)))).await.unwrap();
    pipeline.targets().add(spec("quick", Probe::new(&quick, always(Mood::Take)))).await.unwrap();
    for round in 0..20 {
        pipeline.intake().submit("har", exchanges(50, round)).await.unwrap();
    }
    eventually("the quick one has all", || quick.count() == 1_000).await;
    assert_eq!((account(&pipeline, "slow").held, slow.count()), (1_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_gets_what_its_filter_lets_through() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    let sink = Default::default();
    let mut filtered = spec("mine", Probe::new(&sink, always(Mood::Take)));
    filtered.filter = Filter::plugin("p1");
    pipeline.targets().add(filtered).await.unwrap();
    let mut batch = exchanges(100, 1);
    for (index, exchange) in batch.iter_mut().enumerate() {
        exchange.plugins = vec![format!("p{}", index % 4).into(), "other".into()];
    }
    pipeline.intake().offer("gateway", batch);
    eventually("its part is delivered", || account(&pipeline, "mine").delivered == 25).await;
    assert_eq!(account(&pipeline, "mine").offered, 25);
    eventually("it passes over the rest", || account(&pipeline, "mine").position == 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_exhausted_retries_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    let sink = Default::default();
    let add = |name: &str, mood, attempts| {
        let mut spec = spec(name, Probe::new(&sink, always(mood)));
        spec.queue.max_attempts = attempts;
        pipeline.targets().add(spec)
    };
    add("refuses", Mood::Refuse, None).await.unwrap();
    add("rejects", Mood::RejectFirst, None).await.unwrap();
    add("fails", Mood::Retry, Some(3)).await.unwrap();
    add("stalls", Mood::Stall, Some(2)).await.unwrap();
    add("panics", Mood::Panic, None).await.unwrap();
    pipeline.intake().submit("har", exchanges(10, 1)).await.unwrap();
    for (name, reason, count) in [
        ("refuses", reason::REFUSED, 10),
        ("rejects", reason::REFUSED, 1),
        ("fails", reason::RETRIES, 10),
        ("stalls", reason::RETRIES, 10),
        ("panics", reason::EXPORTER_FAILED, 10),
    ] {
        eventually(name, || account(&pipeline, name).held == 0).await;
        let account = account(&pipeline, name);
        assert_eq!(dropped(&account, reason), count, "{name}");
        assert!(account.last_error.is_some(), "{name}");
    }
    assert_eq!(account(&pipeline, "rejects").delivered, 9);
    assert!(account(&pipeline, "rejects").last_delivery.is_some());
    assert_eq!(account(&pipeline, "fails").retries, 2);
    assert_eq!(account(&pipeline, "fails").last_delivery, None);
    assert_eq!(account(&pipeline, "fails").next_attempt, None, "it was given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_batch_says_when_it_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    let mut waits = spec("waits", Probe::new(&Default::default(), always(Mood::Retry)));
    (waits.queue.initial_retry_delay, waits.queue.max_retry_delay) =
        (Duration::from_secs(600), Duration::from_secs(600));
    pipeline.targets().add(waits).await.unwrap();
    pipeline.intake().submit("har", exchanges(2, 1)).await.unwrap();
    eventually("the first failure", || account(&pipeline, "waits").next_attempt.is_some()).await;
    let account = account(&pipeline, "waits");
    assert_eq!((account.held, account.retries), (2, 1));
    assert!(account.next_attempt > account.last_error.map(|error| error.at));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_exporter_samples_out_is_counted_and_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    let sink = Default::default();
    pipeline.targets().add(spec("samples", Probe::new(&sink, always(Mood::SampleFirst)))).await.unwrap();
    pipeline.intake().submit("har", exchanges(10, 1)).await.unwrap();
    eventually("all is settled", || account(&pipeline, "samples").held == 0).await;
    let account = account(&pipeline, "samples");
    assert_eq!((account.delivered, dropped(&account, reason::SAMPLED)), (9, 1));
    assert_eq!((dropped(&account, reason::REFUSED), account.last_error.is_none()), (0, true));
    assert!(pipeline.ledger().balanced());
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_are_removed_and_replaced_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    let sink = Default::default();
    let targets = pipeline.targets();
    for name in ["drain", "drop", "swap"] {
        targets.add(spec(name, Probe::new(&sink, always(Mood::Retry)))).await.unwrap();
    }
    let again = targets.add(spec("swap", Probe::new(&sink, always(Mood::Take)))).await;
    assert!(matches!(again, Err(TargetError::Exists(name)) if name == "swap"));
    pipeline.intake().submit("har", exchanges(30, 1)).await.unwrap();

    assert!(targets.remove("drop", Removal::Drop).await);
    assert!(!targets.remove("drop", Removal::Drop).await);
    assert!(targets.remove("drain", Removal::Drain(Duration::from_millis(20))).await);
    for name in ["drain", "drop"] {
        let account = account(&pipeline, name);
        assert!(account.removed);
        assert_eq!((account.offered, dropped(&account, reason::REMOVED)), (30, 30));
    }

    // The same fingerprint leaves it alone, another one replaces it in place.
    let same =
        targets.reconcile(vec![spec("swap", Probe::new(&sink, always(Mood::Take)))], Removal::Drop).await;
    assert!(same.is_empty());
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(account(&pipeline, "swap").delivered, 0);
    let mut other = spec("swap", Probe::new(&sink, always(Mood::Take)));
    other.fingerprint = "new".to_owned();
    assert!(targets.reconcile(vec![other], Removal::Drop).await.is_empty());
    eventually("the new one delivers", || account(&pipeline, "swap").delivered == 30).await;
    assert_eq!(account(&pipeline, "swap").offered, 30);
    assert_eq!(targets.names().await, ["swap"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_target_gets_all_it_was_offered() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    let sink = Default::default();
    pipeline.targets().add(spec("a", Probe::new(&sink, always(Mood::Take)))).await.unwrap();
    pipeline.intake().submit("har", exchanges(500, 1)).await.unwrap();
    pipeline.targets().remove("a", Removal::Drain(Duration::from_secs(10))).await;
    assert_eq!(sink.count(), 500);
    assert_eq!(account(&pipeline, "a").delivered, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_target_may_begin_with_what_is_still_there() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    pipeline.intake().submit("har", exchanges(100, 1)).await.unwrap();
    let sink = Default::default();
    let mut late = spec("late", Probe::new(&sink, always(Mood::Take)));
    late.start = Start::Beginning;
    pipeline.targets().add(late).await.unwrap();
    eventually("it has all", || sink.count() == 100).await;
    assert_eq!(account(&pipeline, "late").offered, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_shutdown_began_nothing_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    let intake = pipeline.intake().clone();
    let ledger = pipeline.ledger().clone();
    pipeline.shutdown(Duration::from_secs(1)).await;
    assert_eq!(intake.submit("har", exchanges(1, 1)).await, Err(NoRoom::Closed));
    intake.offer("har", exchanges(2, 2));
    assert_eq!(ledger.snapshot().sources[0].dropped[reason::SHUTDOWN], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let Err(error) = open(settings(&file.join("journal"))) else { panic!("it opened") };
    assert!(error.to_string().contains("file/journal"), "{error}");

    let first = open(settings(directory.path())).unwrap();
    let Err(error) = open(settings(directory.path())) else { panic!("opened twice") };
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    first.shutdown(Duration::ZERO).await;
    open(settings(directory.path())).unwrap();
}

/// Drops calls to `/drop`, fails on calls to `/fail`.
struct Picky;

impl processors::Processor for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    fn process(&self, exchange: &mut weir_model::Exchange) -> processors::Verdict {
        assert!(exchange.request.path != "/fail", "on purpose");
        match exchange.request.path.as_str() {
            "/drop" => processors::Verdict::Drop(reason::SAMPLED),
            _ => processors::Verdict::Keep,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_processors_leave_out_is_counted_and_not_refused() {
    let directory = tempfile::tempdir().unwrap();
    let processors = Processors::new(vec![Box::new(Picky)]);
    let clock = std::sync::Arc::new(weir_kit::SystemClock);
    let pipeline = Pipeline::open(settings(directory.path()), processors, clock).unwrap();
    // More than are processed on the caller's thread.
    let mut batch = exchanges(100, 1);
    batch[3].request.path = "/drop".into();
    batch[70].request.path = "/fail".into();
    let mut live = pipeline.tap().subscribe(|_| true);
    let receipt = pipeline.intake().submit("har", batch).await.unwrap();
    assert_eq!(receipt, Receipt { saved: 98, dropped: 2 });
    assert_eq!(live.next().await.0.len(), 98);
    let source = pipeline.ledger().snapshot().sources.remove(0);
    assert_eq!((source.offered, source.accepted, source.held), (100, 98, 0));
    assert_eq!((source.dropped[reason::SAMPLED], source.dropped[reason::PROCESSOR_FAILED]), (1, 1));

    let mut batch = exchanges(1, 2);
    batch[0].request.path = "/drop".into();
    assert_eq!(pipeline.intake().submit("har", batch).await, Ok(Receipt { saved: 0, dropped: 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_the_patient_are_refused_and_the_others_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let mut cramped = settings(directory.path());
    cramped.journal.max_bytes = 100_000;
    let pipeline = open(cramped).unwrap();
    let sink = Default::default();
    // A store that takes everything and makes nothing durable.
    let store = StoreProbe::new(&sink, usize::MAX, always(Mood::Take));
    pipeline.targets().add(spec("store", store)).await.unwrap();
    let (mut taken, mut refused) = (0, 0);
    while refused < 3 {
        match pipeline.intake().submit("har", exchanges(20, taken)).await {
            Ok(receipt) => taken += receipt.saved as u64,
            Err(no_room) => {
                assert_eq!(no_room, NoRoom::Full);
                refused += 1;
            }
        }
        assert!(taken < 10_000, "the journal takes without end");
        // The writer looks at its room after each group.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    pipeline.intake().offer("gateway", exchanges(7, 1));
    let sources = pipeline.ledger().snapshot().sources;
    assert_eq!((sources[0].name.as_str(), sources[0].dropped[reason::INTAKE_FULL]), ("gateway", 7));
    assert_eq!((sources[1].accepted, sources[1].dropped[reason::INTAKE_FULL]), (taken, 60));
    assert!(pipeline.status().journal.full);
    eventually("the store has been handed all", || account(&pipeline, "store").delivered == taken).await;
    // The shutdown makes it durable, and after it there is room again.
    pipeline.shutdown(Duration::from_secs(5)).await;
    assert_eq!(sink.durable().len() as u64, taken);
}

/// Keeps what it was handed, batch by batch; from a given batch on it never answers.
#[derive(Default)]
struct Recorder {
    batches: Mutex<Vec<Vec<ExchangeId>>>,
    answers: usize,
}

impl Recorder {
    fn taking(answers: usize) -> Arc<Self> {
        Arc::new(Self { answers, ..Self::default() })
    }

    fn batches(&self) -> Vec<Vec<ExchangeId>> {
        self.batches.lock().unwrap().clone()
    }
}

#[async_trait]
impl Exporter for Recorder {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let number = {
            let mut batches = self.batches.lock().unwrap();
            batches.push(batch.exchanges.iter().map(|exchange| exchange.id).collect());
            batches.len()
        };
        if number > self.answers {
            std::future::pending::<()>().await;
        }
        Ok(Delivered::default())
    }
}

/// A target whose batches hold up to 20 and whose attempts have no end.
fn recording(recorder: &Arc<Recorder>, plugin: Option<&str>) -> TargetSpec {
    let mut spec = spec("recorder", recorder.clone());
    spec.queue.max_batch_size = 20;
    spec.queue.timeout = Duration::from_secs(3_600);
    spec.filter = plugin.map_or(Filter::All, Filter::plugin);
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_only_the_batch_on_its_way_is_repeated_and_it_is_the_same() {
    for plugin in [None, Some("mine")] {
        let directory = tempfile::tempdir().unwrap();
        let pipeline = open(settings(directory.path())).unwrap();
        let before = Recorder::taking(3);
        pipeline.targets().add(recording(&before, plugin)).await.unwrap();
        let mut batch = exchanges(140, 1);
        for exchange in batch.iter_mut().step_by(2) {
            exchange.plugins = vec!["mine".into()];
        }
        pipeline.intake().submit("har", batch).await.unwrap();
        eventually("three batches are delivered and one is on its way", || before.batches().len() == 4).await;
        let killed = copy(directory.path());
        pipeline.shutdown(Duration::ZERO).await;

        // More has come, and the settings are others: the batch that was on its way is formed again as it was.
        let pipeline = open(settings(killed.path())).unwrap();
        pipeline.intake().submit("har", exchanges(30, 2)).await.unwrap();
        let after = Recorder::taking(usize::MAX);
        let mut wider = recording(&after, plugin);
        wider.queue.max_batch_size = 1_000;
        pipeline.targets().add(wider).await.unwrap();
        eventually("the rest is delivered", || account(&pipeline, "recorder").held == 0).await;
        assert_eq!(after.batches()[0], before.batches()[3]);
        let mut all: Vec<ExchangeId> = before.batches()[..3].concat();
        all.extend(after.batches().concat());
        let expected = if plugin.is_some() { 70 } else { 170 };
        assert_eq!(all.len(), expected);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), expected, "nothing twice");
        let account = account(&pipeline, "recorder");
        assert_eq!((account.offered, account.delivered), (expected as u64, expected as u64));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_came_just_before_a_kill_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = open(settings(directory.path())).unwrap();
    let before = Recorder::taking(0);
    pipeline.targets().add(recording(&before, None)).await.unwrap();
    pipeline.intake().submit("har", exchanges(5, 1)).await.unwrap();
    let killed = copy(directory.path());
    pipeline.shutdown(Duration::ZERO).await;
    let pipeline = open(settings(killed.path())).unwrap();
    let after = Recorder::taking(usize::MAX);
    pipeline.targets().add(recording(&after, None)).await.unwrap();
    eventually("it has all", || after.batches().concat().len() == 5).await;
}
