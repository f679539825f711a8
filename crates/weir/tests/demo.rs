//! The demonstration against a fresh weir: every call gets its planned answer, every call is kept, no secret is.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::Weir;

const CALLS: u64 = 600;

/// Every secret in the demonstration's traffic holds this text.
const SECRET_MARK: &[u8] = b"s3cr3t";

#[tokio::test(flavor = "multi_thread")]
async fn demonstration_is_as_planned_whole_and_without_secrets() {
    let weir = Weir::start_with(&[("WEIR_STORE__COMMIT_INTERVAL", "200ms")]).await;
    let report = demonstrate(&weir).await;
    assert_eq!(report["surprises"], json!([]));
    assert_eq!(report["answered"], CALLS);

    let ledger = weir.wait_for("/api/v1/ledger", |ledger| ledger["targets"][0]["delivered"] == CALLS).await;
    assert_eq!(ledger["balanced"], true);
    assert_eq!(ledger["sources"][0]["offered"], CALLS);
    weir.wait_for("/api/v1/ledger", |ledger| ledger["store"]["uncommitted"] == 0).await;

    for (query, fewest) in [
        ("protocol:graphql", 5),
        ("protocol:json_rpc", 5),
        ("protocol:soap", 5),
        ("endpoint:\"/api/orders/{id}\"", 5),
        ("consumer:web-shop", 20),
        ("consumer:web-shop country:DE", 20),
        ("status:502", 5),
        ("operation:ProductPage", 1),
        ("operation_error:-32601", 1),
    ] {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let answer = weir.ask(&format!("/api/v1/exchanges?limit=1&q={query}")).await;
        let count = answer["total"]["value"].as_u64().unwrap();
        assert!(count >= fewest, "{query}: {count}");
    }
    let found = weir.ask("/api/v1/exchanges?limit=1&q=s3cr3t").await;
    assert_eq!(found["total"]["value"], 0, "{found}");
    let export = weir
        .client
        .get(weir.server("/api/v1/export?format=ndjson"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(export.lines().count() as u64, CALLS);
    assert!(!export.contains("s3cr3t"), "{:?}", export.lines().find(|line| line.contains("s3cr3t")));
    // The keys that the gateway checks are its settings, and stay as they were given.
    let leaks: Vec<PathBuf> = leaks_below(&weir.data_dir());
    assert!(leaks.is_empty(), "secrets in {leaks:?}");
}

async fn demonstrate(weir: &Weir) -> Value {
    let output = tokio::task::spawn_blocking({
        let (admin, proxy) = (weir.admin(""), weir.proxy(""));
        move || {
            Command::new(support::binary())
                .args(["demo", "--seed", "1", "--rate", "300", "--count", &CALLS.to_string()])
                .args(["--admin", &admin, "--proxy", &proxy])
                .stdin(Stdio::null())
                .output()
                .unwrap()
        }
    });
    let output = output.await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let begin =
        text.find('{').unwrap_or_else(|| panic!("no report: {text} {:?}", String::from_utf8(output.stderr)));
    serde_json::from_str(&text[begin..]).unwrap()
}

/// Files, other than those of the gateway's settings, that hold a secret in clear.
fn leaks_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_settings = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("state.db"));
        if path.is_dir() {
            found.extend(leaks_below(&path));
        } else if !is_settings {
            // A file may go between listing and reading when the store merges.
            let bytes = fs::read(&path).unwrap_or_default();
            if bytes.windows(SECRET_MARK.len()).any(|window| window == SECRET_MARK) {
                found.push(path);
            }
        }
    }
    found
}
