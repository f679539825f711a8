//! The settings file and `weir check`.

mod support;

use support::run;

#[test]
fn check_reports_every_mistake_at_once_with_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("weir.toml");
    std::fs::write(&file, "[gateway]\nworkers = 0\nproxy_lisen = 'x'\n[store]\nretention = 'long'\n[targets.a]\nkind = 'nowhere'\n")
        .unwrap();
    let (fine, text) = run(&["check", "--settings", file.to_str().unwrap()]);
    assert!(!fine);
    for key in ["gateway.workers", "gateway.proxy_lisen", "store.retention", "targets.a.kind"] {
        assert!(text.contains(key), "{key} is not in: {text}");
    }
}

#[test]
fn check_is_content_without_a_file() {
    let (fine, text) = run(&["check"]);
    assert!(fine, "{text}");
}

#[test]
fn the_configuration_page_is_fresh() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md"));
    let (fine, text) = run(&["check", "--documentation"]);
    assert!(fine);
    assert!(
        page.unwrap() == text,
        "docs/configuration.md is stale: weir check --documentation > docs/configuration.md"
    );
}
