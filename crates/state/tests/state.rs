//! What the state promises, over a file and in memory.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use uuid::Uuid;
use weir_state::{Record, State, StateError};

fn record(number: u128, body: Value) -> Record {
    Record {
        unique: vec![("name".to_owned(), body["name"].as_str().unwrap().to_owned())],
        index: vec![("parity".to_owned(), if number.is_multiple_of(2) { "even" } else { "odd" }.to_owned())],
        ..Record::new(Uuid::from_u128(number), body)
    }
}

fn put(state: &State, number: u128, name: &str) -> Result<i64, StateError> {
    state.write(|writer| writer.put("things", &record(number, json!({"name": name}))))
}

fn names(state: &State) -> Vec<String> {
    let stored = state.read(|reader| reader.all("things")).unwrap();
    stored.into_iter().map(|stored| stored.body["name"].as_str().unwrap().to_owned()).collect()
}

/// Runs a check against both variants.
fn both(check: impl Fn(&State)) {
    check(&State::in_memory().unwrap());
    let folder = tempfile::tempdir().unwrap();
    check(&State::open(&folder.path().join("state.sqlite")).unwrap());
}

#[test]
fn records_are_found_by_id_name_and_index() {
    both(|state| {
        for number in 1..=5 {
            put(state, number, &format!("n{number}")).unwrap();
        }
        let get = state.read(|reader| reader.get("things", Uuid::from_u128(2))).unwrap().unwrap();
        assert_eq!(get.body, json!({"name": "n2"}));
        let found = state.read(|reader| reader.find("things", "name", "n2")).unwrap().unwrap();
        assert_eq!(found, get);
        assert_eq!(state.read(|reader| reader.find("others", "name", "n2")).unwrap(), None);
        let odd = state.read(|reader| reader.list_by("things", ("parity", "odd"), 0, 10)).unwrap();
        assert_eq!(odd.records.len(), 3);
        assert_eq!(state.read(|reader| reader.count("things")).unwrap(), 5);
    });
}

#[test]
fn pages_follow_each_other_in_the_order_of_creation() {
    both(|state| {
        for number in (1..=5).rev() {
            put(state, number, &format!("n{number}")).unwrap();
        }
        put(state, 4, "renamed").unwrap();
        let mut seen = Vec::new();
        let mut after = 0;
        loop {
            let page = state.read(|reader| reader.list("things", after, 2)).unwrap();
            assert!(page.records.len() <= 2);
            seen.extend(page.records.iter().map(|stored| stored.body["name"].as_str().unwrap().to_owned()));
            let Some(next) = page.next else { break };
            after = next;
        }
        assert_eq!(seen, ["n5", "renamed", "n3", "n2", "n1"]);
    });
}

#[test]
fn revisions_tell_what_has_changed() {
    both(|state| {
        let revisions = || state.read(|reader| reader.revisions("things")).unwrap();
        let first = put(state, 1, "a").unwrap();
        put(state, 2, "b").unwrap();
        let before = revisions();
        put(state, 1, "c").unwrap();
        let after = revisions();
        assert_eq!(before[1], after[1]);
        assert_eq!((before[0].0, after[0].0), (first, first));
        assert_ne!(before[0].1, after[0].1);
        let at = state.read(|reader| reader.at("things", first)).unwrap().unwrap();
        assert_eq!(at.body, json!({"name": "c"}));
        assert_eq!(state.read(|reader| reader.at("others", first)).unwrap(), None);
    });
}

#[test]
fn unique_names_are_kept_and_given_back() {
    both(|state| {
        put(state, 1, "a").unwrap();
        let taken = put(state, 2, "a").unwrap_err();
        assert_eq!(taken.to_string(), "things: name \"a\" is taken");
        assert_eq!(names(state), ["a"]);
        put(state, 1, "b").unwrap();
        put(state, 2, "a").unwrap();
        assert!(state.write(|writer| writer.delete("things", Uuid::from_u128(1))).unwrap());
        assert!(!state.write(|writer| writer.delete("things", Uuid::from_u128(1))).unwrap());
        put(state, 3, "b").unwrap();
        assert_eq!(names(state), ["a", "b"]);
        state.write(|writer| writer.clear("things")).unwrap();
        put(state, 4, "a").unwrap();
    });
}

#[test]
fn a_refused_change_leaves_nothing_behind() {
    both(|state| {
        put(state, 1, "a").unwrap();
        let version = state.version().unwrap();
        let refused = state.write(|writer| {
            writer.put("things", &record(2, json!({"name": "b"})))?;
            writer.set_setting("s", "1")?;
            Err::<(), _>(StateError::TooNew { found: 0, known: 0 })
        });
        assert!(refused.is_err());
        assert_eq!(names(state), ["a"]);
        assert_eq!(state.read(|reader| reader.setting("s")).unwrap(), None);
        assert_eq!(state.version().unwrap(), version);
        put(state, 2, "b").unwrap();
        assert_eq!(state.version().unwrap(), version + 1);
    });
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.sqlite");
    let state = State::open(&file).unwrap();
    put(&state, 1, "a").unwrap();
    let version = state.version().unwrap();
    drop(state);
    let state = State::open(&file).unwrap();
    assert_eq!(names(&state), ["a"]);
    assert_eq!(state.version().unwrap(), version);
}

/// A crash leaves the file and its write-ahead log as they are at that moment. Copies of the two, with the log cut anywhere, must
/// open and hold a prefix of what was written.
#[test]
fn a_crash_at_any_byte_loses_only_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.sqlite");
    let state = State::open(&file).unwrap();
    let written: Vec<String> = (1..=8).map(|number| format!("n{number}")).collect();
    for (number, name) in written.iter().enumerate() {
        put(&state, number as u128, name).unwrap();
    }
    let main = std::fs::read(&file).unwrap();
    let log = std::fs::read(folder.path().join("state.sqlite-wal")).unwrap();
    let mut counts = std::collections::BTreeSet::new();
    for cut in (0..=log.len()).step_by(1_999).chain([log.len()]) {
        let crashed = tempfile::tempdir().unwrap();
        let copy = crashed.path().join("state.sqlite");
        std::fs::write(&copy, &main).unwrap();
        std::fs::write(crashed.path().join("state.sqlite-wal"), &log[..cut]).unwrap();
        let found = names(&State::open(&copy).unwrap());
        assert_eq!(found, written[..found.len()], "cut at {cut}");
        counts.insert(found.len());
    }
    assert!(counts.len() > 4, "the cuts must fall between writes too: {counts:?}");
    assert_eq!(counts.last(), Some(&written.len()));
}

#[test]
fn readers_see_whole_changes_beside_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.sqlite")).unwrap();
    let pair = |name: &str| {
        state.write(|writer| {
            writer.put("things", &record(1, json!({"name": name})))?;
            writer.put("twins", &record(1, json!({"name": name})))
        })
    };
    pair("start").unwrap();
    let finished = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut reads = 0;
                while !finished.load(Ordering::Relaxed) || reads == 0 {
                    let (one, two) = state
                        .read(|reader| Ok::<_, StateError>((reader.all("things")?, reader.all("twins")?)))
                        .unwrap();
                    assert_eq!(one[0].body, two[0].body);
                    reads += 1;
                }
            });
        }
        for number in 0..50 {
            pair(&format!("n{number}")).unwrap();
        }
        finished.store(true, Ordering::Relaxed);
    });
}
