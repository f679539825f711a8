//! Real logs, hostile logs, and what foreign bytes do.

use std::fmt::Write;
use std::path::PathBuf;

use expect_test::expect_file;
use proptest::prelude::*;
use weir_pipeline::{Imported, ImporterKind};

use super::{COMBINED, COMMON, JSON};
use crate::registry;

fn testdata(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path)
}

fn import(kind: &ImporterKind, bytes: &[u8], piece: usize) -> Imported {
    let (mut importer, mut out) = ((kind.open)(), Imported::default());
    for piece in bytes.chunks(piece.max(1)) {
        importer.feed(piece, &mut out);
    }
    importer.finish(&mut out);
    out
}

#[test]
fn a_real_log_is_read_but_for_its_broken_line() {
    let log = std::fs::read(testdata("access-logs-apache/apache_combined_10k.log")).unwrap();
    let imported = import(&COMBINED, &log, 8_191);
    assert_eq!((imported.offered, imported.accepted.len()), (10_000, 9_999));
    let [broken] = imported.rejected.as_slice() else { panic!("{:?}", imported.rejected) };
    let line = log.split(|byte| *byte == b'\n').nth(broken.index - 1).unwrap();
    assert!(line.starts_with(b"46.118.127.106 - - [20/May/2015:12:05:17 +0000]"));
    let reason = format!("line {}: the quote of the user agent is never closed: ", broken.index);
    assert!(broken.reason.starts_with(&reason), "{}", broken.reason);

    let count = |status: u16| imported.accepted.iter().filter(|one| one.status() == Some(status)).count();
    assert_eq!([200, 304, 404, 301, 206, 500, 403, 416].map(count), [9_125, 445, 213, 164, 45, 3, 2, 2]);
    let method = |name: &str| imported.accepted.iter().filter(|one| one.request.method == name).count();
    assert_eq!(["GET", "HEAD", "POST", "OPTIONS"].map(method), [9_951, 42, 5, 1]);

    let again = import(&COMBINED, &log, 100_000);
    assert_eq!(again.accepted, imported.accepted, "the same file gives the same ids");
    let mut ids: Vec<_> = again.accepted.iter().map(|exchange| exchange.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 9_999, "repeated lines are different exchanges");
}

/// A table of every log of attacks: the format that detection found, and what was read. The table is kept as a file, so
/// that a change in what is understood shows.
#[test]
fn logs_of_attacks_are_recognised_or_left_alone() {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(testdata("access-logs-attacks"))
        .unwrap()
        .map(|folder| folder.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let mut table = String::new();
    for folder in &folders {
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|ending| ending == "log") {
                let log = std::fs::read(&file).unwrap();
                let name = folder.file_name().unwrap().to_string_lossy();
                writeln!(table, "{name}: {}", summary(&log)).unwrap();
            }
        }
    }
    assert_eq!(folders.len(), 100);
    expect_file!["testdata/attacks.txt"].assert_eq(&table);
}

fn summary(log: &[u8]) -> String {
    let Some(kind) = registry::detect(log) else { return "not recognised".to_owned() };
    let imported = import(kind, log, 4_096);
    let rejected = imported.rejected.len();
    assert_eq!(imported.offered as usize, imported.accepted.len() + rejected);
    let first =
        imported.rejected.first().map(|rejected| format!(" ({})", rejected.reason)).unwrap_or_default();
    format!("{} {} read, {rejected} rejected{first}", kind.name, imported.accepted.len())
}

const LINE: &str =
    r#"a.test 192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b HTTP/1.0" 200 23 "-" "M\x41\"" 1"#;
const OBJECT: &str =
    r#"{"ts":1767225602.5,"request":{"method":"GET","uri":"/x"},"status":200,"duration":0.5}"#;

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        for kind in [COMBINED, COMMON, JSON] {
            let imported = import(&kind, &bytes, 7);
            prop_assert_eq!(imported.offered as usize, imported.accepted.len() + imported.rejected.len());
        }
        let _kind = registry::detect(&bytes);
    }

    #[test]
    fn damaged_lines_never_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for (kind, line) in [(COMBINED, LINE), (COMMON, LINE), (JSON, OBJECT)] {
            let mut line = line.as_bytes().to_vec();
            for (index, byte) in &damage {
                let index = index.index(line.len());
                line[index] = *byte;
            }
            let imported = import(&kind, &line, 1_000);
            prop_assert_eq!(imported.offered as usize, imported.accepted.len() + imported.rejected.len());
        }
    }
}
