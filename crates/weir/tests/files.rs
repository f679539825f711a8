//! `weir import` and `weir export` against a running weir.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use support::{Weir, run};

const TESTDATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata");

fn import(weir: &Weir, file: &str) -> String {
    let (fine, text) = run(&["import", "--server", &weir.server("/"), file]);
    assert!(fine, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_access_log_is_imported_with_exact_counts_and_twice_is_once() {
    let weir = Weir::start().await;
    let file = format!("{TESTDATA}/access-logs-apache/apache_combined_10k.log");
    let text = import(&weir, &file);
    assert!(text.contains("10000 read, 9999 accepted, 1 rejected"), "{text}");
    weir.wait_for("/api/v1/exchanges?limit=1", |list| list["total"]["value"] == 9_999).await;
    for (query, count) in [("status:404", 213), ("method:HEAD", 42), ("status:>=500", 3)] {
        let path = format!("/api/v1/exchanges?limit=1&q={query}");
        assert_eq!(weir.ask(&path).await["total"]["value"], count, "{query}");
    }
    import(&weir, &file);
    weir.wait_for("/api/v1/ledger", |ledger| ledger["targets"][0]["held"] == 0).await;
    assert_eq!(weir.ask("/api/v1/exchanges?limit=1").await["total"]["value"], 9_999);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_har_goes_in_and_comes_out_with_the_same_entries() {
    let weir = Weir::start().await;
    let file = format!("{TESTDATA}/har-sites/run.sitespeed.io.har");
    let text = import(&weir, &file);
    assert!(text.contains(" 0 rejected"), "{text}");
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let entries = written["log"]["entries"].as_array().unwrap().len();
    weir.wait_for("/api/v1/exchanges?limit=1", |list| list["total"]["value"] == entries).await;

    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out.har");
    let (fine, text) = run(&["export", "--server", &weir.server("/"), "--output", out.to_str().unwrap()]);
    assert!(fine, "{text}");
    let mut theirs = urls(Path::new(&file));
    let mut ours = urls(&out);
    theirs.sort();
    ours.sort();
    assert_eq!(ours, theirs);
}

fn urls(har: &Path) -> Vec<String> {
    let har: serde_json::Value = serde_json::from_slice(&std::fs::read(har).unwrap()).unwrap();
    let entries = har["log"]["entries"].as_array().unwrap().iter();
    entries.map(|entry| format!("{} {}", entry["request"]["method"], entry["request"]["url"])).collect()
}
