//! The settings file and `weir check`.

#![allow(clippy::unwrap_used)]

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

#[test]
fn the_example_is_right() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/weir.toml");
    let (fine, text) = run(&["check", "--settings", file]);
    assert!(fine, "{text}");
}

#[tokio::test]
async fn the_declarative_example_serves_and_cannot_be_changed() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/kong.yaml");
    let weir = support::Weir::start_with(&[("WEIR_GATEWAY__DECLARATIVE_CONFIG", file)]).await;
    let without_key = weir.client.get(weir.proxy("/shop/a")).send().await.unwrap();
    assert_eq!(without_key.status(), 401);
    // Nothing listens at the example's service.
    let with_key = weir.client.get(weir.proxy("/shop/a")).header("apikey", "ann-key").send().await.unwrap();
    assert!([502, 503].contains(&with_key.status().as_u16()), "{}", with_key.status());
    assert_eq!(weir.configure("/services", &[("name", "b"), ("url", "http://b.test")]).await.status(), 405);
}

#[tokio::test]
async fn the_gateway_alone_and_the_server_alone_run_and_stop() {
    for (role, answering) in [("gateway", "admin"), ("server", "server")] {
        let mut weir = support::Weir::start_role(role, &[]).await;
        let path = if role == "gateway" { weir.admin("/status") } else { weir.server("/api/v1/ledger") };
        assert_eq!(weir.client.get(path).send().await.unwrap().status(), 200, "{answering}");
        weir.stop();
    }
}
