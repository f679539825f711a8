//! A folder of Tyk's API definitions: served as it is, and turned into a declarative file.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::redis::Server;
use support::{Weir, binary, run, upstream};
use weir_wire::tyk::record::Record;
use weir_wire::tyk::{lists, msgpack};

/// Two classic definitions and two OpenAPI documents, in front of `upstream`.
fn write_definitions(folder: &Path, upstream: &str) {
    let shop = json!({
        "name": "Shop", "api_id": "shop-1", "org_id": "acme", "active": true, "use_keyless": true,
        "version_data": {"not_versioned": true, "versions": {"Default": {
            "name": "Default", "use_extended_paths": true,
            "extended_paths": {
                "do_not_track_endpoints": [{"path": "/health", "method": "GET"}],
                "track_endpoints": [{"path": "/products/{id}", "method": "GET"}],
                "virtual": [{"path": "/script", "method": "GET"}],
            },
        }}},
        "proxy": {"listen_path": "/shop/", "target_url": format!("{upstream}/base"), "strip_listen_path": true},
        "enable_detailed_recording": true, "tags": ["public"], "expire_analytics_after": 60,
    });
    let accounts = json!({
        "name": "Accounts", "api_id": "accounts-1", "org_id": "acme", "use_keyless": false,
        "auth": {"auth_header_name": "X-Key"},
        "proxy": {"listen_path": "/accounts/", "target_url": upstream, "strip_listen_path": false},
    });
    let version = |id: &str, name: &str, more: Value| {
        let mut info = json!({"id": id, "orgId": "acme", "name": name, "state": {"active": true}});
        info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({
            "openapi": "3.0.3", "info": {"title": name, "version": "1"},
            "paths": {"/secret/{id}": {"get": {"operationId": "secret", "responses": {}}}},
            "x-tyk-api-gateway": {
                "info": info,
                "upstream": {"url": format!("{upstream}/{id}")},
                "server": {"listenPath": {"value": format!("/{id}/"), "strip": true}},
                "middleware": {"operations": {"secret": {"doNotTrackEndpoint": {"enabled": true}}}},
            },
        })
    };
    let versioning = json!({"versioning": {
        "enabled": true, "name": "v1", "default": "self", "location": "header", "key": "x-version", "fallbackToDefault": true,
        "versions": [{"name": "v2", "id": "pets-2"}],
    }});
    for (name, definition) in [
        ("shop.json", shop),
        ("accounts.json", accounts),
        ("pets.json", version("pets-1", "Pets", versioning)),
        ("pets-2.json", version("pets-2", "Pets two", json!({"state": {"internal": true}}))),
    ] {
        std::fs::write(folder.join(name), definition.to_string()).unwrap();
    }
}

/// What every record in Redis says, by the path and the query that the client sent.
fn records(redis: &Server) -> BTreeMap<String, Record<'static>> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", redis.port)).unwrap();
    let mut connection = client.get_connection().unwrap();
    let list = lists::name(lists::KEY_PREFIX, None, lists::Encoding::Msgpack);
    let values: Vec<Vec<u8>> = redis::cmd("LRANGE").arg(list).arg(0).arg(-1).query(&mut connection).unwrap();
    let read = |value: Vec<u8>| {
        let record = msgpack::decode(Vec::leak(value)).unwrap();
        (record.original_path.to_string(), record)
    };
    values.into_iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_served_and_recorded_as_tyk_would() {
    let (redis, upstream) = (Server::start().await, upstream().await);
    let folder = tempfile::tempdir().unwrap();
    write_definitions(folder.path(), &upstream);
    let target =
        json!({"tyk": {"kind": "tyk", "config": {"storage": {"host": "127.0.0.1", "port": redis.port}}}});
    let weir = Weir::start_with(&[
        ("WEIR_GATEWAY__TYK_DEFINITIONS", folder.path().to_str().unwrap()),
        ("WEIR_TARGETS", &target.to_string()),
    ])
    .await;

    for (path, version, status, at_upstream) in [
        ("/shop/products/7?a=1", "", 200, "/base/products/7"),
        ("/shop/health", "", 200, "/base/health"),
        ("/accounts/x", "", 401, ""),
        ("/pets-1/dogs", "", 200, "/pets-1/dogs"),
        ("/pets-1/cats", "v2", 200, "/pets-2/cats"),
        ("/pets-1/secret/5", "", 200, "/pets-1/secret/5"),
        ("/pets-1/secret/6", "v2", 200, "/pets-2/secret/6"),
        // Only a version of another API.
        ("/pets-2/dogs", "", 404, ""),
    ] {
        let mut request = weir.client.get(weir.proxy(path));
        if !version.is_empty() {
            request = request.header("x-version", version);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        if status == 200 {
            let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            assert_eq!(body["path"], at_upstream, "{path}");
        }
    }
    // Three calls are not tracked. A target of the settings is also offered the one that no API took, and makes no record of it.
    let all = |ledger: &Value| {
        let targets = ledger["targets"].as_array().unwrap();
        targets.iter().any(|target| target["kind"] == "tyk" && target["delivered"] == 5)
    };
    weir.wait_for("/api/v1/ledger", all).await;
    let records = records(&redis);
    let facts: Vec<[&str; 6]> = records
        .iter()
        .map(|(path, record)| {
            let Record { api_id, api_name, org_id, listen_path, api_version, .. } = record;
            [path.as_str(), api_id, api_name, org_id, listen_path, api_version]
        })
        .collect();
    let expected = [
        ["/accounts/x", "accounts-1", "Accounts", "acme", "/accounts/", "Non Versioned"],
        ["/pets-1/cats", "pets-2", "Pets two", "acme", "/pets-2/", "v2"],
        ["/pets-1/dogs", "pets-1", "Pets", "acme", "/pets-1/", "v1"],
        ["/shop/products/7?a=1", "shop-1", "Shop", "acme", "/shop/", "Non Versioned"],
    ];
    assert_eq!(facts, expected);
    let detailed: Vec<&str> = records
        .iter()
        .filter(|(_, record)| !record.raw_request.is_empty() || !record.raw_response.is_empty())
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(detailed, ["/shop/products/7?a=1"]);
    let shop = &records["/shop/products/7?a=1"];
    assert_eq!((shop.path.as_ref(), shop.track_path), ("/products/{id}", true));
    assert!(shop.tags.as_ref().unwrap().iter().any(|tag| tag == "public"), "{:?}", shop.tags);
    assert_eq!(shop.expire_at.seconds - shop.time_stamp.seconds, 60);
    assert_eq!(records["/accounts/x"].response_code, 401);
    // The Admin API shows what was made, and changes nothing.
    assert_eq!(weir.configure("/services", &[("name", "b"), ("url", "http://b.test")]).await.status(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_becomes_a_declarative_file_that_is_served() {
    let upstream = upstream().await;
    let folder = tempfile::tempdir().unwrap();
    write_definitions(folder.path(), &upstream);
    let output = Command::new(binary())
        .args(["convert", "tyk", folder.path().to_str().unwrap()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "not taken over: shop.json: version_data.versions.Default.extended_paths.virtual\n"
    );
    // A consumer is added by hand.
    let yaml = String::from_utf8(output.stdout).unwrap();
    let file = folder.path().join("weir.declarative");
    let consumer = "consumers:\n- username: ann\n  keyauth_credentials: [{key: k1}]\n";
    std::fs::write(&file, format!("{yaml}{consumer}")).unwrap();
    let weir = Weir::start_with(&[("WEIR_GATEWAY__DECLARATIVE_CONFIG", file.to_str().unwrap())]).await;
    let answer = weir.client.get(weir.proxy("/accounts/x")).header("x-key", "k1").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[test]
fn mistakes_are_told_with_file_and_key_and_nothing_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let broken = json!({"name": "a", "api_id": "a", "proxy": {"listen_path": "a/", "target_url": 5}});
    std::fs::write(folder.path().join("a.json"), broken.to_string()).unwrap();
    std::fs::write(folder.path().join("b.json"), "{").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not a definition").unwrap();
    let path = folder.path().to_str().unwrap();
    let (fine, told) = run(&["convert", "tyk", path]);
    assert!(!fine);
    for said in [
        "3 mistake(s) in API definitions",
        "a.json: proxy.target_url: expected text, not 5",
        "a.json: proxy.listen_path: \"a/\" does not begin with /",
        "b.json: not JSON: ",
    ] {
        assert!(told.contains(said), "{said} is not in: {told}");
    }

    for (variables, said) in [
        (&[("WEIR_GATEWAY__TYK_DEFINITIONS", path)][..], "a.json: proxy.target_url"),
        (
            &[("WEIR_GATEWAY__TYK_DEFINITIONS", path), ("WEIR_GATEWAY__DECLARATIVE_CONFIG", path)],
            "give either gateway.declarative_config or gateway.tyk_definitions, not both",
        ),
        (&[("WEIR_GATEWAY__TYK_DEFINITIONS", "/nowhere/at/all")], "/nowhere/at/all"),
    ] {
        let data = tempfile::tempdir().unwrap();
        let output = Command::new(binary())
            .args(["gateway"])
            .env("WEIR_DATA_DIR", data.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(said), "{said} is not in: {told}");
    }
}
