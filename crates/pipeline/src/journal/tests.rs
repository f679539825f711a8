use std::os::unix::fs::FileExt;
use std::path::Path;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use weir_kit::SystemClock;
use weir_model::{Exchange, ExchangeId};

use super::*;
use crate::ledger::reason;
use crate::record;
use crate::testing::random_exchange;

fn ledger() -> Arc<Ledger> {
    Arc::new(Ledger::new(Arc::new(SystemClock)))
}

fn settings(directory: &Path) -> JournalSettings {
    JournalSettings { eventual_delay: Duration::from_millis(1), ..JournalSettings::in_directory(directory) }
}

fn open(settings: JournalSettings) -> Journal {
    Journal::open(settings, ledger()).unwrap()
}

fn exchanges(count: usize, seed: u64) -> Vec<Exchange> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| random_exchange(&mut rng)).collect()
}

/// A frame of these exchanges, and where its receipt arrives.
fn frame(exchanges: &[Exchange]) -> (Pending, oneshot::Receiver<Result<(), String>>) {
    let (sender, receipt) = oneshot::channel();
    let (mut records, mut entries) = (Vec::new(), Vec::new());
    for exchange in exchanges {
        let mut bytes = Vec::new();
        record::encode(exchange, &mut bytes);
        record::frame(&bytes, &mut records);
        entries.push((Arc::new(exchange.clone()), bytes.len() as u32));
    }
    (Pending { source: "test".to_owned(), entries, records, receipt: Some(sender) }, receipt)
}

async fn append(journal: &Journal, exchanges: &[Exchange]) {
    let (pending, receipt) = frame(exchanges);
    journal.shared.ledger.offered("test", exchanges.len() as u64);
    journal.append(vec![pending]).unwrap();
    receipt.await.unwrap().unwrap();
}

fn enter(journal: &Journal, name: &str, position: u64, essential: bool) {
    journal.shared.ledger.join(name, Default::default(), position);
    let filter = Filter::All;
    let cursor = Cursor { filter, read: position, keep: position, essential, mode: Mode::Live };
    journal.with_state(|state| state.cursors.insert(name.to_owned(), cursor));
}

const ANY: Limits =
    Limits { max_items: usize::MAX, max_bytes: usize::MAX, at_least_one: true, before: u64::MAX };

/// All that a reader can get, and whether something was damaged on the way.
async fn read_all(journal: &Journal, name: &str, limits: Limits) -> (Vec<ExchangeId>, bool) {
    let (mut reader, mut ids, mut damaged) = (Reader::default(), Vec::new(), false);
    loop {
        let chunk = journal.read(name, &mut reader, limits).await.unwrap();
        damaged |= chunk.damaged;
        assert!(chunk.items.len() <= limits.max_items);
        ids.extend(chunk.items.iter().map(|item| item.exchange.id));
        if chunk.caught_up {
            return (ids, damaged);
        }
    }
}

fn ids(exchanges: &[Exchange]) -> Vec<ExchangeId> {
    exchanges.iter().map(|exchange| exchange.id).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What a journal in a copy of this directory holds.
async fn contents(directory: &Path) -> (Vec<ExchangeId>, bool) {
    let journal = open(settings(directory));
    enter(&journal, "reader", 0, false);
    read_all(&journal, "reader", ANY).await
}

fn copy(from: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

#[tokio::test]
async fn memory_and_disk_give_the_same_in_any_portions() {
    let directory = tempfile::tempdir().unwrap();
    let small = JournalSettings { segment_bytes: 20_000, ..settings(directory.path()) };
    let all = exchanges(200, 1);
    let journal = open(small.clone());
    enter(&journal, "keeps it", 0, false);
    for batch in all.chunks(7) {
        append(&journal, batch).await;
    }
    assert!(journal.with_state(|state| state.segments.len()) > 3, "one segment only");
    let portions = [
        ANY,
        Limits { max_items: 1, ..ANY },
        Limits { max_items: 10, ..ANY },
        Limits { max_bytes: 5_000, ..ANY },
        Limits { max_bytes: 0, ..ANY },
    ];
    for limits in portions {
        enter(&journal, "reader", 0, false);
        assert_eq!(read_all(&journal, "reader", limits).await, (ids(&all), false), "memory, {limits:?}");
    }
    drop(journal);
    let journal = open(small);
    for limits in portions {
        enter(&journal, "reader", 0, false);
        assert_eq!(read_all(&journal, "reader", limits).await, (ids(&all), false), "disk, {limits:?}");
    }
    enter(&journal, "reader", 123, false);
    assert_eq!(read_all(&journal, "reader", ANY).await.0, ids(&all[123..]));
}

/// Three frames of three exchanges each in one segment, and where each frame ends.
fn three_frames(directory: &Path) -> (Vec<Exchange>, Vec<u64>) {
    let all = exchanges(9, 5);
    let mut ends = Vec::new();
    runtime().block_on(async {
        let journal = open(settings(directory));
        for batch in all.chunks(3) {
            append(&journal, batch).await;
            ends.push(journal.status().bytes);
        }
    });
    (all, ends)
}

#[test]
fn a_journal_cut_anywhere_keeps_every_whole_frame_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (all, ends) = three_frames(directory.path());
    let more = exchanges(2, 6);
    let length = ends[2];
    // Every byte of the segment's and of a frame's head, and a sample of the rest; the bodies are alike.
    let heads = (0..60).chain(ends[1] - 3..ends[1] + 40);
    let places: std::collections::BTreeSet<u64> =
        heads.chain((0..length).step_by(997)).chain(length - 5..=length).collect();
    for place in places {
        let copy = copy(directory.path());
        std::fs::remove_file(copy.path().join("ledger.json")).unwrap();
        let file = File::options().write(true).open(segment::path(copy.path(), 0)).unwrap();
        file.set_len(place).unwrap();
        let kept = ends.iter().filter(|end| **end <= place).count() * 3;
        runtime().block_on(async {
            {
                let journal = open(settings(copy.path()));
                assert_eq!(journal.status().end_position, kept as u64, "cut at {place}");
                append(&journal, &more).await;
                let sources = journal.shared.ledger.snapshot().sources;
                assert_eq!(sources[0].accepted, kept as u64 + 2, "cut at {place}");
            }
            let expected = [&all[..kept], &more].concat();
            assert_eq!(contents(copy.path()).await, (ids(&expected), false), "cut at {place}");
        });
    }
}

#[test]
fn a_flipped_bit_in_the_last_segment_ends_the_journal_there() {
    let directory = tempfile::tempdir().unwrap();
    let (all, ends) = three_frames(directory.path());
    proptest!(ProptestConfig::with_cases(60), |(place in 0..ends[2], bit in 0..8u32)| {
        let copy = copy(directory.path());
        flip(copy.path(), 0, place, bit);
        let kept = ends.iter().filter(|end| **end <= place).count() * 3;
        let (found, damaged) = runtime().block_on(contents(copy.path()));
        if place < frame::HEADER_BYTES as u64 {
            // The header says where the segment begins; without it nothing in it can be placed.
            prop_assert!(found.is_empty() || found == ids(&all), "{} at {place}", found.len());
        } else {
            prop_assert_eq!((found, damaged), (ids(&all[..kept]), false));
        }
    });
}

fn flip(directory: &Path, base: u64, place: u64, bit: u32) {
    let file = File::options().read(true).write(true).open(segment::path(directory, base)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ (1 << bit)], place).unwrap();
}

#[tokio::test]
async fn damage_in_an_earlier_segment_loses_a_frame_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let all = exchanges(30, 3);
    let small = JournalSettings { segment_bytes: 4_096, ..settings(directory.path()) };
    {
        let journal = open(small.clone());
        enter(&journal, "reader", 0, false);
        for batch in all.chunks(1) {
            append(&journal, batch).await;
        }
        let long = |segment: &&segment::Segment| segment.base > 0 && segment.end - segment.base > 1;
        let base = journal.with_state(|state| state.segments.values().find(long).map(|segment| segment.base));
        let base = base.unwrap();
        // In the body of the first frame of a segment that has more of them.
        flip(directory.path(), base, frame::HEADER_BYTES as u64 + 40, 0);
        journal.with_state(|state| state.tail.forget_before(u64::MAX));
        let mut expected = ids(&all);
        expected.remove(base as usize);
        assert_eq!(read_all(&journal, "reader", ANY).await, (expected, true));
        assert_eq!(journal.write_off("reader", reason::JOURNAL_DAMAGED), 30, "nothing was settled");
    }
    // It still opens, and a segment that is gone is damage too.
    std::fs::remove_file(segment::path(directory.path(), 0)).unwrap();
    assert!(contents(directory.path()).await.0.len() < 29);
}

#[tokio::test]
async fn the_oldest_goes_when_there_is_no_room_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let cramped = JournalSettings { max_bytes: 64_000, ..settings(directory.path()) };
    let journal = open(cramped);
    enter(&journal, "slow", 0, false);
    enter(&journal, "quick", 0, false);
    let mut reader = Reader::default();
    let all = exchanges(300, 1);
    for batch in all.chunks(3) {
        append(&journal, batch).await;
        let chunk = journal.read("quick", &mut reader, ANY).await.unwrap();
        journal.shared.ledger.settled("quick", chunk.next, chunk.items.len() as u64, &[]);
        journal.release("quick", chunk.next);
    }
    journal.tidy();
    let (rest, damaged) = read_all(&journal, "slow", ANY).await;
    assert!(!damaged);
    let snapshot = journal.shared.ledger.snapshot();
    let [quick, slow] = &snapshot.targets[..] else { panic!("{snapshot:?}") };
    assert_eq!((quick.delivered, quick.dropped.len()), (300, 0));
    let lost = slow.dropped[reason::JOURNAL_FULL];
    assert_eq!(lost + rest.len() as u64, 300);
    assert_eq!(rest, ids(&all[lost as usize..]), "the oldest were lost");
    assert!(journal.status().bytes < 64_000 + 8_000 + 10_000, "{}", journal.status().bytes);
}

#[tokio::test]
async fn what_the_store_needs_is_kept_and_new_records_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(JournalSettings { max_bytes: 64_000, ..settings(directory.path()) });
    enter(&journal, "store", 0, true);
    let all = exchanges(2_000, 1);
    let mut taken = 0;
    for batch in all.chunks(3) {
        let (pending, receipt) = frame(batch);
        match journal.append(vec![pending]) {
            Ok(()) => {
                journal.shared.ledger.offered("test", batch.len() as u64);
                receipt.await.unwrap().unwrap();
                taken += batch.len();
                // The writer decides about fullness right after it has sent the receipts.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Err(no_room) => {
                assert_eq!(no_room, NoRoom::Full);
                break;
            }
        }
    }
    assert!((6..1_500).contains(&taken), "{taken}");
    assert!(journal.status().full);
    let waiting = journal.wait_for_room(0);
    assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());

    let (found, _) = read_all(&journal, "store", ANY).await;
    assert_eq!(found, ids(&all[..taken]), "nothing was lost");
    journal.release("store", taken as u64);
    tokio::time::timeout(Duration::from_secs(5), journal.wait_for_room(0)).await.unwrap().unwrap();
    append(&journal, &all[..1]).await;
}

#[tokio::test]
async fn positions_may_jump_ahead_and_never_go_back() {
    let directory = tempfile::tempdir().unwrap();
    let all = exchanges(9, 1);
    {
        let journal = open(settings(directory.path()));
        enter(&journal, "reader", 0, false);
        append(&journal, &all[..3]).await;
        journal.skip_to(2).await.unwrap();
        assert_eq!(journal.status().end_position, 3);
        journal.skip_to(1_000).await.unwrap();
        assert_eq!(read_all(&journal, "reader", ANY).await.0, ids(&all[..3]));
        append(&journal, &all[3..6]).await;
        assert_eq!(journal.status().end_position, 1_003);
    }
    let journal = open(settings(directory.path()));
    append(&journal, &all[6..]).await;
    assert_eq!(journal.count(&Filter::All, 0..2_000).await.unwrap(), 9);
    enter(&journal, "reader", 0, false);
    assert_eq!(read_all(&journal, "reader", ANY).await, (ids(&all), false));
}

#[tokio::test]
async fn a_failing_disk_is_reported_and_counted_and_the_journal_goes_on_after() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let all = exchanges(9, 1);
    let journal = open(JournalSettings { segment_bytes: 4_096, ..settings(&path) });
    enter(&journal, "reader", 0, false);
    append(&journal, &all[..3]).await;
    // The next segment cannot be created: its name is taken by a directory.
    std::fs::create_dir(segment::path(&path, 3)).unwrap();
    journal.with_state(|state| assert!(state.bytes() > 4_096, "the segment is not full"));
    let (pending, receipt) = frame(&all[3..6]);
    journal.shared.ledger.offered("test", 3);
    journal.append(vec![pending]).unwrap();
    let error = receipt.await.unwrap().unwrap_err();
    assert!(error.contains("directory"), "{error}");
    assert_eq!(journal.shared.ledger.snapshot().sources[0].dropped[reason::JOURNAL_FAILED], 3);
    assert!(journal.status().last_failure.is_some());
    assert_eq!(journal.status().queue_bytes, 0);

    std::fs::remove_dir(segment::path(&path, 3)).unwrap();
    append(&journal, &all[6..]).await;
    assert!(journal.shared.ledger.balanced());
    drop(journal);
    let (found, damaged) = contents(&path).await;
    assert_eq!((found, damaged), ([ids(&all[..3]), ids(&all[6..])].concat(), false));
}

proptest! {
    #[test]
    fn foreign_segments_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), header: bool) {
        let directory = tempfile::tempdir().unwrap();
        let start = frame::SegmentHeader { base: 0, previous_end: 0 }.to_bytes();
        let head: &[u8] = if header { &start } else { &[] };
        std::fs::write(segment::path(directory.path(), 0), [head, &bytes].concat()).unwrap();
        segment::recover(&segment::path(directory.path(), 0)).unwrap();
    }
}
