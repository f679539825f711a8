//! Definitions and what becomes of them.

use std::path::PathBuf;

use expect_test::expect_file;
use proptest::prelude::*;

use super::*;

/// The definitions of a folder, by name.
fn folder() -> Vec<File> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tyk/definitions/testdata/apps");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<File> = files
        .map(|path| File {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            text: std::fs::read_to_string(path).unwrap(),
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn file(name: &str, text: impl ToString) -> File {
    File { name: name.to_owned(), text: text.to_string() }
}

/// A classic definition with these members over the least that one must have.
fn classic(members: &Value) -> Value {
    let mut definition = serde_json::json!({
        "name": "a", "api_id": "a", "use_keyless": true,
        "proxy": {"listen_path": "/a/", "target_url": "http://a.internal", "strip_listen_path": true},
    });
    for (name, value) in members.as_object().unwrap() {
        definition[name] = value.clone();
    }
    definition
}

fn converted(members: &Value) -> Conversion {
    read(&[file("a.json", classic(members))]).unwrap()
}

#[test]
fn a_folder_becomes_a_declarative_file() {
    let conversion = read(&folder()).unwrap();
    expect_file!["../testdata/converted.yaml"]
        .assert_eq(&serde_saphyr::to_string(&conversion.declarative).unwrap());
    expect_file!["../testdata/unsupported.txt"].assert_eq(&conversion.unsupported.join("\n"));
}

#[test]
fn every_mistake_is_told_with_file_and_key() {
    let files = [
        file(
            "a.json",
            classic(&serde_json::json!({"name": 5, "tags": ["x", 1], "domain": "a b", "active": "yes"})),
        ),
        file("b.json", "{"),
        file("c.json", "[]"),
        file("d.yaml", "a: [}"),
        file("e.json", serde_json::json!({"openapi": "3.0.3", "paths": {}})),
        file(
            "f.json",
            serde_json::json!({"name": "f", "api_id": "a", "proxy": {"listen_path": "f/{", "target_url": "http://:0x"}}),
        ),
        file(
            "g.json",
            classic(&serde_json::json!({"auth": {"auth_header_name": "not a header"}, "use_keyless": false})),
        ),
        file(
            "h.json",
            serde_json::json!({"x-tyk-api-gateway": {
                "info": {"name": "h"},
                "server": {"listenPath": {"strip": 1}},
                "middleware": {"global": {"trafficLogs": {"customRetentionPeriod": "soon"}}},
            }}),
        ),
    ];
    let told: Vec<String> = read(&files)
        .unwrap_err()
        .problems
        .iter()
        .map(|problem| format!("{}: {}", problem.key, problem.message))
        .collect();
    expect_file!["../testdata/mistakes.txt"].assert_eq(&told.join("\n"));
}

#[test]
fn what_is_asked_for_and_not_done_is_named() {
    for (members, named) in [
        (
            serde_json::json!({"use_oauth2": true, "use_keyless": false}),
            "a.json: use_oauth2: callers need a key of key-auth instead",
        ),
        (
            serde_json::json!({"protocol": "tcp"}),
            "a.json: protocol: the API is left out: only HTTP is proxied",
        ),
        (serde_json::json!({"listen_port": 8443}), "a.json: listen_port"),
        (serde_json::json!({"nobody_knows": {"this": 1}}), "a.json: nobody_knows"),
        (
            serde_json::json!({"response_processors": [{"name": "header_injector"}]}),
            "a.json: response_processors",
        ),
        (
            serde_json::json!({"proxy": {"listen_path": "/a/", "target_url": "tyk://b/"}}),
            "a.json: proxy.target_url: tyk:// is not supported: left out",
        ),
    ] {
        assert_eq!(converted(&members).unsupported, [named], "{members}");
    }
}

#[test]
fn what_asks_for_nothing_is_not_named() {
    for members in [
        serde_json::json!({"use_oauth2": true, "enable_jwt": true, "oauth_meta": {"allowed_access_types": ["password"]}}),
        serde_json::json!({"CORS": {"enable": false, "max_age": 24}, "upstream_auth": {"enabled": false, "oauth": {"enabled": true}}}),
        serde_json::json!({"custom_middleware": {"pre": [], "driver": "otto"}, "event_handlers": {"events": {}}}),
        serde_json::json!({"id": "5fbb", "auth": {"auth_header_name": "Authorization"}, "session_lifetime": 60, "active": true}),
    ] {
        assert_eq!(converted(&members).unsupported, <[String; 0]>::default(), "{members}");
    }
}

/// What is off is not named, and not done.
#[test]
fn extended_paths_that_are_not_used_say_nothing() {
    let paths = serde_json::json!({"virtual": [{"path": "/a"}], "do_not_track_endpoints": [{"path": "/b"}]});
    let version = |used: bool| {
        serde_json::json!({"version_data": {
            "not_versioned": true,
            "versions": {"Default": {"use_extended_paths": used, "extended_paths": paths}},
        }})
    };
    let (unused, used) = (converted(&version(false)), converted(&version(true)));
    assert_eq!(unused.unsupported, <[String; 0]>::default());
    assert!(!unused.declarative.to_string().contains("do-not-track"));
    assert_eq!(used.unsupported, ["a.json: version_data.versions.Default.extended_paths.virtual"]);
    assert!(used.declarative.to_string().contains("do-not-track"));
}

/// An API whose caller would have to show who they are is never open to all.
#[test]
fn an_api_with_authentication_of_another_kind_asks_for_a_key() {
    let cookie = serde_json::json!({"disable_header": true, "use_cookie": true, "cookie_name": "key"});
    for members in [
        serde_json::json!({"use_keyless": false, "use_oauth2": true}),
        serde_json::json!({"use_keyless": false, "auth": cookie}),
        serde_json::json!({"use_keyless": null}),
    ] {
        let conversion = converted(&members);
        let plugins = conversion.declarative["services"][0]["plugins"].as_array().unwrap();
        let key_auth = plugins.iter().find(|plugin| plugin["name"] == "key-auth");
        assert_eq!(key_auth.unwrap()["config"]["key_names"][0], "Authorization", "{members}");
    }
}

fn foreign() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[/{}a-c:.*-]{0,8}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "x-tyk-api-gateway",
        "info",
        "id",
        "name",
        "state",
        "versioning",
        "versions",
        "enabled",
        "default",
        "location",
        "key",
        "server",
        "listenPath",
        "value",
        "strip",
        "upstream",
        "url",
        "middleware",
        "operations",
        "paths",
        "get",
        "operationId",
        "doNotTrackEndpoint",
        "api_id",
        "proxy",
        "listen_path",
        "target_url",
        "target_list",
        "enable_load_balancing",
        "version_data",
        "definition",
        "extended_paths",
        "use_extended_paths",
        "do_not_track_endpoints",
        "path",
        "method",
    ]);
    leaf.prop_recursive(6, 200, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(keys.clone().prop_map(str::to_owned), inner, 0..12)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn foreign_files_never_panic(text in ".{0,60}", members in foreign()) {
        let _ = read(&[file("a.json", &text), file("b.yaml", &text)]);
        let _ = read(&[file("c.json", &members)]);
        if members.is_object() {
            let _ = read(&[file("d.json", classic(&members))]);
        }
    }
}
